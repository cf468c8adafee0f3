/** Keys and values of system topics in Kafka's own form: the number of a version, then the fields of a shape. */
import { codecOf } from '../wire/kafka/codec/compile.ts'
import type { AnyShape, Decoded, Encoded } from '../wire/kafka/codec/shape.ts'
import { WireReader, WireWriter } from '../wire/kafka/codec/wire.ts'

/** One for all: a writer begins with a slab that a hundred keys and values fit in. */
const out = new WireWriter()

/** `number`: of the version, or of what a key is of. Keys have plain lengths, values compact ones. */
export function encodeForm<S extends AnyShape>(
  number: number,
  shape: S,
  value: Encoded<S>,
  part: 'key' | 'value',
): Uint8Array {
  try {
    out.int16(number)
    codecOf(shape, 0, part === 'value').encode(value, out)
  } catch (error) {
    out.take()
    throw error
  }
  const pieces = out.take()
  return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces)
}
export const formNumber = (bytes: Uint8Array): number => new WireReader(bytes).int16()
export function decodeForm<S extends AnyShape>(shape: S, bytes: Uint8Array, part: 'key' | 'value'): Decoded<S> {
  const input = new WireReader(bytes)
  input.int16()
  return codecOf(shape, 0, part === 'value').decode(input)
}
