/** The log that the configuration names: in the data folder, or in a Kafka cluster. */
import { readFileSync } from 'node:fs'
import { Fault } from '../lib/fault.ts'
import type { Logger } from '../lib/logger.ts'
import type { World } from '../lib/world.ts'
import type { Intake } from '../log/broker.ts'
import { openClusterLog } from '../log/cluster/open.ts'
import { openLocalLog } from '../log/local/open.ts'
import type { LocalLog } from '../log/local/local-log.ts'
import type { Log } from '../log/log.ts'
import type { Telemetry } from '../telemetry/telemetry.ts'
import type { Config } from './config.ts'
import type { KafkaLog } from './log-config.ts'

export interface OpenedLog {
  readonly log: Log
  /** The same, where it is one of our own: what only it can do. */
  readonly local: LocalLog | null
}
export interface OpenLogOptions {
  readonly config: Config
  readonly world: World
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
    onFault: (fault) => logger.error(fault.message, { code: fault.code }),
  })
  reportRecovery(local.recovery, logger)
  return { log: local, local }
}

function openKafka({ config, world, telemetry, logger }: OpenLogOptions, kafka: KafkaLog): Promise<Log> {
  const { peer } = config.listen
  const { peer: advertise } = config.advertise
  return openClusterLog({
    world,
    brokers: kafka.brokers,
    meter: telemetry.traffic,
    logger,
    peer: peer === null ? null : { listen: peer, ...(advertise === undefined ? {} : { advertise }) },
    ...(kafka.tls === null ? {} : { tls: kafka.tls.ca === null ? {} : { ca: certificates(kafka.tls.ca) } }),
    ...(kafka.sasl === null ? {} : { sasl: kafka.sasl }),
  })
}
function certificates(path: string): string {
  try {
    return readFileSync(path, 'utf8')
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error)
    throw new Fault('config.invalid', { setting: 'log.tls.ca', value: path, why }, error)
  }
}

function reportRecovery(recovery: LocalLog['recovery'], logger: Logger): void {
  if (recovery.clean) return
  logger.info('recovered after an unclean stop', { ms: Math.round(recovery.ms), scannedBytes: recovery.scannedBytes })
  for (const torn of recovery.torn) logger.warn('an unsynced tail was set aside', { ...torn })
  for (const fault of recovery.damaged) logger.error(fault.message, { code: fault.code })
}
