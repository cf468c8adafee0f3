/** Settings of groups, as records `group/<name>` of the catalogue. */
import { Fault, asFault } from '../../../lib/fault.ts'
import { limits } from '../../../lib/limits.ts'
import type { Clock } from '../../../lib/world.ts'
import type { LogRecord } from '../../batch.ts'
import type { ConfigEntry, GroupConfigs } from '../../broker.ts'
import type { PartitionState } from '../partition.ts'
import { appendDurably } from '../system-log.ts'
import type { QueueSettings } from '../../queues/queues.ts'
import { checkTopicName } from '../topic-name.ts'
import type { ConsumerGroupSettings } from './consumer/consumer-group.ts'

interface Setting {
  readonly default: string
  readonly type: ConfigEntry['type']
  readonly documentation: string
  /** Why a value cannot be. */
  wrong(value: string): string | null
}
type Config = Readonly<Record<string, string>>

const session = 'consumer.session.timeout.ms'
const heartbeat = 'consumer.heartbeat.interval.ms'
const assignment = 'consumer.assignment.interval.ms'
const shareSession = 'share.session.timeout.ms'
const shareHeartbeat = 'share.heartbeat.interval.ms'
const shareAssignment = 'share.assignment.interval.ms'
const lockDuration = 'share.record.lock.duration.ms'
const deliveryLimit = 'share.delivery.count.limit'
const maxLocks = 'share.partition.max.record.locks'
const offsetReset = 'share.auto.offset.reset'
const isolation = 'share.isolation.level'
const renew = 'share.renew.acknowledge.enable'
const orderByKey = 'share.order.by.key'
const releaseDelay = 'share.release.delay.ms'
const deadLetterTopic = 'errors.deadletterqueue.topic.name'
const deadLetterCopies = 'errors.deadletterqueue.copy.record.enable'
/** What is written there was not written by who may write there: its name says so, as Kafka asks by default (KIP-1191). */
const deadLetterPrefix = 'dlq.'

const whole = (of: { default: number; min: number; max: number; documentation: string }): Setting => ({
  default: String(of.default),
  type: 'int',
  documentation: of.documentation,
  wrong(value) {
    if (!/^\d{1,10}$/.test(value)) return 'it must be a whole number'
    const number = Number(value)
    return number < of.min || number > of.max ? `it must be from ${of.min} to ${of.max}` : null
  },
})
const yesOrNo = (isDefault: boolean, documentation: string): Setting => ({
  default: String(isDefault),
  type: 'boolean',
  documentation,
  wrong: (value) => (value === 'true' || value === 'false' ? null : 'it must be true or false'),
})
const text = (byDefault: string, documentation: string, wrong: Setting['wrong']): Setting => ({
  default: byDefault,
  type: 'string',
  documentation,
  wrong,
})
const sessionBounds = { default: 45_000, min: limits.sessionTimeoutMinMs, max: limits.sessionTimeoutMaxMs }
/** Kafka's names but for two; its bounds are wider here at the lower end. */
const settings: Readonly<Record<string, Setting>> = {
  [session]: whole({
    ...sessionBounds,
    documentation: 'A member of the consumer protocol that is silent for so long is out of the group.',
  }),
  [heartbeat]: whole({
    default: 5_000,
    min: 100,
    max: 15_000,
    documentation:
      'How often members of the consumer protocol are asked to send a heartbeat. While it is not set, groups of less than 100 members are asked more often, down to every 500 ms, and every 100 ms while the group changes.',
  }),
  [assignment]: whole({
    default: 250,
    min: 0,
    max: 15_000,
    documentation: 'The least time between two assignments of a group of the consumer protocol.',
  }),
  [shareSession]: whole({
    ...sessionBounds,
    documentation: 'A member of a share group that is silent for so long is out of the group.',
  }),
  [shareHeartbeat]: whole({
    default: 5_000,
    min: 100,
    max: 15_000,
    documentation:
      'How often members of a share group are asked to send a heartbeat. While it is not set, groups of less than 100 members are asked more often, down to every 500 ms, and every 100 ms while the group changes.',
  }),
  [shareAssignment]: whole({
    default: 250,
    min: 0,
    max: 15_000,
    documentation: 'The least time between two assignments of a share group.',
  }),
  [lockDuration]: whole({
    default: 30_000,
    min: 1_000,
    max: 3_600_000,
    documentation:
      'A record that a share group gave out goes to another member when it is not acknowledged for so long.',
  }),
  [deliveryLimit]: whole({
    default: 5,
    min: 2,
    max: 25,
    documentation: 'A record that was delivered so often and never accepted is given up.',
  }),
  [maxLocks]: whole({
    default: 2_000,
    min: 100,
    max: 10_000,
    documentation: 'Records of one partition that a share group has given out and that are not done with, at most.',
  }),
  [offsetReset]: text(
    'latest',
    'Where a share group begins: latest, earliest, or by_duration:PnDTnHnMnS for the records of that time.',
    (value) => (resetOf(value) === null ? 'it must be latest, earliest or by_duration:PnDTnHnMnS' : null),
  ),
  [isolation]: text(
    'read_uncommitted',
    'Whether a share group is given records of transactions that are not committed: read_committed or read_uncommitted.',
    (value) =>
      value === 'read_committed' || value === 'read_uncommitted'
        ? null
        : 'it must be read_committed or read_uncommitted',
  ),
  [renew]: yesOrNo(true, 'Whether members of a share group may renew the locks of records that they hold.'),
  [orderByKey]: yesOrNo(
    false,
    'Whether a share group gives out records of one key one after another, in their order. Kafka has no such setting.',
  ),
  [releaseDelay]: whole({
    default: 0,
    min: 0,
    max: 24 * 60 * 60 * 1000,
    documentation:
      'A record that was released, or whose lock ended, is not given out again for so long. Kafka has no such setting.',
  }),
  [deadLetterTopic]: text(
    '',
    'What a share group gives up or rejects is copied to this topic, which is made when it is not there; its name begins with dlq. (KIP-1191).',
    (value) => {
      if (value === '') return null
      if (!value.startsWith(deadLetterPrefix)) return `it must begin with ${deadLetterPrefix}`
      return wrongWithName(value)
    },
  ),
  [deadLetterCopies]: yesOrNo(
    true,
    'Whether the dead letter holds the record; else only where it was, and why it was given up (KIP-1191; there it is false by default).',
  ),
}
const has = (name: string): boolean => Object.hasOwn(settings, name)
const prefix = 'group/'

export class LocalGroupConfigs implements GroupConfigs {
  readonly #clock: Clock
  readonly #catalog: PartitionState
  readonly #configs = new Map<string, Config>()
  /** One change at a time. */
  #last: Promise<unknown> = Promise.resolve()

  constructor(clock: Clock, catalog: PartitionState) {
    this.#clock = clock
    this.#catalog = catalog
  }
  restore(record: LogRecord): void {
    const key = record.key === null ? '' : Buffer.from(record.key).toString()
    if (!key.startsWith(prefix)) return
    const group = key.slice(prefix.length)
    if (record.value === null) this.#configs.delete(group)
    else this.#configs.set(group, JSON.parse(Buffer.from(record.value).toString()) as Config)
  }

  #value(group: string, name: string): string {
    return this.#configs.get(group)?.[name] ?? settings[name]!.default
  }
  #number(group: string, name: string): number {
    return Number(this.#value(group, name))
  }
  of(group: string): ConsumerGroupSettings {
    return this.#members(group, { session, heartbeat, assignment })
  }
  ofShare(group: string): ConsumerGroupSettings {
    return this.#members(group, { session: shareSession, heartbeat: shareHeartbeat, assignment: shareAssignment })
  }
  #members(group: string, names: { session: string; heartbeat: string; assignment: string }): ConsumerGroupSettings {
    const isSet = this.#configs.get(group)?.[names.heartbeat] !== undefined
    return {
      sessionMs: this.#number(group, names.session),
      heartbeatMs: isSet ? this.#number(group, names.heartbeat) : null,
      assignmentMs: this.#number(group, names.assignment),
    }
  }
  ofQueue(group: string): QueueSettings {
    const topic = this.#value(group, deadLetterTopic)
    return {
      lockMs: this.#number(group, lockDuration),
      deliveriesMax: this.#number(group, deliveryLimit),
      locksMax: this.#number(group, maxLocks),
      reset: resetOf(this.#value(group, offsetReset)) ?? 'latest',
      committedOnly: this.#value(group, isolation) === 'read_committed',
      mayRenew: this.#value(group, renew) === 'true',
      orderByKey: this.#value(group, orderByKey) === 'true',
      releaseDelayMs: this.#number(group, releaseDelay),
      deadLetter: topic === '' ? null : { topic, copiesRecord: this.#value(group, deadLetterCopies) === 'true' },
    }
  }
  names(): readonly string[] {
    return [...this.#configs.keys()]
  }
  current(group: string): Config {
    return this.#configs.get(group) ?? {}
  }
  describe(group: string): readonly ConfigEntry[] {
    const config = this.current(group)
    return Object.entries(settings).map(([name, setting]) => ({
      name,
      value: config[name] ?? setting.default,
      isDefault: config[name] === undefined,
      type: setting.type,
      documentation: setting.documentation,
    }))
  }
  check(group: string, change: Readonly<Record<string, string | null>>): Fault | null {
    try {
      this.#changed(group, change)
      return null
    } catch (error) {
      return asFault(error)
    }
  }
  #changed(group: string, change: Readonly<Record<string, string | null>>): Config {
    if (group === '') throw new Fault('log.invalid-group', { group, why: 'it is empty' })
    if (group.length > limits.groupIdLength)
      throw new Fault('log.invalid-group', { group: group.slice(0, 32), why: 'it is too long' })
    const config = new Map(Object.entries(this.current(group)))
    for (const [name, value] of Object.entries(change)) {
      checkSetting(name, value)
      if (value === null) config.delete(name)
      else config.set(name, value.trim())
    }
    const value = (name: string): number => Number(config.get(name) ?? settings[name]!.default)
    for (const [longer, shorter] of [
      [session, heartbeat],
      [shareSession, shareHeartbeat],
    ] as const)
      if (value(longer) <= value(shorter))
        throw new Fault('log.invalid-config', {
          name: longer,
          value: String(value(longer)),
          why: `it must be more than ${shorter}, which is ${value(shorter)}`,
        })
    return Object.fromEntries(config)
  }
  alter(group: string, change: Readonly<Record<string, string | null>>): Promise<void> {
    const mine = this.#last.then(async () => {
      const config = this.#changed(group, change)
      const isNone = Object.keys(config).length === 0
      const value = isNone ? null : Buffer.from(JSON.stringify(config))
      await appendDurably(this.#catalog, [{ key: Buffer.from(prefix + group), value, timeMs: this.#clock.now() }])
      if (isNone) this.#configs.delete(group)
      else this.#configs.set(group, config)
    })
    this.#last = mine.catch(() => undefined)
    return mine
  }
}

function checkSetting(name: string, value: string | null): void {
  const refuse = (why: string): never => {
    throw new Fault('log.invalid-config', { name, value: value ?? '', why })
  }
  if (!has(name)) return refuse('there is no such setting of groups')
  const why = value === null ? null : settings[name]!.wrong(value.trim())
  if (why !== null) refuse(why)
}
function resetOf(value: string): QueueSettings['reset'] | null {
  if (value === 'latest' || value === 'earliest') return value
  const [, iso = ''] = /^by_duration:(.+)$/.exec(value) ?? []
  const parts = /^P(?:(\d{1,6})D)?(?:T(?:(\d{1,6})H)?(?:(\d{1,8})M)?(?:(\d{1,9}(?:\.\d{1,9})?)S)?)?$/.exec(iso)
  if (parts === null || iso.endsWith('T') || iso === 'P') return null
  const [days, hours, minutes, seconds] = parts.slice(1).map((part) => Number(part ?? 0))
  return { agoMs: Math.round((((days! * 24 + hours!) * 60 + minutes!) * 60 + seconds!) * 1000) }
}
function wrongWithName(topic: string): string | null {
  try {
    checkTopicName(topic)
    return null
  } catch (error) {
    return asFault(error).message
  }
}
