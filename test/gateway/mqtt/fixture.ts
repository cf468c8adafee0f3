/** The gateway over a real log, in memory unless a disk is given, with users and contracts as in the whole program. */
import type { TestContext } from 'node:test'
import mqtt, { type IClientOptions, type IPublishPacket, type MqttClient } from 'mqtt'
import { type MqttListener, type MqttOptions, listenMqtt } from '../../../src/gateway/mqtt/index.ts'
import { silent } from '../../../src/lib/logger.ts'
import { memoryDisk } from '../../../src/lib/real/memory-disk.ts'
import { realWorld } from '../../../src/lib/real/world.ts'
import type { World } from '../../../src/lib/world.ts'
import { type LogRecord, decodeBatch, encodeBatch, isControl } from '../../../src/log/batch.ts'
import { openCatalog } from '../../../src/log/catalog.ts'
import { openCommits } from '../../../src/log/commits.ts'
import type { LocalLog } from '../../../src/log/local/local-log.ts'
import { openLocalLog } from '../../../src/log/local/open.ts'
import type { Offset } from '../../../src/lib/brand.ts'
import { type Contracts, openContracts } from '../../../src/schema/contracts.ts'
import type { OAuthOptions } from '../../../src/security/oauth.ts'
import { type Security, openSecurity } from '../../../src/security/security.ts'

export interface Broker {
  readonly port: number
  readonly log: LocalLog
  readonly security: Security
  readonly contracts: Contracts
  readonly listener: MqttListener
  readonly complaints: string[]
  /** Stops it; what its disk holds stays. */
  stop(): Promise<void>
  client(options?: IClientOptions): Promise<Client>
  records(topic: string): Promise<LogRecord[]>
  /** As Kafka's or HTTP's clients would write it. */
  write(
    topic: string,
    key: string | null,
    value: string,
    headers?: readonly (readonly [string, string])[],
  ): Promise<void>
}
export interface Client {
  readonly mqtt: MqttClient
  readonly messages: IPublishPacket[]
  readonly sessionPresent: boolean
  /** When so many have come. */
  received(count: number): Promise<IPublishPacket[]>
  texts(): string[]
}

export const memoryWorld = (): World => ({ ...realWorld(), disk: memoryDisk() })

export async function broker(
  t: TestContext,
  options: Partial<MqttOptions> & { world?: World; oauth?: OAuthOptions } = {},
): Promise<Broker> {
  const world = (options.world ?? memoryWorld()) as World
  const log = await openLocalLog({ world, dir: 'data' })
  const catalog = await openCatalog(log, () => world.clock.now())
  const commits = openCommits(await log.owner(), world.clock)
  const contracts = openContracts({ catalog })
  const security = openSecurity(
    { world, log, catalog, logger: silent },
    { superUsers: [], principalMapping: 'DEFAULT', oauth: options.oauth ?? null, authenticates: false },
  )
  const complaints: string[] = []
  const note = (message: string, facts?: Readonly<Record<string, unknown>>): void => {
    const error = facts?.['error']
    complaints.push(`${message} ${error instanceof Error ? error.stack : JSON.stringify(facts)}`)
  }
  const listener = await listenMqtt({
    log,
    commits,
    contracts,
    security,
    at: { host: '127.0.0.1', port: 0 },
    logger: { info: note, warn: note, error: note },
    ...options,
    world,
  })
  const clients: MqttClient[] = []
  let stopped: Promise<void> | null = null
  const stop = (): Promise<void> => {
    stopped ??= (async () => {
      for (const one of clients) one.end(true)
      await listener.close()
      await security.close()
      await commits.close()
      await catalog.close()
      await log.close()
    })()
    return stopped
  }
  t.after(stop)
  const { port } = listener.at
  return {
    port,
    log,
    security,
    contracts,
    listener,
    complaints,
    stop,
    async client(settings = {}) {
      const client = await connect(`mqtt://127.0.0.1:${port}`, settings)
      clients.push(client.mqtt)
      return client
    },
    records: (topic) => recordsOf(log, topic),
    async write(topic, key, value, headers = []) {
      const record = {
        key: key === null ? null : Buffer.from(key),
        value: Buffer.from(value),
        timeMs: world.clock.now(),
        headers: headers.map(([name, text]) => [name, Buffer.from(text)] as const),
      }
      await log.writer().append([{ partition: { topic, index: 0 }, batch: encodeBatch([record]) }])
    },
  }
}

/** Resolves when it is connected; a client that is refused rejects, and none tries again. */
export async function connect(url: string, settings: IClientOptions): Promise<Client> {
  const client = mqtt.connect(url, { reconnectPeriod: 0, connectTimeout: 5_000, clean: true, ...settings })
  const messages: IPublishPacket[] = []
  let arrived = (): void => {}
  client.on('message', (_topic, _payload, packet) => {
    messages.push(packet)
    arrived()
  })
  const connack = await new Promise<{ sessionPresent?: boolean }>((resolve, reject) => {
    client.once('connect', resolve)
    client.once('error', reject)
    client.once('close', () => reject(new Error('closed before it was connected')))
  })
  client.on('error', () => {})
  return {
    mqtt: client,
    messages,
    sessionPresent: connack.sessionPresent === true,
    async received(count) {
      const giveUp = performance.now() + 5_000
      while (messages.length < count) {
        if (performance.now() > giveUp) throw new Error(`${messages.length} of ${count} messages came`)
        await new Promise<void>((resolve) => {
          const timer = setTimeout(resolve, 100)
          arrived = () => {
            clearTimeout(timer)
            resolve()
          }
        })
      }
      return messages
    },
    texts: () => messages.map(({ payload }) => payload.toString()),
  }
}

async function recordsOf(log: LocalLog, topic: string): Promise<LogRecord[]> {
  const info = await log.topics.get(topic)
  const found: LogRecord[] = []
  for (let index = 0; index < (info?.partitions ?? 0); index++) {
    const partition = { topic, index }
    const [bounds] = await log.bounds([partition])
    let at = bounds!.start
    while (at < bounds!.stable) {
      const [chunk] = await log.reader().read([{ partition, offset: at }])
      if (chunk === undefined || 'fault' in chunk) throw chunk?.fault ?? new Error('no answer')
      for (const batch of chunk.batches) if (!isControl(batch)) found.push(...decodeBatch(batch))
      at = Math.max(chunk.next, at + 1) as Offset
    }
  }
  return found
}
export const quiet = (ms = 150): Promise<void> => new Promise((resolve) => setTimeout(resolve, ms))
