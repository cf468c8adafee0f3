/**
 * What a part above the log must remember over a restart: a map of texts to bytes, kept as a compacted topic of one partition
 * (key = what it is about, value = what is known of it, null = forgotten). One owner in one process: a change is in the map
 * when it is durable, and changes of one key follow one another in the order in which they were asked for.
 */
import type { Offset } from '../lib/brand.ts'
import { Fault } from '../lib/fault.ts'
import { type RecordInput, decodeBatch, encodeBatch } from './batch.ts'
import type { Log, Writer } from './log.ts'

export interface KeptMapOptions {
  readonly log: Log
  /** Begins with `_millrace_`. */
  readonly topic: string
  /** Gives the times of the records. */
  readonly now: () => number
}
export interface KeptChange {
  readonly key: string
  readonly value: Uint8Array | null
}

export class KeptMap {
  readonly #values: Map<string, Uint8Array>
  readonly #partition: { readonly topic: string; readonly index: 0 }
  readonly #writer: Writer
  readonly #now: () => number
  /** The last change of each key that is under way. */
  readonly #turns = new Map<string, Promise<unknown>>()

  private constructor({ log, topic, now }: KeptMapOptions, values: Map<string, Uint8Array>) {
    this.#values = values
    this.#partition = { topic, index: 0 }
    this.#writer = log.writer()
    this.#now = now
  }
  /** Resolves when everything that the topic holds is read. Makes the topic where there is none. */
  static async open(options: KeptMapOptions): Promise<KeptMap> {
    const { log, topic } = options
    if ((await log.topics.get(topic)) === null) {
      const [fault] = await log.topics.create([{ name: topic, partitions: 1, config: { 'cleanup.policy': 'compact' } }])
      if (fault instanceof Fault && fault.code !== 'log.topic-exists') throw fault
    }
    return new KeptMap(options, await readAll(log, topic))
  }

  get size(): number {
    return this.#values.size
  }
  get(key: string): Uint8Array | null {
    return this.#values.get(key) ?? null
  }
  entries(): IterableIterator<[string, Uint8Array]> {
    return this.#values.entries()
  }
  /** All or nothing: durable, and in the map, when it resolves. Throws Fault. */
  async change(changes: readonly KeptChange[]): Promise<void> {
    if (changes.length === 0) return
    const timeMs = this.#now()
    const records = changes.map(({ key, value }): RecordInput => ({ key: Buffer.from(key), value, timeMs }))
    const [appended] = await this.#writer.append([{ partition: this.#partition, batch: encodeBatch(records) }])
    if (appended === undefined) throw new Fault('internal', { what: 'the log did not answer an append' })
    if ('fault' in appended) throw appended.fault
    for (const { key, value } of changes)
      if (value === null) this.#values.delete(key)
      else this.#values.set(key, value)
  }
  /** Runs when no other turn of the key is under way: what it reads of the key stays so until its own change. */
  async turn<T>(key: string, run: () => Promise<T>): Promise<T> {
    const before = this.#turns.get(key)
    const mine = (before ?? Promise.resolve()).then(run, run)
    this.#turns.set(key, mine)
    try {
      return await mine
    } finally {
      if (this.#turns.get(key) === mine) this.#turns.delete(key)
    }
  }
}

async function readAll(log: Log, topic: string): Promise<Map<string, Uint8Array>> {
  const values = new Map<string, Uint8Array>()
  const partition = { topic, index: 0 }
  const [bounds] = await log.bounds([partition])
  let at = bounds?.start ?? (0 as Offset)
  const reader = log.reader()
  while (at < (bounds?.stable ?? 0)) {
    const [chunk] = await reader.read([{ partition, offset: at }])
    if (chunk === undefined || 'fault' in chunk) throw chunk?.fault ?? new Fault('internal', { what: 'no answer' })
    for (const batch of chunk.batches)
      for (const { key, value, offset } of decodeBatch(batch)) {
        if (offset < at || key === null) continue
        const name = Buffer.from(key).toString()
        if (value === null) values.delete(name)
        // Not a view of the batch: it would keep all of it.
        else values.set(name, Uint8Array.from(value))
      }
    if (chunk.next <= at) break
    at = chunk.next
  }
  return values
}
