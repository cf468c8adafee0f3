import assert from 'node:assert/strict'
import { test } from 'node:test'
import { simulate } from '../../../src/lib/sim/world.ts'
import type { LocalLog } from '../../../src/log/local/local-log.ts'
import { openLocalLog } from '../../../src/log/local/open.ts'
import { decodeCommitted, decodeKey, encodeCommitted, encodeKey } from '../../../src/log/local/groups/formats.ts'
import { decodeTransactionState, encodeTransactionState } from '../../../src/log/local/transactions/state-format.ts'
import type { TransactionState } from '../../../src/log/local/transactions/state-format.ts'
import { at, memoryLog, memoryWorld, off, withTopic } from './support.ts'

const subscription = (...topics: string[]): Buffer => {
  const parts = [Buffer.from([0, 1, 0, 0, 0, topics.length])]
  for (const topic of topics) parts.push(Buffer.from([0, topic.length]), Buffer.from(topic))
  return Buffer.concat([...parts, Buffer.from([0xff, 0xff, 0xff, 0xff])])
}
const assignment = (topic: string, ...indexes: number[]): Buffer => {
  const numbers = Buffer.alloc(4 + 4 * indexes.length)
  numbers.writeInt32BE(indexes.length)
  indexes.forEach((index, i) => numbers.writeInt32BE(index, 4 + 4 * i))
  return Buffer.concat([
    Buffer.from([0, 1, 0, 0, 0, 1, 0, topic.length]),
    Buffer.from(topic),
    numbers,
    Buffer.from([255, 255, 255, 255]),
  ])
}
async function member(log: LocalLog, group: string, topic: string): Promise<{ memberId: string; generation: number }> {
  const answer = await log.coordinator.join({
    group,
    memberId: '',
    instanceId: null,
    clientId: 'client',
    host: '/127.0.0.1',
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: subscription(topic) }],
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 10_000,
    memberIdRequired: false,
    skipsAssignment: true,
  })
  assert.ok(!('fault' in answer))
  const { memberId, generation } = answer
  const synced = await log.coordinator.sync({
    group,
    generation,
    memberId,
    instanceId: null,
    protocolType: 'consumer',
    protocol: 'range',
    assignments: [{ memberId, assignment: assignment(topic, 0) }],
  })
  assert.ok(!('fault' in synced))
  return { memberId, generation }
}
const commit = async (
  log: LocalLog,
  group: string,
  offset: number,
  who: { memberId: string; generation: number } = { memberId: '', generation: -1 },
  topic = 't',
): Promise<string> => {
  const offsets = [{ partition: at(topic), offset: off(offset), leaderEpoch: 3, metadata: 'note' }]
  const [fault] = await log.coordinator.commit({ group, instanceId: null, offsets, ...who })
  return fault?.code ?? 'ok'
}
const position = async (log: LocalLog, group: string): Promise<unknown> => {
  const [found] = await log.coordinator.offsets(group, [at('t')], true)
  return [found!.offset, found!.leaderEpoch, found!.metadata]
}

test('members and positions survive a restart', async () => {
  const world = memoryWorld()
  let log = await openLocalLog({ world, dir: '/data', initialRebalanceDelayMs: 5 })
  await withTopic(log)
  const one = await member(log, 'g', 't')
  assert.equal(await commit(log, 'g', 5, one), 'ok')
  await log.close()
  log = await openLocalLog({ world, dir: '/data' })
  assert.equal(await log.coordinator.heartbeat({ group: 'g', instanceId: null, ...one }), null)
  assert.deepEqual(await position(log, 'g'), [5, 3, 'note'])
  const described = await log.coordinator.describe('g')
  assert.deepEqual([described?.state, described?.members[0]?.clientId], ['Stable', 'client'])
  const [info] = await log.groups.list()
  assert.deepEqual(info?.members[0]?.held, [at('t')])
  await log.close()
})
test('who may commit, and what', async () => {
  const log = await memoryLog()
  await withTopic(log)
  assert.equal(await commit(log, 'simple', 1), 'ok')
  assert.equal(await commit(log, 'simple', 2, { memberId: 'x', generation: 1 }), 'log.illegal-generation')
  assert.equal(await commit(log, 'simple', 2, undefined, 'nope'), 'log.unknown-partition')
  assert.equal(await commit(log, '', 2), 'log.invalid-group')
  const one = await member(log, 'g', 't')
  assert.equal(await commit(log, 'g', 2), 'log.unknown-member')
  assert.equal(await commit(log, 'g', 2, { ...one, generation: 9 }), 'log.illegal-generation')
  const offsets = [{ partition: at('t'), offset: off(1), leaderEpoch: -1, metadata: 'x'.repeat(4097) }]
  const [fault] = await log.coordinator.commit({
    group: 'simple',
    generation: -1,
    memberId: '',
    instanceId: null,
    offsets,
  })
  assert.equal(fault?.code, 'log.offset-metadata-too-large')
  assert.deepEqual(await position(log, 'never'), [-1, -1, null])
  await log.close()
})
test('groups are removed when empty, offsets when nobody reads their topic', async () => {
  const log = await memoryLog()
  await withTopic(log)
  await withTopic(log, 'other')
  const one = await member(log, 'g', 't')
  await commit(log, 'g', 5, one)
  await commit(log, 'g', 5, one, 'other')
  const codes = (faults: readonly ({ code: string } | null)[]): (string | null)[] =>
    faults.map((fault) => fault?.code ?? null)
  assert.deepEqual(codes(await log.coordinator.remove(['g', 'nope'])), ['log.group-not-empty', 'log.unknown-group'])
  assert.deepEqual(codes(await log.coordinator.removeOffsets('g', [at('t'), at('other')])), [
    'log.group-uses-topic',
    null,
  ])
  await log.coordinator.leave('g', [{ memberId: one.memberId, instanceId: null, reason: null }])
  assert.deepEqual(codes(await log.coordinator.remove(['g'])), [null])
  assert.deepEqual(await log.coordinator.list(), [])
  await log.close()
})
test('a topic that goes takes the positions in it along', async () => {
  const log = await memoryLog()
  await withTopic(log)
  await commit(log, 'g', 5)
  await log.topics.remove(['t'])
  await withTopic(log)
  assert.deepEqual(await position(log, 'g'), [-1, -1, null])
  await log.close()
})
test('tasks and consumers do not share a group', async () => {
  const log = await memoryLog()
  await withTopic(log)
  const task = log.join('tasks', { topics: ['t'], warm: () => [] })
  assert.equal(await commit(log, 'tasks', 1), 'log.unknown-member')
  const joined = await log.coordinator.join({
    group: 'tasks',
    memberId: '',
    instanceId: null,
    clientId: 'c',
    host: 'h',
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: subscription('t') }],
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 10_000,
    memberIdRequired: false,
    skipsAssignment: true,
  })
  assert.ok('fault' in joined && joined.fault.code === 'log.inconsistent-protocol')
  await member(log, 'consumers', 't')
  assert.throws(() => log.join('consumers', { topics: ['t'], warm: () => [] }))
  await task.leave()
  await log.close()
})
test('positions in what a group does not read any more lapse, also while it has members; empty groups go', async () => {
  const world = simulate(2)
  await world.run(async () => {
    const log = await openLocalLog({ world, dir: '/data', offsetsRetentionMs: 3_600_000 })
    await withTopic(log)
    await withTopic(log, 'other')
    const beat = (epoch: number, topics: string[] | null) =>
      log.coordinator.consumerHeartbeat({
        group: 'g',
        memberId: 'm',
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
    const joined = await beat(0, ['t'])
    assert.ok('epoch' in joined)
    const { epoch } = joined
    const offsets = ['t', 'other'].map((topic) => ({
      partition: at(topic),
      offset: off(5),
      leaderEpoch: 3,
      metadata: '',
    }))
    const request = { group: 'g', generation: epoch, memberId: 'm', instanceId: null, knowsEpochs: true, offsets }
    assert.deepEqual(await log.coordinator.commit(request), [null, null])
    const short = { ...request, group: 'short', generation: -1, memberId: '', retentionMs: 60_000 }
    assert.deepEqual(await log.coordinator.commit(short), [null, null])
    const kept = async (group: string): Promise<string[]> =>
      (await log.coordinator.offsets(group, null, false)).map(({ partition }) => partition.topic)
    for (let i = 0; i < 40; i++) {
      await world.clock.sleep(20_000)
      assert.ok('epoch' in (await beat(epoch, null)))
    }
    assert.deepEqual(await kept('short'), [], 'an old client said how long')
    assert.deepEqual(await kept('g'), ['t', 'other'])
    for (let i = 0; i < 180; i++) {
      await world.clock.sleep(20_000)
      assert.ok('epoch' in (await beat(epoch, null)))
    }
    assert.deepEqual(await kept('g'), ['t'])
    await beat(-1, null)
    await world.clock.sleep(5_000_000)
    assert.deepEqual(await log.coordinator.list(), [], 'an empty group without positions is forgotten')
    await log.close()
  })
})
test('positions of a group without members lapse, those of tasks do not', async () => {
  const world = simulate(1)
  await world.run(async () => {
    const log = await openLocalLog({ world, dir: '/data', offsetsRetentionMs: 3_600_000 })
    await withTopic(log)
    await commit(log, 'old', 5)
    await log.groups.reset('task', [{ partition: at('t'), offset: off(7) }])
    await world.clock.sleep(1_800_000)
    await commit(log, 'fresh', 5)
    assert.deepEqual(await position(log, 'old'), [5, 3, 'note'])
    await world.clock.sleep(2_500_000)
    assert.deepEqual(await position(log, 'old'), [-1, -1, null])
    assert.deepEqual(await position(log, 'fresh'), [5, 3, 'note'])
    assert.deepEqual(
      (await log.groups.positions('task')).map(({ offset }) => offset),
      [7],
    )
    await log.close()
  })
})
test('a position that an old client keeps for ever can be read at the next start', async () => {
  const world = simulate(1)
  await world.run(async () => {
    const open = () => openLocalLog({ world, dir: '/data' })
    let log = await open()
    await withTopic(log)
    const faults = await log.coordinator.commit({
      ...{ group: 'g', generation: -1, memberId: '', instanceId: null, knowsEpochs: true },
      offsets: [{ partition: at('t'), offset: off(5), leaderEpoch: 3, metadata: 'note' }],
      retentionMs: Number.MAX_SAFE_INTEGER,
    })
    assert.deepEqual(faults, [null])
    await log.close()
    log = await open()
    assert.deepEqual(await position(log, 'g'), [5, -1, 'note'])
    await log.close()
  })
})
test('a clock that jumps makes no position lapse', async () => {
  const year = 365 * 24 * 3_600_000
  for (const jumps of [
    [10 * year, -10 * year],
    [-10 * year, 10 * year],
  ]) {
    const world = simulate(1)
    await world.run(async () => {
      const log = await openLocalLog({ world, dir: '/data', offsetsRetentionMs: 3_600_000 })
      await withTopic(log)
      await commit(log, 'before', 5)
      world.clock.jump(jumps[0]!)
      await commit(log, 'during', 5)
      await world.clock.sleep(1_300_000)
      world.clock.jump(jumps[1]!)
      await world.clock.sleep(1_300_000)
      for (const group of ['before', 'during']) assert.deepEqual(await position(log, group), [5, 3, 'note'], group)
      await log.close()
    })
  }
})
test('records keep what they are given', () => {
  const key = { kind: 'offset', group: 'grüppe', topic: 't', index: 3 } as const
  assert.deepEqual(decodeKey(encodeKey(key)), key)
  const committed = { offset: off(2 ** 40), leaderEpoch: 4, metadata: 'ä', committedMs: 1_700_000_000_000 }
  assert.deepEqual(decodeCommitted(encodeCommitted(committed)), committed)
  const topicId = '6d696c6c-7261-4365-8000-000000000003'
  const state: TransactionState = {
    producerId: 7,
    epoch: 300,
    timeoutMs: 60_000,
    status: 2,
    updatedMs: 5,
    startedMs: 4,
    ends: [
      { topicId, topic: 'a', index: 1, last: off(10), end: off(12) },
      { topicId, topic: 'a', index: 2, last: off(1), end: off(2) },
      { topicId, topic: 'b', index: 0, last: off(0), end: off(1) },
    ],
    inputs: [{ group: 'g', topic: 'b', index: 200, offset: off(2 ** 50) }],
    pending: [{ producerId: 6, epoch: 1, partitions: [{ topicId, topic: 'x', index: 0 }] }],
    client: null,
  }
  assert.deepEqual(decodeTransactionState(encodeTransactionState(state)), state)
  const client = {
    previousProducerId: 6,
    nextProducerId: 2 ** 40,
    lastEpoch: 299,
    bumps: true,
    partitions: [{ topicId, topic: 'c', index: 9 }],
  }
  for (const part of [
    client,
    { ...client, previousProducerId: -1, nextProducerId: -1, bumps: false, partitions: [] },
  ]) {
    const ofClient = { ...state, status: 1 as const, ends: [], inputs: [], client: part }
    assert.deepEqual(decodeTransactionState(encodeTransactionState(ofClient)), ofClient)
  }
})
