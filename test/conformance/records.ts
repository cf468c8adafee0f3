import assert from 'node:assert/strict'
import type { Offset } from '../../src/lib/brand.ts'
import { decodeBatch, encodeBatch } from '../../src/log/batch.ts'
import type { Compression } from '../../src/log/compression.ts'
import {
  type Cases,
  append,
  at,
  batchOf,
  fresh,
  newTopic,
  settle,
  take,
  takeAll,
  text,
  values,
  zero,
} from './support.ts'

const codecs: readonly Compression[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd']

export const recordCases: Cases = {
  'a record comes back byte for byte': async (subject) => {
    const partition = at(await newTopic(subject))
    const timeMs = subject.now() - 5
    const sent = [
      { key: Buffer.from([0, 255]), value: Buffer.from('value'), timeMs, headers: [['h', Buffer.from([1])]] as const },
      { key: null, value: null, timeMs: timeMs + 1, headers: [['empty', null]] as const },
      { key: Buffer.alloc(0), value: Buffer.alloc(0), timeMs: timeMs - 1 },
    ]
    const [appended] = await subject.log.writer().append([{ partition, batch: encodeBatch(sent) }])
    assert.ok(appended !== undefined && 'offset' in appended)
    const got = await take(subject, partition, 3)
    assert.equal(got[0]!.offset, appended.offset)
    got.forEach(({ key, value, headers, timeMs: time }, i) => {
      const one = sent[i]!
      assert.deepEqual([key, value].map(hex), [one.key, one.value].map(hex))
      assert.equal(time, one.timeMs)
      const expected = one.headers ?? []
      assert.deepEqual(
        headers.map(([name, bytes]) => [name, hex(bytes)]),
        expected.map(([name, bytes]) => [name, hex(bytes)]),
      )
    })
  },
  'every codec is read again': async (subject) => {
    const partition = at(await newTopic(subject))
    const value = Buffer.from('again and again and again '.repeat(200))
    for (const codec of codecs) {
      const batch = encodeBatch([{ key: Buffer.from(codec), value, timeMs: subject.now() }], codec)
      const [appended] = await subject.log.writer().append([{ partition, batch }])
      assert.ok(appended !== undefined && 'offset' in appended, codec)
    }
    const got = await take(subject, partition, codecs.length)
    assert.deepEqual(
      got.map(({ key }) => text(key)),
      codecs,
    )
    for (const record of got) assert.ok(value.equals(record.value ?? Buffer.alloc(0)))
  },
  'entries of one partition keep their order, and one refused leaves the others': async (subject) => {
    const name = await newTopic(subject, { partitions: 2 })
    const entry = (index: number, value: string) => ({ partition: at(name, index), batch: batchOf(subject, value) })
    const answers = await subject.log
      .writer()
      .append([entry(0, 'a'), entry(1, 'x'), entry(2, 'nowhere'), entry(0, 'b'), entry(0, 'c')])
    assert.deepEqual(
      answers.map((one) => ('fault' in one ? one.fault.code : 'ok')),
      ['ok', 'ok', 'log.unknown-partition', 'ok', 'ok'],
    )
    assert.deepEqual(values(await take(subject, at(name), 3)), ['a', 'b', 'c'])
    assert.deepEqual(values(await take(subject, at(name, 1), 1)), ['x'])
  },
  'bytes that are no batch are refused': async (subject) => {
    const partition = at(await newTopic(subject))
    const broken = Buffer.from(batchOf(subject, 'x'))
    broken[broken.length - 1]! ^= 1
    const writer = subject.log.writer()
    const answers = [
      ...(await writer.append([{ partition, batch: broken }])),
      ...(await writer.append([{ partition, batch: Buffer.from('not a batch') }])),
    ]
    assert.deepEqual(
      answers.map((one) => ('fault' in one ? one.fault.code : 'ok')),
      ['log.corrupt-batch', 'log.corrupt-batch'],
    )
    assert.deepEqual(await takeAll(subject, partition), [])
  },
  'a batch over the limit is refused': async (subject) => {
    const partition = at(await newTopic(subject, { config: { 'max.message.bytes': '1000' } }))
    const [big] = await subject.log.writer().append([{ partition, batch: batchOf(subject, 'x'.repeat(1001)) }])
    assert.ok(big !== undefined && 'fault' in big && big.fault.code === 'log.batch-too-large')
    await append(subject, partition, 'small')
    assert.deepEqual(values(await take(subject, partition, 1)), ['small'])
  },
  'the same batch may be appended again, elsewhere too': async (subject) => {
    const name = await newTopic(subject, { partitions: 2 })
    const batch = batchOf(subject, 'twice')
    const copy = Buffer.from(batch)
    const writer = subject.log.writer()
    await writer.append([
      { partition: at(name), batch },
      { partition: at(name, 1), batch },
    ])
    await writer.append([{ partition: at(name), batch }])
    assert.deepEqual(Buffer.from(batch), copy, 'the caller keeps its bytes')
    assert.deepEqual(values(await take(subject, at(name), 2)), ['twice', 'twice'])
    assert.deepEqual(values(await take(subject, at(name, 1), 1)), ['twice'])
  },
  'a batch that was read can be appended to another topic': async (subject) => {
    const from = at(await newTopic(subject))
    const to = at(await newTopic(subject))
    const owner = await subject.log.owner()
    for (;;) {
      const tick = owner.begin()
      await tick.append([{ partition: from, batch: batchOf(subject, 'in a tick') }])
      if ((await tick.commit([])) === 'committed') break
    }
    await owner.close()
    for (let offset = zero, found = 0; found === 0;) {
      const [chunk] = await subject.log.reader().read([{ partition: from, offset }], { ms: 500 })
      assert.ok(chunk !== undefined && 'batches' in chunk)
      for (const batch of chunk.batches) {
        const [appended] = await subject.log.writer().append([{ partition: to, batch }])
        assert.ok(appended !== undefined && 'offset' in appended)
        found++
      }
      offset = chunk.next
    }
    assert.deepEqual(values(await take(subject, to, 1)), ['in a tick'])
  },
  'offsets rise, and reading on from each position neither repeats nor misses': async (subject) => {
    const partition = at(await newTopic(subject))
    const sent = Array.from({ length: 60 }, (_, i) => `value ${i}`)
    for (let i = 0; i < sent.length; i += 3) await append(subject, partition, ...sent.slice(i, i + 3))
    const got = await take(subject, partition, sent.length, { maxBytes: 100 })
    assert.deepEqual(values(got), sent)
    got.reduce((before, { offset }) => {
      assert.ok(offset > before)
      return offset
    }, -1)
    const middle = got[31]!.offset as Offset
    assert.deepEqual(values(await take(subject, partition, sent.length - 31, { from: middle })), sent.slice(31))
  },
  'a reader waits for what comes, and not for ever': async (subject) => {
    const partition = at(await newTopic(subject))
    const reader = subject.log.reader()
    const began = subject.now()
    const [nothing] = await reader.read([{ partition, offset: zero }], { ms: 200 })
    assert.ok(subject.now() - began >= 150, 'it waited')
    assert.ok(nothing !== undefined && 'batches' in nothing && nothing.batches.length === 0)
    const waiting = take(subject, partition, 1)
    await subject.sleep(50)
    await append(subject, partition, 'at last')
    assert.deepEqual(values(await waiting), ['at last'])
  },
  'an aborted read rejects with the reason': async (subject) => {
    const partition = at(await newTopic(subject))
    const stop = new AbortController()
    const reading = subject.log.reader().read([{ partition, offset: zero }], { ms: 60_000 }, stop.signal)
    await subject.sleep(20)
    stop.abort(new Error('enough'))
    await assert.rejects(reading, /enough/)
    await assert.rejects(subject.log.reader().read([{ partition, offset: zero }], undefined, stop.signal), /enough/)
  },
  'many partitions are read in one call, each from its own position': async (subject) => {
    const name = await newTopic(subject, { partitions: 3 })
    for (let index = 0; index < 3; index++) await append(subject, at(name, index), `a${index}`)
    const second = await append(subject, at(name, 2), 'b2')
    await settle(subject)
    const reader = subject.log.reader()
    const positions = new Map([
      [0, zero],
      [2, second],
    ])
    const got = new Map<number, string[]>()
    for (let tries = 0; tries < 40 && (got.get(0)?.length ?? 0) + (got.get(2)?.length ?? 0) < 2; tries++) {
      const from = Array.from(positions, ([index, offset]) => ({ partition: at(name, index), offset }))
      for (const chunk of await reader.read(from, { ms: 100 })) {
        assert.ok('batches' in chunk)
        const { index } = chunk.partition
        const records = chunk.batches.flatMap((batch) => decodeBatch(batch))
        const wanted = records.filter(({ offset }) => offset >= positions.get(index)!)
        got.set(index, [...(got.get(index) ?? []), ...wanted.map(({ value }) => text(value)!)])
        positions.set(index, chunk.next)
      }
    }
    assert.deepEqual([got.get(0), got.get(1), got.get(2)], [['a0'], undefined, ['b2']])
  },
  'a partition that is not there answers with a fault, the others with records': async (subject) => {
    const name = await newTopic(subject)
    await append(subject, at(name), 'here')
    await settle(subject)
    const nowhere = at(fresh('nothing'))
    const chunks = await subject.log.reader().read([
      { partition: nowhere, offset: zero },
      { partition: at(name), offset: zero },
    ])
    const fault = chunks.find(({ partition }) => partition.topic === nowhere.topic)
    assert.ok(fault !== undefined && 'fault' in fault && fault.fault.code === 'log.unknown-topic')
    assert.ok(chunks.some((chunk) => chunk.partition.topic === name && 'batches' in chunk))
  },
  'bounds order as start, stable, end': async (subject) => {
    const partition = at(await newTopic(subject))
    const [empty] = await subject.log.bounds([partition])
    assert.deepEqual([empty!.start, empty!.stable, empty!.end], [empty!.end, empty!.end, empty!.end])
    const offset = await append(subject, partition, 'a', 'b')
    const [full] = await subject.log.bounds([partition])
    assert.ok(full!.start <= full!.stable && full!.stable <= full!.end)
    assert.ok(full!.end > offset)
  },
  'the first record at or after a time is found, not only its batch': async (subject) => {
    const partition = at(await newTopic(subject))
    const base = subject.now() - 100_000
    const record = (ms: number) => ({ key: null, value: Buffer.from(String(ms)), timeMs: base + ms })
    for (const of of [
      [0, 10, 20],
      [5, 15],
      [30, 40],
    ]) {
      const batch = encodeBatch(of.map(record))
      await subject.log.writer().append([{ partition, batch }])
    }
    await settle(subject)
    const at_ = async (ms: number): Promise<string | null> => {
      const [found] = await subject.log.findTime([partition], base + ms)
      if (found == null) return null
      const [first] = await take(subject, partition, 1, { from: found.offset })
      assert.equal(found.timeMs, first!.timeMs)
      return text(first!.value)
    }
    assert.equal(await at_(-1), '0')
    assert.equal(await at_(10), '10')
    assert.equal(await at_(11), '20')
    assert.equal(await at_(21), '30')
    assert.equal(await at_(40), '40')
    assert.equal(await at_(41), null)
  },
  'acks of every kind are answered, and what they wrote is read': async (subject) => {
    const partition = at(await newTopic(subject))
    for (const acks of ['none', 'leader', 'all'] as const)
      await subject.log.writer({ acks }).append([{ partition, batch: batchOf(subject, acks) }])
    assert.deepEqual(values(await take(subject, partition, 3)), ['none', 'leader', 'all'])
  },
  'many writers at once lose nothing and keep their own order': async (subject) => {
    const partition = at(await newTopic(subject))
    const one = async (writer: number): Promise<void> => {
      for (let i = 0; i < 20; i++) await append(subject, partition, `${writer}:${i}`)
    }
    await Promise.all([0, 1, 2, 3].map(one))
    const got = values(await take(subject, partition, 80)) as string[]
    assert.equal(got.length, 80)
    for (let writer = 0; writer < 4; writer++)
      assert.deepEqual(
        got.filter((value) => value.startsWith(`${writer}:`)),
        Array.from({ length: 20 }, (_, i) => `${writer}:${i}`),
      )
  },
}
const hex = (bytes: Uint8Array | null): string | null => (bytes === null ? null : Buffer.from(bytes).toString('hex'))
