/**
 * What happens from now on, event by event. A route gives the events; the shell sends them as server-sent events, or one
 * a message where the client asked for a WebSocket.
 */
import { assert } from '../../lib/assert.ts'
import { asFault } from '../../lib/fault.ts'
import type { Clock } from '../../lib/world.ts'
import type { Problem } from './api.ts'
import { type Answer, type LiveEvent, type LiveEvents, mediaTypes } from './exchange.ts'
import { problemOf } from './problem.ts'

/** A comment line (a ping on a WebSocket) at least this often tells a quiet stream from a dead one. */
export const heartbeatMs = 15_000

export function liveAnswer(events: LiveEvents): Answer {
  const headers = { 'content-type': mediaTypes.sse, 'cache-control': 'no-store', 'x-accel-buffering': 'no' }
  return { status: 200, headers, body: { events } }
}

/** Server-sent events. A fault is the last event, `fault`; a stream that comes to its end says `end`. */
export async function* sseText(
  { events }: { events: LiveEvents },
  clock: Clock,
  signal: AbortSignal,
): AsyncIterable<string> {
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
    if (!signal.aborted) yield sseEvent(faultEvent(problemOf(asFault(error))))
  } finally {
    await iterator.return?.()
  }
}
function sseEvent({ event, json = '{}', id }: LiveEvent): string {
  const idLine = id === undefined ? '' : `id: ${id}\n`
  if (event === undefined) return `${idLine}\n`
  return `${idLine}event: ${event}\ndata: ${json}\n\n`
}

/**
 * One message of a WebSocket: the event's data with `event`, what it is, and `id`, where the stream can be resumed, in front. An
 * event that only moves the place is a `position`.
 */
export function messageText({ event = 'position', json = '{}', id }: LiveEvent): string {
  assert(json.startsWith('{'), 'the data of an event that a WebSocket may get is an object')
  const place = id === undefined ? '' : `,"id":${JSON.stringify(id)}`
  const rest = json.slice(1)
  return `{"event":${JSON.stringify(event)}${place}${rest === '}' ? '' : ','}${rest}`
}
export const faultEvent = (problem: Problem): LiveEvent => ({ event: 'fault', json: JSON.stringify(problem) })

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
