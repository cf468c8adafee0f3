/**
 * A disk that keeps apart what is durable and what only the page cache knows, that can lose the latter, and that fails
 * when told to. See `file-content.ts` and `namespace.ts` for what a power cut leaves.
 */
import { Fault } from '../fault.ts'
import { timeMs } from '../brand.ts'
import type { Clock, Disk, DiskError, File } from '../world.ts'
import { FileContent } from './file-content.ts'
import { Directory, Namespace, partsOf } from './namespace.ts'
import type { SeededRandom } from './random.ts'

export type DiskOperation =
  | 'open'
  | 'stat'
  | 'list'
  | 'makeDirectory'
  | 'rename'
  | 'remove'
  | 'syncDirectory'
  | 'free'
  | 'lock'
  | 'size'
  | 'write'
  | 'read'
  | 'readLater'
  | 'truncate'
  | 'datasync'

export interface DiskCall {
  readonly operation: DiskOperation
  readonly path: string
  /** Counts all calls from 0. */
  readonly number: number
}
/** `written`: bytes of a write that still arrive. 'power' is the end: this call and all after it fail until `powerCut`. */
export interface DiskFailure {
  readonly code: 'EIO' | 'ENOSPC' | 'EDQUOT' | 'EROFS' | 'EMFILE' | 'power'
  readonly written?: number
}
export interface SimDiskOptions {
  readonly capacityBytes?: number
  /** A sync takes up to this. */
  readonly syncMsMax?: number
}

export class SimDisk implements Disk {
  /** Small, as the files are. */
  readonly roomBytes = 2_000
  /** Asked before each call. */
  plan: ((call: DiskCall) => DiskFailure | null) | null = null
  capacityBytes: number
  readonly #clock: Clock
  readonly #random: SeededRandom
  readonly #note: (text: string) => void
  readonly #syncMsMax: number
  readonly #names = new Namespace()
  readonly #locks = new Set<string>()
  #calls = 0
  /** Rises with each death of the process: files opened before are closed. */
  #life = 0
  #isOff = false

  constructor(
    world: { clock: Clock; random: SeededRandom; note: (text: string) => void },
    options: SimDiskOptions = {},
  ) {
    this.#clock = world.clock
    this.#random = world.random
    this.#note = world.note
    this.capacityBytes = options.capacityBytes ?? Number.MAX_SAFE_INTEGER
    this.#syncMsMax = options.syncMsMax ?? 2
  }
  get calls(): number {
    return this.#calls
  }
  /** The power has gone: every call fails. */
  get isOff(): boolean {
    return this.#isOff
  }
  open(path: string, mode: 'read' | 'write'): File {
    this.#call('open', path)
    let node = this.#names.find(path)
    if (node instanceof Directory) throw diskError('EISDIR', path)
    if (node === null) {
      const place = mode === 'write' ? this.#names.place(path) : null
      if (place === null) throw diskError('ENOENT', path)
      node = new FileContent()
      this.#names.apply([{ ...place, node }])
    }
    return new SimFile(path, node, mode, this.#hooks(path))
  }
  stat(path: string): ReturnType<Disk['stat']> {
    this.#call('stat', path)
    const node = this.#names.find(path)
    if (node === null) return null
    if (node instanceof Directory) return { size: 0, modifiedMs: timeMs(0), directory: true }
    return { size: node.size, modifiedMs: timeMs(node.modifiedMs), directory: false }
  }
  list(path: string): string[] {
    this.#call('list', path)
    const node = this.#names.find(path)
    if (node !== null && !(node instanceof Directory)) throw diskError('ENOTDIR', path)
    return [...(node?.now.keys() ?? [])].sort()
  }
  makeDirectory(path: string): void {
    this.#call('makeDirectory', path)
    let at = this.#names.root
    for (const name of partsOf(path)) {
      let next = at.now.get(name)
      if (next === undefined) {
        next = new Directory()
        this.#names.apply([{ directory: at, name, node: next }])
      }
      if (!(next instanceof Directory)) throw diskError('ENOTDIR', path)
      at = next
    }
  }
  rename(from: string, to: string): void {
    this.#call('rename', `${from} → ${to}`)
    const source = this.#names.place(from)
    const target = this.#names.place(to)
    const node = source?.directory.now.get(source.name)
    if (source === null || target === null || node === undefined) throw diskError('ENOENT', from)
    this.#names.apply([
      { ...source, node: null },
      { ...target, node },
    ])
  }
  remove(path: string): void {
    this.#call('remove', path)
    const place = this.#names.place(path)
    const node = place?.directory.now.get(place.name)
    if (place === null || node === undefined) return
    if (node instanceof Directory) for (const name of [...node.now.keys()]) this.#removeIn(node, name)
    this.#names.apply([{ ...place, node: null }])
  }
  async syncDirectory(path: string): Promise<void> {
    const failure = this.#failure('syncDirectory', path)
    const node = this.#names.find(path)
    if (!(node instanceof Directory)) throw failure ?? diskError('ENOENT', path)
    const operations = this.#names.pendingIn(node)
    await this.#takeTime()
    if (failure !== null) throw failure
    this.#names.makeDurable(operations)
  }
  free(path: string): number {
    this.#call('free', path)
    return Math.max(0, this.#freeBytes())
  }
  lock(path: string): { release(): void } {
    this.#call('lock', path)
    if (this.#locks.has(path)) throw new Fault('store.locked', { path })
    this.#locks.add(path)
    const life = this.#life
    return {
      release: () => {
        if (life === this.#life) this.#locks.delete(path)
      },
    }
  }

  usedBytes(): number {
    return this.#names.files().reduce((sum, file) => sum + file.size, 0)
  }
  /** kill -9: the page cache survives. */
  kill(): void {
    this.#life++
    this.#isOff = false
    this.#locks.clear()
    this.#note('kill')
  }
  powerCut(): void {
    this.kill()
    this.#note('power cut')
    for (const file of this.#names.files()) file.powerCut(this.#random)
    this.#names.powerCut(this.#random)
  }
  /** Everything there is becomes durable, as if the machine had been idle for a while. */
  settle(): void {
    for (const file of this.#names.files()) file.endFlush(file.beginFlush())
    this.#names.makeAllDurable()
  }
  flipBit(path: string, bit: number): void {
    this.#file(path).flipBit(bit)
  }
  /** The contents of a file as a reader would see them. */
  contents(path: string): Buffer {
    const file = this.#file(path)
    const out = Buffer.alloc(file.size)
    file.read(out, 0)
    return out
  }
  /** Every file below a directory, sorted. */
  paths(path: string): string[] {
    const node = this.#names.find(path)
    if (!(node instanceof Directory)) return node === null ? [] : [path]
    return [...node.now.keys()].sort().flatMap((name) => this.paths(`${path}/${name}`))
  }

  #freeBytes(): number {
    if (this.capacityBytes === Number.MAX_SAFE_INTEGER) return this.capacityBytes
    return this.capacityBytes - this.usedBytes()
  }
  #file(path: string): FileContent {
    const node = this.#names.find(path)
    if (!(node instanceof FileContent)) throw diskError('ENOENT', path)
    return node
  }
  #removeIn(directory: Directory, name: string): void {
    const node = directory.now.get(name)
    if (node instanceof Directory) for (const each of [...node.now.keys()]) this.#removeIn(node, each)
    this.#names.apply([{ directory, name, node: null }])
  }
  #hooks(path: string): Hooks {
    const life = this.#life
    return {
      clock: this.#clock,
      random: this.#random,
      check: () => {
        if (life !== this.#life) throw diskError('EBADF', path)
      },
      failure: (operation) => this.#failure(operation, path),
      free: () => this.#freeBytes(),
      note: (text) => this.#note(`${text} ${path}`),
      takeTime: () => this.#takeTime(),
    }
  }
  #call(operation: DiskOperation, path: string): void {
    const failure = this.#failure(operation, path)
    if (failure !== null) throw failure
  }
  #failure(operation: DiskOperation, path: string): (DiskError & { written?: number }) | null {
    const number = this.#calls++
    if (this.#isOff) return diskError('EPOWER', path)
    const failure = this.plan?.({ operation, path, number }) ?? null
    this.#note(`${operation} ${path}${failure === null ? '' : ` fails ${failure.code}`}`)
    if (failure === null) return null
    if (failure.code === 'power') {
      this.#isOff = true
      return Object.assign(diskError('EPOWER', path), { written: failure.written ?? 0 })
    }
    return Object.assign(diskError(failure.code, path), { written: failure.written ?? 0 })
  }
  /** A process that is dead when the time is over never hears of it. */
  #takeTime(): Promise<void> {
    const ms = this.#random.fraction() * this.#syncMsMax
    return new Promise((resolve) => {
      const life = this.#life
      this.#clock.after(ms, () => {
        if (life === this.#life && !this.#isOff) resolve()
      })
    })
  }
}

export function diskError(code: string, path: string): DiskError {
  return Object.assign(new Error(`${code}: ${path}`), { code })
}

interface Hooks {
  readonly clock: Clock
  readonly random: SeededRandom
  check(): void
  failure(operation: DiskOperation): (DiskError & { written?: number }) | null
  free(): number
  note(text: string): void
  takeTime(): Promise<void>
}

class SimFile implements File {
  readonly path: string
  readonly #content: FileContent
  readonly #mode: 'read' | 'write'
  readonly #hooks: Hooks
  #isClosed = false

  constructor(path: string, content: FileContent, mode: 'read' | 'write', hooks: Hooks) {
    this.path = path
    this.#content = content
    this.#mode = mode
    this.#hooks = hooks
  }
  size(): number {
    this.#begin('size')
    return this.#content.size
  }
  write(buffers: readonly Uint8Array[], position: number): void {
    this.#check()
    if (this.#mode === 'read') throw diskError('EBADF', this.path)
    let failure = this.#hooks.failure('write')
    const all = Buffer.concat(buffers)
    let bytes = all.length
    if (failure !== null) bytes = Math.min(bytes, failure.written ?? 0)
    else if (bytes > this.#room(position)) {
      bytes = Math.max(0, this.#room(position))
      failure = diskError('ENOSPC', this.path)
    }
    this.#hooks.note(`${bytes} bytes at ${position}`)
    this.#content.write(all.subarray(0, bytes), position)
    this.#content.modifiedMs = this.#hooks.clock.now()
    if (failure !== null) throw failure
  }
  read(target: Uint8Array, position: number): number {
    this.#begin('read')
    return this.#content.read(target, position)
  }
  async readLater(target: Uint8Array, position: number): Promise<number> {
    this.#begin('readLater')
    await this.#hooks.takeTime()
    return this.#content.read(target, position)
  }
  truncate(size: number): void {
    this.#begin('truncate')
    this.#content.truncate(size)
  }
  async datasync(): Promise<void> {
    this.#check()
    const failure = this.#hooks.failure('datasync')
    const flush = this.#content.beginFlush()
    await this.#hooks.takeTime()
    if (failure === null) return this.#content.endFlush(flush)
    this.#content.failFlush(flush, this.#hooks.random)
    throw failure
  }
  close(): void {
    this.#isClosed = true
  }
  /** Bytes that a write at `position` finds place for. */
  #room(position: number): number {
    return this.#hooks.free() + Math.max(0, this.#content.size - position)
  }
  #begin(operation: DiskOperation): void {
    this.#check()
    const failure = this.#hooks.failure(operation)
    if (failure !== null) throw failure
  }
  #check(): void {
    this.#hooks.check()
    if (this.#isClosed) throw diskError('EBADF', this.path)
  }
}
