/** What the operations stand on, put together. */
import { limits } from '../../lib/limits.ts'
import { Room } from '../../lib/room.ts'
import { Fault } from '../../lib/fault.ts'
import type { Logger } from '../../lib/logger.ts'
import type { World } from '../../lib/world.ts'
import type { Broker } from '../../log/broker.ts'
import type { Commits } from '../../log/commits.ts'
import type { Contracts } from '../../schema/contracts.ts'
import type { Security } from '../../security/security.ts'
import type { Service, TopicUses } from './call.ts'
import { Growth } from './growth.ts'
import { Iterators } from './iterators.ts'
import { LateRecords } from './late-records.ts'
import { applyQueue, queuesOf } from './operations/queue-state.ts'
import { Records } from './records.ts'
import type { KinesisSettings } from './settings.ts'
import { Stalled } from './stalled.ts'
import { Streams } from './streams.ts'
import { Subscriptions } from './subscriptions.ts'

interface Options {
  readonly world: World
  readonly log: Broker
  readonly commits: Commits
  readonly contracts: Contracts
  readonly security: Security
  readonly uses: TopicUses
  readonly settings: KinesisSettings
  readonly logger: Logger
}
const secretKey = 'iterators'
const secretBytes = 32

export async function openService(options: Options): Promise<Service> {
  const { world, log, commits, contracts, security, uses, settings, logger } = options
  const onFault = (error: unknown): void =>
    logger.error('kinesis: a stream could not be changed', error instanceof Fault ? { code: error.code } : { error })
  const streams = await Streams.open({ log, world, settings, onFault })
  for (const queue of queuesOf(streams)) applyQueue(log, queue)
  return {
    world,
    log,
    security,
    uses,
    streams,
    records: new Records({
      log,
      commits,
      world,
      contracts,
      limits: settings.limits,
      shared: settings.model === '2020',
    }),
    iterators: new Iterators(await iteratorSecret(streams, world), world.clock),
    subscriptions: new Subscriptions(world.clock),
    growth: new Growth(streams, world.clock, onFault),
    late: new LateRecords(log, logger),
    room: new Room(limits.kinesisAnswerBytes),
    stalled: new Stalled(world.clock),
  }
}
/** Kept: iterators are good over a restart. */
async function iteratorSecret({ kept }: Streams, { random }: World): Promise<Uint8Array> {
  const known = kept.get(secretKey) as string | null
  if (known !== null) return Buffer.from(known, 'base64')
  const secret = random.bytes(secretBytes)
  await kept.set([[secretKey, Buffer.from(secret).toString('base64')]])
  return secret
}
