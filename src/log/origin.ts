/**
 * The header `mr-origin`: where a derived, quarantined or dead-lettered record came from.
 *
 * Count of ranges (varint); per range the topic's id (16 bytes), partition, first offset and count after it (varints);
 * then `+` where the record also stands on what the state of its key held before. A range whose last offset lies before
 * its first is a partition that the event was meant for and never reached.
 */
import { ByteReader, ByteWriter } from '../lib/bytes.ts'
import { Fault } from '../lib/fault.ts'

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
