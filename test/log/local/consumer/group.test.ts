import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import type { Fault } from '../../../../src/lib/fault.ts'
import { Bench, Client } from './bench.ts'

const faultOf = (call: () => unknown): string => {
  try {
    call()
    return 'ok'
  } catch (error) {
    return (error as Fault).code
  }
}
const join = (bench: Bench, memberId: string, topics: string[], more: object = {}) =>
  bench.heartbeat({ memberId, epoch: 0, rebalanceTimeoutMs: 60_000, topics, owned: [], ...more })
const indexes = (answer: { assignment: readonly { partitions: readonly number[] }[] | null }): number[] | null =>
  answer.assignment === null ? null : answer.assignment.flatMap(({ partitions }) => [...partitions])
const withTopic = (partitions = 4): Bench => {
  const bench = new Bench()
  bench.topic('t', partitions)
  return bench
}

test('the first member gets everything at once; a second one what the first has given up', () => {
  const bench = withTopic()
  const a = join(bench, 'a', ['t'])
  assert.deepEqual([a.epoch, indexes(a)], [2, [0, 1, 2, 3]])
  const b = join(bench, 'b', ['t'])
  assert.deepEqual([b.epoch, indexes(b)], [3, []], 'nothing while the first has it')
  assert.equal(bench.group.state.state(), 'Reconciling')
  const told = bench.heartbeat({ memberId: 'a', epoch: 2 })
  assert.deepEqual([told.epoch, indexes(told)], [2, [0, 1]], 'it stays in its epoch until it has given up')
  assert.equal(indexes(bench.heartbeat({ memberId: 'b', epoch: 3 })), null)
  const topicId = bench.topics.get('t')!.id
  const done = bench.heartbeat({ memberId: 'a', epoch: 2, owned: [{ topicId, partitions: [0, 1] }] })
  assert.deepEqual([done.epoch, indexes(done)], [3, null])
  assert.deepEqual(indexes(bench.heartbeat({ memberId: 'b', epoch: 3 })), [2, 3])
  assert.equal(bench.group.state.state(), 'Stable')
})
test('epochs: a newer one is fenced, the one before is taken when the answer may have been lost', () => {
  const bench = withTopic()
  join(bench, 'a', ['t'])
  assert.equal(
    faultOf(() => bench.heartbeat({ memberId: 'a', epoch: 9 })),
    'log.fenced-member-epoch',
  )
  assert.equal(
    faultOf(() => bench.heartbeat({ memberId: 'x', epoch: 2 })),
    'log.unknown-member',
  )
  bench.topic('t', 5)
  assert.equal(bench.heartbeat({ memberId: 'a', epoch: 2 }).epoch, 3)
  assert.equal(
    faultOf(() => bench.heartbeat({ memberId: 'a', epoch: 2 })),
    'log.fenced-member-epoch',
    'owns nothing said',
  )
  const topicId = bench.topics.get('t')!.id
  assert.equal(bench.heartbeat({ memberId: 'a', epoch: 2, owned: [{ topicId, partitions: [0, 1, 2, 3] }] }).epoch, 3)
  assert.equal(
    faultOf(() => bench.heartbeat({ memberId: 'a', epoch: 1, owned: [] })),
    'log.fenced-member-epoch',
  )
})
test('a static member that leaves for a while gets what it had back, under another id', () => {
  const bench = withTopic()
  join(bench, 'a', ['t'], { instanceId: 'i' })
  const other = join(bench, 'b', ['t'], { instanceId: 'j' })
  assert.equal(
    faultOf(() => join(bench, 'c', ['t'], { instanceId: 'i' })),
    'log.unreleased-instance',
  )
  bench.leave('a', -2, 'i')
  const epoch = bench.group.state.epoch
  const back = join(bench, 'c', ['t'], { instanceId: 'i' })
  assert.equal(bench.group.state.epoch, epoch, 'nobody else is disturbed')
  assert.deepEqual(indexes(back)?.length, 2)
  assert.equal(
    faultOf(() => bench.heartbeat({ memberId: 'a', epoch: 2, instanceId: 'i' })),
    'log.fenced-instance',
  )
  assert.equal(
    faultOf(() => bench.heartbeat({ memberId: 'a', epoch: 2 })),
    'log.unknown-member',
  )
  bench.leave('c', -2, 'i')
  assert.deepEqual(bench.pass(45_001).toSorted(), ['b', 'c'], 'away for longer than a session is gone')
  assert.equal(other.memberId, 'b')
})
test('who does not give up what it was told to is out after its rebalance timeout', () => {
  const bench = withTopic()
  join(bench, 'a', ['t'], { rebalanceTimeoutMs: 10_000 })
  join(bench, 'b', ['t'])
  bench.heartbeat({ memberId: 'a', epoch: 2 })
  for (let i = 0; i < 9; i++) {
    assert.deepEqual(bench.pass(1_000), [])
    bench.heartbeat({ memberId: 'a', epoch: 2 })
    bench.heartbeat({ memberId: 'b', epoch: 3 })
  }
  assert.deepEqual(bench.pass(1_000), ['a'])
  assert.equal(
    faultOf(() => bench.heartbeat({ memberId: 'a', epoch: 2 })),
    'log.unknown-member',
  )
  assert.deepEqual(indexes(bench.heartbeat({ memberId: 'b', epoch: 3 }))?.length, 4)
})
test('a pattern: topics that match it, and those that come later', () => {
  const bench = new Bench()
  for (const name of ['red-1', 'red-2', 'blue']) bench.topic(name, 1)
  const a = join(bench, 'a', [], { topics: null, pattern: 'red-.*' })
  assert.deepEqual(indexes(a), [], 'it is resolved a moment later')
  bench.resolve()
  const named = (): string[] => bench.group.describe().members[0]!.assigned.map(({ topic }) => topic)
  bench.heartbeat({ memberId: 'a', epoch: a.epoch })
  assert.deepEqual(named(), ['red-1', 'red-2'])
  bench.topic('red-3', 1)
  bench.topic('a-red-4', 1)
  bench.pass(1_000)
  const { epoch } = bench.group.state.progressOf('a')
  bench.heartbeat({ memberId: 'a', epoch })
  bench.resolve()
  bench.heartbeat({ memberId: 'a', epoch })
  assert.deepEqual(named(), ['red-1', 'red-2', 'red-3'])
  const refused = (pattern: string): string => faultOf(() => join(bench, 'b', [], { topics: null, pattern }))
  for (const pattern of ['(', 'a(?=b)', '(a)\\1', '(a{1,1000}){1,1000}', 'a{1,1000}'.repeat(50), 'x'.repeat(2_000)])
    assert.equal(refused(pattern), 'log.invalid-pattern', pattern)
  assert.equal(refused('^(([a-z])+.)+[A-Z]([a-z])+$'), 'ok')
})
test('commits: in the epoch of the member, or an older one in which it had the partition already', () => {
  const bench = withTopic(2)
  join(bench, 'a', ['t'])
  bench.topic('t', 3)
  bench.heartbeat({ memberId: 'a', epoch: 2 })
  const commit = (epoch: number, index: number, knowsEpochs = true): string =>
    faultOf(() =>
      bench.group.checkCommit({
        memberId: 'a',
        instanceId: null,
        epoch,
        transactional: false,
        knowsEpochs,
        partitions: [{ topic: 't', index }],
      }),
    )
  assert.deepEqual(
    [commit(3, 2), commit(2, 0), commit(2, 2), commit(4, 0), commit(3, 0, false)],
    ['ok', 'ok', 'log.stale-member-epoch', 'log.stale-member-epoch', 'log.client-too-old'],
  )
  assert.deepEqual(
    [
      faultOf(() => bench.group.checkFetch('a', 3)),
      faultOf(() => bench.group.checkFetch('a', 2)),
      faultOf(() => bench.group.checkFetch('b', 3)),
      faultOf(() => bench.group.checkFetch(null, -1)),
    ],
    ['ok', 'log.stale-member-epoch', 'log.unknown-member', 'ok'],
  )
})
test('the assignor that most members ask for; one that is not there is refused', () => {
  const bench = withTopic()
  assert.equal(
    faultOf(() => join(bench, 'a', ['t'], { assignor: 'mine' })),
    'log.unsupported-assignor',
  )
  join(bench, 'a', ['t'], { assignor: 'range' })
  assert.equal(bench.group.describe().assignor, 'range')
  join(bench, 'b', ['t'], { assignor: 'uniform' })
  join(bench, 'c', ['t'], { assignor: 'uniform' })
  assert.equal(bench.group.describe().assignor, 'uniform')
})
test('between two assignments the interval is kept', () => {
  const bench = withTopic()
  bench.settings = { ...bench.settings, assignmentMs: 1_000 }
  assert.deepEqual(indexes(join(bench, 'a', ['t'])), [0, 1, 2, 3])
  bench.pass(500)
  join(bench, 'b', ['t'])
  assert.equal(bench.group.state.state(), 'Assigning')
  assert.equal(bench.heartbeat({ memberId: 'a', epoch: 2 }).assignment, null)
  bench.pass(500)
  assert.deepEqual(indexes(bench.heartbeat({ memberId: 'a', epoch: 2 }))?.length, 2)
})
test('small groups are asked for heartbeats more often, unless the group has a setting', () => {
  const bench = withTopic()
  assert.equal(join(bench, 'a', ['t']).heartbeatMs, 100, 'others may be coming')
  bench.pass(3_000)
  assert.equal(bench.heartbeat({ memberId: 'a', epoch: 2 }).heartbeatMs, 500)
  for (let i = 0; i < 40; i++) join(bench, `m${i}`, ['t'])
  assert.equal(bench.group.heartbeatMs('a', bench.nowMs), 41 * 50)
  bench.settings = { ...bench.settings, heartbeatMs: 5_000 }
  assert.equal(bench.group.heartbeatMs('a', bench.nowMs), 5_000)
})

/** Everything that must hold at any time. */
function check(bench: Bench, clients: readonly Client[]): void {
  const { state } = bench.group
  const owners = new Map<string, string>()
  for (const [member, { assigned, revoking }] of state.progress)
    for (const holding of [assigned, revoking])
      for (const [topicId, epochs] of holding)
        for (const index of epochs.keys()) {
          const place = `${topicId}/${index}`
          assert.equal(owners.get(place), undefined, `${place} is with two members`)
          owners.set(place, member)
          assert.equal(state.ownerOf(topicId, index), member)
        }
  const holders = new Map<string, string>()
  for (const client of clients) {
    // One that was thrown out and does not know yet may still believe that it holds something.
    const progress = state.progress.get(client.memberId)
    if (progress === undefined || client.epoch === 0 || client.epoch > progress.epoch) continue
    for (const place of client.held) {
      assert.equal(holders.get(place), undefined, `${place} is held by ${client.memberId} too`)
      holders.set(place, client.memberId)
    }
  }
}
function checkRestored(bench: Bench): void {
  const restored = bench.restored()
  const described = ({ members, ...rest }: ReturnType<typeof restored.describe>): unknown => ({
    ...rest,
    members: members.toSorted((a, b) => (a.id < b.id ? -1 : 1)),
  })
  assert.deepEqual(described(restored.describe()), described(bench.group.describe()))
  assert.deepEqual(new Map(restored.state.patterns), new Map(bench.group.state.patterns))
}
/** After a session and some heartbeats everybody has its share, and all is held by one. */
function settle(bench: Bench, clients: readonly Client[]): void {
  for (let round = 0; round < 90; round++) {
    bench.pass(1_100)
    for (const client of clients) {
      client.obey()
      client.beat()
      bench.resolve()
    }
  }
  if (clients.length === 0) return
  assert.equal(bench.group.state.state(), 'Stable')
  const wanted = new Set<string>()
  for (const client of clients)
    for (const [name, { id, partitions }] of bench.topics) {
      const matched = client.pattern !== null && new RegExp(`^(?:${client.pattern})$`).test(name)
      if (matched || client.topics.includes(name)) for (let i = 0; i < partitions; i++) wanted.add(`${id}/${i}`)
    }
  const held = clients.flatMap((client) => [...client.held])
  assert.equal(new Set(held).size, held.length)
  // A topic that is gone may stand in what a client holds until it is told something else.
  assert.deepEqual(
    held.filter((place) => bench.nameOf(place.split('/')[0]!) !== place.split('/')[0]).toSorted(),
    [...wanted].toSorted(),
  )
}
const steps = fc.array(fc.tuple(fc.nat(13), fc.nat(5), fc.nat(3)), { minLength: 1, maxLength: 120 })
const names = ['t0', 't1', 'u0', 'u1']

test('clients that come, go, lose answers and fall silent, topics that change, writes that fail, restarts', () => {
  fc.assert(
    fc.property(steps, (script) => {
      const bench = new Bench()
      bench.topic('t0', 3)
      let clients: Client[] = []
      let ids = 0
      for (const [what, who, which] of script) {
        const client = clients[who % Math.max(1, clients.length)]
        switch (what) {
          case 0:
          case 1: {
            if (clients.length > 6) break
            const wishes = [
              { topics: names.slice(0, which + 1) },
              { topics: [names[which]!] },
              { pattern: 't.' },
              { pattern: '[tu]1' },
            ]
            clients.push(new Client(bench, `m${ids++}`, wishes[(who + which) % 4]!))
            clients.at(-1)!.beat()
            break
          }
          case 2:
            if (client === undefined || client.epoch === 0) break
            if (faultOf(() => bench.leave(client.memberId)) !== 'log.unknown-member')
              clients = clients.filter((one) => one !== client)
            break
          case 3:
            bench.topic(names[which]!, Math.max(bench.topics.get(names[which]!)?.partitions ?? 0, who + 1))
            break
          case 4:
            if (who === 0) bench.removeTopic(names[which]!)
            break
          case 5:
            client?.beat(false)
            break
          case 6:
            // It falls silent, and then believes that it still holds what it had.
            bench.pass(which * 20_000)
            break
          case 7:
            client?.subscribe(names.slice(which), which === 3 ? 't0|u.' : null)
            break
          case 8:
            if (which === 0) {
              bench.fail(who)
              // A client whose request failed has got an error; it says everything again. One ahead of the group is fenced.
              for (const one of clients) one.subscribe(one.topics, one.pattern)
            }
            break
          case 9:
            if (which === 1) bench.restart()
            break
          case 10:
            bench.resolve()
            break
          default:
            client?.obey()
            client?.beat()
        }
        check(bench, clients)
        checkRestored(bench)
      }
      settle(bench, clients)
      checkRestored(bench)
    }),
    {
      numRuns: Number(process.env['RUNS'] ?? 300),
      ...(process.env['SEED'] === undefined ? {} : { seed: Number(process.env['SEED']) }),
    },
  )
})
