/**
 * Waiting until everything that was under way over positions and changelogs is decided, and ending what a dead process left
 * open. Only a process that its group does not list any more is fenced, and, while its connection stands, not even then
 * for a while: a process that left in good order is still waiting for its last markers.
 */
import { type Offset, offset as asOffset } from '../../../lib/brand.ts'
import { Fault } from '../../../lib/fault.ts'
import type { Chunk, Claim, Partition, Reader } from '../../log.ts'
import { type ClusterClaim, clusterClaim, placeOf } from '../group/claim.ts'
import { describeGroup } from '../group/describe.ts'
import { byPlace, committedOf } from '../group/offsets.ts'
import { endOf, startOf } from '../list-offsets.ts'
import type { Coordinators } from '../net/coordinators.ts'
import type { Metadata } from '../net/metadata.ts'
import { type Network, closedFault } from '../net/network.ts'
import { initTransactionalId, offsetsPartitionOf, openOver, processOf } from './transactions.ts'

/**
 * How long a transaction of a process that is not in the group may hang before it is ended. Markers of a commit that was
 * answered take some ms. A process whose connection stands may be paused, or still have its last markers written.
 */
const waitMs = { dead: 0, unknown: 250, alive: 1_000 } as const
const lookAgainMs = 125
const againMs = 20
const readMs = 100

export interface SettlingHost {
  readonly network: Network
  readonly metadata: Metadata
  readonly coordinators: Coordinators
  readonly process: string
  /** 'dead': its end was seen. 'alive': its connection stands. */
  known(process: string): 'dead' | 'alive' | 'unknown'
}

export class Settling {
  readonly #host: SettlingHost

  constructor(host: SettlingHost) {
    this.#host = host
  }

  /** Positions when no transaction is open over them. Throws Fault log.claim-lost. */
  async positions(claim: ClusterClaim, of: readonly Partition[]): Promise<(Offset | null)[]> {
    const { coordinators } = this.#host
    const hanging = new Hanging(this.#host, claim.group)
    for (;;) {
      if (claim.lost) throw new Fault('log.claim-lost', { what: `partitions of group ${claim.group}` })
      const committed = of.length === 0 ? [] : await committedOf(coordinators, claim.group, of, true)
      const unstable = committed.filter((one) => one.unstable)
      if (unstable.length === 0) {
        const found = byPlace(committed)
        return of.map((partition) => {
          const offset = found.get(placeOf(partition))?.offset ?? -1
          return offset < 0 ? null : asOffset(offset)
        })
      }
      await hanging.wait(async () => {
        const where = await offsetsPartitionOf(this.#host, claim.group)
        return [
          ...(await this.#committers(
            claim,
            unstable.map(({ partition }) => partition),
          )),
          ...(where === null ? [] : await openOver(this.#host, where)),
        ]
      })
    }
  }
  /** Who committed last: the first to suspect when something hangs. */
  async #committers(claim: ClusterClaim, of: readonly Partition[]): Promise<string[]> {
    const committed = await committedOf(this.#host.coordinators, claim.group, of, false)
    return committed.map(({ metadata }) => metadata).filter((id) => processOf(id) !== null)
  }

  async *restore(reader: Reader, partition: Partition, claim: Claim, from?: Offset): AsyncIterable<Chunk> {
    const of = clusterClaim(claim)
    // A claim that came through a port knows no loss: then the positions say nothing, and reading on does no harm.
    await this.positions({ ...of, lost: false }, of.partitions)
    // Not the last stable offset: a committed transaction whose marker is still under way lies behind it.
    const [end, start] = await Promise.all([endOf(this.#host, partition), from ?? startOf(this.#host, partition)])
    const hanging = new Hanging(this.#host, of.group)
    for (let at = start; at < end;) {
      const [chunk] = await reader.read([{ partition, offset: at }], { ms: readMs })
      if (chunk === undefined) return
      if ('fault' in chunk) return yield chunk
      if (chunk.next > at) {
        at = chunk.next
        if (chunk.batches.length > 0) yield chunk
        continue
      }
      await hanging.wait(async () => [
        ...(await this.#committers(of, of.partitions)),
        ...(await openOver(this.#host, partition)),
      ])
    }
  }
}

/** Something is not decided yet. Waits, and after a while ends what dead processes left. */
class Hanging {
  readonly #host: SettlingHost
  readonly #group: string
  readonly #sinceMs: number
  #lookedMs = -Infinity
  readonly #ended = new Set<string>()

  constructor(host: SettlingHost, group: string) {
    this.#host = host
    this.#group = group
    this.#sinceMs = host.network.clock.monotonic()
  }
  /** Looks at once, for those known to be dead, and then every so often. Throws Fault log.closed. */
  async wait(suspects: () => Promise<readonly string[]>): Promise<void> {
    const { clock, closing } = this.#host.network
    const nowMs = clock.monotonic()
    if (nowMs - this.#lookedMs >= lookAgainMs) {
      this.#lookedMs = nowMs
      await this.#endDead(new Set(await suspects()), nowMs - this.#sinceMs)
    }
    await clock.sleep(againMs, closing).catch(() => {
      throw closedFault()
    })
  }
  async #endDead(ids: ReadonlySet<string>, forMs: number): Promise<void> {
    const open = [...ids].filter((id) => !this.#ended.has(id) && processOf(id) !== this.#host.process)
    if (open.length === 0) return
    const { members } = await describeGroup(this.#host.coordinators, this.#group)
    for (const id of open) {
      const process = processOf(id)
      if (process === null || members.some((member) => member.process === process)) continue
      if (forMs < waitMs[this.#host.known(process)]) continue
      await initTransactionalId(this.#host, id)
      this.#ended.add(id)
    }
  }
}
