/** Apache Kafka from Maven: its jars for the Java client and the command-line tools, and a real broker to compare with. */
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { installOnce, repository } from './cache.ts'
import { need } from './debian.ts'
import { freePortRow, freePorts } from './ports.ts'
import { run } from './run.ts'

export const kafkaVersion = '4.3.1'
const scripts = join(repository, 'bench', 'peers', 'kafka', 'tools')

/** Folder with `lib/*.jar`; its class path is `DIR/lib/*`. */
export async function kafkaDir(): Promise<string> {
  await need('java', 'mvn')
  return installOnce('kafka', kafkaVersion, async (dir) => {
    console.error(`installing Apache Kafka ${kafkaVersion} from Maven`)
    await run(join(scripts, 'install.sh'), [dir, kafkaVersion])
  })
}

/**
 * Command and arguments that run one of Kafka's tools: `topics`, `console-producer`, `console-consumer`, `groups`,
 * `configs`, `offsets`, `dump-log`, `api-versions`, … (`tools/kafka-tool.sh` has the list) or any class by its full name.
 */
export async function kafkaTool(tool: string, ...args: string[]): Promise<readonly [command: string, args: string[]]> {
  return [join(scripts, 'kafka-tool.sh'), [await kafkaDir(), tool, ...args]]
}

export interface KafkaBroker {
  readonly address: string
  readonly pid: number
  stop(): Promise<void>
}

/** Several at once, on a machine that does other things too. */
const patience = { READY_SECONDS: '180' }
const smallHeap = { HEAP: '-Xms256M -Xmx384M', ...patience }

/** Three brokers, each also a controller; topics have three replicas. */
export interface KafkaCluster {
  readonly addresses: readonly string[]
  readonly pids: readonly number[]
  stop(): Promise<void>
}
export async function startKafkaCluster(data: string, settings: readonly string[] = []): Promise<KafkaCluster> {
  const dir = await kafkaDir()
  const first = await freePortRow(6)
  const args = [dir, String(first), data, ...settings]
  const said = await run(join(scripts, 'start-cluster.sh'), args, { env: smallHeap })
  return {
    addresses: [0, 1, 2].map((i) => `127.0.0.1:${first + i}`),
    pids: said.trim().split(' ').map(Number),
    stop: async () => void (await run(join(scripts, 'stop.sh'), [data])),
  }
}

/** One broker that takes SASL over TLS alone: users `admin` and `alice`. */
export interface SecureKafka extends KafkaBroker {
  readonly password: string
  /** PEM */
  readonly ca: string
}
export async function startSecureKafka(data: string, settings: readonly string[] = []): Promise<SecureKafka> {
  const dir = await kafkaDir()
  const [port, controllerPort] = await freePorts()
  const password = 'secret-pw'
  const env = { ...smallHeap, CONTROLLER_PORT: String(controllerPort), PASSWORD: password }
  const said = await run(join(scripts, 'start-secure.sh'), [dir, String(port), data, ...settings], { env })
  return {
    address: `localhost:${port}`,
    pid: Number(said.trim()),
    password,
    ca: readFileSync(join(data, 'tls', 'ca.pem'), 'utf8'),
    stop: async () => void (await run(join(scripts, 'stop.sh'), [data])),
  }
}

/** A real broker (one node) on a free port of 127.0.0.1, its data in `data`. `settings` as in server.properties. */
export async function startKafka(
  data: string,
  settings: readonly string[] = [],
  ports?: readonly [broker: number, controller: number],
): Promise<KafkaBroker> {
  const dir = await kafkaDir()
  const [port, controllerPort] = ports ?? (await freePorts())
  const env = { CONTROLLER_PORT: String(controllerPort), ...patience }
  const stop = async (): Promise<void> => void (await run(join(scripts, 'stop.sh'), [data]))
  try {
    const said = await run(join(scripts, 'start.sh'), [dir, String(port), data, ...settings], { env })
    return { address: `127.0.0.1:${port}`, pid: Number(said.trim()), stop }
  } catch (error) {
    // It may be on its way still.
    await stop()
    throw error
  }
}
