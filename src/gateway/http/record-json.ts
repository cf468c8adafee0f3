/** A record as JSON: bytes that are JSON come as `json` with every digit kept, text as `text`, the rest as `base64`. */
import type { LogRecord } from '../../log/batch.ts'
import { parseJson } from '../../schema/json-text.ts'

const utf8 = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })

/** The text of a RecordJson; written by hand so that JSON payloads pass as they stand. */
export function recordJson(partition: number, record: LogRecord, asBytes: boolean): string {
  const named = asBytes ? base64Payload : namePayload
  const value = asBytes ? base64Payload : valuePayload
  const headers = record.headers
    .map(([name, content]) => `{"name":${JSON.stringify(name)},"value":${named(content)}}`)
    .join(',')
  return (
    `{"partition":${partition},"offset":${record.offset},"timestamp":${timeJson(record.timeMs)},` +
    `"key":${named(record.key)},"value":${value(record.value)},"headers":[${headers}]}`
  )
}
/** A producer may send any number as a time: what no date can say is shown as the last one that can. */
function timeJson(timeMs: number): string {
  const said = Math.min(8_640_000_000_000_000, Math.max(-8_640_000_000_000_000, timeMs))
  return `"${new Date(said).toISOString()}"`
}
function base64Payload(bytes: Uint8Array | null): string {
  return bytes === null ? 'null' : `{"base64":"${asBuffer(bytes).toString('base64')}"}`
}
function valuePayload(bytes: Uint8Array | null): string {
  return bytes === null ? 'null' : textPayload(bytes, true)
}
/** Keys and headers are text by convention: a key of digits is no number that could lose some. */
function namePayload(bytes: Uint8Array | null): string {
  if (bytes === null) return 'null'
  return textPayload(bytes, bytes[0] === 0x5b || bytes[0] === 0x7b)
}
function textPayload(bytes: Uint8Array, mayBeJson: boolean): string {
  let text: string
  try {
    text = utf8.decode(bytes)
  } catch {
    return base64Payload(bytes)
  }
  if (mayBeJson && isJson(bytes)) return `{"json":${oneLine(text)}}`
  return `{"text":${JSON.stringify(text)}}`
}
function isJson(bytes: Uint8Array): boolean {
  try {
    parseJson(bytes)
    return true
  } catch {
    return false
  }
}
/** Line breaks between the parts of a JSON text mean nothing; they would end a line of NDJSON or SSE. */
const oneLine = (json: string): string => (/[\r\n]/.test(json) ? json.replaceAll(/[\r\n]+/g, ' ') : json)
const asBuffer = (bytes: Uint8Array): Buffer => Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
