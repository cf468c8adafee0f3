/** Parts of a plan's steps as if on other threads, without any: everything that is asked and answered is cloned on the way. */
import { memoryDisk } from '../../src/lib/real/memory-disk.ts'
import type { PartAnswer, PartAsk } from '../../src/flow/parts/asks.ts'
import type { PartLink, PartLinks } from '../../src/flow/parts/far-parts.ts'
import { PartServer } from '../../src/flow/parts/serve-parts.ts'
import type { Plan } from '../../src/flow/plan.ts'

export function clonedLinks(plan: Plan, count: number): PartLinks {
  const links = Array.from({ length: count }, (): PartLink => {
    const server = new PartServer({ disk: memoryDisk(), plan: () => plan, onWork: () => {} })
    let views = 0
    const answer = (ask: PartAsk, buffers: readonly ArrayBuffer[]): PartAnswer => {
      const { answer: said, buffers: back } = server.answer(structuredClone(ask, { transfer: [...buffers] }))
      return structuredClone(said, { transfer: [...back] })
    }
    return {
      nextView: () => ++views,
      tell: (ask) => void answer(ask, []),
      ask: (_, ask, buffers) => {
        const said = answer(ask, buffers)
        return () => said
      },
    }
  })
  // Functions in it cannot be cloned; both sides have it.
  return { links, plan: { op: 'union', inputs: [], columns: [] }, name: 'view', viewNumber: 1 }
}
