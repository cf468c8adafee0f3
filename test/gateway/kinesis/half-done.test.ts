/** A process that dies at any step of a change leaves it done or not begun: tried at each step, before it and after it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { kinesisDefaults } from '../../../src/gateway/kinesis/settings.ts'
import { type Shard, isOpen, scaled, split } from '../../../src/gateway/kinesis/shards.ts'
import { type NewStream, type Stream, Streams } from '../../../src/gateway/kinesis/streams.ts'
import { memoryDisk } from '../../../src/lib/real/memory-disk.ts'
import { realWorld } from '../../../src/lib/real/world.ts'
import type { Broker } from '../../../src/log/broker.ts'
import type { LocalLog } from '../../../src/log/local/local-log.ts'
import { openLocalLog } from '../../../src/log/local/open.ts'
import type { Writer } from '../../../src/log/log.ts'

const made: NewStream = {
  name: 's',
  shards: 2,
  onDemand: false,
  tags: { team: 'a' },
  maxRecordKiB: 2_048,
  warmMiBps: 0,
  auto: false,
}
const onFault = (fault: unknown): void => assert.fail(String(fault))

/** Takes so many writes, and stands still: the last one is done, or not, and nobody hears of it. */
function dying(log: LocalLog, writes: number, lastIsDone: boolean): { log: Broker; dead: Promise<string> } {
  const { promise: dead, resolve: die } = Promise.withResolvers<string>()
  let left = writes
  const step = async <T>(work: () => Promise<T>): Promise<T> => {
    left--
    if (left > 0) return work()
    if (left === 0 && lastIsDone) await work()
    die('died')
    return new Promise(() => {})
  }
  const topics: Broker['topics'] = {
    ...log.topics,
    create: (specs) => step(() => log.topics.create(specs)),
    alter: (name, change) => step(() => log.topics.alter(name, change)),
    remove: (names) => step(() => log.topics.remove(names)),
    list: () => log.topics.list(),
    get: (name) => log.topics.get(name),
    trim: (to) => log.topics.trim(to),
    watch: (signal) => log.topics.watch(signal),
  }
  const writer = (): Writer => {
    const own = log.writer()
    return new Proxy(own, {
      get: (target, name) =>
        name === 'append'
          ? (input: Parameters<Writer['append']>[0]) => step(() => target.append(input))
          : (Reflect.get(target, name) as unknown),
    })
  }
  const wrapped = new Proxy(log, {
    get: (target, name) => {
      if (name === 'topics') return topics
      if (name === 'writer') return writer
      const value: unknown = Reflect.get(target, name)
      return typeof value === 'function' ? (value.bind(target) as unknown) : value
    },
  })
  return { log: wrapped, dead }
}
/** What is seen of a stream. */
function shown(stream: Stream | null): object | null {
  if (stream === null) return null
  const { status, tags, maxRecordKiB, retentionMs } = stream
  const { config } = stream.topic
  const shards = stream.shards.map((shard) => ({ ...shard, createdMs: 0, ...(isOpen(shard) ? {} : { closedMs: 0 }) }))
  return { status, tags, maxRecordKiB, retentionMs, config, shards }
}
const splitFirst = ({ shards }: Stream, nowMs: number): Shard[] => split(shards, 0, 1_000n, nowMs)
interface Change {
  readonly name: string
  /** Before: there is such a stream, of Kinesis or of Kafka. */
  readonly has: 'none' | 'stream' | 'topic'
  run(streams: Streams): Promise<void>
  readonly changeMs?: number
}
const changes: readonly Change[] = [
  { name: 'CreateStream', has: 'none', run: (streams) => streams.create(made) },
  { name: 'CreateStream that takes its time', has: 'none', run: (streams) => streams.create(made), changeMs: 5 },
  { name: 'DeleteStream', has: 'stream', run: (streams) => streams.remove('s') },
  { name: 'SplitShard', has: 'stream', run: (streams) => streams.reshard('s', splitFirst) },
  { name: 'SplitShard of a topic', has: 'topic', run: (streams) => streams.reshard('s', splitFirst) },
  { name: 'SplitShard that takes its time', has: 'stream', run: (f) => f.reshard('s', splitFirst), changeMs: 5 },
  {
    name: 'UpdateShardCount',
    has: 'stream',
    run: (streams) => streams.reshard('s', ({ shards }, nowMs) => scaled(shards, 5, nowMs)),
  },
  { name: 'UpdateMaxRecordSize', has: 'stream', run: (streams) => streams.setMaxRecord('s', 5_000) },
  { name: 'IncreaseStreamRetentionPeriod', has: 'stream', run: (streams) => streams.setRetention('s', 200_000_000) },
]
for (const { name, has, run, changeMs = 0 } of changes)
  test(`${name} is done whole or not at all, wherever the process dies`, { timeout: 60_000 }, async () => {
    const world = { ...realWorld(), disk: memoryDisk() }
    const settings = { ...kinesisDefaults, changeMs }
    const settled = async (log: Broker): Promise<object | null> => {
      const streams = await Streams.open({ log, world, settings, onFault })
      // At once, there is nothing that is neither.
      const first = shown(streams.find('s'))
      await atRest(streams)
      streams.close()
      if (changeMs === 0) assert.deepEqual(first, shown(streams.find('s')))
      return shown(streams.find('s'))
    }
    let [ends, wasDone, wasNot] = [false, 0, 0]
    for (let writes = 1; !ends; writes++)
      for (const lastIsDone of [false, true]) {
        const log = await openLocalLog({ world: { ...world, disk: memoryDisk() }, dir: 'data' })
        const first = await Streams.open({ log, world, settings: kinesisDefaults, onFault })
        if (has === 'stream') await first.create(made)
        if (has === 'topic') await log.topics.create([{ name: 's', partitions: 2 }])
        first.close()
        const before = await settled(log)
        // The first writes of opening are done by now.
        const dies = dying(log, writes, lastIsDone)
        const streams = await Streams.open({ log: dies.log, world, settings, onFault })
        const how = await Promise.race([dies.dead, run(streams).then(() => 'answered')])
        // What is under way after the answer dies somewhere too.
        if (how === 'answered' && changeMs > 0) await Promise.race([dies.dead, atRest(streams, dies.dead)])
        streams.close()
        const now = await settled(log)
        const whole = JSON.stringify(await wholly(run))
        const isBefore = JSON.stringify(now) === JSON.stringify(before)
        assert.ok(isBefore || JSON.stringify(now) === whole, `after ${writes} writes: ${JSON.stringify(now)}`)
        if (how === 'answered') assert.ok(!isBefore, 'what was answered is there')
        if (isBefore) wasNot++
        else wasDone++
        ends ||= how === 'answered'
        await log.close()
      }
    assert.ok(wasDone > 0 && wasNot > 0)

    async function wholly(work: Change['run']): Promise<object | null> {
      const log = await openLocalLog({ world: { ...world, disk: memoryDisk() }, dir: 'data' })
      const streams = await Streams.open({ log, world, settings: kinesisDefaults, onFault })
      if (has === 'stream') await streams.create(made)
      if (has === 'topic') await log.topics.create([{ name: 's', partitions: 2 }])
      await work(streams)
      streams.close()
      const after = shown(streams.find('s'))
      await log.close()
      return after
    }
  })
/** Nothing is under way; or it never will be, since that is over. */
async function atRest(streams: Streams, over?: Promise<unknown>): Promise<void> {
  let isOver = false
  void over?.then(() => (isOver = true))
  while (!isOver && (streams.find('s')?.status ?? 'ACTIVE') !== 'ACTIVE')
    await new Promise((resolve) => setTimeout(resolve, 1))
}
