/** A queue of a Kinesis stream under workers that die: what must be true of what they were given. */
import { setTimeout as sleep } from 'node:timers/promises'
import { type Json, type KinesisCaller, dataText } from '../gateway/kinesis/fixture.ts'

/** What became of records, by their texts. */
export class QueueLedger {
  readonly received = new Set<string>()
  /** That was answered. */
  readonly #acknowledged = new Set<string>()
  readonly problems: string[] = []

  receive(text: string): void {
    if (this.#acknowledged.has(text)) this.problems.push(`${text} was received again after it was acknowledged`)
    this.received.add(text)
  }
  acknowledge(text: string): void {
    this.#acknowledged.add(text)
  }
  get acknowledged(): number {
    return this.#acknowledged.size
  }
  missing(written: Iterable<string>): string[] {
    return [...written].filter((text) => !this.received.has(text))
  }
}

interface Options {
  readonly f: KinesisCaller
  readonly random: () => number
}
const workers = 2
const visibilitySeconds = 5
const receivedMax = 10
const drainedWithinMs = 90_000
const arnOf = (kind: string, name: string): string => `arn:aws:kinesis:us-east-1:000000000000:${kind}/${name}`

export class QueueWork {
  readonly ledger = new QueueLedger()
  readonly #options: Options
  readonly #stream: string
  readonly #arn: string
  #stopped = false

  constructor(stream: string, options: Options) {
    this.#options = options
    this.#stream = stream
    this.#arn = arnOf('queue', `q-${stream}`)
  }
  async start(): Promise<void> {
    await this.#options.f.ok('CreateQueue', {
      QueueName: `q-${this.#stream}`,
      StreamConfigurationList: [
        { StreamARN: arnOf('stream', this.#stream), StartingPosition: { Type: 'TRIM_HORIZON' } },
      ],
      QueueAttributes: {
        VisibilityTimeoutSeconds: visibilitySeconds,
        DeadLetterConfiguration: { TargetType: 'NONE' },
      },
    })
    for (let i = 0; i < workers; i++) void this.#run()
  }
  async #run(): Promise<void> {
    while (!this.#stopped) {
      const found = await this.#call('ReceiveQueueRecords', { Limit: receivedMax, WaitTimeSeconds: 1 })
      const records: Json[] = found?.QueueRecords ?? []
      for (const record of records) this.ledger.receive(dataText(record))
      // Some die with what they have.
      if (records.length === 0 || this.#options.random() < 0.03) continue
      const Entries = records.map(({ ReceiptHandle }) => ({ ReceiptHandle }))
      const done = await this.#call('AcknowledgeQueueRecords', { Entries })
      const handles = new Set((done?.Successful ?? []).map((one: Json) => one.ReceiptHandle))
      for (const record of records) if (handles.has(record.ReceiptHandle)) this.ledger.acknowledge(dataText(record))
    }
  }
  async #call(operation: string, input: object): Promise<Json | null> {
    const answer = await this.#options.f.call(operation, { QueueARN: this.#arn, ...input }).catch(() => null)
    if (answer?.status === 200) return answer.body
    if (answer !== null && !this.#stopped)
      this.ledger.problems.push(`${operation} was answered ${JSON.stringify(answer.body)}`)
    await sleep(30)
    return null
  }
  /** Until everything was received that was written. What is wrong so far. */
  async drained(written: ReadonlyMap<string, unknown>): Promise<string[]> {
    const untilMs = performance.now() + drainedWithinMs
    while (this.ledger.missing(written.keys()).length > 0 && performance.now() < untilMs) await sleep(50)
    const missing = this.ledger.missing(written.keys())
    const never = missing.length === 0 ? [] : [`${missing.length} records were never received: ${missing.slice(0, 5)}`]
    return [...this.ledger.problems, ...never]
  }
  async remove(): Promise<void> {
    this.#stopped = true
    await this.#options.f.ok('DeleteQueue', { QueueARN: this.#arn })
  }
  stop(): void {
    this.#stopped = true
  }
}
