/**
 * What a table's rows were before the tick: the rows touched, each once, with a copy of their fields; of a row that is new
 * only that it is. Copies lie one behind the other in one array, which is kept from tick to tick.
 */
import { instead } from '../lib/free.ts'
import type { Value } from './expression.ts'
import type { TableSpec } from './state.ts'

const minRows = 64
/** Longer arrays are given back where a tick left them mostly empty. */
const keptRows = 65_536

export class UndoLog {
  private readonly stride: number
  private readonly width: number
  count = 0
  private ids = new Int32Array(minRows)
  /** Which copy is the row's; −1: it is new. */
  private copies = new Int32Array(minRows)
  private copied = 0
  private numbers: Float64Array
  private values: Value[] = []
  /** By row: the tick in which it was touched last, negative where it took over another's key. */
  private touchedIn = new Int32Array(minRows)
  tick = 1

  constructor(spec: TableSpec) {
    this.stride = spec.numbers
    this.width = spec.values
    this.numbers = new Float64Array(minRows * spec.numbers)
  }
  has(id: number): boolean {
    const tick = this.touchedIn[id]
    return tick === this.tick || tick === -this.tick
  }
  /** It is new and has the key of another row. */
  tookOver(id: number): boolean {
    return this.touchedIn[id] === -this.tick
  }
  /** It came in the tick before this one: nothing of it is to be undone. */
  wasUsed(id: number): void {
    if (id >= this.touchedIn.length) this.touchedIn = longer(this.touchedIn, id)
    this.touchedIn[id] = this.tick - 1
  }
  isTouchedSince(id: number, tick: number): boolean {
    return Math.abs(this.touchedIn[id] ?? 0) >= tick
  }
  idAt(n: number): number {
    return this.ids[n]!
  }
  isNew(n: number): boolean {
    return this.copies[n]! < 0
  }
  addNew(id: number, tookOver = false): void {
    this.note(id)
    if (tookOver) this.touchedIn[id] = -this.tick
    this.copies[this.count++] = -1
  }
  addCopy(id: number, numbers: Float64Array, values: readonly Value[]): void {
    this.note(id)
    const { stride, width } = this
    const copy = this.copied++
    this.copies[this.count++] = copy
    if (this.copied * stride > this.numbers.length) this.growCopies()
    const kept = this.numbers
    for (let f = 0, to = copy * stride, from = id * stride; f < stride; f++) kept[to + f] = numbers[from + f]!
    for (let f = 0; f < width; f++) this.values.push(values[id * width + f]!)
  }
  /** Puts the n-th row's fields back. */
  restore(n: number, numbers: Float64Array, values: Value[]): void {
    const { stride, width } = this
    const id = this.ids[n]!
    const copy = this.copies[n]!
    for (let f = 0; f < stride; f++) numbers[id * stride + f] = this.numbers[copy * stride + f]!
    for (let f = 0; f < width; f++) values[id * width + f] = this.values[copy * width + f]!
  }
  /** A number field of the n-th row as it was. */
  numberOf(n: number, field: number): number {
    return this.numbers[this.copies[n]! * this.stride + field]!
  }
  /** Back to nothing, for the next tick. */
  clear(): void {
    if (this.ids.length > keptRows && this.count * 4 < this.ids.length) {
      this.ids = new Int32Array(minRows)
      this.copies = new Int32Array(minRows)
      this.numbers = new Float64Array(minRows * this.stride)
    }
    this.count = 0
    this.copied = 0
    if (this.values.length > 0) this.values = []
    this.tick++
    if (this.tick === 0x7fffffff) {
      this.touchedIn.fill(0)
      this.tick = 1
    }
  }
  private note(id: number): void {
    if (id >= this.touchedIn.length) this.touchedIn = longer(this.touchedIn, id)
    this.touchedIn[id] = this.tick
    if (this.count === this.ids.length) {
      this.ids = longer(this.ids, this.count)
      this.copies = longer(this.copies, this.count)
    }
    this.ids[this.count] = id
  }
  private growCopies(): void {
    this.numbers = instead(new Float64Array(this.numbers.length * 2), this.numbers)
  }
}
function longer(array: Int32Array, index: number): Int32Array<ArrayBuffer> {
  return instead(new Int32Array(Math.max(array.length * 2, index + 1)), array)
}
