/**
 * S1: mutated Kafka frames against a running process. Valid requests of every API and version (`seeds.ts`) are made wrong
 * (`mutate.ts`) and sent in bursts over many connections. The process must live, close each connection soon after its
 * client has, keep its memory bounded, and serve a good client beside it all the while.
 */
import { connect } from 'node:net'
import type { Millrace } from '../../interop/setup/index.ts'
import { metadataApi } from '../../../src/wire/kafka/messages/03-metadata.ts'
import { listGroupsApi } from '../../../src/wire/kafka/messages/16-list-groups.ts'
import { deleteTopicsApi } from '../../../src/wire/kafka/messages/20-delete-topics.ts'
import { deleteGroupsApi } from '../../../src/wire/kafka/messages/42-delete-groups.ts'
import { WireClient } from '../../gateway/kafka/wire-client.ts'
import { Canary } from '../canary.ts'
import { type Context, type FaultCase, type Outcome, startAgain, startFirst } from '../case.ts'
import { mutate } from '../mutate.ts'
import { megabytes, MemoryWatch, openFiles } from '../process.ts'
import { gatewayApis, seedFrames } from '../seeds.ts'
import { batchOf, recordId } from '../records.ts'
import { createTopic, partitionsOf, produce, Wire } from '../wire.ts'

export const frames: FaultCase = {
  name: 'frames',
  says: 'mutated Kafka frames beside a good client',
  run: mutatedFrames,
}

const framesOf = ({ times }: Context): number => times(100_000, 10_000_000)
const burstFrames = 2
const connectionsAtOnce = 8
/** After this long without an answer the client sends its end. */
const quietMs = 30
/** After the client's end the connection must be gone within this. */
const closeWithinMs = 10_000
/** Reliability's bound for memory that hostile bytes may cost, measured from the warm process. */
const growthBytesMax = 64 * 1024 * 1024
/**
 * So that resident memory is what is held, not what the collector has not looked at yet; holding more ends the process. The
 * young generation is kept small too: under load it grows by tens of megabytes, whatever is in it.
 */
const heap = { NODE_OPTIONS: '--max-old-space-size=96 --max-semi-space-size=2' }
/** Until the code of every API is compiled. */
const warmUpFramesOf = ({ quick }: Context): number => (quick ? 10_000 : 100_000)
const ordinaryBytes = 48 * 1024 * 1024
/** Of each API and version. */
const seedsOfEach = 12
const staying = new Set(['canary', 'ordinary'])
const topics = ['fuzz', 'fuzz-2', 'no-such-topic', '']

interface Tally {
  sent: number
  answers: number
  closedByServer: number
  hung: number
}

async function mutatedFrames(context: Context): Promise<Outcome> {
  const { random, note } = context
  const warmUpFrames = warmUpFramesOf(context)
  const total = warmUpFrames + framesOf(context)
  let product: Millrace = await startFirst({ data: context.folder, env: heap })
  const canary = new Canary(product.kafka)
  const problems: string[] = []
  const tally: Tally = { sent: 0, answers: 0, closedByServer: 0, hung: 0 }
  let figures = {}
  try {
    const setUp = await Wire.open(product.kafka)
    await createFuzzed(setUp)
    await canary.start()
    await serveOrdinaryLoad(setUp)
    const apis = await gatewayApis()
    const seeds = Array.from({ length: seedsOfEach }, () => seedFrames(apis, topics, random)).flat()
    await sendAll(product.kafka, seeds, tally)
    const next = (): Buffer =>
      mutate(seeds[Math.floor(random() * seeds.length)]!, seeds[Math.floor(random() * seeds.length)]!, random)
    await sendMany(product.kafka, warmUpFrames, next, tally)
    canary.take()
    const filesBefore = openFiles(product.pid)
    const memory = new MemoryWatch(product.pid)
    const start = performance.now()
    const step = Math.ceil((total - warmUpFrames) / Math.max(10, total / 250_000))
    for (let done = 0; done < total - warmUpFrames && product.running; done += step) {
      await sendMany(product.kafka, step, next, tally)
      note(`${tally.sent} frames, ${megabytes(memory.sample())} MB resident: ${await heldBy(product)}`)
      await removeWhatWasMade(product.kafka)
      await createFuzzed(setUp)
      // Idle for ten minutes it would be let go.
      await partitionsOf(setUp, 'canary')
    }
    memory.stop()
    const seconds = (performance.now() - start) / 1000
    const { p50, p99, max } = canary.take()
    await canary.stop()
    if (!product.running) problems.push(`the process ended with ${await product.ended}\n${product.log()}`)
    else {
      // The connection that was there before still serves, and a new one does.
      for (const wire of [setUp, await Wire.open(product.kafka)])
        if ((await partitionsOf(wire, 'canary')) !== 1)
          problems.push('Metadata no longer knows the topic of the good client')
      figures = { 'fd before': filesBefore, 'fd after': openFiles(product.pid) }
    }
    setUp.close()
    problems.push(...memory.problems(growthBytesMax))
    if (tally.hung > 0)
      problems.push(`${tally.hung} connections stayed open ${closeWithinMs} ms after their client's end`)
    if (tally.answers === 0) problems.push('not one frame was answered: nothing was tested')
    figures = {
      frames: tally.sent,
      seeds: seeds.length,
      'frames/s': Math.round((total - warmUpFrames) / seconds),
      answered: tally.answers,
      'connections closed by it': tally.closedByServer,
      ...memory.figures,
      'good client ms p50/p99/max': `${p50}/${p99}/${max}`,
      ...figures,
    }
    // Nothing that it took keeps it from starting: after a crash, and from what an orderly stop wrote.
    if (product.running) {
      await product.kill('SIGKILL')
      product = await startAgain(product)
      await product.stop()
      product = await startAgain(product)
    }
  } finally {
    await canary.stop()
    await product[Symbol.asyncDispose]()
  }
  problems.push(...canary.problems)
  return { figures, problems }
}

/** So much that the newest batches, of which the log keeps 32 MB in memory, are all there: that is no cost of hostile bytes either. */
async function serveOrdinaryLoad(wire: Wire): Promise<void> {
  await createTopic(wire, 'ordinary', 1)
  const batch = batchOf(recordId(1, 0), 500, null)
  for (let bytes = 0; bytes < ordinaryBytes; bytes += batch.length) {
    const { error } = await produce(wire, { topic: 'ordinary', partition: 0 }, batch, 1)
    if (error !== 0) throw new Error(`ordinary load: error ${error}`)
  }
}
async function createFuzzed(wire: Wire): Promise<void> {
  await createTopic(wire, 'fuzz', 2)
  await createTopic(wire, 'fuzz-2', 1)
}
/** Some frames are still right, and ask for topics, partitions and groups: these are no cost of hostile bytes. */
async function removeWhatWasMade(address: string): Promise<void> {
  const [host, port] = address.split(':') as [string, string]
  const client = await WireClient.open({ host, port: Number(port) })
  try {
    const listed = { allowAutoTopicCreation: false, includeTopicAuthorizedOperations: false, topics: null }
    const { topics: found } = await client.ask(metadataApi, 8, { ...listed, includeClusterAuthorizedOperations: false })
    const names = found.map(({ name }) => name!).filter((name) => !staying.has(name) && !name.startsWith('_'))
    await client.ask(deleteTopicsApi, 3, { topicNames: names, timeoutMs: 30_000 } as never)
    const { groups } = await client.ask(listGroupsApi, 1, {} as never)
    await client.ask(deleteGroupsApi, 1, { groupsNames: groups.map(({ groupId }) => groupId) })
  } finally {
    client.close()
  }
}

/** What the process says of its memory. */
async function heldBy({ http }: Millrace): Promise<string> {
  const text = await (await fetch(`http://${http}/metrics`)).text()
  const of = (name: string): number => Number(new RegExp(`^${name} (\\S+)$`, 'm').exec(text)?.[1])
  const [heap, buffers] = [of('nodejs_heap_size_used_bytes'), of('nodejs_external_memory_bytes')]
  return `heap ${megabytes(heap)} MB, buffers ${megabytes(buffers)} MB`
}

async function sendMany(address: string, count: number, next: () => Buffer, tally: Tally): Promise<void> {
  let left = count
  const sender = async (): Promise<void> => {
    let waiting: Buffer[] = []
    while (left > 0 || waiting.length > 0) {
      while (left > 0 && waiting.length < burstFrames) {
        left--
        waiting.push(next())
      }
      const settled = await sendBurst(address, waiting, tally)
      tally.sent += settled
      waiting = waiting.slice(settled)
    }
  }
  await Promise.all(Array.from({ length: connectionsAtOnce }, sender))
}

async function sendAll(address: string, all: readonly Buffer[], tally: Tally): Promise<void> {
  let at = 0
  await sendMany(address, all.length, () => all[at++]!, tally)
}

/**
 * Sends, waits until nothing more is answered, sends the end, and waits for the other side's. Answers come in order: the
 * frame after the last answered one ended the connection or is waiting for something; those behind it were not looked at.
 * Gives how many frames had their turn.
 */
function sendBurst(address: string, burst: readonly Buffer[], tally: Tally): Promise<number> {
  const at = address.lastIndexOf(':')
  const [host, port] = [address.slice(0, at), Number(address.slice(at + 1))]
  // Many short connections: one client address would run out of ports.
  const socket = connect({ host, port, localAddress: `127.0.0.${2 + (connections++ % 200)}` })
  const answers = new AnswerCount()
  return new Promise((done) => {
    let ended = false
    const hang = (): void => {
      tally.hung++
      socket.destroy()
    }
    const end = (): void => {
      ended = true
      clearTimeout(timer)
      socket.end()
      timer = setTimeout(hang, closeWithinMs)
    }
    let timer = setTimeout(end, quietMs)
    socket.on('data', (bytes: Buffer) => {
      answers.take(bytes)
      if (ended) return
      if (answers.count >= burst.length) end()
      else timer.refresh()
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      clearTimeout(timer)
      tally.answers += answers.count
      if (!ended) tally.closedByServer++
      done(Math.min(burst.length, answers.count + 1))
    })
    socket.write(Buffer.concat(burst))
  })
}
let connections = 0

/** Counts answers by their lengths alone. */
class AnswerCount {
  count = 0
  #head = Buffer.alloc(0)
  #left = 0

  take(bytes: Buffer): void {
    while (bytes.length > 0) {
      if (this.#left > 0) {
        const taken = Math.min(this.#left, bytes.length)
        this.#left -= taken
        bytes = bytes.subarray(taken)
        if (this.#left === 0) this.count++
        continue
      }
      const missing = 4 - this.#head.length
      this.#head = Buffer.concat([this.#head, bytes.subarray(0, missing)])
      bytes = bytes.subarray(missing)
      if (this.#head.length < 4) return
      this.#left = this.#head.readInt32BE(0)
      this.#head = Buffer.alloc(0)
    }
  }
}
