/** Any value of AMQP, for properties of the codec. */
import fc from 'fast-check'
import { type Simple, type TypeName, type Value, arrayOf } from '../../../src/wire/amqp/values.ts'

const bits = (count: bigint, signed: boolean): fc.Arbitrary<bigint> =>
  signed
    ? fc.bigInt({ min: -(2n ** (count - 1n)), max: 2n ** (count - 1n) - 1n })
    : fc.bigInt({ min: 0n, max: 2n ** count - 1n })
const bytes = (min: number, max: number): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ minLength: min, maxLength: max }).map((found) => Buffer.from(found))
const of = <T extends Simple['type'], V>(type: T, value: fc.Arbitrary<V>): fc.Arbitrary<Value> =>
  value.map((found) => ({ type, value: found }) as unknown as Value)

const byType: Readonly<Partial<Record<TypeName, fc.Arbitrary<Value>>>> = {
  null: fc.constant({ type: 'null', value: null }),
  boolean: of('boolean', fc.boolean()),
  ubyte: of('ubyte', fc.integer({ min: 0, max: 0xff })),
  ushort: of('ushort', fc.integer({ min: 0, max: 0xffff })),
  uint: of('uint', fc.integer({ min: 0, max: 0xffff_ffff })),
  ulong: of('ulong', fc.oneof(fc.bigInt({ min: 0n, max: 300n }), bits(64n, false))),
  byte: of('byte', fc.integer({ min: -128, max: 127 })),
  short: of('short', fc.integer({ min: -0x8000, max: 0x7fff })),
  int: of('int', fc.oneof(fc.integer({ min: -200, max: 200 }), fc.integer())),
  long: of('long', fc.oneof(fc.bigInt({ min: -200n, max: 200n }), bits(64n, true))),
  float: of('float', fc.float({ noNaN: true })),
  double: of('double', fc.double({ noNaN: true })),
  decimal32: of('decimal32', bytes(4, 4)),
  decimal64: of('decimal64', bytes(8, 8)),
  decimal128: of('decimal128', bytes(16, 16)),
  char: of('char', fc.constantFrom('a', 'ß', '語', '😀')),
  timestamp: of('timestamp', fc.bigInt({ min: -(2n ** 50n), max: 2n ** 50n })),
  uuid: of('uuid', fc.uuid()),
  binary: of('binary', fc.oneof(bytes(0, 20), bytes(300, 400))),
  string: of('string', fc.oneof(fc.string({ unit: 'grapheme' }), fc.string({ minLength: 300, maxLength: 320 }))),
  symbol: of('symbol', fc.stringMatching(/^[ -~]{0,40}$/)),
}
export const simple: fc.Arbitrary<Value> = fc.oneof(...Object.values(byType))
/** Of one type, as arrays hold them. */
const array: fc.Arbitrary<Value> = fc
  .constantFrom(...(Object.keys(byType) as TypeName[]))
  .chain((type) => fc.array(byType[type]!, { maxLength: 6 }).map((items) => arrayOf(type, items)))

export const anyValue: fc.Arbitrary<Value> = fc.letrec<{ value: Value }>((tie) => ({
  value: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    simple,
    array,
    fc.array(tie('value'), { maxLength: 5 }).map((value): Value => ({ type: 'list', value })),
    fc.array(fc.tuple(simple, tie('value')), { maxLength: 4 }).map((value): Value => ({ type: 'map', value })),
    fc
      .tuple(
        fc.constantFrom<Value>({ type: 'ulong', value: 0x77n }, { type: 'symbol', value: 'of:a:kind' }),
        tie('value'),
      )
      .map(([descriptor, value]): Value => ({ type: 'described', descriptor, value })),
  ),
})).value
