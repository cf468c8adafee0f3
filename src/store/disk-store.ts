/** The store on a disk: partitions by folder, one loop that writes and syncs, checkpoints, retention, a clean stop. */
import { AgeClock } from '../lib/age-clock.ts'
import { BufferPool } from '../lib/buffer-pool.ts'
import { asFault, Fault } from '../lib/fault.ts'
import { Gate } from '../lib/gate.ts'
import { limits } from '../lib/limits.ts'
import type { World } from '../lib/world.ts'
import type { Core } from './core.ts'
import { parentOf } from './directories.ts'
import { diskFault } from './disk-fault.ts'
import { DiskGuard } from './disk-guard.ts'
import { Handles } from './handles.ts'
import { HotTail } from './hot-tail.ts'
import type { PartitionState } from './journal.ts'
import { nothingOf, type Opened } from './opening.ts'
import { type OpenedPartition, Partition } from './partition.ts'
import { sweep } from './retention.ts'
import type { PartitionConfig, PartitionLog, Recovery, Store } from './store.ts'
import { SyncLoop } from './sync-loop.ts'

/** Bytes appended between two checkpoints: what an unclean start may have to scan. */
const checkpointBytes = 512 * 1024 * 1024
const sweepMs = 10_000

export class DiskStore implements Store {
  readonly instanceId: string
  readonly recovery: Recovery
  readonly #opened: Opened
  readonly #world: World
  readonly #core: Core
  readonly #loop: SyncLoop
  /** Partitions that nobody has asked for yet. */
  readonly #found: Map<string, OpenedPartition>
  readonly #partitions = new Map<string, Partition>()
  /** Partitions that began a new segment. */
  readonly #rolled = new Set<Partition>()
  readonly #damaged: Fault[] = []
  #sizeBytes = 0
  #appendedBytes = 0
  #isReplacing = false
  #cancelSweep: () => void
  #closing: Promise<void> | null = null

  constructor(opened: Opened) {
    this.#opened = opened
    this.#world = opened.options.world
    this.instanceId = opened.instanceId
    this.recovery = { ...opened.recovery, damaged: this.#damaged }
    this.#damaged.push(...opened.recovery.damaged)
    this.#found = opened.found
    for (const { state } of opened.found.values()) this.#sizeBytes += bytesOf(state)
    const handlesMax = opened.options.handlesMax ?? limits.storeHandles
    this.#loop = new SyncLoop({
      clock: this.#world.clock,
      directories: opened.directories,
      journal: opened.journal,
      unsyncedMax: Math.max(1, handlesMax >> 1),
      meter: opened.options.meter ?? null,
      report: (fault) => this.#report(fault),
      afterRound: () => this.#afterRound(),
    })
    this.#core = this.#makeCore(opened, handlesMax)
    this.#cancelSweep = this.#planSweep()
  }
  partition(dir: string, config: PartitionConfig): PartitionLog {
    const there = this.#partitions.get(dir)
    if (there !== undefined) {
      there.configure(config)
      return there
    }
    if (this.#closing !== null) throw new Fault('log.closed', { what: 'the store' })
    const found = this.#found.get(dir) ?? nothingOf(dir)
    const partition = new Partition(this.#core, found, config)
    this.#found.delete(dir)
    this.#partitions.set(dir, partition)
    return partition
  }
  partitions(): string[] {
    const { disk } = this.#world
    const onDisk = [...this.#partitions.values()].filter(({ segments }) => disk.stat(segments.folder) !== null)
    return [...this.#found.keys(), ...onDisk.map(({ dir }) => dir)].sort()
  }
  async drop(dir: string): Promise<void> {
    const partition = this.#partitions.get(dir)
    const state = partition?.state() ?? this.#found.get(dir)?.state
    if (partition !== undefined) {
      this.#loop.forget(partition)
      this.#rolled.delete(partition)
      this.#sizeBytes -= partition.sizeBytes
      partition.close()
    } else if (state !== undefined) this.#sizeBytes -= bytesOf(state)
    this.#partitions.delete(dir)
    this.#found.delete(dir)
    try {
      await this.#moveToTrash(dir, `${this.#opened.dir}/topics/${dir}`)
    } catch (error) {
      // It is still there: it can be dropped again.
      if (state !== undefined && state.end > 0) this.#keep(state)
      throw diskFault(error, dir)
    }
  }
  get leaderEpoch(): number {
    return this.#opened.epoch
  }
  sizeBytes(): number {
    return this.#sizeBytes
  }
  close(): Promise<void> {
    this.#closing ??= this.#close()
    return this.#closing
  }

  #keep(state: PartitionState): void {
    this.#found.set(state.dir, { state, damage: null, verified: false, index: null })
    this.#sizeBytes += bytesOf(state)
  }
  /** One rename takes the folder out of the log at once; its files follow. */
  async #moveToTrash(dir: string, folder: string): Promise<void> {
    const { journal, directories } = this.#opened
    const { disk } = this.#world
    if (disk.stat(folder) === null) return
    journal.dropped(dir)
    // A folder that is missing without a word about it would be damage.
    await journal.sync()
    const trash = `${this.#opened.dir}/trash`
    const to = `${trash}/${this.#world.random.uuid()}`
    directories.make(trash)
    disk.rename(folder, to)
    directories.changed(trash)
    directories.changed(parentOf(folder))
    if (disk.list(parentOf(folder)).length === 0) {
      disk.remove(parentOf(folder))
      directories.removed(parentOf(folder))
    }
    await directories.sync(`${this.#opened.dir}/topics`)
    disk.remove(to)
  }
  async #close(): Promise<void> {
    this.#cancelSweep()
    for (const partition of this.#partitions.values()) partition.stop()
    await this.#loop.drain()
    const { journal, lock } = this.#opened
    try {
      const isWhole = [...this.#partitions.values()].every((each) => !each.isFenced && !each.hasUnsynced)
      for (const partition of this.#partitions.values()) partition.tidy()
      if (isWhole) await this.#opened.directories.syncAll()
      await journal.replace(() => this.#checkpoint(isWhole))
    } catch (error) {
      this.#report(asFault(error))
    } finally {
      for (const partition of this.#partitions.values()) partition.close()
      this.#core.handles.closeAll()
      journal.close()
      lock.release()
    }
  }
  #makeCore(opened: Opened, handlesMax: number): Core {
    const { options, dir, directories, journal, epoch } = opened
    const world = this.#world
    const ages = new AgeClock(world.clock)
    return {
      world,
      dir,
      epoch,
      directories,
      handles: new Handles(world.disk, handlesMax),
      journal,
      hot: new HotTail(options.hotBytes ?? limits.storeHotBytes),
      pool: options.pool ?? new BufferPool(limits.poolIdleBytes),
      guard: new DiskGuard(world, dir, options.reserveBytes ?? limits.diskReserveBytes),
      reads: new Gate(limits.storeReads),
      retentionNow: () => ages.now(),
      retentionStamp: () => ages.stamp(),
      toWrite: (partition) => this.#loop.toWrite(partition),
      rolled: (partition) => void this.#rolled.add(partition),
      toSync: (partition) => this.#loop.toSync(partition),
      unsynced: (partition) => this.#loop.unsynced(partition),
      checkpoint: () => journal.replace(() => this.#checkpoint(false)),
      foundDamage: (fault) => {
        this.#damaged.push(fault)
        if (this.#closing === null)
          journal.replace(() => this.#checkpoint(false)).catch((error: unknown) => this.#report(asFault(error)))
      },
      report: (fault) => this.#report(fault),
      resized: (bytes) => {
        this.#sizeBytes += bytes
        if (bytes > 0) this.#appendedBytes += bytes
      },
    }
  }
  #report(fault: Fault): void {
    this.#opened.options.onFault?.(fault)
  }
  #checkpoint(clean: boolean): { clean: boolean; epoch: number; partitions: PartitionState[] } {
    const asked = [...this.#partitions.values()].map((partition) => partition.state())
    const rest = [...this.#found.values()].map((found) => found.state)
    return { clean, epoch: this.#opened.epoch, partitions: [...asked.filter((each) => each.end > 0), ...rest] }
  }
  #afterRound(): void {
    const { journal } = this.#opened
    if (this.#closing !== null) return
    if (this.#rolled.size > 0) void this.#sweepRolled()
    if (this.#isReplacing) return
    if (!journal.wantsReplacing && this.#appendedBytes < checkpointBytes) return
    this.#appendedBytes = 0
    this.#isReplacing = true
    journal
      .replace(() => this.#checkpoint(false))
      .catch((error: unknown) => this.#report(asFault(error)))
      .finally(() => (this.#isReplacing = false))
  }
  #planSweep(): () => void {
    return this.#world.clock.after(sweepMs, () => void this.#sweepAll())
  }
  async #sweepAll(): Promise<void> {
    await this.#sweep(this.#partitions.values())
    if (this.#closing === null) this.#cancelSweep = this.#planSweep()
  }
  /** A fast writer must not pass its bound of bytes until the next sweep of all. */
  async #sweepRolled(): Promise<void> {
    const rolled = [...this.#rolled]
    this.#rolled.clear()
    await this.#sweep(rolled)
  }
  async #sweep(partitions: Iterable<Partition>): Promise<void> {
    const nowMs = this.#core.retentionNow()
    for (const partition of partitions) {
      try {
        await sweep(partition, nowMs)
      } catch (error) {
        this.#report(asFault(error))
      }
    }
  }
}

const bytesOf = (state: PartitionState): number => state.segments.reduce((sum, segment) => sum + segment.bytes, 0)
