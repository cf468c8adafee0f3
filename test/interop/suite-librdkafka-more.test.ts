/** librdkafka's regression tests once more: with the consumer protocol, without topics made on demand, and those of ACLs. */
import assert from 'node:assert/strict'
import { createAclsApi } from '../../src/wire/kafka/messages/30-create-acls.ts'
import { WireClient } from '../gateway/kafka/wire-client.ts'
import { asTheirs, ofAcls, testLibrdkafka } from './kafka/librdkafka.ts'
import type { Millrace } from './setup/index.ts'

testLibrdkafka({
  title: 'groups of the consumer protocol (KIP-848)',
  scenario: 'default',
  groups: 'consumer',
  start: asTheirs,
  chosen: (suite) => suite.numbers('default').filter((number) => suite.usesGroup(number) && !ofAcls.includes(number)),
})
testLibrdkafka({
  title: 'topics are not made when they are asked for',
  scenario: 'noautocreate',
  groups: 'classic',
  start: [...asTheirs, '--kafka-auto-create', 'off'],
  chosen: (suite) => suite.numbers('noautocreate'),
})
for (const groups of ['classic', 'consumer'] as const)
  testLibrdkafka({
    title: `ACLs, groups of the ${groups} protocol`,
    scenario: 'default',
    groups,
    start: ['--kafka-partitions', '4'],
    // One of them is about producers alone.
    chosen: () => (groups === 'classic' ? ofAcls : ofAcls.filter((number) => number !== '0115')),
    prepare: everybodyMay,
  })

/**
 * Their clusters have an authorizer that lets everybody do what no ACL forbids. Here ACLs are looked at as soon as there is
 * a user, and nobody may do what none allows; before that, anybody may write them down.
 */
async function everybodyMay({ kafka, http }: Millrace): Promise<void> {
  const [host, port] = kafka.split(':') as [string, string]
  const client = await WireClient.open({ host, port: Number(port) })
  const [topic, group, cluster, transactionalId, all, allow] = [2, 3, 4, 5, 2, 3]
  const acl = { principal: 'User:*', host: '*', operation: all, permissionType: allow }
  const creations = [topic, group, cluster, transactionalId].map((resourceType) => ({
    ...acl,
    resourceType,
    resourceName: resourceType === cluster ? 'kafka-cluster' : '*',
  }))
  const { results } = await client.ask(createAclsApi, 3, { creations })
  client.close()
  for (const { errorCode, errorMessage } of results) assert.equal(errorCode, 0, errorMessage ?? '')
  const body = JSON.stringify({ password: 'root-secret', super: true })
  const asked = { method: 'PUT', headers: { 'content-type': 'application/json' }, body }
  assert.equal((await fetch(`http://${http}/v1/users/root`, asked)).status, 201)
}
