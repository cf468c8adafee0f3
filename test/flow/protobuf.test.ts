/**
 * Protobuf against protobufjs: what that library writes is read to the values that went in; the rules of the wire (order,
 * repetition, merging, oneofs, packing), and bytes that lie. SEED and ROUNDS come from the environment.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rowsOf } from '../../src/flow/batch.ts'
import { SourceClock, clockTable } from '../../src/flow/clock.ts'
import { createDecoder } from '../../src/flow/decode.ts'
import type { SourcePlan } from '../../src/flow/plan.ts'
import { StateTable } from '../../src/flow/state.ts'
import { messageNamed, parseProtobuf, protobufColumns } from '../../src/schema/formats/protobuf.ts'
import type { Columns } from '../../src/schema/types.ts'
import { fileOf, messageOf, protobufType } from './protobuf-values.ts'
import { random, raw, source } from './plans.ts'

const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 1e6))
const rounds = Number(process.env['ROUNDS'] ?? 40)

const protoSource = (text: string, columns: Columns, message: string | null = null): SourcePlan =>
  source('s', columns, {
    format: 'protobuf',
    schema: { framing: 'none', text, message, imports: {} },
    fields: columns.map(({ name }) => ({ from: 'value', path: name.split('.') })),
  })
function read(plan: SourcePlan, values: readonly (Buffer | null)[]): { rows: unknown[][]; invalid: string[] } {
  const clock = new SourceClock(0, { delayMs: 0, idleMs: 1e9, maxFutureMs: 1e15 }, new StateTable(clockTable))
  clock.open([{ partition: 0, unread: true }], 0)
  const records = values.map((value, offset) => ({ offset, timeMs: 0, key: null, value, headers: [] }))
  const decoder = createDecoder(plan, 0, { generate: false })
  const { batch, invalid } = decoder.decode([{ partition: 0, records: raw(records) }], clock, 0)
  const types = plan.columns.map(({ type }) => type)
  return {
    rows: rowsOf(batch, types).map(({ values }) => [...values]),
    invalid: invalid.map(({ fault }) => `${fault.code}: ${fault.message}`),
  }
}

test(`what protobufjs writes is read to what went in (seed ${seed})`, () => {
  for (let round = 0; round < rounds; round++) {
    const next = random(seed * 1_000 + round)
    const isV2 = next() < 0.3
    const form = messageOf(next, 0, isV2, 8)
    const file = fileOf(form, isV2)
    const type = protobufType(file, form.type)
    const made = Array.from({ length: 10 }, () => form.make(next))
    const plan = protoSource(file, protobufColumns(messageNamed(parseProtobuf(file), null)))
    const bytes = made.map(({ js }) => Buffer.from(type.encode(type.fromObject(js as object)).finish()))
    const found = read(plan, bytes)
    assert.deepEqual(found.invalid, [], file)
    const expected = made.map(({ held }) => plan.columns.map(({ name }) => (held as Record<string, unknown>)[name]))
    assert.deepEqual(found.rows, expected, `seed ${seed}, round ${round}: ${file}`)
  }
})
