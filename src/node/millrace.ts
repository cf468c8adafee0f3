/**
 * The composition root: builds every layer from the configuration, starts them lowest first and stops them in reverse.
 * Nothing else in the program knows all of them.
 */
import type { Logger } from '../lib/logger.ts'
import { memoryDisk } from '../lib/real/memory-disk.ts'
import type { Address, World } from '../lib/world.ts'
import { listenKafka } from '../gateway/kafka/index.ts'
import { openLocalLog } from '../log/local/open.ts'
import { openTelemetry } from '../telemetry/telemetry.ts'
import type { Config, Protocol } from './config.ts'
import type { Project } from './project.ts'
import { version } from './version.ts'

export interface StartOptions {
  readonly config: Config
  readonly world: World
  readonly logger: Logger
  readonly project?: Project
}
export interface Running {
  /** Protocol → HOST:PORT as bound. */
  listening(): Readonly<Partial<Record<Protocol, string>>>
  /** Stops what was started, in reverse. Idempotent. */
  close(): Promise<void>
}

/** Throws the first Fault met, after stopping what was started before it. */
export async function startMillrace(options: StartOptions): Promise<Running> {
  const stack = new AsyncDisposableStack()
  try {
    return await start(options, stack)
  } catch (error) {
    await stack.disposeAsync()
    throw error
  }
}

async function start({ config, world: outer, logger }: StartOptions, stack: AsyncDisposableStack): Promise<Running> {
  const inMemory = config.data === ':memory:'
  const world: World = inMemory ? { ...outer, disk: memoryDisk() } : outer
  const telemetry = openTelemetry({ clock: world.clock, version })
  const log = await openLocalLog({
    world,
    dir: config.data,
    meter: telemetry.traffic,
    onFault: (fault) => logger.error(fault.message, { code: fault.code }),
  })
  stack.defer(() => log.close())
  reportRecovery(log.recovery, logger)

  const bound: Partial<Record<Protocol, Address>> = {}
  if (config.listen.kafka !== null) {
    const advertise = config.advertise.kafka
    const kafka = await listenKafka({
      world,
      broker: log,
      at: config.listen.kafka,
      meter: telemetry.kafka,
      log: logger,
      ...(advertise === undefined ? {} : { advertise }),
    })
    stack.defer(() => kafka.close())
    bound.kafka = kafka.at
  }
  return {
    listening: () => Object.fromEntries(Object.entries(bound).map(([protocol, at]) => [protocol, addressText(at)])),
    close: () => stack.disposeAsync(),
  }
}

const addressText = ({ host, port }: Address): string => (host.includes(':') ? `[${host}]:${port}` : `${host}:${port}`)

function reportRecovery(recovery: Awaited<ReturnType<typeof openLocalLog>>['recovery'], logger: Logger): void {
  if (recovery.clean) return
  logger.info('recovered after an unclean stop', { ms: Math.round(recovery.ms), scannedBytes: recovery.scannedBytes })
  for (const torn of recovery.torn) logger.warn('an unsynced tail was set aside', { ...torn })
  for (const fault of recovery.damaged) logger.error(fault.message, { code: fault.code })
}
