/** What groups may hold in memory, and what happens to those that would hold more. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import type { LocalLog } from '../../../src/log/local/local-log.ts'
import { openLocalLog } from '../../../src/log/local/open.ts'
import { limits } from '../../../src/lib/limits.ts'
import { at, memoryLog, memoryWorld, off, withTopic } from './support.ts'

setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void
const kb = 1_000

const join = (
  log: LocalLog,
  group: string,
  metadata: Uint8Array,
  more: { instanceId?: string; memberId?: string } = {},
) =>
  log.coordinator.join({
    group,
    memberId: more.memberId ?? '',
    instanceId: more.instanceId ?? null,
    clientId: 'client',
    host: '/127.0.0.1',
    protocolType: 'any',
    protocols: [{ name: 'own', metadata }],
    sessionTimeoutMs: 1_000_000,
    rebalanceTimeoutMs: 1_000_000,
    memberIdRequired: false,
    skipsAssignment: true,
  })
const codeOf = (answer: object): string => ('fault' in answer ? (answer.fault as { code: string }).code : 'ok')
const heartbeat = (log: LocalLog, group: string, memberId: string, epoch: number, topics: string[] | null) =>
  log.coordinator.consumerHeartbeat({
    group,
    memberId,
    epoch,
    instanceId: null,
    rackId: null,
    rebalanceTimeoutMs: epoch === 0 ? 60_000 : -1,
    topics,
    pattern: null,
    assignor: null,
    owned: epoch === 0 ? [] : null,
    clientId: 'c',
    host: '/127.0.0.1',
  })
const commit = async (log: LocalLog, group: string, indexes: readonly number[], metadata = '') =>
  (
    await log.coordinator.commit({
      group,
      generation: -1,
      memberId: '',
      instanceId: null,
      offsets: indexes.map((index) => ({ partition: at('t', index), offset: off(1), leaderEpoch: -1, metadata })),
    })
  ).map((fault) => fault?.code ?? 'ok')

test('500 groups with 900 KB each: those that fit are served, the others refused, and memory keeps to the limit', async () => {
  const log = await memoryLog({ groupBounds: { groupsBytes: 32_000_000 } })
  collect()
  const before = process.memoryUsage().arrayBuffers
  const codes: string[] = []
  for (let i = 0; i < 500; i++) {
    // As it comes from the wire: a view of a larger buffer.
    const frame = Buffer.alloc(1_800 * kb, i)
    void join(log, `g${i}`, frame.subarray(10, 10 + 900 * kb)).then((answer) => codes.push(codeOf(answer)))
    if (i % 20 === 0) await new Promise((resolve) => setImmediate(resolve))
  }
  while (codes.length < 500) await new Promise((resolve) => setTimeout(resolve, 20))
  assert.equal(codes.filter((code) => code === 'ok').length, 35)
  assert.equal(codes.filter((code) => code === 'log.groups-full').length, 465)
  // The disk of this test is memory too, and the journal writes each group once. What is collected is given back later.
  let grown = Infinity
  for (let look = 0; look < 20 && grown >= 120_000_000; look++) {
    collect()
    await new Promise((resolve) => setTimeout(resolve, 10))
    grown = process.memoryUsage().arrayBuffers - before
  }
  assert.ok(grown < 120_000_000, `${grown} bytes`)
  await log.close()
})
test('one group may not take it all; what leaves makes room', async () => {
  const log = await memoryLog({ groupBounds: { groupBytes: 100 * kb, groupsBytes: 150 * kb } })
  assert.equal(codeOf(await join(log, 'large', Buffer.alloc(101 * kb))), 'log.groups-full')
  assert.equal(await log.coordinator.describe('large'), null, 'nothing is left of it')
  const first = await join(log, 'a', Buffer.alloc(80 * kb))
  assert.ok(!('fault' in first))
  assert.equal(codeOf(await join(log, 'b', Buffer.alloc(80 * kb))), 'log.groups-full')
  assert.equal(codeOf(await join(log, 'b', Buffer.alloc(50 * kb))), 'ok')
  const again = { memberId: first.memberId }
  assert.equal(codeOf(await join(log, 'a', Buffer.alloc(99 * kb), again)), 'log.groups-full', 'no room to grow')
  assert.equal(codeOf(await join(log, 'a', Buffer.alloc(80 * kb), again)), 'ok', 'the same is no more')
  await log.coordinator.leave('b', [{ memberId: '', instanceId: null, reason: null }])
  const [fault] = await log.coordinator.leave('a', [{ memberId: first.memberId, instanceId: null, reason: null }])
  assert.equal(fault, null)
  assert.equal(codeOf(await join(log, 'c', Buffer.alloc(80 * kb))), 'ok')
  await log.close()
})
test('a static member that comes back needs no room of its own, an assignment does', async () => {
  const log = await memoryLog({ groupBounds: { groupBytes: 100 * kb } })
  assert.equal(codeOf(await join(log, 's', Buffer.alloc(80 * kb), { instanceId: 'i' })), 'ok')
  const back = await join(log, 's', Buffer.alloc(80 * kb), { instanceId: 'i' })
  assert.ok(!('fault' in back))
  const sync = (bytes: number) =>
    log.coordinator.sync({
      group: 's',
      generation: back.generation,
      memberId: back.memberId,
      instanceId: 'i',
      protocolType: 'any',
      protocol: 'own',
      assignments: [{ memberId: back.memberId, assignment: Buffer.alloc(bytes) }],
    })
  assert.equal(codeOf(await sync(20 * kb)), 'log.groups-full')
  assert.equal(codeOf(await sync(10 * kb)), 'ok')
  await log.close()
})
test('members of the consumer protocol are counted by what they subscribe to', async () => {
  const log = await memoryLog({ groupBounds: { groupsBytes: 45 * kb } })
  const many = Array.from({ length: 200 }, (_, i) => `topic-${i}`)
  const joined = await heartbeat(log, 'g', 'm', 0, many)
  assert.ok('epoch' in joined)
  assert.equal(codeOf(await heartbeat(log, 'h', 'n', 0, many)), 'log.groups-full')
  assert.equal(await log.coordinator.describeConsumer('h'), null, 'nothing is left of it')
  const twice = [...many, ...many.map((name) => `${name}-more`)]
  assert.equal(codeOf(await heartbeat(log, 'g', 'm', joined.epoch, twice)), 'log.groups-full')
  assert.equal((await log.coordinator.describeConsumer('g'))?.members[0]?.topics.length, 200)
  assert.ok('epoch' in (await heartbeat(log, 'g', 'm', joined.epoch, many.slice(0, 10))))
  assert.ok('epoch' in (await heartbeat(log, 'h', 'n', 0, many.slice(0, 100))), 'what was given up is there for others')
  await log.close()
})
test('committed positions are bounded too; those that are there move on', async () => {
  const log = await memoryLog({ groupBounds: { positionsBytes: 10 * kb } })
  await withTopic(log, 't', {}, 50)
  assert.deepEqual(await commit(log, 'a', [0, 1]), ['ok', 'ok'])
  const some = await commit(
    log,
    'a',
    Array.from({ length: 48 }, (_, i) => i + 2),
  )
  assert.ok(some.includes('ok') && some.includes('log.positions-full'), some.join())
  assert.deepEqual(await commit(log, 'b', [0]), ['log.positions-full'])
  assert.deepEqual(await commit(log, 'a', [0]), ['ok'])
  assert.deepEqual(await commit(log, 'a', [0], 'x'.repeat(4_000)), ['log.positions-full'])
  assert.deepEqual(await log.coordinator.remove(['a']), [null])
  assert.deepEqual(await commit(log, 'b', [0]), ['ok'])
  await log.close()
})
test('what is read back at the start is counted and never refused', async () => {
  const world = memoryWorld()
  const open = (groupsBytes: number) =>
    openLocalLog({ world, dir: '/data', initialRebalanceDelayMs: 5, groupBounds: { groupsBytes } })
  const log = await open(limits.groupsBytes)
  for (const group of ['a', 'b']) {
    const joined = await join(log, group, Buffer.alloc(50 * kb))
    assert.ok(!('fault' in joined))
    const { generation, memberId } = joined
    const assignments = [{ memberId, assignment: Buffer.alloc(10) }]
    const who = { group, generation, memberId, instanceId: null, protocolType: 'any', protocol: 'own' }
    assert.equal(codeOf(await log.coordinator.sync({ ...who, assignments })), 'ok')
  }
  await log.close()
  const smaller = await open(60 * kb)
  assert.equal((await smaller.coordinator.describe('b'))?.members.length, 1)
  assert.equal(codeOf(await join(smaller, 'c', Buffer.alloc(kb))), 'log.groups-full')
  await smaller.close()
})
