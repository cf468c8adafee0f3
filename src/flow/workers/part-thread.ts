/** A thread that holds parts of steps, of views that run on other threads. It has no log, and waits for nobody. */
import type { MessagePort } from 'node:worker_threads'
import { Line, type Port } from '../../lib/line.ts'
import type { Disk } from '../../lib/world.ts'
import { type Bell, answerParts } from '../parts/part-line.ts'
import { PartServer } from '../parts/serve-parts.ts'
import { withCode } from './code.ts'

/** What the thread is started with. */
export interface PartThreadData {
  readonly holds: 'parts'
  /** One number: that of the view that it works on, or worked on last; 0: there is none. */
  readonly working: Int32Array<SharedArrayBuffer>
  /** As that of `ViewThreadData`. */
  readonly codeFrom: unknown
}

export function serveParts(
  port: Port,
  { working }: PartThreadData,
  disk: Disk,
  code: () => Promise<readonly unknown[]>,
): void {
  new Line(port, partMethods(working, disk, code))
}
const partMethods = (working: PartThreadData['working'], disk: Disk, code: () => Promise<readonly unknown[]>) => ({
  ping: () => {},
  /** To a thread that views run on. */
  link: (to: MessagePort, bell: Bell) => {
    let known: readonly unknown[] = []
    const server = new PartServer({
      disk,
      plan: (plan, view) => withCode(plan, known, view),
      onWork: (view) => void Atomics.store(working, 0, view),
    })
    answerParts(to, bell, async (ask) => {
      if (ask.ask === 'open') known = await code()
      return server.answer(ask)
    })
    to.once('close', () => server.close())
  },
  close: () => {},
})
export type PartMethods = ReturnType<typeof partMethods>
