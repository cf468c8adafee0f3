/** Rows of one record, told apart in a table whose keys end with the ordinal. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { KeyWriter } from '../../src/flow/key.ts'
import { writeOrdinal } from '../../src/flow/row-store.ts'
import { StateTable } from '../../src/flow/state.ts'

const rows = {
  source: Int32Array.of(-1),
  offset: Float64Array.of(7),
  time: Float64Array.of(0),
  watermark: Float64Array.of(0),
  origins: null,
}
class Counting extends StateTable {
  finds = 0
  override find(key: KeyWriter): number {
    this.finds++
    return super.find(key)
  }
}
function add(table: StateTable): number {
  const writer = new KeyWriter()
  writer.byte(1)
  writeOrdinal(table, writer, rows, 0)
  return table.add(writer)
}

test('thousands of rows of one record have keys of their own, in the order of their coming', () => {
  const table = new Counting({ name: 'rows', numbers: 1, values: 0 })
  const ids = Array.from({ length: 5_000 }, () => add(table))
  assert.equal(table.count, ids.length)
  for (let i = 1; i < ids.length; i++) assert.ok(table.compareKeys(ids[i - 1]!, ids[i]!) < 0, `row ${i}`)
  assert.ok(table.finds < ids.length * 5, `${table.finds} look-ups`)
})

test('a key that became free may be taken again', () => {
  const table = new StateTable({ name: 'rows', numbers: 1, values: 0 })
  const ids = Array.from({ length: 100 }, () => add(table))
  for (const id of [ids[0]!, ids[1]!, ids[40]!, ids[99]!]) table.remove(id)
  for (let i = 0; i < 4; i++) add(table)
  assert.equal(new Set([...table.all()].map((id) => table.keyOf(id).toString('hex'))).size, 100)
})
