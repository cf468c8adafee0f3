/**
 * A stream of lines: read as fast as the log takes them, answered one by one. Lines of one piece of the body are placed
 * together; a few pieces are on their way at once, answers stay in order. An exact status needs every outcome, so answers
 * are held back up to a limit; a longer stream (or one whose reader wants answers as they come) begins with 207.
 */
import type { Fault } from '../../../lib/fault.ts'
import { asFault } from '../../../lib/fault.ts'
import { limits } from '../../../lib/limits.ts'
import { type Answer, type Exchange, mediaTypes, negotiate } from '../exchange.ts'
import { type Outcome, outcomeJson, statusOf } from '../outcome.ts'

/** Pieces (of up to 64 KiB) waiting for the disk at once. */
const piecesAtOnce = 8
/** A body of known length up to this is held back for its exact status also where NDJSON is wanted. */
const shortBody = 1024 * 1024

type PlaceLines = (lines: readonly (Uint8Array | Fault)[]) => Promise<readonly Outcome[]>

export async function answerLines(exchange: Exchange, place: PlaceLines): Promise<Answer> {
  const type = negotiate(exchange.headers['accept'], [mediaTypes.json, mediaTypes.ndjson])
  const short = exchange.body.length !== null && exchange.body.length <= shortBody
  const heldMax = type === mediaTypes.json || short ? limits.httpHeldAnswers : 0
  const outcomes = placeInOrder(exchange, place)[Symbol.asyncIterator]()
  const held: Outcome[] = []
  let ended = false
  while (!ended && held.length < heldMax) {
    const next = await outcomes.next()
    if (next.done === true) ended = true
    else held.push(...next.value)
  }
  const status = ended ? statusOf(held) : 207
  const rest = ended ? null : outcomes
  const body = type === mediaTypes.json ? asJson(held, rest) : asLines(held, rest)
  return { status, headers: { 'content-type': type }, body }
}

/** Outcomes in the order of the lines. What ends the body early is the last outcome: what came before is stored. */
async function* placeInOrder(exchange: Exchange, place: PlaceLines): AsyncGenerator<readonly Outcome[]> {
  const waiting: Promise<readonly Outcome[]>[] = []
  let broken: Fault | null = null
  try {
    for await (const lines of exchange.body.lines(exchange.signal)) {
      // What it does at once is to parse, check and encode.
      waiting.push(exchange.usage.timed(() => place(lines)))
      if (waiting.length >= piecesAtOnce) yield await waiting.shift()!
    }
  } catch (error) {
    broken = asFault(error)
  }
  for (const one of waiting) yield await one
  if (broken !== null) yield [{ fault: broken, kept: false }]
}

async function* asJson(
  held: readonly Outcome[],
  rest: AsyncIterator<readonly Outcome[]> | null,
): AsyncIterable<string> {
  let separator = '{"records":['
  const text = (outcomes: readonly Outcome[]): string => {
    let out = ''
    for (const outcome of outcomes) {
      out += separator + JSON.stringify(outcomeJson(outcome))
      separator = ','
    }
    return out
  }
  yield text(held)
  for (let next = await rest?.next(); next !== undefined && next.done !== true; next = await rest!.next())
    yield text(next.value)
  yield separator === ',' ? ']}' : `${separator}]}`
}
async function* asLines(
  held: readonly Outcome[],
  rest: AsyncIterator<readonly Outcome[]> | null,
): AsyncIterable<string> {
  const text = (outcomes: readonly Outcome[]): string =>
    outcomes.map((outcome) => `${JSON.stringify(outcomeJson(outcome))}\n`).join('')
  yield text(held)
  for (let next = await rest?.next(); next !== undefined && next.done !== true; next = await rest!.next())
    yield text(next.value)
}
