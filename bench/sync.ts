/**
 * What makes a round of appends to many partitions durable: a sync of each partition's file, all at once, or one sync of a
 * journal that holds a copy of what all of them got. Both on the disk that the data folder would be on; the store does the
 * first. Ours: a sync each. Theirs: the journal.
 *
 * And what one small record alone costs that is written and synced each millisecond: into zeros that are there already, as the
 * store does (ours), and at the end of a file that grows by it (theirs). Nothing that is visible when durable can be faster.
 * And how often a second a thread that does nothing but look at the clock is held up: whatever one thread serves waits then.
 */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { realDisk } from '../src/lib/real/disk.ts'
import type { File } from '../src/lib/world.ts'
import { cacheDir } from '../test/interop/setup/index.ts'
import type { Report, RowSpec } from './lib/rows.ts'
import { quantile } from './peers/kafka/load/common.ts'

const counts = [1, 6, 100, 1_000] as const
const batches = [
  { name: '16 KB', bytes: 16 * 1024 },
  { name: '1 MB', bytes: 1024 * 1024 },
] as const
/** More at once fits no round: producers have so much under way together, not each. */
const roundBytesMax = 64 * 1024 * 1024

const rowOf = (partitions: number, name: string): string => `a round of ${name} to each of ${partitions}`
const shapes = batches.flatMap(({ name, bytes }) =>
  counts.filter((count) => count * bytes <= roundBytesMax).map((count) => ({ row: rowOf(count, name), bytes, count })),
)
const alone = { p50: '1 KB each millisecond, p50', p99: '1 KB each millisecond, p99' } as const
const heldUpMs = 2.5
const heldUp = `a thread held up for over ${heldUpMs} ms`
export const syncRows: readonly RowSpec[] = [
  ...[...shapes.map(({ row }) => row), ...Object.values(alone)].map((row): RowSpec => ({
    row,
    unit: 'ms',
    better: 'lower',
    goal: null,
  })),
  { row: heldUp, unit: '1/s', better: 'lower', goal: null, alone: true },
]

export async function benchSync(report: Report, isQuick: boolean): Promise<void> {
  mkdirSync(cacheDir, { recursive: true })
  const folder = mkdtempSync(join(cacheDir, 'bench-sync-'))
  try {
    for (const { row, bytes, count } of shapes) {
      const files = new Files(folder, count, Buffer.alloc(bytes, 1))
      for (let round = 0; round < (isQuick ? 3 : 25); round++) {
        report.sample(row, 'ours', await files.syncEach())
        report.sample(row, 'theirs', await files.syncJournal())
      }
      files.remove()
    }
    for (let run = 0; run < (isQuick ? 1 : 5); run++)
      for (const side of run % 2 === 0 ? (['ours', 'theirs'] as const) : (['theirs', 'ours'] as const)) {
        const times = await syncSmall(join(folder, 'small'), side === 'ours', isQuick ? 500 : 5_000)
        report.sample(alone.p50, side, quantile(times, 0.5))
        report.sample(alone.p99, side, quantile(times, 0.99))
      }
    for (let run = 0; run < (isQuick ? 1 : 5); run++) report.sample(heldUp, 'ours', timesHeldUp(isQuick ? 1 : 8))
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Times a second; whatever else the machine does holds it up. */
function timesHeldUp(seconds: number): number {
  let times = 0
  let last = performance.now()
  for (const endMs = last + seconds * 1_000; last < endMs;) {
    const nowMs = performance.now()
    if (nowMs - last > heldUpMs) times++
    last = nowMs
  }
  return times / seconds
}
/** Milliseconds from each write to its being durable. */
async function syncSmall(path: string, hasRoom: boolean, records: number): Promise<number[]> {
  const record = Buffer.alloc(1024, 1)
  const file = realDisk.open(path, 'write')
  try {
    if (hasRoom) file.write([Buffer.alloc(records * record.length)], 0)
    await file.datasync()
    const times: number[] = []
    for (let i = 0; i < records; i++) {
      const startedMs = performance.now()
      file.write([record], i * record.length)
      await file.datasync()
      times.push(performance.now() - startedMs)
      await sleep(1)
    }
    return times.sort((a, b) => a - b)
  } finally {
    file.close()
    realDisk.remove(path)
  }
}

class Files {
  readonly #folder: string
  readonly #batch: Buffer
  readonly #files: File[]
  readonly #journal: File
  #rounds = 0

  constructor(folder: string, count: number, batch: Buffer) {
    this.#folder = join(folder, 'files')
    this.#batch = batch
    realDisk.makeDirectory(this.#folder)
    this.#files = Array.from({ length: count }, (_, i) => realDisk.open(join(this.#folder, `${i}.log`), 'write'))
    this.#journal = realDisk.open(join(this.#folder, 'journal'), 'write')
  }
  /** Milliseconds from the first write to all of it being durable. */
  async syncEach(): Promise<number> {
    const startedMs = performance.now()
    this.#writeEach()
    await Promise.all(this.#files.map((file) => file.datasync()))
    return performance.now() - startedMs
  }
  /** The files are written as well, since they are what is read; the kernel takes its time with them. */
  async syncJournal(): Promise<number> {
    const startedMs = performance.now()
    const copies = this.#files.map(() => this.#batch)
    this.#journal.write(copies, this.#rounds * this.#batch.length * copies.length)
    this.#writeEach()
    await this.#journal.datasync()
    const ms = performance.now() - startedMs
    // What it left behind is not to be paid by the next round of the other.
    await Promise.all(this.#files.map((file) => file.datasync()))
    return ms
  }
  remove(): void {
    for (const file of [...this.#files, this.#journal]) file.close()
    realDisk.remove(this.#folder)
  }
  #writeEach(): void {
    const at = this.#rounds++ * this.#batch.length
    for (const file of this.#files) file.write([this.#batch], at)
  }
}
