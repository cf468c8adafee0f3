import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Value } from '../../src/flow/expression.ts'
import { KeyWriter } from '../../src/flow/key.ts'
import { SortedIds } from '../../src/flow/sorted.ts'
import { StateTable } from '../../src/flow/state.ts'
import { readValue, writeValue } from '../../src/flow/value-codec.ts'
import { ByteReader, ByteWriter } from '../../src/lib/bytes.ts'
import { random } from './plans.ts'

const spec = { name: 'rows', numbers: 2, values: 1 }
const writer = new KeyWriter()
function keyOf(group: number, row: number): { key: KeyWriter; prefix: number } {
  writer.length = 0
  writer.double(group)
  const prefix = writer.length
  writer.text('x'.repeat(row % 5) + row)
  return { key: writer, prefix }
}
type Model = Map<string, [number, number, Value]>
const contents = (table: StateTable): Model =>
  new Map(
    [...table.all()].map((id) => [
      table.keyOf(id).toString('hex'),
      [table.numbers[id * 2]!, table.numbers[id * 2 + 1]!, table.values[id]!],
    ]),
  )
const byKey = (model: Model): [string, unknown][] => [...model].sort(([a], [b]) => (a < b ? -1 : 1))

test('any mix of changes, commits and undos leaves what a plain map would hold, and the changelog rebuilds it', () => {
  for (let seed = 1; seed <= 30; seed++) {
    const next = random(seed)
    const table = new StateTable(spec)
    const copy = new StateTable(spec)
    let committed: Model = new Map()
    let model: Model = new Map()
    for (let tick = 0; tick < 40; tick++) {
      for (let change = 0; change < next() * 60; change++) {
        const { key, prefix } = keyOf(Math.floor(next() * 8), Math.floor(next() * 12))
        const name = key.done().toString('hex')
        const id = table.find(key)
        assert.equal(id >= 0, model.has(name))
        if (id < 0) {
          const added = table.add(key, prefix)
          assert.deepEqual([table.numbers[added * 2], table.values[added]], [0, null])
          table.numbers[added * 2] = change
          table.values[added] = `v${change}`
          model.set(name, [change, 0, `v${change}`])
        } else if (next() < 0.4) {
          table.remove(id)
          model.delete(name)
        } else {
          table.touch(id)
          table.numbers[id * 2 + 1] = tick + 0.5
          const [a, , c] = model.get(name)!
          model.set(name, [a, tick + 0.5, c])
        }
      }
      assert.deepEqual(byKey(contents(table)), byKey(model), `seed ${seed}, tick ${tick}`)
      if (next() < 0.3) {
        table.undo()
        model = new Map(committed)
      } else {
        for (const { key, value } of table.changes()) copy.restore(key, value)
        table.commit()
        committed = new Map(model)
      }
      assert.deepEqual(byKey(contents(table)), byKey(committed), `seed ${seed}, after tick ${tick}`)
      assert.deepEqual(byKey(contents(copy)), byKey(committed), `seed ${seed}, restored after tick ${tick}`)
      assert.equal(table.count, committed.size)
    }
  }
})
test('what came and went within a tick is not in the changelog', () => {
  const table = new StateTable(spec)
  const { key, prefix } = keyOf(1, 1)
  table.remove(table.add(key, prefix))
  assert.deepEqual([...table.changes()], [])
  table.commit()
  table.add(keyOf(1, 1).key, prefix)
  table.commit()
  table.remove(table.find(keyOf(1, 1).key))
  table.add(keyOf(1, 1).key, prefix)
  assert.deepEqual(
    [...table.changes()].map((c) => c.value !== null),
    [true],
  )
})
test('the slot of a row depends on its state key alone', () => {
  const table = new StateTable(spec)
  for (let group = 0; group < 50; group++)
    for (let row = 0; row < 3; row++) table.add(keyOf(group, row).key, keyOf(group, row).prefix)
  const slots = new Map<string, Set<number>>()
  for (const { key, slot } of table.changes()) {
    const group = Buffer.from(key).subarray(1, 9).toString('hex')
    slots.set(group, (slots.get(group) ?? new Set()).add(slot))
  }
  assert.equal(slots.size, 50)
  for (const used of slots.values()) assert.equal(used.size, 1)
  assert.ok(new Set([...slots.values()].flatMap((s) => [...s])).size > 20)
})
test('sorted ids: as a sorted array, in every order of adding and removing', () => {
  for (let seed = 1; seed <= 20; seed++) {
    const next = random(seed)
    const sorted = new SortedIds((a, b) => a - b)
    let model: number[] = []
    for (let i = 0; i < 3000; i++) {
      if (model.length > 0 && next() < 0.45) {
        const id = model[Math.floor(next() * model.length)]!
        sorted.remove(id)
        model = model.filter((m) => m !== id)
      } else {
        const id = Math.floor(next() * 1e9)
        if (model.includes(id)) continue
        sorted.add(id)
        model.push(id)
      }
    }
    model.sort((a, b) => a - b)
    assert.deepEqual([...sorted], model)
    assert.equal(sorted.count, model.length)
    assert.equal(sorted.first(), model[0])
    assert.equal(sorted.last(), model.at(-1))
    for (let probe = 0; probe < 50; probe++) {
      const limit = Math.floor(next() * 1e9)
      assert.equal(
        sorted.lastWhere((id) => id <= limit),
        model.findLast((id) => id <= limit),
      )
    }
    for (const id of model) assert.equal(sorted.shift(), id)
  }
})
test('values of every form come back as they were', () => {
  const values: Value[] = [
    null,
    true,
    false,
    0,
    -0,
    1,
    -1,
    2 ** 53 - 1,
    -(2 ** 53) + 1,
    2 ** 60,
    0.1,
    NaN,
    Infinity,
    -Infinity,
    10n ** 40n,
    -(10n ** 40n),
    36n ** 10n,
    '',
    'naïve 😀',
    Buffer.from([0, 255]),
    [1, [null, 'x']],
    { digits: 5n, scale: 2 },
    { a: { b: [true] }, ['__proto__']: 1 },
  ]
  for (const value of values) {
    const out = new ByteWriter()
    writeValue(out, value)
    const input = new ByteReader(Buffer.from(out.done()))
    assert.deepEqual(readValue(input), value)
    assert.equal(input.left, 0)
  }
})
