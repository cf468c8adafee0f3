/**
 * Copies what a queue gives up to a topic, with its bytes, its headers and why it was given up, under the header names of
 * KIP-1191. A copy is durable before the record is done with: a crash in between may copy it once more, never lose it.
 */
import type { Offset } from '../../lib/brand.ts'
import { Fault } from '../../lib/fault.ts'
import { type Header, type LogRecord, type RecordInput, Unread } from '../batch.ts'
import type { Partition } from '../log.ts'
import type { Dead } from './queue-partition.ts'
import type { LetterFacts, QueueSettings } from './queues.ts'
import type { QueuesHost } from './queue.ts'

type Target = NonNullable<QueueSettings['deadLetter']>
interface Letter extends RecordInput {
  /** Those of the headers that say what happened. */
  readonly why: readonly Header[]
}

/** Read, and written at once. */
const chunkBytes = 512 * 1024

export class DeadLetters {
  readonly #host: QueuesHost
  readonly #group: string

  constructor(host: QueuesHost, group: string) {
    this.#host = host
    this.#group = group
  }
  /** Throws Fault. */
  async bury(from: Partition, all: readonly Dead[], to: Target): Promise<void> {
    for (const dead of all) await this.#buryRange(from, dead, to)
  }
  async #buryRange(from: Partition, dead: Dead, to: Target): Promise<void> {
    for (let at = dead.first; at <= dead.last;) {
      const { records, next } = await this.#read(from, at, dead.last)
      const letters = records.map((record) => this.#letter(from, record, dead, to))
      for (const part of parts(letters)) await this.#write(from, part, to)
      at = next
    }
  }
  /** Records that retention has taken meanwhile are gone: there is nothing left to keep. */
  async #read(from: Partition, at: number, last: number): Promise<{ records: LogRecord[]; next: number }> {
    const { start, end } = await this.#host.bounds(from)
    if (at < start) return { records: [], next: start }
    if (at >= end) return { records: [], next: last + 1 }
    const slice = await this.#host.read(from, at as Offset, { committedOnly: false, bytesMax: chunkBytes })
    try {
      const records: LogRecord[] = []
      for (const unread = new Unread(slice.batches); !unread.isEmpty;)
        for (const record of unread.next()) if (record.offset >= at && record.offset <= last) records.push(record)
      return { records, next: slice.next > at ? slice.next : last + 1 }
    } finally {
      slice.release()
    }
  }
  #letter({ topic, index }: Partition, record: LogRecord, dead: Dead, to: Target): Letter {
    const { offset, timeMs: recordMs } = record
    const { deliveries, reason } = dead
    const facts = { from: { topic, index }, offset, timeMs: recordMs, group: this.#group, deliveries, reason }
    const why = to.says?.(facts) ?? ownWords(facts)
    if (!to.copiesRecord) return { key: null, value: null, headers: why, timeMs: record.timeMs, why }
    const { key, value, headers, timeMs } = record
    return { key, value, headers: [...headers, ...why], timeMs, why }
  }
  async #write({ index }: Partition, letters: readonly Letter[], to: Target): Promise<void> {
    try {
      await this.#host.bury(to.topic, index, letters)
    } catch (error) {
      // With what is added it may not fit where it fitted before: then what it was and why is kept without it.
      const [letter] = letters
      const isTooLarge = error instanceof Fault && error.code === 'log.batch-too-large'
      if (!isTooLarge || letter === undefined || letters.length > 1) throw error
      await this.#host.bury(to.topic, index, [{ ...letter, key: null, value: null, headers: letter.why }])
    }
  }
}
const ownWords = ({ from, offset, group, deliveries, reason }: LetterFacts): readonly Header[] =>
  Object.entries({
    topic: from.topic,
    partition: from.index,
    offset,
    group,
    'delivery.count': deliveries,
    message: reason,
  }).map(([name, value]) => [`__dlq.errors.${name}`, Buffer.from(String(value))])

/** A record that is large goes alone. */
function* parts(letters: readonly Letter[]): Iterable<Letter[]> {
  let part: Letter[] = []
  let bytes = 0
  for (const letter of letters) {
    const size = (letter.key?.length ?? 0) + (letter.value?.length ?? 0)
    if (part.length > 0 && bytes + size > chunkBytes) {
      yield part
      part = []
      bytes = 0
    }
    part.push(letter)
    bytes += size
  }
  if (part.length > 0) yield part
}
