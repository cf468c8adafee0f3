import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { assign, standbysOf } from '../../../src/log/local/groups/assignment.ts'
import { assignWhole } from '../../../src/log/local/groups/assign-whole.ts'
import type { Partition } from '../../../src/log/log.ts'

const member = (name: string, topics: string[], held: Partition[] = [], warm: Partition[] = []) => ({
  name,
  topics: new Set(topics),
  held,
  warm,
})
const places = (partitions: readonly Partition[]): string[] => partitions.map(({ topic, index }) => `${topic}${index}`)

test('every partition goes to one member that reads its topic, and shares differ by one at most', () => {
  fc.assert(
    fc.property(
      fc.integer({ min: 1, max: 6 }),
      fc.array(fc.nat(12), { minLength: 1, maxLength: 3 }),
      (count, sizes) => {
        const topics = sizes.map((partitions, i) => ({ name: `t${i}-`, partitions }))
        const names = topics.map(({ name }) => name)
        const given = assign(
          Array.from({ length: count }, (_, i) => member(`m${i}`, names)),
          topics,
        )
        const all = given.flatMap(places)
        assert.equal(new Set(all).size, all.length)
        assert.equal(
          all.length,
          sizes.reduce((sum, size) => sum + size, 0),
        )
        const units = given.map((partitions) => new Set(partitions.map(({ index }) => index)).size)
        assert.ok(Math.max(...units) - Math.min(...units) <= 1)
        for (const partitions of given)
          for (const { index } of partitions)
            for (const { name, partitions: size } of topics)
              assert.ok(
                index >= size || partitions.some((one) => one.topic === name && one.index === index),
                'co-partitioned',
              )
      },
    ),
  )
})
test('what is held stays where it is as far as shares are even, what is warm comes next', () => {
  const topics = [{ name: 't', partitions: 4 }]
  const held = [0, 1, 2, 3].map((index) => ({ topic: 't', index }))
  const [a, b] = assign([member('a', ['t'], held), member('b', ['t'], [], held.slice(3))], topics)
  assert.deepEqual(places(a!), ['t0', 't1'])
  assert.deepEqual(places(b!).sort(), ['t2', 't3'])
  const again = assign([member('a', ['t'], a), member('b', ['t'], b)], topics)
  assert.deepEqual(
    again.map((one) => places(one).sort()),
    [places(a!).sort(), places(b!).sort()],
  )
})
test('a topic that only some read is shared among those', () => {
  const topics = [
    { name: 'x', partitions: 2 },
    { name: 'y', partitions: 2 },
  ]
  const [a, b] = assign([member('a', ['x', 'y']), member('b', ['x'])], topics)
  assert.deepEqual(
    places(a!)
      .filter((one) => one.startsWith('y'))
      .sort(),
    ['y0', 'y1'],
  )
  assert.equal(places(b!).filter((one) => one.startsWith('y')).length, 0)
  assert.equal([...a!, ...b!].length, 4)
})
test('copies are kept of what the next members hold', () => {
  const active = [[{ topic: 't', index: 0 }], [{ topic: 't', index: 1 }], [{ topic: 't', index: 2 }]]
  const copies = standbysOf(active, [1, 0, 5])
  assert.deepEqual(copies.map(places), [['t1'], [], ['t0', 't1']])
})
test('what cannot be divided goes to one member, copies to those that are next in line when it leaves', () => {
  const topics = [{ name: 'x', partitions: 2 }]
  const members = ['a', 'b', 'c', 'd'].map((identity) => ({ identity, topics: new Set(['x']), standbys: 2 }))
  const all = ['x0', 'x1']
  let left = members
  let expected: string[] = []
  while (left.length > 1) {
    const { active, standby } = assignWhole('g', left, topics)
    const holders = left.filter((_, i) => active[i]!.length > 0)
    assert.equal(holders.length, 1)
    assert.deepEqual(places(active[left.indexOf(holders[0]!)]!), all)
    if (expected.length > 0) assert.ok(expected.includes(holders[0]!.identity), 'who stood by goes on')
    expected = left.flatMap(({ identity }, i) => (standby[i]!.length > 0 ? [identity] : []))
    assert.equal(expected.length, Math.min(2, left.length - 1))
    left = left.filter((one) => one !== holders[0])
  }
  const none = assignWhole(
    'g',
    members.map((one) => ({ ...one, standbys: 0 })),
    topics,
  )
  assert.ok(none.standby.every((of) => of.length === 0))
})
