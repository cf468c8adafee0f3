/**
 * Connectors between two Millraces on this machine, one of them the other side by its gateways: records a second from the
 * definition of the connector until all are carried over. What a sink has written a source of the same kind takes back.
 */
import { mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { realWorld } from '../src/lib/real/world.ts'
import { encodeBatch } from '../src/log/batch.ts'
import { openClusterClient } from '../src/log/cluster/client.ts'
import { create, makeTopic, shown } from '../test/interop/connect-helpers.ts'
import { type Millrace, cacheDir, npmFolder, startMillrace } from '../test/interop/setup/index.ts'
import type { Report, RowSpec } from './lib/rows.ts'

const valueBytes = 200
const keyCount = 1_000
const ways = [
  'kafka sink, exactly once',
  'kafka sink, at least once',
  'kafka source',
  'mqtt sink',
  'mqtt source',
  'kinesis sink',
  'kinesis source',
  'pubsub sink',
  'pubsub source',
  'eventhubs sink',
  'eventhubs source',
] as const
type Way = (typeof ways)[number]
const rowOf = (way: Way): string => `${way}, 200 B, 1,000 keys`
export const connectRows: readonly RowSpec[] = ways.map((way) => ({
  row: rowOf(way),
  unit: 'records/s',
  better: 'higher',
  goal: null,
  alone: true,
}))

export async function benchConnect(
  report: Report,
  { quick, runs }: { quick: boolean; runs: number | null },
): Promise<void> {
  for (let run = 0; run < (runs ?? (quick ? 1 : 3)); run++) {
    await using pair = await Pair.start()
    const { there, here } = pair
    const many = quick ? 20_000 : 400_000
    const few = quick ? 2_000 : 40_000
    await fill(here, 'many', many)
    await fill(here, 'few', few)
    const at = (protocol: string): string => there.listen[protocol]!
    const measure = async (way: Way, of: Measured): Promise<void> =>
      report.sample(rowOf(way), 'ours', await carried(here, way, of))

    const kafka = { brokers: there.kafka }
    const exactly = { ...kafka, topics: 'many', into: 'once' }
    await measure('kafka sink, exactly once', { count: many, settings: exactly })
    const least = { ...kafka, topics: 'many', into: 'least', delivery: 'at-least-once' }
    await measure('kafka sink, at least once', { count: many, settings: least })
    await measure('kafka source', { count: many, settings: { ...kafka, topics: 'once', into: 'back' } })

    const broker = { url: `mqtt://${at('mqtt')}` }
    const session = { ...broker, topics: 'bench/#', into: 'from-mqtt' }
    // The session has to be there before anything is published.
    await create(here, 'mqtt-source', { kind: 'mqtt', direction: 'source', settings: session })
    await sleep(1_000)
    await pause(here, 'mqtt-source', true)
    await measure('mqtt sink', { count: few, settings: { ...broker, topics: 'few', into: 'bench/{key}' } })
    await measure('mqtt source', { count: few, made: 'mqtt-source' })

    const key = { 'access.key.id': 'AKID', 'secret.access.key': 'some-secret-or-other' }
    const stream = { region: 'eu-central-1', endpoint: `http://${at('kinesis')}`, ...key, stream: 'kinesis-bench' }
    await makeTopic(there, 'kinesis-bench', 1)
    await measure('kinesis sink', { count: few, settings: { ...stream, topics: 'few' } })
    await measure('kinesis source', { count: few, settings: { ...stream, poll: '100ms', into: 'from-kinesis' } })

    const project = { project: 'p', endpoint: at('pubsub'), plaintext: 'true' }
    await makeTopic(there, 'pubsub-bench', 1)
    await subscribe(at('pubsub'), 'pubsub-bench')
    await measure('pubsub sink', { count: few, settings: { ...project, topics: 'few', into: 'pubsub-bench' } })
    const lease = { ...project, subscription: 'pubsub-bench', into: 'from-pubsub' }
    await measure('pubsub source', { count: few, settings: lease })

    const hub = {
      'connection.string': `Endpoint=sb://${at('eventhubs')};SharedAccessKeyName=key;SharedAccessKey=secret;UseDevelopmentEmulator=true`,
      hub: 'hub-bench',
    }
    await makeTopic(there, 'hub-bench', 1)
    await measure('eventhubs sink', { count: few, settings: { ...hub, topics: 'few' } })
    await measure('eventhubs source', { count: few, settings: { ...hub, into: 'from-hub' } })
  }
}

class Pair implements AsyncDisposable {
  readonly there: Millrace
  readonly here: Millrace
  readonly #folder: string

  private constructor(folder: string, there: Millrace, here: Millrace) {
    this.#folder = folder
    this.there = there
    this.here = here
  }
  static async start(): Promise<Pair> {
    const nodePath = join(await npmFolder('@google-cloud/pubsub@6.3.0'), 'node_modules')
    // Not the system's folder for temporary files: that may be memory.
    const folder = mkdtempSync(join(cacheDir, 'bench-connect-'))
    const protocols = ['mqtt', 'kinesis', 'pubsub', 'eventhubs']
    const args = protocols.flatMap((protocol) => ['--listen', `${protocol}=127.0.0.1:0`])
    const there = await startMillrace({ data: join(folder, 'there'), args })
    const here = await startMillrace({ data: join(folder, 'here'), env: { NODE_PATH: nodePath } })
    return new Pair(folder, there, here)
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.here.stop()
    await this.there.stop()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

interface Measured {
  readonly count: number
  readonly settings?: Readonly<Record<string, string>>
  /** It is there already, and paused. */
  readonly made?: string
}
/** Records a second. */
async function carried(millrace: Millrace, way: Way, { count, settings = {}, made }: Measured): Promise<number> {
  const name = made ?? way.replaceAll(/[ ,]+/g, '-')
  const [kind = '', direction] = way.split(/[ ,]+/)
  const startMs = performance.now()
  if (made === undefined) await create(millrace, name, { kind, direction: direction as 'source' | 'sink', settings })
  else await pause(millrace, name, false)
  for (;;) {
    const { records, fault } = await shown(millrace, name)
    if (records >= count) break
    if (fault !== null) throw new Error(`${way}: ${fault.code}: ${fault.detail}`)
    if (performance.now() - startMs > 300_000) throw new Error(`${way}: ${records} of ${count} within 5 minutes`)
    await sleep(20)
  }
  const tookMs = performance.now() - startMs
  await fetch(`http://${millrace.http}/v1/connectors/${name}`, { method: 'DELETE' })
  return (count * 1_000) / tookMs
}
async function pause(millrace: Millrace, connector: string, paused: boolean): Promise<void> {
  const answer = await fetch(`http://${millrace.http}/v1/connectors/${connector}`, {
    method: 'PATCH',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ paused }),
  })
  if (!answer.ok) throw new Error(await answer.text())
}
async function subscribe(at: string, topic: string): Promise<void> {
  const answer = await fetch(`http://${at}/v1/projects/p/subscriptions/${topic}`, {
    method: 'PUT',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ topic: `projects/p/topics/${topic}`, ackDeadlineSeconds: 60 }),
  })
  if (!answer.ok) throw new Error(await answer.text())
}
async function fill({ kafka }: Millrace, topic: string, count: number): Promise<void> {
  const [host = '', port] = kafka.split(':')
  const client = await openClusterClient({ world: realWorld(), brokers: [{ host, port: Number(port) }] })
  try {
    await client.create([{ name: topic, partitions: 1 }])
    const value = Buffer.alloc(valueBytes, 'v')
    for (let at = 0; at < count; at += 1_000) {
      const records = Array.from({ length: Math.min(1_000, count - at) }, (_, i) => ({
        key: Buffer.from(`k${(at + i) % keyCount}`),
        value,
        timeMs: 1_700_000_000_000 + at + i,
      }))
      const [done] = await client.writer().append([{ partition: { topic, index: 0 }, batch: encodeBatch(records) }])
      if (done !== undefined && 'fault' in done) throw done.fault
    }
  } finally {
    await client.close()
  }
}
