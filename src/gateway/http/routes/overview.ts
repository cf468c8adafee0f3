/** One look at everything; as events, one a second. */
import type { Log } from '../../../log/log.ts'
import type { World } from '../../../lib/world.ts'
import { isQuarantine } from '../../../schema/quarantine.ts'
import { onCluster } from '../access.ts'
import type { Overview } from '../api.ts'
import { jsonAnswer } from '../answers.ts'
import { type LiveEvent, mediaTypes, negotiate } from '../exchange.ts'
import { liveAnswer } from '../live.ts'
import type { Parts } from '../parts.ts'
import type { Route } from '../route.ts'
import { schemas } from '../schemas.ts'
import { isInternal } from './topic-lookup.ts'

export function overviewRoute(parts: Parts): Route {
  return {
    method: 'GET',
    path: '/v1/overview',
    id: 'getOverview',
    access: onCluster('describe'),
    says: 'Counts and rates of the whole; as events, one a second.',
    gives: {
      200: { says: 'The overview.', as: { [mediaTypes.json]: schemas.Overview, [mediaTypes.sse]: schemas.Overview } },
    },
    handle: async ({ headers, signal }) => {
      if (negotiate(headers['accept'], [mediaTypes.json, mediaTypes.sse]) === mediaTypes.json)
        return jsonAnswer(await overview(parts))
      return liveAnswer(ticking(parts, signal))
    },
  }
}
async function* ticking(parts: Parts, signal: AbortSignal): AsyncIterable<LiveEvent> {
  while (!signal.aborted) {
    yield { event: 'overview', json: JSON.stringify(await overview(parts)) }
    await parts.world.clock.sleep(1000, signal).catch(() => {})
  }
}

async function overview(parts: Parts): Promise<Overview> {
  const { log, engine, alerts, telemetry, world, version } = parts
  const topics = await log.topics.list()
  const shown = topics.filter(({ name }) => !isInternal(name))
  const groups = await log.groups.list()
  // What Millrace writes for itself is no event of anybody.
  const speed = telemetry.traffic.overall(shown.map(({ name }) => name))
  const views = engine.views()
  const sizes = topics.map(({ name, partitions }) => sizeOf(parts, name, partitions))
  return {
    version,
    uptimeMs: Math.max(0, world.clock.now() - telemetry.startedMs),
    topics: shown.length,
    partitions: shown.reduce((sum, { partitions }) => sum + partitions, 0),
    views: views.filter(({ kind }) => kind === 'view').length,
    alerts: alerts.list().length,
    groups: groups.filter(({ group }) => !isInternal(group)).length,
    recordsInPerSecond: speed.recordsInPerSecond,
    bytesInPerSecond: speed.bytesInPerSecond,
    recordsOutPerSecond: speed.recordsOutPerSecond,
    quarantined: await recordsIn(
      log,
      topics.filter(({ name }) => isQuarantine(name)),
    ),
    late: views.reduce((sum, { stats }) => sum + stats.late, 0),
    rssBytes: process.memoryUsage.rss(),
    diskBytes: sizes.reduce((sum, bytes) => sum + bytes, 0),
    diskFreeBytes: freeBytes(world, parts.dataPath),
  }
}
function sizeOf({ local }: Parts, topic: string, partitions: number): number {
  let bytes = 0
  for (let index = 0; index < partitions; index++) bytes += local?.sizeBytes({ topic, index }) ?? 0
  return bytes
}
async function recordsIn(log: Log, topics: readonly { name: string; partitions: number }[]): Promise<number> {
  const of = topics.flatMap(({ name, partitions }) =>
    Array.from({ length: partitions }, (_, index) => ({ topic: name, index })),
  )
  const bounds = of.length === 0 ? [] : await log.bounds(of)
  return bounds.reduce((sum, { start, stable }) => sum + (stable - start), 0)
}
function freeBytes({ disk }: World, path: string | null): number {
  return path === null ? process.availableMemory() : disk.free(path)
}
