/** What passes through the Pub/Sub gateway. */
import type { Metrics } from './metrics.ts'

export interface PubsubMeter {
  connections(open: number): void
  published(messages: number, bytes: number): void
  delivered(messages: number): void
  acknowledged(messages: number): void
  failed(status: string): void
}
export function pubsubMeter(metrics: Metrics): PubsubMeter {
  const open = metrics.gauge({ name: 'millrace_pubsub_connections', help: 'Open connections of Pub/Sub clients.' })
  const published = metrics.counter({ name: 'millrace_pubsub_published_total', help: 'Messages published.' })
  const bytes = metrics.counter({ name: 'millrace_pubsub_published_bytes_total', help: 'Bytes of messages published.' })
  const delivered = metrics.counter({ name: 'millrace_pubsub_delivered_total', help: 'Messages handed out.' })
  const acknowledged = metrics.counter({
    name: 'millrace_pubsub_acknowledged_total',
    help: 'Messages acknowledged by calls of their own.',
  })
  const failed = metrics.counter({
    name: 'millrace_pubsub_failures_total',
    help: 'Calls that failed, by status.',
    labels: ['status'] as const,
  })
  return {
    connections: (count) => open.set({}, count),
    published(messages, size) {
      published.add({}, messages)
      bytes.add({}, size)
    },
    delivered: (messages) => delivered.add({}, messages),
    acknowledged: (messages) => acknowledged.add({}, messages),
    failed: (status) => failed.add({ status }, 1),
  }
}
