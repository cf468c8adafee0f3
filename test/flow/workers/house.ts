/** Houses whose views run on threads. */
import { realThreads } from '../../../src/lib/real/threads.ts'
import type { Flow } from '../../../src/flow/runtime/flow.ts'
import { openFlowOnThreads } from '../../../src/flow/workers/pool.ts'
import { type House, memoryWorld, openHouseWith } from '../house.ts'

const module = new URL('../../../src/node/view-thread.ts', import.meta.url)

export const openThreadHouse = (world = memoryWorld(), dir = 'data', count = 2): Promise<House<Flow>> =>
  openHouseWith(world, dir, (options) => openFlowOnThreads({ ...options, threads: realThreads, count, module }))
/** Every step with a key is cut into so many parts, on so many threads. */
export async function openPartsHouse(world = memoryWorld(), dir = 'data', parallelism = 3): Promise<House<Flow>> {
  const house = await openThreadHouse(world, dir, parallelism)
  const start = house.flow.start.bind(house.flow)
  house.flow.start = (view) => start({ parallelism, ...view })
  return house
}
