/**
 * Arrays of columns that are used again from step to step. They lie outside the heap, and the collector counts them: a step
 * of a thousand records that makes its arrays anew has it look through everything that lives some hundred times a million records.
 *
 * While `lending` runs, arrays come from here; when it is over, all that its result does not refer to go back. So nothing
 * that a step leaves behind may refer to its columns: state holds copies, as undo and restart want it anyhow. At any other
 * time these arrays are like any other. What is in them is not known, not even zeros.
 */
import type { Batch, Column, Provenance } from './batch.ts'

type Numbers = Float64Array<ArrayBuffer> | Int32Array<ArrayBuffer> | Uint8Array<ArrayBuffer>
/** Shorter ones lie in the heap, or are as fast to make; longer ones are rare. */
const lengths = { least: 256, most: 65_536 }
/** What is kept for the next step, of each length. */
const keptBytes = 4 * 1024 * 1024

let isLending = false

/** Of one kind, by the logarithm of their length. */
class Shelf<A extends Numbers> {
  private readonly make: (length: number) => A
  private readonly kept: A[][] = []
  private lent: A[] = []

  constructor(make: (length: number) => A) {
    this.make = make
  }
  take(length: number): A {
    if (!isLending || length < lengths.least || length > lengths.most) return this.make(length)
    const power = 32 - Math.clz32(length - 1)
    const array = this.kept[power]?.pop() ?? this.make(2 ** power)
    this.lent.push(array)
    return array
  }
  takeBack(inUse: ReadonlySet<unknown>): void {
    for (const array of this.lent) {
      if (inUse.has(array)) continue
      const list = (this.kept[32 - Math.clz32(array.length - 1)] ??= [])
      if ((list.length + 1) * array.byteLength <= keptBytes) list.push(array)
    }
    this.lent = []
  }
  forget(): void {
    this.lent = []
  }
}
const doubles = new Shelf((length) => new Float64Array(length))
const ints = new Shelf((length) => new Int32Array(length))
const bytes = new Shelf((length) => new Uint8Array(length))

/** At least so long. */
export const lentDoubles = (length: number): Float64Array<ArrayBuffer> => doubles.take(length)
export const lentInts = (length: number): Int32Array<ArrayBuffer> => ints.take(length)
export const lentBytes = (length: number): Uint8Array<ArrayBuffer> => bytes.take(length)

/** `work` gives the batches that are still to be looked at when it is over. */
export function lending(work: () => Iterable<Batch>): void {
  if (isLending) return void work()
  isLending = true
  try {
    const inUse = new Set<unknown>()
    for (const batch of work()) addArrays(inUse, batch)
    for (const shelf of [doubles, ints, bytes]) shelf.takeBack(inUse)
  } finally {
    // Of what threw nobody knows what refers to it.
    for (const shelf of [doubles, ints, bytes]) shelf.forget()
    isLending = false
  }
}
function addArrays(to: Set<unknown>, { columns, weights, rows, late, failed }: Batch): void {
  for (const column of columns) for (const array of arraysOf(column)) to.add(array)
  to.add(weights)
  addProvenance(to, rows)
  if (late !== null) addProvenance(to, late.rows)
  if (failed !== null) addArrays(to, failed.batch)
}
function arraysOf(column: Column): readonly unknown[] {
  return column.kind === 'bytes' ? [column.from, column.to, column.valid] : [column.data, column.valid]
}
function addProvenance(to: Set<unknown>, { source, offset, time, watermark, origins }: Provenance): void {
  for (const array of [source, offset, time, watermark, origins?.at, origins?.ranges]) to.add(array)
}
