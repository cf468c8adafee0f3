/** Rows written from their columns are the same text that is made of their values. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Column } from '../../src/flow/batch.ts'
import { columnBuilder } from '../../src/flow/columns.ts'
import { Slab, rowBytes } from '../../src/flow/json-bytes.ts'
import { rowWriter } from '../../src/flow/json-value.ts'
import type { Value } from '../../src/flow/expression.ts'
import type { Columns } from '../../src/schema/types.ts'

const columns: Columns = [
  { name: 'small', type: { kind: 'smallint' }, nullable: true },
  { name: 'n', type: { kind: 'bigint' }, nullable: true },
  { name: 'at', type: { kind: 'timestamp' }, nullable: true },
  { name: 'zoned', type: { kind: 'timestamptz' }, nullable: true },
  { name: 'text "ü"', type: { kind: 'text' }, nullable: true },
]
const whole = fc.oneof(
  fc.integer({ min: -100, max: 100 }),
  fc.maxSafeInteger(),
  fc.nat(15).map((power) => 10 ** power),
  fc.nat(15).map((power) => 10 ** power - 1),
)
const micros = fc.oneof(
  fc.integer({ min: -400_000_000_000_000_000, max: 400_000_000_000_000_000 }),
  fc.integer({ min: 0, max: 4_000_000_000 }).map((seconds) => seconds * 1e6),
  fc.integer({ min: 0, max: 4_000_000_000_000 }).map((ms) => ms * 1e3),
  fc.constantFrom(0, 86_400_000_000 - 1, 86_400_000_000, 253_402_300_799_000_000, Infinity, -Infinity),
)
const row = fc.tuple(
  fc.option(fc.integer({ min: -32_768, max: 32_767 })),
  fc.option(fc.oneof(whole, fc.bigInt({ min: 2n ** 53n, max: 2n ** 63n - 1n }))),
  fc.option(micros),
  fc.option(micros),
  fc.option(fc.string({ unit: 'binary' })),
)

test('integers, instants and texts, NULL or not', () => {
  fc.assert(
    fc.property(fc.array(row, { minLength: 1, maxLength: 20 }), (rows) => {
      const batch: { columns: Column[] } = {
        columns: columns.map(({ type }, c) => {
          const builder = columnBuilder(type, 4)
          for (const values of rows)
            if (values[c] === null) builder.pushNull()
            else builder.push(values[c] as Value)
          return builder.done()
        }),
      }
      const write = rowBytes(columns)
      const text = rowWriter(columns)
      const slab = new Slab(16)
      for (let i = 0; i < rows.length; i++) {
        write(batch, i, slab)
        assert.equal(slab.cut().toString(), text(batch, i))
      }
    }),
    { numRuns: 1_000 },
  )
})
