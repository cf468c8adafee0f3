/** A record's key, value or header as text, JSON or bytes. */
import type { Payload } from '../../../src/gateway/http/api.ts'
import { cellText, compactJson } from './json.ts'

/** One line for a table cell; null for no payload. Cut at `charsMax`. */
export function payloadLine(payload: Payload, charsMax = 400): string | null {
  if (payload === null) return null
  const text = 'json' in payload ? jsonLine(payload.json) : 'text' in payload ? payload.text : hexLine(payload.base64)
  return text.length > charsMax ? `${text.slice(0, charsMax)}…` : text
}

/** Quotes stay around a JSON text in values, so that "1" and 1 differ. */
const jsonLine = (json: unknown): string =>
  typeof json === 'string' ? JSON.stringify(json) : (cellText(json) ?? 'null')

const hexLine = (base64: string): string =>
  [...bytesOf({ base64 }).subarray(0, 64)].map((byte) => byte.toString(16).padStart(2, '0')).join(' ')

export function bytesOf(payload: Exclude<Payload, null>): Uint8Array {
  if ('base64' in payload) return Uint8Array.from(atob(payload.base64), (c) => c.charCodeAt(0))
  return new TextEncoder().encode('json' in payload ? compactJson(payload.json) : payload.text)
}

export function textOf(payload: Exclude<Payload, null>): string {
  if ('text' in payload) return payload.text
  if ('json' in payload) return compactJson(payload.json)
  return new TextDecoder().decode(bytesOf(payload))
}

/** Rows of a hex dump: offset, sixteen bytes, what is printable. */
export function hexDump(bytes: Uint8Array, bytesMax = 16 * 1024): { lines: string[]; cut: boolean } {
  const lines: string[] = []
  const end = Math.min(bytes.length, bytesMax)
  for (let at = 0; at < end; at += 16) {
    const row = [...bytes.subarray(at, Math.min(at + 16, end))]
    const hex = row.map((byte, i) => `${i === 8 ? ' ' : ''}${byte.toString(16).padStart(2, '0')}`).join(' ')
    const shown = row.map((byte) => (byte >= 0x20 && byte < 0x7f ? String.fromCharCode(byte) : '·')).join('')
    lines.push(`${at.toString(16).padStart(8, '0')}  ${hex.padEnd(48)}  ${shown}`)
  }
  return { lines, cut: end < bytes.length }
}
