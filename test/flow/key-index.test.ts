import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Column } from '../../src/flow/batch.ts'
import { columnBuilder } from '../../src/flow/columns.ts'
import type { Value } from '../../src/flow/expression.ts'
import { KeyIndex } from '../../src/flow/key-index.ts'
import { KeyWriter, keyEncoder } from '../../src/flow/key.ts'
import type { DataType } from '../../src/schema/types.ts'
import { random, t } from './plans.ts'

const pools: readonly { readonly type: DataType; readonly values: readonly Value[] }[] = [
  { type: t.bigint, values: [0, 1, 2, -1, 2 ** 40, 2n ** 60n, -(2n ** 60n), null] },
  { type: t.double, values: [0, -0, 0.5, NaN, Infinity, -Infinity, 3] },
  { type: t.text, values: ['', 'a', 'b', 'a\0', 'naïve', 'x'.repeat(300), null] },
  { type: t.money, values: [0, 100, 10n ** 30n, null] },
  {
    type: t.numeric,
    values: [
      { digits: 10n, scale: 1 },
      { digits: 100n, scale: 2 },
      { digits: 2n, scale: 0 },
    ],
  },
  { type: t.boolean, values: [true, false, null] },
]
test('equal keys have one entry, others another, in any mix of adding and removing', () => {
  for (let seed = 1; seed <= 60; seed++) {
    const next = random(seed)
    const parts = Array.from({ length: Math.floor(next() * 4) }, () => pools[Math.floor(next() * pools.length)]!)
    const types = parts.map(({ type }) => type)
    const index = new KeyIndex(types)
    const encode = keyEncoder(types.map((type, column) => ({ column, type })))
    const entries = new Map<string, number>()
    for (let round = 0; round < 20; round++) {
      const count = 30
      // Now and then a batch of plain values only, whose columns are other arrays than those of the rest.
      const plain = next() < 0.5
      const columns: Column[] = parts.map(({ type, values }) => {
        const builder = columnBuilder(type)
        const some = plain ? values.slice(0, 3) : values
        for (let i = 0; i < count; i++) builder.push(some[Math.floor(next() * some.length)]!)
        return builder.done()
      })
      index.use(columns)
      for (let row = 0; row < count; row++) {
        const writer = new KeyWriter()
        encode(writer, { columns }, row)
        const name = writer.done().toString('hex')
        const known = entries.get(name)
        assert.equal(index.find(row), known ?? -1, `seed ${seed}`)
        if (known !== undefined && next() < 0.3) {
          index.remove(known)
          entries.delete(name)
          assert.equal(index.find(row), -1)
          continue
        }
        const entry = index.add(row)
        assert.equal(index.isNew, known === undefined)
        if (known !== undefined) assert.equal(entry, known)
        else assert.ok(![...entries.values()].includes(entry), 'an entry of its own')
        assert.ok(entry < index.capacity)
        entries.set(name, entry)
      }
      assert.equal(index.count, entries.size)
    }
    index.clear()
    assert.equal(index.count, 0)
  }
})
