/**
 * MirrorMaker 2, exactly once, to Millrace: records, partitions and settings of topics, and the positions of groups
 * translated to the other side's offsets. It is killed in the middle, and so is what it writes to.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Admin, Kafka, logLevel } from 'kafkajs'
import { JavaProgram, type Restartable, apacheKafka, restartableMillrace, until } from './kafka/connect.ts'
import { execute } from './kafka/target.ts'
import { freePortRow, need } from './setup/index.ts'

const skip = process.env['MILLRACE_QUICK'] === '1' ? 'minutes long: only in the full form' : false
const topics = [
  { topic: 'orders', partitions: 3, config: { 'retention.ms': '123456789', 'max.message.bytes': '2000000' } },
  { topic: 'states', partitions: 1, config: { 'cleanup.policy': 'compact' } },
]
const partitionsOf = (count: number): number[] => Array.from({ length: count }, (_, i) => i)
const mirrored = (topic: string): string => `source.${topic}`

for (const from of ['Millrace', 'Apache Kafka'])
  test(
    `MirrorMaker 2 from ${from} to Millrace, exactly once, kill -9 of both`,
    { skip, timeout: 570_000 },
    async (t) => {
      const { kcat } = await need('kcat')
      const folder = mkdtempSync(join(tmpdir(), 'mirror-'))
      const port = await freePortRow(3)
      const at = join(folder, 'source')
      const source = await (from === 'Millrace' ? restartableMillrace(at, port) : apacheKafka(at))
      const target = await restartableMillrace(join(folder, 'target'), port + 1)
      const admins = { source: adminOf(source), target: adminOf(target) }
      const start = (): Promise<JavaProgram> =>
        JavaProgram.start('org.apache.kafka.connect.mirror.MirrorMaker', join(folder, 'mirror.properties'), {
          ...settings(source, target),
          listeners: `http://127.0.0.1:${port + 2}`,
        })
      let mirror = await start()
      const told = (): string => mirror.log()
      const read = async ({ address }: Restartable, topic: string, partition: number): Promise<Read[]> => {
        const words = ['-b', address, '-C', '-q', '-e', '-t', topic, '-p', String(partition)]
        const { code, stdout, stderr } = await execute(kcat, [...words, '-f', '%o %T %k %h %s\n'])
        assert.equal(code, 0, stderr)
        return stdout.split('\n').slice(0, -1).map(readOf)
      }
      const count = async (server: Restartable): Promise<number> => {
        const all = topics.flatMap(({ topic, partitions }) =>
          partitionsOf(partitions).map((i) => read(server, server === source ? topic : mirrored(topic), i)),
        )
        return (await Promise.all(all)).flat().length
      }
      let written = 0
      const write = async (records: number): Promise<void> => {
        for (const { topic } of topics) {
          const lines = Array.from({ length: records }, (_, i) => `key ${i}|value ${written + i} ${'x'.repeat(100)}\n`)
          const words = ['-b', source.address, '-P', '-t', topic, '-K', '|', '-H', `chunk=${written}`, '-z', 'lz4']
          const { code, stderr } = await execute(kcat, words, { input: lines.join('') })
          assert.equal(code, 0, stderr)
        }
        written += records
      }
      const goesOn = async (): Promise<void> => {
        const before = await count(target).catch(() => 0)
        await write(2_000)
        await until(
          'the mirror goes on',
          240_000,
          async () => ((await count(target)) > before ? true : undefined),
          told,
        )
      }
      try {
        await admins.source.connect()
        for (const { topic, partitions: numPartitions, config } of topics) {
          const configEntries = Object.entries(config).map(([name, value]) => ({ name, value }))
          await admins.source.createTopics({
            waitForLeaders: false,
            topics: [{ topic, numPartitions, replicationFactor: 1, configEntries }],
          })
        }
        await goesOn()
        for (const kill of ['mirror', 'target', 'mirror'] as const) {
          await write(5_000)
          await sleep(500)
          if (kill === 'target') await target.again()
          else {
            await mirror.kill()
            mirror = await start()
          }
          await goesOn()
        }
        const all = 2 * written
        assert.equal(await count(source), all)
        await until('all is mirrored', 240_000, async () => ((await count(target)) >= all ? true : undefined), told)

        await admins.target.connect()
        for (const { topic, partitions, config } of topics) {
          for (const i of partitionsOf(partitions)) {
            const [there, here] = [await read(source, topic, i), await read(target, mirrored(topic), i)]
            assert.ok(there.length > 0)
            assert.deepEqual(
              here.map(({ record }) => record),
              there.map(({ record }) => record),
              `${topic}-${i}`,
            )
          }
          const { resources } = await admins.target.describeConfigs({
            includeSynonyms: false,
            resources: [{ type: 2, name: mirrored(topic), configNames: Object.keys(config) }],
          })
          const set = resources[0]!.configEntries.map(({ configName, configValue }) => [configName, configValue])
          assert.deepEqual(Object.fromEntries(set), config)
        }

        const { topic, partitions } = topics[0]!
        const there = await Promise.all(partitionsOf(partitions).map((i) => read(source, topic, i)))
        const here = await Promise.all(partitionsOf(partitions).map((i) => read(target, mirrored(topic), i)))
        const groups = { 'in-the-middle': 0.6, 'at-the-end': 1 }
        for (const [groupId, share] of Object.entries(groups)) {
          const offsets = there.map((records, partition) => {
            const offset =
              share === 1 ? records.at(-1)!.offset + 1 : records[Math.floor(records.length * share)]!.offset
            return { partition, offset: String(offset) }
          })
          await admins.source.setOffsets({ groupId, topic, partitions: offsets })
          const translated = await until(
            `group ${groupId} is translated`,
            120_000,
            async () => {
              const found = await admins.target.fetchOffsets({ groupId, topics: [mirrored(topic)] })
              const of = found[0]!.partitions.map(({ partition, offset }) => ({ partition, offset: Number(offset) }))
              const isThere = of.length === partitions && of.every(({ offset }) => offset > 0)
              const isEnd = of.every(({ partition, offset }) => here[partition]!.every((one) => one.offset < offset))
              return isThere && (share < 1 || isEnd) ? of : undefined
            },
            told,
          )
          let again = 0
          for (const { partition, offset } of translated) {
            const done = there[partition]!.filter((one) => one.offset < Number(offsets[partition]!.offset)).length
            const left = here[partition]!.filter((one) => one.offset >= offset).length
            const more = left - (there[partition]!.length - done)
            assert.ok(more >= 0, `${groupId} would miss ${-more} records of ${partition}`)
            again += more
          }
          t.diagnostic(`group ${groupId} goes on, with ${again} records again`)
          const words = ['-b', target.address, '-q', '-e', '-X', 'auto.offset.reset=error', '-f', '%p %s\n']
          const { code, stdout, stderr } = await execute(kcat, [...words, '-G', groupId, mirrored(topic)])
          assert.equal(code, 0, stderr)
          const left = translated.map(({ partition, offset }) => here[partition]!.filter((one) => one.offset >= offset))
          assert.equal(stdout.split('\n').length - 1, left.flat().length)
        }
      } finally {
        await mirror.kill()
        await Promise.all([admins.source.disconnect(), admins.target.disconnect()])
        await Promise.all([source.stop(), target.stop()])
        rmSync(folder, { recursive: true, force: true })
      }
    },
  )

interface Read {
  readonly offset: number
  /** All of it but its offset, which the other side need not have. */
  readonly record: string
}
function readOf(line: string): Read {
  const blank = line.indexOf(' ')
  return { offset: Number(line.slice(0, blank)), record: line.slice(blank + 1) }
}
const adminOf = ({ address }: Restartable): Admin =>
  new Kafka({ clientId: 'test', brokers: [address], logLevel: logLevel.NOTHING }).admin()

function settings(source: Restartable, target: Restartable): Record<string, string | number | boolean> {
  const replicated = ['checkpoints.topic', 'heartbeats.topic', 'offset-syncs.topic', 'offset.storage', 'status.storage']
  return {
    clusters: 'source,target',
    'source.bootstrap.servers': source.address,
    'target.bootstrap.servers': target.address,
    'source->target.enabled': true,
    'source->target.topics': topics.map(({ topic }) => topic).join(','),
    'source->target.sync.group.offsets.enabled': true,
    'target->source.enabled': false,
    'target->source.emit.heartbeats.enabled': false,
    'target.exactly.once.source.support': 'enabled',
    'source.consumer.isolation.level': 'read_committed',
    'dedicated.mode.enable.internal.rest': true,
    'tasks.max': 2,
    'replication.factor': 1,
    'config.storage.replication.factor': 1,
    ...Object.fromEntries(replicated.map((name) => [`${name}.replication.factor`, 1])),
    // All of it as soon as it can be: by itself it looks every ten minutes for topics, every minute for groups.
    'refresh.topics.interval.seconds': 2,
    'refresh.groups.interval.seconds': 2,
    'sync.topic.configs.interval.seconds': 2,
    'emit.checkpoints.interval.seconds': 1,
    'sync.group.offsets.interval.seconds': 1,
    'offset.lag.max': 0,
    // One that was killed is missed sooner, and its tasks are not kept for it.
    'target.session.timeout.ms': 6_000,
    'target.heartbeat.interval.ms': 1_000,
    'target.scheduled.rebalance.max.delay.ms': 0,
  }
}
