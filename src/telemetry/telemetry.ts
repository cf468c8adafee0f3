/** Everything that is measured, in one value for the composition root to hand out. */
import type { Clock } from '../lib/world.ts'
import type { StoreMeter } from '../store/store.ts'
import { ClientMetrics } from './client-metrics.ts'
import { Health } from './health.ts'
import { type Metrics, openMetrics } from './metrics.ts'
import { type EventHubsMeter, eventHubsMeter } from './eventhubs-meter.ts'
import { type PubsubMeter, pubsubMeter } from './pubsub-meter.ts'
import {
  type HttpMeter,
  type KafkaMeter,
  type KinesisMeter,
  type MqttMeter,
  Traffic,
  httpMeter,
  kafkaMeter,
  kinesisMeter,
  mqttMeter,
  storeMeter,
} from './traffic.ts'

export interface Telemetry {
  readonly metrics: Metrics
  readonly health: Health
  /** The log's meter, and the rates of topics. */
  readonly traffic: Traffic
  readonly store: StoreMeter
  readonly kafka: KafkaMeter
  readonly clients: ClientMetrics
  readonly http: HttpMeter
  readonly kinesis: KinesisMeter
  readonly mqtt: MqttMeter
  readonly pubsub: PubsubMeter
  readonly eventhubs: EventHubsMeter
  readonly startedMs: number
}

export function openTelemetry({ clock, version }: { clock: Clock; version: string }): Telemetry {
  const metrics = openMetrics()
  const startedMs = clock.now()
  metrics.gauge({ name: 'millrace_build_info', help: 'Always 1.', labels: ['version'] as const }).set({ version }, 1)
  processMetrics(metrics, startedMs)
  return {
    metrics,
    health: new Health(),
    traffic: new Traffic(clock, metrics),
    store: storeMeter(metrics),
    kafka: kafkaMeter(metrics),
    clients: new ClientMetrics(clock, metrics),
    http: httpMeter(metrics),
    kinesis: kinesisMeter(metrics),
    mqtt: mqttMeter(metrics),
    pubsub: pubsubMeter(metrics),
    eventhubs: eventHubsMeter(metrics),
    startedMs,
  }
}

/** Prometheus' standard names; read when asked, so an idle process does nothing for them. */
function processMetrics(metrics: Metrics, startedMs: number): void {
  const cpu = metrics.counter({ name: 'process_cpu_seconds_total', help: 'User and system CPU time.' })
  const resident = metrics.gauge({ name: 'process_resident_memory_bytes', help: 'Resident memory.' })
  const heap = metrics.gauge({ name: 'nodejs_heap_size_used_bytes', help: 'JavaScript heap in use.' })
  const external = metrics.gauge({ name: 'nodejs_external_memory_bytes', help: 'Memory of buffers outside the heap.' })
  metrics.gauge({ name: 'process_start_time_seconds', help: 'Start, seconds since 1970.' }).set({}, startedMs / 1000)
  metrics.onScrape(() => {
    const memory = process.memoryUsage()
    const used = process.cpuUsage()
    cpu.set({}, (used.user + used.system) / 1e6)
    resident.set({}, memory.rss)
    heap.set({}, memory.heapUsed)
    external.set({}, memory.external)
  })
}
