/**
 * Follows the changelog of a view that another process runs, so that there is little left to restore when this one takes
 * over. What it has read lies in the graph, which nobody else uses meanwhile.
 */
import type { Offset } from '../../lib/brand.ts'
import { asFault } from '../../lib/fault.ts'
import type { Clock } from '../../lib/world.ts'
import { decodeBatch, isControl } from '../../log/batch.ts'
import type { Log, Partition, Reader } from '../../log/log.ts'
import type { Graph } from '../graph.ts'

const waitMs = 30_000
const retryMs = 1_000

export class Standby {
  private readonly log: Log
  private readonly clock: Clock
  private readonly graph: Graph
  private readonly reader: Reader
  /** Of the changelog, by partition. */
  private at: Offset[] | null = null
  private stop = new AbortController()
  private following: Promise<void> | null = null

  constructor(log: Log, clock: Clock, graph: Graph) {
    this.log = log
    this.clock = clock
    this.graph = graph
    this.reader = log.reader()
  }
  /** From where it was, or from the beginning. */
  begin(changelog: readonly Partition[]): void {
    if (this.following !== null) return
    this.stop = new AbortController()
    const { signal } = this.stop
    this.following = this.follow(changelog, signal).finally(() => (this.following = null))
  }
  /** When nothing is read any more, up to where the graph has it, by partition; null: it has nothing. */
  async end(): Promise<readonly Offset[] | null> {
    this.stop.abort()
    await this.following
    const { at } = this
    this.at = null
    return at
  }
  /** Does the work while nothing is read. */
  async aside(changelog: readonly Partition[], work: () => Promise<void>): Promise<void> {
    const wasFollowing = this.following !== null
    this.stop.abort()
    await this.following
    await work()
    if (wasFollowing) this.begin(changelog)
  }

  private async follow(changelog: readonly Partition[], signal: AbortSignal): Promise<void> {
    while (!signal.aborted)
      try {
        this.at ??= await this.fromStart(changelog)
        await this.step(changelog, this.at, signal)
      } catch (error) {
        if (signal.aborted || asFault(error).code === 'log.closed') return
        // What it has may have a gap; whoever takes over reads all of it.
        this.at = null
        await this.clock.sleep(retryMs, signal).catch(() => {})
      }
  }
  private async fromStart(changelog: readonly Partition[]): Promise<Offset[]> {
    this.graph.clear()
    return (await this.log.bounds(changelog)).map(({ start }) => start)
  }
  private async step(changelog: readonly Partition[], at: Offset[], signal: AbortSignal): Promise<void> {
    const from = changelog.map((partition, i) => ({ partition, offset: at[i]! }))
    for (const chunk of await this.reader.read(from, { ms: waitMs }, signal)) {
      if ('fault' in chunk) throw chunk.fault
      const place = changelog.findIndex(({ index }) => index === chunk.partition.index)
      for (const batch of chunk.batches)
        for (const { key, value, timeMs, offset } of isControl(batch) ? [] : decodeBatch(batch))
          if (key !== null && offset >= at[place]!) this.graph.restore(key, value, timeMs)
      at[place] = chunk.next
    }
    this.graph.commit()
  }
}
