/** Answers where there is no response to write to: what could not be parsed, and upgrades that are refused. */
import { Fault } from '../../../lib/fault.ts'
import { limits } from '../../../lib/limits.ts'
import { http } from '../../../lib/real/http.ts'
import { type Answer, mediaTypes } from '../exchange.ts'
import { problemAnswer, problemOf } from '../problem.ts'

/** The bytes of an answer with a text as body; the connection ends with it. */
export function rawAnswer({ status, headers = {}, body }: Answer): string {
  const text = typeof body === 'string' ? body : ''
  const all = { ...headers, 'content-length': String(Buffer.byteLength(text)), connection: 'close' }
  const lines = Object.entries(all).map(([name, value]) => `${name}: ${value}\r\n`)
  return `HTTP/1.1 ${status} ${http.STATUS_CODES[status] ?? ''}\r\n${lines.join('')}\r\n${text}`
}

/** What node:http could not parse, by its error code. */
export function unreadable(code: string | undefined): string {
  const status = code === 'HPE_HEADER_OVERFLOW' ? 431 : code === 'ERR_HTTP_REQUEST_TIMEOUT' ? 408 : 400
  const fault =
    status === 408
      ? new Fault('http.timeout', { what: 'the head of a request', ms: limits.httpHeaderMs })
      : new Fault('http.bad-request', { what: http.STATUS_CODES[status]! })
  return rawAnswer({
    status,
    headers: { 'content-type': mediaTypes.problem },
    body: JSON.stringify({ ...problemOf(fault), status }),
  })
}
/** `http.bad-request` for a handshake; a client of another version is told the one that is spoken (RFC 6455, 4.4). */
export function badHandshake(what: string): string {
  const { headers, ...answer } = problemAnswer(new Fault('http.bad-request', { what }))
  return rawAnswer({ ...answer, headers: { ...headers, 'sec-websocket-version': '13' } })
}
