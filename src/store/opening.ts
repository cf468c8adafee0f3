/**
 * What is in a data folder when it is opened. After a clean stop one file says it all; otherwise every partition is
 * looked at (`recovery.ts`), what was found is made durable, and a new checkpoint is written before anything is deleted.
 */
import { asFault, Fault } from '../lib/fault.ts'
import type { File, World } from '../lib/world.ts'
import { Directories, parentOf } from './directories.ts'
import { Journal, type KnownPartition, readJournal, type ReadJournal } from './journal.ts'
import { openMeta } from './meta.ts'
import type { StoreOptions } from './options.ts'
import type { OpenedPartition } from './partition.ts'
import { type Unsynced, recoverPartition } from './recovery.ts'
import type { Recovery } from './store.ts'

/** An open data folder, for the store to go on with. */
export interface Opened {
  readonly options: StoreOptions
  readonly dir: string
  readonly directories: Directories
  readonly journal: Journal
  readonly epoch: number
  readonly lock: { release(): void }
  readonly instanceId: string
  readonly recovery: Recovery
  readonly found: Map<string, OpenedPartition>
}

const syncedTogether = 64
const rewrittenBytes = 1024 * 1024

/**
 * Writes what an earlier process wrote once more, in its place. A sync that failed then, or at a start since, has left pages
 * that are not on the disk and count as clean: the next sync would succeed without them.
 */
function rewrite(file: File, from: number): void {
  const piece = Buffer.allocUnsafe(Math.max(0, Math.min(rewrittenBytes, file.size() - from)))
  for (let position = from; ;) {
    const count = piece.length === 0 ? 0 : file.read(piece, position)
    if (count === 0) return
    file.write([piece.subarray(0, count)], position)
    position += count
  }
}

export class Opening {
  readonly #options: StoreOptions
  readonly #world: World
  readonly #dir: string
  readonly #directories: Directories
  readonly #found = new Map<string, OpenedPartition>()
  readonly #torn: Recovery['torn'][number][] = []
  readonly #damaged: Fault[] = []
  /** Folders in which names changed that must not come back. */
  readonly #moved: string[] = []
  readonly #forgotten: string[] = []
  #scannedBytes = 0
  readonly #mendsMeta: boolean

  /** `mendsMeta`: for tools, see `openMeta`. */
  constructor(options: StoreOptions, dir: string, { mendsMeta = false } = {}) {
    this.#mendsMeta = mendsMeta
    this.#options = options
    this.#world = options.world
    this.#dir = dir
    this.#directories = new Directories(options.world.disk, dir)
  }
  async open(lock: { release(): void }): Promise<Opened> {
    const world = this.#world
    const startedMs = world.clock.monotonic()
    const mend = this.#mendsMeta ? (fault: Fault): void => void this.#damaged.push(fault) : undefined
    const meta = await openMeta(world, this.#directories, this.#dir, mend)
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
    return {
      options: this.#options,
      dir: this.#dir,
      directories: this.#directories,
      journal,
      epoch,
      lock,
      instanceId: meta.instanceId,
      recovery,
      found: this.#found,
    }
  }
  /** One file is read, whatever the number of partitions. */
  async #openClean(read: ReadJournal, journal: Journal): Promise<number> {
    const unsynced: Unsynced[] = []
    for (const [dir, known] of read.partitions) {
      if (known.state.damaged !== undefined) unsynced.push(...this.#recoverOne(dir, known, read.epoch))
      else this.#found.set(dir, { state: known.state, damage: null, verified: false, index: null })
    }
    // Of what was damaged, files may have been put back.
    await this.#syncAll(unsynced)
    await journal.resume(read)
    return read.epoch
  }
  async #recoverAll(read: ReadJournal | 'damaged' | null, journal: Journal, path: string): Promise<number> {
    const known = read === null || read === 'damaged' ? new Map<string, KnownPartition>() : new Map(read.partitions)
    const lastEpoch = read === null || read === 'damaged' ? null : read.epoch
    if (read === 'damaged')
      this.#damaged.push(new Fault('store.damaged', { file: path, position: 0, what: 'the checkpoint is unreadable' }))
    const dirs = new Set([...this.#listPartitions(), ...known.keys()])
    const unsynced: Unsynced[] = []
    for (const dir of dirs) unsynced.push(...this.#recoverOne(dir, known.get(dir) ?? unknownPartition(dir), lastEpoch))
    await this.#syncAll(unsynced)
    for (const folder of this.#moved) await this.#directories.sync(folder)
    const states = [...this.#found.values()].map((found) => found.state)
    const epoch = 1 + (lastEpoch ?? Math.max(-1, ...states.map((each) => each.epochs.at(-1)?.epoch ?? -1)))
    if (read === 'damaged') this.#world.disk.rename(path, `${path}.damaged`)
    await journal.replace(() => ({ clean: false, epoch, partitions: states }))
    return epoch
  }
  #recoverOne(dir: string, known: KnownPartition, epoch: number | null): readonly Unsynced[] {
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
  async #syncAll(files: readonly Unsynced[]): Promise<void> {
    for (let i = 0; i < files.length; i += syncedTogether)
      await Promise.all(files.slice(i, i + syncedTogether).map((file) => this.#syncOne(file)))
  }
  async #syncOne({ path, from }: Unsynced): Promise<void> {
    const file = this.#world.disk.open(path, 'write')
    try {
      rewrite(file, from)
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

/** A partition that nobody has written to. */
export const nothingOf = (dir: string): OpenedPartition => ({
  state: unknownPartition(dir).state,
  damage: null,
  verified: true,
  index: null,
})
function unknownPartition(dir: string): KnownPartition {
  const nothing = { dir, start: 0, end: 0, epochs: [], segments: [], sealed: false }
  return { state: nothing, durable: 0, start: 0, cuts: new Map() }
}
