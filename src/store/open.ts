/** Opening and closing a data folder. */
import { Fault, asFault } from '../lib/fault.ts'
import { limits } from '../lib/limits.ts'
import type { World } from '../lib/world.ts'
import type { Core } from './core.ts'
import { Directories, parentOf } from './directories.ts'
import { DiskGuard } from './disk-guard.ts'
import { Handles } from './handles.ts'
import { HotTail } from './hot-tail.ts'
import { Journal, type KnownPartition, type PartitionState, readJournal, type ReadJournal } from './journal.ts'
import { openMeta } from './meta.ts'
import { type Damage, Partition } from './partition.ts'
import { recoverPartition } from './recovery.ts'
import { sweep } from './retention.ts'
import type { SparseIndex } from './sparse-index.ts'
import type { PartitionConfig, PartitionLog, Recovery, Store } from './store.ts'
import { SyncLoop } from './sync-loop.ts'

export interface StoreOptions {
  readonly world: World
  /** The data folder. Made when missing. */
  readonly dir: string
  /** Told of what goes wrong where no caller can be: failed disks, damage found. */
  readonly onFault?: (fault: Fault) => void
  /** Bytes of the newest batches kept in memory. */
  readonly hotBytes?: number
  /** Segment files open at a time. */
  readonly handlesMax?: number
  /** Intake stops when less is free. */
  readonly reserveBytes?: number
}

/** Throws Fault store.locked, store.damaged, store.format-too-new, store.failed. */
export async function openStore(options: StoreOptions): Promise<Store> {
  const { world } = options
  const dir = options.dir.replace(/(?<=.)\/+$/, '')
  try {
    await makeRoot(world, dir)
    const lock = world.disk.lock(`${dir}/lock`)
    try {
      const opening = new Opening(options, dir)
      return await opening.open(lock)
    } catch (error) {
      lock.release()
      throw error
    }
  } catch (error) {
    throw failure(error, dir)
  }
}

/** What a disk says as a Fault; a mistake of ours stays what it is. */
function failure(error: unknown, path: string): unknown {
  if (error instanceof Fault || typeof (error as { code?: unknown } | null)?.code !== 'string') return error
  return new Fault('store.failed', { what: (error as Error).message, path }, error)
}
const bytesOf = (state: PartitionState): number => state.segments.reduce((sum, segment) => sum + segment.bytes, 0)

/**
 * Makes the data folder and whatever is missing above it, durably. Until meta.json is there, an earlier process may have
 * made directories and died before it synced them.
 */
async function makeRoot(world: World, dir: string): Promise<void> {
  if (world.disk.stat(`${dir}/meta.json`) !== null) return
  world.disk.makeDirectory(dir)
  for (let at = dir; at !== '/' && at !== '.'; at = holderOf(at)) {
    try {
      await world.disk.syncDirectory(holderOf(at))
    } catch (error) {
      // A directory that may not be read is older than this folder.
      if (!['EACCES', 'EPERM'].includes((error as { code?: string }).code ?? '')) throw error
    }
  }
}
function holderOf(path: string): string {
  const at = path.lastIndexOf('/')
  if (at > 0) return path.slice(0, at)
  return at === 0 ? '/' : '.'
}

interface Found {
  readonly state: PartitionState
  readonly damage: Damage | null
  readonly verified: boolean
  readonly index: SparseIndex | null
}
const syncedTogether = 64

class Opening {
  readonly #options: StoreOptions
  readonly #world: World
  readonly #dir: string
  readonly #directories: Directories
  readonly #found = new Map<string, Found>()
  readonly #torn: Recovery['torn'][number][] = []
  readonly #damaged: Fault[] = []
  /** Folders in which names changed that must not come back. */
  readonly #moved: string[] = []
  readonly #forgotten: string[] = []
  #scannedBytes = 0

  constructor(options: StoreOptions, dir: string) {
    this.#options = options
    this.#world = options.world
    this.#dir = dir
    this.#directories = new Directories(options.world.disk, dir)
  }
  async open(lock: { release(): void }): Promise<Store> {
    const world = this.#world
    const startedMs = world.clock.monotonic()
    const meta = await openMeta(world, this.#directories, this.#dir)
    const path = `${this.#dir}/synced.log`
    const read = readJournal(world.disk, path)
    const journal = new Journal(world.disk, this.#directories, path)
    const clean = read === null ? !this.#hasPartitions() : read !== 'damaged' && read.clean
    let epoch = 0
    if (read !== null && read !== 'damaged' && clean) epoch = await this.#openClean(read, journal)
    else if (!clean) epoch = await this.#recoverAll(read, journal, path)
    else await journal.replace(() => ({ clean: false, epoch, partitions: [] }))
    this.#tidy()
    const recovery: Recovery = {
      clean,
      ms: world.clock.monotonic() - startedMs,
      scannedBytes: this.#scannedBytes,
      torn: this.#torn,
      damaged: this.#damaged,
    }
    for (const fault of this.#damaged) this.#options.onFault?.(fault)
    return new DiskStore({
      options: this.#options,
      dir: this.#dir,
      directories: this.#directories,
      journal,
      epoch,
      lock,
      instanceId: meta.instanceId,
      recovery,
      found: this.#found,
    })
  }
  /** One file is read, whatever the number of partitions. */
  async #openClean(read: ReadJournal, journal: Journal): Promise<number> {
    for (const [dir, known] of read.partitions) {
      if (known.state.damaged === true) this.#recoverOne(dir, known, read.epoch)
      else this.#found.set(dir, { state: known.state, damage: null, verified: false, index: null })
    }
    await journal.resume(read)
    return read.epoch
  }
  async #recoverAll(read: ReadJournal | 'damaged' | null, journal: Journal, path: string): Promise<number> {
    const known = read === null || read === 'damaged' ? new Map<string, KnownPartition>() : new Map(read.partitions)
    const lastEpoch = read === null || read === 'damaged' ? null : read.epoch
    if (read === 'damaged')
      this.#damaged.push(new Fault('store.damaged', { file: path, position: 0, what: 'the checkpoint is unreadable' }))
    const dirs = new Set([...this.#listPartitions(), ...known.keys()])
    const unsynced: string[] = []
    for (const dir of dirs) unsynced.push(...this.#recoverOne(dir, known.get(dir) ?? unknownPartition(dir), lastEpoch))
    await this.#syncAll(unsynced)
    for (const folder of this.#moved) await this.#directories.sync(folder)
    const states = [...this.#found.values()].map((found) => found.state)
    const epoch = 1 + (lastEpoch ?? Math.max(-1, ...states.map((each) => each.epochs.at(-1)?.epoch ?? -1)))
    if (read === 'damaged') this.#world.disk.rename(path, `${path}.damaged`)
    await journal.replace(() => ({ clean: false, epoch, partitions: states }))
    return epoch
  }
  #recoverOne(dir: string, known: KnownPartition, epoch: number | null): readonly string[] {
    const folder = `${this.#dir}/topics/${dir}`
    const context = { world: this.#world, directories: this.#directories, epoch }
    const recovered = recoverPartition(context, folder, known)
    this.#scannedBytes += recovered.scannedBytes
    this.#forgotten.push(...recovered.forgotten)
    this.#torn.push(...recovered.torn)
    if (recovered.damage !== null) this.#damaged.push(recovered.damage.fault)
    const isThere = this.#world.disk.stat(folder) !== null
    // The process that made these entries may have died before it synced them.
    if (isThere) this.#directories.suspect(folder)
    if (recovered.torn.length > 0) this.#moved.push(folder)
    if (isThere || recovered.state.end > 0 || recovered.damage !== null)
      this.#found.set(dir, { state: recovered.state, damage: recovered.damage, verified: true, index: recovered.index })
    return recovered.unsynced
  }
  /** What was read may so far be in the page cache only; it counts as durable from now on. */
  async #syncAll(paths: readonly string[]): Promise<void> {
    for (let i = 0; i < paths.length; i += syncedTogether)
      await Promise.all(paths.slice(i, i + syncedTogether).map((path) => this.#syncOne(path)))
  }
  async #syncOne(path: string): Promise<void> {
    const file = this.#world.disk.open(path, 'write')
    try {
      await Promise.all([file.datasync(), this.#directories.sync(parentOf(path))])
    } finally {
      file.close()
    }
  }
  #hasPartitions(): boolean {
    return this.#listPartitions().length > 0
  }
  #listPartitions(): string[] {
    const { disk } = this.#world
    const topics = `${this.#dir}/topics`
    return disk.list(topics).flatMap((topic) => disk.list(`${topics}/${topic}`).map((each) => `${topic}/${each}`))
  }
  /** Only now: before the checkpoint was durable a missing file would have been damage. */
  #tidy(): void {
    try {
      for (const stem of this.#forgotten) {
        for (const ending of ['log', 'offsets', 'times']) this.#world.disk.remove(`${stem}.${ending}`)
        this.#directories.changed(parentOf(stem))
      }
      this.#world.disk.remove(`${this.#dir}/trash`)
    } catch (error) {
      this.#options.onFault?.(asFault(error))
    }
  }
}

const nothingOf = (dir: string): Found => ({
  state: unknownPartition(dir).state,
  damage: null,
  verified: true,
  index: null,
})
function unknownPartition(dir: string): KnownPartition {
  const nothing = { dir, start: 0, end: 0, epochs: [], segments: [], sealed: false }
  return { state: nothing, durable: 0, start: 0, cuts: new Map() }
}

interface Opened {
  readonly options: StoreOptions
  readonly dir: string
  readonly directories: Directories
  readonly journal: Journal
  readonly epoch: number
  readonly lock: { release(): void }
  readonly instanceId: string
  readonly recovery: Recovery
  readonly found: Map<string, Found>
}

/** Bytes appended between two checkpoints: what an unclean start may have to scan. */
const checkpointBytes = 512 * 1024 * 1024
const sweepMs = 10_000

class DiskStore implements Store {
  readonly instanceId: string
  readonly recovery: Recovery
  readonly #opened: Opened
  readonly #world: World
  readonly #core: Core
  readonly #loop: SyncLoop
  /** Partitions that nobody has asked for yet. */
  readonly #found: Map<string, Found>
  readonly #partitions = new Map<string, Partition>()
  /** Partitions that began a new segment. */
  readonly #rolled = new Set<Partition>()
  #sizeBytes = 0
  #appendedBytes = 0
  #isReplacing = false
  #cancelSweep: () => void
  #closing: Promise<void> | null = null

  constructor(opened: Opened) {
    this.#opened = opened
    this.#world = opened.options.world
    this.instanceId = opened.instanceId
    this.recovery = opened.recovery
    this.#found = opened.found
    for (const { state } of opened.found.values()) this.#sizeBytes += bytesOf(state)
    const handlesMax = opened.options.handlesMax ?? limits.storeHandles
    this.#loop = new SyncLoop({
      clock: this.#world.clock,
      directories: opened.directories,
      journal: opened.journal,
      unsyncedMax: Math.max(1, handlesMax >> 1),
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
      throw failure(error, dir)
    }
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
      for (const partition of this.#partitions.values()) partition.saveIndexes()
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
    const wallMs = world.clock.now()
    const sinceMs = world.clock.monotonic()
    return {
      world,
      dir,
      epoch,
      directories,
      handles: new Handles(world.disk, handlesMax),
      journal,
      hot: new HotTail(options.hotBytes ?? limits.storeHotBytes),
      guard: new DiskGuard(world, dir, options.reserveBytes ?? limits.diskReserveBytes),
      retentionNow: () => Math.min(world.clock.now(), wallMs + world.clock.monotonic() - sinceMs),
      toWrite: (partition) => this.#loop.toWrite(partition),
      rolled: (partition) => void this.#rolled.add(partition),
      toSync: (partition) => this.#loop.toSync(partition),
      unsynced: (partition) => this.#loop.unsynced(partition),
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
