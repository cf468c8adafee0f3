/**
 * What Kafka clients have measured of themselves (KIP-714), as lines for a scrape: the newest values of each client, until
 * it has been silent for three of its intervals. All of it comes from strangers: names and labels are cut and cleaned, and
 * there is a limit on the series of one client and of all; what is beyond is counted.
 */
import { limits } from '../lib/limits.ts'
import type { Clock } from '../lib/world.ts'
import type { Metrics } from './metrics.ts'

export interface MeasuredPoint {
  readonly name: string
  readonly kind: 'gauge' | 'counter' | 'histogram'
  /** It says what came since the last one. */
  readonly isDelta: boolean
  readonly attributes: readonly (readonly [name: string, value: string])[]
  readonly value: number
  readonly histogram: {
    readonly count: number
    readonly bounds: readonly number[]
    readonly counts: readonly number[]
  } | null
}
export interface MeasuredClient {
  readonly instanceId: string
  readonly clientId: string
  readonly software: string
  readonly version: string
  readonly intervalMs: number
}
interface Series {
  readonly metric: string
  readonly kind: MeasuredPoint['kind']
  readonly labels: string
  value: number
  histogram: MeasuredPoint['histogram']
}
interface Known {
  readonly client: MeasuredClient
  readonly series: Map<string, Series>
  readonly heardMs: number
}
const prefix = 'kafka_client_'
const intervalsKept = 3
const keptMsMin = 60_000

export class ClientMetrics {
  readonly #clock: Clock
  readonly #clients = new Map<string, Known>()
  #seriesCount = 0
  #pushes = 0
  #dropped = 0

  constructor(clock: Clock, metrics: Metrics) {
    this.#clock = clock
    const pushes = metrics.counter({
      name: 'millrace_client_metrics_pushes_total',
      help: 'Metrics that Kafka clients pushed (KIP-714).',
    })
    const dropped = metrics.counter({
      name: 'millrace_client_metrics_dropped_total',
      help: 'Points of them that are beyond a limit, or of a kind that is not shown.',
    })
    const clients = metrics.gauge({
      name: 'millrace_client_metrics_clients',
      help: 'Clients whose metrics are shown.',
    })
    metrics.onScrape(() => {
      this.#forgetSilent()
      pushes.set({}, this.#pushes)
      dropped.set({}, this.#dropped)
      clients.set({}, this.#clients.size)
    })
    metrics.onText(() => this.text())
  }
  pushed(client: MeasuredClient, points: Iterable<MeasuredPoint>): void {
    this.#pushes++
    const known = this.#known(client)
    for (const point of points) this.#take(known, point)
  }
  #known(client: MeasuredClient): Known {
    const found = this.#clients.get(client.instanceId)
    const series = found?.series ?? new Map<string, Series>()
    const known = { client, series, heardMs: this.#clock.monotonic() }
    // The longest silent is the first.
    this.#clients.delete(client.instanceId)
    this.#clients.set(client.instanceId, known)
    if (this.#clients.size > limits.telemetryClients) this.#forget(this.#clients.keys().next().value!)
    return known
  }
  #take({ series, client }: Known, point: MeasuredPoint): void {
    const metric = metricName(point)
    const labels = labelsOf(client, point)
    const id = `${metric}{${labels}}`
    const found = series.get(id)
    if (found === undefined) {
      if (series.size >= limits.telemetrySeriesPerClient || this.#seriesCount >= limits.telemetrySeries) {
        this.#dropped++
        return
      }
      this.#seriesCount++
      const { kind, value, histogram } = point
      series.set(id, { metric, kind, labels, value, histogram })
    } else if (found.kind !== point.kind) this.#dropped++
    else {
      const adds = point.isDelta && point.kind !== 'gauge'
      found.value = adds ? found.value + point.value : point.value
      found.histogram = adds ? sumOf(found.histogram, point.histogram) : point.histogram
    }
  }
  #forgetSilent(): void {
    const nowMs = this.#clock.monotonic()
    for (const [id, { client, heardMs }] of this.#clients)
      if (nowMs - heardMs > Math.max(keptMsMin, intervalsKept * client.intervalMs)) this.#forget(id)
  }
  #forget(id: string): void {
    this.#seriesCount -= this.#clients.get(id)?.series.size ?? 0
    this.#clients.delete(id)
  }
  /** In Prometheus' text format; a metric's series stand together. */
  text(): string {
    const byMetric = new Map<string, Series[]>()
    for (const { series } of this.#clients.values())
      for (const one of series.values()) {
        const known = byMetric.get(one.metric)
        if (known === undefined) byMetric.set(one.metric, [one])
        else known.push(one)
      }
    const info = `${prefix}info`
    const infos = Array.from(
      this.#clients.values(),
      ({ client }) =>
        `${info}{${labelText([
          ['client_instance_id', client.instanceId],
          ['client_id', client.clientId],
          ['software', client.software],
          ['version', client.version],
        ])}} 1`,
    )
    const lines = infos.length === 0 ? [] : [`# TYPE ${info} gauge`, ...infos]
    for (const [metric, series] of byMetric) {
      // Clients that disagree on what it is: the first one's word counts.
      const { kind } = series[0]!
      lines.push(`# TYPE ${metric} ${kind}`)
      for (const one of series) if (one.kind === kind) lines.push(...linesOf(one))
    }
    return lines.length === 0 ? '' : `${lines.join('\n')}\n`
  }
}

function linesOf({ metric, labels, value, histogram }: Series): string[] {
  if (histogram === null) return [`${metric}{${labels}} ${numberText(value)}`]
  let sum = 0
  const buckets = histogram.counts.map((count, i) => {
    sum += count
    const le = i < histogram.bounds.length ? numberText(histogram.bounds[i]!) : '+Inf'
    return `${metric}_bucket{${labels},le="${le}"} ${sum}`
  })
  return [...buckets, `${metric}_sum{${labels}} ${numberText(value)}`, `${metric}_count{${labels}} ${histogram.count}`]
}
function numberText(value: number): string {
  if (Number.isNaN(value)) return 'NaN'
  return Number.isFinite(value) ? String(value) : value > 0 ? '+Inf' : '-Inf'
}
function sumOf(a: MeasuredPoint['histogram'], b: MeasuredPoint['histogram']): MeasuredPoint['histogram'] {
  if (a === null || b === null || a.bounds.length !== b.bounds.length) return b
  return { count: a.count + b.count, bounds: b.bounds, counts: b.counts.map((count, i) => count + a.counts[i]!) }
}

const cut = (text: string): string => text.slice(0, limits.telemetryTextLength)
const clean = (name: string): string => cut(name).replaceAll(/[^a-zA-Z0-9_]/g, '_')
/** `org.apache.kafka.producer.record.send.total` is `kafka_client_producer_record_send_total`. */
function metricName({ name, kind }: MeasuredPoint): string {
  const own = prefix + clean(name.replace(/^org\.apache\.kafka\./, ''))
  return kind === 'counter' && !own.endsWith('_total') ? `${own}_total` : own
}
function labelsOf({ instanceId, clientId }: MeasuredClient, { attributes }: MeasuredPoint): string {
  const labels = new Map<string, string>()
  for (const [name, value] of attributes) {
    const label = clean(name)
    if (labels.size < limits.telemetryLabels && /^[a-zA-Z_]/.test(label) && label !== 'le') labels.set(label, value)
  }
  labels.set('client_instance_id', instanceId)
  labels.set('client_id', clientId)
  return labelText([...labels].toSorted(([a], [b]) => (a < b ? -1 : 1)))
}
const labelText = (labels: readonly (readonly [string, string])[]): string =>
  labels
    .map(
      ([name, value]) =>
        `${name}="${cut(value).replaceAll('\\', '\\\\').replaceAll('"', '\\"').replaceAll('\n', '\\n')}"`,
    )
    .join(',')
