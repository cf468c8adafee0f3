import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { readFlow, rateOf } from '../../console/src/lib/flow-reading.ts'
import { compactJson } from '../../console/src/lib/json.ts'
import { KeyedRows } from '../../console/src/lib/keyed-rows.ts'
import { defaultChoice, History, linesMax, overTime, standings, toSeconds } from '../../console/src/lib/series.ts'
import { EventParser } from '../../console/src/lib/sse.ts'
import { TailBuffer } from '../../console/src/lib/tail.ts'
import { byInterest } from '../../console/src/lib/views-order.ts'
import type { Graph, RelationInfo } from '../../src/query/engine.ts'
import type { Columns } from '../../src/schema/types.ts'

const at = '2026-01-01T00:00:00.000Z'
type Row = Record<string, unknown>
const plus = (row: Row) => ({ op: '+', row, at }) as const
const minus = (row: Row) => ({ op: '-', row, at }) as const

test('server-sent events come out the same however the text is cut', () => {
  const events = fc.array(
    fc.record({
      event: fc.constantFrom('', 'record', 'change'),
      id: fc.constantFrom('', '0:12', '0:3,1:4'),
      data: fc.array(fc.string({ unit: fc.constantFrom('a', ':', ' ', '{', 'ü') }), { minLength: 1, maxLength: 3 }),
    }),
  )
  fc.assert(
    fc.property(
      events,
      fc.constantFrom('\n', '\r\n', '\r'),
      fc.infiniteStream(fc.integer({ min: 1, max: 9 })),
      (list, end, cuts) => {
        const text = list
          .map((e) =>
            [
              ': comment',
              ...(e.event === '' ? [] : [`event: ${e.event}`]),
              ...(e.id === '' ? [] : [`id: ${e.id}`]),
              ...e.data.map((line) => `data: ${line}`),
              '',
              '',
            ].join(end),
          )
          .join('')
        const parser = new EventParser()
        const found = []
        for (let from = 0; from < text.length;) {
          const size = cuts.next().value ?? 1
          found.push(...parser.push(text.slice(from, from + size)))
          from += size
        }
        // A CR that ends everything may be half a line break: one more piece settles it.
        found.push(...parser.push(': end\n'))
        assert.deepEqual(
          found,
          list.map((e) => ({ event: e.event || 'message', data: e.data.join('\n') })),
        )
        assert.equal(parser.lastId, list.findLast((e) => e.id !== '')?.id ?? '')
      },
    ),
  )
})

test('the live table equals the rows that the changes sum up to', () => {
  const row = fc.record({ key: fc.integer({ min: 0, max: 4 }), n: fc.integer({ min: 0, max: 3 }) })
  fc.assert(
    fc.property(
      fc.array(fc.array(row, { maxLength: 6 }), { maxLength: 12 }),
      fc.boolean(),
      (batches, withdrawnFirst) => {
        const table = new KeyedRows(['key'], 100)
        const truth = new Map<number, Row>()
        for (const batch of batches) {
          const changes = batch.flatMap((next) => {
            const before = truth.get(next.key)
            truth.set(next.key, next)
            if (before === undefined) return [plus(next)]
            return withdrawnFirst
              ? [minus(before), plus(next)]
              : [plus(next), ...(compactJson(before) === compactJson(next) ? [] : [minus(before)])]
          })
          table.apply(changes, 0)
        }
        const shown = table.list().map((r) => r.row)
        assert.deepEqual(new Map(shown.map((r) => [r['key'], r])), truth)
      },
    ),
  )
})

test('without a key equal rows are counted', () => {
  const table = new KeyedRows(null, 100)
  table.apply([plus({ a: 1 }), plus({ a: 1 }), plus({ a: 2 }), minus({ a: 1 })], 0)
  assert.deepEqual(
    table.list().map((r) => [r.row, r.copies]),
    [
      [{ a: 1 }, 1],
      [{ a: 2 }, 1],
    ],
  )
  assert.equal(table.total, 2)
})

test('a change names the columns it altered, a new row none, a return within a batch is a change', () => {
  const table = new KeyedRows(['k'], 100)
  table.apply([plus({ k: 1, a: 1, b: 1 })], 5)
  assert.equal(table.list()[0]!.columns, null)
  table.apply([minus({ k: 1, a: 1, b: 1 }), plus({ k: 1, a: 2, b: 1 })], 6)
  assert.deepEqual(table.list()[0], {
    id: '[1]',
    row: { k: 1, a: 2, b: 1 },
    copies: 1,
    changedAt: 2,
    changedMs: 6,
    columns: ['a'],
  })
})

test('the live table is bounded: it lets go what changed longest ago and goes on counting', () => {
  const table = new KeyedRows(['k'], 3)
  table.apply(
    [1, 2, 3].map((k) => plus({ k })),
    0,
  )
  table.apply([minus({ k: 1 }), plus({ k: 1, again: true }), plus({ k: 4 })], 0)
  assert.deepEqual(
    table.list().map((r) => r.row['k']),
    [1, 3, 4],
  )
  assert.deepEqual([table.total, table.dropped], [4, 1])
})

test('a pause of the tail loses nothing within its bound, and says what it lost beyond', () => {
  const tail = new TailBuffer<number>(4)
  tail.push([1, 2])
  tail.paused = true
  tail.push([3, 4, 5])
  assert.deepEqual([tail.items, tail.waiting], [[1, 2], 3])
  tail.push([6, 7])
  assert.deepEqual([tail.waiting, tail.skipped], [5, 1])
  tail.resume()
  assert.deepEqual([tail.items, tail.received, tail.skipped], [[4, 5, 6, 7], 7, 0])
})

const columns: Columns = [
  { name: 'window_start', type: { kind: 'timestamptz' }, nullable: false },
  { name: 'item', type: { kind: 'text' }, nullable: false },
  { name: 'customer_id', type: { kind: 'bigint' }, nullable: false },
  { name: 'revenue', type: { kind: 'numeric', precision: 12, scale: 2 }, nullable: true },
]

test('a chart begins with the measure over the time of the key, a line for each other key', () => {
  assert.deepEqual(defaultChoice(columns, ['window_start', 'item']), {
    x: 'window_start',
    y: ['revenue'],
    group: 'item',
  })
  assert.deepEqual(defaultChoice(columns.slice(1), ['item']), { x: null, y: ['revenue'], group: 'item' })
  assert.deepEqual(defaultChoice([columns[1]!], null).y, [])
})

test('lines over time stand in order, with gaps where a group has no value, the largest kept', () => {
  const rows = [
    { window_start: '2026-01-01T00:01:00Z', item: 'b', revenue: '2.50' },
    { window_start: '2026-01-01T00:00:00Z', item: 'a', revenue: 1 },
    { window_start: '2026-01-01T00:01:00Z', item: 'a', revenue: null },
  ]
  const data = overTime(rows, { x: 'window_start', y: ['revenue'], group: 'item' })
  const start = Date.parse('2026-01-01T00:00:00Z') / 1000
  assert.deepEqual(data, {
    x: [start, start + 60],
    lines: [
      { label: 'a', values: [1, null] },
      { label: 'b', values: [null, 2.5] },
    ],
    omitted: 0,
  })
  const many = overTime(
    Array.from({ length: 20 }, (_, i) => ({ window_start: at, item: `i${i}`, revenue: i })),
    { x: 'window_start', y: ['revenue'], group: 'item' },
  )
  assert.equal(many.lines.length, linesMax)
  assert.equal(many.omitted, 12)
  assert.equal(many.lines.at(-1)!.label, 'i19')
})

test('a time without zone is UTC', () => {
  assert.equal(toSeconds('2026-01-01 00:00:00'), Date.parse('2026-01-01T00:00:00Z') / 1000)
  assert.equal(toSeconds('2026-01-01'), Date.parse('2026-01-01T00:00:00Z') / 1000)
  assert.equal(toSeconds('later'), null)
})

test('standings as bars, and followed through time', () => {
  const rows = [
    { item: 'a', n: 3 },
    { item: 'b', n: '7' },
    { item: 'c', n: null },
  ]
  const choice = { x: null, y: ['n'], group: 'item' }
  assert.deepEqual(standings(rows, choice), [
    { label: 'b', value: 7 },
    { label: 'a', value: 3 },
  ])
  const history = new History(2)
  history.sample(1000, rows, choice)
  history.sample(2000, [{ item: 'a', n: 4 }], choice)
  history.sample(3000, [{ item: 'd', n: 9 }], choice)
  assert.deepEqual(history.data().x, [2, 3])
  assert.deepEqual(
    new Map(history.data().lines.map((l) => [l.label, l.values])),
    new Map([
      ['a', [4, null]],
      ['b', [null, null]],
      ['d', [null, 9]],
    ]),
  )
})

const node = (id: string, more: object = {}): Graph['nodes'][number] => ({
  id,
  kind: 'x',
  label: id.toUpperCase(),
  rowsIn: 0,
  rowsOut: 0,
  late: 0,
  stateRows: 0,
  stateBytes: 0,
  watermark: at,
  ...more,
})
const edge = (from: string, to: string, more: object = {}): Graph['edges'][number] => ({
  from,
  to,
  rows: 0,
  rowsPerSecond: 5,
  watermark: at,
  ...more,
})

test('the flow names what to look at first: the busy operator, then who holds the watermark, then who is waited for', () => {
  const graph: Graph = {
    nodes: [node('a'), node('b'), node('j'), node('k')],
    edges: [edge('a', 'j'), edge('b', 'j'), edge('j', 'k')],
    heldBackBy: null,
  }
  assert.equal(readFlow(graph).kind, 'free')
  const busy = readFlow({
    ...graph,
    nodes: [node('a'), node('b'), node('j', { busy: 0.95 }), node('k', { busy: 0.4 })],
    heldBackBy: 'B:0',
  })
  assert.deepEqual([busy.kind, busy.nodeId], ['busy', 'j'])
  const held = readFlow({ ...graph, heldBackBy: 'B:0' })
  assert.deepEqual([held.kind, held.nodeId], ['held-back', 'b'])
  const waits = readFlow({
    ...graph,
    edges: [edge('a', 'j'), edge('b', 'j', { watermark: '2025-12-31T23:57:00.000Z' }), edge('j', 'k')],
  })
  assert.deepEqual([waits.kind, waits.nodeId], ['waits', 'b'])
  assert.match(waits.text, /J waits for B, 3 m of event time/)
  assert.equal(rateOf(graph.nodes[2]!, graph), 10)
  assert.equal(rateOf(graph.nodes[0]!, graph), 5)
})

test('of the views those that failed come first, then answers, then what they are built on', () => {
  const view = (name: string, sql: string | null, status: RelationInfo['status'] = 'running'): RelationInfo => ({
    name,
    kind: 'view',
    columns: [],
    key: null,
    topic: name,
    sql,
    status,
    error: null,
    stats: { rowsIn: 0, rowsOut: 0, late: 0, invalid: 0, stateBytes: 0 },
    watermark: null,
  })
  const views = [
    view('Between', 'CREATE VIEW between AS SELECT * FROM events'),
    view('answer', 'CREATE VIEW answer AS SELECT * FROM between, other'),
    view('by_hand', null),
    view('broken', 'CREATE VIEW broken AS SELECT 1', 'failed'),
    { ...view('events', null), kind: 'stream' as const },
  ]
  assert.deepEqual(
    byInterest(views).map((v) => v.name),
    ['broken', 'answer', 'by_hand', 'Between'],
  )
})
