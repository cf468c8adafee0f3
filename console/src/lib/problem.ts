/** What went wrong, in the server's own words where it had any. */
import type { Problem } from '../../../src/gateway/http/api.ts'
import { parseJson } from './json.ts'

export class ApiError extends Error {
  readonly problem: Problem
  constructor(problem: Problem) {
    super(problem.detail || problem.title)
    this.name = 'ApiError'
    this.problem = problem
  }
  /** The same request may succeed in a moment. */
  get passing(): boolean {
    const { status } = this.problem
    return status === 0 || status === 408 || status === 429 || status >= 500
  }
}

const plain = (title: string, status: number, code: string, detail: string, hint: string): Problem => ({
  type: 'about:blank',
  title,
  status,
  code,
  detail,
  hint,
  docs: '',
})

export const unreachable = (why: string): ApiError =>
  new ApiError(
    plain(
      'Millrace does not answer',
      0,
      'console.unreachable',
      why,
      'Is it still running? The console goes on by itself when it is back.',
    ),
  )

/** A body that should be a problem document; another body becomes one. */
export function problemOf(status: number, body: string): ApiError {
  const found = parsed(body)
  if (typeof found === 'object' && found !== null && 'detail' in found && 'code' in found)
    return new ApiError({ ...plain('', status, '', '', ''), ...(found as Problem) })
  return new ApiError(
    plain(`HTTP ${status}`, status, `http.${status}`, body.slice(0, 500) || `The server answered ${status}.`, ''),
  )
}

export function asApiError(thrown: unknown): ApiError {
  if (thrown instanceof ApiError) return thrown
  if (thrown instanceof TypeError) return unreachable('The connection could not be made or was cut.')
  const text = thrown instanceof Error ? thrown.message : String(thrown)
  return new ApiError(
    plain(
      'The console failed',
      500,
      'console.failed',
      text,
      'Reload the page; if it stays, it is a fault of the console.',
    ),
  )
}

function parsed(body: string): unknown {
  try {
    return parseJson(body)
  } catch {
    return null
  }
}

/** The line of `text` that a problem points to, with the caret's place in it; null when it points nowhere. */
export function caretOf(problem: Problem, text: string): { line: string; number: number; column: number } | null {
  const { position } = problem
  if (position === undefined) return null
  const line = text.split(/\r\n|\r|\n/)[position.line - 1]
  if (line === undefined) return null
  return { line, number: position.line, column: Math.max(1, Math.min(position.column, line.length + 1)) }
}
