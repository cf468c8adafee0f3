/** A house whose views run on threads. */
import { realThreads } from '../../../src/lib/real/threads.ts'
import type { Flow } from '../../../src/flow/runtime/flow.ts'
import { openFlowOnThreads } from '../../../src/flow/workers/pool.ts'
import { type House, memoryWorld, openHouseWith } from '../house.ts'

const module = new URL('../../../src/node/view-thread.ts', import.meta.url)

export const openThreadHouse = (world = memoryWorld(), dir = 'data', count = 2): Promise<House<Flow>> =>
  openHouseWith(world, dir, (options) => openFlowOnThreads({ ...options, threads: realThreads, count, module }))
