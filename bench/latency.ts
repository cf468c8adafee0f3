/**
 * From the acknowledgement of an event to its place in what a subscriber of a view without windows sees. Events are sent at
 * a steady rate over Kafka's protocol with acks=all, in batches of 5 ms; each batch has one event of a key of its own, whose
 * row in the view is waited for over SSE. One process sends and reads, so both times are of one clock.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import { createTopic, produce, Wire } from '../test/faults/wire.ts'
import { type Millrace, startMillrace } from '../test/interop/setup/index.ts'
import { encodeBatch } from '../src/log/batch.ts'
import type { Report, RowSpec } from './lib/rows.ts'
import { sql } from './lib/sql.ts'

const rates = [10_000, 50_000] as const
const name = (rate: number, which: string): string => `acknowledged to seen at ${rate.toLocaleString('en')}/s, ${which}`
export const latencyRows: readonly RowSpec[] = rates.flatMap((rate) => [
  { row: name(rate, 'p50'), unit: 'ms', better: 'lower', goal: 10, alone: true },
  { row: name(rate, 'p99'), unit: 'ms', better: 'lower', goal: 50, alone: true },
])

const batchMs = 5
const keys = 100
const warmMs = 3_000

export async function benchLatency(report: Report, isQuick: boolean): Promise<void> {
  for (const rate of rates) {
    if (!report.wantsAny(latencyRows.filter(({ row }) => row.startsWith(name(rate, ''))))) continue
    const seen = await measured(rate, isQuick ? 5_000 : 30_000)
    report.sample(name(rate, 'p50'), 'ours', quantile(seen, 0.5))
    report.sample(name(rate, 'p99'), 'ours', quantile(seen, 0.99))
  }
}

/** Milliseconds, one for each batch after the first seconds; below 0: seen before its acknowledgement came. */
async function measured(rate: number, forMs: number): Promise<number[]> {
  await using product = await startMillrace()
  const wire = await Wire.open(product.kafka)
  await createTopic(wire, 'events', 1)
  await sql(product, `CREATE STREAM events (k text, v int) WITH (topic = 'events')`)
  await sql(product, 'CREATE MATERIALIZED VIEW counts AS SELECT k, count(*) AS n, sum(v) AS s FROM events GROUP BY k')
  const acknowledged = new Map<string, number>()
  const seenAt = new Map<string, number>()
  const ended = new AbortController()
  const reading = subscribe(product, (key) => seenAt.set(key, performance.now()), ended.signal)
  const perBatch = (rate * batchMs) / 1_000
  const startedMs = performance.now()
  const sending: Promise<void>[] = []
  for (let batch = 0; performance.now() - startedMs < warmMs + forMs; batch++) {
    const dueMs = startedMs + batch * batchMs
    const waitMs = dueMs - performance.now()
    if (waitMs > 1) await sleep(waitMs)
    const key = `marker-${batch}`
    const isCounted = performance.now() - startedMs > warmMs
    const records = Array.from({ length: perBatch }, (_, i) => ({
      key: null,
      value: Buffer.from(JSON.stringify({ k: i === 0 ? key : `key-${(batch + i) % keys}`, v: i })),
      timeMs: Date.now(),
    }))
    const sent = produce(wire, { topic: 'events', partition: 0 }, encodeBatch(records), -1)
    sending.push(
      sent.then(({ error }) => {
        if (error !== 0) throw new Error(`produce: error ${error}`)
        if (isCounted) acknowledged.set(key, performance.now())
      }),
    )
  }
  await Promise.all(sending)
  const giveUpAt = performance.now() + 10_000
  while (performance.now() < giveUpAt && [...acknowledged.keys()].some((key) => !seenAt.has(key))) await sleep(20)
  ended.abort()
  await reading
  wire.close()
  return Array.from(acknowledged, ([key, atMs]) => {
    const there = seenAt.get(key)
    if (there === undefined) throw new Error(`${key} was not seen within 10 s`)
    return there - atMs
  })
}

/** Calls with the key of each row that came. */
async function subscribe({ http }: Millrace, see: (key: string) => void, signal: AbortSignal): Promise<void> {
  const answer = await fetch(`http://${http}/v1/sql`, {
    method: 'POST',
    headers: { 'content-type': 'application/sql', accept: 'text/event-stream' },
    body: 'SUBSCRIBE TO counts WITH (snapshot = false)',
    signal,
  })
  if (!answer.ok || answer.body === null) throw new Error(`SUBSCRIBE: ${answer.status} ${await answer.text()}`)
  const marker = /"(marker-\d+)"/g
  let rest = ''
  try {
    for await (const chunk of answer.body.pipeThrough(new TextDecoderStream())) {
      const text = rest + chunk
      for (const [, key] of text.matchAll(marker)) see(key!)
      // A key may be cut in two.
      rest = text.slice(text.lastIndexOf('\n') + 1)
    }
  } catch (error) {
    if (!signal.aborted) throw error
  }
}
function quantile(values: readonly number[], q: number): number {
  const sorted = values.toSorted((a, b) => a - b)
  return sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * q))]!
}
