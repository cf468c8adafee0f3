/**
 * Topics as they change. Kafka tells nobody: they are looked at again and again while somebody watches, and at once after
 * a change that was made here. Settings that others change are seen later than the rest: they are dear to read.
 */
import { isDeepStrictEqual } from 'node:util'
import { Fault, asFault } from '../../lib/fault.ts'
import { ChangeFeed } from '../local/change-feed.ts'
import type { Metadata, TopicMeta } from './net/metadata.ts'
import type { Network } from './net/network.ts'
import { configsOf } from './topic-configs.ts'

const lookMs = 1_000
/** Every so many looks settings are read too. */
const looksPerSettings = 15

interface Seen {
  readonly id: string
  readonly partitions: number
  readonly config: Readonly<Record<string, string>>
}

export class TopicWatch {
  readonly #network: Network
  readonly #metadata: Metadata
  readonly #feed = new ChangeFeed()
  #seen: ReadonlyMap<string, Seen> | null = null
  #watchers = 0
  /** Names changed here since the last look. */
  readonly #touched = new Set<string>()
  #wake: AbortController | null = null

  constructor(network: Network, metadata: Metadata) {
    this.#network = network
    this.#metadata = metadata
  }
  /** From the first call of next on. */
  async *watch(signal: AbortSignal): AsyncIterable<{ readonly changed: readonly string[] }> {
    const names = this.#feed.watch(signal)
    if (this.#watchers++ === 0) void this.#run()
    try {
      yield* names
    } finally {
      if (--this.#watchers === 0) this.#wake?.abort()
    }
  }
  /** These were changed here. */
  look(names: readonly string[]): void {
    if (this.#watchers === 0 || names.length === 0) return
    for (const name of names) this.#touched.add(name)
    this.#wake?.abort()
  }
  close(): void {
    this.#feed.close()
    this.#wake?.abort()
  }

  async #run(): Promise<void> {
    this.#seen = null
    for (let looks = 0; this.#watchers > 0 && !this.#network.closing.aborted; looks++) {
      const wake = new AbortController()
      this.#wake = wake
      try {
        await this.#look(looks % looksPerSettings === 0)
      } catch (error) {
        // Without an answer nothing has changed that we know of; it is asked again.
        if (asFault(error) instanceof Fault && this.#network.closing.aborted) return
      }
      await this.#network.clock.sleep(lookMs, wake.signal).catch(() => {})
    }
  }
  async #look(withSettings: boolean): Promise<void> {
    const touched = new Set(this.#touched)
    this.#touched.clear()
    const topics = await this.#metadata.fetch(null, lookMs)
    const before = this.#seen
    const asked = topics.filter(({ name }) => withSettings || touched.has(name) || before?.has(name) !== true)
    const configs = await configsOf(
      this.#network,
      asked.map(({ name }) => name),
    )
    const now = new Map(topics.map((topic) => [topic.name, seenOf(topic, configs, before)]))
    this.#seen = now
    // The first look after a time without watchers knows of no change but those made here meanwhile.
    if (before === null) return touched.forEach((name) => this.#feed.tell(name))
    for (const [name, seen] of now) if (!isDeepStrictEqual(seen, before.get(name))) this.#feed.tell(name)
    for (const name of before.keys()) if (!now.has(name)) this.#feed.tell(name)
  }
}

function seenOf(
  { name, id, partitions }: TopicMeta,
  configs: ReadonlyMap<string, Readonly<Record<string, string>>>,
  before: ReadonlyMap<string, Seen> | null,
): Seen {
  return { id, partitions: partitions.length, config: configs.get(name) ?? before?.get(name)?.config ?? {} }
}
