/**
 * What the thread of a view asks of a thread that holds parts of its steps, and what that answers. Answers come in the order of
 * what was asked. `view`: a number that the asking thread gives.
 */
import type { SentFault } from '../../lib/line.ts'
import type { StateSizes } from '../step-state.ts'
import type { HeldOptions } from './held-parts.ts'
import type { Packed, Packer, Unpacker } from './wire.ts'

export type PartAsk = { readonly view: number } & (
  | { readonly ask: 'open'; readonly options: HeldOptions; readonly name: string; readonly viewNumber: number }
  /** Packed: per part here, a batch of each input. */
  | { readonly ask: 'step'; readonly step: number; readonly forgetAtMs: number | null; readonly packed: Packed }
  | ChangesAsk
  | { readonly ask: 'commit' | 'undo' | 'clear' | 'restored' }
  /** Not answered. */
  | { readonly ask: 'close-files' | 'close' }
  /** Packed: entries of the changelog. `all`: none of them goes to files yet. */
  | { readonly ask: 'restore'; readonly entries: number; readonly all: boolean; readonly packed: Packed }
  | { readonly ask: 'evict'; readonly step: number; readonly bytes: number }
  | { readonly ask: 'content' | 'empty'; readonly step: number }
)
export interface ChangesAsk {
  readonly ask: 'changes'
  /** Operators' numbers in the state, by step. */
  readonly numbers: ReadonlyMap<number, number>
  readonly forgetAtMs: number | null
  readonly nowMs: number
  readonly partitions: number
  readonly bytesMax: number
}
export interface ChangesFound {
  readonly partition: number
  readonly batch: Uint8Array
}
export type PartAnswer =
  | {
      /** What became of the steps, as `writeStatus` writes it; of steps and contents what each part gives behind it. */
      readonly packed: Packed
      readonly changes?: readonly ChangesFound[]
    }
  | { readonly fault: SentFault }
  /** `TickAgain`. */
  | { readonly again: true }

/** Of a step's parts on one thread, after what was asked last. */
export interface PartStatus extends StateSizes {
  readonly waits: boolean
  readonly due: number
}
export const freshStatus: PartStatus = { waits: false, due: Infinity, count: 0, rows: 0, bytes: 0, usedBytes: 0 }

export function writeStatus(out: Packer, { waits, due, count, rows, bytes, usedBytes }: PartStatus): void {
  out.number(waits ? 1 : 0)
  for (const number of [due, count, rows, bytes, usedBytes]) out.number(number)
}
export function readStatus(input: Unpacker): PartStatus {
  const waits = input.number() === 1
  const [due, count, rows] = [input.number(), input.number(), input.number()]
  return { waits, due, count, rows, bytes: input.number(), usedBytes: input.number() }
}
