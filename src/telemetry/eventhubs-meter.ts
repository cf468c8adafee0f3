/** What passes through the Event Hubs gateway. */
import type { Metrics } from './metrics.ts'

export interface EventHubsMeter {
  connections(open: number): void
  /** Stored, and answered so. */
  sent(events: number, bytes: number): void
  received(events: number): void
  /** Links, tokens, events: whatever was answered with an error. */
  refused(condition: string): void
}

export function eventHubsMeter(metrics: Metrics): EventHubsMeter {
  const open = metrics.gauge({
    name: 'millrace_eventhubs_connections',
    help: 'Open connections of Event Hubs clients, those over HTTP among them.',
  })
  const sent = metrics.counter({ name: 'millrace_eventhubs_sent_total', help: 'Events that clients sent.' })
  const bytes = metrics.counter({ name: 'millrace_eventhubs_sent_bytes_total', help: 'Bytes of what they came in.' })
  const received = metrics.counter({ name: 'millrace_eventhubs_received_total', help: 'Events written to clients.' })
  const refused = metrics.counter({
    name: 'millrace_eventhubs_refused_total',
    help: 'What was answered with an error, by its condition.',
    labels: ['condition'],
  })
  return {
    connections: (count) => open.set({}, count),
    sent(events, size) {
      sent.add({}, events)
      bytes.add({}, size)
    },
    received: (events) => received.add({}, events),
    refused: (condition) => refused.add({ condition }, 1),
  }
}
