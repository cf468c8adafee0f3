/** Reads Protocol Buffers, as far as OpenTelemetry's messages need it. Views of the bytes; nothing is allocated ahead. */
import { Fault } from '../../lib/fault.ts'

export interface ProtoField {
  readonly number: number
  /** varint, fixed64 as bits, bytes, fixed32 as bits. */
  readonly value: bigint | Uint8Array
}
const malformed = (what: string): Fault => new Fault('wire.malformed', { what })
const varintBytesMax = 10

/** The fields of one message in their order. Throws Fault wire.malformed. */
export function* protoFields(bytes: Uint8Array): Iterable<ProtoField> {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  let at = 0
  const varint = (): bigint => {
    let value = 0n
    for (let i = 0; i < varintBytesMax; i++) {
      if (at >= bytes.length) throw malformed('a number without an end')
      const byte = bytes[at++]!
      value |= BigInt(byte & 0x7f) << BigInt(7 * i)
      if (byte < 0x80) return BigInt.asUintN(64, value)
    }
    throw malformed('a number of more than ten bytes')
  }
  const take = (size: number): number => {
    if (size > bytes.length - at) throw malformed(`a field of ${size} bytes, ${bytes.length - at} left`)
    at += size
    return at - size
  }
  while (at < bytes.length) {
    const key = Number(varint())
    const number = Math.floor(key / 8)
    if (number === 0) throw malformed('a field without a number')
    switch (key & 7) {
      case 0:
        yield { number, value: varint() }
        break
      case 1:
        yield { number, value: view.getBigUint64(take(8), true) }
        break
      case 2: {
        const size = Number(varint())
        const from = take(size)
        yield { number, value: bytes.subarray(from, from + size) }
        break
      }
      case 5:
        yield { number, value: BigInt(view.getUint32(take(4), true)) }
        break
      default:
        throw malformed(`a field of type ${key & 7}`)
    }
  }
}
/** The field as a message, a text or packed numbers. */
export function protoBytes({ value }: ProtoField): Uint8Array {
  if (typeof value === 'bigint') throw malformed('a number in place of a message')
  return value
}
export function protoNumber({ value }: ProtoField): bigint {
  if (typeof value !== 'bigint') throw malformed('a message in place of a number')
  return value
}
const text = new TextDecoder()
export const protoText = (field: ProtoField): string => text.decode(protoBytes(field))
const bits = new DataView(new ArrayBuffer(8))
export function protoDouble(field: ProtoField): number {
  bits.setBigUint64(0, protoNumber(field))
  return bits.getFloat64(0)
}
/** Packed, or one of a list that is not. */
export function protoFixed64s(field: ProtoField): bigint[] {
  if (typeof field.value === 'bigint') return [field.value]
  const bytes = field.value
  if (bytes.length % 8 !== 0) throw malformed('packed numbers that do not fill their bytes')
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength)
  return Array.from({ length: bytes.length / 8 }, (_, i) => view.getBigUint64(8 * i, true))
}
export function doubleOf(value: bigint): number {
  bits.setBigUint64(0, value)
  return bits.getFloat64(0)
}
