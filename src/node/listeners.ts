/** How each protocol listens: the gateways, with what they need of the layers below. */
import { existsSync } from 'node:fs'
import { fileURLToPath } from 'node:url'
import { listenHttp } from '../gateway/http/listen.ts'
import { type SaslSettings, listenKafka } from '../gateway/kafka/index.ts'
import type { Logger } from '../lib/logger.ts'
import { isLoopback } from '../lib/loopback.ts'
import type { Address, TlsServer, World } from '../lib/world.ts'
import type { Doctor } from '../query/engine.ts'
import type { MqttSessions } from '../telemetry/mqtt-sessions.ts'
import type { ReadersOf } from '../telemetry/topic-reader.ts'
import { saslMechanisms } from '../security/sasl.ts'
import type { Config, Protocol } from './config.ts'
import type { Layers } from './millrace.ts'
import { version } from './version.ts'

export interface ListenOptions extends Layers {
  readonly config: Config
  readonly logger: Logger
  /** The machine itself, where the data lies in memory. */
  readonly machine: World
  /** Of all gateways that listen by now. */
  readonly readersOf: ReadersOf
  /** null: MQTT does not listen, by now or at all. */
  readonly mqttSessions: () => MqttSessions | null
  /** Of the gateways that have one, by protocol. */
  readonly doctors: () => ReadonlyMap<string, Doctor>
  readonly at: Address
  /** As it is read first; without it the listener is not encrypted. */
  readonly tls?: TlsServer
}
export interface Listener {
  readonly at: Address
  /** Another certificate, for connections from now on. Throws when it is none. */
  renew(tls: TlsServer): void
  /** Whom it knows as readers of a topic that are no groups. */
  readonly readersOf?: ReadersOf
  readonly mqttSessions?: MqttSessions
  readonly doctor?: Doctor
  /** Stops accepting, answers what is under way, then closes every connection. Idempotent. */
  close(): Promise<void>
}

/** null: nothing listens here that is a gateway. */
export const listeners: Readonly<Record<Protocol, (options: ListenOptions) => Promise<Listener | null>>> = {
  kafka,
  http,
  eventhubs,
  kinesis,
  mqtt,
  pubsub,
  // The log over a cluster does that itself.
  peer: () => Promise.resolve(null),
}

async function kafka({ config, local: broker, ...options }: ListenOptions): Promise<Listener | null> {
  if (broker === null) return null
  const { world, telemetry, engine, security, logger, at, tls } = options
  const { kafka: advertise } = config.advertise
  return listenKafka({
    world,
    broker,
    at,
    meter: telemetry.kafka,
    clients: telemetry.clients,
    log: logger,
    uses: engine,
    topicDefaults: config.kafkaTopics,
    security,
    sasl: saslOf(config.security),
    ...(tls === undefined ? {} : { tls }),
    ...(advertise === undefined ? {} : { advertise }),
  })
}
/** A listener that was not told how to ask offers what works with users as they are, and insists on nothing. */
function saslOf({ kafkaSasl, kafkaReauthMs: reauthMs, oauth }: Config['security']): SaslSettings {
  const offered = saslMechanisms.filter((mechanism) => mechanism !== 'OAUTHBEARER' || oauth !== null)
  const required = kafkaSasl.length > 0
  return { mechanisms: required ? kafkaSasl : offered, required, reauthMs }
}

/** Loaded where it is wanted: who does not speak it pays nothing. */
async function kinesis({ config, local: log, ...options }: ListenOptions): Promise<Listener | null> {
  if (log === null) return null
  const { listenKinesis } = await import('../gateway/kinesis/index.ts')
  const { world, commits, contracts, security, telemetry, engine, logger, at, tls } = options
  return listenKinesis({
    ...{ world, log, commits, contracts, security, logger, at },
    uses: engine,
    settings: config.kinesis,
    hosts: config.httpHosts,
    origins: config.httpOrigins,
    meter: telemetry.kinesis,
    ...(tls === undefined ? {} : { tls }),
  })
}

async function mqtt({ config, local, ...options }: ListenOptions): Promise<Listener | null> {
  if (local === null) return null
  const { world, log, commits, contracts, security, telemetry, engine, logger, at, tls } = options
  const { listenMqtt } = await import('../gateway/mqtt/index.ts')
  return listenMqtt({
    world,
    log,
    commits,
    contracts,
    security,
    writerOf: (topic) => engine.writerOf(topic),
    at,
    logger,
    meter: telemetry.mqtt,
    rules: config.mqttTopics,
    partitions: config.kafkaTopics.partitions,
    asksWho: !isLoopback(at.host),
    keepAliveMaxS: config.mqttKeepAliveS,
    ...(config.mqttSessionExpiryMaxS === null ? {} : { sessionExpiryMaxS: config.mqttSessionExpiryMaxS }),
    hosts: config.httpHosts,
    origins: config.httpOrigins,
    version,
    ...(tls === undefined ? {} : { tls }),
  })
}

function http({ config, machine, ...options }: ListenOptions): Promise<Listener> {
  return listenHttp({
    ...options,
    version,
    dataPath: options.local === null || config.data === ':memory:' ? null : config.data,
    hosts: config.httpHosts,
    origins: config.httpOrigins,
    consoleDir: consoleDir(),
    // The data may lie in memory, the console's files never do.
    consoleDisk: machine.disk,
  })
}
/** Loaded when it listens: who does not ask for it pays nothing. */
async function eventhubs({
  local: log,
  engine: uses,
  config,
  telemetry,
  ...options
}: ListenOptions): Promise<Listener | null> {
  if (log === null) return null
  const { listenEventHubs } = await import('../gateway/eventhubs/index.ts')
  const { httpHosts: hosts, httpOrigins: origins, eventhubsAutoCreate: autoCreate } = config
  return listenEventHubs({ ...options, log, uses, meter: telemetry.eventhubs, autoCreate, hosts, origins })
}
async function pubsub({ config, local, ...options }: ListenOptions): Promise<Listener | null> {
  if (local === null) return null
  const { world, commits, contracts, security, logger, telemetry, engine, at, tls } = options
  const { listenPubsub } = await import('../gateway/pubsub/index.ts')
  const { pubsub: advertise } = config.advertise
  return listenPubsub({
    world,
    log: local,
    commits,
    contracts,
    security,
    logger,
    meter: telemetry.pubsub,
    uses: engine,
    partitions: config.kafkaTopics.partitions,
    at,
    pushAllow: config.webhooksAllow,
    ...(tls === undefined ? {} : { tls }),
    ...(advertise === undefined ? {} : { advertise }),
  })
}
/** Two steps up from src/node and from dist/node lies the package; the console's files are in its dist. */
function consoleDir(): string | null {
  const dir = fileURLToPath(new URL('../../dist/console', import.meta.url))
  return existsSync(dir) ? dir : null
}
