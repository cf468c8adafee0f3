/**
 * Records of the consumer protocol in Kafka's own formats: keys 3 and 5 to 8, and 16. A test holds the declarations
 * against Kafka's descriptors.
 */
import {
  type Decoded,
  type Encoded,
  array,
  bytes,
  int32,
  int64,
  int8,
  nullable,
  or,
  string,
  struct,
  tagged,
  uuid,
} from '../../../../wire/kafka/codec/shape.ts'
import type { LogRecord, RecordInput } from '../../../batch.ts'
import { decodeForm, encodeForm, formNumber } from '../../../record-form.ts'
import { encodeGroup, encodeKey } from '../formats.ts'
import { ownProtocols } from '../memory.ts'
import type { Change, GroupChange, Holding, MemberInfo, Progress, TopicPartitions } from './model.ts'

const group = struct({ groupId: string })
const member = struct({ groupId: string, memberId: string })
const heldPartitions = array(
  struct({ topicId: uuid, partitions: array(int32), assignmentEpochs: tagged(0, or(null, nullable(array(int32)))) }),
)
/** By the number that begins the key. */
export const consumerRecords = {
  epoch: {
    key: 3,
    keyShape: group,
    value: struct({ epoch: int32, metadataHash: tagged(0, or(0, int64)) }),
  },
  info: {
    key: 5,
    keyShape: member,
    value: struct({
      instanceId: nullable(string),
      rackId: nullable(string),
      clientId: string,
      clientHost: string,
      subscribedTopicNames: array(string),
      subscribedTopicRegex: nullable(string),
      rebalanceTimeoutMs: or(-1, int32),
      serverAssignor: nullable(string),
      classicMemberMetadata: tagged(
        0,
        or(
          null,
          nullable(
            struct({ sessionTimeoutMs: int32, supportedProtocols: array(struct({ name: string, metadata: bytes })) }),
          ),
        ),
      ),
    }),
  },
  assignment: {
    key: 6,
    keyShape: group,
    value: struct({ assignmentEpoch: int32, assignmentTimestamp: tagged(0, or(0, int64)) }),
  },
  target: {
    key: 7,
    keyShape: member,
    value: struct({ topicPartitions: array(struct({ topicId: uuid, partitions: array(int32) })) }),
  },
  progress: {
    key: 8,
    keyShape: member,
    value: struct({
      memberEpoch: int32,
      previousMemberEpoch: int32,
      state: int8,
      assignedPartitions: heldPartitions,
      partitionsPendingRevocation: heldPartitions,
    }),
  },
  pattern: {
    key: 16,
    keyShape: struct({ groupId: string, regularExpression: string }),
    value: struct({ topics: array(string), version: int64, timestamp: int64 }),
  },
} as const

const valueVersion = 0
/** Kafka's numbers of `Progress.state`. */
const states = ['stable', 'unrevoked', 'unreleased'] as const

/** The record of a change. */
export function recordOf(name: string, change: GroupChange, timeMs: number): RecordInput {
  if (change.kind === 'classic')
    return {
      key: encodeKey({ kind: 'group', group: name }),
      value: change.value === null ? null : encodeGroup(change.value),
      timeMs,
    }
  return { key: keyOf(name, change), value: valueOf(change), timeMs }
}
function keyOf(groupId: string, change: Change): Uint8Array {
  const { key, keyShape } = consumerRecords[change.kind]
  if ('member' in change) return encodeForm(key, keyShape as typeof member, { groupId, memberId: change.member }, 'key')
  if (change.kind === 'pattern')
    return encodeForm(key, consumerRecords.pattern.keyShape, { groupId, regularExpression: change.pattern }, 'key')
  return encodeForm(key, keyShape as typeof group, { groupId }, 'key')
}
function valueOf(change: Change): Uint8Array | null {
  if (change.value === null) return null
  switch (change.kind) {
    case 'epoch':
      return encodeForm(
        valueVersion,
        consumerRecords.epoch.value,
        {
          epoch: change.value.epoch,
          metadataHash: change.value.hash,
        },
        'value',
      )
    case 'assignment':
      return encodeForm(
        valueVersion,
        consumerRecords.assignment.value,
        {
          assignmentEpoch: change.value.epoch,
          assignmentTimestamp: change.value.timeMs,
        },
        'value',
      )
    case 'info':
      return encodeForm(valueVersion, consumerRecords.info.value, infoFields(change.value), 'value')
    case 'target':
      return encodeForm(
        valueVersion,
        consumerRecords.target.value,
        {
          topicPartitions: Array.from(change.value, ([topicId, indexes]) => ({ topicId, partitions: [...indexes] })),
        },
        'value',
      )
    case 'progress':
      return encodeForm(valueVersion, consumerRecords.progress.value, progressFields(change.value), 'value')
    case 'pattern': {
      const { topics, version, timeMs } = change.value
      return encodeForm(valueVersion, consumerRecords.pattern.value, { topics, version, timestamp: timeMs }, 'value')
    }
  }
}
const infoFields = (info: MemberInfo): Encoded<typeof consumerRecords.info.value> => ({
  instanceId: info.instanceId,
  rackId: info.rackId,
  clientId: info.clientId,
  clientHost: info.host,
  subscribedTopicNames: info.topics,
  subscribedTopicRegex: info.pattern,
  rebalanceTimeoutMs: info.rebalanceTimeoutMs,
  serverAssignor: info.assignor,
  ...(info.classic === null
    ? {}
    : {
        classicMemberMetadata: {
          sessionTimeoutMs: info.classic.sessionTimeoutMs,
          supportedProtocols: info.classic.protocols,
        },
      }),
})
const progressFields = (progress: Progress): Encoded<typeof consumerRecords.progress.value> => ({
  memberEpoch: progress.epoch,
  previousMemberEpoch: progress.previousEpoch,
  state: states.indexOf(progress.state),
  assignedPartitions: heldFields(progress.assigned),
  partitionsPendingRevocation: heldFields(progress.revoking),
})
const heldFields = (holding: Holding): Encoded<typeof heldPartitions> =>
  Array.from(holding, ([topicId, epochs]) => ({
    topicId,
    partitions: [...epochs.keys()],
    assignmentEpochs: [...epochs.values()],
  }))
/** The change that a record of `__consumer_offsets` says, and of which group; null for records of another kind. */
export function changeOf(record: LogRecord): { group: string; change: Change } | null {
  if (record.key === null) return null
  const kind = kinds.get(formNumber(record.key))
  if (kind === undefined) return null
  const { value } = record
  if (kind === 'pattern') {
    const { groupId, regularExpression } = decodeForm(consumerRecords.pattern.keyShape, record.key, 'key')
    return { group: groupId, change: { kind, pattern: regularExpression, value: value && patternFrom(value) } }
  }
  if (kind === 'epoch' || kind === 'assignment') {
    const { groupId } = decodeForm(group, record.key, 'key')
    const change: Change =
      kind === 'epoch' ? { kind, value: value && epochFrom(value) } : { kind, value: value && assignmentFrom(value) }
    return { group: groupId, change }
  }
  const { groupId, memberId } = decodeForm(member, record.key, 'key')
  return { group: groupId, change: memberChange(kind, memberId, value) }
}
const kinds: ReadonlyMap<number, Change['kind']> = new Map(
  Object.entries(consumerRecords).map(([kind, { key }]) => [key, kind as Change['kind']]),
)
function memberChange(
  kind: 'info' | 'target' | 'progress',
  memberId: string,
  value: Uint8Array | null,
): Extract<Change, { member: string }> {
  switch (kind) {
    case 'info':
      return { kind, member: memberId, value: value && infoFrom(value) }
    case 'target':
      return { kind, member: memberId, value: value && targetFrom(value) }
    case 'progress':
      return { kind, member: memberId, value: value && progressFrom(value) }
  }
}
function epochFrom(value: Uint8Array): { epoch: number; hash: number } {
  const { epoch, metadataHash } = decodeForm(consumerRecords.epoch.value, value, 'value')
  return { epoch, hash: metadataHash }
}
function assignmentFrom(value: Uint8Array): { epoch: number; timeMs: number } {
  const { assignmentEpoch, assignmentTimestamp } = decodeForm(consumerRecords.assignment.value, value, 'value')
  return { epoch: assignmentEpoch, timeMs: assignmentTimestamp }
}
function patternFrom(value: Uint8Array): { topics: string[]; version: number; timeMs: number } {
  const { topics, version, timestamp } = decodeForm(consumerRecords.pattern.value, value, 'value')
  return { topics, version, timeMs: timestamp }
}
function infoFrom(value: Uint8Array): MemberInfo {
  const fields = decodeForm(consumerRecords.info.value, value, 'value')
  const classic = fields.classicMemberMetadata
  return {
    instanceId: fields.instanceId,
    rackId: fields.rackId,
    clientId: fields.clientId,
    host: fields.clientHost,
    topics: fields.subscribedTopicNames,
    pattern: fields.subscribedTopicRegex ?? '',
    rebalanceTimeoutMs: fields.rebalanceTimeoutMs,
    assignor: fields.serverAssignor,
    classic:
      classic === null
        ? null
        : {
            sessionTimeoutMs: classic.sessionTimeoutMs,
            protocols: ownProtocols({ protocols: classic.supportedProtocols }),
          },
  }
}
const targetFrom = (value: Uint8Array): TopicPartitions =>
  new Map(
    decodeForm(consumerRecords.target.value, value, 'value').topicPartitions.map(({ topicId, partitions }) => [
      topicId,
      new Set(partitions),
    ]),
  )
function progressFrom(value: Uint8Array): Progress {
  const fields = decodeForm(consumerRecords.progress.value, value, 'value')
  return {
    epoch: fields.memberEpoch,
    previousEpoch: fields.previousMemberEpoch,
    // A state that is not known here is reconciled from scratch, like one that waits for others.
    state: states[fields.state] ?? 'unreleased',
    assigned: holdingFrom(fields.assignedPartitions, fields.memberEpoch),
    revoking: holdingFrom(fields.partitionsPendingRevocation, fields.memberEpoch),
  }
}
function holdingFrom(held: Decoded<typeof heldPartitions>, epoch: number): Holding {
  const fallback = Math.max(epoch, 0)
  return new Map(
    held.map(({ topicId, partitions, assignmentEpochs }) => [
      topicId,
      new Map(partitions.map((index, i) => [index, assignmentEpochs?.[i] ?? fallback])),
    ]),
  )
}
