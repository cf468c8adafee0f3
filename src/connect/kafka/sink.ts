/**
 * Topics of ours into another cluster. Exactly once: records and the position behind them go into one transaction of that
 * side, and a start believes what it finds there. Its transactional id fences whoever wrote before; an outcome that is not
 * plainly "committed" ends the attempt, and the next one looks again.
 */
import { type Offset, offset as asOffset } from '../../lib/brand.ts'
import { Fault } from '../../lib/fault.ts'
import { keyPartition } from '../../lib/murmur2.ts'
import { type RecordInput, Unread, encodeBatch } from '../../log/batch.ts'
import type { ClusterClient } from '../../log/cluster/client.ts'
import type { Read } from '../../log/group-task.ts'
import type { At, Batch, Owner, Partition } from '../../log/log.ts'
import { batchOverheadBytes, recordBytes } from '../../log/producer.ts'
import { limits } from '../../lib/limits.ts'
import type { Refused, Sink, SinkHost } from '../kind.ts'
import type { Settings } from '../settings.ts'
import { intoTopic } from '../topic-names.ts'
import { openCluster } from './cluster.ts'

type Entry = { readonly partition: Partition; readonly batch: Batch }

export async function openSink(host: SinkHost, settings: Settings): Promise<Sink> {
  const client = await openCluster(host, settings)
  try {
    if (settings.text('delivery') !== 'exactly-once') return new KafkaSink(host, settings, client)
    const topic = settings.text('positions.topic')!
    if ((await client.topics([topic])).length === 0)
      await create(client, { name: topic, partitions: 1, config: { 'cleanup.policy': 'compact' } })
    const owner = await client.owner(`millrace.connect.${host.id}`)
    return new TransactionalSink(host, settings, client, { owner, partition: { topic, index: 0 } })
  } catch (error) {
    await client.close()
    throw error
  }
}

class KafkaSink implements Sink {
  protected readonly host: SinkHost
  protected readonly client: ClusterClient
  readonly #settings: Settings
  readonly #keeps: boolean
  /** Topic here → what it is there. */
  readonly #targets = new Map<string, { readonly name: string; readonly partitions: number }>()
  #turn = 0

  constructor(host: SinkHost, settings: Settings, client: ClusterClient) {
    this.host = host
    this.client = client
    this.#settings = settings
    this.#keeps = settings.text('partitions') === 'keep'
  }
  close(): Promise<void> {
    return this.client.close()
  }
  async write(read: readonly Read[], _next: readonly At[]): Promise<readonly Refused[]> {
    const appended = await this.client.writer().append(await this.entries(read))
    for (const one of appended) if ('fault' in one) throw one.fault
    return []
  }

  /** As batches for their partitions there, in order. */
  protected async entries(read: readonly Read[]): Promise<Entry[]> {
    const open = new Map<string, { partition: Partition; records: RecordInput[]; bytes: number }>()
    const all: { partition: Partition; records: RecordInput[] }[] = []
    this.#turn++
    for (const { partition: from, record } of read) {
      const partition = await this.#placeOf(from, record.key)
      const id = `${partition.index}/${partition.topic}`
      const bytes = recordBytes(record)
      let run = open.get(id)
      if (run === undefined || run.bytes + bytes > limits.batchBytes) {
        open.set(id, (run = { partition, records: [], bytes: batchOverheadBytes }))
        all.push(run)
      }
      run.records.push(record)
      run.bytes += bytes
    }
    return all.map(({ partition, records }) => ({ partition, batch: encodeBatch(records) }))
  }
  async #placeOf(from: Partition, key: Uint8Array | null): Promise<Partition> {
    let target = this.#targets.get(from.topic)
    if (target === undefined || (this.#keeps && from.index >= target.partitions)) {
      target = await this.#target(from.topic)
      this.#targets.set(from.topic, target)
    }
    const { name: topic, partitions } = target
    if (!this.#keeps) return { topic, index: key === null ? this.#turn % partitions : keyPartition(key, partitions) }
    if (from.index < partitions) return { topic, index: from.index }
    throw new Fault('log.unknown-partition', { topic: `${topic} of the other cluster`, partition: from.index })
  }
  async #target(topic: string): Promise<{ name: string; partitions: number }> {
    const name = intoTopic(this.#settings, topic)
    const find = async () => (await this.client.topics([name]))[0]
    const known = await find()
    if (known !== undefined) return known
    await create(this.client, { name, partitions: (await this.host.partitionsOf(topic)) ?? 1 })
    const made = await find()
    if (made === undefined) throw new Fault('log.unknown-topic', { topic: `${name} of the other cluster` })
    return made
  }
}

class TransactionalSink extends KafkaSink {
  readonly #owner: Owner
  readonly #positions: Partition

  constructor(
    host: SinkHost,
    settings: Settings,
    client: ClusterClient,
    of: { readonly owner: Owner; readonly partition: Partition },
  ) {
    super(host, settings, client)
    this.#owner = of.owner
    this.#positions = of.partition
  }
  override async write(read: readonly Read[], next: readonly At[]): Promise<readonly Refused[]> {
    const timeMs = this.host.world.clock.now()
    const positions = next.map(({ partition, offset }): RecordInput => {
      return { key: Buffer.from(this.#keyOf(partition)), value: Buffer.from(String(offset)), timeMs }
    })
    const tick = this.#owner.begin()
    let outcome: Awaited<ReturnType<typeof tick.commit>>
    try {
      await tick.append([...(await this.entries(read)), { partition: this.#positions, batch: encodeBatch(positions) }])
      outcome = await tick.commit([])
    } catch (error) {
      await tick.abort().catch(() => {})
      throw error
    }
    if (outcome !== 'committed')
      throw new Fault('cluster.unavailable', { what: 'committing a transaction', why: 'it was rolled back' })
    return []
  }
  #keyOf({ topic, index }: Partition): string {
    return `${this.host.id}/${topic}/${index}`
  }
  /** Nothing of ours is open any more; what others have open there is waited out, up to where the topic ends now. */
  async resume(of: readonly Partition[]): Promise<(Offset | null)[]> {
    const found = new Map<string, Offset>()
    const partition = this.#positions
    const [bounds] = await this.client.bounds([partition])
    const reader = this.client.reader()
    for (let at = bounds!.start; at < bounds!.end;) {
      const [chunk] = await reader.read([{ partition, offset: at }], { ms: 5_000 }, this.host.signal)
      if (chunk === undefined) continue
      if ('fault' in chunk) throw chunk.fault
      for (const unread = new Unread(chunk.batches); !unread.isEmpty;)
        for (const { key, value } of unread.next())
          if (key !== null && value !== null)
            found.set(Buffer.from(key).toString(), asOffset(Number(Buffer.from(value).toString())))
      at = chunk.next
    }
    return of.map((one) => found.get(this.#keyOf(one)) ?? null)
  }
}

async function create(client: ClusterClient, spec: Parameters<ClusterClient['create']>[0][number]): Promise<void> {
  const [fault] = await client.create([spec])
  if (fault instanceof Fault && fault.code !== 'log.topic-exists') throw fault
}
