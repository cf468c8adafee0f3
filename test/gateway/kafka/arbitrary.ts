/** Values of a message, from its declaration: for round trips and for seeds of mutated frames. */
import fc from 'fast-check'
import { type AnyShape, fallbackOf } from '../../../src/wire/kafka/codec/shape.ts'

const text = fc.oneof(fc.string({ maxLength: 12 }), fc.string({ maxLength: 6, unit: 'binary' }))
const whole = (bits: number) => fc.integer({ min: -(2 ** (bits - 1)), max: 2 ** (bits - 1) - 1 })
const someBytes = fc.uint8Array({ maxLength: 40 }).map((bytes) => Buffer.from(bytes))

/** `encoded`: what encoding takes; `decoded`: what must come back. They differ for records and left-out fields. */
export interface Sample {
  readonly encoded: unknown
  readonly decoded: unknown
}
const same = (value: unknown): Sample => ({ encoded: value, decoded: value })

export function sampleOf(shape: AnyShape, version: number, flexible: boolean): fc.Arbitrary<Sample> {
  const value = plainSample(shape, version, flexible)
  return version >= shape.nullableSince
    ? fc.oneof({ arbitrary: fc.constant(same(null)), weight: 1 }, { arbitrary: value, weight: 4 })
    : value
}

function plainSample(shape: AnyShape, version: number, flexible: boolean): fc.Arbitrary<Sample> {
  const { node } = shape
  switch (node.kind) {
    case 'bool':
      return fc.boolean().map(same)
    case 'int8':
      return whole(8).map(same)
    case 'int16':
      return whole(16).map(same)
    case 'uint16':
      return fc.integer({ min: 0, max: 0xffff }).map(same)
    case 'int32':
      return whole(32).map(same)
    case 'int64':
      return fc.maxSafeInteger().map(same)
    case 'float64':
      return fc.double({ noNaN: true }).map(same)
    case 'uuid':
      return fc.uuid().map(same)
    case 'string':
      return text.map(same)
    case 'bytes':
      return someBytes.map(same)
    case 'records':
      return fc
        .array(fc.oneof(someBytes, fc.constant(Buffer.alloc(700, 'r'))), { maxLength: 3 })
        .map((parts) => ({ encoded: parts, decoded: Buffer.concat(parts) }))
    case 'array':
      return fc.array(sampleOf(node.item, version, flexible), { maxLength: 3 }).map((items) => ({
        encoded: items.map((item) => item.encoded),
        decoded: items.map((item) => item.decoded),
      }))
    case 'struct':
      return structSample(node.fields, version, flexible)
  }
}

type Fields = readonly { readonly name: string; readonly shape: AnyShape }[]
function structSample(fields: Fields, version: number, flexible: boolean): fc.Arbitrary<Sample> {
  const parts = fields.map(({ name, shape }) => {
    const live = version >= shape.since && version <= shape.until && (shape.tag === null || flexible)
    if (!live) return fc.constant({ name, sample: { encoded: undefined, decoded: fallbackOf(shape) } })
    const given = sampleOf(shape, version, flexible)
    const leftOut = fc.constant({ encoded: undefined, decoded: fallbackOf(shape) })
    return (shape.optional ? fc.oneof({ arbitrary: leftOut, weight: 1 }, { arbitrary: given, weight: 3 }) : given).map(
      (sample) => ({ name, sample }),
    )
  })
  return fc.tuple(...parts).map((all) => ({
    encoded: Object.fromEntries(all.map(({ name, sample }) => [name, sample.encoded])),
    decoded: Object.fromEntries(all.map(({ name, sample }) => [name, sample.decoded])),
  }))
}
