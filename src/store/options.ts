import type { BufferPool } from '../lib/buffer-pool.ts'
import type { Fault } from '../lib/fault.ts'
import type { World } from '../lib/world.ts'
import type { StoreMeter } from './store.ts'

export interface StoreOptions {
  readonly world: World
  /** The data folder. Made when missing. */
  readonly dir: string
  /** Told of what goes wrong where no caller can be: failed disks, damage found. */
  readonly onFault?: (fault: Fault) => void
  readonly meter?: StoreMeter
  /** Bytes of the newest batches kept in memory. */
  readonly hotBytes?: number
  /** Of the buffers that files are read into. */
  readonly pool?: BufferPool
  /** Segment files open at a time. */
  readonly handlesMax?: number
  /** Intake stops when less is free. */
  readonly reserveBytes?: number
}
