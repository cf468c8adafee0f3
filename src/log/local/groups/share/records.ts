/** Records of share groups in Kafka's own formats: keys 10 to 14. A test holds the declarations against Kafka's. */
import {
  array,
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
import { assert } from '../../../../lib/assert.ts'
import type { LogRecord, RecordInput } from '../../../batch.ts'
import { decodeForm, encodeForm, formNumber } from '../../../record-form.ts'
import { type Change, type GroupChange, type MemberInfo, type Progress, nothingHeld } from '../consumer/model.ts'

const group = struct({ groupId: string })
const member = struct({ groupId: string, memberId: string })
const topicPartitions = array(struct({ topicId: uuid, partitions: array(int32) }))
/** By the number that begins the key. */
export const shareRecords = {
  info: {
    key: 10,
    keyShape: member,
    value: struct({
      rackId: nullable(string),
      clientId: string,
      clientHost: string,
      subscribedTopicNames: array(string),
    }),
  },
  epoch: { key: 11, keyShape: group, value: struct({ epoch: int32, metadataHash: int64 }) },
  assignment: {
    key: 12,
    keyShape: group,
    value: struct({ assignmentEpoch: int32, assignmentTimestamp: tagged(0, or(0, int64)) }),
  },
  target: { key: 13, keyShape: member, value: struct({ topicPartitions }) },
  progress: {
    key: 14,
    keyShape: member,
    value: struct({ memberEpoch: int32, previousMemberEpoch: int32, state: int8, assignedPartitions: topicPartitions }),
  },
} as const
const version = 0
const stable = 0

type Kind = keyof typeof shareRecords
const isKind = (kind: string): kind is Kind => Object.hasOwn(shareRecords, kind)
const kinds: ReadonlyMap<number, Kind> = new Map(
  Object.entries(shareRecords).map(([kind, { key }]) => [key, kind as Kind]),
)

export function recordOf(name: string, change: GroupChange, timeMs: number): RecordInput {
  const { kind } = change
  assert(isKind(kind), `share groups have no ${kind}`)
  const { key } = shareRecords[kind]
  const keyBytes =
    'member' in change
      ? encodeForm(key, member, { groupId: name, memberId: change.member }, 'key')
      : encodeForm(key, group, { groupId: name }, 'key')
  return { key: keyBytes, value: valueOf(change), timeMs }
}
function valueOf(change: GroupChange): Uint8Array | null {
  if (change.value === null) return null
  switch (change.kind) {
    case 'info': {
      const { rackId, clientId, host, topics } = change.value
      const fields = { rackId, clientId, clientHost: host, subscribedTopicNames: topics }
      return encodeForm(version, shareRecords.info.value, fields, 'value')
    }
    case 'epoch': {
      const { epoch, hash } = change.value
      return encodeForm(version, shareRecords.epoch.value, { epoch, metadataHash: hash }, 'value')
    }
    case 'assignment': {
      const { epoch, timeMs } = change.value
      const fields = { assignmentEpoch: epoch, assignmentTimestamp: timeMs }
      return encodeForm(version, shareRecords.assignment.value, fields, 'value')
    }
    case 'target': {
      const fields = Array.from(change.value, ([topicId, of]) => ({ topicId, partitions: [...of] }))
      return encodeForm(version, shareRecords.target.value, { topicPartitions: fields }, 'value')
    }
    case 'progress': {
      const { epoch, previousEpoch, assigned } = change.value
      const fields = {
        memberEpoch: epoch,
        previousMemberEpoch: previousEpoch,
        state: stable,
        assignedPartitions: Array.from(assigned, ([topicId, of]) => ({ topicId, partitions: [...of.keys()] })),
      }
      return encodeForm(version, shareRecords.progress.value, fields, 'value')
    }
    default:
      return null
  }
}

/** The change that a record says, and of which group; null for records of another kind. */
export function changeOf({ key, value }: LogRecord): { group: string; change: Change } | null {
  const kind = key === null ? undefined : kinds.get(formNumber(key))
  if (key === null || kind === undefined) return null
  if (kind === 'epoch' || kind === 'assignment') {
    const { groupId } = decodeForm(group, key, 'key')
    const change: Change =
      kind === 'epoch' ? { kind, value: value && epochFrom(value) } : { kind, value: value && assignmentFrom(value) }
    return { group: groupId, change }
  }
  const { groupId, memberId } = decodeForm(member, key, 'key')
  return { group: groupId, change: memberChange(kind, memberId, value) }
}
function memberChange(kind: 'info' | 'target' | 'progress', memberId: string, value: Uint8Array | null): Change {
  switch (kind) {
    case 'info':
      return { kind, member: memberId, value: value && infoFrom(value) }
    case 'target': {
      const target = (bytes: Uint8Array) =>
        new Map(
          decodeForm(shareRecords.target.value, bytes, 'value').topicPartitions.map(({ topicId, partitions }) => [
            topicId,
            new Set(partitions),
          ]),
        )
      return { kind, member: memberId, value: value && target(value) }
    }
    case 'progress':
      return { kind, member: memberId, value: value && progressFrom(value) }
  }
}
function epochFrom(value: Uint8Array): { epoch: number; hash: number } {
  const { epoch, metadataHash } = decodeForm(shareRecords.epoch.value, value, 'value')
  return { epoch, hash: metadataHash }
}
function assignmentFrom(value: Uint8Array): { epoch: number; timeMs: number } {
  const { assignmentEpoch, assignmentTimestamp } = decodeForm(shareRecords.assignment.value, value, 'value')
  return { epoch: assignmentEpoch, timeMs: assignmentTimestamp }
}
function infoFrom(value: Uint8Array): MemberInfo {
  const { rackId, clientId, clientHost, subscribedTopicNames } = decodeForm(shareRecords.info.value, value, 'value')
  return {
    instanceId: null,
    rackId,
    clientId,
    host: clientHost,
    topics: subscribedTopicNames,
    pattern: '',
    rebalanceTimeoutMs: -1,
    assignor: null,
    classic: null,
  }
}
function progressFrom(value: Uint8Array): Progress {
  const fields = decodeForm(shareRecords.progress.value, value, 'value')
  const { memberEpoch } = fields
  const assigned = fields.assignedPartitions.map(
    ({ topicId, partitions }) => [topicId, new Map(partitions.map((index) => [index, memberEpoch]))] as const,
  )
  return {
    epoch: memberEpoch,
    previousEpoch: fields.previousMemberEpoch,
    state: 'stable',
    assigned: new Map(assigned),
    revoking: nothingHeld,
  }
}
