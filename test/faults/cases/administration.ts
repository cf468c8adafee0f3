/**
 * kill -9 amid administrative acts by Kafka's protocol: topics made, grown, configured and deleted, records, positions and
 * groups deleted, grants, SCRAM credentials and quotas changed. Each thing has a value, which one act replaces. After each
 * start: what was answered is as it was answered; what was not answered has the value of before or the one that was asked
 * for, nothing in between; and what was deleted comes back with nothing of what it was.
 *
 * Before one kill in three the disk fails for a moment. An act that is refused then is done or not: whoever asks next sees
 * which, and it stays so over the kill.
 */
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { encodeBatch } from '../../../src/log/batch.ts'
import type { AnyShape, Api, Decoded, Encoded } from '../../../src/wire/kafka/codec/shape.ts'
import { produceApi } from '../../../src/wire/kafka/messages/00-produce.ts'
import { listOffsetsApi } from '../../../src/wire/kafka/messages/02-list-offsets.ts'
import { metadataApi } from '../../../src/wire/kafka/messages/03-metadata.ts'
import { offsetCommitApi } from '../../../src/wire/kafka/messages/08-offset-commit.ts'
import { offsetFetchApi } from '../../../src/wire/kafka/messages/09-offset-fetch.ts'
import { createTopicsApi } from '../../../src/wire/kafka/messages/19-create-topics.ts'
import { deleteTopicsApi } from '../../../src/wire/kafka/messages/20-delete-topics.ts'
import { deleteRecordsApi } from '../../../src/wire/kafka/messages/21-delete-records.ts'
import { describeAclsApi } from '../../../src/wire/kafka/messages/29-describe-acls.ts'
import { createAclsApi } from '../../../src/wire/kafka/messages/30-create-acls.ts'
import { deleteAclsApi } from '../../../src/wire/kafka/messages/31-delete-acls.ts'
import { describeConfigsApi } from '../../../src/wire/kafka/messages/32-describe-configs.ts'
import { createPartitionsApi } from '../../../src/wire/kafka/messages/37-create-partitions.ts'
import { deleteGroupsApi } from '../../../src/wire/kafka/messages/42-delete-groups.ts'
import { incrementalAlterConfigsApi } from '../../../src/wire/kafka/messages/44-incremental-alter-configs.ts'
import { offsetDeleteApi } from '../../../src/wire/kafka/messages/47-offset-delete.ts'
import { describeClientQuotasApi } from '../../../src/wire/kafka/messages/48-describe-client-quotas.ts'
import { alterClientQuotasApi } from '../../../src/wire/kafka/messages/49-alter-client-quotas.ts'
import { describeUserScramCredentialsApi } from '../../../src/wire/kafka/messages/50-describe-user-scram-credentials.ts'
import { alterUserScramCredentialsApi } from '../../../src/wire/kafka/messages/51-alter-user-scram-credentials.ts'
import { WireClient } from '../../gateway/kafka/wire-client.ts'
import type { Millrace } from '../../interop/setup/index.ts'
import { between, type Context, type FaultCase, type Outcome, startAgain, startFirst } from '../case.ts'
import { inject, tracingMissing } from '../inject.ts'

export const administration: FaultCase = {
  name: 'administration',
  says: 'kill -9 amid administrative acts',
  run: killAdministration,
}

const killsOf = ({ times }: Context): number => times(15, 500)
/** Things of each kind; each is changed by one client, so that its next value is known. */
const each = 3
/** A disk that does not fail any more is written to again after this. */
const recoversMs = 1_500
/** Records of the partition whose records are deleted. */
const keptRecords = 20_000

/** Asks until the connection is gone. Throws for an answer that is an error. */
class Admin {
  readonly #wire: WireClient
  private constructor(wire: WireClient) {
    this.#wire = wire
  }
  static async open(product: Millrace): Promise<Admin> {
    const at = product.kafka.lastIndexOf(':')
    return new Admin(
      await WireClient.open({ host: product.kafka.slice(0, at), port: Number(product.kafka.slice(at + 1)) }),
    )
  }
  ask<Q extends AnyShape, A extends AnyShape>(
    api: Api<Q, A>,
    version: number,
    request: Encoded<Q>,
  ): Promise<Decoded<A>> {
    return this.#wire.ask(api, version, request)
  }
  close(): void {
    this.#wire.close()
  }
}
/** What an act is answered when the disk fails: it may be done or not. */
const ofTheDisk = new Set([-1, 15, 16, 56])
class Refused extends Error {
  readonly code: number
  constructor(what: string, code = 0) {
    super(what)
    this.code = code
  }
}
function mustBe(error: number | undefined, what: string, ...fine: number[]): void {
  if (error !== 0 && !fine.includes(error ?? -1)) throw new Refused(`${what}: error ${error}`, error)
}

/** Something with a value, as text; '' = it is not there. `change` makes it `to`, in one act. */
interface Thing {
  readonly name: string
  next(value: string, random: () => number): string
  change(admin: Admin, from: string, to: string): Promise<void>
  read(admin: Admin): Promise<string>
}
const soMany = (random: () => number, count: number): number => Math.floor(random() * count)

const unknownTopic = 3
/** partitions/retention.ms/records: each record is written right after the topic was made, so that deleting has work. */
function topic(i: number): Thing {
  const name = `topic-${i}`
  const records = async (admin: Admin): Promise<number> => {
    const partitions = [{ partitionIndex: 0, currentLeaderEpoch: -1, timestamp: -1 }]
    const { topics } = await admin.ask(listOffsetsApi, 4, {
      replicaId: -1,
      isolationLevel: 0,
      topics: [{ name, partitions }],
      timeoutMs: 0,
    })
    const [found] = topics[0]!.partitions
    mustBe(found!.errorCode, `offsets of ${name}`)
    return Number(found!.offset)
  }
  return {
    name,
    next(value, random) {
      if (value === '') return `${1 + soMany(random, 5)}/${1_000_000 + soMany(random, 1_000)}/0`
      const [partitions, retention, written] = value.split('/')
      if (written === '0') return `${partitions}/${retention}/1`
      const choice = random()
      if (choice < 0.5) return ''
      if (choice < 0.75) return `${Number(partitions) + 1 + soMany(random, 3)}/${retention}/1`
      return `${partitions}/${1_000_000 + soMany(random, 1_000)}/1`
    },
    async change(admin, from, to) {
      const [partitions = '', retention = '', written = ''] = to.split('/')
      if (from === '') {
        const configs = [{ name: 'retention.ms', value: retention }]
        const asked = { name, numPartitions: Number(partitions), replicationFactor: 1, assignments: [], configs }
        const { topics } = await admin.ask(createTopicsApi, 5, { topics: [asked], timeoutMs: 0, validateOnly: false })
        return mustBe(topics[0]!.errorCode, `create ${name}`)
      }
      if (to === '') {
        const { responses } = await admin.ask(deleteTopicsApi, 3, { topicNames: [name], topics: [], timeoutMs: 0 })
        return mustBe(responses[0]!.errorCode, `delete ${name}`)
      }
      const [had, , wrote] = from.split('/')
      if (wrote !== written) {
        const batch = encodeBatch([{ key: null, value: Buffer.alloc(20_000, 1), timeMs: Date.now() }])
        const partitionData = [{ index: 0, records: [batch] }]
        const { responses } = await admin.ask(produceApi, 7, {
          transactionalId: null,
          acks: -1,
          timeoutMs: 0,
          topicData: [{ topicId: '', name, partitionData }],
        })
        return mustBe(responses[0]!.partitionResponses[0]!.errorCode, `write to ${name}`)
      }
      if (had !== partitions) {
        const asked = { name, count: Number(partitions), assignments: null }
        const { results } = await admin.ask(createPartitionsApi, 1, {
          topics: [asked],
          timeoutMs: 0,
          validateOnly: false,
        })
        return mustBe(results[0]!.errorCode, `grow ${name}`)
      }
      const configs = [{ name: 'retention.ms', configOperation: 0, value: retention }]
      const { responses } = await admin.ask(incrementalAlterConfigsApi, 0, {
        resources: [{ resourceType: 2, resourceName: name, configs }],
        validateOnly: false,
      })
      mustBe(responses[0]!.errorCode, `configure ${name}`)
    },
    async read(admin) {
      const { topics } = await admin.ask(metadataApi, 8, {
        topics: [{ topicId: '', name }],
        allowAutoTopicCreation: false,
        includeClusterAuthorizedOperations: false,
        includeTopicAuthorizedOperations: false,
      })
      const [found] = topics
      if (found!.errorCode === unknownTopic) return ''
      mustBe(found!.errorCode, `metadata of ${name}`)
      const { results } = await admin.ask(describeConfigsApi, 2, {
        resources: [{ resourceType: 2, resourceName: name, configurationKeys: ['retention.ms'] }],
        includeSynonyms: false,
        includeDocumentation: false,
      })
      mustBe(results[0]!.errorCode, `settings of ${name}`)
      return `${found!.partitions.length}/${results[0]!.configs[0]!.value}/${await records(admin)}`
    },
  }
}

const kept = 'kept'
const keptStart: Thing = {
  name: `start of ${kept}`,
  next: (value, random) => String(Math.min(keptRecords, Number(value) + 1 + soMany(random, 20))),
  async change(admin, _from, to) {
    const partitions = [{ partitionIndex: 0, offset: Number(to) }]
    const { topics } = await admin.ask(deleteRecordsApi, 1, { topics: [{ name: kept, partitions }], timeoutMs: 0 })
    mustBe(topics[0]!.partitions[0]!.errorCode, 'delete records')
  },
  async read(admin) {
    const offsets: number[] = []
    for (const timestamp of [-2, -1]) {
      const partitions = [{ partitionIndex: 0, currentLeaderEpoch: -1, timestamp }]
      const { topics } = await admin.ask(listOffsetsApi, 4, {
        replicaId: -1,
        isolationLevel: 0,
        topics: [{ name: kept, partitions }],
        timeoutMs: 0,
      })
      mustBe(topics[0]!.partitions[0]!.errorCode, `offsets of ${kept}`)
      offsets.push(Number(topics[0]!.partitions[0]!.offset))
    }
    if (offsets[1] !== keptRecords) throw new Refused(`${kept} ends at ${offsets[1]}, not ${keptRecords}`)
    return String(offsets[0])
  },
}

/** Positions in the two partitions of the kept topic, a comma between them: deleted one by one, or with the group. */
function group(i: number): Thing {
  const groupId = `group-${i}`
  const commit = async (admin: Admin, offsets: readonly string[]): Promise<void> => {
    const partitions = offsets.flatMap((offset, partitionIndex) =>
      offset === '' ? [] : [{ partitionIndex, committedOffset: Number(offset), committedMetadata: 'x'.repeat(100) }],
    )
    const { topics } = await admin.ask(offsetCommitApi, 7, {
      groupId,
      generationIdOrMemberEpoch: -1,
      memberId: '',
      groupInstanceId: null,
      topics: [{ topicId: '', name: kept, partitions }],
    })
    for (const { errorCode } of topics[0]!.partitions) mustBe(errorCode, `commit of ${groupId}`)
  }
  return {
    name: groupId,
    next(value, random) {
      const choice = random()
      const number = (): number => 1 + soMany(random, 1_000)
      if (value === '' || choice < 0.4) return `${number()},${number()}`
      return choice < 0.7 && !value.startsWith(',') ? `,${value.split(',')[1]}` : ''
    },
    async change(admin, _from, to) {
      if (to === '') {
        const { results } = await admin.ask(deleteGroupsApi, 1, { groupsNames: [groupId] })
        return mustBe(results[0]!.errorCode, `delete ${groupId}`)
      }
      if (!to.startsWith(',')) return commit(admin, to.split(','))
      const topics = [{ name: kept, partitions: [{ partitionIndex: 0 }] }]
      const answer = await admin.ask(offsetDeleteApi, 0, { groupId, topics })
      mustBe(answer.errorCode, `delete positions of ${groupId}`)
      mustBe(answer.topics[0]!.partitions[0]!.errorCode, `delete the position of ${groupId}`)
    },
    async read(admin) {
      const { topics } = await admin.ask(offsetFetchApi, 5, {
        groupId,
        topics: [{ name: kept, partitionIndexes: [0, 1] }],
        groups: [],
        requireStable: false,
      })
      const offsets = topics[0]!.partitions.map(({ committedOffset }) => Number(committedOffset))
      return offsets.every((offset) => offset < 0) ? '' : offsets.map((offset) => (offset < 0 ? '' : offset)).join(',')
    },
  }
}

function grant(i: number): Thing {
  const of = { principal: `User:somebody-${i}`, host: '*', operation: 3 }
  return {
    name: of.principal,
    next: (value) => (value === '' ? 'granted' : ''),
    async change(admin, _from, to) {
      if (to === '') {
        const { principal, host, operation } = of
        const filter = { principalFilter: principal, hostFilter: host, operation, permissionType: 1 }
        const resource = { resourceTypeFilter: 2, resourceNameFilter: null, patternTypeFilter: 1 }
        const { filterResults } = await admin.ask(deleteAclsApi, 1, { filters: [{ ...resource, ...filter }] })
        return mustBe(filterResults[0]!.errorCode, `take grants of ${of.principal}`)
      }
      // Two at once: one without the other would be half an act.
      const creations = ['one', 'two'].map((resourceName) => ({
        resourceType: 2,
        resourceName,
        resourcePatternType: 3,
        permissionType: 3,
        ...of,
      }))
      const { results } = await admin.ask(createAclsApi, 1, { creations })
      for (const { errorCode } of results) mustBe(errorCode, `grant to ${of.principal}`)
    },
    async read(admin) {
      const { errorCode, resources } = await admin.ask(describeAclsApi, 1, {
        resourceTypeFilter: 2,
        resourceNameFilter: null,
        patternTypeFilter: 1,
        principalFilter: of.principal,
        hostFilter: null,
        operation: 1,
        permissionType: 1,
      })
      mustBe(errorCode, 'describe grants')
      return resources.length === 0 ? '' : resources.length === 2 ? 'granted' : `${resources.length} of 2`
    },
  }
}

/** Iterations of the two mechanisms, which one act changes together. */
function credential(i: number): Thing {
  const name = `user-${i}`
  return {
    name,
    next: (value, random) => (value === '' || random() < 0.5 ? String(4_096 + soMany(random, 1_000)) : ''),
    async change(admin, _from, to) {
      const upsertions =
        to === ''
          ? []
          : [1, 2].map((mechanism) => ({
              name,
              mechanism,
              iterations: Number(to),
              salt: Buffer.alloc(16, 1),
              saltedPassword: Buffer.alloc(mechanism === 1 ? 32 : 64, 2),
            }))
      const deletions = to === '' ? [1, 2].map((mechanism) => ({ name, mechanism })) : []
      const { results } = await admin.ask(alterUserScramCredentialsApi, 0, { deletions, upsertions })
      mustBe(results[0]!.errorCode, `credentials of ${name}: ${results[0]!.errorMessage}`)
    },
    async read(admin) {
      const { results } = await admin.ask(describeUserScramCredentialsApi, 0, { users: [{ name }] })
      const notFound = 91
      mustBe(results[0]!.errorCode, `credentials of ${name}`, notFound)
      const found = results[0]!.credentialInfos.map(({ iterations }) => iterations)
      if (found.length === 0) return ''
      return found.length === 2 && found[0] === found[1] ? String(found[0]) : found.join(' and ')
    },
  }
}

function quota(i: number): Thing {
  const entity = [{ entityType: 'client-id', entityName: `client-${i}` }]
  return {
    name: `quota of client-${i}`,
    next: (value, random) => (value === '' || random() < 0.5 ? String(1_000_000 + soMany(random, 1_000)) : ''),
    async change(admin, _from, to) {
      const ops = ['producer_byte_rate', 'consumer_byte_rate'].map((key) => ({
        key,
        value: Number(to),
        remove: to === '',
      }))
      const { entries } = await admin.ask(alterClientQuotasApi, 0, { entries: [{ entity, ops }], validateOnly: false })
      mustBe(entries[0]!.errorCode, `quota of client-${i}`)
    },
    async read(admin) {
      const components = [{ entityType: 'client-id', matchType: 0, match: `client-${i}` }]
      const { errorCode, entries } = await admin.ask(describeClientQuotasApi, 0, { components, strict: false })
      mustBe(errorCode, 'describe quotas')
      const values = entries?.[0]?.values.map(({ value }) => value) ?? []
      if (values.length === 0) return ''
      return values.length === 2 && values[0] === values[1] ? String(values[0]) : values.join(' and ')
    },
  }
}

const things: readonly Thing[] = [
  ...Array.from({ length: each }, (_, i) => [topic(i), group(i), grant(i), credential(i), quota(i)]).flat(),
  keptStart,
]

async function prepare(product: Millrace): Promise<void> {
  const admin = await Admin.open(product)
  // As soon as there is a user, nobody may do what was not granted: here the one without a name may do all.
  const all = { resourcePatternType: 3, principal: 'User:ANONYMOUS', host: '*', operation: 2, permissionType: 3 }
  const resources = [
    { resourceType: 2, resourceName: '*' },
    { resourceType: 3, resourceName: '*' },
    { resourceType: 4, resourceName: 'kafka-cluster' },
  ]
  const { results } = await admin.ask(createAclsApi, 1, { creations: resources.map((one) => ({ ...all, ...one })) })
  for (const { errorCode } of results) mustBe(errorCode, 'grants for all')
  // The first user must be one that may do everything.
  const response = await fetch(`http://${product.http}/v1/users/admin`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ password: 'of nobody here', super: true }),
  })
  if (!response.ok) throw new Error(`no user: ${await response.text()}`)
  const configs = [{ name: 'segment.bytes', value: '1048576' }]
  const asked = { name: kept, numPartitions: 2, replicationFactor: 1, assignments: [], configs }
  await admin.ask(createTopicsApi, 5, { topics: [asked], timeoutMs: 0, validateOnly: false })
  for (let written = 0; written < keptRecords; written += 500) {
    const record = { key: null, value: Buffer.alloc(300, 1), timeMs: Date.now() }
    const partitionData = [{ index: 0, records: [encodeBatch(Array.from({ length: 500 }, () => record))] }]
    const topicData = [{ topicId: '', name: kept, partitionData }]
    const { responses } = await admin.ask(produceApi, 7, { transactionalId: null, acks: -1, timeoutMs: 0, topicData })
    mustBe(responses[0]!.partitionResponses[0]!.errorCode, `write to ${kept}`)
  }
  admin.close()
}

interface Known {
  value: string
  /** What an act that was not answered would have made it. */
  asked: string | null
}

async function killAdministration(context: Context): Promise<Outcome> {
  const { random, note, folder } = context
  const kills = killsOf(context)
  let product = await startFirst({ data: folder })
  const problems: string[] = []
  const known = new Map<Thing, Known>(things.map((thing) => [thing, { value: '', asked: null }]))
  known.get(keptStart)!.value = '0'
  const counts = { acts: 0, unanswered: 0, 'unanswered and done': 0, 'refused by a failing disk': 0 }
  const untraced = await tracingMissing(folder)
  if (untraced !== null) note(`the disk does not fail here: ${untraced}`)
  let isFailing = false
  /** Of one third of the kills. */
  const failForAMoment = async (number: number): Promise<void> => {
    const calls = ['fdatasync', 'pwrite64,pwritev', 'fsync'][soMany(random, 3)]!
    const effect = random() < 0.5 ? 'error=EIO' : 'error=ENOSPC'
    isFailing = true
    const injection = await inject(product.pid, { calls, effect }, join(folder, `strace-${number}.log`))
    await sleep(between(random, 50, 400))
    await injection.stop()
    note(`${calls} failed ${injection.count} times with ${effect}`)
  }
  const act = async (thing: Thing, over: AbortSignal): Promise<void> => {
    const admin = await Admin.open(product)
    const state = known.get(thing)!
    try {
      while (!over.aborted) {
        state.asked = thing.next(state.value, random)
        await thing.change(admin, state.value, state.asked)
        state.value = state.asked
        state.asked = null
        counts.acts++
      }
    } catch (error) {
      if (error instanceof Refused && isFailing && ofTheDisk.has(error.code)) counts['refused by a failing disk']++
      else if (error instanceof Refused) {
        problems.push(`${thing.name}: ${state.value || 'nothing'} to ${state.asked || 'nothing'}: ${error.message}`)
        state.asked = null
      } else if (state.asked !== null) counts.unanswered++
    } finally {
      admin.close()
    }
  }
  const check = async (): Promise<void> => {
    const admin = await Admin.open(product)
    for (const [thing, state] of known) {
      const found = await thing.read(admin)
      if (found !== state.value && found !== state.asked)
        problems.push(
          `${thing.name} is ${found || 'not there'}; answered was ${state.value || 'nothing'}` +
            (state.asked === null ? '' : `, asked for ${state.asked || 'nothing'}`),
        )
      if (state.asked !== null && found === state.asked) counts['unanswered and done']++
      state.value = found
      state.asked = null
    }
    admin.close()
  }
  try {
    await prepare(product)
    for (let killed = 1; killed <= kills && problems.length === 0; killed++) {
      const over = new AbortController()
      const running = things.map((thing) => act(thing, over.signal))
      await sleep(between(random, 20, 800))
      if (untraced === null && killed % 3 === 0) await failForAMoment(killed)
      over.abort()
      if (isFailing) {
        await Promise.all(running)
        await sleep(recoversMs)
        await check()
        isFailing = false
      }
      await product.kill('SIGKILL')
      await Promise.all(running)
      product = await startAgain(product)
      await check()
      note(`kill ${killed} of ${kills}: ready in ${Math.round(product.spawnToReadyMs)} ms, ${counts.acts} acts`)
    }
    await product.stop()
    product = await startAgain(product)
    await check()
  } finally {
    await product[Symbol.asyncDispose]()
  }
  return { problems, figures: { kills, ...counts } }
}
