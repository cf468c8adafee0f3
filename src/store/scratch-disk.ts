/**
 * A disk over another one that changes nothing of it: what is written, renamed and removed stays in memory. A data folder
 * can so be opened as a start would open it, recovery and all, and be looked at without a byte of it being touched. Only
 * the lock is taken on the real disk. Files hold in memory what was written to them, not what they hold below.
 */
import { timeMs } from '../lib/brand.ts'
import type { Disk, DiskError, File } from '../lib/world.ts'

/** Files that are here instead of there: changed ones, and those that have got another name. */
interface Changed {
  /** Where the bytes are that nobody has written to; null = nowhere. */
  readonly below: string | null
  /** How many of them still count. */
  belowBytes: number
  size: number
  /** In the order in which they were written. */
  readonly written: { readonly position: number; readonly bytes: Uint8Array }[]
}

export function scratchDisk(disk: Disk): Disk {
  const changed = new Map<string, Changed>()
  const directories = new Set<string>()
  const gone = new Set<string>()
  const isGone = (path: string): boolean => {
    for (let at = path; at !== ''; at = at.slice(0, Math.max(0, at.lastIndexOf('/')))) if (gone.has(at)) return true
    return false
  }
  const statBelow = (path: string): ReturnType<Disk['stat']> => (isGone(path) ? null : disk.stat(path))
  /** The file as one that may change here; null = there is none. */
  const take = (path: string): Changed | null => {
    const here = changed.get(path)
    if (here !== undefined) return here
    const found = statBelow(path)
    if (found === null || found.directory) return null
    const taken = { below: path, belowBytes: found.size, size: found.size, written: [] }
    changed.set(path, taken)
    return taken
  }
  return {
    roomBytes: disk.roomBytes,
    open(path, mode) {
      if (mode === 'read' && !changed.has(path) && !isGone(path)) return disk.open(path, 'read')
      let file = take(path)
      if (file === null) {
        if (mode === 'read') throw diskError('ENOENT', path)
        file = { below: null, belowBytes: 0, size: 0, written: [] }
        changed.set(path, file)
      }
      return new ScratchFile(path, file, disk)
    },
    stat(path) {
      const here = changed.get(path)
      if (here !== undefined) return { size: here.size, modifiedMs: timeMs(0), directory: false }
      if (directories.has(path)) return { size: 0, modifiedMs: timeMs(0), directory: true }
      return statBelow(path)
    },
    list(path) {
      const names = new Set(isGone(path) ? [] : disk.list(path).filter((name) => !gone.has(`${path}/${name}`)))
      for (const one of [...changed.keys(), ...directories])
        if (one.startsWith(`${path}/`)) names.add(one.slice(path.length + 1).split('/')[0]!)
      return [...names].sort()
    },
    makeDirectory(path) {
      for (let at = path; at !== ''; at = at.slice(0, Math.max(0, at.lastIndexOf('/')))) directories.add(at)
    },
    rename(from, to) {
      const file = take(from)
      // Directories are renamed only on their way to the trash, which nothing here does.
      if (file === null) throw diskError('ENOENT', from)
      changed.delete(from)
      gone.add(from)
      changed.set(to, file)
    },
    remove(path) {
      for (const one of [...changed.keys()]) if (one === path || one.startsWith(`${path}/`)) changed.delete(one)
      for (const one of [...directories]) if (one === path || one.startsWith(`${path}/`)) directories.delete(one)
      gone.add(path)
    },
    syncDirectory: () => Promise.resolve(),
    free: (path) => disk.free(path),
    lock: (path) => disk.lock(path),
  }
}

class ScratchFile implements File {
  readonly path: string
  readonly #file: Changed
  readonly #disk: Disk

  constructor(path: string, file: Changed, disk: Disk) {
    this.path = path
    this.#file = file
    this.#disk = disk
  }
  size(): number {
    return this.#file.size
  }
  write(buffers: readonly Uint8Array[], position: number): void {
    // The caller may use its memory again.
    const bytes = Buffer.concat(buffers)
    this.#file.written.push({ position, bytes })
    this.#file.size = Math.max(this.#file.size, position + bytes.length)
  }
  read(target: Uint8Array, position: number): number {
    const { below, belowBytes, size, written } = this.#file
    const count = Math.max(0, Math.min(target.length, size - position))
    target.fill(0, 0, count)
    const countBelow = Math.min(count, belowBytes - position)
    if (below !== null && countBelow > 0) {
      const file = this.#disk.open(below, 'read')
      try {
        file.read(target.subarray(0, countBelow), position)
      } finally {
        file.close()
      }
    }
    for (const { position: at, bytes } of written) {
      const from = Math.max(position, at)
      const to = Math.min(position + count, at + bytes.length)
      if (from < to) target.set(bytes.subarray(from - at, to - at), from - position)
    }
    return count
  }
  async readLater(target: Uint8Array, position: number): Promise<number> {
    return this.read(target, position)
  }
  truncate(size: number): void {
    const { written } = this.#file
    this.#file.belowBytes = Math.min(this.#file.belowBytes, size)
    const kept = written
      .filter(({ position }) => position < size)
      .map(({ position, bytes }) => ({ position, bytes: bytes.subarray(0, size - position) }))
    written.splice(0, written.length, ...kept)
    this.#file.size = size
  }
  datasync(): Promise<void> {
    return Promise.resolve()
  }
  close(): void {}
}

const diskError = (code: string, path: string): DiskError => Object.assign(new Error(`${code}: ${path}`), { code })
