import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { AssignedMember } from '../../../../src/log/local/groups/consumer/assignors.ts'
import { simple } from '../../../../src/log/local/groups/share/simple.ts'

type Target = ReadonlyMap<string, ReadonlySet<number>>
const member = (id: string, topics: readonly string[], target: Target = new Map()): AssignedMember => ({
  id,
  instanceId: null,
  topics: new Set(topics),
  target,
})
const slots = (target: Target): string[] =>
  [...target].flatMap(([topic, of]) => Array.from(of, (index) => `${topic}/${index}`))
const assign = (members: readonly AssignedMember[], partitions: Readonly<Record<string, number>>): Target[] =>
  simple(members, (topic) => partitions[topic] ?? 0)

test('every partition is with somebody, everybody has one, loads and holders differ by one at most', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 12 }),
      fc.array(fc.integer({ min: 1, max: 6 }), { minLength: 1, maxLength: 4 }),
      (count, sizes) => {
        const partitions = Object.fromEntries(sizes.map((size, i) => [`t${i}`, size]))
        const members = Array.from({ length: count }, (_, i) => member(`m${i}`, Object.keys(partitions)))
        const given = assign(members, partitions)
        const total = sizes.reduce((sum, size) => sum + size, 0)
        const holders = new Map<string, number>()
        for (const slot of given.flatMap(slots)) holders.set(slot, (holders.get(slot) ?? 0) + 1)
        assert.equal(holders.size, total)
        const loads = given.map((target) => slots(target).length)
        for (const counts of [loads, [...holders.values()]]) {
          assert.ok(Math.min(...counts) >= 1)
          assert.ok(Math.max(...counts) - Math.min(...counts) <= 1, JSON.stringify(counts))
        }
      },
    ),
  )
})
test('who has a partition keeps it as far as that allows', () => {
  const before = assign([member('a', ['t']), member('b', ['t'])], { t: 6 })
  const after = assign([member('a', ['t'], before[0]), member('b', ['t'], before[1]), member('c', ['t'])], { t: 6 })
  for (const i of [0, 1]) {
    const had = new Set(slots(before[i]!))
    assert.equal(slots(after[i]!).filter((slot) => had.has(slot)).length, 2)
  }
  assert.equal(slots(after[2]!).length, 2)
  const left = assign([member('a', ['t'], after[0]), member('c', ['t'], after[2])], { t: 6 })
  assert.ok(slots(after[0]!).every((slot) => slots(left[0]!).includes(slot)))
})
test('with different subscriptions, topic by topic', () => {
  const given = assign([member('a', ['x', 'y']), member('b', ['y']), member('c', ['z'])], { x: 2, y: 3, z: 0 })
  assert.deepEqual(
    slots(given[0]!).filter((slot) => slot.startsWith('x')),
    ['x/0', 'x/1'],
  )
  const y = [...slots(given[0]!), ...slots(given[1]!)].filter((slot) => slot.startsWith('y'))
  assert.deepEqual(y.toSorted(), ['y/0', 'y/1', 'y/2'])
  assert.deepEqual(slots(given[2]!), [])
})
test('nobody, and nothing', () => {
  assert.deepEqual(assign([], { t: 1 }), [])
  assert.deepEqual(assign([member('a', [])], {}), [new Map()])
})
