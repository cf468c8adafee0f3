/**
 * Where a derived row came from, as ranges of offsets per source partition: collected while an operator folds rows, and
 * written as the header `mr-origin`.
 *
 * The header: count of ranges (varint); per range the topic's id (16 bytes), partition, first offset and count after it
 * (varints); then `+` where the row also stands on what the state of its key held before.
 */
import { ByteReader, ByteWriter } from '../lib/bytes.ts'
import { Fault } from '../lib/fault.ts'
import type { Provenance } from './batch.ts'

/** Triples: source partition, first and last offset; one per source partition. */
export type Ranges = number[]

function addRange(ranges: Ranges, source: number, first: number, last: number): void {
  for (let i = 0; i < ranges.length; i += 3) {
    if (ranges[i] !== source) continue
    if (first < ranges[i + 1]!) ranges[i + 1] = first
    if (last > ranges[i + 2]!) ranges[i + 2] = last
    return
  }
  ranges.push(source, first, last)
}
/** Adds what a row came from. */
export function addOrigins(ranges: Ranges, rows: Provenance, row: number): void {
  if (rows.origins !== null && rows.origins.at[row + 1]! > rows.origins.at[row]!) {
    for (let r = rows.origins.at[row]!; r < rows.origins.at[row + 1]!; r++)
      addRange(ranges, rows.origins.ranges[r * 3]!, rows.origins.ranges[r * 3 + 1]!, rows.origins.ranges[r * 3 + 2]!)
  } else if (rows.source[row]! >= 0) addRange(ranges, rows.source[row]!, rows.offset[row]!, rows.offset[row]!)
}
export function mergeRanges(into: Ranges, from: ArrayLike<number>): void {
  for (let i = 0; i < from.length; i += 3) addRange(into, from[i]!, from[i + 1]!, from[i + 2]!)
}

export interface OriginRange {
  readonly topicId: string
  readonly partition: number
  readonly first: number
  readonly last: number
}
export interface Origin {
  readonly ranges: readonly OriginRange[]
  /** The row also stands on earlier records of its key. */
  readonly state: boolean
}
export const originHeader = 'mr-origin'
export function encodeOrigin(origin: Origin): Buffer {
  const out = new ByteWriter(8 + origin.ranges.length * 28)
  out.uvarint(origin.ranges.length)
  for (const range of origin.ranges) {
    out.raw(Buffer.from(range.topicId.replaceAll('-', ''), 'hex'))
    out.uvarint(range.partition)
    out.varint(range.first)
    out.varint(range.last - range.first)
  }
  if (origin.state) out.int8(43)
  return Buffer.from(out.done())
}
/** Throws Fault wire.malformed. */
export function decodeOrigin(bytes: Uint8Array): Origin {
  const input = new ByteReader(bytes)
  const ranges: OriginRange[] = []
  for (let count = input.uvarint(); count > 0; count--) {
    const id = input.raw(16).toString('hex')
    const partition = input.uvarint()
    const first = input.varint()
    ranges.push({
      topicId: `${id.slice(0, 8)}-${id.slice(8, 12)}-${id.slice(12, 16)}-${id.slice(16, 20)}-${id.slice(20)}`,
      partition,
      first,
      last: first + input.varint(),
    })
  }
  const state = input.left > 0
  if (state && input.uint8() !== 43) throw new Fault('wire.malformed', { what: 'an origin' })
  return { ranges, state }
}
