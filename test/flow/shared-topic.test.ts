/** Mentions of one relation in a plan: read once, and each as if it had been read alone. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { rowsOf } from '../../src/flow/batch.ts'
import { Graph } from '../../src/flow/graph.ts'
import type { Plan, SourcePlan } from '../../src/flow/plan.ts'
import { Stepper } from '../../src/flow/runtime/stepper.ts'
import { sharedTopics } from '../../src/flow/shared-topic.ts'
import { type LogRecord, encodeBatch, rawRecords } from '../../src/log/batch.ts'
import { call, column, field, random, raw, record, source, t } from './plans.ts'

const numbers = source('s', [field('id', t.int), field('n', t.int)])
/** Of the same relation other fields, in another order, and one that is computed. */
const texts: SourcePlan = source(
  's',
  [field('twice', t.int), field('word', t.text), field('id', t.int), field('_offset', t.bigint)],
  {
    fields: [
      {
        from: 'computed',
        expression: call('+', t.int, ...[2, 2].map((index) => ({ kind: 'column', index, type: t.int }) as const)),
      },
      { from: 'value', path: ['word'] },
      { from: 'value', path: ['id'] },
      { from: 'offset' },
    ],
  },
)
const both = (): Plan => {
  const columns = [field('id', t.int), field('word', t.text)]
  const left: Plan = {
    op: 'project',
    input: numbers,
    expressions: [column(numbers.columns, 'n'), { kind: 'literal', value: null, type: t.text }],
    columns,
  }
  const right: Plan = {
    op: 'project',
    input: texts,
    expressions: [column(texts.columns, 'twice'), column(texts.columns, 'word')],
    columns,
  }
  return { op: 'union', inputs: [left, right], columns }
}
const graphOf = (plan: Plan): Graph => {
  const graph = new Graph(plan, { idleMs: 1e9, maxFutureMs: 1e15 })
  graph.open(() => [{ partition: 0, unread: true }], 0)
  return graph
}

test('each mention has its own columns, and its own rows, clocks and places', () => {
  const graph = graphOf(both())
  assert.deepEqual(
    sharedTopics(graph.sources).map(({ sources }) => sources.length),
    [2],
  )
  const next = random(3)
  const records = Array.from({ length: 500 }, (_, i): LogRecord => {
    const value = { id: i, ...(next() < 0.8 ? { n: i * 3 } : {}), word: next() < 0.2 ? null : `w${i}` }
    return record({ topic: 's', partition: 0, value }, i)
  })
  const stepper = new Stepper(graph)
  stepper.step([{ topic: 's', partition: 0, records: raw(records) }], 0)
  const alone = graphOf(both())
  const batches = alone.sources.map(({ index, decoder, clock }) => {
    const { batch } = decoder.decode([{ partition: 0, records: raw(records) }], clock, 0)
    return [index, batch] as const
  })
  const { out } = alone.step(new Map(batches), 0)
  const [delta] = stepper.result.deltas
  const types = [t.int, t.text]
  assert.deepEqual(rowsOf(delta!, types), rowsOf(out, types))
  assert.equal(delta!.count, 1_000)
  for (const part of ['source', 'offset', 'time', 'watermark'] as const)
    assert.deepEqual(delta!.rows[part].slice(0, 1_000), out.rows[part].slice(0, 1_000), part)
})
test('a record that does not fit one mention is invalid for all, and told of once', () => {
  const stepper = new Stepper(graphOf(both()))
  const values = ['{"id":1,"n":2,"word":"a"}', '{"id":2,"n":"two","word":"b"}', '{"id":3,"n":4,"word":5}']
  const batch = encodeBatch(values.map((value) => ({ key: null, value: Buffer.from(value), timeMs: 1 })))
  stepper.step([{ topic: 's', partition: 0, records: rawRecords([batch]) }], 0)
  const { deltas, invalid } = stepper.result
  assert.deepEqual(
    deltas.flatMap((delta) => rowsOf(delta, [t.int, t.text]).map(({ values: row }) => row)),
    [
      [2, null],
      [2, 'a'],
    ],
  )
  assert.deepEqual(
    invalid.map(({ record: { offset }, fault }) => [offset, fault.code]),
    [
      [1, 'schema.invalid'],
      [2, 'schema.invalid'],
    ],
  )
})
test('a field and what it lies in are not read together, nor are other relations', () => {
  const inside = source('s', [field('b', t.int)], { fields: [{ from: 'value', path: ['a', 'b'] }] })
  const whole = source('s', [field('a', { kind: 'json' })])
  const other = source('other', [field('a', { kind: 'json' })])
  const plan: Plan = { op: 'union', inputs: [inside, whole, other], columns: [] }
  const shared = sharedTopics(graphOf(plan).sources)
  assert.deepEqual(
    shared.map(({ topic, sources }) => [topic, sources.length]),
    [
      ['s', 1],
      ['s', 1],
      ['other', 1],
    ],
  )
})
