/** What the partitions of one store share. */
import type { BufferPool } from '../lib/buffer-pool.ts'
import type { Fault } from '../lib/fault.ts'
import type { Gate } from '../lib/gate.ts'
import type { World } from '../lib/world.ts'
import type { Directories } from './directories.ts'
import type { DiskGuard } from './disk-guard.ts'
import type { Handles } from './handles.ts'
import type { HotTail } from './hot-tail.ts'
import type { Journal } from './journal.ts'
import type { Partition } from './partition.ts'

export interface Core {
  readonly world: World
  /** The data folder. */
  readonly dir: string
  /** Leader epoch of everything appended now. */
  readonly epoch: number
  readonly directories: Directories
  readonly handles: Handles
  readonly journal: Journal
  readonly hot: HotTail
  /** Of the buffers that files are read into. */
  readonly pool: BufferPool
  readonly guard: DiskGuard
  /** Reads that wait for the disk. */
  readonly reads: Gate
  /** By the clock of ages: a jump forward must not make retention delete early. */
  retentionNow(): number
  /** For what begins to age now. */
  retentionStamp(): number
  /** The partition has something to write. */
  toWrite(partition: Partition): void
  /** Someone waits for the partition to be durable. */
  toSync(partition: Partition): void
  /** The partition has written something that no sync covers yet. */
  unsynced(partition: Partition): void
  /** The partition has begun a new segment: retention may have something to do. */
  rolled(partition: Partition): void
  /** The journal says what all partitions are now; durable when it resolves. */
  checkpoint(): Promise<void>
  /** A reader has come upon damage: every start from now on is to know of it. */
  foundDamage(fault: Fault): void
  report(fault: Fault): void
  /** Bytes came or went. */
  resized(bytes: number): void
}
