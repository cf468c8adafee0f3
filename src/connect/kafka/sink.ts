/**
 * Topics of ours into another cluster. What that side says of a batch may be about one of its records: the piece is halved
 * until the record stands alone, and that one is refused, the others are not. Exactly once: records and the position behind them go into one transaction of that
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
import type { Refused, SetAside, Sink, SinkHost } from '../kind.ts'
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
  /** Smaller where that side takes no more: one halving for each batch that it refused for its size. */
  #batchBytes: number = limits.batchBytes

  constructor(host: SinkHost, settings: Settings, client: ClusterClient) {
    this.host = host
    this.client = client
    this.#settings = settings
    this.#keeps = settings.text('partitions') === 'keep'
  }
  close(): Promise<void> {
    return this.client.close()
  }
  async write(read: readonly Read[], next: readonly At[], setAside: SetAside): Promise<readonly Refused[]> {
    try {
      await this.put(read, next)
      return []
    } catch (error) {
      if (!(error instanceof Fault)) throw error
      // Deleted over there: the next start makes it anew.
      if (error.code === 'log.unknown-topic')
        throw new Fault('cluster.unavailable', { what: 'writing', why: error.message }, error)
      if (!isOfRecords(error)) throw error
      const [only, ...others] = read
      if (others.length > 0) {
        this.#batchBytes = Math.max(batchBytesMin, Math.floor(this.#batchBytes / 2))
        const first = read.slice(0, Math.ceil(read.length / 2))
        const refused = await this.write(first, behind(first), setAside)
        return [...refused, ...(await this.write(read.slice(first.length), next, setAside))]
      }
      // Not the batches were too large: this record is what they will not have.
      this.#batchBytes = limits.batchBytes
      if (only === undefined) throw error
      return this.refuse({ read: only, fault: error }, next, setAside)
    }
  }
  protected refuse(one: Refused, _next: readonly At[], _setAside: SetAside): Promise<readonly Refused[]> {
    return Promise.resolve([one])
  }
  /** Resolves when that side has them. Of a partition nothing comes before what was refused. */
  protected async put(read: readonly Read[], _next: readonly At[]): Promise<void> {
    for (const round of rounds(await this.entries(read)))
      for (const one of await this.client.writer().append(round)) if ('fault' in one) throw one.fault
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
      if (run === undefined || run.bytes + bytes > this.#batchBytes) {
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
    const wanted = Math.max((await this.host.partitionsOf(from.topic)) ?? 0, from.index + 1)
    await this.client.widen(topic, wanted)
    this.#targets.set(from.topic, { name: topic, partitions: wanted })
    return { topic, index: from.index }
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
  protected override async put(read: readonly Read[], next: readonly At[]): Promise<void> {
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
  }
  /** It lies in the dead letters before that side believes that it is done with. */
  protected override async refuse(one: Refused, next: readonly At[], setAside: SetAside): Promise<readonly Refused[]> {
    await setAside([one])
    await this.put([], next)
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

/** What that side says of a record, by what it says of the batch: it would say it another time too. */
const isOfRecords = ({ code, facts }: Fault): boolean =>
  ofRecords.has(code) || (code === 'cluster.refused' && sizeErrors.has((facts as { error: number }).error))
const ofRecords: ReadonlySet<string> = new Set(['log.batch-too-large', 'log.invalid-batch', 'log.invalid-timestamp'])
/** MESSAGE_TOO_LARGE, RECORD_LIST_TOO_LARGE. */
const sizeErrors: ReadonlySet<number> = new Set([10, 18])
const batchBytesMin = 16 * 1024

/** Where to go on after these. */
function behind(read: readonly Read[]): At[] {
  const last = new Map(read.map((one) => [`${one.partition.index}/${one.partition.topic}`, one]))
  return [...last.values()].map(({ partition, record }) => ({ partition, offset: asOffset(record.offset + 1) }))
}
/** The first batch of each partition, then the second, … */
function rounds(entries: readonly Entry[]): Entry[][] {
  const all: Entry[][] = []
  const depth = new Map<string, number>()
  for (const entry of entries) {
    const place = `${entry.partition.index}/${entry.partition.topic}`
    const round = depth.get(place) ?? 0
    depth.set(place, round + 1)
    ;(all[round] ??= []).push(entry)
  }
  return all
}

async function create(client: ClusterClient, spec: Parameters<ClusterClient['create']>[0][number]): Promise<void> {
  const [fault] = await client.create([spec])
  if (fault instanceof Fault && fault.code !== 'log.topic-exists') throw fault
}
