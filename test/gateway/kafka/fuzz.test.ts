/**
 * Mutated frames, seeded from every API and version, each on a connection of its own that is not a socket. Every frame is
 * answered or closes its connection; memory stays bounded; a good client is served after each burst.
 * `MILLRACE_FUZZ_FRAMES` sets how many, `MILLRACE_SEED` repeats a run.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import fc from 'fast-check'
import { codecOf } from '../../../src/wire/kafka/codec/compile.ts'
import { WireReader } from '../../../src/wire/kafka/codec/wire.ts'
import { handlers } from '../../../src/gateway/kafka/handlers/index.ts'
import { isFlexible } from '../../../src/wire/kafka/header.ts'
import { listenKafka } from '../../../src/gateway/kafka/index.ts'
import { metadataApi } from '../../../src/wire/kafka/messages/03-metadata.ts'
import type { Logger } from '../../../src/lib/logger.ts'
import { realWorld } from '../../../src/lib/real/world.ts'
import { encodeBatch } from '../../../src/log/batch.ts'
import { mutate } from '../../faults/mutate.ts'
import { sampleOf } from './arbitrary.ts'
import { FakeCoordinator, fakeBroker } from './fake-broker.ts'
import { type MemoryConnection, MemoryNet } from './memory-net.ts'
import { readAnswer, requestFrame } from './wire-client.ts'

const frameCount = Number(process.env['MILLRACE_FUZZ_FRAMES'] ?? 15_000)
const seed = Number(process.env['MILLRACE_SEED'] ?? Math.floor(Math.random() * 2 ** 31))
const growthBytesMax = 16 * 1024 * 1024
setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void
/** What is still held after collections: buffers go one round after what held them, connections learn of their end late. */
async function usedBytes(): Promise<number> {
  for (let round = 0; round < 3; round++) {
    await new Promise((resolve) => setTimeout(resolve, 20))
    collect()
  }
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

/** mulberry32. */
function randomFrom(start: number): () => number {
  let state = start
  return () => {
    state = (state + 0x6d2b79f5) | 0
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state)
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32
  }
}

/** Wrong in the smallest way: it gets furthest. */
function oneByteOff(frame: Buffer, random: () => number): Buffer {
  const changed = Buffer.from(frame)
  const at = 12 + Math.floor(random() * (frame.length - 12))
  changed[at] = Math.floor(random() * 256)
  return changed
}

function seedFrames(): Buffer[] {
  const batch = encodeBatch([{ key: Buffer.from('k'), value: Buffer.from('some value'), timeMs: 1000 }])
  const frames: Buffer[] = []
  for (const { api, versions } of handlers)
    for (let version = versions[0]; version <= versions[1]; version++) {
      const flexible = isFlexible(api, version)
      const samples = fc.sample(sampleOf(api.request, version, flexible), { numRuns: 5, seed })
      for (const { encoded } of samples) frames.push(requestFrame(api, version, 7, realistic(encoded, batch)))
    }
  return frames
}
/** Names of topics that exist, indexes that do, times that pass. */
function realistic(value: unknown, batch: Uint8Array): unknown {
  if (Array.isArray(value)) return value.map((part) => realistic(part, batch))
  if (typeof value !== 'object' || value === null || value instanceof Uint8Array) return value
  const fixed = Object.entries(value).map(([name, part]): [string, unknown] => {
    if ((name === 'name' || name === 'topic') && part !== null) return [name, 'fuzz']
    if (name === 'index' || name === 'partition' || name === 'partitionIndex') return [name, 0]
    if (name === 'records') return [name, [batch]]
    if (name === 'maxWaitMs') return [name, 0]
    return [name, realistic(part, batch)]
  })
  return Object.fromEntries(fixed)
}

test(`${frameCount} mutated frames: no crash, nothing left behind (seed ${seed})`, async (t) => {
  const broker = fakeBroker()
  broker.create({ name: 'fuzz', partitions: 2 })
  const net = new MemoryNet()
  const problems: string[] = []
  const log: Logger = {
    info: () => {},
    warn: () => {},
    error: (message, facts) => void problems.push(`${message} ${String((facts?.['error'] as Error)?.stack)}`),
  }
  const listener = await listenKafka({
    world: { ...realWorld(), net: net.asNet },
    broker,
    at: { host: 'x', port: 1 },
    log,
  })
  t.after(() => listener.close())
  const connect = (): MemoryConnection => net.connect()
  const goodClient = async (): Promise<void> => {
    const connection = connect()
    const asked = { topics: [], includeClusterAuthorizedOperations: false, includeTopicAuthorizedOperations: false }
    connection.send(requestFrame(metadataApi, 12, 1, asked))
    for (let turns = 0; connection.written.length === 0 && turns < 1000; turns++)
      await new Promise((resolve) => setImmediate(resolve))
    assert.equal(readAnswer(metadataApi, 12, connection.written[0]!.subarray(4)).value.brokers.length, 1)
    connection.destroy()
  }

  const random = randomFrom(seed)
  const frames = seedFrames()
  assert.ok(frames.length > 500)
  const pick = (): Buffer => frames[Math.floor(random() * frames.length)]!
  let answered = 0
  let closed = 0
  let before = 0
  for (let sent = 0; sent < frameCount;) {
    const burst: MemoryConnection[] = []
    for (let i = 0; i < 50; i++, sent++) {
      const connection = connect()
      burst.push(connection)
      const frame = random() < 0.5 ? mutate(pick(), pick(), random) : oneByteOff(pick(), random)
      const cut = Math.floor(random() * frame.length)
      connection.send(frame.subarray(0, cut))
      if (connection.open) connection.send(frame.subarray(cut))
    }
    await goodClient()
    for (const connection of burst) {
      if (!connection.open) closed++
      else if (connection.written.length > 0) answered++
      connection.destroy()
    }
    broker.log.clear()
    broker.produced.length = 0
    if (broker.infos.size > 1000) for (const name of [...broker.infos.keys()].slice(1)) broker.infos.delete(name)
    broker.coordinator = new FakeCoordinator()
    if (sent === 5000) before = await usedBytes()
  }
  const grown = (await usedBytes()) - before
  assert.deepEqual(problems.slice(0, 3), [])
  assert.ok(answered > frameCount / 10 && closed > frameCount / 10, `${answered} answered, ${closed} closed`)
  assert.ok(grown < growthBytesMax, `memory grew by ${grown} bytes`)
})

test('a decoder given anything at all gives a value or a Fault', () => {
  for (const { api } of handlers)
    for (let version = api.versions[0]; version <= api.versions[1]; version++)
      fc.assert(
        fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
          try {
            codecOf(api.request, version, isFlexible(api, version)).decode(new WireReader(bytes))
          } catch (error) {
            assert.equal((error as Error).name, 'Fault')
          }
        }),
        { numRuns: 30, seed },
      )
})
