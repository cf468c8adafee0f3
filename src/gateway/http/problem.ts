/** A Fault as HTTP says it (RFC 9457). */
import { Fault, faults } from '../../lib/fault.ts'
import type { Problem } from './api.ts'
import { type Answer, mediaTypes } from './exchange.ts'

/** Seconds after which the same request may succeed. */
const retryAfter = 1

export function problemOf(fault: Fault): Problem {
  const facts = fault.facts as Readonly<Record<string, unknown>>
  const { field, line, column, excerpt } = facts
  const docs = `/errors/${fault.code}`
  return {
    type: docs,
    title: titleOf(fault.code),
    status: faults[fault.code].http,
    code: fault.code,
    detail: fault.message,
    hint: typeof facts['hint'] === 'string' ? facts['hint'] : fault.hint,
    docs,
    ...(typeof field === 'string' && field !== '' ? { field } : {}),
    ...(typeof line === 'number' && typeof column === 'number' ? { position: { line, column } } : {}),
    ...(/^(sql|value)\./.test(fault.code) ? { sqlstate: faults[fault.code].sqlstate } : {}),
    ...(typeof excerpt === 'string' ? { excerpt } : {}),
  }
}
export function titleOf(code: string): string {
  const words = code.replaceAll(/[.-]/g, ' ')
  return words[0]!.toUpperCase() + words.slice(1)
}

/** Seconds that a quota asks for. */
const waitOf = ({ code, facts }: Fault): number | null =>
  code === 'security.throttled' ? Math.ceil((facts as { ms: number }).ms / 1000) : null

export function problemAnswer(fault: Fault): Answer {
  const problem = problemOf(fault)
  const headers: Record<string, string> = { 'content-type': mediaTypes.problem }
  if (fault.retry) headers['retry-after'] = String(waitOf(fault) ?? retryAfter)
  if (problem.status === 401) headers['www-authenticate'] = 'Basic realm="Millrace", charset="UTF-8"'
  if (fault.code === 'http.method-not-allowed') headers['allow'] = (fault.facts as { allow: string }).allow
  return { status: problem.status, headers, body: JSON.stringify(problem) }
}
