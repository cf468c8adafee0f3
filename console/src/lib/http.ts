/** Calls on the HTTP interface. What fails is an ApiError. */
import { ApiError, asApiError, problemOf } from './problem.ts'
import { parseJson } from './json.ts'

export interface Call {
  readonly method?: string
  readonly body?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly signal?: AbortSignal
}

export function apiUrl(parts: readonly string[], query: Readonly<Record<string, string>> = {}): string {
  const params = new URLSearchParams(query)
  return `/v1/${parts.map(encodeURIComponent).join('/')}${params.size > 0 ? `?${params.toString()}` : ''}`
}

export async function request(url: string, call: Call = {}): Promise<string> {
  let response: Response
  let text: string
  try {
    response = await fetch(url, { ...call, headers: { accept: 'application/json', ...call.headers } })
    text = await response.text()
  } catch (thrown) {
    if (call.signal?.aborted) throw thrown
    throw asApiError(thrown)
  }
  if (!response.ok) throw problemOf(response.status, text)
  return text
}

/** `T` is what api.ts says of the path: the server is ours and of the same build. */
export async function getJson<T>(url: string, call: Call = {}): Promise<T> {
  const text = await request(url, call)
  try {
    return parseJson(text) as T
  } catch {
    throw new ApiError({
      type: 'about:blank',
      title: 'Not JSON',
      status: 500,
      code: 'console.not-json',
      detail: `${url} did not answer with JSON.`,
      hint: 'Does something stand between the console and Millrace?',
      docs: '',
    })
  }
}

export const sendJson = <T>(url: string, method: string, body: unknown, call: Call = {}): Promise<T> =>
  getJson<T>(url, {
    ...call,
    method,
    body: JSON.stringify(body),
    headers: { 'content-type': 'application/json', ...call.headers },
  })
