/**
 * The same requests to Millrace and to Apache Kafka 4.3.1, frame by frame, in groups of both protocols: the answers are
 * equal but for what each chooses itself (ids of topics and members, which partitions exactly, how often to send
 * heartbeats).
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { AnyShape, Api, Decoded, Encoded } from '../../src/wire/kafka/codec/shape.ts'
import { nullUuid } from '../../src/wire/kafka/codec/shape.ts'
import { offsetCommitApi } from '../../src/wire/kafka/messages/08-offset-commit.ts'
import { offsetFetchApi } from '../../src/wire/kafka/messages/09-offset-fetch.ts'
import { findCoordinatorApi } from '../../src/wire/kafka/messages/10-find-coordinator.ts'
import { joinGroupApi } from '../../src/wire/kafka/messages/11-join-group.ts'
import { heartbeatApi } from '../../src/wire/kafka/messages/12-heartbeat.ts'
import { leaveGroupApi } from '../../src/wire/kafka/messages/13-leave-group.ts'
import { syncGroupApi } from '../../src/wire/kafka/messages/14-sync-group.ts'
import { describeGroupsApi } from '../../src/wire/kafka/messages/15-describe-groups.ts'
import { listGroupsApi } from '../../src/wire/kafka/messages/16-list-groups.ts'
import { createTopicsApi } from '../../src/wire/kafka/messages/19-create-topics.ts'
import { deleteTopicsApi } from '../../src/wire/kafka/messages/20-delete-topics.ts'
import { createPartitionsApi } from '../../src/wire/kafka/messages/37-create-partitions.ts'
import { deleteGroupsApi } from '../../src/wire/kafka/messages/42-delete-groups.ts'
import { incrementalAlterConfigsApi } from '../../src/wire/kafka/messages/44-incremental-alter-configs.ts'
import { offsetDeleteApi } from '../../src/wire/kafka/messages/47-offset-delete.ts'
import { consumerGroupHeartbeatApi } from '../../src/wire/kafka/messages/68-consumer-group-heartbeat.ts'
import { consumerGroupDescribeApi } from '../../src/wire/kafka/messages/69-consumer-group-describe.ts'
import { metadataApi } from '../../src/wire/kafka/messages/03-metadata.ts'
import { WireClient } from '../gateway/kafka/wire-client.ts'
import { type KafkaBroker, type Millrace, startKafka, startMillrace } from './setup/index.ts'

const folder = mkdtempSync(join(tmpdir(), 'kafka-beside-'))
let kafka: KafkaBroker | null = null
let millrace: Millrace | null = null
let sides: readonly Side[] = []
before(async () => {
  const other = process.env['MILLRACE_TEST_KAFKA']
  const settings = ['group.initial.rebalance.delay.ms=250', 'offsets.topic.num.partitions=1']
  if (other === undefined) kafka = await startKafka(join(folder, 'kafka'), settings)
  millrace = await startMillrace()
  sides = [await Side.open('millrace', millrace.kafka), await Side.open('kafka', other ?? kafka!.address)]
})
after(async () => {
  for (const side of sides) side.close()
  await millrace?.stop()
  await kafka?.stop()
  rmSync(folder, { recursive: true, force: true })
})

/** Kafka answers some of its first requests with "not yet". */
const notYet = new Set([14, 15, 16])
const run = Date.now().toString(36)
let names = 0
const fresh = (stem: string): string => `${stem}-${run}-${names++}`

class Side {
  readonly name: string
  readonly address: string
  readonly topicIds = new Map<string, string>()
  readonly #clients: WireClient[] = []

  private constructor(name: string, address: string) {
    this.name = name
    this.address = address
  }
  static async open(name: string, address: string): Promise<Side> {
    const side = new Side(name, address)
    await side.again(async () => {
      const found = await side.ask(findCoordinatorApi, 4, { coordinatorKeys: ['x'], key: '', keyType: 0 })
      return found.coordinators[0]!.errorCode
    })
    return side
  }
  /** One connection a request: a join that waits holds up nothing else. */
  async ask<Q extends AnyShape, A extends AnyShape>(
    api: Api<Q, A>,
    version: number,
    request: Encoded<Q>,
  ): Promise<Decoded<A>> {
    const [host, port] = this.address.split(':') as [string, string]
    const client = await WireClient.open({ host, port: Number(port) })
    this.#clients.push(client)
    try {
      return await client.ask(api, version, request)
    } finally {
      client.close()
    }
  }
  async again(call: () => Promise<number>): Promise<void> {
    for (let i = 0; i < 200; i++) {
      if (!notYet.has(await call())) return
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    throw new Error(`${this.name} did not become ready`)
  }
  async topic(name: string, numPartitions: number): Promise<void> {
    const asked = { name, numPartitions, replicationFactor: 1, assignments: [], configs: [] }
    await this.ask(createTopicsApi, 7, { topics: [asked], timeoutMs: 10_000, validateOnly: false })
    await this.settled(name, numPartitions)
  }
  async settled(name: string, numPartitions: number): Promise<void> {
    for (let i = 0; i < 200; i++) {
      const { topics } = await this.ask(metadataApi, 12, {
        topics: [{ topicId: nullUuid, name }],
        allowAutoTopicCreation: false,
        includeClusterAuthorizedOperations: false,
        includeTopicAuthorizedOperations: false,
      })
      const [topic] = topics
      this.topicIds.set(topic!.topicId, name)
      if (topic!.partitions.length === numPartitions && topic!.partitions.every((one) => one.leaderId >= 0)) break
      await new Promise((resolve) => setTimeout(resolve, 50))
    }
    await this.#known(name, numPartitions)
  }
  /** The coordinator learns of it a moment after the broker: a group of its own sees when. */
  async #known(name: string, numPartitions: number): Promise<void> {
    for (let i = 0; i < 200; i++) {
      const request = { memberId: 'probe', memberEpoch: 0, rebalanceTimeoutMs: 60_000, topicPartitions: [] }
      const subscribedTopicNames = [name]
      const groupId = fresh('probe')
      const { assignment: given } = await this.ask(consumerGroupHeartbeatApi, 1, {
        ...request,
        groupId,
        subscribedTopicNames,
      })
      if (given?.topicPartitions[0]?.partitions.length === numPartitions) return
      await new Promise((resolve) => setTimeout(resolve, 20))
    }
    throw new Error(`${this.name}: the coordinator never knew of ${name}`)
  }
  idOf(name: string): string {
    for (const [id, topic] of this.topicIds) if (topic === name) return id
    return nullUuid
  }
  close(): void {
    for (const client of this.#clients) client.close()
  }
}

/** Does the same on both sides; what they say must be equal. */
async function both<T>(what: string, call: (side: Side) => Promise<T>): Promise<T> {
  const [ours, theirs] = await Promise.all(sides.map(call))
  assert.deepEqual(ours, theirs, what)
  return ours!
}
type Assigned = { topicPartitions: readonly { topicId: string; partitions: readonly number[] }[] } | null
/** Count of partitions by the name of the topic: which exactly is each assignor's own affair. */
const counts = (side: Side, assignment: Assigned): unknown =>
  assignment === null
    ? null
    : Object.fromEntries(
        assignment.topicPartitions
          .map(({ topicId, partitions }) => [side.topicIds.get(topicId) ?? 'gone', partitions.length] as const)
          .toSorted(),
      )
/** Members of one group on both sides, with what each holds there. */
class Script {
  readonly group = fresh('group')
  readonly #epochs = new Map<string, number>()
  readonly #held = new Map<string, Assigned>()

  /** The tests go faster than clients: every change is assigned at once. */
  static async open(): Promise<Script> {
    const script = new Script()
    await Promise.all(
      sides.map((side) => {
        const configs = [{ name: 'consumer.assignment.interval.ms', configOperation: 0, value: '0' }]
        const resources = [{ resourceType: 32, resourceName: script.group, configs }]
        return side.ask(incrementalAlterConfigsApi, 1, { resources, validateOnly: false })
      }),
    )
    await new Promise((resolve) => setTimeout(resolve, 100))
    return script
  }
  /** Ids that a side made, by what the script calls their members. */
  readonly #ids = new Map<string, string>()
  #key = (side: Side, member: string): string => `${side.name}/${member}`
  #id(side: Side, member: string): string {
    return this.#ids.get(this.#key(side, member)) ?? member
  }
  #called(side: Side, id: string): string {
    for (const [key, memberId] of this.#ids) if (memberId === id) return key.slice(side.name.length + 1)
    return id
  }
  async beat(
    member: string,
    more: Partial<Encoded<typeof consumerGroupHeartbeatApi.request>> = {},
    version = 1,
  ): Promise<unknown> {
    return both(`${member}: ${JSON.stringify(more)}`, async (side) => {
      const key = this.#key(side, member)
      const answer = await side.ask(consumerGroupHeartbeatApi, version, {
        groupId: this.group,
        memberId: member,
        memberEpoch: this.#epochs.get(key) ?? 0,
        ...more,
      })
      if (answer.errorCode === 0) this.#epochs.set(key, Math.max(answer.memberEpoch, 0))
      if (answer.assignment !== null) this.#held.set(key, answer.assignment)
      return {
        errorCode: answer.errorCode,
        hasMessage: answer.errorMessage !== null,
        memberEpoch: answer.memberEpoch,
        assignment: counts(side, answer.assignment),
      }
    })
  }
  join(member: string, topics: readonly string[], more: object = {}): Promise<unknown> {
    const first = { rebalanceTimeoutMs: 60_000, subscribedTopicNames: topics, topicPartitions: [] }
    return this.beat(member, { memberEpoch: 0, ...first, ...more })
  }
  /** Says that it has what it was last told to have. */
  async owns(member: string): Promise<unknown> {
    return both(`${member} owns`, async (side) => {
      const key = this.#key(side, member)
      const answer = await side.ask(consumerGroupHeartbeatApi, 1, {
        groupId: this.group,
        memberId: member,
        memberEpoch: this.#epochs.get(key) ?? 0,
        topicPartitions: this.#held.get(key)?.topicPartitions ?? [],
      })
      if (answer.errorCode === 0) this.#epochs.set(key, answer.memberEpoch)
      if (answer.assignment !== null) this.#held.set(key, answer.assignment)
      return {
        errorCode: answer.errorCode,
        memberEpoch: answer.memberEpoch,
        assignment: counts(side, answer.assignment),
      }
    })
  }
  describe(): Promise<unknown> {
    return both('described', async (side) => {
      const { groups } = await side.ask(consumerGroupDescribeApi, 1, {
        groupIds: [this.group],
        includeAuthorizedOperations: false,
      })
      const [found] = groups
      return {
        ...found,
        errorMessage: found!.errorMessage === null,
        members: found!.members
          .map((member) => ({
            ...member,
            memberId: this.#called(side, member.memberId),
            clientHost: '',
            subscribedTopicNames: member.subscribedTopicNames.toSorted(),
            assignment: counts(side, member.assignment),
            targetAssignment: counts(side, member.targetAssignment),
          }))
          .toSorted((a, b) => (a.memberId < b.memberId ? -1 : 1)),
      }
    })
  }
  classicDescribe(version = 6): Promise<unknown> {
    return both('described as classic', async (side) => {
      const { groups } = await side.ask(describeGroupsApi, version, {
        groups: [this.group],
        includeAuthorizedOperations: false,
      })
      const { members, errorMessage, ...rest } = groups[0]!
      return { ...rest, hasMessage: errorMessage !== null, members: members.length }
    })
  }
  list(statesFilter: string[] = [], typesFilter: string[] = []): Promise<unknown> {
    return both('listed', async (side) => {
      const { errorCode, groups } = await side.ask(listGroupsApi, 5, { statesFilter, typesFilter })
      return { errorCode, groups: groups.filter(({ groupId }) => groupId === this.group) }
    })
  }
  commit(member: string, epoch: number, topic: string, version = 9, offset = 5): Promise<unknown> {
    return both(`${member} commits in ${epoch}`, async (side) => {
      const answer = await side.ask(offsetCommitApi, version, {
        groupId: this.group,
        generationIdOrMemberEpoch: epoch,
        memberId: this.#id(side, member),
        retentionTimeMs: -1,
        topics: [
          {
            topicId: side.idOf(topic),
            name: topic,
            partitions: [{ partitionIndex: 0, committedOffset: offset, committedMetadata: 'm' }],
          },
        ],
      })
      return answer.topics[0]!.partitions
    })
  }
  fetch(member: string | null, memberEpoch: number, topic: string, version = 9): Promise<unknown> {
    return both(`${member} fetches in ${memberEpoch}`, async (side) => {
      const topics = [{ topicId: side.idOf(topic), name: topic, partitionIndexes: [0, 7] }]
      const groups = [{ groupId: this.group, memberId: member, memberEpoch, topics }]
      const answer = await side.ask(offsetFetchApi, version, { groups, groupId: '', topics: [], requireStable: true })
      const [found] = answer.groups
      return { errorCode: found!.errorCode, partitions: found!.topics[0]?.partitions }
    })
  }
  deleteOffsets(topic: string): Promise<unknown> {
    return both('offsets deleted', (side) =>
      side.ask(offsetDeleteApi, 0, {
        groupId: this.group,
        topics: [{ name: topic, partitions: [{ partitionIndex: 0 }, { partitionIndex: 1 }] }],
      }),
    )
  }
  remove(): Promise<unknown> {
    return both('deleted', (side) => side.ask(deleteGroupsApi, 2, { groupsNames: [this.group] }))
  }

  // --- the classic protocol

  /** `as`: what the script calls the member; its id is each side's own. */
  classicJoin(as: string, more: object = {}, version = 9): Promise<{ generationId: number }> {
    return both(`${as} joins`, async (side) => {
      const answer = await side.ask(joinGroupApi, version, {
        groupId: this.group,
        sessionTimeoutMs: 10_000,
        rebalanceTimeoutMs: 10_000,
        memberId: this.#ids.get(this.#key(side, as)) ?? '',
        protocolType: 'consumer',
        protocols: [{ name: 'range', metadata: subscription(this.#classicTopic) }],
        ...more,
      })
      if (answer.memberId !== '') this.#ids.set(this.#key(side, as), answer.memberId)
      const { errorCode, generationId, protocolType, protocolName, skipAssignment } = answer
      return {
        errorCode,
        generationId,
        protocolType,
        protocolName,
        skipAssignment,
        leads: answer.leader === answer.memberId,
        members: answer.members.length,
      }
    })
  }
  #classicTopic = ''
  subscribesTo(topic: string): void {
    this.#classicTopic = topic
  }
  classicSync(as: string, generationId: number, given: Record<string, Uint8Array> = {}): Promise<unknown> {
    return both(`${as} syncs`, async (side) => {
      const answer = await side.ask(syncGroupApi, 5, {
        groupId: this.group,
        generationId,
        memberId: this.#id(side, as),
        protocolType: 'consumer',
        protocolName: 'range',
        assignments: Object.entries(given).map(([member, assignment]) => ({
          memberId: this.#id(side, member),
          assignment,
        })),
      })
      return { ...answer, assignment: answer.assignment.length }
    })
  }
  classicBeat(as: string, generationId: number): Promise<unknown> {
    return both(`${as} beats`, (side) =>
      side.ask(heartbeatApi, 4, { groupId: this.group, generationId, memberId: this.#id(side, as) }),
    )
  }
  classicLeave(as: string): Promise<unknown> {
    return both(`${as} leaves`, async (side) => {
      const members = [{ memberId: this.#id(side, as), groupInstanceId: null, reason: null }]
      const answer = await side.ask(leaveGroupApi, 5, { groupId: this.group, memberId: '', members })
      return [answer.errorCode, answer.members.map(({ errorCode }) => errorCode)]
    })
  }
}
const subscription = (topic: string): Buffer =>
  Buffer.concat([
    Buffer.from([0, 0, 0, 0, 0, 1, 0, topic.length]),
    Buffer.from(topic),
    Buffer.from([255, 255, 255, 255]),
  ])
const assignment = (topic: string, ...indexes: number[]): Buffer =>
  Buffer.concat([
    Buffer.from([0, 0, 0, 0, 0, 1, 0, topic.length]),
    Buffer.from(topic),
    Buffer.from([0, 0, 0, indexes.length, ...indexes.flatMap((index) => [0, 0, 0, index]), 255, 255, 255, 255]),
  ])
async function topicOn(partitions: number): Promise<string> {
  const name = fresh('t')
  await Promise.all(sides.map((side) => side.topic(name, partitions)))
  return name
}

test('members come, share and go; a member of yesterday is fenced', async () => {
  const topic = await topicOn(6)
  const script = await Script.open()
  await script.describe()
  await script.join('a', [topic])
  await script.describe()
  await script.beat('a')
  await script.join('b', [topic])
  await script.describe()
  await script.beat('a')
  await script.describe()
  await script.beat('b')
  await script.owns('a')
  await script.beat('b')
  await script.owns('b')
  await script.describe()
  await script.list()
  await script.list(['stable'], ['consumer'])
  await script.list(['Empty'])
  await script.list([], ['classic'])
  await script.beat('a', { memberEpoch: 77 })
  await script.beat('a', { memberEpoch: 1 })
  await script.beat('nobody', { memberEpoch: 3 })
  await script.join('c', [topic])
  await script.beat('a')
  await script.beat('a', { memberEpoch: -1 })
  await script.beat('a', { memberEpoch: -1 })
  await script.describe()
  for (let i = 0; i < 2; i++) for (const member of ['b', 'c']) await script.owns(member)
  await script.describe()
  for (const member of ['b', 'c']) await script.beat(member, { memberEpoch: -1 })
  await script.describe()
  await script.classicDescribe()
  await script.classicDescribe(5)
  await script.remove()
  await script.describe()
  await script.remove()
})
test('requests that are wrong', async () => {
  const topic = await topicOn(1)
  const script = await Script.open()
  await script.beat('', { memberEpoch: 0, rebalanceTimeoutMs: 1, subscribedTopicNames: [topic], topicPartitions: [] })
  for (const wrong of [
    { rebalanceTimeoutMs: -1 },
    { topicPartitions: null },
    { subscribedTopicNames: null },
    { instanceId: '' },
    { rackId: '' },
    { memberEpoch: -2 },
    { memberEpoch: -3 },
    { memberEpoch: 4 },
    { serverAssignor: 'mine' },
    { subscribedTopicNames: null, subscribedTopicRegex: '(' },
    { subscribedTopicNames: null, subscribedTopicRegex: 'a(?=b)' },
  ])
    await script.join('a', [topic], wrong)
  await both('no group id', async (side) => {
    const first = { rebalanceTimeoutMs: 60_000, subscribedTopicNames: [topic], topicPartitions: [] }
    const answer = await side.ask(consumerGroupHeartbeatApi, 1, {
      groupId: '',
      memberId: 'a',
      memberEpoch: 0,
      ...first,
    })
    return answer.errorCode
  })
})
test('what members subscribe to: nothing, what is not there, more, less', async () => {
  const [one, two] = [await topicOn(2), await topicOn(3)]
  const script = await Script.open()
  await script.join('a', [])
  await script.describe()
  await script.beat('a', { subscribedTopicNames: [one, fresh('not-there')] })
  await script.describe()
  await script.beat('a', { subscribedTopicNames: [one, two] })
  await script.join('b', [two], { serverAssignor: 'range', rackId: 'r' })
  await script.owns('a')
  await script.owns('b')
  await script.describe()
  await script.beat('a', { subscribedTopicNames: [one] })
  await script.owns('a')
  await script.owns('b')
  await script.describe()
  await Promise.all(
    sides.map(async (side) => {
      const asked = { name: one, count: 5, assignments: null }
      await side.ask(createPartitionsApi, 3, { topics: [asked], timeoutMs: 10_000, validateOnly: false })
      await side.settled(one, 5)
    }),
  )
  await script.beat('a')
  await script.describe()
})
test('a topic that is deleted, and another one of its name', async () => {
  const [one, two] = [await topicOn(2), await topicOn(2)]
  const script = await Script.open()
  await script.join('a', [one, two])
  await Promise.all(
    sides.map(async (side) => {
      const topics = [{ name: one, topicId: nullUuid }]
      await side.ask(deleteTopicsApi, 6, { topics, topicNames: [], timeoutMs: 10_000 })
      await new Promise((resolve) => setTimeout(resolve, 500))
      side.topicIds.delete(side.idOf(one))
    }),
  )
  await script.beat('a')
  await script.owns('a')
  await script.describe()
  await Promise.all(sides.map((side) => side.topic(one, 3)))
  await script.beat('a')
  await script.owns('a')
  await script.describe()
})
test('static members', async () => {
  const topic = await topicOn(4)
  const script = await Script.open()
  await script.join('a', [topic], { instanceId: 'i' })
  await script.join('b', [topic], { instanceId: 'j' })
  await script.owns('a')
  await script.beat('a', { instanceId: 'i' })
  await script.beat('b', { instanceId: 'j' })
  await script.beat('a', { instanceId: 'i', topicPartitions: [] })
  await script.beat('b', { instanceId: 'j' })
  await script.describe()
  await script.join('c', [topic], { instanceId: 'i' })
  await script.beat('c', { memberEpoch: 3, instanceId: 'i' })
  await script.beat('a', { memberEpoch: -2, instanceId: 'i' })
  await script.describe()
  await script.join('c', [topic], { instanceId: 'i' })
  await script.describe()
  await script.beat('a', { memberEpoch: 3, instanceId: 'i' })
  await script.beat('a', { memberEpoch: 3 })
  await script.beat('c', { memberEpoch: -1, instanceId: 'k' })
  await script.beat('c', { memberEpoch: -1, instanceId: 'i' })
  await script.describe()
})
test('positions in the epochs of members', async () => {
  const topic = await topicOn(2)
  const script = await Script.open()
  await script.commit('a', 3, topic)
  await script.commit('a', 3, topic, 8)
  await script.fetch('a', 3, topic)
  await script.join('a', [topic])
  for (const version of [8, 9, 10])
    for (const epoch of [1, 2, 3, -1]) await script.commit('a', epoch, topic, version, 10 * version + epoch)
  await script.commit('', -1, topic)
  await script.commit('nobody', 2, topic)
  for (const version of [9, 10])
    for (const [member, epoch] of [
      ['a', 2],
      ['a', 1],
      ['a', 3],
      ['b', 2],
      [null, -1],
    ] as const)
      await script.fetch(member, epoch, topic, version)
  await script.deleteOffsets(topic)
  await script.deleteOffsets(fresh('other'))
  await script.remove()
  await script.beat('a', { memberEpoch: -1 })
  await script.commit('', -1, topic, 9, 3)
  await script.fetch(null, -1, topic)
  await script.deleteOffsets(topic)
  await script.fetch(null, -1, topic)
  await (await Script.open()).deleteOffsets(topic)
})
test('a classic group: join, sync, heartbeat, commit, leave, and what is wrong', async () => {
  const topic = await topicOn(2)
  const script = await Script.open()
  script.subscribesTo(topic)
  await script.classicDescribe()
  await script.classicDescribe(5)
  await script.classicJoin('a', { sessionTimeoutMs: 1 })
  await script.classicJoin('stranger', { memberId: 'stranger' })
  await script.classicJoin('a')
  const { generationId } = await script.classicJoin('a')
  await script.classicBeat('a', generationId)
  await script.classicBeat('a', 9)
  await script.classicBeat('nobody', generationId)
  await script.commit('a', generationId, topic)
  await script.classicSync('a', 9)
  await script.classicSync('a', generationId, { a: assignment(topic, 0, 1) })
  await script.classicDescribe()
  await script.describe()
  await script.list(['stable'], ['classic'])
  await script.commit('a', generationId, topic)
  await script.commit('a', 9, topic)
  await script.commit('', -1, topic)
  await script.fetch(null, -1, topic)
  await script.deleteOffsets(topic)
  await script.remove()
  await script.classicJoin('b', { protocolType: 'connect' })
  await script.classicJoin('b', { protocols: [{ name: 'other', metadata: Buffer.from('') }] })
  await script.classicJoin('b', { protocols: [] })
  await script.classicLeave('nobody')
  await script.classicLeave('a')
  await script.classicDescribe()
  await script.classicBeat('a', generationId)
  await script.commit('', -1, topic)
  await script.remove()
})
test('from classic to consumer and back while members run', async () => {
  const topic = await topicOn(6)
  const script = await Script.open()
  script.subscribesTo(topic)
  await script.classicJoin('a')
  const first = await script.classicJoin('a')
  await script.classicSync('a', first.generationId, { a: assignment(topic, 0, 1, 2, 3, 4, 5) })
  await script.join('c', [topic])
  await script.describe()
  await script.classicDescribe()
  await script.classicBeat('a', first.generationId)
  await script.classicSync('a', first.generationId)
  const second = await script.classicJoin('a')
  await script.classicSync('a', second.generationId)
  await script.classicBeat('a', second.generationId)
  await script.describe()
  await script.beat('c')
  await script.owns('c')
  await script.describe()
  await script.commit('a', second.generationId, topic, 8)
  await script.commit('a', 1, topic, 8)
  await script.commit('a', 99, topic, 8)
  await script.classicJoin('d')
  const third = await script.classicJoin('d')
  await script.classicSync('d', third.generationId)
  await script.describe()
  await script.classicLeave('d')
  await script.describe()
  await script.classicJoin('e', { protocolType: 'connect' })
  await script.classicJoin('e', { groupInstanceId: 's' })
  await script.describe()
  await script.beat('c', { memberEpoch: -1 })
  await script.describe()
  await script.classicDescribe()
})
