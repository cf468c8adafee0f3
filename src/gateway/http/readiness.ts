/** What the whole must be to be called ready: reading whole, disk not full, views running, this gateway listening. */
import { limits } from '../../lib/limits.ts'
import { diskCheck } from '../../telemetry/health.ts'
import type { Parts } from './parts.ts'

/** Returns the way to take the checks out again. */
export function readinessInto({ telemetry, world, dataPath, local, engine }: Parts): () => void {
  const { health } = telemetry
  const leave = [
    health.part('http', () => null),
    health.part('log', () => {
      const [first, ...more] = local?.recovery.damaged ?? []
      if (first === undefined) return null
      return more.length === 0 ? first.message : `${first.message} (and ${more.length} more)`
    }),
    health.part('views', () => {
      const restoring = engine.views().find(({ status }) => status === 'restoring')
      return restoring === undefined ? null : `${restoring.name} is restoring its state`
    }),
  ]
  if (dataPath !== null) leave.push(health.part('disk', diskCheck(world.disk, dataPath, limits.diskReserveBytes)))
  return () => {
    for (const call of leave) call()
  }
}
