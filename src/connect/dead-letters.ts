/** What one side does not take is kept as it came in `<connector>.dlq`, with the reason. */
import { Fault } from '../lib/fault.ts'
import { limits } from '../lib/limits.ts'
import type { Header, RecordInput } from '../log/batch.ts'
import type { Log, TopicInfo } from '../log/log.ts'
import type { Target } from '../log/placing.ts'

export const deadLetterTopic = (connector: string): string => `${connector}.dlq`

export class DeadLetters {
  readonly #log: Log
  readonly #connector: string

  constructor(log: Log, connector: string) {
    this.#log = log
    this.#connector = connector
  }
  /** `topic`: the one that it was on its way to, or came from. */
  async target(record: RecordInput, topic: string, fault: Fault): Promise<Target> {
    // What the headers with a meaning say is what may have been wrong with them.
    const kept = (record.headers ?? []).filter(([name]) => !name.startsWith('mr-'))
    const headers: Header[] = [
      ...kept,
      ['mr-reason', Buffer.from(fault.code)],
      ['mr-error', Buffer.from(fault.message)],
      ['mr-topic', Buffer.from(topic)],
    ]
    const { key, value, timeMs } = record
    return { topic: await this.#topic(), partition: 0, record: { key, value, timeMs, headers } }
  }
  async #topic(): Promise<TopicInfo> {
    const { topics } = this.#log
    const name = deadLetterTopic(this.#connector)
    const known = await topics.get(name)
    if (known !== null) return known
    const config = { 'retention.ms': '-1', 'max.message.bytes': String(limits.batchBytesMax) }
    const [fault] = await topics.create([{ name, partitions: 1, config }])
    if (fault instanceof Fault && fault.code !== 'log.topic-exists') throw fault
    const made = await topics.get(name)
    if (made === null) throw new Fault('log.unknown-topic', { topic: name })
    return made
  }
}
