/**
 * Mutated MQTT packets against a running process: several behind each CONNECT, over many connections, some CONNECTs wrong
 * themselves. The process must live, close each connection soon after its client has, keep its memory bounded, and serve a
 * good client beside it all the while.
 */
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import mqtt, { type MqttClient } from 'mqtt'
import { limits } from '../../../src/lib/limits.ts'
import { freePorts, type Millrace } from '../../interop/setup/index.ts'
import { type Context, type FaultCase, type Outcome, quantile, startAgain, startFirst } from '../case.ts'
import { connectPacket, mqttSeeds, wrong } from '../mqtt-seeds.ts'
import { megabytes, MemoryWatch, openFiles } from '../process.ts'

export const mqttFrames: FaultCase = {
  name: 'mqtt-frames',
  says: 'mutated MQTT packets beside a good client',
  run: mutatedFrames,
}

const framesOf = ({ times }: Context): number => times(10_000, 1_000_000)
const warmUpFrames = 50_000
const ofConnection = 10
const connectionsAtOnce = 16
const quietMs = 30
const closeWithinMs = 10_000
const growthBytesMax = 64 * 1024 * 1024
/** So that resident memory is what is held, not what the collector has not looked at yet. */
const heap = { NODE_OPTIONS: '--max-old-space-size=128 --max-semi-space-size=2' }
const clientIds = 200
const ordinaryBytes = 48 * 1024 * 1024
const ordinaryMessages = 96

interface Tally {
  sent: number
  answered: number
  closedByServer: number
  hung: number
}

async function mutatedFrames(context: Context): Promise<Outcome> {
  const { random, note } = context
  const total = framesOf(context)
  const [port] = await freePorts()
  const args = ['--listen', `mqtt=127.0.0.1:${port}`]
  let product: Millrace = await startFirst({ data: context.folder, env: heap, args })
  const tally: Tally = { sent: 0, answered: 0, closedByServer: 0, hung: 0 }
  const problems: string[] = []
  const good = new GoodClient(port!)
  const seeds = mqttSeeds()
  const pick = (): (typeof seeds)[number] => seeds[Math.floor(random() * seeds.length)]!
  const conversation = (): Buffer => {
    const { version } = pick()
    const hello = connectPacket(version, `client-${Math.floor(random() * clientIds)}`)
    const packets = Array.from({ length: ofConnection }, () => wrong(pick().bytes, pick().bytes, random))
    return Buffer.concat([random() < 0.1 ? wrong(hello, pick().bytes, random) : hello, ...packets])
  }
  let figures = {}
  try {
    await good.start()
    await good.warmUp()
    await sendMany(port!, warmUpFrames, conversation, tally)
    good.take()
    const filesBefore = openFiles(product.pid)
    const memory = new MemoryWatch(product.pid)
    const step = Math.ceil(total / 10)
    const start = performance.now()
    for (let done = 0; done < total && product.running; done += step) {
      await sendMany(port!, step, conversation, tally)
      note(`${tally.sent} packets, ${megabytes(memory.sample())} MB resident`)
    }
    memory.stop()
    const seconds = (performance.now() - start) / 1000
    const latencies = good.take()
    await good.stop()
    problems.push(...good.problems)
    if (!product.running) problems.push(`the process ended with ${await product.ended}\n${product.log()}`)
    else if (product.log().includes('a packet failed')) problems.push(`an error inside:\n${product.log()}`)
    problems.push(...memory.problems(growthBytesMax))
    if (tally.hung > 0) problems.push(`${tally.hung} connections stayed open after their client's end`)
    if (tally.answered === 0) problems.push('nothing was answered: nothing was tested')
    figures = {
      packets: tally.sent,
      'packets/s': Math.round(total / seconds),
      'connections answered': tally.answered,
      'closed by it': tally.closedByServer,
      ...memory.figures,
      'good client ms p50/p99': [0.5, 0.99].map((q) => Math.round(quantile(latencies, q))).join('/'),
      'fd before': filesBefore,
    }
    // Nothing that it took keeps it from starting.
    if (product.running) {
      await product.kill('SIGKILL')
      product = await startAgain(product, { args })
      await product.stop()
      product = await startAgain(product, { args })
    }
  } finally {
    await good.stop()
    await product[Symbol.asyncDispose]()
  }
  return { figures, problems }
}

async function sendMany(port: number, packets: number, next: () => Buffer, tally: Tally): Promise<void> {
  let left = packets
  const sender = async (): Promise<void> => {
    while (left > 0) {
      left -= ofConnection
      tally.sent += ofConnection
      await converse(port, next(), tally)
    }
  }
  await Promise.all(Array.from({ length: connectionsAtOnce }, sender))
}
let connections = 0
function converse(port: number, bytes: Buffer, tally: Tally): Promise<void> {
  // Many short connections: one client address would run out of ports.
  const socket = connect({ host: '127.0.0.1', port, localAddress: `127.0.0.${2 + (connections++ % 200)}` })
  return new Promise((done) => {
    let ended = false
    let answered = false
    const end = (): void => {
      ended = true
      clearTimeout(timer)
      socket.end()
      timer = setTimeout(() => {
        tally.hung++
        socket.destroy()
      }, closeWithinMs)
    }
    let timer = setTimeout(end, quietMs)
    socket.on('data', () => {
      answered = true
      if (!ended) timer.refresh()
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      clearTimeout(timer)
      if (answered) tally.answered++
      if (!ended) tally.closedByServer++
      done()
    })
    socket.write(bytes)
  })
}

/** Publishes and gets its own message back, one at a time. */
class GoodClient {
  readonly problems: string[] = []
  readonly #port: number
  #client: MqttClient | null = null
  #isStopped = false
  #running: Promise<void> = Promise.resolve()
  #latenciesMs: number[] = []

  constructor(port: number) {
    this.#port = port
  }
  async start(): Promise<void> {
    this.#client = await mqtt.connectAsync(`mqtt://127.0.0.1:${this.#port}`, { protocolVersion: 5, reconnectPeriod: 0 })
    this.#client.on('close', () => {
      if (!this.#isStopped) this.problems.push('the good client was closed')
    })
    await this.#client.subscribeAsync('good/#', { qos: 1 })
    this.#running = this.#run(this.#client)
  }
  /**
   * What is no cost of hostile bytes: as many log topics as are made, and so much in the log that the newest batches, of which it
   * keeps 32 MB in memory, are all there.
   */
  async warmUp(): Promise<void> {
    const client = this.#client!
    const names = Array.from({ length: limits.mqttTopicsMade - 2 }, (_, i) => `made-${i}/x`)
    await Promise.all(names.map((name) => client.publishAsync(name, 'x', { qos: 1 })))
    const payload = Buffer.alloc(ordinaryBytes / ordinaryMessages, 0x78)
    for (let i = 0; i < ordinaryMessages; i++) await client.publishAsync('made-0/x', payload, { qos: 1 })
  }
  take(): number[] {
    const taken = this.#latenciesMs
    this.#latenciesMs = []
    return taken
  }
  async stop(): Promise<void> {
    this.#isStopped = true
    await this.#running
    await this.#client?.endAsync(true)
  }
  async #run(client: MqttClient): Promise<void> {
    for (let sequence = 0; !this.#isStopped; sequence++) {
      const start = performance.now()
      const came = new Promise<string>((resolve) => client.once('message', (_, payload) => resolve(payload.toString())))
      const late = sleep(30_000, 'nothing', { ref: false })
      await client.publishAsync('good/x', String(sequence), { qos: 1 })
      const got = await Promise.race([came, late])
      if (got !== String(sequence)) {
        this.problems.push(`the good client sent ${sequence} and got ${got}`)
        return
      }
      this.#latenciesMs.push(performance.now() - start)
      await sleep(10)
    }
  }
}
