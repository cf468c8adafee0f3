/**
 * What the thread that has the log gives to another one: the methods that `RemoteLog` calls. Memberships of the other thread
 * end with it (`close`), so that others may have their partitions. Claims are known here alone; over there they are numbers.
 */
import { type Lease, leaseOfOwn } from '../../lib/buffer-pool.ts'
import { Fault } from '../../lib/fault.ts'
import { handOver, takeOver } from '../batch.ts'
import type { Commits } from '../commits.ts'
import type { At, Batch, Claim, JoinOptions, Log, Membership, Partition, TopicSpec, Topics } from '../log.ts'
import { type PackedBatches, readerMethods, unpackBatches } from './reader.ts'

export interface SentJoin extends Omit<JoinOptions, 'warm'> {
  readonly warm: readonly At[]
}
export interface SentPart {
  readonly claim: number
  readonly positions: readonly At[]
}
export interface SentEntries {
  readonly partitions: readonly Partition[]
  /** By entry: the batch with its memory; null: it is the next of `batches`. */
  readonly given: readonly ({ readonly batch: Batch; readonly replaced: number | null } | null)[]
  readonly batches: PackedBatches
}
/** What has been received, until it is not asked about any more: the log has what it needs then. */
function received({ partitions, given, batches }: SentEntries): {
  readonly entries: readonly { partition: Partition; batch: Batch }[]
  release(): void
} {
  const packed = unpackBatches(batches).values()
  const owned: { batch: Batch; lease: Lease }[] = []
  const entries = partitions.map((partition, i) => {
    const own = given[i]!
    if (own === null) return { partition, batch: packed.next().value! }
    const batch = Buffer.from(own.batch.buffer, own.batch.byteOffset, own.batch.length)
    const lease = leaseOfOwn(batch)
    owned.push({ batch, lease })
    handOver(batch, { lease, replaced: own.replaced })
    return { partition, batch }
  })
  const release = (): void => {
    // A log that did not take the batch over may still look at it, and knows nothing of its lease.
    for (const { batch, lease } of owned) if (takeOver(batch) === null) lease.release()
  }
  return { entries, release }
}

interface Joined {
  readonly membership: Membership
  readonly claims: number[]
  /** Of the newest change that was given. */
  accept: () => void
}

export class LogHost {
  readonly #log: Log
  readonly #commits: Pick<Commits, 'put'>
  readonly #claims = new Map<number, Claim>()
  readonly #joined = new Map<number, Joined>()
  #nextId = 0
  #closed = false

  constructor(log: Log, commits: Pick<Commits, 'put'>) {
    this.#log = log
    this.#commits = commits
  }
  /** Its memberships leave. What it has asked to be committed may still be. */
  async close(): Promise<void> {
    this.#closed = true
    const left = [...this.#joined.values()]
    this.#joined.clear()
    await Promise.all(left.map(({ membership }) => membership.leave()))
    this.#claims.clear()
  }
  #claim(id: number): Claim {
    const claim = this.#claims.get(id)
    if (claim === undefined) throw new Fault('log.claim-lost', { what: 'partitions of a group' })
    return claim
  }
  #membership(id: number): Joined {
    const joined = this.#joined.get(id)
    if (joined === undefined) throw new Fault('log.closed', { what: 'the membership' })
    return joined
  }
  methods() {
    const log = this.#log
    return {
      ...readerMethods<number>(log.reader(), (id) => this.#claim(id)),
      bounds: (of: readonly Partition[]) => log.bounds(of),
      findTime: (of: readonly Partition[], timeMs: number) => log.findTime(of, timeMs),
      append: (acks: 'all' | 'leader' | 'none', sent: SentEntries) =>
        log.writer({ acks }).append(received(sent).entries),
      put: async (sent: SentEntries, parts: readonly SentPart[]) => {
        const { entries, release } = received(sent)
        const of = parts.map(({ claim, positions }) => ({ claim: this.#claim(claim), positions }))
        try {
          return await this.#commits.put(entries, of)
        } finally {
          release()
        }
      },

      createTopics: (specs: readonly TopicSpec[]) => log.topics.create(specs),
      alterTopic: (name: string, change: Parameters<Topics['alter']>[1]) => log.topics.alter(name, change),
      listTopics: () => log.topics.list(),
      topic: (name: string) => log.topics.get(name),
      removeTopics: (names: readonly string[]) => log.topics.remove(names),
      trimTopics: (to: readonly At[]) => log.topics.trim(to),
      watchTopics: (signal: AbortSignal) => log.topics.watch(signal),

      listGroups: () => log.groups.list(),
      groupPositions: (group: string) => log.groups.positions(group),
      resetGroup: (group: string, to: readonly At[]) => log.groups.reset(group, to),
      removeGroup: (group: string) => log.groups.remove(group),
      evict: (group: string, member: string) => log.groups.evict(group, member),

      /** `id`: chosen over there. */
      join: (id: number, group: string, { warm, ...options }: SentJoin) => {
        if (this.#closed) throw new Fault('log.closed', { what: 'the log' })
        const membership = log.join(group, { ...options, warm: () => [...warm] })
        this.#joined.set(id, { membership, claims: [], accept: () => {} })
      },
      changes: (id: number) => this.#changes(this.#membership(id)),
      accept: (id: number) => this.#membership(id).accept(),
      positions: (id: number, claim: number, of: readonly Partition[]) =>
        this.#membership(id).membership.positions(this.#claim(claim), of),
      leave: async (id: number) => {
        const { membership, claims } = this.#membership(id)
        this.#joined.delete(id)
        await membership.leave()
        for (const claim of claims) this.#claims.delete(claim)
      },
    }
  }
  async *#changes(joined: Joined): AsyncIterable<{
    readonly claim: number
    readonly active: readonly Partition[]
    readonly standby: readonly Partition[]
  }> {
    for await (const { claim, active, standby, accept } of joined.membership.changes()) {
      const id = this.#nextId++
      this.#claims.set(id, claim)
      joined.claims.push(id)
      joined.accept = accept
      yield { claim: id, active, standby }
    }
  }
}
export type LogMethods = ReturnType<LogHost['methods']>
