/** Whole rows in state tables: what is written comes back, also through undo, the changelog and compaction. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Batch, emptyBatch, rowsOf } from '../../src/flow/batch.ts'
import { columnBuilder } from '../../src/flow/columns.ts'
import type { Value } from '../../src/flow/expression.ts'
import { KeyWriter } from '../../src/flow/key.ts'
import { rowLayout } from '../../src/flow/row-store.ts'
import { StateTable } from '../../src/flow/state.ts'
import type { DataType } from '../../src/schema/types.ts'
import { field, random, t } from './plans.ts'

const types: readonly DataType[] = [
  t.text,
  t.bigint,
  t.double,
  { kind: 'bytea' },
  t.money,
  t.numeric,
  t.boolean,
  { kind: 'array', of: t.text },
  t.timestamptz,
]
const columns = types.map((type, i) => field(`c${i}`, type))
const layout = rowLayout(columns, 1, 1)
const spec = { ...layout.fields, name: 'rows' }

function someRow(next: () => number): Value[] {
  const of = (...values: readonly Value[]): Value => values[Math.floor(next() * values.length)]!
  const row: Value[] = [
    of('', 'x', 'naïve 😀', 'y'.repeat(200), 'z'.repeat(20_000)),
    of(0, -5, 2 ** 40, 2n ** 60n, -(2n ** 63n)),
    of(0.1, -0, NaN, Infinity, 7),
    Buffer.from('0'.repeat(Math.floor(next() * 300)), 'latin1'),
    of(12, 10n ** 30n, -1),
    { digits: 5n, scale: 2 },
    of(true, false),
    ['a', null],
    1e15,
  ]
  return row.map((value) => (next() < 0.15 ? null : value))
}
function batchOf(rows: readonly (readonly Value[])[]): Batch {
  const builders = types.map((type) => columnBuilder(type))
  for (const row of rows) for (let c = 0; c < types.length; c++) builders[c]!.push(row[c]!)
  return { ...emptyBatch, count: rows.length, columns: builders.map((b) => b.done()) }
}
function rowIn(table: StateTable, id: number): readonly Value[] {
  const builders = types.map((type) => columnBuilder(type))
  layout.read(table, id, builders)
  return rowsOf({ ...emptyBatch, count: 1, columns: builders.map((b) => b.done()) }, types)[0]!.values
}
const writer = new KeyWriter()
function keyOf(n: number): KeyWriter {
  writer.length = 0
  writer.double(n)
  return writer
}
const contents = (table: StateTable): Map<string, readonly Value[]> =>
  new Map([...table.all()].map((id) => [table.keyOf(id).toString('hex'), rowIn(table, id)]))
const inOrder = (rows: ReadonlyMap<string, unknown>) => [...rows].sort(([a], [b]) => (a < b ? -1 : 1))

for (const found of ['by the table', 'elsewhere'] as const)
  test(`rows of all types, found ${found}: written, replaced, removed, undone, restored`, () => {
    for (let seed = 1; seed <= 6; seed++) {
      const next = random(seed)
      const table = new StateTable(found === 'elsewhere' ? { ...spec, found } : spec)
      const copy = new StateTable(spec)
      let committed = new Map<string, readonly Value[]>()
      let model = new Map<string, readonly Value[]>()
      /** Ids by key, as an operator keeps them. */
      let ids = new Map<string, number>()
      for (let tick = 0; tick < 30; tick++) {
        const tookOver = new Set<number>()
        const rows = Array.from({ length: Math.floor(next() * 40) }, () => someRow(next))
        const batch = batchOf(rows)
        for (let row = 0; row < rows.length; row++) {
          const key = keyOf(Math.floor(next() * 25))
          const name = key.done().toString('hex')
          let id = found === 'elsewhere' ? (ids.get(name) ?? -1) : table.find(key)
          const kind = next()
          if (id >= 0 && kind < 0.3 && !tookOver.has(id)) {
            table.remove(id)
            ids.delete(name)
            model.delete(name)
            continue
          }
          if (id < 0) id = table.add(key)
          else if (kind < 0.6) {
            const old = id
            id = table.replace(old)
            tookOver.add(id)
            assert.deepEqual(rowIn(table, old), model.get(name), 'the old one stays readable')
          } else table.touch(id)
          layout.write(table, id, batch, row)
          assert.ok(layout.equals(table, id, batch, row))
          const other = Math.floor(next() * rows.length)
          if (layout.equals(table, id, batch, other)) assert.deepEqual(rows[other], rows[row])
          ids.set(name, id)
          model.set(name, rows[row]!)
        }
        assert.deepEqual(inOrder(contents(table)), inOrder(model), `seed ${seed}, tick ${tick}`)
        assert.equal(table.count, model.size)
        if (next() < 0.3) {
          table.undo()
          model = new Map(committed)
          ids = new Map([...table.all()].map((id) => [table.keyOf(id).toString('hex'), id]))
        } else {
          for (const { key, value } of [...table.changes()]) copy.restore(key, value)
          copy.commit()
          table.commit()
          committed = new Map(model)
        }
        assert.deepEqual(inOrder(contents(table)), inOrder(committed), `seed ${seed}, after tick ${tick}`)
        assert.deepEqual(inOrder(contents(copy)), inOrder(committed), `seed ${seed}, restored after tick ${tick}`)
      }
    }
  })
test('bytes of rows that went are given back', () => {
  const table = new StateTable(spec)
  const row = ['x'.repeat(5_000), ...types.slice(1).map(() => null)]
  const batch = batchOf([row])
  for (let tick = 0; tick < 300; tick++) {
    for (let n = 0; n < 20; n++) {
      const id = table.find(keyOf(n))
      if (id >= 0) table.touch(id)
      layout.write(table, id < 0 ? table.add(keyOf(n)) : id, batch, 0)
    }
    for (let n = 0; n < 10; n++) table.remove(table.find(keyOf(n)))
    table.commit()
  }
  assert.ok(table.bytes < 4_000_000, `${table.bytes} B for ${table.count} rows of 5 kB`)
  assert.equal(table.count, 10)
  for (const id of table.all()) assert.deepEqual(rowIn(table, id), row)
})
test('undone again and again, bytes do not pile up', () => {
  const table = new StateTable(spec)
  const batch = batchOf([['x'.repeat(100_000), ...types.slice(1).map(() => null)]])
  for (let tick = 0; tick < 100; tick++) {
    layout.write(table, table.add(keyOf(1)), batch, 0)
    table.undo()
  }
  assert.ok(table.bytes < 2_000_000, `${table.bytes} B`)
  assert.equal(table.count, 0)
})
