/**
 * Records of the consumer protocol in Kafka's own formats: keys 3 and 5 to 8, and 16. A test holds the declarations
 * against Kafka's descriptors.
 */
import { codecOf } from '../../../../wire/kafka/codec/compile.ts'
import {
  type AnyShape,
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
import { WireReader, WireWriter } from '../../../../wire/kafka/codec/wire.ts'
import type { LogRecord, RecordInput } from '../../../batch.ts'
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
  if ('member' in change) return encode(key, keyShape as typeof member, { groupId, memberId: change.member }, false)
  if (change.kind === 'pattern')
    return encode(key, consumerRecords.pattern.keyShape, { groupId, regularExpression: change.pattern }, false)
  return encode(key, keyShape as typeof group, { groupId }, false)
}
function valueOf(change: Change): Uint8Array | null {
  if (change.value === null) return null
  switch (change.kind) {
    case 'epoch':
      return encode(valueVersion, consumerRecords.epoch.value, {
        epoch: change.value.epoch,
        metadataHash: change.value.hash,
      })
    case 'assignment':
      return encode(valueVersion, consumerRecords.assignment.value, {
        assignmentEpoch: change.value.epoch,
        assignmentTimestamp: change.value.timeMs,
      })
    case 'info':
      return encode(valueVersion, consumerRecords.info.value, infoFields(change.value))
    case 'target':
      return encode(valueVersion, consumerRecords.target.value, {
        topicPartitions: Array.from(change.value, ([topicId, indexes]) => ({ topicId, partitions: [...indexes] })),
      })
    case 'progress':
      return encode(valueVersion, consumerRecords.progress.value, progressFields(change.value))
    case 'pattern': {
      const { topics, version, timeMs } = change.value
      return encode(valueVersion, consumerRecords.pattern.value, { topics, version, timestamp: timeMs })
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
function encode<S extends AnyShape>(version: number, shape: S, value: Encoded<S>, flexible = true): Uint8Array {
  const out = new WireWriter()
  out.int16(version)
  codecOf(shape, 0, flexible).encode(value, out)
  const pieces = out.take()
  return pieces.length === 1 ? pieces[0]! : Buffer.concat(pieces)
}

/** The change that a record of `__consumer_offsets` says, and of which group; null for records of another kind. */
export function changeOf(record: LogRecord): { group: string; change: Change } | null {
  if (record.key === null) return null
  const input = new WireReader(record.key)
  const number = input.int16()
  const kind = kinds.get(number)
  if (kind === undefined) return null
  const { value } = record
  if (kind === 'pattern') {
    const { groupId, regularExpression } = codecOf(consumerRecords.pattern.keyShape, 0, false).decode(input)
    return { group: groupId, change: { kind, pattern: regularExpression, value: value && patternFrom(value) } }
  }
  if (kind === 'epoch' || kind === 'assignment') {
    const { groupId } = codecOf(group, 0, false).decode(input)
    const change: Change =
      kind === 'epoch' ? { kind, value: value && epochFrom(value) } : { kind, value: value && assignmentFrom(value) }
    return { group: groupId, change }
  }
  const { groupId, memberId } = codecOf(member, 0, false).decode(input)
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
function decode<S extends AnyShape>(shape: S, value: Uint8Array): Decoded<S> {
  const input = new WireReader(value)
  input.int16()
  return codecOf(shape, 0, true).decode(input)
}
function epochFrom(value: Uint8Array): { epoch: number; hash: number } {
  const { epoch, metadataHash } = decode(consumerRecords.epoch.value, value)
  return { epoch, hash: metadataHash }
}
function assignmentFrom(value: Uint8Array): { epoch: number; timeMs: number } {
  const { assignmentEpoch, assignmentTimestamp } = decode(consumerRecords.assignment.value, value)
  return { epoch: assignmentEpoch, timeMs: assignmentTimestamp }
}
function patternFrom(value: Uint8Array): { topics: string[]; version: number; timeMs: number } {
  const { topics, version, timestamp } = decode(consumerRecords.pattern.value, value)
  return { topics, version, timeMs: timestamp }
}
function infoFrom(value: Uint8Array): MemberInfo {
  const fields = decode(consumerRecords.info.value, value)
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
    decode(consumerRecords.target.value, value).topicPartitions.map(({ topicId, partitions }) => [
      topicId,
      new Set(partitions),
    ]),
  )
function progressFrom(value: Uint8Array): Progress {
  const fields = decode(consumerRecords.progress.value, value)
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
