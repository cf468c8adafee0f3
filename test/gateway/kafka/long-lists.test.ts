/** One request that names a hundred thousand things: others have their turn while it is answered. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { handlers } from '../../../src/gateway/kafka/handlers/index.ts'
import { Fault, asFault } from '../../../src/lib/fault.ts'
import { realWorld } from '../../../src/lib/real/world.ts'
import { Turns } from '../../../src/lib/turns.ts'
import type { Clock } from '../../../src/lib/world.ts'
import { encodeForm } from '../../../src/log/record-form.ts'
import { bool, int32, string, struct } from '../../../src/wire/kafka/codec/shape.ts'
import { ask, exchangeFor } from './ask.ts'
import { sharedGateway } from './local-gateway.ts'

const gateway = sharedGateway({ before, after })

/** Time passes by being asked for. */
function countingClock(): { clock: Clock; turns(): number } {
  const { clock } = realWorld()
  let nowMs = 0
  let turns = 0
  const counting = { ...clock, monotonic: () => (nowMs += 5), soon: (call: () => void) => (turns++, clock.soon(call)) }
  return { clock: counting, turns: () => turns }
}
const range = <T>(of: (i: number) => T, count = 400): T[] => Array.from({ length: count }, (_, i) => of(i))

const partitions = (i: number): number => i % 3
const commit = (i: number) => ({
  partitionIndex: partitions(i),
  committedOffset: 1,
  committedLeaderEpoch: -1,
  committedMetadata: '',
})
/** By name: version and request. Long enough for those that take a thousand at once. */
const requests: Readonly<Record<string, readonly [version: number, request: unknown]>> = {
  OffsetCommit: [
    8,
    {
      groupId: 'g',
      generationIdOrMemberEpoch: -1,
      memberId: '',
      groupInstanceId: null,
      topics: [{ name: 'long', topicId: '', partitions: range(commit, 9_000) }],
    },
  ],
  OffsetFetch: [
    8,
    {
      requireStable: false,
      groups: range((i) => ({ groupId: `g${i}`, topics: [{ name: 'long', partitionIndexes: [0] }] })),
    },
  ],
  ListOffsets: [
    5,
    {
      replicaId: -1,
      isolationLevel: 0,
      timeoutMs: 0,
      topics: [
        {
          name: 'long',
          partitions: range((i) => ({ partitionIndex: partitions(i), currentLeaderEpoch: -1, timestamp: -1 })),
        },
      ],
    },
  ],
  DescribeGroups: [5, { groups: range((i) => `g${i}`), includeAuthorizedOperations: false }],
  ConsumerGroupDescribe: [0, { groupIds: range((i) => `g${i}`), includeAuthorizedOperations: false }],
  ShareGroupDescribe: [1, { groupIds: range((i) => `g${i}`), includeAuthorizedOperations: false }],
  CreateTopics: [
    5,
    {
      topics: range((i) => ({ name: `?${i}`, numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] })),
      timeoutMs: 0,
      validateOnly: false,
    },
  ],
  DeleteRecords: [
    1,
    {
      topics: [{ name: 'long', partitions: range((i) => ({ partitionIndex: partitions(i), offset: 0 })) }],
      timeoutMs: 0,
    },
  ],
  OffsetForLeaderEpoch: [
    3,
    {
      replicaId: -1,
      topics: [
        {
          topic: 'long',
          partitions: range((i) => ({ partition: partitions(i), currentLeaderEpoch: -1, leaderEpoch: 0 })),
        },
      ],
    },
  ],
  AddPartitionsToTxn: [
    4,
    {
      transactions: range((i) => ({
        transactionalId: `t${i}`,
        producerId: 1,
        producerEpoch: 0,
        verifyOnly: true,
        topics: [{ name: 'long', partitions: [0] }],
      })),
      v3AndBelowTransactionalId: '',
      v3AndBelowProducerId: 0,
      v3AndBelowProducerEpoch: 0,
      v3AndBelowTopics: [],
    },
  ],
  WriteTxnMarkers: [
    1,
    {
      markers: [
        {
          producerId: 1,
          producerEpoch: 0,
          transactionResult: true,
          coordinatorEpoch: 0,
          topics: [{ name: 'long', partitionIndexes: range(partitions) }],
        },
      ],
    },
  ],
  CreateAcls: [
    1,
    {
      creations: range(() => ({
        resourceType: 2,
        resourceName: '',
        resourcePatternType: 3,
        principal: 'nobody',
        host: '*',
        operation: 3,
        permissionType: 3,
      })),
    },
  ],
  DescribeConfigs: [
    2,
    {
      resources: range((i) => ({ resourceType: 2, resourceName: `x${i}`, configurationKeys: null })),
      includeSynonyms: false,
      includeDocumentation: false,
    },
  ],
  AlterConfigs: [
    0,
    { resources: range((i) => ({ resourceType: 2, resourceName: `x${i}`, configs: [] })), validateOnly: true },
  ],
  IncrementalAlterConfigs: [
    0,
    { resources: range((i) => ({ resourceType: 2, resourceName: `x${i}`, configs: [] })), validateOnly: true },
  ],
  CreatePartitions: [
    2,
    { topics: range((i) => ({ name: `x${i}`, count: 2, assignments: null })), timeoutMs: 0, validateOnly: true },
  ],
  DeleteGroups: [1, { groupsNames: range((i) => `g${i}`) }],
  AlterClientQuotas: [
    0,
    {
      entries: range((i) => ({ entity: [{ entityType: 'odd', entityName: `${i}` }], ops: [] })),
      validateOnly: true,
    },
  ],
  AlterUserScramCredentials: [0, { deletions: range((i) => ({ name: `u${i}`, mechanism: 1 })), upsertions: [] }],
  DescribeProducers: [0, { topics: [{ name: 'long', partitionIndexes: range(partitions) }] }],
  DescribeTransactions: [0, { transactionalIds: range((i) => `t${i}`) }],
  DescribeShareGroupOffsets: [0, { groups: range((i) => ({ groupId: `g${i}`, topics: null })) }],
  AlterShareGroupOffsets: [
    0,
    {
      groupId: 'shares',
      topics: [{ topicName: 'long', partitions: range((i) => ({ partitionIndex: partitions(i), startOffset: 0 })) }],
    },
  ],
}

test('a long list is gone through in turns, whatever it is of, and its answer has them all, in order', async () => {
  const { log } = gateway()
  await log.topics.create([{ name: 'long', partitions: 3 }])
  for (const [name, [version, request]] of Object.entries(requests)) {
    const handler = handlers.find(({ api }) => api.name === name)!
    const { clock, turns } = countingClock()
    // ListOffsets has turns of its own, below the gateway.
    const answer = await ask(handler, version, request as never, exchangeFor(log, { turns: new Turns(clock) }))
    if (name !== 'ListOffsets') assert.ok(turns() >= 2, `${name} took ${turns()} turns`)
    const asked = JSON.stringify(request).match(/"[gxtu?]\d+"/g) ?? []
    const told = JSON.stringify(answer).match(/"[gxtu?]\d+"/g) ?? []
    assert.deepEqual(told, asked, name)
  }
})

test('parts of one request share its turn; each rest of a list waits for the next', async () => {
  const { clock, turns } = countingClock()
  const mine = new Turns(clock)
  let running = 0
  let most = 0
  const done = await mine.map(
    range((i) => i, 50),
    (i) =>
      mine.map(
        range((j) => j, 50),
        async (j) => {
          most = Math.max(most, ++running)
          await Promise.resolve()
          running--
          return i * 50 + j
        },
      ),
  )
  assert.deepEqual(
    done.flat(),
    range((i) => i, 2_500),
  )
  assert.ok(turns() >= 500, `${turns()} turns`)
  assert.ok(most <= 20, `${most} at once`)
  const nested = await mine.mapEach(
    [[1, 2], [], [3]],
    (list) => list,
    (one) => one * 2,
  )
  assert.deepEqual(nested, [[2, 4], [], [6]])
  const pieces: number[] = []
  const all = await mine.inPieces(
    range((i) => i, 25),
    10,
    async (piece) => (pieces.push(piece.length), piece),
  )
  assert.deepEqual([pieces, all.length], [[10, 10, 5], 25])
})

test('a foreseen fault does not say where it was made, an unforeseen one does', () => {
  assert.doesNotMatch(new Fault('log.unknown-topic', { topic: 'x' }).stack!, /\n\s+at /)
  assert.match(asFault(new Error('odd')).stack!, /\n\s+at /)
  assert.match(new Error('odd').stack!, /\n\s+at /)
  const limit = Error.stackTraceLimit
  Error.stackTraceLimit = 20
  assert.match(new Fault('log.unknown-topic', { topic: 'x' }).stack!, /\n\s+at /)
  Error.stackTraceLimit = limit
})

test('many keys and values of system topics lie in one piece of memory', () => {
  const shape = struct({ name: string, number: int32, isOdd: bool })
  const encoded = range((i) => encodeForm(1, shape, { name: `name ${i}`, number: i, isOdd: i % 2 === 1 }, 'key'), 1_000)
  assert.ok(new Set(encoded.map(({ buffer }) => buffer)).size <= 10)
  assert.throws(() => encodeForm(1, shape, { name: 'x'.repeat(40_000), number: 1, isOdd: false }, 'key'))
  const after = encodeForm(1, shape, { name: 'after', number: 1, isOdd: false }, 'key')
  assert.deepEqual(Buffer.from(after).toString('hex'), `00010005${Buffer.from('after').toString('hex')}0000000100`)
})
