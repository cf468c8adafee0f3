/** The two forms of requests and answers. They differ in bytes (base64 in JSON) and times (seconds in JSON). */
import { CborTime, decodeCbor, encodeCbor } from '../../wire/kinesis/cbor.ts'

export interface Codec {
  readonly mediaType: string
  decode(bytes: Uint8Array): unknown
  encode(value: object): Buffer
  /** As they stand in an answer. */
  bytes(value: Uint8Array): unknown
  time(ms: number): unknown
  /** Milliseconds of a time in a request. */
  ms(time: number): number
}
const utf8 = new TextDecoder('utf-8', { fatal: true })
export const json: Codec = {
  mediaType: 'application/x-amz-json-1.1',
  decode: (bytes) => JSON.parse(utf8.decode(bytes)) as unknown,
  encode: (value) => Buffer.from(JSON.stringify(value)),
  bytes: (value) => Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('base64'),
  time: (ms) => ms / 1_000,
  ms: (time) => time * 1_000,
}
export const cbor: Codec = {
  mediaType: 'application/x-amz-cbor-1.1',
  decode: decodeCbor,
  encode: encodeCbor,
  bytes: (value) => value,
  time: (ms) => new CborTime(ms),
  ms: (time) => time,
}
