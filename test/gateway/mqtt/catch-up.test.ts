/** Who stands behind in the log is read for together: how often the log is read, and that nobody misses or repeats anything. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { CatchUp } from '../../../src/gateway/mqtt/catch-up.ts'
import type { Delivery, Feed } from '../../../src/gateway/mqtt/feed.ts'
import { type Followed, LogTopics } from '../../../src/gateway/mqtt/log-topics.ts'
import { realWorld } from '../../../src/lib/real/world.ts'
import { Fault } from '../../../src/lib/fault.ts'
import type { LogRecord } from '../../../src/log/batch.ts'
import { LocalReader } from '../../../src/log/local/reader.ts'
import { broker, memoryWorld } from './fixture.ts'

const perRead = 100
/** As a feed does it: it asks until nothing is behind it, and stops where it has no room. */
class Reader {
  readonly got: number[] = []
  room: number
  at: number | null
  constructor(at: number, room = Infinity) {
    this.at = at
    this.room = room
  }
  get feed(): Feed {
    return this as unknown as Feed
  }
  standsAt(): number | null {
    return this.at
  }
  takeBehind({ message }: Delivery): boolean {
    if (this.room === 0) return false
    this.room--
    this.got.push(message.place!.offset)
    return true
  }
  moveTo(_: Followed, to: number): void {
    this.at = to === Infinity ? null : to
  }
}
/** A partition with so many records, every tenth of which is for everybody. */
function log(end: number) {
  const followed = { next: end, partition: { topic: 't', index: 0 } } as unknown as Followed
  const reads: number[] = []
  const readers = new Set<Reader>()
  const failures: unknown[] = []
  let failing = 0
  const catchUp = new CatchUp({
    clock: realWorld().clock,
    read: (_, from) => {
      if (failing > 0) {
        failing--
        return Promise.reject(new Error('the disk'))
      }
      reads.push(from)
      if (from > end) return Promise.resolve({ records: [], next: end })
      const next = Math.min(end, (Math.floor(from / perRead) + 1) * perRead)
      const records = Array.from({ length: next - from }, (_, i) => ({ offset: from + i }) as LogRecord)
      return Promise.resolve({ records, next })
    },
    *deliveriesOf({ offset }, _, isAsked) {
      if (offset % 10 !== 0) return
      const delivery = { qos: 1, message: { place: { topic: 't', index: 0, offset } } } as Delivery
      for (const reader of readers) if (isAsked(reader.feed)) yield [reader.feed, delivery] as const
    },
    failed: (error) => failures.push(error),
  })
  const run = async (reader: Reader): Promise<void> => {
    readers.add(reader)
    while (reader.at !== null && reader.at < end && reader.room > 0)
      await catchUp.read(reader.feed, followed, reader.at)
    if (reader.room > 0) readers.delete(reader)
  }
  const fail = (times: number): void => void (failing = times)
  return { run, reads, failures, fail, catchUp, followed }
}
const everyTenth = (from: number, end: number): number[] => {
  const first = Math.ceil(from / 10) * 10
  return Array.from({ length: Math.max(0, Math.ceil((end - first) / 10)) }, (_, i) => first + i * 10)
}

test('a thousand who stand anywhere are read for in one pass, and each gets what lies behind it', async () => {
  const end = 20_000
  const { run, reads } = log(end)
  const readers = Array.from({ length: 1_000 }, (_, i) => new Reader((i * 7_919) % end))
  await Promise.all(readers.map(run))
  const starts = readers.map((_, i) => (i * 7_919) % end)
  for (const [i, { got }] of readers.entries()) assert.deepEqual(got, everyTenth(starts[i]!, end))
  // Each by itself would take a hundred thousand.
  assert.ok(reads.length <= (2 * end) / perRead + 2, `${reads.length} reads`)
})

test('who is near the end does not wait for one that is far behind', async () => {
  const end = 100_000
  const { run, reads } = log(end)
  const far = run(new Reader(0))
  await run(new Reader(end - 3 * perRead))
  assert.ok(reads.length <= 12, `${reads.length} reads`)
  await far
})

test('who has no room stops there, and goes on from there later', async () => {
  const { run, reads } = log(1_000)
  const slow = new Reader(0, 7)
  const others = Array.from({ length: 20 }, () => new Reader(0))
  await Promise.all([slow, ...others].map(run))
  assert.deepEqual([slow.at, slow.got.length], [70, 7])
  assert.ok(reads.length <= 12, `${reads.length} reads`)
  for (const { got } of others) assert.deepEqual(got, everyTenth(0, 1_000))
  slow.room = Infinity
  await run(slow)
  assert.deepEqual(slow.got, everyTenth(0, 1_000))
})

test('who stands beyond the end is sent back to it, and where the log cannot be read it is asked again', async () => {
  const { run, failures, fail, catchUp, followed } = log(1_000)
  const lost = new Reader(5_000)
  await catchUp.read(lost.feed, followed, 5_000)
  assert.equal(lost.at, 1_000)
  fail(1)
  const one = new Reader(0)
  await run(one)
  assert.equal(failures.length, 1)
  assert.deepEqual(one.got, everyTenth(0, 1_000))
})

test('sessions that come back after a restart read the log once between them', async (t) => {
  const world = memoryWorld()
  const before = await broker(t, { world })
  const sessions = 40
  const ids = Array.from({ length: sessions }, (_, i) => `device-${i}`)
  for (const [i, clientId] of ids.entries()) {
    const { mqtt } = await before.client({ clientId, clean: false })
    await mqtt.subscribeAsync([`busy/${i}`, 'busy/all'], { qos: 1 })
    await mqtt.endAsync()
  }
  const { mqtt } = await before.client()
  const payload = 'x'.repeat(1_000)
  const messages = 4_000
  const sent = Array.from({ length: messages }, async (_, n) => {
    const topic = n % 500 === 0 ? 'busy/all' : `busy/${n % 100}`
    await mqtt.publishAsync(topic, `${n} ${payload}`, { qos: 1 })
  })
  await Promise.all(sent)
  await before.stop()

  const here = await broker(t, { world })
  const read = t.mock.method(LogTopics.prototype, 'read')
  const clients = await Promise.all(ids.map((clientId) => here.client({ clientId, clean: false })))
  for (const [i, client] of clients.entries()) {
    const own = Array.from({ length: messages }, (_, n) => n).filter((n) =>
      n % 500 === 0 ? true : n % 100 === i && n % 500 !== 0,
    )
    await client.received(own.length)
    assert.deepEqual(
      client.texts().map((text) => Number(text.split(' ')[0])),
      own,
    )
  }
  // 4 MB are some 16 pieces: each for itself would read 640.
  assert.ok(read.mock.callCount() <= 150, `${read.mock.callCount()} reads`)
})

test('what lies behind is not passed over where the log cannot be read for a while', async (t) => {
  const world = memoryWorld()
  const before = await broker(t, { world })
  const clientId = 'patient'
  const { mqtt: first } = await before.client({ clientId, clean: false })
  await first.subscribeAsync('busy/+', { qos: 1 })
  await first.endAsync()
  const { mqtt } = await before.client()
  const messages = 50
  for (let n = 0; n < messages; n++) await mqtt.publishAsync('busy/a', String(n), { qos: 1 })
  await before.stop()

  const here = await broker(t, { world })
  let failing = 3
  const read = LocalReader.prototype.read
  t.mock.method(LocalReader.prototype, 'read', function (this: LocalReader, ...of: Parameters<typeof read>) {
    const [[at], wait] = of
    // Who reads behind waits for nothing.
    if (wait !== undefined || at?.partition.topic !== 'mqtt.busy' || failing-- <= 0) return read.apply(this, of)
    return Promise.resolve([
      { partition: at.partition, fault: new Fault('store.failed', { what: 'reading', path: 'segment' }) },
    ])
  })
  const client = await here.client({ clientId, clean: false })
  await client.received(messages)
  assert.ok(failing < 0)
  assert.deepEqual(
    client.texts(),
    Array.from({ length: messages }, (_, n) => String(n)),
  )
})
