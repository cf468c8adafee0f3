import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from '../../../src/lib/fault.ts'
import type { World } from '../../../src/lib/world.ts'
import { type Header, type RecordInput, decodeBatch, encodeBatch } from '../../../src/log/batch.ts'
import type { LocalLog } from '../../../src/log/local/local-log.ts'
import { openLocalLog } from '../../../src/log/local/open.ts'
import type {
  LetterFacts,
  Outcome,
  QueueRef,
  QueueSettings,
  ReceivedRecord,
  Settlement,
} from '../../../src/log/queues/queues.ts'
import type { QueuesHost } from '../../../src/log/queues/queue.ts'
import { QueueService, type QueueStateLog } from '../../../src/log/queues/service.ts'
import { at, batch, memoryWorld, off } from '../local/support.ts'

const group = 'workers'

const threePartitions: QueuesHost = {
  clock: memoryWorld().clock,
  topic: () => ({ name: 't', partitions: 3 }),
  settings: () => ({
    ...{ lockMs: 1_000, deliveriesMax: 5, locksMax: 10, reset: 'earliest', committedOnly: false, mayRenew: true },
    ...{ orderByKey: false, releaseDelayMs: 0, releaseDelayMaxMs: 0, keepsLocks: false, deadLetter: null },
  }),
  read: async (_, from) => ({ start: off(0), next: from, batches: [], bytes: 0, release: () => undefined }),
  bounds: async () => ({ start: off(0), end: off(9) }),
  findTime: async () => null,
  watch: () => () => undefined,
  bury: async () => undefined,
}
class Work {
  readonly world: World = memoryWorld()
  log!: LocalLog
  of!: QueueRef

  static async open(config: Record<string, string> = {}, topicConfig: Record<string, string> = {}): Promise<Work> {
    const work = new Work()
    await work.boot()
    await work.log.topics.create([{ name: 't', partitions: 1, config: topicConfig }])
    work.of = { topicId: work.log.catalog.byName('t')!.id, index: 0 }
    await work.log.groupConfigs.alter(group, { 'share.auto.offset.reset': 'earliest', ...config })
    return work
  }
  async boot(): Promise<void> {
    this.log = await openLocalLog({ world: this.world, dir: '/data', queueRewriteBytes: 2_000, compactEveryMs: 20 })
  }
  async restart(): Promise<void> {
    await this.log.close()
    await this.boot()
  }
  async write(...values: string[]): Promise<void> {
    const records = values.map((value) => {
      const [key, text] = value.includes('=') ? value.split('=') : [null, value]
      const headers = [['h', Buffer.from('x')]] as const
      return { key: key == null ? null : Buffer.from(key), value: Buffer.from(text!), headers, timeMs: Date.now() }
    })
    const [answer] = await this.log.writer().append([{ partition: at('t'), batch: encodeBatch(records) }])
    assert.ok('offset' in answer!)
  }
  async receive(member: string, recordsMax = 100, waitMs = 0): Promise<ReceivedRecord[]> {
    return this.log.queues.receive({ group, member, of: [this.of], recordsMax, bytesMax: 1_000_000, waitMs })
  }
  async texts(member: string, recordsMax = 100, waitMs = 0): Promise<string[]> {
    return (await this.receive(member, recordsMax, waitMs)).map(
      ({ value, deliveries }) => `${Buffer.from(value!)}${deliveries > 1 ? `#${deliveries}` : ''}`,
    )
  }
  async settle(member: string, first: number, last: number, outcome: Outcome, more: Partial<Settlement> = {}) {
    const settlements = [{ first, last, outcomes: [outcome], ...more }]
    const [fault] = await this.log.queues.settle(group, member, [{ of: this.of, settlements }])
    return fault?.code ?? null
  }
  configure(settings: Partial<QueueSettings>): void {
    const { queues } = this.log
    queues.configure(group, { ...queues.settings(group), ...settings })
  }
  async dead(topic = 'dlq.t') {
    if (this.log.catalog.byName(topic) === null) return []
    const [chunk] = await this.log.reader().read([{ partition: at(topic), offset: off(0) }])
    assert.ok(chunk !== undefined && !('fault' in chunk))
    return chunk.batches
      .flatMap((one) => decodeBatch(one))
      .map(({ key, value, headers }) => ({
        key: key === null ? null : Buffer.from(key).toString(),
        value: value === null ? null : Buffer.from(value).toString(),
        headers: Object.fromEntries(headers.map(([name, bytes]) => [name, Buffer.from(bytes!).toString()])),
      }))
  }
}

test('records go to one member each; accepted ones are gone, also after a restart', async () => {
  const work = await Work.open()
  await work.write('a', 'b', 'c', 'd')
  assert.deepEqual(await work.texts('one', 2), ['a', 'b'])
  assert.deepEqual(await work.texts('two'), ['c', 'd'])
  assert.equal(await work.settle('one', 1, 1, 'accept'), null)
  assert.equal(await work.settle('two', 2, 2, 'release'), null)
  assert.equal(await work.settle('one', 2, 2, 'accept'), 'log.record-not-held')
  await work.restart()
  assert.deepEqual(await work.texts('three'), ['a', 'c#2', 'd'])
})
test('a group that nobody told where to begin begins at the end, and stays there over a restart', async () => {
  const work = await Work.open({ 'share.auto.offset.reset': 'latest' })
  await work.write('a')
  assert.deepEqual(await work.texts('one'), [])
  await work.restart()
  await work.write('b')
  await work.restart()
  assert.deepEqual(await work.texts('one'), ['b'])
})
test('or at the records of the last hours', async () => {
  const work = await Work.open({ 'share.auto.offset.reset': 'by_duration:PT1H' })
  const old = encodeBatch([{ key: null, value: Buffer.from('old'), timeMs: Date.now() - 7_200_000 }])
  await work.log.writer().append([{ partition: at('t'), batch: old }])
  await work.write('new')
  assert.deepEqual(await work.texts('one'), ['new'])
})
test('who waits is told of what is written, and of what is released', async () => {
  const work = await Work.open()
  const waiting = work.texts('one', 10, 20_000)
  await new Promise((resolve) => setTimeout(resolve, 20))
  await work.write('a')
  assert.deepEqual(await waiting, ['a'])
  const second = work.texts('two', 10, 20_000)
  await new Promise((resolve) => setTimeout(resolve, 20))
  await work.log.queues.release(group, 'one')
  assert.deepEqual(await second, ['a#2'])
  const third = work.texts('three', 10, 20_000)
  await new Promise((resolve) => setTimeout(resolve, 20))
  await work.log.close()
  await assert.rejects(third, (error: unknown) => error instanceof Fault && error.code === 'log.closed')
})
test('what is rejected or given up is a dead letter with its bytes, its headers and the reason', async () => {
  const work = await Work.open({ 'errors.deadletterqueue.topic.name': 'dlq.t', 'share.delivery.count.limit': '2' })
  await work.write('k=a', 'b')
  await work.receive('one')
  assert.equal(await work.settle('one', 0, 0, 'reject', { reason: 'no such customer' }), null)
  assert.equal(await work.settle('one', 1, 1, 'release'), null)
  assert.deepEqual(await work.texts('one'), ['b#2'])
  assert.equal(await work.settle('one', 1, 1, 'release'), null)
  const from = { '__dlq.errors.topic': 't', '__dlq.errors.partition': '0', '__dlq.errors.group': group }
  assert.deepEqual(await work.dead(), [
    {
      key: 'k',
      value: 'a',
      headers: {
        h: 'x',
        ...from,
        '__dlq.errors.offset': '0',
        '__dlq.errors.delivery.count': '1',
        '__dlq.errors.message': 'no such customer',
      },
    },
    {
      key: null,
      value: 'b',
      headers: {
        h: 'x',
        ...from,
        '__dlq.errors.offset': '1',
        '__dlq.errors.delivery.count': '2',
        '__dlq.errors.message': 'delivered 2 times and never accepted',
      },
    },
  ])
  assert.deepEqual(await work.texts('one'), [])
  await work.log.groupConfigs.alter(group, { 'errors.deadletterqueue.copy.record.enable': 'false' })
  await work.write('c')
  await work.receive('one')
  await work.settle('one', 2, 2, 'reject')
  assert.deepEqual((await work.dead()).at(-1), {
    key: null,
    value: null,
    headers: {
      ...from,
      '__dlq.errors.offset': '2',
      '__dlq.errors.delivery.count': '1',
      '__dlq.errors.message': 'rejected by the consumer',
    },
  })
})
test('a dead letter that cannot be written leaves the record with its member', async () => {
  const work = await Work.open({ 'errors.deadletterqueue.topic.name': 'dlq.t' })
  await work.log.topics.create([{ name: 'dlq.t', partitions: 1, config: { 'max.message.bytes': '40' } }])
  await work.write('a')
  await work.receive('one')
  assert.equal(await work.settle('one', 0, 0, 'reject'), 'log.batch-too-large')
  assert.equal(await work.settle('one', 0, 0, 'accept'), null)
})
test('in the order of keys: one record of a key at a time, the oldest first, others beside it', async () => {
  const work = await Work.open({ 'share.order.by.key': 'true' })
  await work.write('k=1', 'k=2', 'j=3', 'k=4', '5')
  assert.deepEqual(await work.texts('one'), ['1', '3', '5'])
  assert.deepEqual(await work.texts('two'), [])
  await work.settle('one', 0, 0, 'release')
  assert.deepEqual(await work.texts('two'), ['1#2'], 'before those behind it')
  await work.settle('two', 0, 0, 'accept')
  assert.deepEqual(await work.texts('two'), ['2'])
  await work.restart()
  assert.deepEqual(await work.texts('two'), ['2', '3', '5'], 'which keys they have is known again')
  await work.settle('two', 1, 1, 'reject')
  assert.deepEqual(await work.texts('two'), ['4'])
})
test('members of a group share one topic evenly enough: what is acquired is bounded by the locks', async () => {
  const work = await Work.open({ 'share.partition.max.record.locks': '100' })
  for (let i = 0; i < 15; i++) await work.write(...Array.from({ length: 10 }, (_, n) => String(10 * i + n)))
  assert.equal((await work.receive('one', 1_000)).length, 100)
  assert.equal((await work.receive('two', 1_000)).length, 0)
  await work.settle('one', 0, 9, 'accept')
  assert.equal((await work.receive('two', 1_000)).length, 10)
})
test('records that compaction has taken are no records', async () => {
  const work = await Work.open({}, { 'cleanup.policy': 'compact', 'internal.segment.bytes': '300' })
  for (let i = 0; i < 10; i++) await work.write(`a=${i}`, `b${i % 3}=${i}`, `a=${i}`)
  const giveUp = performance.now() + 10_000
  const left = async (): Promise<number> => {
    let records = 0
    for (let offset = off(0); offset < 30;) {
      const [chunk] = await work.log.reader().read([{ partition: at('t'), offset }])
      assert.ok(chunk !== undefined && 'batches' in chunk)
      records += chunk.batches.flatMap((one) => decodeBatch(one)).length
      offset = chunk.next
    }
    return records
  }
  while ((await left()) > 10 && performance.now() < giveUp) await new Promise((resolve) => setTimeout(resolve, 10))
  let count = 0
  for (let received = await work.receive('one'); received.length > 0; received = await work.receive('one')) {
    count += received.length
    for (const { offset } of received) assert.equal(await work.settle('one', offset, offset, 'accept'), null)
  }
  assert.equal(count, await left())
  assert.ok(count > 0 && count <= 10, `${count} of 30 are left`)
  const [position] = await work.log.queues.positions(group)
  assert.deepEqual([position!.start, position!.lag], [30, 0])
})
test('records whose time is over are no records', async () => {
  const work = await Work.open({}, { 'record.ttl.enable': 'true' })
  const lives = (value: string, headers: [string, Buffer][]) => ({
    key: null,
    value: Buffer.from(value),
    headers,
    timeMs: Date.now() - 10_000,
  })
  const records = [
    lives('over', [['mr-ttl', Buffer.from('1s')]]),
    lives('stays', []),
    lives('over', [['mr-ttl', Buffer.from('1s')]]),
  ]
  await work.log.writer().append([{ partition: at('t'), batch: encodeBatch(records) }])
  assert.deepEqual(await work.texts('one'), ['stays'])
  await work.settle('one', 1, 1, 'accept')
  const [position] = await work.log.queues.positions(group)
  assert.deepEqual([position!.start, position!.lag], [3, 0])
})
test('committed records only, where the group asks for it', async () => {
  const work = await Work.open({ 'share.isolation.level': 'read_committed' })
  const owner = await work.log.owner()
  const aborted = owner.begin()
  await aborted.append([{ partition: at('t'), batch: batch(['no']) }])
  const waiting = work.texts('one', 10, 20_000)
  await aborted.abort()
  const tick = owner.begin()
  await tick.append([{ partition: at('t'), batch: batch(['yes']) }])
  await tick.commit([])
  assert.deepEqual(await waiting, ['yes'])
  await work.settle('one', 2, 2, 'accept')
  await work.write('more')
  assert.deepEqual(await work.texts('one', 10, 1_000), ['more'])
  await work.settle('one', 4, 4, 'accept')
  const [position] = await work.log.queues.positions(group)
  assert.deepEqual([position!.start, position!.lag], [5, 0], 'markers and what was aborted are over')
})
test('what retention has taken is passed over', async () => {
  const work = await Work.open()
  await work.write('a', 'b', 'c')
  await work.receive('one', 1)
  await work.log.topics.trim([{ partition: at('t'), offset: off(2) }])
  assert.deepEqual(await work.texts('two'), ['c'])
  assert.equal(await work.settle('one', 0, 0, 'accept'), null, 'it is over')
})
test('a group begins anew where it is told to, for good', async () => {
  const work = await Work.open()
  await work.write('a', 'b')
  await work.receive('one')
  await work.settle('one', 0, 1, 'accept')
  await work.log.queues.reset(group, [{ of: work.of, offset: off(1) }])
  assert.deepEqual(await work.texts('one'), ['b'])
  await work.restart()
  assert.deepEqual(await work.texts('one'), ['b'])
})
test('a group begins anew in all partitions or in none, whenever the process dies', async () => {
  const of = [0, 1, 2].map((index) => ({ topicId: '00000000-0000-4000-8000-000000000001', index }))
  const stored: RecordInput[][] = []
  const open = (append: QueueStateLog['append']): QueueService =>
    new QueueService({ host: threePartitions, state: { append, trim: async () => undefined } })
  const before = open(async (records) => {
    stored.push([...records])
    return off(0)
  })
  const startsAfter = (writes: number): number[] => {
    const after = open(async () => off(0))
    for (const records of stored.slice(0, writes))
      for (const { key, value } of records) after.restore({ offset: 0, timeMs: 0, key, value, headers: [] })
    return after.states(group).map(({ start }) => start)
  }
  const to = (offset: number) => of.map((one) => ({ of: one, offset: off(offset) }))
  await before.reset(group, to(5))
  await before.reset(group, to(2))
  const seen = stored.map((_, i) => startsAfter(i + 1))
  for (const starts of seen) assert.equal(new Set(starts).size, 1, `after a write they begin at ${starts.join()}`)
  assert.deepEqual(seen.at(-1), [2, 2, 2])
})
test('a state is forgotten with its topic, and a new topic of the name has none', async () => {
  const work = await Work.open()
  await work.write('a', 'b')
  await work.receive('one')
  await work.settle('one', 0, 0, 'accept')
  await work.log.topics.remove(['t'])
  const [gone] = await work.log.queues.acquire({
    group,
    member: 'one',
    of: [work.of],
    recordsMax: 1,
    exact: true,
    rangeRecords: 1,
    bytesMax: 1,
    waitMs: 10_000,
  })
  assert.equal(gone!.fault?.code, 'log.unknown-topic')
  await work.log.topics.create([{ name: 't', partitions: 1 }])
  work.of = { topicId: work.log.catalog.byName('t')!.id, index: 0 }
  await work.write('c')
  await work.restart()
  assert.deepEqual(await work.texts('one'), ['c'])
  assert.deepEqual((await work.log.queues.positions(group)).length, 1)
  await work.log.queues.forget(group, null)
  await work.restart()
  assert.deepEqual(await work.log.queues.positions(group), [])
})
test('what is kept of states is bounded by what there is', async () => {
  const work = await Work.open()
  for (let i = 0; i < 300; i++) {
    await work.write('x')
    await work.receive('one')
    assert.equal(await work.settle('one', i, i, 'accept'), null)
  }
  const [state] = await work.log.bounds([at('__share_group_state')])
  assert.ok(state!.end > 300, 'each change was written')
  assert.ok(state!.end - state!.start < 120, `${state!.end - state!.start} records are kept`)
  await work.restart()
  assert.deepEqual(await work.texts('one'), [])
})
test('settings of groups: what cannot be is refused with the reason', async () => {
  const { log } = await Work.open()
  for (const [name, value] of [
    ['share.auto.offset.reset', 'by_duration:-PT1H'],
    ['share.auto.offset.reset', 'by_duration:PT'],
    ['share.isolation.level', 'none'],
    ['share.renew.acknowledge.enable', '1'],
    ['share.delivery.count.limit', '1'],
    ['share.partition.max.record.locks', '99'],
    ['share.record.lock.duration.ms', '999'],
    ['errors.deadletterqueue.topic.name', 'orders'],
    ['errors.deadletterqueue.topic.name', 'dlq.no such'],
    ['share.session.timeout.ms', '6000'],
  ] as const) {
    const change =
      name === 'share.session.timeout.ms' ? { [name]: value, 'share.heartbeat.interval.ms': '6000' } : { [name]: value }
    assert.equal(log.groupConfigs.check(group, change)?.code, 'log.invalid-config', `${name}=${value}`)
  }
  assert.equal(log.groupConfigs.check(group, { 'share.auto.offset.reset': 'by_duration:P1DT2H3M4.5S' }), null)
})
test('a record that is released waits longer with each delivery, as far as the group allows', async () => {
  const work = await Work.open()
  await work.write('a')
  work.configure({ releaseDelayMs: 20, releaseDelayMaxMs: 50 })
  const waits: number[] = []
  let from = performance.now()
  for (let i = 0; i < 4; i++) {
    assert.equal((await work.receive('one', 1, 2_000)).length, 1)
    waits.push(performance.now() - from)
    from = performance.now()
    assert.equal(await work.settle('one', 0, 0, 'release'), null)
  }
  assert.ok(waits[1]! >= 19 && waits[2]! >= 39 && waits[3]! >= 49, waits.join())
})
test('a lock may be longer than the group says, when it is taken and when it is renewed', async () => {
  const work = await Work.open()
  await work.write('a')
  work.configure({ lockMs: 30 })
  const asked = { group, member: 'one', of: [work.of], recordsMax: 1, bytesMax: 1_000, waitMs: 0, lockMs: 150 }
  assert.equal((await work.log.queues.receive(asked)).length, 1)
  await new Promise((resolve) => setTimeout(resolve, 60))
  assert.equal(await work.settle('one', 0, 0, 'renew', { lockMs: 200 }), null)
  await new Promise((resolve) => setTimeout(resolve, 120))
  assert.deepEqual(await work.texts('two'), [])
  assert.deepEqual(await work.texts('two', 1, 1_000), ['a#2'])
})
test('what is said of an earlier delivery does not touch a later one', async () => {
  const work = await Work.open()
  await work.write('a')
  await work.receive('one')
  await work.settle('one', 0, 0, 'release')
  await work.receive('one')
  assert.equal(await work.settle('one', 0, 0, 'accept', { deliveries: 1 }), 'log.record-not-held')
  const at = { offset: 0, epoch: 0 }
  const held = work.log.queues.held(group, 'one', work.of, [
    { ...at, deliveries: 1 },
    { ...at, deliveries: 2 },
    { ...at, deliveries: 2, epoch: 1 },
  ])
  assert.deepEqual(held, [false, true, false])
  assert.equal(await work.settle('one', 0, 0, 'accept', { deliveries: 2 }), null)
})
test('a late acceptance counts as long as the record is not done with, and passes over what is', async () => {
  const work = await Work.open()
  await work.write('a', 'b', 'c')
  await work.receive('one')
  await work.settle('one', 0, 1, 'release')
  await work.settle('one', 2, 2, 'accept')
  assert.equal(await work.settle('one', 0, 2, 'accept', { late: true }), null)
  assert.deepEqual(await work.texts('two'), [])
})
test('a late acceptance from before a restart counts', async () => {
  const work = await Work.open()
  await work.write('a', 'b', 'c')
  await work.receive('one')
  await work.restart()
  assert.equal(await work.settle('one', 1, 1, 'accept', { late: true }), null)
  await work.restart()
  assert.deepEqual(await work.texts('two'), ['a', 'c'])
})
test('a late renewal locks again what nobody was given since', async () => {
  const work = await Work.open()
  await work.write('a')
  await work.receive('one')
  await work.settle('one', 0, 0, 'release')
  assert.equal(await work.settle('one', 0, 0, 'renew', { late: true, deliveries: 1, lockMs: 5_000 }), null)
  assert.deepEqual(await work.texts('two'), [])
  assert.equal(await work.settle('one', 0, 0, 'accept', { deliveries: 1 }), null)
})
test('locks that are kept hold over a restart, by their member and for what is left of their time', async () => {
  const work = await Work.open()
  await work.write('a', 'b', 'c')
  work.configure({ keepsLocks: true, lockMs: 400 })
  await work.receive('one', 2)
  await work.settle('one', 1, 1, 'renew', { lockMs: 60_000 })
  await work.restart()
  work.configure({ keepsLocks: true, lockMs: 400 })
  assert.deepEqual(await work.texts('two'), ['c'])
  const at = { epoch: 0, deliveries: 1 }
  const both = [
    { ...at, offset: 0 },
    { ...at, offset: 1 },
  ]
  assert.deepEqual(work.log.queues.held(group, 'one', work.of, both), [true, true])
  assert.equal(await work.settle('one', 1, 1, 'accept', { deliveries: 1 }), null)
  assert.deepEqual(await work.texts('two', 1, 1_000), ['a#2'])
  assert.equal(await work.settle('one', 0, 0, 'accept', { deliveries: 1 }), 'log.record-not-held')
})
test('where a group is can be kept, and it can be put back there', async () => {
  const work = await Work.open()
  await work.write('a', 'b', 'c', 'd')
  await work.receive('one')
  await work.settle('one', 0, 0, 'accept')
  await work.settle('one', 2, 2, 'accept')
  const [state] = work.log.queues.states(group)
  assert.deepEqual([state!.start, state!.over], [1, [{ first: 2, last: 2 }]])
  await work.log.queues.reset(group, [{ of: work.of, offset: off(4) }])
  assert.deepEqual(await work.texts('two'), [])
  await work.log.queues.reset(group, [{ of: work.of, offset: state!.start, over: state!.over }])
  await work.restart()
  assert.deepEqual(await work.texts('two'), ['b', 'd'])
})
test('a dead letter may say in other words what happened', async () => {
  const work = await Work.open()
  await work.write('k=a')
  const says = ({ deliveries, from, offset }: LetterFacts): Header[] => [
    ['why', Buffer.from(`${from.topic} ${offset} ${deliveries}`)],
  ]
  work.configure({ deliveriesMax: 1, deadLetter: { topic: 'letters', copiesRecord: true, says } })
  await work.receive('one')
  await work.settle('one', 0, 0, 'release')
  assert.deepEqual(await work.dead('letters'), [{ key: 'k', value: 'a', headers: { h: 'x', why: 't 0 1' } }])
})
test('a dead letter that is too large with its record says what happened without it', async () => {
  const work = await Work.open()
  await work.log.topics.create([{ name: 'small', partitions: 1, config: { 'max.message.bytes': '200' } }])
  await work.write('x'.repeat(300))
  const says = (): Header[] => [['why', Buffer.from('it was nobody’s')]]
  work.configure({ deadLetter: { topic: 'small', copiesRecord: true, says } })
  await work.receive('one')
  assert.equal(await work.settle('one', 0, 0, 'reject'), null)
  assert.deepEqual(await work.dead('small'), [{ key: null, value: null, headers: { why: 'it was nobody’s' } }])
})
test('when a record was given out first is kept where the group asks for it, over a restart too', async () => {
  const work = await Work.open()
  work.configure({ keepsFirst: true })
  await work.write('1', '2')
  const [first] = await work.receive('one', 1)
  assert.ok(Math.abs(first!.firstMs - Date.now()) < 60_000)
  await work.settle('one', 0, 0, 'release')
  await work.restart()
  work.configure({ keepsFirst: true })
  const [again, other] = await work.receive('one')
  assert.equal(again!.firstMs, first!.firstMs)
  assert.ok(other!.firstMs >= first!.firstMs)
  work.configure({ keepsFirst: false })
  await work.write('3')
  assert.equal((await work.receive('one'))[0]!.firstMs, 0)
})
