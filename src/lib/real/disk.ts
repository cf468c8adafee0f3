/**
 * The disk over node:fs. What the page cache answers runs on this thread (a write of a batch costs less there than a
 * hop to another thread); what waits for the device (fdatasync, cold reads) runs in libuv's pool.
 */
import * as fs from 'node:fs'
import { dirname, resolve } from 'node:path'
import { timeMs } from '../brand.ts'
import { limits } from '../limits.ts'
import type { Disk, File } from '../world.ts'
import { lockFile } from './lock.ts'

// Syncing 50 files takes 5.1 ms with libuv's default of 4 threads, 1.9 ms with 32. Read when the pool first starts.
process.env['UV_THREADPOOL_SIZE'] ??= '32'

/** What one call of writev or read may move; Linux stops just below 2 GiB. */
const transferBytesMax = 1 << 30

export const realDisk: Disk = {
  roomBytes: limits.storeRoomBytes,
  open(path, mode) {
    const flags = mode === 'read' ? fs.constants.O_RDONLY : fs.constants.O_RDWR | fs.constants.O_CREAT
    return new RealFile(path, fs.openSync(path, flags, 0o644))
  },
  stat(path) {
    const found = fs.statSync(path, { throwIfNoEntry: false })
    if (found === undefined) return null
    return { size: found.size, modifiedMs: timeMs(found.mtimeMs), directory: found.isDirectory() }
  },
  list(path) {
    try {
      return fs.readdirSync(path).sort()
    } catch (error) {
      if (errno(error) === 'ENOENT') return []
      throw error
    }
  },
  makeDirectory(path) {
    // Node's own `recursive` tries for ever where a parent cannot be made (/proc, a drive that is not there).
    const missing: string[] = []
    for (let at = resolve(path); !isDirectory(at) && at !== missing.at(-1); at = dirname(at)) missing.push(at)
    for (const at of missing.reverse())
      try {
        fs.mkdirSync(at)
      } catch (error) {
        if (errno(error) !== 'EEXIST' || !isDirectory(at)) throw error
      }
  },
  rename: (from, to) => fs.renameSync(from, to),
  remove: (path) => fs.rmSync(path, { recursive: true, force: true }),
  syncDirectory(path) {
    // Windows has no way to sync a directory; its file systems log the entries themselves.
    if (process.platform === 'win32') return Promise.resolve()
    return new Promise((resolve, reject) => {
      fs.open(path, fs.constants.O_RDONLY, (openError, fd) => {
        if (openError !== null) return reject(openError)
        fs.fsync(fd, (syncError) => {
          fs.close(fd, () => (syncError === null ? resolve() : reject(syncError)))
        })
      })
    })
  },
  free(path) {
    for (let at = path; ; at = dirname(at)) {
      try {
        const { bavail, bsize } = fs.statfsSync(at)
        return bavail * bsize
      } catch (error) {
        if (errno(error) !== 'ENOENT' || at === dirname(at)) throw error
      }
    }
  },
  lock: lockFile,
}

const isDirectory = (path: string): boolean => fs.statSync(path, { throwIfNoEntry: false })?.isDirectory() === true
const errno = (error: unknown): string | undefined => (error as NodeJS.ErrnoException | null)?.code

/** Closing waits for the calls under way: the number of a closed file may be given to another one at once. */
class RealFile implements File {
  readonly path: string
  readonly #fd: number
  #underWay = 0
  #closed = false

  constructor(path: string, fd: number) {
    this.path = path
    this.#fd = fd
  }
  size(): number {
    return fs.fstatSync(this.#open()).size
  }
  write(buffers: readonly Uint8Array[], position: number): void {
    const fd = this.#open()
    let rest = buffers
    let at = position
    while (rest.length > 0) {
      const part = head(rest)
      const written =
        part.length === 1 ? fs.writeSync(fd, part[0]!, 0, part[0]!.length, at) : fs.writevSync(fd, part, at)
      at += written
      rest = after(rest, written)
    }
  }
  read(target: Uint8Array, position: number): number {
    const fd = this.#open()
    let done = 0
    while (done < target.length) {
      const count = fs.readSync(fd, target, done, Math.min(target.length - done, transferBytesMax), position + done)
      if (count === 0) break
      done += count
    }
    return done
  }
  async readLater(target: Uint8Array, position: number): Promise<number> {
    const fd = this.#open()
    this.#underWay++
    try {
      let done = 0
      while (done < target.length) {
        const count = await readOnce(fd, target, done, position + done)
        if (count === 0) break
        done += count
      }
      return done
    } finally {
      this.#finished()
    }
  }
  truncate(size: number): void {
    fs.ftruncateSync(this.#open(), size)
  }
  datasync(): Promise<void> {
    const fd = this.#open()
    this.#underWay++
    return new Promise((resolve, reject) => {
      fs.fdatasync(fd, (error) => {
        this.#finished()
        if (error === null) resolve()
        else reject(error)
      })
    })
  }
  close(): void {
    if (this.#closed) return
    this.#closed = true
    if (this.#underWay === 0) fs.closeSync(this.#fd)
  }
  #open(): number {
    if (this.#closed) throw Object.assign(new Error(`EBADF: ${this.path} is closed`), { code: 'EBADF' })
    return this.#fd
  }
  #finished(): void {
    this.#underWay--
    if (this.#closed && this.#underWay === 0) fs.closeSync(this.#fd)
  }
}

function readOnce(fd: number, target: Uint8Array, offset: number, position: number): Promise<number> {
  return new Promise((resolve, reject) => {
    const length = Math.min(target.length - offset, transferBytesMax)
    fs.read(fd, target, offset, length, position, (error, count) => (error === null ? resolve(count) : reject(error)))
  })
}

/** The longest run of buffers from the start that one call may take. Almost always all of them. */
function head(buffers: readonly Uint8Array[]): readonly Uint8Array[] {
  let bytes = 0
  for (let i = 0; i < buffers.length; i++) {
    bytes += buffers[i]!.length
    if (bytes > transferBytesMax && i > 0) return buffers.slice(0, i)
  }
  return buffers
}

/** What is left of `buffers` without their first `count` bytes. */
function after(buffers: readonly Uint8Array[], count: number): readonly Uint8Array[] {
  let i = 0
  let left = count
  while (i < buffers.length && left >= buffers[i]!.length) left -= buffers[i++]!.length
  if (left === 0) return i === buffers.length ? [] : buffers.slice(i)
  return [buffers[i]!.subarray(left), ...buffers.slice(i + 1)]
}
