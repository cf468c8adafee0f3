/** The log that the configuration names: in the data folder, or in a Kafka cluster. */
import { Fault } from '../lib/fault.ts'
import type { Logger } from '../lib/logger.ts'
import type { TlsClient, World } from '../lib/world.ts'
import type { Intake } from '../log/broker.ts'
import type { SaslSettings } from '../log/cluster/settings.ts'
import { openLocalLog } from '../log/local/open.ts'
import type { LocalLog } from '../log/local/local-log.ts'
import type { Log } from '../log/log.ts'
import { readText } from '../security/files.ts'
import type { Telemetry } from '../telemetry/telemetry.ts'
import type { Config } from './config.ts'
import type { KafkaLog, KafkaSasl, KafkaTls } from './log-config.ts'

export interface OpenedLog {
  readonly log: Log
  /** The same, where it is one of our own: what only it can do. */
  readonly local: LocalLog | null
}
export interface OpenLogOptions {
  readonly config: Config
  readonly world: World
  /** Certificates are files of the machine also where the data lies in memory. */
  readonly machine: World
  readonly telemetry: Telemetry
  readonly logger: Logger
  /** Only a log of our own asks before it stores. */
  readonly intake: Intake
}

export async function openLog(options: OpenLogOptions): Promise<OpenedLog> {
  const { config, world, telemetry, logger } = options
  if (config.log !== 'local') return { log: await openKafka(options, config.log), local: null }
  const local = await openLocalLog({
    world,
    dir: config.data,
    intake: options.intake,
    meter: telemetry.traffic,
    storeMeter: telemetry.store,
    initialRebalanceDelayMs: config.kafkaRebalanceDelayMs,
    onFault: (fault) => logger.error(fault.message, { code: fault.code, hint: fault.hint }),
  })
  reportRecovery(local.recovery, logger)
  return { log: local, local }
}

async function openKafka({ config, world, machine, telemetry, logger }: OpenLogOptions, kafka: KafkaLog): Promise<Log> {
  const file = (setting: string, path: string): string => textOf(machine.disk, setting, path)
  const { peer } = config.listen
  const { peer: advertise } = config.advertise
  // Half a hundred modules that a log of our own needs none of.
  const { openClusterLog } = await import('../log/cluster/open.ts')
  return openClusterLog({
    world,
    brokers: kafka.brokers,
    meter: telemetry.traffic,
    logger,
    peer: peer === null ? null : { listen: peer, ...(advertise === undefined ? {} : { advertise }) },
    ...(kafka.tls === null ? {} : { tls: tlsOf(kafka.tls, file) }),
    ...(kafka.sasl === null ? {} : { sasl: saslOf(kafka.sasl, file) }),
  })
}
type ReadFile = (setting: string, path: string) => string
function tlsOf({ ca, own }: KafkaTls, file: ReadFile): TlsClient {
  return {
    ...(ca === null ? {} : { ca: file('log.tls.ca', ca) }),
    ...(own === null ? {} : { cert: file('log.tls.cert', own.cert), key: file('log.tls.key', own.key) }),
  }
}
function saslOf({ mechanism, username, password }: KafkaSasl, file: ReadFile): SaslSettings {
  if ('text' in password) return { mechanism, username, password: password.text }
  return { mechanism, username, password: file('logPasswordFile', password.file).replace(/\r?\n$/, '') }
}
function textOf(disk: World['disk'], setting: string, path: string): string {
  try {
    return readText(disk, path)
  } catch (error) {
    const why = `it cannot be read (${error instanceof Error ? error.message : String(error)})`
    throw new Fault('config.invalid', { setting, value: path, why }, error)
  }
}

function reportRecovery(recovery: LocalLog['recovery'], logger: Logger): void {
  if (recovery.clean) return
  logger.info('recovered after an unclean stop', { ms: Math.round(recovery.ms), scannedBytes: recovery.scannedBytes })
  for (const torn of recovery.torn) logger.warn('an unsynced tail was set aside', { ...torn })
  for (const fault of recovery.damaged) logger.error(fault.message, { code: fault.code, hint: fault.hint })
}
