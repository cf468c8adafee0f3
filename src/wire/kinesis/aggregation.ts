/**
 * Aggregated records, as Amazon's Kinesis Producer Library (KPL) writes them: many user records in the data of one. The data
 * begins with four magic bytes, ends with the MD5 of what lies between, which is a protobuf message:
 *
 *   message AggregatedRecord { repeated string partition_key_table = 1; repeated string explicit_hash_key_table = 2;
 *                              repeated Record records = 3; }
 *   message Record { required uint64 partition_key_index = 1; optional uint64 explicit_hash_key_index = 2;
 *                    required bytes data = 3; repeated Tag tags = 4; }
 */
import { createHash } from 'node:crypto'

const magic = Buffer.from([0xf3, 0x89, 0x9a, 0xc2])
const digestBytes = 16
/** More of them come of no producer: they would take more memory than they have bytes. */
const recordsMax = 100_000

export interface UserRecord {
  readonly partitionKey: string
  /** In decimal; null: by the key. */
  readonly explicitHashKey: string | null
  readonly data: Uint8Array
}

const digest = (bytes: Uint8Array): Buffer => createHash('md5').update(bytes).digest()

/** The user records of the data; null: it is not aggregated, or not whole, and stands for itself. */
export function userRecords(data: Uint8Array): readonly UserRecord[] | null {
  if (data.length < magic.length + digestBytes) return null
  const bytes = Buffer.from(data.buffer, data.byteOffset, data.byteLength)
  if (!bytes.subarray(0, magic.length).equals(magic)) return null
  const message = bytes.subarray(magic.length, bytes.length - digestBytes)
  if (!digest(message).equals(bytes.subarray(bytes.length - digestBytes))) return null
  return readMessage(message)
}
function readMessage(message: Buffer): readonly UserRecord[] | null {
  const keys: string[] = []
  const hashKeys: string[] = []
  const records: Buffer[] = []
  for (const field of fields(message)) {
    if (field === null) return null
    if (!('bytes' in field)) continue
    if (field.number === 1) keys.push(field.bytes.toString('utf8'))
    else if (field.number === 2) hashKeys.push(field.bytes.toString('utf8'))
    else if (field.number === 3) records.push(field.bytes)
    if (records.length > recordsMax || keys.length > recordsMax) return null
  }
  const found: UserRecord[] = []
  for (const record of records) {
    const read = readRecord(record, keys, hashKeys)
    if (read === null) return null
    found.push(read)
  }
  return found.length === 0 ? null : found
}
function readRecord(record: Buffer, keys: readonly string[], hashKeys: readonly string[]): UserRecord | null {
  let key = -1
  let hashKey: number | null = null
  let data: Buffer | null = null
  for (const field of fields(record)) {
    if (field === null) return null
    if ('value' in field) {
      if (field.number === 1) key = field.value
      else if (field.number === 2) hashKey = field.value
    } else if (field.number === 3) data = field.bytes
  }
  const partitionKey = keys[key]
  const explicitHashKey = hashKey === null ? null : hashKeys[hashKey]
  if (partitionKey === undefined || explicitHashKey === undefined || data === null) return null
  return { partitionKey, explicitHashKey, data }
}

type Field = { readonly number: number; readonly value: number } | { readonly number: number; readonly bytes: Buffer }
/** Of a protobuf message; ends with null where it is none. */
function* fields(message: Buffer): Generator<Field | null> {
  let at = 0
  const varint = (): number | null => {
    let value = 0
    for (let factor = 1; at < message.length && factor < 2 ** 53; factor *= 128) {
      const byte = message[at++]!
      value += (byte & 0x7f) * factor
      if (byte < 0x80) return value
    }
    return null
  }
  while (at < message.length) {
    const tag = varint()
    const value = tag === null ? null : varint()
    if (tag === null || value === null) return yield null
    const number = Math.floor(tag / 8)
    if (tag % 8 === 0) yield { number, value }
    else if (tag % 8 === 2 && value <= message.length - at) {
      yield { number, bytes: message.subarray(at, at + value) }
      at += value
    } else return yield null
  }
}

/** What the library would make of these. */
export function aggregated(records: readonly UserRecord[]): Buffer {
  const keys = [...new Set(records.map(({ partitionKey }) => partitionKey))]
  const hashKeys = [...new Set(records.map((one) => one.explicitHashKey).filter((one) => one !== null))]
  const message = Buffer.concat([
    ...keys.map((key) => bytesField(1, Buffer.from(key))),
    ...hashKeys.map((key) => bytesField(2, Buffer.from(key))),
    ...records.map((one) =>
      bytesField(
        3,
        Buffer.concat([
          varintField(1, keys.indexOf(one.partitionKey)),
          ...(one.explicitHashKey === null ? [] : [varintField(2, hashKeys.indexOf(one.explicitHashKey))]),
          bytesField(3, one.data),
        ]),
      ),
    ),
  ])
  return Buffer.concat([magic, message, digest(message)])
}
function varint(value: number): number[] {
  const out: number[] = []
  for (; value > 0x7f; value = Math.floor(value / 128)) out.push((value % 128) | 0x80)
  return [...out, value]
}
const varintField = (number: number, value: number): Buffer => Buffer.from([number * 8, ...varint(value)])
const bytesField = (number: number, bytes: Uint8Array): Buffer =>
  Buffer.concat([Buffer.from([number * 8 + 2, ...varint(bytes.length)]), bytes])
