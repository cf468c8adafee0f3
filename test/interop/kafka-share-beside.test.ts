/**
 * Share groups: the same requests to Millrace and to Apache Kafka 4.3.1. The answers are equal but for what each chooses
 * itself: ids of topics, texts of errors, how often to send heartbeats, and when a group's first assignment comes (there one
 * heartbeat later).
 */
import { after, before, test } from 'node:test'
import { encodeBatch } from '../../src/log/batch.ts'
import { type Encoded, nullUuid } from '../../src/wire/kafka/codec/shape.ts'
import { produceApi } from '../../src/wire/kafka/messages/00-produce.ts'
import { metadataApi } from '../../src/wire/kafka/messages/03-metadata.ts'
import { offsetCommitApi } from '../../src/wire/kafka/messages/08-offset-commit.ts'
import { offsetFetchApi } from '../../src/wire/kafka/messages/09-offset-fetch.ts'
import { joinGroupApi } from '../../src/wire/kafka/messages/11-join-group.ts'
import { describeGroupsApi } from '../../src/wire/kafka/messages/15-describe-groups.ts'
import { listGroupsApi } from '../../src/wire/kafka/messages/16-list-groups.ts'
import { deleteGroupsApi } from '../../src/wire/kafka/messages/42-delete-groups.ts'
import { incrementalAlterConfigsApi } from '../../src/wire/kafka/messages/44-incremental-alter-configs.ts'
import { offsetDeleteApi } from '../../src/wire/kafka/messages/47-offset-delete.ts'
import { consumerGroupHeartbeatApi } from '../../src/wire/kafka/messages/68-consumer-group-heartbeat.ts'
import { shareGroupHeartbeatApi } from '../../src/wire/kafka/messages/76-share-group-heartbeat.ts'
import { shareGroupDescribeApi } from '../../src/wire/kafka/messages/77-share-group-describe.ts'
import { shareFetchApi } from '../../src/wire/kafka/messages/78-share-fetch.ts'
import { shareAcknowledgeApi } from '../../src/wire/kafka/messages/79-share-acknowledge.ts'
import { describeShareGroupOffsetsApi } from '../../src/wire/kafka/messages/90-describe-share-group-offsets.ts'
import { alterShareGroupOffsetsApi } from '../../src/wire/kafka/messages/91-alter-share-group-offsets.ts'
import { deleteShareGroupOffsetsApi } from '../../src/wire/kafka/messages/92-delete-share-group-offsets.ts'
import { type Side, fresh, pause, startBeside } from './kafka/beside.ts'

const { both, each } = startBeside({ before, after }, [
  'transaction.state.log.num.partitions=1',
  'offsets.topic.num.partitions=1',
  'share.coordinator.state.topic.num.partitions=1',
  'group.share.min.record.lock.duration.ms=1000',
])
const [accept, release, reject, renew] = [1, 2, 3, 4]
type Acks = readonly [first: number, last: number, ...types: number[]]
const memberId = (name: string): string => name.padEnd(22, 'A')

const hasAcks = (parts: Readonly<Record<number, readonly Acks[]>>, index: number): boolean =>
  (parts[index]?.length ?? 0) > 0
const countOf = (assignment: { topicPartitions: readonly { partitions: readonly number[] }[] }): number =>
  assignment.topicPartitions.reduce((sum, { partitions }) => sum + partitions.length, 0)

/** One group and one topic on both sides. */
class Script {
  readonly group = fresh('share')
  readonly topic = fresh('topic')
  readonly #ids = new Map<Side, string>()
  /** Epochs that the sides gave, by side and member. */
  readonly #epochs = new Map<string, number>()
  /** Count of partitions that it has. */
  readonly #held = new Map<string, number>()

  static async open(partitions = 2): Promise<Script> {
    const script = new Script()
    await each(async (side) => {
      await side.topic(script.topic, partitions)
      const topics = [{ topicId: nullUuid, name: script.topic }]
      const found = await side.ask(metadataApi, 12, {
        topics,
        allowAutoTopicCreation: false,
        includeClusterAuthorizedOperations: false,
        includeTopicAuthorizedOperations: false,
      })
      script.#ids.set(side, found.topics[0]!.topicId)
    })
    await script.set('share.auto.offset.reset', 'earliest')
    await script.set('share.assignment.interval.ms', '0')
    await pause(100)
    return script
  }
  set(name: string, value: string): Promise<void> {
    const configs = [{ name, configOperation: 0, value }]
    const resources = [{ resourceType: 32, resourceName: this.group, configs }]
    return each(async (side) => {
      await side.ask(incrementalAlterConfigsApi, 1, { resources, validateOnly: false })
    })
  }
  #topicId(side: Side): string {
    return this.#ids.get(side)!
  }
  #named = (side: Side, topicId: string): string => (topicId === this.#topicId(side) ? 'topic' : topicId)
  /** Joins, and goes on until it has its partitions. */
  async joined(member: string): Promise<void> {
    await each(async (side) => {
      for (let epoch = 0, i = 0; i < 100; i++) {
        const answer = await side.ask(shareGroupHeartbeatApi, 1, {
          groupId: this.group,
          memberId: memberId(member),
          memberEpoch: epoch,
          subscribedTopicNames: epoch === 0 ? [this.topic] : null,
        })
        epoch = answer.memberEpoch
        this.#epochs.set(`${side.name}/${member}`, epoch)
        const { assignment } = answer
        if (assignment !== null) this.#held.set(`${side.name}/${member}`, countOf(assignment))
        if (assignment !== null && countOf(assignment) > 0) return
        await pause(50)
      }
      throw new Error(`${side.name}: ${member} was given nothing`)
    })
  }
  /** `epoch`: in place of the one the side gave last; counted from it where it says so. */
  beat(
    member: string,
    how: { epoch?: number; ahead?: number; topics?: string[] | null; id?: string; group?: string } = {},
  ) {
    return both(`${member} beats ${JSON.stringify(how)}`, async (side) => {
      const last = this.#epochs.get(`${side.name}/${member}`) ?? 0
      const memberEpoch = how.epoch ?? last + (how.ahead ?? 0)
      const answer = await side.ask(shareGroupHeartbeatApi, 1, {
        groupId: how.group ?? this.group,
        memberId: how.id ?? memberId(member),
        memberEpoch,
        subscribedTopicNames: how.topics ?? null,
      })
      const isOk = answer.errorCode === 0
      if (isOk && answer.memberEpoch > 0) this.#epochs.set(`${side.name}/${member}`, answer.memberEpoch)
      const { assignment } = answer
      if (assignment !== null) this.#held.set(`${side.name}/${member}`, countOf(assignment))
      return {
        error: answer.errorCode,
        moved: isOk && answer.memberEpoch > 0 ? answer.memberEpoch - last : answer.memberEpoch,
        // Which exactly, and whether they change hands, is each assignor's own affair.
        partitions: isOk ? (this.#held.get(`${side.name}/${member}`) ?? 0) : null,
      }
    })
  }
  describe() {
    return both('described', async (side) => {
      const request = { groupIds: [this.group], includeAuthorizedOperations: true }
      const { groups } = await side.ask(shareGroupDescribeApi, 1, request)
      const { errorCode, groupState, assignorName, members, authorizedOperations } = groups[0]!
      return {
        errorCode,
        groupState,
        assignorName,
        authorizedOperations,
        members: members
          .map((one) => ({
            id: one.memberId,
            rack: one.rackId,
            client: one.clientId,
            topics: one.subscribedTopicNames,
            partitions: one.assignment.topicPartitions.map(({ partitions }) => partitions.length),
          }))
          .toSorted((a, b) => (a.id < b.id ? -1 : 1)),
      }
    })
  }
  write(count: number, index = 0): Promise<void> {
    return each(async (side) => {
      const records = Array.from({ length: count }, (_, i) => ({ key: null, value: Buffer.from(`${i}`), timeMs: 1 }))
      await side.ask(produceApi, 11, {
        transactionalId: null,
        acks: -1,
        timeoutMs: 10_000,
        topicData: [
          { topicId: nullUuid, name: this.topic, partitionData: [{ index, records: [encodeBatch(records)] }] },
        ],
      })
    })
  }
  #topics(side: Side, parts: Readonly<Record<number, readonly Acks[]>>) {
    const partitions = Object.entries(parts).map(([index, acks]) => ({
      partitionIndex: Number(index),
      acknowledgementBatches: acks.map(([firstOffset, lastOffset, ...acknowledgeTypes]) => ({
        firstOffset,
        lastOffset,
        acknowledgeTypes,
      })),
    }))
    return partitions.length === 0 ? [] : [{ topicId: this.#topicId(side), partitions }]
  }
  fetch(
    member: string,
    epoch: number,
    parts: Readonly<Record<number, readonly Acks[]>> = {},
    more: Partial<Encoded<typeof shareFetchApi.request>> = {},
  ) {
    return both(`${member} fetches in ${epoch}: ${JSON.stringify([parts, more])}`, async (side) => {
      const answer = await side.ask(shareFetchApi, 2, {
        groupId: this.group,
        memberId: memberId(member),
        shareSessionEpoch: epoch,
        maxWaitMs: 500,
        minBytes: 1,
        maxBytes: 1_000_000,
        maxRecords: 100,
        batchSize: 100,
        shareAcquireMode: 0,
        isRenewAck: false,
        topics: this.#topics(side, parts),
        forgottenTopicsData: [],
        ...more,
      })
      return {
        error: answer.errorCode,
        lockMs: answer.acquisitionLockTimeoutMs,
        partitions: answer.responses
          .flatMap((one) => one.partitions)
          // In the first answer of a session, Kafka names some of which there is nothing to say.
          .filter((one) => one.errorCode !== 0 || one.acquiredRecords.length > 0 || hasAcks(parts, one.partitionIndex))
          .map((one) => ({
            index: one.partitionIndex,
            error: one.errorCode,
            acknowledgeError: one.acknowledgeErrorCode,
            acquired: one.acquiredRecords.map((range) => [range.firstOffset, range.lastOffset, range.deliveryCount]),
            hasRecords: one.records.length > 0,
          }))
          .toSorted((a, b) => a.index - b.index),
      }
    })
  }
  acknowledge(member: string, epoch: number, parts: Readonly<Record<number, readonly Acks[]>>, more: object = {}) {
    return both(`${member} acknowledges in ${epoch}: ${JSON.stringify([parts, more])}`, async (side) => {
      const topics = this.#topics(side, parts)
      const request = { groupId: this.group, memberId: memberId(member), shareSessionEpoch: epoch, isRenewAck: false }
      const answer = await side.ask(shareAcknowledgeApi, 2, { ...request, topics, ...more })
      const partitions = answer.responses.flatMap((one) => one.partitions)
      return {
        error: answer.errorCode,
        lockMs: answer.acquisitionLockTimeoutMs,
        partitions: partitions.map((one) => [one.partitionIndex, one.errorCode]),
      }
    })
  }
  offsets(version = 1, topics: { topicName: string; partitions: number[] }[] | null = null) {
    return both('offsets', async (side) => {
      const { groups } = await side.ask(describeShareGroupOffsetsApi, version, {
        groups: [{ groupId: this.group, topics }],
      })
      return groups.map((one) => ({
        ...one,
        topics: one.topics.map((topic) => ({
          ...topic,
          topicId: this.#named(side, topic.topicId),
          partitions: topic.partitions.toSorted((a, b) => a.partitionIndex - b.partitionIndex),
        })),
      }))
    })
  }
  /** What is left; where it begins is written there with the next change only. */
  lags() {
    return both('lags', async (side) => {
      const { groups } = await side.ask(describeShareGroupOffsetsApi, 1, {
        groups: [{ groupId: this.group, topics: null }],
      })
      return groups.map(({ topics }) => topics.map(({ partitions }) => partitions.map(({ lag }) => lag).toSorted()))
    })
  }
  alter(topicName: string, ...partitions: [index: number, offset: number][]) {
    return both(`altered: ${JSON.stringify(partitions)}`, async (side) => {
      const asked = partitions.map(([partitionIndex, startOffset]) => ({ partitionIndex, startOffset }))
      const answer = await side.ask(alterShareGroupOffsetsApi, 0, {
        groupId: this.group,
        topics: [{ topicName, partitions: asked }],
      })
      return {
        error: answer.errorCode,
        partitions: answer.responses.flatMap((one) => one.partitions.map((of) => [of.partitionIndex, of.errorCode])),
      }
    })
  }
  forget(topicName: string) {
    return both(`forgotten: ${topicName}`, async (side) => {
      const request = { groupId: this.group, topics: [{ topicName }] }
      const answer = await side.ask(deleteShareGroupOffsetsApi, 0, request)
      return { error: answer.errorCode, topics: answer.responses.map((one) => one.errorCode) }
    })
  }
  remove() {
    return both('deleted', (side) => side.ask(deleteGroupsApi, 2, { groupsNames: [this.group] }))
  }
  list() {
    return both('listed', async (side) => {
      const { groups } = await side.ask(listGroupsApi, 5, { statesFilter: [], typesFilter: ['share'] })
      return groups.filter(({ groupId }) => groupId === this.group)
    })
  }
}

test('heartbeats that are refused', async () => {
  const script = await Script.open()
  await script.beat('a', { epoch: 1 })
  await script.beat('a', { epoch: -1 })
  await script.beat('a', { epoch: -2 })
  await script.beat('a', { epoch: 0 })
  await script.beat('a', { epoch: 0, topics: [] })
  await script.beat('a', { epoch: 0, topics: [script.topic], id: '' })
  await script.beat('a', { epoch: 0, topics: [script.topic], id: 'x'.repeat(37) })
  await script.beat('a', { epoch: 0, topics: [script.topic], group: '' })
})
test('members come, go and are fenced; the group is described and listed', async () => {
  const script = await Script.open(3)
  await script.joined('a')
  await script.beat('a')
  await script.beat('a', { ahead: 7 })
  await script.beat('a', { topics: [script.topic] })
  await script.beat('b', { epoch: 3 })
  await script.joined('b')
  await script.joined('c')
  await script.beat('a')
  await script.beat('b')
  await script.beat('a')
  await script.beat('a', { ahead: -2 })
  await script.describe()
  await script.list()
  await script.remove()
  for (const member of ['a', 'b', 'c']) await script.beat(member, { epoch: -1 })
  await script.beat('c', { epoch: -1 })
  await script.describe()
  await script.list()
  await script.remove()
  await script.describe()
  await script.remove()
})
test('records: acquired, acknowledged in every way, and refused', async () => {
  const script = await Script.open()
  await script.joined('a')
  await script.write(5)
  await script.write(5)
  await script.fetch('a', 0, { 0: [], 1: [], 9: [] })
  await script.fetch('a', 7)
  await script.fetch('a', 1, {}, { forgottenTopicsData: [] })
  let epoch = 2
  const acknowledge = (...acks: Acks[]) => script.acknowledge('a', epoch++, { 0: acks })
  await acknowledge([0, 0, accept!])
  await acknowledge([0, 0, accept!])
  await acknowledge([50, 51, accept!])
  await acknowledge([3, 51, accept!])
  await acknowledge([1, 1, 9])
  await acknowledge([1, 3, accept!, accept!])
  await acknowledge([1, 3])
  await acknowledge([1, 2, accept!], [2, 3, accept!])
  await acknowledge([4, 4, release!], [3, 3, release!])
  await acknowledge([3, 2, release!])
  await acknowledge([5, 5, renew!])
  await script.acknowledge('a', epoch++, { 0: [[5, 5, renew!]] }, { isRenewAck: true })
  await script.acknowledge('a', epoch++, { 0: [[5, 6, renew!, accept!]] }, { isRenewAck: true })
  await script.acknowledge('a', epoch++, { 5: [[1, 1, accept!]] })
  await script.acknowledge('a', epoch++, { 1: [[0, 0, accept!]] })
  await acknowledge([7, 9, accept!, release!, reject!])
  await script.fetch('a', epoch++, { 0: [[5, 5, 0]] })
  // Of partitions that are not there, Kafka answers only after half a minute.
  await script.offsets(1, [{ topicName: script.topic, partitions: [0] }])
  await script.fetch('b', 0, { 0: [] })
  await script.acknowledge('b', 1, { 0: [[1, 1, accept!]] })
  await script.fetch('a', epoch++, { 0: [[1, 4, release!]] })
  await script.fetch('a', -1, { 0: [[8, 8, accept!]] })
  await script.fetch('a', epoch)
  await script.fetch('b', 2, { 0: [] })
})
test('sessions that are not there, and requests that cannot be', async () => {
  const script = await Script.open()
  await script.joined('a')
  await script.write(1)
  await script.fetch('a', 5)
  await script.fetch('a', -1)
  await script.acknowledge('a', 0, {})
  await script.acknowledge('a', 1, {})
  await script.acknowledge('a', -1, {})
  await script.fetch('a', 0, { 0: [[0, 0, accept!]] })
  await script.fetch('a', 0, { 0: [] }, { groupId: null })
  await script.fetch('a', 0, { 0: [] }, { memberId: '' })
  await script.fetch('a', 0, { 0: [] }, { memberId: 'x'.repeat(37) })
  await script.fetch('a', 0, { 0: [] })
  await script.fetch('a', 1, {}, { isRenewAck: true })
  await script.fetch('a', 1, {}, { isRenewAck: true, maxWaitMs: 0, minBytes: 0, maxBytes: 0, maxRecords: 0 })
  await script.acknowledge('a', 2, {})
  await script.acknowledge('a', -1, {})
  await script.acknowledge('a', 3, {})
})
test('limits: whole batches, or exactly so many records', async () => {
  const script = await Script.open(1)
  await script.joined('a')
  await script.write(10)
  await script.write(10)
  await script.write(10)
  await script.fetch('a', 0, { 0: [] }, { maxRecords: 1 })
  await script.fetch('a', 1, {}, { maxRecords: 3, shareAcquireMode: 1 })
  await script.fetch('a', 2, {}, { maxRecords: 0, maxWaitMs: 100 })
  await script.fetch('a', 3, {}, { maxRecords: 7, shareAcquireMode: 1 })
})
test('a lock that ends gives the record to another', async () => {
  const script = await Script.open(1)
  await script.set('share.record.lock.duration.ms', '1000')
  await pause(200)
  await script.joined('a')
  await script.write(2)
  await script.fetch('a', 0, { 0: [] })
  await pause(1_500)
  await script.fetch('b', 0, { 0: [] })
  await script.acknowledge('a', 1, { 0: [[0, 0, accept!]] })
  await script.acknowledge('b', 1, { 0: [[0, 1, accept!]] })
  await script.lags()
})
test('where a group is, told, moved and forgotten', async () => {
  const script = await Script.open(1)
  await script.offsets()
  await script.write(10)
  await script.alter(script.topic, [0, 4])
  await script.offsets()
  await script.list()
  await script.alter(script.topic, [9, 4])
  await script.alter('none', [0, 4])
  await script.joined('a')
  await script.alter(script.topic, [0, 4])
  await script.forget(script.topic)
  await script.fetch('a', 0, { 0: [] })
  await script.acknowledge('a', 1, { 0: [[4, 6, release!, accept!, accept!]] })
  await script.offsets()
  await script.offsets(0)
  await script.fetch('a', -1)
  await script.beat('a', { epoch: -1 })
  await script.forget('none')
  await script.forget(script.topic)
  await script.forget(script.topic)
  await script.offsets()
  await script.remove()
  await script.forget(script.topic)
  await script.offsets()
})
test('a share group is no other group', async () => {
  const script = await Script.open(1)
  await script.joined('a')
  const { group, topic } = script
  await both('asked as other groups are', async (side) => {
    const described = await side.ask(describeGroupsApi, 6, { groups: [group], includeAuthorizedOperations: false })
    const joined = await side.ask(joinGroupApi, 9, {
      groupId: group,
      sessionTimeoutMs: 10_000,
      rebalanceTimeoutMs: 10_000,
      memberId: '',
      protocolType: 'consumer',
      protocols: [{ name: 'range', metadata: Buffer.alloc(0) }],
    })
    const beat = await side.ask(consumerGroupHeartbeatApi, 1, {
      groupId: group,
      memberId: memberId('c'),
      memberEpoch: 0,
      rebalanceTimeoutMs: 10_000,
      subscribedTopicNames: [topic],
      topicPartitions: [],
    })
    const committed = await side.ask(offsetCommitApi, 9, {
      groupId: group,
      generationIdOrMemberEpoch: -1,
      memberId: '',
      retentionTimeMs: -1,
      topics: [
        {
          topicId: nullUuid,
          name: topic,
          partitions: [{ partitionIndex: 0, committedOffset: 1, committedMetadata: '' }],
        },
      ],
    })
    const groups = [{ groupId: group, memberId: null, memberEpoch: -1, topics: null }]
    const fetched = await side.ask(offsetFetchApi, 9, { groups, groupId: '', topics: [], requireStable: false })
    const removed = await side.ask(offsetDeleteApi, 0, {
      groupId: group,
      topics: [{ name: topic, partitions: [{ partitionIndex: 0 }] }],
    })
    return {
      described: [described.groups[0]!.errorCode, described.groups[0]!.groupState],
      joined: joined.errorCode,
      beat: beat.errorCode,
      committed: committed.topics[0]!.partitions[0]!.errorCode,
      fetched: fetched.groups[0],
      removed: removed.errorCode,
    }
  })
  await both('a consumer group is no share group', async (side) => {
    const name = `${group}-consumers`
    const joined = await side.ask(consumerGroupHeartbeatApi, 1, {
      groupId: name,
      memberId: memberId('c'),
      memberEpoch: 0,
      rebalanceTimeoutMs: 10_000,
      subscribedTopicNames: [topic],
      topicPartitions: [],
    })
    const shared = await side.ask(shareGroupHeartbeatApi, 1, {
      groupId: name,
      memberId: memberId('s'),
      memberEpoch: 0,
      subscribedTopicNames: [topic],
    })
    return [joined.errorCode, shared.errorCode]
  })
})
