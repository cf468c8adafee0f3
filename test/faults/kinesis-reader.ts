/** Readers of Kinesis streams that go from parents to their children, and die now and then. */
import { type ClientRequest, request as httpRequest } from 'node:http'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Json, type KinesisCaller, dataText } from '../gateway/kinesis/fixture.ts'
import { type RecordRow, type ShardRow, shardRows } from './kinesis-checks.ts'

export interface ReaderOptions {
  readonly f: KinesisCaller
  readonly random: () => number
  readonly problems: string[]
}
interface Lease {
  readonly parents: readonly string[]
  iterator: string | null
  /** The last sequence number that was processed. */
  checkpoint: string | null
  isOver: boolean
  /** A subscription is open. */
  isOpen: boolean
  /** When a read began that found nothing. */
  emptyAtMs: number
}
/** From the shards without parents on; children are known from the ends of parents. */
abstract class Reader {
  /** In the order in which it was processed. */
  readonly read: RecordRow[] = []
  protected readonly options: ReaderOptions
  protected readonly name: string
  protected readonly dies: boolean
  readonly #leases = new Map<string, Lease>()
  protected stopped = false

  /** `dies`: now and then before it has processed what it got. */
  constructor(options: ReaderOptions, name: string, dies: boolean) {
    this.options = options
    this.name = name
    this.dies = dies
  }
  start(): void {
    void this.#run()
  }
  stop(): void {
    this.stopped = true
  }
  async #run(): Promise<void> {
    while (!this.stopped) {
      if (this.#leases.size === 0) await this.#begin()
      for (const [id, lease] of this.#leases) {
        if (this.stopped) return
        const isReady = lease.parents.every((parent) => this.#leases.get(parent)?.isOver === true)
        if (isReady && !lease.isOver) await this.step(id, lease)
      }
      await sleep(2)
    }
  }
  async #begin(): Promise<void> {
    const listed = await this.call('ListShards', { StreamName: this.name })
    for (const { id, parents } of listed === null ? [] : shardRows(listed.Shards))
      if (parents.length === 0) this.#lease(id, [])
  }
  #lease(id: string, parents: readonly string[]): void {
    if (this.#leases.has(id)) return
    this.#leases.set(id, { parents, iterator: null, checkpoint: null, isOver: false, isOpen: false, emptyAtMs: 0 })
  }
  /** Reads some of a shard. */
  protected abstract step(id: string, lease: Lease): Promise<void>
  /** With children the shard has ended. */
  protected take(id: string, lease: Lease, { Records, MillisBehindLatest, ChildShards }: Json, sinceMs: number): void {
    for (const record of Records)
      this.read.push({ shard: id, text: dataText(record), sequence: BigInt(record.SequenceNumber) })
    if (Records.length === 0 && MillisBehindLatest === 0) lease.emptyAtMs = sinceMs
    if (ChildShards === undefined) return
    lease.isOver = true
    if (ChildShards.length === 0) this.problem(`${id} has ended, and has no children`)
    for (const { ShardId, ParentShards } of ChildShards) this.#lease(ShardId, ParentShards)
  }
  protected async call(operation: string, input: object): Promise<Json | null> {
    const answer = await this.options.f.call(operation, input).catch(() => null)
    if (answer?.status === 200) return answer.body
    if (answer !== null && !this.stopped)
      this.problem(`a reader's ${operation} was answered ${JSON.stringify(answer.body)}`)
    await sleep(30)
    return null
  }
  protected problem(text: string): void {
    this.options.problems.push(`${this.name}: ${text}`)
  }
  /** When all of these shards are read to their ends; else what is not, after so long. */
  async atEnd(rows: readonly ShardRow[], withinMs: number): Promise<string | null> {
    const sinceMs = performance.now()
    for (;;) {
      const open = rows.filter(({ id, last }) => {
        const lease = this.#leases.get(id)
        return lease === undefined || !(lease.isOver || (last === null && lease.emptyAtMs > sinceMs))
      })
      if (open.length === 0) return null
      if (performance.now() - sinceMs > withinMs) return `a reader did not come to the end of ${open[0]!.id}`
      await sleep(5)
    }
  }
}

/** Reads as the Kinesis Client Library does that polls. */
export class Follower extends Reader {
  protected async step(id: string, lease: Lease): Promise<void> {
    const { random } = this.options
    const startMs = performance.now()
    lease.iterator ??= await this.#iterator(id, lease)
    if (lease.iterator === null) return
    const found = await this.call('GetRecords', {
      ShardIterator: lease.iterator,
      Limit: 1 + Math.floor(random() * 500),
    })
    // An iterator is good over a restart; one that died has none.
    if (found === null || (this.dies && random() < 0.05)) {
      if (random() < 0.5) lease.iterator = null
      return
    }
    lease.checkpoint = found.Records.at(-1)?.SequenceNumber ?? lease.checkpoint
    lease.iterator = found.NextShardIterator ?? null
    this.take(id, lease, found, startMs)
  }
  async #iterator(id: string, { checkpoint }: Lease): Promise<string | null> {
    const at =
      checkpoint === null
        ? { ShardIteratorType: 'TRIM_HORIZON' }
        : { ShardIteratorType: 'AFTER_SEQUENCE_NUMBER', StartingSequenceNumber: checkpoint }
    return (await this.call('GetShardIterator', { StreamName: this.name, ShardId: id, ...at }))?.ShardIterator ?? null
  }
}

export const fanOutName = 'fan-out'
const headers = {
  'content-type': 'application/x-amz-json-1.1',
  'x-amz-target': 'Kinesis_20131202.SubscribeToShard',
  'x-amz-date': '20260101T000000Z',
  authorization:
    'AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/kinesis/aws4_request, SignedHeaders=host, Signature=0',
}
/** Has the records sent to it, as a registered consumer. */
export class Subscriber extends Reader {
  #arn: string | null = null
  readonly #open = new Set<ClientRequest>()

  protected async step(id: string, lease: Lease): Promise<void> {
    if (lease.isOpen) return
    const StreamARN = `arn:aws:kinesis:us-east-1:000000000000:stream/${this.name}`
    const asked = { StreamARN, ConsumerName: fanOutName }
    this.#arn ??= (await this.call('DescribeStreamConsumer', asked))?.ConsumerDescription.ConsumerARN ?? null
    if (this.#arn === null) return
    lease.isOpen = true
    void this.#subscribe(id, lease).finally(() => (lease.isOpen = false))
  }
  override stop(): void {
    super.stop()
    for (const request of this.#open) request.destroy()
  }
  async #subscribe(id: string, lease: Lease): Promise<void> {
    const { checkpoint } = lease
    const StartingPosition =
      checkpoint === null ? { Type: 'TRIM_HORIZON' } : { Type: 'AFTER_SEQUENCE_NUMBER', SequenceNumber: checkpoint }
    const body = JSON.stringify({ ConsumerARN: this.#arn, ShardId: id, StartingPosition })
    const request = httpRequest({ host: '127.0.0.1', port: this.options.f.port, method: 'POST', headers, agent: false })
    this.#open.add(request)
    let held: Buffer = Buffer.alloc(0)
    let status = 0
    await new Promise<void>((resolve) => {
      request.on('error', () => resolve())
      request.on('close', resolve)
      request.on('response', (answer) => {
        status = answer.statusCode!
        answer.on('error', () => resolve())
        answer.on('data', (part: Buffer) => {
          held = Buffer.concat([held, part])
          if (status === 200) held = this.#events(id, lease, held, request)
        })
      })
      request.end(body)
    })
    this.#open.delete(request)
    // The subscription of one that died is known to be over a moment later.
    if (status > 200 && !this.stopped && !held.includes('ResourceInUseException'))
      this.problem(`a subscription was answered ${held.toString()}`)
    await sleep(30)
  }
  /** What is left. */
  #events(id: string, lease: Lease, held: Buffer, request: ClientRequest): Buffer {
    while (held.length >= 12 && held.length >= held.readUInt32BE(0)) {
      const [length, names] = [held.readUInt32BE(0), held.readUInt32BE(4)]
      const head = held.toString('latin1', 12, 12 + names)
      const body = held.toString('utf8', 12 + names, length - 4)
      held = held.subarray(length)
      if (request.destroyed || this.stopped) break
      if (head.includes('exception')) this.problem(`a subscription ended: ${body}`)
      if (!head.includes('SubscribeToShardEvent')) continue
      if (this.dies && this.options.random() < 0.05) {
        request.destroy()
        break
      }
      const event = JSON.parse(body) as Json
      lease.checkpoint = event.ContinuationSequenceNumber ?? lease.checkpoint
      this.take(id, lease, event, performance.now())
    }
    return held
  }
}
