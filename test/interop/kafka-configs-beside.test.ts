/**
 * Settings of topics, brokers, groups and client metrics beside those of Apache Kafka 4.3.1: names, types, whether they can
 * be changed, synonyms. Every setting that Kafka lets be changed is honoured or refused here, never ignored.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import type { AnyShape, Api, Decoded, Encoded } from '../../src/wire/kafka/codec/shape.ts'
import { createTopicsApi } from '../../src/wire/kafka/messages/19-create-topics.ts'
import { describeConfigsApi } from '../../src/wire/kafka/messages/32-describe-configs.ts'
import { incrementalAlterConfigsApi } from '../../src/wire/kafka/messages/44-incremental-alter-configs.ts'
import { WireClient } from '../gateway/kafka/wire-client.ts'
import { execute } from './kafka/target.ts'
import { type KafkaBroker, type Millrace, kafkaTool, startKafka, startMillrace } from './setup/index.ts'

type Config = Decoded<typeof describeConfigsApi.response>['results'][number]['configs'][number]
const folder = mkdtempSync(join(tmpdir(), 'kafka-configs-'))
let kafka: KafkaBroker | null = null
let millrace: Millrace | null = null
before(async () => {
  kafka = await startKafka(join(folder, 'kafka'))
  millrace = await startMillrace()
  const asked = { name: 't', numPartitions: 1, replicationFactor: 1, assignments: [], configs: [] }
  for (const address of [kafka.address, millrace.kafka])
    await ask(address, createTopicsApi, 7, { topics: [asked], timeoutMs: 10_000, validateOnly: false })
})
after(async () => {
  await millrace?.stop()
  await kafka?.stop()
  rmSync(folder, { recursive: true, force: true })
})
async function ask<Q extends AnyShape, A extends AnyShape>(
  address: string,
  api: Api<Q, A>,
  version: number,
  request: Encoded<Q>,
): Promise<Decoded<A>> {
  const [host, port] = address.split(':') as [string, string]
  const client = await WireClient.open({ host, port: Number(port) })
  try {
    return await client.ask(api, version, request)
  } finally {
    client.close()
  }
}
async function describe(address: string, resourceType: number, resourceName: string): Promise<Map<string, Config>> {
  const request = {
    resources: [{ resourceType, resourceName, configurationKeys: null }],
    includeSynonyms: true,
    includeDocumentation: true,
  }
  const { results } = await ask(address, describeConfigsApi, 4, request)
  assert.equal(results[0]!.errorCode, 0, results[0]!.errorMessage ?? '')
  return new Map(results[0]!.configs.map((config) => [config.name, config]))
}
async function both(
  resourceType: number,
  name: string,
): Promise<[theirs: Map<string, Config>, ours: Map<string, Config>]> {
  return [await describe(kafka!.address, resourceType, name), await describe(millrace!.kafka, resourceType, name)]
}
async function set(resourceType: number, resourceName: string, name: string, value: string | null): Promise<number> {
  const configs = [{ name, value, configOperation: value === null ? 1 : 0 }]
  const request = { resources: [{ resourceType, resourceName, configs }], validateOnly: false }
  return (await ask(millrace!.kafka, incrementalAlterConfigsApi, 1, request)).responses[0]!.errorCode
}
const shape = ({ configType, isSensitive, readOnly }: Config) => ({ configType, isSensitive, readOnly })

test("topics: every setting of Kafka is there, of its type and with its synonyms; three more are Millrace's own", async () => {
  const [theirs, ours] = await both(2, 't')
  assert.ok(theirs.size > 30)
  const own = [...ours.keys()].filter((name) => !theirs.has(name))
  assert.deepEqual(own, ['ack.before.sync', 'closed.partitions', 'deliver.to', 'record.ttl.enable'])
  for (const [name, config] of theirs) {
    const mine = ours.get(name) ?? assert.fail(`${name} is not there`)
    assert.deepEqual(shape(mine), shape(config), name)
    assert.ok((mine.documentation ?? '').length > 20, name)
    const defaults = (list: Config): string[] =>
      list.synonyms.filter(({ source }) => source === 5).map((one) => one.name)
    assert.deepEqual(defaults(mine), defaults(config), name)
  }
})
test('topics: a value that Kafka takes is honoured or refused, and what is honoured is shown', async () => {
  const [theirs] = await both(2, 't')
  for (const [name, { value, configType }] of theirs) {
    // The default of Kafka, and another value of the type.
    const others: Record<number, string[]> = { 1: ['true', 'false'], 3: ['7', '2000000'], 5: ['7'], 6: ['0.25'], 7: [] }
    for (const wanted of [value ?? '', ...(others[configType] ?? [])]) {
      if (wanted === '') continue
      const code = await set(2, 't', name, wanted)
      assert.ok(code === 0 || code === 40, `${name}=${wanted}: ${code}`)
      const shown = (await describe(millrace!.kafka, 2, 't')).get(name)!
      if (code === 0) assert.equal(shown.value, wanted, name)
      assert.equal(await set(2, 't', name, null), 0)
    }
  }
})
test('brokers: each setting that Kafka changes while it runs can be changed here, or is refused', async () => {
  const [theirs, ours] = await both(4, '1')
  const dynamic = [...theirs.values()].filter(({ readOnly }) => !readOnly)
  assert.ok(dynamic.length > 90, String(dynamic.length))
  let honoured = 0
  for (const { name, value, configType, isSensitive } of dynamic) {
    const mine = ours.get(name)
    if (mine === undefined) {
      assert.equal(await set(4, '', name, value ?? '1'), 40, name)
      assert.equal(await set(4, '1', name, value ?? '1'), 40, name)
      continue
    }
    honoured++
    assert.deepEqual(shape(mine), { configType, isSensitive, readOnly: false }, name)
    assert.equal(await set(4, '', name, mine.value), 0, name)
    assert.deepEqual(
      (await describe(millrace!.kafka, 4, '1')).get(name)!.synonyms.map(({ source }) => source),
      [3, 5],
      name,
    )
    assert.equal(await set(4, '', name, null), 0)
  }
  assert.ok(honoured >= 27, String(honoured))
  for (const [name, { readOnly }] of ours) if (!readOnly) assert.equal(theirs.get(name)?.readOnly, false, name)
  for (const name of ['num.partitions', 'broker.id', 'nonsense']) assert.equal(await set(4, '', name, '2'), 40)
})
test('groups and client metrics', async () => {
  const [group, ourGroup] = await both(32, 'g')
  for (const [name, config] of group) {
    const mine = ourGroup.get(name)
    if (name.startsWith('streams.'))
      assert.equal(await set(32, 'g', name, config.value), 40, 'there are no streams groups')
    else assert.deepEqual(shape(mine ?? assert.fail(name)), shape(config), name)
  }
  const [metrics, ourMetrics] = await both(16, 'm')
  assert.deepEqual([...ourMetrics.keys()].toSorted(), [...metrics.keys()].toSorted())
  for (const [name, config] of metrics) {
    assert.deepEqual(shape(ourMetrics.get(name)!), shape(config), name)
    assert.equal(ourMetrics.get(name)!.value, config.value, name)
  }
})
test('kafka-configs changes what topics have that do not say otherwise', async () => {
  const tool = async (...args: string[]): Promise<string> => {
    const [command, words] = await kafkaTool('configs', '--bootstrap-server', millrace!.kafka, ...args)
    const ended = await execute(command, words, { withinMs: 60_000, env: { JVM_OPTS: '-XX:TieredStopAtLevel=1' } })
    assert.equal(ended.code, 0, ended.stdout + ended.stderr)
    return ended.stdout
  }
  const all = ['--entity-type', 'brokers', '--entity-default']
  await tool('--alter', ...all, '--add-config', 'log.segment.bytes=2000000')
  assert.match(await tool('--describe', ...all), /log\.segment\.bytes=2000000 sensitive=false/)
  assert.match(
    await tool('--describe', '--all', '--entity-type', 'topics', '--entity-name', 't'),
    /^ +segment\.bytes=2000000 .*\{DYNAMIC_DEFAULT_BROKER_CONFIG:log\.segment\.bytes=2000000, DEFAULT_CONFIG:log\.segment\.bytes=/m,
  )
  await tool('--alter', ...all, '--delete-config', 'log.segment.bytes')
  assert.doesNotMatch(await tool('--describe', ...all), /log\.segment\.bytes/)
})
