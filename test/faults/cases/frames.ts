/**
 * S1: mutated Kafka frames against a running process. Valid requests of every API and version (`seeds.ts`) are made wrong
 * (`mutate.ts`) and sent in bursts over many connections. The process must live, close each connection soon after its
 * client has, keep its memory bounded, and serve a good client beside it all the while.
 */
import { connect } from 'node:net'
import { type Millrace, startMillrace } from '../../interop/setup/index.ts'
import { Canary } from '../canary.ts'
import { type Context, type FaultCase, type Outcome, startAgain } from '../case.ts'
import { mutate } from '../mutate.ts'
import { megabytes, MemoryWatch, openFiles } from '../process.ts'
import { gatewayApis, seedFrames } from '../seeds.ts'
import { createTopic, partitionsOf, Wire } from '../wire.ts'

export const frames: FaultCase = {
  name: 'frames',
  says: 'mutated Kafka frames beside a good client',
  run: mutatedFrames,
}

const framesOf = (quick: boolean): number => (quick ? 100_000 : 10_000_000)
const burstFrames = 25
const connectionsAtOnce = 8
/** After this long without an answer the client sends its end. */
const quietMs = 30
/** After the client's end the connection must be gone within this. */
const closeWithinMs = 10_000
/** Reliability's bound for memory that hostile bytes may cost, measured from the warm process. */
const growthBytesMax = 64 * 1024 * 1024
const warmUpFrames = 10_000
const topics = ['fuzz', 'fuzz-2', 'no-such-topic', '']

interface Tally {
  sent: number
  answers: number
  closedByServer: number
  hung: number
}

async function mutatedFrames(context: Context): Promise<Outcome> {
  const { random, note } = context
  const total = framesOf(context.quick)
  let product: Millrace = await startMillrace({ data: context.folder })
  const canary = new Canary(product.kafka)
  const problems: string[] = []
  const tally: Tally = { sent: 0, answers: 0, closedByServer: 0, hung: 0 }
  let figures = {}
  try {
    const setUp = await Wire.open(product.kafka)
    await createTopic(setUp, 'fuzz', 2)
    await createTopic(setUp, 'fuzz-2', 1)
    await canary.start()
    const apis = await gatewayApis()
    const seeds = Array.from({ length: 4 }, () => seedFrames(apis, topics, random)).flat()
    await sendAll(product.kafka, seeds, tally)
    const next = (): Buffer =>
      mutate(seeds[Math.floor(random() * seeds.length)]!, seeds[Math.floor(random() * seeds.length)]!, random)
    await sendMany(product.kafka, warmUpFrames, next, tally)
    canary.take()
    const filesBefore = openFiles(product.pid)
    const memory = new MemoryWatch(product.pid)
    const start = performance.now()
    const step = Math.ceil((total - warmUpFrames) / 10)
    for (let done = 0; done < total - warmUpFrames && product.running; done += step) {
      await sendMany(product.kafka, step, next, tally)
      note(`${tally.sent} frames, ${megabytes(memory.sample())} MB resident`)
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
    if (memory.max - memory.first > growthBytesMax)
      problems.push(`memory grew by ${megabytes(memory.max - memory.first)} MB from ${megabytes(memory.first)} MB`)
    if (tally.hung > 0)
      problems.push(`${tally.hung} connections stayed open ${closeWithinMs} ms after their client's end`)
    if (tally.answers === 0) problems.push('not one frame was answered: nothing was tested')
    figures = {
      frames: tally.sent,
      seeds: seeds.length,
      'frames/s': Math.round((total - warmUpFrames) / seconds),
      answered: tally.answers,
      'connections closed by it': tally.closedByServer,
      'MB before': megabytes(memory.first),
      'MB max': megabytes(memory.max),
      'good client ms p50/p99/max': `${p50}/${p99}/${max}`,
      ...figures,
    }
    if (product.running) {
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

async function sendMany(address: string, count: number, next: () => Buffer, tally: Tally): Promise<void> {
  let left = count
  const sender = async (): Promise<void> => {
    while (left > 0) {
      const size = Math.min(burstFrames, left)
      left -= size
      await sendBurst(address, Array.from({ length: size }, next), tally)
    }
  }
  await Promise.all(Array.from({ length: connectionsAtOnce }, sender))
}

async function sendAll(address: string, all: readonly Buffer[], tally: Tally): Promise<void> {
  let at = 0
  const next = (): Buffer => all[at++]!
  await sendMany(address, all.length, next, tally)
}

/** Sends, waits until nothing more is answered, sends the end, and waits for the other side's. */
function sendBurst(address: string, burst: readonly Buffer[], tally: Tally): Promise<void> {
  const at = address.lastIndexOf(':')
  const socket = connect({ host: address.slice(0, at), port: Number(address.slice(at + 1)) })
  tally.sent += burst.length
  return new Promise((done) => {
    let answered = 0
    let bytesLeftOfAnswer = 0
    let ended = false
    const end = (): void => {
      ended = true
      socket.end()
      timer = setTimeout(hang, closeWithinMs)
    }
    const hang = (): void => {
      tally.hung++
      socket.destroy()
    }
    let timer = setTimeout(end, quietMs)
    let head = Buffer.alloc(0)
    socket.on('data', (bytes: Buffer) => {
      if (!ended) timer.refresh()
      // Counts answers by their lengths alone.
      while (bytes.length > 0) {
        if (bytesLeftOfAnswer > 0) {
          const taken = Math.min(bytesLeftOfAnswer, bytes.length)
          bytesLeftOfAnswer -= taken
          bytes = bytes.subarray(taken)
          continue
        }
        const missing = 4 - head.length
        head = Buffer.concat([head, bytes.subarray(0, missing)])
        bytes = bytes.subarray(missing)
        if (head.length < 4) break
        bytesLeftOfAnswer = head.readInt32BE(0)
        head = Buffer.alloc(0)
        answered++
      }
      if (answered >= burst.length && !ended) {
        clearTimeout(timer)
        end()
      }
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      clearTimeout(timer)
      tally.answers += answered
      if (!ended) tally.closedByServer++
      done()
    })
    socket.write(Buffer.concat(burst))
  })
}
