/** Settings of groups, as records `group/<name>` of the catalogue. */
import { Fault, asFault } from '../../../lib/fault.ts'
import { limits } from '../../../lib/limits.ts'
import type { Clock } from '../../../lib/world.ts'
import type { PartitionState } from '../partition.ts'
import { LocalResourceConfigs, type ResourceKind, type ResourceSetting, whole } from '../resource-configs.ts'
import type { QueueSettings } from '../../queues/queues.ts'
import { checkTopicName } from '../topic-name.ts'
import type { ConsumerGroupSettings } from './consumer/consumer-group.ts'

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

const yesOrNo = (isDefault: boolean, documentation: string): ResourceSetting => ({
  default: String(isDefault),
  type: 'boolean',
  documentation,
  wrong: (value) => (value === 'true' || value === 'false' ? null : 'it must be true or false'),
})
const text = (byDefault: string, documentation: string, wrong: ResourceSetting['wrong']): ResourceSetting => ({
  default: byDefault,
  type: 'string',
  documentation,
  wrong,
})
const sessionBounds = { default: 45_000, min: limits.sessionTimeoutMinMs, max: limits.sessionTimeoutMaxMs }
/** Kafka's names but for two; its bounds are wider here at the lower end. */
const settings: Readonly<Record<string, ResourceSetting>> = {
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
const kind: ResourceKind = {
  prefix: 'group/',
  noun: 'groups',
  settings,
  checkName(group) {
    if (group === '') throw new Fault('log.invalid-group', { group, why: 'it is empty' })
    if (group.length > limits.groupIdLength)
      throw new Fault('log.invalid-group', { group: group.slice(0, 32), why: 'it is too long' })
  },
  checkAll(valueOf) {
    const value = (name: string): number => Number(valueOf(name))
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
  },
}

export class LocalGroupConfigs extends LocalResourceConfigs {
  constructor(clock: Clock, catalog: PartitionState) {
    super(kind, clock, catalog)
  }
  #number(group: string, name: string): number {
    return Number(this.value(group, name))
  }
  of(group: string): ConsumerGroupSettings {
    return this.#members(group, { session, heartbeat, assignment })
  }
  ofShare(group: string): ConsumerGroupSettings {
    return this.#members(group, { session: shareSession, heartbeat: shareHeartbeat, assignment: shareAssignment })
  }
  #members(group: string, names: { session: string; heartbeat: string; assignment: string }): ConsumerGroupSettings {
    const isSet = this.current(group)[names.heartbeat] !== undefined
    return {
      sessionMs: this.#number(group, names.session),
      heartbeatMs: isSet ? this.#number(group, names.heartbeat) : null,
      assignmentMs: this.#number(group, names.assignment),
    }
  }
  ofQueue(group: string): QueueSettings {
    const topic = this.value(group, deadLetterTopic)
    return {
      lockMs: this.#number(group, lockDuration),
      deliveriesMax: this.#number(group, deliveryLimit),
      locksMax: this.#number(group, maxLocks),
      reset: resetOf(this.value(group, offsetReset)) ?? 'latest',
      committedOnly: this.value(group, isolation) === 'read_committed',
      mayRenew: this.value(group, renew) === 'true',
      orderByKey: this.value(group, orderByKey) === 'true',
      releaseDelayMs: this.#number(group, releaseDelay),
      releaseDelayMaxMs: this.#number(group, releaseDelay),
      keepsLocks: false,
      deadLetter: topic === '' ? null : { topic, copiesRecord: this.value(group, deadLetterCopies) === 'true' },
    }
  }
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
