import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { type AssignedMember, assignors } from '../../../../src/log/local/groups/consumer/assignors.ts'
import type { TopicPartitions } from '../../../../src/log/local/groups/consumer/model.ts'

type Topics = ReadonlyMap<string, number>
const member = (id: string, topics: Iterable<string>, target: TopicPartitions = new Map()): AssignedMember => ({
  id,
  instanceId: null,
  topics: new Set(topics),
  target,
})
const partitionsOf = (topics: Topics) => (topic: string) => topics.get(topic) ?? 0
const load = (of: TopicPartitions): number => [...of.values()].reduce((sum, indexes) => sum + indexes.size, 0)
const places = (of: TopicPartitions): string[] =>
  [...of].flatMap(([topic, indexes]) => Array.from(indexes, (index) => `${topic}/${index}`))

/** Every partition that somebody subscribes to is with one subscriber. */
function checkWhole(members: readonly AssignedMember[], topics: Topics, given: readonly TopicPartitions[]): void {
  const all = given.flatMap(places)
  assert.equal(new Set(all).size, all.length, 'nothing is given twice')
  let wanted = 0
  for (const [topic, partitions] of topics) if (members.some((one) => one.topics.has(topic))) wanted += partitions
  assert.equal(all.length, wanted, 'nothing is left out')
  given.forEach((of, i) => {
    for (const [topic, indexes] of of) {
      assert.ok(members[i]!.topics.has(topic), 'nothing to who did not subscribe')
      for (const index of indexes) assert.ok(index >= 0 && index < topics.get(topic)!)
    }
  })
}
/** No single partition could move from one to another subscriber and make it more even. */
function checkEven(members: readonly AssignedMember[], given: readonly TopicPartitions[]): void {
  given.forEach((of, from) => {
    for (const topic of of.keys())
      members.forEach((other, to) => {
        if (other.topics.has(topic)) assert.ok(load(of) - load(given[to]!) <= 1, `${from} could give ${topic} to ${to}`)
      })
  })
}
const sizes = fc.array(fc.integer({ min: 0, max: 13 }), { minLength: 1, maxLength: 5 })
const topicsFrom = (counts: readonly number[]): Topics => new Map(counts.map((count, i) => [`t${i}`, count]))
const subscriptions = fc.array(fc.array(fc.nat(4), { minLength: 0, maxLength: 5 }), { minLength: 1, maxLength: 7 })
const groupOf = (topics: Topics, wishes: readonly (readonly number[])[]): AssignedMember[] =>
  wishes.map((wish, i) =>
    member(
      `m${i}`,
      wish.map((topic) => `t${topic}`).filter((topic) => topics.has(topic)),
    ),
  )

for (const [name, assignor] of Object.entries(assignors))
  test(`${name}: every partition goes to one member that subscribes to its topic`, () => {
    fc.assert(
      fc.property(sizes, subscriptions, (counts, wishes) => {
        const topics = topicsFrom(counts)
        const members = groupOf(topics, wishes)
        checkWhole(members, topics, assignor(members, partitionsOf(topics)))
      }),
      { numRuns: 300 },
    )
  })

test('uniform: even, also after members come and go and subscriptions change', () => {
  fc.assert(
    fc.property(sizes, subscriptions, subscriptions, (counts, first, second) => {
      const topics = topicsFrom(counts)
      const before = groupOf(topics, first)
      const had = assignors.uniform(before, partitionsOf(topics))
      checkEven(before, had)
      const after = groupOf(topics, second).map((one, i) => ({ ...one, target: had[i] ?? one.target }))
      const has = assignors.uniform(after, partitionsOf(topics))
      checkWhole(after, topics, has)
      checkEven(after, has)
    }),
    { numRuns: 300 },
  )
})
test('uniform: with one subscription for all, no more moves than must', () => {
  fc.assert(
    fc.property(sizes, fc.integer({ min: 1, max: 6 }), fc.integer({ min: 1, max: 6 }), (counts, count, later) => {
      const topics = topicsFrom(counts)
      const make = (n: number): AssignedMember[] => Array.from({ length: n }, (_, i) => member(`m${i}`, topics.keys()))
      const had = assignors.uniform(make(count), partitionsOf(topics))
      const members = make(later).map((one, i) => ({ ...one, target: had[i] ?? one.target }))
      const has = assignors.uniform(members, partitionsOf(topics))
      const total = counts.reduce((sum, n) => sum + n, 0)
      const share = Math.floor(total / later)
      let larger = total % later
      // Each keeps what it had up to its share, and so many of them one more.
      const mayKeep = had.slice(0, later).reduce((sum, of) => {
        const extra = load(of) > share && larger-- > 0 ? 1 : 0
        return sum + Math.min(load(of), share + extra)
      }, 0)
      const kept = has.reduce((sum, of, i) => {
        const before = new Set(places(had[i] ?? new Map()))
        return sum + places(of).filter((place) => before.has(place)).length
      }, 0)
      assert.equal(kept, mayKeep)
    }),
    { numRuns: 300 },
  )
})
test('range: consecutive partitions, the same of each topic, static members first', () => {
  const topics = new Map([
    ['a', 5],
    ['b', 5],
  ])
  const members = [
    { ...member('z', ['a', 'b']), instanceId: null },
    { ...member('y', ['a', 'b']), instanceId: 'second' },
    { ...member('x', ['a', 'b']), instanceId: 'first' },
  ]
  const given = assignors.range(members, partitionsOf(topics)).map(places)
  assert.deepEqual(given[2], ['a/0', 'a/1', 'b/0', 'b/1'])
  assert.deepEqual(given[1], ['a/2', 'a/3', 'b/2', 'b/3'])
  assert.deepEqual(given[0], ['a/4', 'b/4'])
})
test('uniform: ten thousand partitions and a thousand members take no second', () => {
  const topics = new Map(Array.from({ length: 100 }, (_, i) => [`t${i}`, 100]))
  const members = Array.from({ length: 1_000 }, (_, i) =>
    member(`m${i}`, i % 2 === 0 ? topics.keys() : [...topics.keys()].slice(50)),
  )
  const began = performance.now()
  const given = assignors.uniform(members, partitionsOf(topics))
  checkWhole(members, topics, given)
  assert.ok(performance.now() - began < 5_000)
})
