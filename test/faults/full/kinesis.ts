/** Kinesis: records, shards, consumers and a queue. */
import { type Json, type KinesisCaller, kinesisCaller, readShard } from '../../gateway/kinesis/fixture.ts'
import { type Answer, type Side, Told, Writer, checkTopic, valueOf } from './side.ts'

const stream = 'full-kinesis'
const StreamName = { StreamName: stream }
const StreamARN = `arn:aws:kinesis:us-east-1:000000000000:stream/${stream}`
const QueueARN = 'arn:aws:kinesis:us-east-1:000000000000:queue/full-queue'
const valueBytes = 4_096
const visibilitySeconds = 120
const entriesMax = 10
const largestHashKey = 2n ** 128n - 1n

export class KinesisSide implements Side {
  readonly name = 'kinesis'
  /** SDKs send again what is answered with a status of 500, 502, 503 or 504; of a part of PutRecords its user, as KPL does. */
  readonly told = new Told(['InternalFailure', '503 InternalFailure'])
  readonly #caller: KinesisCaller
  readonly #writers: readonly Writer[]
  /** Of records that were received from the queue: until when they are nobody else's. */
  readonly #leases = new Map<string, number>()
  readonly #settled = new Set<string>()
  #receipts: { readonly id: string; readonly ReceiptHandle: string }[] = []
  #turn = 0
  #iterator: string | null = null

  constructor(port: number) {
    this.#caller = kinesisCaller(port)
    this.#writers = ['k0', 'k1'].map((name) => new Writer(name, this.told, (ids) => this.#put(ids), { atOnce: 10 }))
  }
  async start(): Promise<void> {
    await this.#caller.ok('CreateStream', { ...StreamName, ShardCount: 2 })
    await this.#caller.ok('CreateQueue', {
      QueueName: 'full-queue',
      StreamConfigurationList: [{ StreamARN, StartingPosition: { Type: 'TRIM_HORIZON' } }],
      QueueAttributes: { VisibilityTimeoutSeconds: visibilitySeconds },
    })
    for (const one of this.#writers) one.start()
  }
  async #put(ids: readonly string[]): Promise<readonly Answer[]> {
    const Records = ids.map((id) => ({ PartitionKey: id, Data: valueOf(id, valueBytes) }))
    const { status, body } = await this.#caller.call('PutRecords', { ...StreamName, Records })
    if (status !== 200) return ids.map(() => `${status} ${body.__type}`)
    return body.Records.map(({ ErrorCode }: Json) => ErrorCode ?? null)
  }
  async #asked(operation: string, input: object): Promise<Answer> {
    const { status, body } = await this.#caller.call(operation, input)
    return status === 200 ? null : `${status} ${body.__type}`
  }
  #consumer(): Promise<Answer> {
    return this.#asked('RegisterStreamConsumer', { StreamARN, ConsumerName: `c${this.#turn}` })
  }
  #tag(): Promise<Answer> {
    // A stream has 50 of them at most.
    return this.#asked('AddTagsToStream', { ...StreamName, Tags: { [`t${this.#turn % 40}`]: String(this.#turn) } })
  }
  async #split(): Promise<Answer> {
    const { Shards } = await this.#caller.ok('ListShards', { ...StreamName, ShardFilter: { Type: 'AT_LATEST' } })
    const { ShardId, HashKeyRange: range } = Shards[0]
    const NewStartingHashKey = String((BigInt(range.StartingHashKey) + BigInt(range.EndingHashKey)) / 2n)
    return this.#asked('SplitShard', { ...StreamName, ShardToSplit: ShardId, NewStartingHashKey })
  }
  async #receive(): Promise<Answer> {
    const asked = { QueueARN, Limit: 10, WaitTimeSeconds: 1 }
    const { status, body } = await this.#caller.call('ReceiveQueueRecords', asked)
    if (status !== 200) return `${status} ${body.__type}`
    // By the record: what was refused when a sync failed may be there, and again where it was put again.
    for (const { RecordId: id, ReceiptHandle } of body.QueueRecords) {
      if (this.#settled.has(id)) this.told.problem(`queue: ${id} came again after its acknowledgement`)
      if ((this.#leases.get(id) ?? 0) > performance.now()) this.told.problem(`queue: ${id} came to two at a time`)
      this.#leases.set(id, performance.now() + visibilitySeconds * 900)
      this.#receipts.push({ id, ReceiptHandle })
    }
    return body.QueueRecords.length > 0 ? null : 'nothing'
  }
  /** Those that were received; those that were not taken stay to be said again. */
  async #acknowledge(): Promise<Answer> {
    const Entries = this.#receipts.slice(0, entriesMax).map(({ ReceiptHandle }) => ({ ReceiptHandle }))
    const { status, body } = await this.#caller.call('AcknowledgeQueueRecords', { QueueARN, Entries })
    if (status !== 200) return `${status} ${body.__type}`
    const taken = new Set<string>(body.Successful.map(({ ReceiptHandle }: Json) => ReceiptHandle))
    for (const { id, ReceiptHandle } of this.#receipts) if (taken.has(ReceiptHandle)) this.#settled.add(id)
    this.#receipts = this.#receipts.filter(({ ReceiptHandle }) => !taken.has(ReceiptHandle))
    if (body.Failed.length > 0) return body.Failed[0].ErrorCode
    return this.#receipts.length > 0 ? this.#acknowledge() : null
  }
  async before(): Promise<void> {}
  async changes(): Promise<void> {
    this.#turn++
    await this.afterwards()
  }
  async whileFull(): Promise<void> {
    this.#turn++
    await this.#readsOn()
    const isRefused = await this.told.mustRefuse('RegisterStreamConsumer', () => this.#consumer())
    const { Consumers } = await this.#caller.ok('ListStreamConsumers', { StreamARN })
    if (Consumers.some(({ ConsumerName }: Json) => ConsumerName === `c${this.#turn}`) === isRefused)
      this.told.problem(`a consumer is listed although it was refused, or not although it was not`)
    await this.told.mustRefuse('AddTagsToStream', () => this.#tag())
    await this.told.mustRefuse('SplitShard', () => this.#split())
    await this.#shardsCover()
    // Its lease cannot be kept.
    await this.told.mustRefuse('ReceiveQueueRecords', () => this.#receive())
    if (this.#receipts.length > 0) await this.told.mustRefuse('AcknowledgeQueueRecords', () => this.#acknowledge())
  }
  /** With an iterator from before, too. */
  async #readsOn(): Promise<void> {
    const from = { ...StreamName, ShardId: '0', ShardIteratorType: 'TRIM_HORIZON' }
    const { ShardIterator } = await this.#caller.ok('GetShardIterator', from)
    const { Records, NextShardIterator } = await this.#caller.ok('GetRecords', { ShardIterator, Limit: 10 })
    if (Records.length === 0) this.told.problem('GetRecords gives nothing')
    if (this.#iterator !== null) await this.#caller.ok('GetRecords', { ShardIterator: this.#iterator, Limit: 10 })
    this.#iterator = NextShardIterator
  }
  async #shardsCover(): Promise<void> {
    const { Shards } = await this.#caller.ok('ListShards', { ...StreamName, ShardFilter: { Type: 'AT_LATEST' } })
    const sum = Shards.reduce(
      (all: bigint, { HashKeyRange: { StartingHashKey: from, EndingHashKey: to } }: Json) =>
        all + BigInt(to) - BigInt(from) + 1n,
      0n,
    )
    if (sum !== largestHashKey + 1n) this.told.problem(`open shards cover ${sum} hash keys`)
  }
  async afterwards(): Promise<void> {
    await this.told.mustTake('RegisterStreamConsumer', () => this.#consumer())
    await this.told.mustTake('AddTagsToStream', () => this.#tag())
    if (this.#turn === 1 || this.#turn === 4) await this.told.mustTake('SplitShard', () => this.#split())
    await this.#shardsCover()
    if (this.#receipts.length > 0) await this.told.mustTake('AcknowledgeQueueRecords', () => this.#acknowledge())
    await this.told.mustTake('ReceiveQueueRecords', () => this.#receive())
    await this.told.mustTake('AcknowledgeQueueRecords', () => this.#acknowledge())
    // Kept for the next time that the disk is full.
    await this.told.mustTake('ReceiveQueueRecords', () => this.#receive())
  }
  async stop(): Promise<void> {
    await Promise.all(this.#writers.map((one) => one.stop()))
  }
  async check(http: string): Promise<void> {
    await checkTopic(http, stream, { writers: this.#writers, told: this.told })
    await this.#shardsCover()
    const { Consumers } = await this.#caller.ok('ListStreamConsumers', { StreamARN })
    if (Consumers.length !== this.#turn) this.told.problem(`${Consumers.length} of ${this.#turn} consumers are there`)
    const { Shards } = await this.#caller.ok('ListShards', StreamName)
    let count = 0
    for (const { ShardId } of Shards) count += (await readShard(this.#caller, stream, ShardId)).records.length
    const acknowledged = this.#writers.reduce((sum, one) => sum + one.acknowledged.size, 0)
    if (count < acknowledged) this.told.problem(`shards give ${count} records, and ${acknowledged} were acknowledged`)
  }
  close(): void {
    this.#caller.close()
  }
}
