/** What the log keeps for itself is in Kafka's own formats: its tool reads positions, groups, commits and markers. */
import assert from 'node:assert/strict'
import { execFile } from 'node:child_process'
import { mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { promisify } from 'node:util'
import { realWorld } from '../../src/lib/real/world.ts'
import { openLocalLog } from '../../src/log/local/open.ts'
import { batch, off, withTopic } from '../log/local/support.ts'
import { kafkaTool } from './setup/index.ts'

const execute = promisify(execFile)

async function dump(data: string, topic: string, decoder: string): Promise<string> {
  const files = readdirSync(data, { recursive: true, encoding: 'utf8' })
  const segment = files.find((file) => file.includes(`${topic}~`) && file.endsWith('.log'))!
  const [command, args] = await kafkaTool('dump-log', decoder, '--files', join(data, segment))
  const { stdout } = await execute(command, args)
  assert.doesNotMatch(stdout, /isvalid: false/)
  return stdout
}

test('kafka-dump-log decodes positions, groups, commit records and markers', async () => {
  const dir = mkdtempSync(join(tmpdir(), 'millrace-dump-'))
  const log = await openLocalLog({ world: realWorld(), dir, initialRebalanceDelayMs: 5 })
  const partition = await withTopic(log)
  const changes = log
    .join('tasks', { topics: ['t'], warm: () => [] })
    .changes()
    [Symbol.asyncIterator]()
  const { value: change } = await changes.next()
  change!.accept()
  const owner = await log.owner()
  const tick = owner.begin()
  await tick.append([{ partition, batch: batch(['a']) }])
  await tick.commit([{ claim: change!.claim, positions: [{ partition, offset: off(4) }] }])
  const aborted = owner.begin()
  await aborted.append([{ partition, batch: batch(['b']) }])
  await aborted.abort()
  const offsets = [{ partition, offset: off(7), leaderEpoch: 2, metadata: 'note' }]
  await log.coordinator.commit({ group: 'g', generation: -1, memberId: '', instanceId: null, offsets })
  const joined = await log.coordinator.join({
    group: 'consumers',
    memberId: '',
    instanceId: 'one',
    clientId: 'c',
    host: '/127.0.0.1',
    protocolType: 'consumer',
    protocols: [{ name: 'range', metadata: Buffer.from([0, 1, 0, 0, 0, 1, 0, 1, 0x74, 255, 255, 255, 255]) }],
    sessionTimeoutMs: 10_000,
    rebalanceTimeoutMs: 10_000,
    memberIdRequired: false,
    skipsAssignment: true,
  })
  assert.ok('generation' in joined)
  const { memberId, generation } = joined
  await log.coordinator.sync({
    group: 'consumers',
    generation,
    memberId,
    instanceId: 'one',
    protocolType: 'consumer',
    protocol: 'range',
    assignments: [{ memberId, assignment: Buffer.from([0, 1, 0, 0, 0, 0, 255, 255, 255, 255]) }],
  })
  const identity = await log.transactions.init({ transactionalId: 'of a client', timeoutMs: 70_000, expected: null })
  const producer = { transactionalId: 'of a client', ...identity }
  const member = { group: 'in it', generation: -1, memberId: '', instanceId: null, joins: true }
  await log.transactions.commitOffsets({ ...producer, ...member, offsets })
  await log.transactions.addPartitions(producer, [partition], true)
  await log.transactions.end(producer, { commit: true, bumps: true })
  await log.close()

  const positions = await dump(dir, '__consumer_offsets', '--offsets-decoder')
  assert.match(positions, /"group":"tasks","topic":"t","partition":0.*"offset":4/)
  assert.match(positions, /"group":"g","topic":"t","partition":0.*"offset":7,"leaderEpoch":2,"metadata":"note"/)
  assert.match(positions, /"group":"consumers".*"protocol":"range".*"groupInstanceId":"one"/)
  const commits = await dump(dir, '__transaction_state', '--transaction-log-decoder')
  assert.match(commits, /"transactionalId":"_millrace_owner_0".*"transactionStatus":2/)
  const ofClient = commits.split('\n').filter((line) => line.includes('"of a client"'))
  assert.match(ofClient[0]!, /"producerEpoch":0,"transactionTimeoutMs":70000,"transactionStatus":0,/)
  const ongoing =
    /"producerEpoch":0,.*"transactionStatus":1,.*"topic":"__consumer_offsets".*"clientTransactionVersion":2/
  assert.ok(
    ofClient.some((line) => ongoing.test(line)),
    commits,
  )
  const prepared = /"producerEpoch":1,.*"transactionStatus":2,.*"topic":"t","partitionIds":\[0\]/
  assert.ok(
    ofClient.some((line) => prepared.test(line)),
    commits,
  )
  assert.match(positions, /"group":"in it","topic":"t","partition":0.*"offset":7/)
  const records = await dump(dir, 't', '--print-data-log')
  assert.match(records, /endTxnMarker: COMMIT/)
  assert.match(records, /endTxnMarker: ABORT/)
  rmSync(dir, { recursive: true })
})
