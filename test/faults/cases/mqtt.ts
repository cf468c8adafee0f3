/**
 * MQTT under kill -9: publishers with QoS 1 and QoS 2 and a subscriber whose sessions are kept, over mqtt.js, which sends
 * again what was not acknowledged. Every message that was acknowledged is in the log and reaches the subscriber; one with QoS
 * 2 is in the log once and reaches it once; order of a topic holds.
 */
import { setTimeout as sleep } from 'node:timers/promises'
import mqtt, { type MqttClient } from 'mqtt'
import { freePorts, type Millrace } from '../../interop/setup/index.ts'
import { between, type Context, type FaultCase, type Outcome, startAgain, startFirst } from '../case.ts'

export const mqttKills: FaultCase = {
  name: 'mqtt-kill',
  says: 'kill -9 under MQTT sessions that are kept, at random instants',
  run: killUnderSessions,
}
const cyclesOf = ({ times }: Context): number => times(8, 200)
const publishers = [1, 1, 1, 2, 2, 2] as const
const underWay = 20
const drainMs = 60_000

async function killUnderSessions(context: Context): Promise<Outcome> {
  const { random, note } = context
  const cycles = cyclesOf(context)
  const [port] = await freePorts()
  const args = ['--listen', `mqtt=127.0.0.1:${port}`]
  let product: Millrace = await startFirst({ data: context.folder, args })
  const load = new Load(port!)
  try {
    await load.start()
    for (let cycle = 1; cycle <= cycles; cycle++) {
      await load.progress()
      await sleep(between(random, 50, 1_000))
      await product.kill('SIGKILL')
      product = await startAgain(product, { args })
      note(`cycle ${cycle} of ${cycles}: ${load.acknowledged} acknowledged, ${load.received} received`)
    }
    await load.drain()
    await load.check(product.http)
    await product.stop()
  } finally {
    load.stop()
    await product[Symbol.asyncDispose]()
  }
  return { problems: load.problems, figures: { kills: cycles, ...load.figures() } }
}

class Publisher {
  readonly name: string
  readonly qos: 1 | 2
  readonly acknowledged = new Set<number>()
  readonly client: MqttClient
  #next = 0
  #isOver = false
  #open = 0

  constructor(index: number, qos: 1 | 2, client: MqttClient) {
    this.name = `p${index}-qos${qos}`
    this.qos = qos
    this.client = client
  }
  start(): void {
    for (let i = 0; i < underWay; i++) void this.#run()
  }
  async #run(): Promise<void> {
    while (!this.#isOver) {
      const sequence = this.#next++
      this.#open++
      // Resolves when it is acknowledged, over however many connections; what the client gives up is promised to nobody.
      const isStored = await this.client.publishAsync(`kills/${this.name}`, String(sequence), { qos: this.qos }).then(
        () => true,
        () => false,
      )
      if (isStored) this.acknowledged.add(sequence)
      this.#open--
      await sleep(2)
    }
  }
  finish(): void {
    this.#isOver = true
  }
  get isDone(): boolean {
    return this.#open === 0
  }
}

class Load {
  readonly problems: string[] = []
  readonly #port: number
  #publishers: Publisher[] = []
  #subscriber: MqttClient | null = null
  /** By publisher: sequence → how often it came. */
  readonly #got = new Map<string, Map<number, number>>()
  received = 0
  #again = 0

  constructor(port: number) {
    this.#port = port
  }
  get acknowledged(): number {
    return this.#publishers.reduce((sum, one) => sum + one.acknowledged.size, 0)
  }
  figures(): Record<string, number> {
    return { acknowledged: this.acknowledged, received: this.received, 'received again (QoS 1)': this.#again }
  }
  async start(): Promise<void> {
    const connect = (clientId: string): Promise<MqttClient> =>
      mqtt.connectAsync(`mqtt://127.0.0.1:${this.#port}`, {
        protocolVersion: 5,
        clientId,
        clean: false,
        reconnectPeriod: 50,
        connectTimeout: 10_000,
        properties: { sessionExpiryInterval: 3_600 },
      })
    this.#subscriber = await connect('subscriber')
    this.#subscriber.on('error', () => {})
    this.#subscriber.on('message', (topic, payload) => this.#take(topic, Number(payload.toString())))
    await this.#subscriber.subscribeAsync('kills/#', { qos: 2 })
    for (const [index, qos] of publishers.entries()) {
      const client = await connect(`publisher-${index}`)
      client.on('error', () => {})
      this.#publishers.push(new Publisher(index, qos, client))
    }
    for (const one of this.#publishers) one.start()
  }
  #take(topic: string, sequence: number): void {
    this.received++
    const name = topic.slice('kills/'.length)
    let of = this.#got.get(name)
    if (of === undefined) this.#got.set(name, (of = new Map()))
    const times = (of.get(sequence) ?? 0) + 1
    of.set(sequence, times)
    if (times === 1) return
    this.#again++
    if (name.endsWith('qos2')) this.problems.push(`${name} ${sequence} reached the subscriber ${times} times`)
  }
  /** Something new has been acknowledged and received. */
  async progress(): Promise<void> {
    const [acknowledged, received] = [this.acknowledged, this.received]
    const giveUp = performance.now() + drainMs
    while (this.acknowledged < acknowledged + 50 || this.received < received + 50) {
      if (performance.now() > giveUp) throw new Error(`nothing goes on: ${JSON.stringify(this.figures())}`)
      await sleep(20)
    }
  }
  async drain(): Promise<void> {
    for (const one of this.#publishers) one.finish()
    const giveUp = performance.now() + drainMs
    while (this.#publishers.some(({ isDone }) => !isDone) || this.#missing().length > 0) {
      if (performance.now() > giveUp) break
      await sleep(50)
    }
    for (const text of this.#missing().slice(0, 10)) this.problems.push(`${text} was acknowledged and never came`)
    // What comes twice may come late.
    await sleep(1_500)
  }
  #missing(): string[] {
    return this.#publishers.flatMap(({ name, acknowledged }) =>
      [...acknowledged].filter((one) => this.#got.get(name)?.has(one) !== true).map((one) => `${name} ${one}`),
    )
  }
  /** The log itself. */
  async check(http: string): Promise<void> {
    const counts = new Map<string, number>()
    const url = `http://${http}/v1/topics/mqtt.kills/records?from=earliest`
    const answer = await fetch(url, { headers: { accept: 'application/x-ndjson' } })
    for (const line of (await answer.text()).split('\n')) {
      if (line === '') continue
      const { key, value } = JSON.parse(line) as Line
      const of = `${key.text} ${value.json}`
      counts.set(of, (counts.get(of) ?? 0) + 1)
    }
    for (const { name, qos, acknowledged } of this.#publishers)
      for (const sequence of acknowledged) {
        const times = counts.get(`kills/${name} ${sequence}`) ?? 0
        if (times === 0) this.problems.push(`${name} ${sequence} was acknowledged and is not in the log`)
        if (qos === 2 && times > 1) this.problems.push(`${name} ${sequence} is in the log ${times} times`)
      }
  }
  stop(): void {
    this.#subscriber?.end(true)
    for (const { client } of this.#publishers) client.end(true)
  }
}
interface Line {
  readonly key: { readonly text: string }
  readonly value: { readonly json: number }
}
