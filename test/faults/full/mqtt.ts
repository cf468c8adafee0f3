/** MQTT: both versions, QoS 1 and 2, retained messages, sessions that are kept, wills. */
import { setTimeout as sleep } from 'node:timers/promises'
import mqtt, { type IClientOptions, type MqttClient } from 'mqtt'
import { type Answer, type Side, Told, Writer, checkTopic, valueOf } from './side.ts'

const valueBytes = 2_048
const drainMs = 60_000
const willWithinMs = 10_000
const kinds = [
  { name: 'v5-qos1', version: 5, qos: 1 },
  { name: 'v5-qos2', version: 5, qos: 2 },
  { name: 'v4-qos1', version: 4, qos: 1 },
  { name: 'v4-qos2', version: 4, qos: 2 },
] as const
const kept = { clean: false, properties: { sessionExpiryInterval: 3_600 } } as const

export class MqttSide implements Side {
  readonly name = 'mqtt'
  /** Version 5 says so, to be sent again by its user; 3.1.1 has no word for it and closes, and clients come back and send again. */
  readonly told = new Told(['0x97', 'closed', '3'])
  readonly #port: number
  readonly #clients: MqttClient[] = []
  readonly #writers: readonly Writer[]
  #retainer: MqttClient | null = null
  #retained = -1
  /** What came to a session that is kept. */
  readonly #came = new Map<string, number>()
  readonly #wills = new Set<string>()
  #turn = 0

  constructor(port: number) {
    this.#port = port
    this.#writers = kinds.map(({ name, version, qos }) => {
      let client: Promise<MqttClient> | null = null
      const send = async (ids: readonly string[]): Promise<readonly Answer[]> => {
        client ??= this.#connect({ clientId: name, protocolVersion: version, ...kept }, version === 5)
        const over = await client
        return Promise.all(
          ids.map((id) => answerOf(over.publishAsync(`full/${name}`, valueOf(id, valueBytes), { qos }))),
        )
      }
      // The end of an exchange with QoS 2 waits for room.
      return new Writer(name, this.told, send, { atOnce: 5, isMeasured: version === 5 && qos === 1 })
    })
  }
  /** `stays`: it keeps its connection while the process lives. */
  async #connect(options: IClientOptions, stays: boolean): Promise<MqttClient> {
    const common = { reconnectPeriod: 100, connectTimeout: 5_000 }
    const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${this.#port}`, { ...common, ...options })
    this.#clients.push(client)
    client.on('error', () => {})
    let shouldLast = this.told.watch()
    client.on('connect', () => (shouldLast = this.told.watch()))
    client.on('close', () => {
      if (!shouldLast() || this.#isOver || client.disconnecting) return
      if (stays) this.told.lost(options.clientId!)
      else this.told.refuse('closed')
    })
    return client
  }
  #isOver = false
  async start(): Promise<void> {
    const reader = await this.#connect({ clientId: 'reader', protocolVersion: 5, ...kept }, true)
    reader.on('message', (topic, payload) => {
      const id = payload.toString().split('|')[0]!
      if (topic.startsWith('full/will/')) this.#wills.add(topic)
      else if (!topic.startsWith('full/retained')) this.#came.set(id, (this.#came.get(id) ?? 0) + 1)
    })
    await reader.subscribeAsync('full/#', { qos: 2 })
    this.#retainer = await this.#connect({ clientId: 'retainer', protocolVersion: 5, ...kept }, true)
    for (const one of this.#writers) one.start()
    await this.#retain()
  }
  async #retain(): Promise<Answer> {
    const number = this.#retained + 1
    const value = valueOf(`retained/${number}`, valueBytes)
    const why = await answerOf(this.#retainer!.publishAsync('full/retained', value, { qos: 1, retain: true }))
    if (why === null) this.#retained = number
    return why
  }
  /** A new session, of a client of its own. */
  async #session(version: 4 | 5, name: string): Promise<Answer> {
    const options = {
      clientId: `${name}-${version}`,
      protocolVersion: version,
      reconnectPeriod: 0,
      connectTimeout: 5_000,
    }
    try {
      const client = await mqtt.connectAsync(`mqtt://127.0.0.1:${this.#port}`, { ...options, ...kept }, false)
      await client.endAsync(true)
      return null
    } catch (error) {
      return codeOf(error)
    }
  }
  #dying: MqttClient | null = null
  /** Whose will is to come when it is gone. */
  async #mortal(): Promise<void> {
    const will = { topic: `full/will/${this.#turn + 1}`, payload: Buffer.from('will|'), qos: 1 } as const
    const options = { clientId: `mortal-${this.#turn + 1}`, protocolVersion: 5, reconnectPeriod: 0, will } as const
    this.#dying = await mqtt.connectAsync(`mqtt://127.0.0.1:${this.#port}`, options)
    this.#dying.on('error', () => {})
  }
  before(): Promise<void> {
    return this.#mortal()
  }
  async changes(): Promise<void> {
    this.#turn++
    this.#dying?.stream.destroy()
    await this.afterwards()
  }
  async whileFull(): Promise<void> {
    this.#turn++
    await this.told.mustRefuse('a retained message', () => this.#retain())
    for (const version of [4, 5] as const)
      await this.told.mustRefuse(`a session of version ${version}`, () => this.#session(version, `new-${this.#turn}`))
    this.#dying?.stream.destroy()
  }
  async afterwards(): Promise<void> {
    await this.told.mustTake('a retained message', () => this.#retain())
    for (const version of [4, 5] as const)
      await this.told.mustTake(`a session of version ${version}`, () => this.#session(version, `new-${this.#turn}`))
    const giveUp = performance.now() + willWithinMs
    const topic = `full/will/${this.#turn}`
    while (!this.#wills.has(topic) && performance.now() < giveUp) await sleep(50)
    if (!this.#wills.has(topic)) this.told.problem(`the will ${topic} never came`)
  }
  async stop(): Promise<void> {
    await Promise.all(this.#writers.map((one) => one.stop()))
  }
  async check(http: string): Promise<void> {
    const isOnce = (name: string): boolean => name.endsWith('qos2')
    await checkTopic(http, 'mqtt.full', { writers: this.#writers, told: this.told, isOnce })
    const giveUp = performance.now() + drainMs
    const missing = (): string[] =>
      this.#writers.flatMap(({ name, acknowledged }) =>
        [...acknowledged].map((number) => `${name}/${number}`).filter((id) => !this.#came.has(id)),
      )
    while (missing().length > 0 && performance.now() < giveUp) await sleep(200)
    for (const id of missing().slice(0, 5)) this.told.problem(`${id} was acknowledged and never came to the subscriber`)
    for (const [id, times] of this.#came)
      if (times > 1 && isOnce(id.split('/')[0]!)) this.told.problem(`${id} came to the subscriber ${times} times`)
    await this.#checkRetained()
  }
  async #checkRetained(): Promise<void> {
    const client = await this.#connect({ clientId: 'looks', protocolVersion: 5 }, true)
    let found = ''
    client.on('message', (_, payload) => (found = payload.toString().split('|')[0]!))
    await client.subscribeAsync('full/retained', { qos: 1 })
    await sleep(500)
    client.end(true)
    // Or the next one, whose answer did not come.
    if (![this.#retained, this.#retained + 1].some((number) => found === `retained/${number}`))
      this.told.problem(`${found} is retained, and retained/${this.#retained} was acknowledged last`)
  }
  close(): void {
    this.#isOver = true
    for (const client of this.#clients) client.end(true)
    this.#dying?.end(true)
  }
}
async function answerOf(publishing: Promise<unknown>): Promise<Answer> {
  try {
    await publishing
    return null
  } catch (error) {
    return codeOf(error)
  }
}
function codeOf(error: unknown): string {
  const { code, message } = error as { code?: number | string; message?: string }
  if (typeof code === 'number' && code >= 0x80) return `0x${code.toString(16)}`
  return code === undefined ? String(message) : String(code)
}
