/** What people read: messages of refusals, and the program's log, say what is the matter. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { offset } from '../../../src/lib/brand.ts'
import { incrementalAlterConfigsApi } from '../../../src/wire/kafka/messages/44-incremental-alter-configs.ts'
import { describeConfigsApi } from '../../../src/wire/kafka/messages/32-describe-configs.ts'
import { consumerGroupDescribeApi } from '../../../src/wire/kafka/messages/69-consumer-group-describe.ts'
import { shareGroupDescribeApi } from '../../../src/wire/kafka/messages/77-share-group-describe.ts'
import { startGateway, until } from './local-gateway.ts'
import { WireClient } from './wire-client.ts'

const address = (text: string) => ({ host: text.split(':')[0]!, port: Number(text.split(':')[1]) })

test('a group that is not there is told apart from one of another kind', async (t) => {
  await using gateway = await startGateway()
  await gateway.log.topics.create([{ name: 'orders', partitions: 1 }])
  const partition = { topic: 'orders', index: 0 }
  const [fault] = await gateway.log.coordinator.commit({
    group: 'classic',
    generation: -1,
    memberId: '',
    instanceId: null,
    offsets: [{ partition, offset: offset(0), leaderEpoch: -1, metadata: null }],
  })
  assert.equal(fault, null)
  const client = await WireClient.open(address(gateway.address))
  t.after(() => client.close())
  const asked = { groupIds: ['nope', 'classic'], includeAuthorizedOperations: false }
  const words = ({ groups }: { readonly groups: readonly { errorCode: number; errorMessage: string | null }[] }) =>
    groups.map(({ errorCode, errorMessage }) => `${errorCode} ${errorMessage}`)
  assert.deepEqual(words(await client.ask(consumerGroupDescribeApi, 1, asked)), [
    '69 Group nope not found.',
    '69 Group classic is not a consumer group.',
  ])
  assert.deepEqual(words(await client.ask(shareGroupDescribeApi, 1, asked)), [
    '69 Group nope not found.',
    '69 Group classic is not a share group.',
  ])
})

test('loggers of a broker have no levels, and the refusal says so', async (t) => {
  await using gateway = await startGateway()
  const client = await WireClient.open(address(gateway.address))
  t.after(() => client.close())
  const logger = { resourceType: 8, resourceName: '1' }
  const configs = [{ name: 'root', configOperation: 0, value: 'DEBUG' }]
  const altered = await client.ask(incrementalAlterConfigsApi, 1, {
    resources: [{ ...logger, configs }],
    validateOnly: false,
  })
  assert.match(altered.responses[0]!.errorMessage!, /^loggers have no levels here/)
  const described = await client.ask(describeConfigsApi, 4, {
    resources: [{ ...logger, configurationKeys: null }],
    includeSynonyms: false,
    includeDocumentation: false,
  })
  assert.match(described.results[0]!.errorMessage!, /^loggers have no levels here/)
})

test('a connection that is refused names the limit in the log', async (t) => {
  await using gateway = await startGateway()
  await gateway.log.brokerConfigs.alter('', { 'max.connections.per.ip': '1' })
  const client = await WireClient.open(address(gateway.address))
  t.after(() => client.close())
  const second = await WireClient.open(address(gateway.address))
  t.after(() => second.close())
  await until('the complaint', () => gateway.complaints.length > 0)
  assert.match(gateway.complaints[0]!, /^kafka: connection refused .*"why":"max\.connections\.per\.ip is 1"/)
})
