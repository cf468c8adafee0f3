/** Kafka's command-line tools for transactions: kafka-transactions in every form, and a console consumer that is committed. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { nullUuid } from '../../src/wire/kafka/codec/shape.ts'
import { encodeBatch } from '../../src/log/batch.ts'
import { ownBatch } from '../../src/store/batch-header.ts'
import { produceApi } from '../../src/wire/kafka/messages/00-produce.ts'
import { createTopicsApi } from '../../src/wire/kafka/messages/19-create-topics.ts'
import { initProducerIdApi } from '../../src/wire/kafka/messages/22-init-producer-id.ts'
import { endTxnApi } from '../../src/wire/kafka/messages/26-end-txn.ts'
import { WireClient } from '../gateway/kafka/wire-client.ts'
import { type Ended, execute, freshName, sharedTarget } from './kafka/target.ts'
import { kafkaTool } from './setup/index.ts'

const target = sharedTarget({ before, after })
const producerFenced = 90
const tool = 'org.apache.kafka.tools.TransactionsCommand'

async function run(name: string, args: readonly string[]): Promise<Ended> {
  const [command, words] = await kafkaTool(name, '--bootstrap-server', target().address, ...args)
  return execute(command, words, { withinMs: 90_000, env: { JVM_OPTS: '-XX:TieredStopAtLevel=1' } })
}
async function ok(...args: readonly string[]): Promise<string> {
  const ended = await run(tool, args)
  assert.equal(ended.code, 0, `${args.join(' ')}\n${ended.stdout}${ended.stderr}`)
  return ended.stdout
}
/** Rows of a table by the names in its first line. */
function rows(text: string): Record<string, string>[] {
  const [head, ...rest] = text.split('\n').flatMap((line) => (line.trim() === '' ? [] : [line.trim().split(/\s+/)]))
  return rest.map((words) => Object.fromEntries(head!.map((name, i) => [name, words[i] ?? ''])))
}

/** A producer with a transaction open in one partition. */
async function opened(topic: string, id: string) {
  const [host, port] = target().address.split(':') as [string, string]
  const client = await WireClient.open({ host, port: Number(port) })
  const asked = { name: topic, numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }
  await client.ask(createTopicsApi, 7, { topics: [asked], timeoutMs: 10_000, validateOnly: false })
  const none = { producerId: -1, producerEpoch: -1, enable2Pc: false, keepPreparedTxn: false }
  const init = { transactionalId: id, transactionTimeoutMs: 600_000, ...none }
  const { producerId, producerEpoch } = await client.ask(initProducerIdApi, 5, init)
  const records = encodeBatch([{ key: null, value: Buffer.from(`of ${id}`), timeMs: Date.now() }])
  ownBatch(records, { producerId, producerEpoch, baseSequence: 0, transactional: true })
  const { responses } = await client.ask(produceApi, 12, {
    transactionalId: id,
    acks: -1,
    timeoutMs: 10_000,
    topicData: [{ topicId: nullUuid, name: topic, partitionData: [{ index: 0, records: [records] }] }],
  })
  assert.equal(responses[0]!.partitionResponses[0]!.errorCode, 0)
  const end = async (committed: boolean): Promise<number> =>
    (await client.ask(endTxnApi, 5, { transactionalId: id, producerId, producerEpoch, committed })).errorCode
  return { producerId, producerEpoch, end, client }
}

test('kafka-transactions: list, describe, describe-producers', async () => {
  const [topic, id] = [freshName('topic'), freshName('id')]
  const producer = await opened(topic, id)
  const listed = rows(await ok('list')).find((row) => row['TransactionalId'] === id)
  assert.equal(listed?.['TransactionState'], 'Ongoing')
  assert.equal(listed['ProducerId'], String(producer.producerId))
  assert.equal(rows(await ok('list', '--transactional-id-pattern', `${id}x`)).length, 0)
  const byPattern = rows(await ok('list', '--transactional-id-pattern', `${id.slice(0, -1)}.`))
  assert.deepEqual(
    byPattern.map((row) => row['TransactionalId']),
    [id],
  )
  const [described] = rows(await ok('describe', '--transactional-id', id))
  assert.equal(described?.['TransactionalId'], id)
  assert.equal(described['TransactionState'], 'Ongoing')
  assert.equal(described['TransactionTimeoutMs'], '600000')
  assert.equal(described['TopicPartitions'], `${topic}-0`)
  const [written] = rows(await ok('describe-producers', '--topic', topic, '--partition', '0'))
  assert.equal(written?.['ProducerId'], String(producer.producerId))
  assert.equal(written['CurrentTransactionStartOffset'], '0')
  assert.equal(written['LastSequence'], '0')
  assert.equal(await producer.end(true), 0)
  const [after_] = rows(await ok('describe-producers', '--topic', topic, '--partition', '0'))
  assert.equal(after_?.['CurrentTransactionStartOffset'], 'None')
  producer.client.close()
})
test('kafka-transactions: what is open for long hangs not while its id is known; it is aborted by hand', async () => {
  const [topic, id] = [freshName('topic'), freshName('id')]
  const producer = await opened(topic, id)
  const broker = ['--broker-id', '1', '--max-transaction-timeout', '0']
  assert.deepEqual(rows(await ok('find-hanging', ...broker)), [])
  const consume = ['--topic', topic, '--from-beginning', '--isolation-level', 'read_committed', '--timeout-ms', '3000']
  assert.equal((await run('console-consumer', consume)).stdout.trim(), '')
  await ok('abort', '--topic', topic, '--partition', '0', '--start-offset', '0')
  const [written] = rows(await ok('describe-producers', '--topic', topic, '--partition', '0'))
  assert.equal(written?.['CurrentTransactionStartOffset'], 'None')
  const [described] = rows(await ok('describe', '--transactional-id', id))
  assert.equal(described?.['TransactionState'], 'CompleteAbort')
  assert.equal((await run('console-consumer', consume)).stdout.trim(), '')
  producer.client.close()
  const next = await opened(topic, id)
  assert.equal(await next.end(true), 0)
  const uncommitted = consume.map((word) => (word === 'read_committed' ? 'read_uncommitted' : word))
  assert.equal((await run('console-consumer', [...consume, '--max-messages', '1'])).stdout.trim(), `of ${id}`)
  assert.equal(
    (await run('console-consumer', [...uncommitted, '--max-messages', '2'])).stdout.trim().split('\n').length,
    2,
  )
  next.client.close()
})
test('kafka-transactions: the producer of an id is ended by force', async () => {
  const [topic, id] = [freshName('topic'), freshName('id')]
  const producer = await opened(topic, id)
  await ok('forceTerminateTransaction', '--transactionalId', id)
  assert.equal(await producer.end(true), producerFenced)
  const [described] = rows(await ok('describe', '--transactional-id', id))
  assert.equal(described?.['TransactionState'], 'Empty')
  producer.client.close()
})
