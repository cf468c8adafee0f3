/**
 * Sends the purchases to a running Millrace over HTTP, at a chosen speed, and goes on where an earlier replay stopped.
 *
 *   npx node examples/retail/replay/replay.ts [--url http://127.0.0.1:8080] [--seconds 60] [--trickle]
 */
import { parseArgs } from 'node:util'
import { setTimeout as sleep } from 'node:timers/promises'
import { history, type Marker, type Purchase } from './events.ts'

export interface ReplayOptions {
  readonly url: string
  /** How long the whole history takes; 0 = as fast as it goes. */
  readonly seconds: number
  /** Of the file, the first so many; all unless given. */
  readonly lines?: number
  readonly signal?: AbortSignal
  readonly onProgress?: (sent: number, total: number) => void
}
type Event = Purchase | Marker

const sliceMs = 50
const eventsPerRequestMax = 2_000

/** Resolves when the marker is in the log. Safe to run again: what was sent is not sent twice. */
export async function replay(options: ReplayOptions): Promise<void> {
  const events = history(options.lines)
  const start = Date.now()
  const already = await lastSeq(options)
  const perMs = options.seconds === 0 ? Infinity : events.length / (options.seconds * 1000)
  for (let next = already; next < events.length;) {
    options.signal?.throwIfAborted()
    const due = Math.min(events.length, already + Math.floor((Date.now() - start) * perMs) + 1)
    if (due <= next) {
      await sleep(sliceMs, undefined, { signal: options.signal })
      continue
    }
    const end = Math.min(due, next + eventsPerRequestMax)
    await send(options, events.slice(next, end))
    next = end
    options.onProgress?.(next, events.length)
  }
}

/** Whether an earlier replay has sent all of it. */
export async function historyIsIn(options: ReplayOptions): Promise<boolean> {
  return (await lastSeq(options)) >= history().length
}

/** After the history: repeated lines with today's date, a few a second, for ever. */
export async function trickle(options: ReplayOptions): Promise<never> {
  const purchases = history().filter((event) => event.kind === 'purchase')
  let seq = Math.max(await lastSeq(options), purchases.length + 1)
  for (;;) {
    const repeated = purchases[seq % purchases.length]!
    seq++
    await send(options, [{ ...repeated, seq, bought_at: new Date().toISOString() }])
    await sleep(400, undefined, { signal: options.signal })
  }
}

/** One request; its idempotency key makes a repetition harmless when the answer was lost. */
async function send(options: ReplayOptions, events: readonly Event[]): Promise<void> {
  const key = `retail-${events[0]!.seq}-${events.at(-1)!.seq}`
  await insist(options, '/v1/topics/purchases/records', {
    method: 'POST',
    headers: { 'content-type': 'application/json', 'idempotency-key': key },
    body: JSON.stringify(events),
  })
}

/** The place of the newest event in the topic; 0 when there is none. */
async function lastSeq(options: ReplayOptions): Promise<number> {
  const topic = (await (await insist(options, '/v1/topics/purchases', {})).json()) as {
    partitionDetails: readonly { start: number; stable: number }[]
  }
  const { start, stable } = topic.partitionDetails[0]!
  // The end of a transaction takes an offset too, so the newest event may lie a little before the end.
  for (let back = 10; ; back *= 10) {
    const from = Math.max(start, stable - back)
    const page = (await (
      await insist(options, `/v1/topics/purchases/records?partition=0&from=${from}&limit=${back}`, {})
    ).json()) as {
      records: readonly { value: { json: Event } }[]
    }
    const newest = page.records.at(-1)
    if (newest !== undefined) return newest.value.json.seq
    if (from === start) return 0
  }
}

/** Tries until the server answers: it may be starting again. */
async function insist(options: ReplayOptions, path: string, init: RequestInit): Promise<Response> {
  for (;;) {
    options.signal?.throwIfAborted()
    let answer: Response
    try {
      answer = await fetch(new URL(path, options.url), { ...init, signal: options.signal ?? null })
    } catch (error) {
      options.signal?.throwIfAborted()
      void error
      await sleep(100)
      continue
    }
    if (answer.ok) return answer
    const text = await answer.text()
    // Those two say: later.
    if (answer.status !== 408 && answer.status !== 429 && answer.status < 500)
      throw new Error(`${answer.status} from ${path}: ${text}`)
    await sleep(100)
  }
}

if (import.meta.main) {
  const { values } = parseArgs({
    options: {
      url: { type: 'string', default: 'http://127.0.0.1:8080' },
      seconds: { type: 'string', default: '60' },
      trickle: { type: 'boolean', default: false },
    },
  })
  const options: ReplayOptions = {
    url: values.url,
    seconds: Number(values.seconds),
    onProgress: (sent, total) => process.stderr.write(`\r${sent} of ${total} events`),
  }
  await replay(options)
  process.stderr.write('\n')
  if (values.trickle) await trickle(options)
}
