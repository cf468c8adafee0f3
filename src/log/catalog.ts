/**
 * Definitions are data: streams, tables, views, alerts, contracts, … live as JSON in the compacted topic
 * `_millrace_catalog`, key `kind/name`, null = gone. Topics are entries of kind `topic` that the local log keeps itself;
 * this class leaves them alone.
 *
 * There is one way in: a change is appended as one batch, and takes effect when it is read back, like everyone else's. So
 * all readers of the topic see the same changes in the same order, whoever made them.
 */
import type { Offset } from '../lib/brand.ts'
import { Fault, asFault } from '../lib/fault.ts'
import { decodeBatch, encodeBatch } from './batch.ts'
import type { Batch, Log, Reader } from './log.ts'

export type CatalogKind =
  | 'contract'
  | 'stream'
  | 'table'
  | 'view'
  | 'plain-view'
  | 'alert'
  | 'user'
  | 'access-key'
  | 'grant'
  | 'quota'
  | 'connector'
export interface CatalogEntry {
  readonly kind: CatalogKind
  readonly name: string
  /** JSON; what it means is the business of the layer that owns the kind, which checks it when reading. */
  readonly value: unknown
}
type Named = Pick<CatalogEntry, 'kind' | 'name'>
export interface Catalog {
  all(kind: CatalogKind): readonly CatalogEntry[]
  get(kind: CatalogKind, name: string): CatalogEntry | null
  /** All or nothing; durable and visible here when it resolves. A value of null removes. Throws Fault. */
  change(entries: readonly { kind: CatalogKind; name: string; value: unknown | null }[]): Promise<void>
  /** Called after each change, in order. Returns the way to stop. */
  onChange(call: (changed: readonly Named[]) => void): () => void
}
export interface OpenCatalog extends Catalog {
  /** Stops following the topic. Changes under way are refused. */
  close(): Promise<void>
}

export const catalogTopic = '_millrace_catalog'
const partition = { topic: catalogTopic, index: 0 }
const kinds: readonly CatalogKind[] = [
  'contract',
  'stream',
  'table',
  'view',
  'plain-view',
  'alert',
  'user',
  'access-key',
  'grant',
  'quota',
  'connector',
]
/** One question to the log waits this long for news; then it is asked again. */
const followMs = 60_000

/** `now` gives the times of the records. Resolves when everything that stands in the topic has been read. */
export async function openCatalog(log: Log, now: () => number): Promise<OpenCatalog> {
  if ((await log.topics.get(catalogTopic)) === null) {
    const [fault] = await log.topics.create([
      { name: catalogTopic, partitions: 1, config: { 'cleanup.policy': 'compact' } },
    ])
    if (fault instanceof Fault && fault.code !== 'log.topic-exists') throw fault
  }
  const catalog = new FollowedCatalog(log, now)
  await catalog.start()
  return catalog
}

class FollowedCatalog implements OpenCatalog {
  readonly #log: Log
  readonly #reader: Reader
  readonly #now: () => number
  readonly #entries = new Map<CatalogKind, Map<string, CatalogEntry>>(kinds.map((kind) => [kind, new Map()]))
  readonly #listeners = new Set<(changed: readonly Named[]) => void>()
  readonly #stop = new AbortController()
  /** Everything before it has taken effect. */
  #at = 0 as Offset
  #waiting: { readonly offset: Offset; readonly resolve: () => void; readonly reject: (fault: Fault) => void }[] = []
  #failed: Fault | null = null
  #following: Promise<void> = Promise.resolve()

  constructor(log: Log, now: () => number) {
    this.#log = log
    this.#reader = log.reader()
    this.#now = now
  }
  async start(): Promise<void> {
    const [bounds] = await this.#log.bounds([partition])
    this.#at = bounds?.start ?? this.#at
    const { stable } = bounds ?? { stable: this.#at }
    while (this.#at < stable) await this.#step()
    this.#following = this.#follow()
  }

  all(kind: CatalogKind): readonly CatalogEntry[] {
    return [...this.#entries.get(kind)!.values()]
  }
  get(kind: CatalogKind, name: string): CatalogEntry | null {
    return this.#entries.get(kind)!.get(name) ?? null
  }
  async change(entries: readonly { kind: CatalogKind; name: string; value: unknown | null }[]): Promise<void> {
    if (this.#failed !== null) throw this.#failed
    if (entries.length === 0) return
    const timeMs = this.#now()
    const batch = encodeBatch(
      entries.map(({ kind, name, value }) => ({
        key: Buffer.from(`${kind}/${name}`),
        value: value === null ? null : Buffer.from(JSON.stringify(value)),
        timeMs,
      })),
    )
    const [appended] = await this.#log.writer().append([{ partition, batch }])
    if (appended === undefined) throw new Fault('internal', { what: 'the log did not answer an append' })
    if ('fault' in appended) throw appended.fault
    await this.#applied(appended.offset)
  }
  onChange(call: (changed: readonly Named[]) => void): () => void {
    this.#listeners.add(call)
    return () => void this.#listeners.delete(call)
  }
  async close(): Promise<void> {
    this.#stop.abort()
    await this.#following
  }

  #applied(offset: Offset): Promise<void> {
    if (offset < this.#at) return Promise.resolve()
    if (this.#failed !== null) return Promise.reject(this.#failed)
    return new Promise((resolve, reject) => this.#waiting.push({ offset, resolve, reject }))
  }
  async #follow(): Promise<void> {
    try {
      for (;;) await this.#step(followMs)
    } catch (error) {
      this.#failed = this.#stop.signal.aborted ? new Fault('log.closed', { what: 'the catalogue' }) : asFault(error)
      const waiting = this.#waiting
      this.#waiting = []
      for (const { reject } of waiting) reject(this.#failed)
    }
  }
  async #step(waitMs = 0): Promise<void> {
    const from = [{ partition, offset: this.#at }]
    const [chunk] = await this.#reader.read(from, { ms: waitMs }, this.#stop.signal)
    if (chunk === undefined) return
    if ('fault' in chunk) throw chunk.fault
    for (const batch of chunk.batches) this.#apply(batch)
    if (chunk.next > this.#at) this.#at = chunk.next
    const ready = this.#waiting.filter(({ offset }) => offset < this.#at)
    this.#waiting = this.#waiting.filter(({ offset }) => offset >= this.#at)
    for (const { resolve } of ready) resolve()
  }

  #apply(batch: Batch): void {
    const changed: Named[] = []
    for (const { key, value, offset } of decodeBatch(batch)) {
      const named = offset < this.#at || key === null ? null : nameOf(Buffer.from(key).toString())
      if (named === null) continue
      const ofKind = this.#entries.get(named.kind)!
      if (value === null) ofKind.delete(named.name)
      else ofKind.set(named.name, { ...named, value: JSON.parse(Buffer.from(value).toString()) as unknown })
      changed.push(named)
    }
    if (changed.length > 0) for (const call of this.#listeners) call(changed)
  }
}

/** Null for what is not of a kind known here. */
function nameOf(key: string): Named | null {
  const cut = key.indexOf('/')
  const kind = kinds.find((one) => one === key.slice(0, cut))
  return kind === undefined ? null : { kind, name: key.slice(cut + 1) }
}
