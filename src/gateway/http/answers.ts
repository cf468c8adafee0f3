/** Answers in the forms that several routes share: JSON and lines. */
import { asFault } from '../../lib/fault.ts'
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
