/** The two forms of requests and answers. They differ in bytes (base64 in JSON) and times (seconds in JSON). */
import { Fault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import { CborTime, decodeCbor, encodeCbor } from '../../wire/kinesis/cbor.ts'

export interface Codec {
  readonly mediaType: string
  /** Throws Fault wire.malformed, and what JSON.parse does. */
  decode(bytes: Uint8Array): unknown
  encode(value: object): Buffer
  /** As they stand in an answer. */
  bytes(value: Uint8Array): unknown
  time(ms: number): unknown
  /** Milliseconds of a time in a request. */
  ms(time: number): number
}
const utf8 = new TextDecoder('utf-8', { fatal: true })
/** Before it is parsed: each value takes far more memory than it has bytes. What stands in texts counts as if it did not. */
function checkItems({ buffer, byteOffset, length }: Uint8Array): void {
  if (length < limits.kinesisItems) return
  const bytes = Buffer.from(buffer, byteOffset, length)
  let items = 0
  for (const sign of [',', '[', '{'])
    for (let at = bytes.indexOf(sign); at >= 0; at = bytes.indexOf(sign, at + 1))
      if (++items > limits.kinesisItems) throw new Fault('wire.malformed', { what: 'JSON: too many values' })
}
export const json: Codec = {
  mediaType: 'application/x-amz-json-1.1',
  decode: (bytes) => {
    checkItems(bytes)
    return JSON.parse(utf8.decode(bytes)) as unknown
  },
  encode: (value) => Buffer.from(JSON.stringify(value)),
  bytes: (value) => Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64'),
  time: (ms) => ms / 1_000,
  ms: (time) => time * 1_000,
}
export const cbor: Codec = {
  mediaType: 'application/x-amz-cbor-1.1',
  decode: (bytes) => decodeCbor(bytes, limits.kinesisItems),
  encode: encodeCbor,
  bytes: (value) => value,
  time: (ms) => new CborTime(ms),
  ms: (time) => time,
}
