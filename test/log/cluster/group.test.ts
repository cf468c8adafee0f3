/** The parts of a membership that need no cluster: what is said, who gets what, and when a claim is lost. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { asClaim, clusterClaim, type ClusterClaim, covers, renew } from '../../../src/log/cluster/group/claim.ts'
import {
  decodeAssignment,
  decodeSubscription,
  encodeAssignment,
  encodeSubscription,
  type Subscription,
} from '../../../src/log/cluster/group/consumer-protocol.ts'
import { lead } from '../../../src/log/cluster/group/lead.ts'
import { type Change, Offers } from '../../../src/log/cluster/group/offers.ts'
import { processOf, transactionalIdOf } from '../../../src/log/cluster/commit/transactions.ts'
import type { Partition } from '../../../src/log/log.ts'

const at = (index: number, topic = 't'): Partition => ({ topic, index })
const places = (of: readonly Partition[]): string => of.map(({ topic, index }) => `${topic}${index}`).join(' ')
function subscription(held: Partition[], more: Partial<Subscription['said']> = {}): Subscription {
  const said = { process: 'p', peer: null, name: null, standbys: 0, whole: false, warm: [], ...more }
  return { topics: ['t'], held, said }
}

test('what members and the leader say comes back as it was said', () => {
  const said = subscription([at(1), at(2, 'ü')], { name: 'worker', standbys: 2, warm: [at(9)], peer: 'h:1' })
  assert.deepEqual(decodeSubscription(encodeSubscription(said)), said)
  const assignment = {
    active: [at(0), at(3, 'u')],
    said: { standby: [at(1)], kept: [at(2)], members: [{ member: 'm', process: 'p', peer: null }] },
  }
  assert.deepEqual(decodeAssignment(encodeAssignment(assignment)), assignment)
})

test('bytes of others are nothing of ours, and break nothing', () => {
  const theirs = Buffer.from('0001000000010001740000000000000000', 'hex')
  assert.equal(decodeSubscription(theirs), null)
  assert.equal(decodeSubscription(Buffer.from('00')), null)
  assert.equal(decodeSubscription(Buffer.from('7fff7fffffff', 'hex')), null)
  assert.deepEqual(decodeAssignment(Buffer.alloc(0)).active, [])
  const plain = Buffer.from('0000' + '00000001' + '0001' + '74' + '00000001' + '00000005' + 'ffffffff', 'hex')
  assert.equal(places(decodeAssignment(plain).active), 't5')
})

test('a partition goes to nobody else before its holder has given it up', () => {
  const topics = [{ name: 't', partitions: 2 }]
  const first = lead(
    'g',
    [
      { member: 'a', subscription: subscription([at(0), at(1)]) },
      { member: 'b', subscription: subscription([]) },
    ],
    topics,
  )
  const [a, b] = [first.get('a')!, first.get('b')!]
  assert.deepEqual([places(a.active), places(a.said.kept)], ['t0', 't1'])
  assert.deepEqual([places(b.active), places(b.said.kept)], ['', ''])
  const second = lead(
    'g',
    [
      { member: 'a', subscription: subscription([at(0)]) },
      { member: 'b', subscription: subscription([]) },
    ],
    topics,
  )
  assert.deepEqual([places(second.get('a')!.active), places(second.get('b')!.active)], ['t0', 't1'])
  assert.deepEqual(
    second.get('b')!.said.members.map(({ member }) => member),
    ['a', 'b'],
  )
})

test('who holds or has a partition warm keeps it; standbys lie elsewhere', () => {
  const assigned = lead(
    'g',
    [
      { member: 'a', subscription: subscription([], { warm: [at(1)], standbys: 1 }) },
      { member: 'b', subscription: subscription([at(0)], { standbys: 1 }) },
    ],
    [{ name: 't', partitions: 2 }],
  )
  assert.deepEqual([places(assigned.get('a')!.active), places(assigned.get('b')!.active)], ['t1', 't0'])
  assert.deepEqual([places(assigned.get('a')!.said.standby), places(assigned.get('b')!.said.standby)], ['t0', 't1'])
})

const claimOf = (generation: number, ...partitions: Partition[]): ClusterClaim => ({
  group: 'g',
  memberId: 'm',
  generation,
  partitions,
  lost: false,
})

test('a claim goes on only into the very next generation, and only with all it covers', () => {
  const kept = claimOf(3, at(0), at(1))
  renew(kept, 4, [at(0), at(1), at(2)])
  assert.deepEqual([kept.lost, kept.generation], [false, 4])
  const smaller = claimOf(3, at(0), at(1))
  renew(smaller, 4, [at(0)])
  assert.deepEqual([smaller.lost, smaller.generation], [true, 3])
  const missed = claimOf(3, at(0))
  renew(missed, 5, [at(0)])
  assert.ok(missed.lost, 'in generation 4 somebody else may have had it')
  assert.ok(covers(kept, [at(1)]) && !covers(kept, [at(2)]))
  assert.equal(clusterClaim(asClaim(kept)), kept)
})

interface Watched {
  readonly offers: Offers
  readonly seen: Change[]
  releases: number
}
function watched(): Watched {
  const one: Watched = { offers: new Offers({ group: 'g', released: () => one.releases++ }), seen: [], releases: 0 }
  void (async (): Promise<void> => {
    for await (const change of one.offers.changes()) one.seen.push(change)
  })()
  return one
}
const turn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
const wish = (...active: Partition[]) => ({ active, standby: [] })

test('one change at a time: the next comes when it is accepted, and only the newest', async () => {
  const { offers, seen } = watched()
  offers.assigned({ id: 'm', generation: 1 }, wish(at(0)), [])
  await turn()
  offers.assigned({ id: 'm', generation: 2 }, wish(at(0), at(1)), [])
  offers.assigned({ id: 'm', generation: 3 }, wish(at(0), at(2)), [])
  await turn()
  assert.deepEqual(
    seen.map(({ active }) => places(active)),
    ['t0'],
  )
  seen[0]!.accept()
  await turn()
  assert.deepEqual(
    seen.map(({ active }) => places(active)),
    ['t0', 't0 t2'],
  )
  assert.equal(clusterClaim(seen[0]!.claim).lost, false, 'the old claim stands until the new one is accepted')
  seen[1]!.accept()
  assert.equal(clusterClaim(seen[0]!.claim).lost, true)
  assert.equal(clusterClaim(seen[1]!.claim).generation, 3)
  offers.end()
})

test('a rebalance that leaves everything where it is offers nothing, and the claim goes on', async () => {
  const { offers, seen } = watched()
  offers.assigned({ id: 'm', generation: 1 }, wish(at(0)), [])
  await turn()
  seen[0]!.accept()
  offers.assigned({ id: 'm', generation: 2 }, wish(at(0)), [])
  await turn()
  assert.equal(seen.length, 1)
  assert.deepEqual(clusterClaim(seen[0]!.claim).generation, 2)
  offers.end()
})

test('what moves is held until the task accepts, and said to be free then', async () => {
  const one = watched()
  one.offers.assigned({ id: 'm', generation: 1 }, wish(at(0), at(1)), [])
  await turn()
  one.seen[0]!.accept()
  one.offers.assigned({ id: 'm', generation: 2 }, wish(at(0)), [at(1)])
  await turn()
  assert.equal(places(one.offers.held), 't0 t1')
  assert.deepEqual([clusterClaim(one.seen[0]!.claim).lost, one.releases], [false, 0])
  one.seen[1]!.accept()
  assert.deepEqual([clusterClaim(one.seen[0]!.claim).lost, one.releases], [true, 1])
  assert.equal(places(one.offers.held), 't0')
  one.offers.end()
})

test('thrown out, a member holds nothing, and is offered a new claim for what it gets again', async () => {
  const { offers, seen } = watched()
  offers.assigned({ id: 'm', generation: 4 }, wish(at(0)), [])
  await turn()
  seen[0]!.accept()
  offers.lose()
  assert.equal(clusterClaim(seen[0]!.claim).lost, true)
  assert.equal(places(offers.held), '')
  offers.assigned({ id: 'n', generation: 6 }, wish(at(0)), [])
  await turn()
  assert.equal(seen.length, 2)
  assert.deepEqual(clusterClaim(seen[1]!.claim).memberId, 'n')
  offers.end()
})

test('a generation that was missed costs the claim, even if the partitions came back', async () => {
  const { offers, seen } = watched()
  offers.assigned({ id: 'm', generation: 4 }, wish(at(0)), [])
  await turn()
  seen[0]!.accept()
  offers.assigned({ id: 'm', generation: 6 }, wish(at(0)), [])
  await turn()
  assert.equal(clusterClaim(seen[0]!.claim).lost, true)
  assert.equal(seen.length, 2)
  offers.end()
})

test('a transactional id names its process, and only ours do', () => {
  assert.equal(processOf(transactionalIdOf('0d9e-77', 3)), '0d9e-77')
  assert.equal(processOf('somebody-elses'), null)
})

test('what cannot be divided goes to one member whole, and to another only when it was given up', () => {
  const topics = [
    { name: 't', partitions: 2 },
    { name: 'u', partitions: 1 },
  ]
  const member = (process: string, held: Partition[], of = ['t', 'u']) => ({
    member: process,
    subscription: { ...subscription(held, { process, whole: true }), topics: of },
  })
  const everything = [at(0), at(1), at(0, 'u')]
  const owners = new Set<string>()
  for (let i = 0; i < 20; i++) {
    const given = lead(`g${i}`, [member('a', []), member('b', [])], topics)
    const owner = [...given].find(([, { active }]) => active.length > 0)![0]
    owners.add(owner)
    assert.equal(places(given.get(owner)!.active), places(everything))
    assert.equal(given.get(owner === 'a' ? 'b' : 'a')!.active.length, 0)
    // It is moved to the same one, whoever holds it now, in two steps.
    const other = owner === 'a' ? 'b' : 'a'
    const moving = lead(`g${i}`, [member(owner, []), member(other, everything)], topics)
    assert.deepEqual([moving.get(owner)!.active, moving.get(other)!.active], [[], []])
    assert.equal(places(moving.get(other)!.said.kept), places(everything))
  }
  assert.deepEqual([...owners].sort(), ['a', 'b'], 'groups spread over the members')
  // Who reads a topic less would leave it to nobody.
  for (let i = 0; i < 20; i++)
    assert.equal(lead(`g${i}`, [member('a', [], ['t']), member('b', [])], topics).get('b')!.active.length, 3)
})
