/**
 * The Event Hubs gateway with a light client of our own codec, in this process, and Millrace as a process beside it: batches
 * of 500 events of 200 bytes in, acknowledged when durable; and the same events out, by prefetch.
 */
import { batchFormat } from '../src/wire/amqp/sections.ts'
import { disposition, fieldsOf, isOf, transfer } from '../src/wire/amqp/composites.ts'
import { RawClient, batchOf, message } from '../test/gateway/eventhubs/raw-client.ts'
import { startMillrace } from '../test/interop/setup/index.ts'
import type { Report, RowSpec } from './lib/rows.ts'

const inRow = 'events of 200 B in, batches of 500'
const outRow = 'events of 200 B out, prefetch 3,000'
const unit = 'events/s'
export const eventHubsRows: readonly RowSpec[] = [
  { row: inRow, unit, better: 'higher', goal: 100_000, alone: true },
  { row: outRow, unit, better: 'higher', goal: 60_000, alone: true },
]
const batchEvents = 500
const atOnce = 16
const prefetch = 3_000

export async function benchEventHubs(
  report: Report,
  { quick, runs }: { quick: boolean; runs: number | null },
): Promise<void> {
  const events = quick ? 200_000 : 2_000_000
  await using millrace = await startMillrace({ args: ['--listen', 'eventhubs=127.0.0.1:0'] })
  const port = Number(millrace.listen['eventhubs']!.split(':').at(-1))
  for (let run = 0; run < (runs ?? (quick ? 1 : 3)); run++) {
    const hub = `hub-${run}`
    await fetch(`http://${millrace.http}/v1/topics/${hub}`, {
      method: 'PUT',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ partitions: 1 }),
    })
    report.sample(inRow, 'ours', await measure(events, () => sendAll(port, hub, events)))
    report.sample(outRow, 'ours', await measure(events, () => receiveAll(port, hub, events)))
  }
}
async function measure(events: number, run: () => Promise<void>): Promise<number> {
  const startedMs = performance.now()
  await run()
  return Math.round(events / ((performance.now() - startedMs) / 1000))
}

async function sendAll(port: number, hub: string, events: number): Promise<void> {
  await using client = await RawClient.open({ port })
  const sender = await client.sender(hub)
  const batch = batchOf(Array.from({ length: batchEvents }, () => message({ body: Buffer.alloc(200, 'x') })))
  const batches = events / batchEvents
  let sent = 0
  let accepted = 0
  const done = Promise.withResolvers<void>()
  client.intercept = ({ value }) => {
    if (!isOf(value, disposition)) return false
    const { first, last } = fieldsOf(value, disposition)
    accepted += (last ?? first) - first + 1
    more()
    if (accepted === batches) done.resolve()
    return true
  }
  function more(): void {
    for (; sent < batches && sent - accepted < atOnce; sent++) sender.post(batch, batchFormat)
  }
  more()
  await done.promise
}

async function receiveAll(port: number, hub: string, events: number): Promise<void> {
  await using client = await RawClient.open({ port })
  const receiver = await client.receiver(`${hub}/ConsumerGroups/$Default/Partitions/0`, {
    selector: "amqp.annotation.x-opt-offset > '-1'",
  })
  let received = 0
  let granted = prefetch
  const done = Promise.withResolvers<void>()
  client.intercept = ({ value }) => {
    if (!isOf(value, transfer)) return false
    received++
    if (granted - received < prefetch / 2) {
      granted = received + prefetch
      receiver.credit(prefetch, { deliveryCount: received, nextIncomingId: received })
    }
    if (received === events) done.resolve()
    return true
  }
  receiver.credit(prefetch)
  await done.promise
}
