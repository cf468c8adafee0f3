/**
 * 1,000 idle tasks write nothing: views over topics that nothing comes to, members of groups that go on saying that they
 * live, producers with open connections, share consumers that wait. Not a byte goes to the disk, and no file in the data
 * folder changes, for longer than any of the process' own rounds takes.
 */
import { globSync, readFileSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fetchApi } from '../../../src/wire/kafka/messages/01-fetch.ts'
import { initProducerIdApi } from '../../../src/wire/kafka/messages/22-init-producer-id.ts'
import { consumerGroupHeartbeatApi } from '../../../src/wire/kafka/messages/68-consumer-group-heartbeat.ts'
import { shareGroupHeartbeatApi } from '../../../src/wire/kafka/messages/76-share-group-heartbeat.ts'
import { WireClient } from '../../gateway/kafka/wire-client.ts'
import { type Context, type FaultCase, type Outcome, startFirst } from '../case.ts'
import { sql } from '../flow-output.ts'
import { batchOf, recordId } from '../records.ts'
import { createTopic, produce, Wire } from '../wire.ts'

export const idle: FaultCase = { name: 'idle', says: '1,000 idle tasks write nothing', run: idleTasks }

const countsOf = (quick: boolean) =>
  quick
    ? { views: 100, members: 300, sharers: 200, producers: 400 }
    : { views: 400, members: 200, sharers: 200, producers: 200 }
/** Retention looks every ten seconds. */
const idleMsOf = (quick: boolean): number => (quick ? 12_000 : 120_000)
const beatEveryMs = 3_000
/** A group is even after some rounds of heartbeats: nothing is written for so long, and then no more. */
const quietMs = 3 * beatEveryMs
const settleWithinMs = 60_000
const topic = 'nothing'

async function idleTasks(context: Context): Promise<Outcome> {
  const { quick, folder, note } = context
  const counts = countsOf(quick)
  await using product = await startFirst({ data: folder })
  const [host, port] = product.kafka.split(':') as [string, string]
  const clients: WireClient[] = []
  const open = async (): Promise<WireClient> => {
    const client = await WireClient.open({ host, port: Number(port) })
    clients.push(client)
    return client
  }
  try {
    const wire = await Wire.open(product.kafka)
    await createTopic(wire, topic, 3)
    // Something has been there, so that each has a position behind it.
    for (let partition = 0; partition < 3; partition++)
      await produce(wire, { topic, partition }, batchOf(recordId(1, partition), 1, null), -1)
    const views = Array.from(
      { length: counts.views },
      (_, i) => `CREATE MATERIALIZED VIEW idle_${i} AS SELECT k, count(*) AS c FROM nothing_to_see GROUP BY k;`,
    )
    await sql(product, `CREATE STREAM nothing_to_see (k text, n int) WITH (topic = 'nothing_to_see', format = 'json');`)
    for (const view of views) await sql(product, view)
    for (let i = 0; i < counts.producers; i++) await producerOf(await open())
    const beats = await Promise.all([
      ...Array.from({ length: counts.members }, async (_, i) => memberOf(await open(), i)),
      ...Array.from({ length: counts.sharers }, async (_, i) => sharerOf(await open(), i)),
    ])
    note(`${counts.views} views, ${beats.length} members, ${counts.producers} producers`)
    const beating = new AbortController()
    let unheard: unknown = null
    const live = (async () => {
      while (!beating.signal.aborted) {
        for (const beat of beats) await beat()
        await sleep(beatEveryMs, null, { signal: beating.signal }).catch(() => {})
      }
    })().catch((error: unknown) => (unheard = error))
    try {
      const settledMs = await settled(product.pid, folder)
      const before = snapshot(product.pid, folder)
      // A reader that waits for what does not come.
      await wait(await open(), idleMsOf(quick))
      const after = snapshot(product.pid, folder)
      const changed = [...after.files].filter(([file, state]) => before.files.get(file) !== state).map(([file]) => file)
      const written = after.writtenBytes - before.writtenBytes
      const problems: string[] = []
      if (written > 0) problems.push(`${written} bytes were written`)
      if (changed.length > 0) problems.push(`${changed.length} files changed, as ${changed.slice(0, 3).join(', ')}`)
      if (clients.some((client) => client.isClosed)) problems.push('an idle client was let go')
      if (unheard !== null) problems.push(`a member that goes on was not heard: ${String(unheard)}`)
      // What is written shows here.
      await produce(wire, { topic, partition: 0 }, batchOf(recordId(2, 0), 1, null), -1)
      if (snapshot(product.pid, folder).writtenBytes === after.writtenBytes)
        problems.push('a record that was written did not show: nothing was tested')
      return {
        problems,
        figures: {
          ...counts,
          'idle s': idleMsOf(quick) / 1_000,
          'bytes written': written,
          'files changed': changed.length,
          'settled after ms': Math.round(settledMs),
        },
      }
    } finally {
      beating.abort()
      await live
      wire.close()
    }
  } finally {
    for (const client of clients) client.close()
  }
}

interface Snapshot {
  readonly writtenBytes: number
  readonly files: ReadonlyMap<string, string>
}
/** What the process gave to disks so far (the kernel counts pages that it makes dirty), and all that lies in its folder. */
function snapshot(pid: number, folder: string): Snapshot {
  const writtenBytes = Number(/^write_bytes: (\d+)$/m.exec(readFileSync(`/proc/${pid}/io`, 'utf8'))![1])
  const files = globSync('**/*', { cwd: folder }).map((file) => {
    const { size, mtimeMs } = statSync(join(folder, file))
    return [file, `${size} bytes at ${mtimeMs}`] as const
  })
  return { writtenBytes, files: new Map(files) }
}
/** What has been asked for is written down; some of it a while later. */
async function settled(pid: number, folder: string): Promise<number> {
  const start = performance.now()
  let quietSince = start
  let before = snapshot(pid, folder).writtenBytes
  while (performance.now() - quietSince < quietMs) {
    await sleep(250)
    const now = snapshot(pid, folder).writtenBytes
    if (now !== before) quietSince = performance.now()
    before = now
    if (performance.now() - start > settleWithinMs)
      throw new Error(`bytes are still being written ${settleWithinMs} ms after everybody went quiet`)
  }
  return quietSince - start
}

type Beat = () => Promise<void>
async function memberOf(client: WireClient, i: number): Promise<Beat> {
  let epoch = 0
  /** What it was told to have and has not said yet that it has: who does not say so is let go after its rebalance timeout. */
  let unsaid: unknown = null
  const beat = async (): Promise<void> => {
    const { errorCode, memberEpoch, assignment } = await client.ask(consumerGroupHeartbeatApi, 0, {
      // Ten members a group.
      groupId: `idle-${Math.floor(i / 10)}`,
      memberId: `member-${i}`,
      memberEpoch: epoch,
      ...(epoch === 0
        ? { rebalanceTimeoutMs: 60_000, subscribedTopicNames: [topic], topicPartitions: [] }
        : { rebalanceTimeoutMs: -1, subscribedTopicNames: null, topicPartitions: unsaid }),
      instanceId: null,
      rackId: null,
      serverAssignor: null,
    } as never)
    unsaid = assignment?.topicPartitions ?? null
    if (errorCode !== 0) throw new Error(`member ${i}: error ${errorCode}`)
    epoch = memberEpoch
  }
  await beat()
  return beat
}
async function sharerOf(client: WireClient, i: number): Promise<Beat> {
  let epoch = 0
  const beat = async (): Promise<void> => {
    const { errorCode, memberEpoch } = await client.ask(shareGroupHeartbeatApi, 1, {
      groupId: `idle-share-${Math.floor(i / 10)}`,
      memberId: `sharer-${i}`,
      memberEpoch: epoch,
      subscribedTopicNames: epoch === 0 ? [topic] : null,
    } as never)
    if (errorCode !== 0) throw new Error(`sharer ${i}: error ${errorCode}`)
    epoch = memberEpoch
  }
  await beat()
  return beat
}
async function producerOf(client: WireClient): Promise<void> {
  const none = { producerId: -1, producerEpoch: -1, enable2Pc: false, keepPreparedTxn: false }
  const asked = { transactionalId: null, transactionTimeoutMs: 60_000, ...none }
  const { errorCode } = await client.ask(initProducerIdApi, 5, asked)
  if (errorCode !== 0) throw new Error(`a producer: error ${errorCode}`)
}
async function wait(client: WireClient, maxWaitMs: number): Promise<void> {
  const partition = {
    partition: 0,
    fetchOffset: 1,
    currentLeaderEpoch: -1,
    lastFetchedEpoch: -1,
    logStartOffset: -1,
    partitionMaxBytes: 1024 * 1024,
  }
  const until = performance.now() + maxWaitMs
  while (performance.now() < until)
    await client.ask(fetchApi, 11, {
      replicaId: -1,
      maxWaitMs: Math.max(1, Math.min(30_000, Math.ceil(until - performance.now()))),
      minBytes: 1,
      maxBytes: 1024 * 1024,
      isolationLevel: 0,
      sessionId: 0,
      sessionEpoch: -1,
      topics: [{ topic, partitions: [partition] }],
      forgottenTopicsData: [],
      rackId: '',
    } as never)
}
