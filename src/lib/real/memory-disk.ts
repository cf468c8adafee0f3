/**
 * A disk in memory, for `--data :memory:`. Nothing is durable, so every sync succeeds at once. A file is a list of
 * chunks that grow from small to large and are never copied, so a growing file costs what it holds.
 */
import { Fault } from '../fault.ts'
import { timeMs } from '../brand.ts'
import type { Disk, DiskError, File } from '../world.ts'

const firstChunkBytes = 4096
const chunkBytesMax = 1024 * 1024

export interface MemoryDiskOptions {
  /** Bytes that may still be taken. Default: what the process may still get from the machine. */
  readonly free?: () => number
  readonly now?: () => number
}

type Directory = Map<string, Directory | Chunks>

export function memoryDisk(options: MemoryDiskOptions = {}): Disk {
  const free = options.free ?? ((): number => process.availableMemory())
  const now = options.now ?? ((): number => Date.now())
  const root: Directory = new Map()
  const locks = new Set<string>()
  return {
    roomBytes: 0,
    open(path, mode) {
      const { folder, name } = place(root, path)
      let found = folder?.get(name)
      if (found instanceof Map) throw diskError('EISDIR', path)
      if (found === undefined) {
        if (mode === 'read' || folder === null) throw diskError('ENOENT', path)
        found = new Chunks(now)
        folder.set(name, found)
      }
      return new MemoryFile(path, found)
    },
    stat(path) {
      const found = find(root, path)
      if (found === null) return null
      if (found instanceof Map) return { size: 0, modifiedMs: timeMs(0), directory: true }
      return { size: found.size, modifiedMs: timeMs(found.modifiedMs), directory: false }
    },
    list(path) {
      const found = find(root, path)
      if (found !== null && !(found instanceof Map)) throw diskError('ENOTDIR', path)
      return [...(found?.keys() ?? [])].sort()
    },
    makeDirectory(path) {
      let at = root
      for (const name of partsOf(path)) {
        let next = at.get(name)
        if (next === undefined) at.set(name, (next = new Map()))
        if (!(next instanceof Map)) throw diskError('ENOTDIR', path)
        at = next
      }
    },
    rename(from, to) {
      const source = place(root, from)
      const target = place(root, to)
      const moved = source.folder?.get(source.name)
      if (moved === undefined || target.folder === null) throw diskError('ENOENT', moved === undefined ? from : to)
      source.folder!.delete(source.name)
      target.folder.set(target.name, moved)
    },
    remove(path) {
      const { folder, name } = place(root, path)
      folder?.delete(name)
    },
    syncDirectory: () => Promise.resolve(),
    free: () => free(),
    lock(path) {
      const key = partsOf(path).join('/')
      if (locks.has(key)) throw new Fault('store.locked', { path })
      locks.add(key)
      return { release: () => void locks.delete(key) }
    },
  }
}

const partsOf = (path: string): string[] => path.split('/').filter((part) => part !== '' && part !== '.')

function find(root: Directory, path: string): Directory | Chunks | null {
  let at: Directory | Chunks | undefined = root
  for (const name of partsOf(path)) {
    if (!(at instanceof Map)) return null
    at = at.get(name)
  }
  return at ?? null
}

/** The directory that holds (or would hold) a path's last part; null when it does not exist. */
function place(root: Directory, path: string): { folder: Directory | null; name: string } {
  const parts = partsOf(path)
  const name = parts.pop() ?? ''
  const folder = find(root, parts.join('/'))
  return { folder: folder instanceof Map ? folder : null, name }
}

function diskError(code: string, path: string): DiskError {
  return Object.assign(new Error(`${code}: ${path}`), { code })
}

/** Contents of a file: chunk sizes double up to a megabyte, so a position finds its chunk without a search. */
class Chunks {
  size = 0
  modifiedMs: number
  readonly #now: () => number
  readonly #chunks: Buffer[] = []
  /** Where each chunk begins, and at last where the next one would. */
  readonly #starts: number[] = [0]

  constructor(now: () => number) {
    this.#now = now
    this.modifiedMs = now()
  }
  write(bytes: Uint8Array, position: number): void {
    this.#growTo(position + bytes.length)
    this.#walk(position, bytes.length, (chunk, from, to, done) => {
      chunk.set(bytes.subarray(done, done + to - from), from)
    })
    if (position + bytes.length > this.size) this.size = position + bytes.length
    this.modifiedMs = this.#now()
  }
  read(target: Uint8Array, position: number): number {
    const length = Math.max(0, Math.min(target.length, this.size - position))
    this.#walk(position, length, (chunk, from, to, done) => {
      target.set(chunk.subarray(from, to), done)
    })
    return length
  }
  truncate(size: number): void {
    if (size > this.size) this.#growTo(size)
    else this.#walk(size, this.size - size, (chunk, from, to) => void chunk.fill(0, from, to))
    while (this.#chunks.length > 0 && this.#starts.at(-2)! >= size) {
      this.#chunks.pop()
      this.#starts.pop()
    }
    this.size = size
    this.modifiedMs = this.#now()
  }
  #growTo(end: number): void {
    while (this.#starts.at(-1)! < end) {
      const bytes = Math.min(firstChunkBytes * 2 ** Math.min(this.#chunks.length, 20), chunkBytesMax)
      this.#chunks.push(Buffer.alloc(bytes))
      this.#starts.push(this.#starts.at(-1)! + bytes)
    }
  }
  #walk(
    position: number,
    length: number,
    visit: (chunk: Buffer, from: number, to: number, done: number) => void,
  ): void {
    let done = 0
    for (let i = length > 0 ? this.#chunkOf(position) : 0; done < length; i++) {
      const from = position + done - this.#starts[i]!
      const to = Math.min(this.#chunks[i]!.length, from + length - done)
      visit(this.#chunks[i]!, from, to, done)
      done += to - from
    }
  }
  #chunkOf(position: number): number {
    let low = 0
    let high = this.#chunks.length - 1
    while (low < high) {
      const middle = (low + high + 1) >> 1
      if (this.#starts[middle]! <= position) low = middle
      else high = middle - 1
    }
    return low
  }
}

class MemoryFile implements File {
  readonly path: string
  readonly #chunks: Chunks

  constructor(path: string, chunks: Chunks) {
    this.path = path
    this.#chunks = chunks
  }
  size(): number {
    return this.#chunks.size
  }
  write(buffers: readonly Uint8Array[], position: number): void {
    let at = position
    for (const bytes of buffers) {
      this.#chunks.write(bytes, at)
      at += bytes.length
    }
  }
  read(target: Uint8Array, position: number): number {
    return this.#chunks.read(target, position)
  }
  async readLater(target: Uint8Array, position: number): Promise<number> {
    return this.#chunks.read(target, position)
  }
  truncate(size: number): void {
    this.#chunks.truncate(size)
  }
  datasync(): Promise<void> {
    return Promise.resolve()
  }
  close(): void {}
}
