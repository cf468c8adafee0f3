/** Several records of a key out at once, with one holder. SEED=… replays the random run. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from '../../../src/lib/sim/random.ts'
import { encodeBatch } from '../../../src/log/batch.ts'
import type { LocalLog } from '../../../src/log/local/local-log.ts'
import { openLocalLog } from '../../../src/log/local/open.ts'
import { Journal } from '../../../src/log/journal.ts'
import { Queue } from '../../../src/log/queues/queue.ts'
import type { Outcome, QueueRef, ReceivedRecord } from '../../../src/log/queues/queues.ts'
import { at, memoryWorld, off } from '../local/support.ts'

const group = 'workers'
const member = 'all'
class Work {
  readonly #world = memoryWorld()
  log!: LocalLog
  of!: QueueRef
  static async open(limit = '1000'): Promise<Work> {
    const work = new Work()
    await work.boot()
    await work.log.topics.create([{ name: 't', partitions: 1 }])
    work.of = { topicId: work.log.catalog.byName('t')!.id, index: 0 }
    const config = { 'share.auto.offset.reset': 'earliest', 'share.order.by.key': 'true' }
    await work.log.groupConfigs.alter(group, {
      ...config,
      'share.delivery.count.limit': '10',
      'share.partition.max.record.locks': limit,
    })
    return work
  }
  async boot(): Promise<void> {
    this.log = await openLocalLog({ world: this.#world, dir: '/data', queueRewriteBytes: 2_000 })
  }
  async restart(): Promise<void> {
    await this.log.close()
    await this.boot()
  }
  /** Locks that last so long, and are kept. */
  exactly(lockMs: number | null): void {
    const { queues } = this.log
    if (lockMs === null) queues.configure(group, { ...queues.settings(group), deliveriesMax: Infinity })
    else queues.configure(group, { ...queues.settings(group), lockMs, keepsLocks: true, deliveriesMax: Infinity })
  }
  async write(...texts: string[]): Promise<void> {
    const records = texts.map((text) => {
      const key = text.replace(/\d+$/, '')
      return { key: key === '' ? null : Buffer.from(key), value: Buffer.from(text), timeMs: Date.now() }
    })
    await this.log.writer().append([{ partition: at('t'), batch: encodeBatch(records) }])
  }
  receive(keyHolder: string | null, recordsMax = 100, waitMs = 0): Promise<ReceivedRecord[]> {
    const request = { group, member, of: [this.of], recordsMax, bytesMax: 1_000_000, waitMs }
    return this.log.queues.receive(keyHolder === null ? request : { ...request, keyHolder })
  }
  async texts(keyHolder: string | null, recordsMax = 100): Promise<string[]> {
    return (await this.receive(keyHolder, recordsMax)).map(textOf)
  }
  async settle(offset: number, outcome: Outcome, late = true): Promise<void> {
    const settlements = [{ first: offset, last: offset, outcomes: [outcome], late }]
    const [fault] = await this.log.queues.settle(group, member, [{ of: this.of, settlements }])
    assert.equal(fault, null)
  }
}
/** So many, however often it has to ask: what was withdrawn comes when that is stored. */
async function several(work: Work, keyHolder: string, count: number): Promise<ReceivedRecord[]> {
  const found: ReceivedRecord[] = []
  while (found.length < count) found.push(...(await work.receive(keyHolder, 100, 5_000)))
  return found
}
const textOf = ({ value }: ReceivedRecord): string => Buffer.from(value!).toString()

test('one holder has several records of a key, in order; others get none of it until they are done with', async () => {
  const work = await Work.open()
  await work.write('k1', 'j1', 'k2', '1', 'k3')
  assert.deepEqual(await work.texts('a', 2), ['k1', 'j1'])
  assert.deepEqual(await work.texts('b'), ['1'], 'without a key there is no order')
  assert.deepEqual(await work.texts(null), [], 'nor one at a time')
  assert.deepEqual(await work.texts('a', 1), ['k2'])
  await work.settle(0, 'accept')
  assert.deepEqual(await work.texts('b'), [])
  await work.settle(2, 'accept')
  assert.deepEqual(await work.texts('b'), ['k3'])
})
test('what goes out again takes with it what is behind it: out or accepted, and it does not count there', async () => {
  const work = await Work.open()
  await work.write('k1', 'k2', 'j1', 'k3', 'k4')
  assert.deepEqual(await work.texts('a', 4), ['k1', 'k2', 'j1', 'k3'])
  await work.settle(1, 'accept')
  await work.settle(0, 'release')
  assert.deepEqual((await several(work, 'a', 4)).map(textOf), ['k1', 'k2', 'k3', 'k4'])
  assert.deepEqual(await work.texts('b'), [], 'j1 is still out')
  // Until the record in front is given up: those behind it are not.
  for (let times = 2; times < 10; times++) {
    await work.settle(0, 'release')
    assert.equal((await several(work, 'a', 4))[0]!.deliveries, times + 1)
  }
  await work.settle(0, 'release')
  const left: string[] = []
  await work.settle(1, 'release')
  for (const one of await several(work, 'a', 3)) {
    left.push(`${textOf(one)}: ${one.deliveries}`)
    await work.settle(one.offset, 'accept')
  }
  assert.deepEqual(left, ['k2: 11', 'k3: 11', 'k4: 10'])
})
test('over a restart: what was accepted behind one that was not comes after it again', async () => {
  const work = await Work.open()
  await work.write('k1', 'k2', 'k3', 'j1')
  await work.receive('a')
  await work.settle(1, 'accept')
  await work.settle(3, 'accept')
  await work.restart()
  assert.deepEqual((await several(work, 'b', 3)).map(textOf), ['k1', 'k2', 'k3'])
})
test('of each it can be asked whether something before it is not done with', async () => {
  const work = await Work.open()
  await work.write('k1', 'k2', 'j1', 'k3')
  await work.receive('a')
  const isNext = (...offsets: number[]): boolean[] => work.log.queues.inOrder(group, work.of, offsets)
  assert.deepEqual(isNext(0, 1, 2, 3), [true, true, true, true])
  assert.deepEqual(isNext(1, 2, 3), [false, true, false])
  await work.settle(0, 'accept')
  assert.deepEqual(isNext(1, 3), [true, true])
  assert.deepEqual(isNext(3), [false])
})
test('what is accepted behind a record that hangs takes no more memory than the locks allow', async () => {
  const work = await Work.open('100')
  await work.write(...Array.from({ length: 2_000 }, (_, i) => `k${i}`))
  await work.receive('a', 1)
  let accepted = 0
  for (let idle = 0; idle < 3;) {
    const found = await work.receive('a', 50)
    idle = found.length === 0 ? idle + 1 : 0
    for (const { offset } of found) await work.settle(offset, 'accept')
    accepted += found.length
  }
  assert.ok(accepted >= 100 && accepted <= 600, `${accepted} behind it`)
  await work.settle(0, 'accept')
  assert.equal((await work.receive('a', 50)).length, 50, 'and goes on when it is done with')
})

const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 32))
const lockMs = 60
/** The machine may be busy: a lock that has ended so long ago was seen to end. */
const slackMs = 2_000
const keys = ['k', 'j', 'i']
/** Holders of one subscription, and what must be true of what comes to them. */
class Holders {
  readonly work: Work
  readonly random: SeededRandom
  readonly #exact: boolean
  readonly #written = new Map<string, number[]>(keys.map((key) => [key, []]))
  /** Of each key what came last. */
  readonly #last = new Map<string, number>()
  readonly out = new Map<number, { key: string; holder: string; untilMs: number }>()
  readonly rejected = new Set<number>()
  readonly accepted = new Set<number>()
  end = 0

  constructor(work: Work, random: SeededRandom, exact: boolean) {
    this.work = work
    this.random = random
    this.#exact = exact
  }
  async write(): Promise<void> {
    const some = Array.from({ length: this.random.between(1, 6) }, () => this.random.pick(keys))
    await this.work.write(...some.map((key) => `${key}${this.end}`))
    for (const key of some) this.#written.get(key)!.push(this.end++)
  }
  async receive(holder: string, recordsMax: number, waitMs = 0): Promise<number[]> {
    const askedMs = performance.now()
    const found = await this.work.receive(holder, recordsMax, waitMs)
    for (const one of found) this.#came(one, holder, askedMs)
    return found.map(({ offset }) => offset)
  }
  #came(record: ReceivedRecord, holder: string, askedMs: number): void {
    const key = Buffer.from(record.key!).toString()
    const { offset } = record
    const nowMs = performance.now()
    const offsets = this.#written.get(key)!
    const index = offsets.indexOf(offset)
    const before = offsets.indexOf(this.#last.get(key) ?? -1)
    assert.ok(!this.rejected.has(offset))
    assert.ok(!this.#exact || !this.accepted.has(offset), `${offset} comes again`)
    const isOver = (one: number): boolean => this.rejected.has(one) || (this.#exact && this.accepted.has(one))
    if (index > before)
      for (const skipped of offsets.slice(before + 1, index))
        assert.ok(isOver(skipped), `${skipped} was left out before ${offset}`)
    // It went back: whatever is behind it will come again.
    else for (const [one, { key: other }] of this.out) if (other === key && one >= offset) this.out.delete(one)
    for (const [one, { key: other, untilMs, holder: by }] of this.out)
      if (other === key) assert.ok(by === holder || untilMs <= nowMs, `${one} and ${offset} are with two`)
    for (const one of offsets.slice(0, index)) {
      const isThere = (this.out.get(one)?.untilMs ?? -Infinity) > askedMs - slackMs
      assert.ok(isThere || this.accepted.has(one) || isOver(one), `${one} waits, ${offset} is out`)
    }
    this.#last.set(key, offset)
    this.accepted.delete(offset)
    this.out.set(offset, { key, holder, untilMs: nowMs + (this.#exact ? lockMs : 30_000) })
  }
  async settle(offset: number, outcome: Outcome): Promise<void> {
    const { work } = this
    if (this.#exact && outcome === 'accept') {
      await work.log.queues.learn(group, work.of)
      if (!work.log.queues.inOrder(group, work.of, [offset])[0]) return
    }
    this.out.delete(offset)
    // Whether it stands, the answer says: nobody else is given it meanwhile.
    if (outcome === 'accept') this.accepted.add(offset)
    if (outcome === 'reject') this.rejected.add(offset)
    // A late rejection of what was withdrawn meanwhile would be passed over.
    const late = !this.#exact && outcome !== 'reject'
    const settlements = [{ first: offset, last: offset, outcomes: [outcome], late }]
    const [fault] = await work.log.queues.settle(group, member, [{ of: work.of, settlements }])
    if (fault === null) return
    assert.equal(fault!.code, 'log.record-not-held')
    this.accepted.delete(offset)
    this.rejected.delete(offset)
  }
}
for (const exact of [false, true])
  test(`whatever holders do, each key comes in order${exact ? ', once' : ''} (SEED=${seed})`, async () => {
    for (let run = 0; run < 8; run++) {
      const random = new SeededRandom(seed + run, 'keys')
      const work = await Work.open(String(random.between(100, 150)))
      work.exactly(exact ? lockMs : null)
      const holders = new Holders(work, random, exact)
      for (let step = 0; step < 150; step++) {
        const dice = random.fraction()
        if (dice < 0.25) await holders.write()
        else if (dice < 0.6) await holders.receive(random.pick(['a', 'b']), random.between(1, 8))
        else if (dice < 0.96) {
          const [offset] = random.pick([...holders.out, [-1] as const])
          const what = random.fraction()
          if (offset >= 0) await holders.settle(offset, what < 0.7 ? 'accept' : what < 0.95 ? 'release' : 'reject')
        } else if (dice < 0.98 && exact) await new Promise((resolve) => setTimeout(resolve, random.between(0, lockMs)))
        else {
          if (!exact) holders.out.clear()
          await work.restart()
          work.exactly(exact ? lockMs : null)
        }
      }
      await work.restart()
      work.exactly(exact ? lockMs : null)
      if (!exact) holders.out.clear()
      for (let idle = 0; idle < 3;) {
        const found = await holders.receive('a', 100, 2 * lockMs)
        idle = found.length === 0 ? idle + 1 : 0
        for (const offset of found) await holders.settle(offset, 'accept')
      }
      const over = holders.accepted.size + holders.rejected.size
      assert.equal(over, holders.end, 'all were accepted or rejected in the end')
      await work.log.close()
    }
  })
/** A queue over three records, k1, j1 and k2, of which what happens while it reads and writes is said here. */
async function looked(keepsLocks = false) {
  const batches = ['k1', 'j1', 'k2'].map((text, baseOffset) => {
    const bytes = encodeBatch([{ key: Buffer.from(text[0]!), value: Buffer.from(text), timeMs: 0 }])
    Buffer.from(bytes.buffer, bytes.byteOffset).writeBigInt64BE(BigInt(baseOffset))
    return bytes
  })
  const meanwhile = { reading: async () => undefined as unknown, writing: async () => undefined as unknown }
  const settings = { ...(await Work.open()).log.queues.settings(group), keepsLocks }
  const queue = new Queue(
    {
      clock: memoryWorld().clock,
      topic: () => ({ name: 't', partitions: 1 }),
      settings: () => settings,
      async read(_, from) {
        await meanwhile.reading()
        return { start: off(0), next: off(3), batches: batches.slice(from), bytes: 1, release: () => undefined }
      },
      bounds: async () => ({ start: off(0), end: off(3) }),
      findTime: async () => null,
      watch: () => () => undefined,
      bury: async () => undefined,
    },
    new Journal(async () => {
      await meanwhile.writing()
      return off(0)
    }),
    { group, of: { topicId: '00000000-0000-4000-8000-000000000001', index: 0 } },
  )
  const acquire = async (keyHolder: string, records: number): Promise<number[]> => {
    const of = { group, member, of: [], bytesMax: 1e6, exact: true, rangeRecords: 9, waitMs: 0 }
    const left = { records, bytes: 1e6, isFirst: true }
    const acquired = await queue.acquire({ ...of, recordsMax: records, keyHolder }, left)
    const ranges = acquired?.ranges ?? []
    return ranges.flatMap(({ first, last }) => Array.from({ length: last - first + 1 }, (_, i) => first + i))
  }
  return { queue, acquire, meanwhile }
}
test('what is given back while somebody looks is not passed over', async () => {
  const { queue, acquire, meanwhile } = await looked()
  assert.deepEqual(await acquire('a', 1), [0])
  meanwhile.reading = async () => {
    meanwhile.reading = async () => undefined
    await queue.settle(member, [{ first: 0, last: 0, outcomes: ['release'] }])
  }
  assert.deepEqual((await acquire('b', 9)).slice(0, 1), [0])
  queue.close()
})
test('what cannot go out while the fate of another is being stored is not lost', async () => {
  const { queue, acquire, meanwhile } = await looked()
  assert.deepEqual(await acquire('a', 9), [0, 1, 2])
  await queue.settle(member, [{ first: 0, last: 0, outcomes: ['release'] }])
  const stored = Promise.withResolvers<void>()
  let settled: Promise<unknown> = Promise.resolve()
  meanwhile.reading = async () => {
    meanwhile.reading = async () => undefined
    meanwhile.writing = () => stored.promise
    settled = queue.settle(member, [{ first: 2, last: 2, outcomes: ['accept'] }])
  }
  assert.deepEqual(await acquire('a', 9), [])
  stored.resolve()
  await settled
  assert.deepEqual(await acquire('a', 9), [0])
  queue.close()
})
test('a queue that begins anew while somebody reads gives out all that lies behind its new beginning', async () => {
  const { queue, acquire, meanwhile } = await looked()
  assert.deepEqual(await acquire('a', 9), [0, 1, 2])
  await queue.settle(member, [{ first: 0, last: 2, outcomes: ['accept'] }])
  meanwhile.reading = async () => {
    meanwhile.reading = async () => undefined
    queue.reset(off(0))
  }
  const found = await acquire('a', 9)
  assert.deepEqual([...found, ...(await acquire('a', 9))], [0, 1, 2])
  queue.close()
})
test('who is given what is kept while the queue begins anew gets it when it asks again, and no error', async () => {
  const { queue, acquire, meanwhile } = await looked(true)
  await queue.begin()
  meanwhile.writing = async () => {
    meanwhile.writing = async () => undefined
    queue.reset(off(0))
  }
  assert.deepEqual(await acquire('a', 9), [])
  assert.deepEqual(await acquire('a', 9), [0, 1, 2])
  queue.close()
})
