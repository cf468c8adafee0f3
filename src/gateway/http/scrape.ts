/** Gauges that are brought up to date when someone scrapes: nothing is counted while nobody looks. */
import { limits } from '../../lib/limits.ts'
import type { Metrics } from '../../telemetry/metrics.ts'
import type { Lag } from './lag.ts'
import type { Parts } from './parts.ts'

export function scrapeInto(parts: Parts, lag: Lag): void {
  const { metrics } = parts.telemetry
  topics(parts, metrics)
  groups(parts, metrics, lag)
  views(parts, metrics)
  alerts(parts, metrics)
  connectors(parts, metrics)
  disk(parts, metrics)
}

function topics({ log, local, telemetry }: Parts, metrics: Metrics): void {
  const count = metrics.gauge({ name: 'millrace_topics', help: 'Topics.' })
  const partitionCount = metrics.gauge({ name: 'millrace_partitions', help: 'Partitions.' })
  const bytes = metrics.gauge({ name: 'millrace_topic_size_bytes', help: 'Bytes kept.', labels: ['topic'] as const })
  metrics.onScrape(async () => {
    const all = await log.topics.list()
    count.set({}, all.length)
    partitionCount.set(
      {},
      all.reduce((sum, { partitions }) => sum + partitions, 0),
    )
    telemetry.traffic.keep(new Set(all.map(({ name }) => name)))
    bytes.clear()
    if (local === null) return
    for (const { name, partitions } of all.slice(0, limits.metricSeries)) {
      let size = 0
      for (let index = 0; index < partitions; index++) size += local.sizeBytes({ topic: name, index })
      bytes.set({ topic: name }, size)
    }
  })
}

function groups({ log }: Parts, metrics: Metrics, lag: Lag): void {
  const labels = ['group', 'topic'] as const
  const records = metrics.gauge({ name: 'millrace_consumer_group_lag_records', help: 'Records not yet read.', labels })
  const seconds = metrics.gauge({
    name: 'millrace_consumer_group_lag_seconds',
    help: 'Time of the newest record less that of the first one not yet read.',
    labels,
  })
  const members = metrics.gauge({
    name: 'millrace_consumer_group_members',
    help: 'Active members.',
    labels: ['group'] as const,
  })
  metrics.onScrape(async () => {
    const summaries = await lag.summaries((await log.groups.list()).slice(0, limits.metricSeries))
    for (const metric of [records, seconds, members]) metric.clear()
    for (const summary of summaries) {
      members.set({ group: summary.group }, summary.members.length)
      for (const [topic, positions] of Map.groupBy(summary.positions, (position) => position.topic)) {
        const place = { group: summary.group, topic }
        records.set(
          place,
          positions.reduce((sum, one) => sum + one.lag, 0),
        )
        const known = positions.flatMap(({ lagSeconds }) => (lagSeconds === null ? [] : [lagSeconds]))
        if (known.length > 0) seconds.set(place, Math.max(...known))
      }
    }
  })
}

function views({ engine, world }: Parts, metrics: Metrics): void {
  const labels = ['view'] as const
  const rowsIn = metrics.counter({ name: 'millrace_view_rows_in_total', help: 'Rows read by a view.', labels })
  const rowsOut = metrics.counter({ name: 'millrace_view_rows_out_total', help: 'Changes a view gave.', labels })
  const late = metrics.counter({ name: 'millrace_view_late_rows_total', help: 'Rows that came too late.', labels })
  const invalid = metrics.counter({ name: 'millrace_view_invalid_rows_total', help: 'Rows that did not fit.', labels })
  const state = metrics.gauge({ name: 'millrace_view_state_bytes', help: 'State of a view.', labels })
  const behind = metrics.gauge({ name: 'millrace_view_watermark_lag_seconds', help: 'Now less the watermark.', labels })
  const running = metrics.gauge({ name: 'millrace_view_running', help: '1 while it runs.', labels })
  metrics.onScrape(() => {
    for (const gauge of [state, behind, running]) gauge.clear()
    for (const { name, kind, stats, watermark, status } of engine.views()) {
      if (kind !== 'view') continue
      const place = { view: name }
      rowsIn.set(place, stats.rowsIn)
      rowsOut.set(place, stats.rowsOut)
      late.set(place, stats.late)
      invalid.set(place, stats.invalid)
      state.set(place, stats.stateBytes)
      running.set(place, status === 'running' || status === 'idle' ? 1 : 0)
      if (watermark !== null) behind.set(place, (world.clock.now() - Date.parse(watermark)) / 1000)
    }
  })
}

function alerts(parts: Parts, metrics: Metrics): void {
  const labels = ['alert'] as const
  const fired = metrics.counter({ name: 'millrace_alerts_fired_total', help: 'Alerts fired.', labels })
  const suppressed = metrics.counter({
    name: 'millrace_alerts_suppressed_total',
    help: 'Repeats within EVERY.',
    labels,
  })
  const failed = metrics.counter({ name: 'millrace_alert_delivery_failures_total', help: 'Failed attempts.', labels })
  metrics.onScrape(() => {
    for (const alert of parts.alerts.list()) {
      const place = { alert: alert.name }
      fired.set(place, alert.fired)
      suppressed.set(place, alert.suppressed)
      failed.set(place, alert.deliveryFailures)
    }
  })
}

const counted = ['records', 'bytes', 'refused', 'restarts'] as const
function connectors(parts: Parts, metrics: Metrics): void {
  const labels = ['connector', 'direction', 'kind'] as const
  const counter = (name: string, help: string) => metrics.counter({ name, help, labels })
  const counters = {
    records: counter('millrace_connector_records_total', 'Records carried over.'),
    bytes: counter('millrace_connector_bytes_total', 'Bytes of records carried over.'),
    refused: counter('millrace_connector_refused_total', 'Records set aside, for one side does not take them.'),
    restarts: counter('millrace_connector_restarts_total', 'Starts after a fault.'),
  }
  const gauge = (name: string, help: string) => metrics.gauge({ name, help, labels })
  const lag = gauge('millrace_connector_lag_records', 'Records not carried over yet, where that can be seen.')
  const faultAt = gauge('millrace_connector_last_fault_time_seconds', 'Time of the last fault, seconds since 1970.')
  const state = metrics.gauge({
    name: 'millrace_connector_state',
    help: '1 for the state that it is in.',
    labels: [...labels, 'state'] as const,
  })
  const seen = new Map<string, Readonly<Record<(typeof counted)[number], number>>>()
  metrics.onScrape(async () => {
    const all = await parts.connectors.list()
    for (const one of [lag, faultAt, state]) one.clear()
    const names = new Set(all.map(({ name }) => name))
    for (const name of seen.keys()) if (!names.has(name)) seen.delete(name)
    for (const one of all.slice(0, limits.metricSeries)) {
      const place = { connector: one.name, direction: one.direction, kind: one.kind }
      const before = seen.get(one.name)
      seen.set(one.name, one)
      for (const what of counted) {
        const was = before?.[what] ?? 0
        // One that was deleted and made anew counts from zero.
        counters[what].add(place, one[what] >= was ? one[what] - was : one[what])
      }
      if (one.lag !== null) lag.set(place, one.lag)
      if (one.faultAt !== null) faultAt.set(place, Date.parse(one.faultAt) / 1000)
      for (const name of ['running', 'paused', 'failed'])
        state.set({ ...place, state: name }, name === one.status ? 1 : 0)
    }
  })
}

function disk({ world, dataPath }: Parts, metrics: Metrics): void {
  if (dataPath === null) return
  const free = metrics.gauge({ name: 'millrace_disk_free_bytes', help: 'Bytes that may still be written.' })
  metrics.onScrape(() => free.set({}, world.disk.free(dataPath)))
}
