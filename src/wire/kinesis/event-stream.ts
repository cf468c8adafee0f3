/** AWS's event stream: messages of headers and a payload, each checked by two CRC-32s. */
import { crc32 } from 'node:zlib'

const textKind = 7
const preludeBytes = 12
const crcBytes = 4

export interface EventMessage {
  readonly headers: Readonly<Record<string, string>>
  readonly payload: Uint8Array
}

export function encodeEvent({ headers, payload }: EventMessage): Buffer {
  const named = Buffer.concat(Object.entries(headers).map(([name, value]) => header(name, value)))
  const bytes = preludeBytes + named.length + payload.length + crcBytes
  const out = Buffer.alloc(bytes)
  out.writeUInt32BE(bytes, 0)
  out.writeUInt32BE(named.length, 4)
  out.writeUInt32BE(crc32(out.subarray(0, 8)), 8)
  named.copy(out, preludeBytes)
  out.set(payload, preludeBytes + named.length)
  out.writeUInt32BE(crc32(out.subarray(0, bytes - crcBytes)), bytes - crcBytes)
  return out
}
function header(name: string, value: string): Buffer {
  const text = Buffer.from(value)
  const out = Buffer.alloc(1 + name.length + 1 + 2 + text.length)
  out[0] = name.length
  out.write(name, 1, 'latin1')
  out[1 + name.length] = textKind
  out.writeUInt16BE(text.length, 2 + name.length)
  text.copy(out, 4 + name.length)
  return out
}
