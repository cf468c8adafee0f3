/** What passes through each topic and each gateway: the meters that lower layers are given, and the rates people see. */
import type { Clock } from '../lib/world.ts'
import type { StoreMeter } from '../store/store.ts'
import { type ListenerMeter, listenerMeter } from './listener-meter.ts'
import type { Metrics } from './metrics.ts'
import { Rate } from './rate.ts'

interface TopicRates {
  /** What the metrics already show of these totals. */
  shown: readonly [number, number, number, number]
  readonly recordsIn: Rate
  readonly bytesIn: Rate
  readonly recordsOut: Rate
  readonly bytesOut: Rate
}
export interface TopicSpeed {
  readonly recordsInPerSecond: number
  readonly bytesInPerSecond: number
  readonly recordsOutPerSecond: number
}

/** Fits the log's meter. */
export class Traffic {
  readonly #clock: Clock
  readonly #topics = new Map<string, TopicRates>()

  constructor(clock: Clock, metrics: Metrics) {
    this.#clock = clock
    const labels = ['topic'] as const
    const recordsIn = metrics.counter({ name: 'millrace_topic_records_in_total', help: 'Records appended.', labels })
    const bytesIn = metrics.counter({
      name: 'millrace_topic_bytes_in_total',
      help: 'Bytes of batches appended.',
      labels,
    })
    const recordsOut = metrics.counter({ name: 'millrace_topic_records_out_total', help: 'Records read.', labels })
    const bytesOut = metrics.counter({ name: 'millrace_topic_bytes_out_total', help: 'Bytes of batches read.', labels })
    metrics.onScrape(() => {
      for (const [topic, rates] of this.#topics) {
        const now = [rates.recordsIn.total, rates.bytesIn.total, rates.recordsOut.total, rates.bytesOut.total] as const
        const before = rates.shown
        rates.shown = now
        recordsIn.add({ topic }, now[0] - before[0])
        bytesIn.add({ topic }, now[1] - before[1])
        recordsOut.add({ topic }, now[2] - before[2])
        bytesOut.add({ topic }, now[3] - before[3])
      }
    })
  }
  appended(topic: string, records: number, bytes: number): void {
    const rates = this.#of(topic)
    rates.recordsIn.add(records)
    rates.bytesIn.add(bytes)
  }
  read(topic: string, records: number, bytes: number): void {
    const rates = this.#of(topic)
    rates.recordsOut.add(records)
    rates.bytesOut.add(bytes)
  }
  /** Forgets topics that are gone; their counters stay as they are. */
  keep(existing: ReadonlySet<string>): void {
    for (const topic of this.#topics.keys()) if (!existing.has(topic)) this.#topics.delete(topic)
  }
  speed(topic: string): TopicSpeed {
    return speedOf(this.#topics.get(topic))
  }
  /** Of several topics together. */
  overall(topics: Iterable<string>): TopicSpeed {
    let [recordsInPerSecond, bytesInPerSecond, recordsOutPerSecond] = [0, 0, 0]
    for (const topic of topics) {
      const speed = this.speed(topic)
      recordsInPerSecond += speed.recordsInPerSecond
      bytesInPerSecond += speed.bytesInPerSecond
      recordsOutPerSecond += speed.recordsOutPerSecond
    }
    // A sum of decimal fractions has noise behind them.
    const tenth = (rate: number): number => Math.round(rate * 10) / 10
    return {
      recordsInPerSecond: tenth(recordsInPerSecond),
      bytesInPerSecond: tenth(bytesInPerSecond),
      recordsOutPerSecond: tenth(recordsOutPerSecond),
    }
  }
  #of(topic: string): TopicRates {
    let rates = this.#topics.get(topic)
    if (rates === undefined) this.#topics.set(topic, (rates = this.#fresh()))
    return rates
  }
  #fresh(): TopicRates {
    const rate = (): Rate => new Rate(this.#clock)
    return { shown: [0, 0, 0, 0], recordsIn: rate(), bytesIn: rate(), recordsOut: rate(), bytesOut: rate() }
  }
}
function speedOf(rates: TopicRates | undefined): TopicSpeed {
  return {
    recordsInPerSecond: rates?.recordsIn.perSecond() ?? 0,
    bytesInPerSecond: rates?.bytesIn.perSecond() ?? 0,
    recordsOutPerSecond: rates?.recordsOut.perSecond() ?? 0,
  }
}

export function storeMeter(metrics: Metrics): StoreMeter {
  const rounds = metrics.counter({
    name: 'millrace_store_sync_rounds_total',
    help: 'Rounds of the write loop that synced.',
  })
  const failures = metrics.counter({ name: 'millrace_store_sync_failures_total', help: 'Syncs that the disk refused.' })
  const files = metrics.counter({ name: 'millrace_store_synced_files_total', help: 'Files synced.' })
  const seconds = metrics.histogram({ name: 'millrace_store_sync_duration_seconds', help: 'Time of a sync round.' })
  return {
    synced(ms, fileCount) {
      rounds.add({}, 1)
      files.add({}, fileCount)
      seconds.observe({}, ms / 1000)
    },
    syncFailed: () => failures.add({}, 1),
  }
}

/** One request of one gateway, when it has been answered. */
export interface KafkaMeter extends ListenerMeter {
  request(api: string, version: number, seconds: number, errorCode: number): void
}
export function kafkaMeter(metrics: Metrics): KafkaMeter {
  const requests = metrics.counter({
    name: 'millrace_kafka_requests_total',
    help: 'Kafka requests answered.',
    labels: ['api', 'version'] as const,
  })
  const errors = metrics.counter({
    name: 'millrace_kafka_errors_total',
    help: 'Kafka requests answered with an error code.',
    labels: ['api', 'error'] as const,
  })
  const time = metrics.histogram({
    name: 'millrace_kafka_request_duration_seconds',
    help: 'Time from request to answer; a fetch waits for records as long as the client asks.',
    labels: ['api'] as const,
  })
  return {
    ...listenerMeter(metrics, 'kafka', 'Kafka'),
    request(api, version, seconds, errorCode) {
      requests.add({ api, version: String(version) }, 1)
      if (errorCode !== 0) errors.add({ api, error: String(errorCode) }, 1)
      time.observe({ api }, seconds)
    },
  }
}

export interface HttpMeter {
  request(route: string, method: string, status: number, seconds: number): void
  connections(open: number): void
  webSockets(open: number): void
  refused(what: 'host' | 'origin' | 'malformed' | 'too-many'): void
}
export function httpMeter(metrics: Metrics): HttpMeter {
  const requests = metrics.counter({
    name: 'millrace_http_requests_total',
    help: 'HTTP requests answered.',
    labels: ['route', 'method', 'status'] as const,
  })
  const time = metrics.histogram({
    name: 'millrace_http_request_duration_seconds',
    help: 'Time from request to the end of the answer; live streams are not counted.',
    labels: ['route'] as const,
  })
  const refused = metrics.counter({
    name: 'millrace_http_refused_total',
    help: 'Requests refused before they reached a route.',
    labels: ['what'] as const,
  })
  const open = metrics.gauge({
    name: 'millrace_http_connections',
    help: 'Open HTTP connections, WebSockets among them.',
  })
  const webSockets = metrics.gauge({ name: 'millrace_http_websockets', help: 'Open WebSockets.' })
  return {
    request(route, method, status, seconds) {
      requests.add({ route, method, status: String(status) }, 1)
      if (seconds >= 0) time.observe({ route }, seconds)
    },
    connections: (count) => open.set({}, count),
    webSockets: (count) => webSockets.set({}, count),
    refused: (what) => refused.add({ what }, 1),
  }
}

export interface KinesisMeter extends ListenerMeter {
  /** `seconds` −1: an answer that went on. */
  request(operation: string, error: string, seconds: number): void
}
export function kinesisMeter(metrics: Metrics): KinesisMeter {
  const requests = metrics.counter({
    name: 'millrace_kinesis_requests_total',
    help: 'Kinesis requests answered; error is empty for those that were done.',
    labels: ['operation', 'error'] as const,
  })
  const time = metrics.histogram({
    name: 'millrace_kinesis_request_duration_seconds',
    help: 'Time from request to answer; subscriptions are not counted.',
    labels: ['operation'] as const,
  })
  return {
    ...listenerMeter(metrics, 'kinesis', 'Kinesis'),
    request(operation, error, seconds) {
      requests.add({ operation, error }, 1)
      if (seconds >= 0) time.observe({ operation }, seconds)
    },
  }
}

export interface MqttMeter extends ListenerMeter {
  received(bytes: number): void
}
export function mqttMeter(metrics: Metrics): MqttMeter {
  const messages = metrics.counter({
    name: 'millrace_mqtt_messages_received_total',
    help: 'Messages that clients sent.',
  })
  const bytes = metrics.counter({ name: 'millrace_mqtt_bytes_received_total', help: 'Bytes of their packets.' })
  return {
    ...listenerMeter(metrics, 'mqtt', 'MQTT'),
    received(count) {
      messages.add({}, 1)
      bytes.add({}, count)
    },
  }
}
