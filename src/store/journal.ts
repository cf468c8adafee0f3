/**
 * synced.log: what is known to be durable. It begins with a checkpoint of every partition; each sync round appends the
 * ends it made durable, without a sync of its own; when it has grown, a new checkpoint replaces it as a whole. A power
 * cut may tear its end, which only makes it say less than was durable. A clean stop is a checkpoint that says so, with
 * nothing behind it.
 *
 *   record: bytes of type and payload 4 · CRC-32C of number, type and payload 4 · type 1 · payload
 *
 * The checksum covers the record's number as well, so that a record of another place in the file is a wrong one.
 */
import { crc32c } from '@node-rs/crc32'
import { ByteReader, ByteWriter } from '../lib/bytes.ts'
import { Fault } from '../lib/fault.ts'
import type { Disk, File } from '../lib/world.ts'
import { type Directories, parentOf } from './directories.ts'
import type { EpochStart } from './epochs.ts'
import type { SegmentState } from './segment.ts'
import { readWhole } from './small-file.ts'

export interface PartitionState {
  readonly dir: string
  readonly start: number
  readonly end: number
  readonly epochs: readonly EpochStart[]
  readonly segments: readonly SegmentState[]
  /** The last segment takes no more. */
  readonly sealed: boolean
  /** Its files were found wanting: from this place on they are looked at again at every start. */
  readonly damaged?: DamagedPlace
}
/** The end of the last good batch before damage, in the segment `base`. */
export interface DamagedPlace {
  readonly base: number
  readonly bytes: number
  readonly end: number
}
export interface Checkpoint {
  readonly clean: boolean
  /** Leader epoch of everything appended after this checkpoint. */
  readonly epoch: number
  readonly partitions: readonly PartitionState[]
}

type StoredCheckpoint = Checkpoint & { readonly partitions: readonly (PartitionState & { readonly number: number })[] }

const type = { checkpoint: 1, opened: 2, name: 3, durable: 4, start: 5, cut: 6, dropped: 7 } as const
const headBytes = 8
/** The file is replaced by a new checkpoint when its other records pass this, or a multiple of the checkpoint. */
const growthBytesMax = 4 * 1024 * 1024

export class Journal {
  readonly #disk: Disk
  readonly #directories: Directories
  readonly #path: string
  #file: File | null = null
  #bytes = 0
  #checkpointBytes = 0
  #records = 0
  /** Short names of partitions in the records. */
  readonly #numbers = new Map<string, number>()
  #nextNumber = 0
  /** While a checkpoint is being replaced: what was appended meanwhile. */
  #isSuspect = false
  #replacing: Promise<void> | null = null
  #meanwhile: { kind: number; payload: Uint8Array }[] | null = null

  constructor(disk: Disk, directories: Directories, path: string) {
    this.#disk = disk
    this.#directories = directories
    this.#path = path
  }
  /** A new checkpoint is due: by its size, or because nobody knows what of it is on disk. */
  get wantsReplacing(): boolean {
    if (this.#isSuspect) return true
    return this.#bytes - this.#checkpointBytes > Math.max(growthBytesMax, 4 * this.#checkpointBytes)
  }
  durable(ends: readonly { dir: string; end: number }[]): void {
    if (ends.length === 0) return
    const out = new ByteWriter(4 + 12 * ends.length)
    const numbers = ends.map(({ dir }) => this.#number(dir))
    out.uint32(ends.length)
    for (let i = 0; i < ends.length; i++) {
      out.uint32(numbers[i]!)
      out.int64(ends[i]!.end)
    }
    this.#append(type.durable, out.done())
  }
  start(dir: string, start: number): void {
    const out = new ByteWriter(12)
    out.uint32(this.#number(dir))
    out.int64(start)
    this.#append(type.start, out.done())
  }
  cut(dir: string, segment: { base: number; bytes: number; end: number }): void {
    const out = new ByteWriter(28)
    out.uint32(this.#number(dir))
    out.int64(segment.base)
    out.int64(segment.bytes)
    out.int64(segment.end)
    this.#append(type.cut, out.done())
  }
  dropped(dir: string): void {
    const out = new ByteWriter(4)
    out.uint32(this.#number(dir))
    this.#append(type.dropped, out.done())
    this.#numbers.delete(dir)
  }
  /** Everything appended so far is durable when it resolves. */
  async sync(): Promise<void> {
    // What a checkpoint under way does not hold is in the next file too, but not synced there.
    while (this.#replacing !== null) await this.#replacing.catch(() => {})
    try {
      await this.#file?.datasync()
    } catch (error) {
      this.#isSuspect = true
      throw error
    }
  }
  close(): void {
    this.#file?.close()
    this.#file = null
  }
  /** Goes on with the file as it is: from here on it is not one of a clean stop. Durable when it resolves. */
  async resume(read: ReadJournal): Promise<void> {
    this.#file = this.#disk.open(this.#path, 'write')
    this.#bytes = read.bytes
    this.#checkpointBytes = read.bytes
    this.#records = read.records
    for (const [number, dir] of read.names) {
      this.#numbers.set(dir, number)
      this.#nextNumber = Math.max(this.#nextNumber, number + 1)
    }
    if (this.#file.size() > read.bytes) this.#file.truncate(read.bytes)
    this.#append(type.opened, new Uint8Array(0))
    await this.#file.datasync()
  }
  /** Replaces the whole file. Durable when it resolves. */
  async replace(checkpoint: () => Checkpoint): Promise<void> {
    while (this.#replacing !== null) await this.#replacing.catch(() => {})
    this.#replacing = this.#replace(checkpoint())
    try {
      await this.#replacing
    } finally {
      this.#replacing = null
    }
  }
  async #replace(checkpoint: Checkpoint): Promise<void> {
    this.#meanwhile = []
    const fresh = `${this.#path}.new`
    this.#disk.remove(fresh)
    const file = this.#disk.open(fresh, 'write')
    try {
      const head = frame(0, type.checkpoint, Buffer.from(JSON.stringify(this.#numbered(checkpoint))))
      file.write([head], 0)
      await file.datasync()
      const meanwhile = this.#meanwhile
      this.#meanwhile = null
      this.#disk.rename(fresh, this.#path)
      this.#directories.changed(parentOf(this.#path))
      this.#file?.close()
      this.#file = file
      this.#bytes = this.#checkpointBytes = head.length
      this.#records = 1
      this.#isSuspect = false
      for (const { kind, payload } of meanwhile) this.#append(kind, payload)
    } catch (error) {
      this.#meanwhile = null
      if (this.#file !== file) file.close()
      throw error
    }
    await this.#directories.sync(parentOf(this.#path))
  }
  /** Numbers stay what they are; those of partitions that the checkpoint does not name are given up. */
  #numbered(checkpoint: Checkpoint): StoredCheckpoint {
    const before = new Map(this.#numbers)
    this.#numbers.clear()
    const partitions = checkpoint.partitions.map((state) => {
      const number = before.get(state.dir) ?? this.#nextNumber++
      this.#numbers.set(state.dir, number)
      return { number, ...state }
    })
    return { ...checkpoint, partitions }
  }
  #number(dir: string): number {
    const known = this.#numbers.get(dir)
    if (known !== undefined) return known
    const number = this.#nextNumber++
    const out = new ByteWriter(4 + dir.length)
    out.uint32(number)
    out.utf8(dir)
    this.#append(type.name, out.done())
    this.#numbers.set(dir, number)
    return number
  }
  #append(kind: number, payload: Uint8Array): void {
    if (this.#file === null) throw new Fault('log.closed', { what: 'the store' })
    const record = frame(this.#records, kind, payload)
    this.#file.write([record], this.#bytes)
    this.#meanwhile?.push({ kind, payload })
    this.#records++
    this.#bytes += record.length
  }
}

function frame(number: number, kind: number, payload: Uint8Array): Buffer {
  const record = Buffer.allocUnsafe(headBytes + 1 + payload.length)
  record.writeUInt32BE(1 + payload.length, 0)
  record[headBytes] = kind
  record.set(payload, headBytes + 1)
  record.writeUInt32BE(recordCrc(number, record.subarray(headBytes)), 4)
  return record
}
const numberBytes = Buffer.alloc(4)
function recordCrc(number: number, body: Uint8Array): number {
  numberBytes.writeUInt32BE(number)
  return crc32c(body, crc32c(numberBytes))
}

/** What a journal says, all of it put together. */
export interface ReadJournal {
  readonly clean: boolean
  readonly epoch: number
  readonly partitions: ReadonlyMap<string, KnownPartition>
  readonly names: ReadonlyMap<number, string>
  /** Of what could be read. */
  readonly bytes: number
  readonly records: number
}
export interface KnownPartition {
  readonly state: PartitionState
  /** Everything before it was durable. */
  durable: number
  start: number
  /** Segments that end before what their file holds, by base. */
  readonly cuts: Map<number, { readonly bytes: number; readonly end: number }>
}

/** null = there is no journal; 'damaged' = not even its checkpoint can be read. */
export function readJournal(disk: Disk, path: string): ReadJournal | 'damaged' | null {
  const bytes = readWhole(disk, path)
  if (bytes === null) return null
  const reading = new Reading()
  let at = 0
  for (let number = 0; ; number++) {
    const body = recordAt(bytes, at, number)
    if (body === null || !reading.take(number, body)) break
    at += headBytes + body.length
  }
  return reading.done(at)
}

function recordAt(bytes: Buffer, at: number, number: number): Buffer | null {
  if (at + headBytes >= bytes.length) return null
  const length = bytes.readUInt32BE(at)
  if (length === 0 || length > bytes.length - at - headBytes) return null
  const body = bytes.subarray(at + headBytes, at + headBytes + length)
  return recordCrc(number, body) === bytes.readUInt32BE(at + 4) ? body : null
}

class Reading {
  #checkpoint: StoredCheckpoint | null = null
  readonly #partitions = new Map<string, KnownPartition>()
  readonly #names = new Map<number, string>()
  #records = 0

  /** False = a record that does not belong here. */
  take(number: number, body: Buffer): boolean {
    if ((number === 0) !== (body[0] === type.checkpoint)) return false
    if (number === 0) this.#begin(JSON.parse(body.toString('utf8', 1)) as StoredCheckpoint)
    else if (!this.#add(body[0]!, new ByteReader(body, 1))) return false
    this.#records++
    return true
  }
  done(bytes: number): ReadJournal | 'damaged' {
    if (this.#checkpoint === null) return 'damaged'
    const { clean, epoch } = this.#checkpoint
    return {
      clean: clean && this.#records === 1,
      epoch,
      partitions: this.#partitions,
      names: this.#names,
      bytes,
      records: this.#records,
    }
  }
  #begin(checkpoint: StoredCheckpoint): void {
    this.#checkpoint = checkpoint
    for (const { number, ...state } of checkpoint.partitions) {
      this.#names.set(number, state.dir)
      this.#partitions.set(state.dir, { state, durable: state.end, start: state.start, cuts: new Map() })
    }
  }
  #add(kind: number, input: ByteReader): boolean {
    switch (kind) {
      case type.opened:
        return true
      case type.name:
        this.#names.set(input.uint32(), input.utf8(input.left))
        return true
      case type.durable:
        for (let left = input.uint32(); left > 0; left--) {
          const known = this.#of(input.uint32())
          if (known === null) return false
          known.durable = Math.max(known.durable, input.int64())
        }
        return true
      case type.start: {
        const known = this.#of(input.uint32())
        if (known !== null) known.start = Math.max(known.start, input.int64())
        return known !== null
      }
      case type.cut: {
        const known = this.#of(input.uint32())
        known?.cuts.set(input.int64(), { bytes: input.int64(), end: input.int64() })
        return known !== null
      }
      case type.dropped:
        this.#partitions.delete(this.#names.get(input.uint32()) ?? '')
        return true
      default:
        return false
    }
  }
  /** null = a number that no record has named. */
  #of(number: number): KnownPartition | null {
    const dir = this.#names.get(number)
    if (dir === undefined) return null
    let known = this.#partitions.get(dir)
    if (known === undefined) {
      const state = { dir, start: 0, end: 0, epochs: [], segments: [], sealed: false }
      this.#partitions.set(dir, (known = { state, durable: 0, start: 0, cuts: new Map() }))
    }
    return known
  }
}
