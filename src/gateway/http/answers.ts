/** Answers in the forms that several routes share: JSON, lines, live events. */
import { asFault } from '../../lib/fault.ts'
import type { Clock } from '../../lib/world.ts'
import { stringifyJson } from '../../schema/json-text.ts'
import { type Answer, mediaTypes } from './exchange.ts'
import { problemOf } from './problem.ts'

export function jsonAnswer(
  value: unknown,
  options: { status?: number; headers?: Readonly<Record<string, string>> } = {},
): Answer {
  const { status = 200, headers = {} } = options
  return { status, headers: { 'content-type': mediaTypes.json, ...headers }, body: stringifyJson(value) }
}

/** One JSON text a line. A fault in the middle is the last line: `{"fault": Problem}`. */
export function linesAnswer(values: AsyncIterable<unknown>): Answer {
  return { status: 200, headers: { 'content-type': mediaTypes.ndjson }, body: lines(values) }
}
async function* lines(values: AsyncIterable<unknown>): AsyncIterable<string> {
  try {
    for await (const value of values) yield `${stringifyJson(value)}\n`
  } catch (error) {
    yield `${JSON.stringify({ fault: problemOf(asFault(error)) })}\n`
  }
}

export interface SseEvent {
  /** Without one, only the id moves. */
  readonly event?: string
  /** JSON text without line breaks. */
  readonly json?: string
  readonly id?: string
}
/** One by one, or those that came together: they go out in one piece. */
export type SseEvents = AsyncIterable<SseEvent | readonly SseEvent[]>
/** A comment line at least this often tells a quiet stream from a dead one. */
const heartbeatMs = 15_000

/** Server-sent events. A fault is the last event, `fault`; a stream that comes to its end says `end`. */
export function sseAnswer(events: SseEvents, clock: Clock, signal: AbortSignal): Answer {
  const headers = { 'content-type': mediaTypes.sse, 'cache-control': 'no-store', 'x-accel-buffering': 'no' }
  return { status: 200, headers, body: sseText(events, clock, signal) }
}
async function* sseText(events: SseEvents, clock: Clock, signal: AbortSignal): AsyncIterable<string> {
  // Headers go out with the first bytes: a reader knows at once that it is connected.
  yield ': millrace\n\n'
  const iterator = events[Symbol.asyncIterator]()
  try {
    for (;;) {
      const next = iterator.next()
      while (!(await settledWithin(next, clock, heartbeatMs))) yield ': \n\n'
      const { done, value } = await next
      if (done === true) break
      yield 'length' in value ? value.map(sseEvent).join('') : sseEvent(value)
    }
    if (!signal.aborted) yield 'event: end\ndata: {}\n\n'
  } catch (error) {
    if (!signal.aborted) yield sseEvent({ event: 'fault', json: JSON.stringify(problemOf(asFault(error))) })
  } finally {
    await iterator.return?.()
  }
}
function sseEvent({ event, json = '{}', id }: SseEvent): string {
  const idLine = id === undefined ? '' : `id: ${id}\n`
  if (event === undefined) return `${idLine}\n`
  return `${idLine}event: ${event}\ndata: ${json}\n\n`
}
async function settledWithin(promise: Promise<unknown>, clock: Clock, ms: number): Promise<boolean> {
  let cancel = (): void => {}
  const late = new Promise<false>((resolve) => (cancel = clock.after(ms, () => resolve(false))))
  const settled = promise.then(
    () => true as const,
    () => true as const,
  )
  const inTime = await Promise.race([settled, late])
  cancel()
  return inTime
}
