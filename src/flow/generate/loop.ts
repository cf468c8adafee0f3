/**
 * What generated loops over records have in common: they write rows into the arrays of the columns' builders, and stop at
 * the first record that they do not know for valid and plain. The text of such a loop is made of numbers and of the names
 * below; what else it needs is handed to it.
 */
import type { DataType } from '../../schema/types.ts'
import type { ColumnBuilder } from '../columns.ts'
import { storageOf } from '../memory.ts'

/** What a loop reads from and writes to. */
export interface LoopInput {
  /** Of the piece of records that is read. */
  places: Int32Array
  /** Add it to a place to have the position in `bytes`. */
  shift: number
  readonly bytes: Buffer
  readonly view: DataView
  readonly builders: readonly ColumnBuilder[]
  /** By row the number of its record. */
  readonly numbers: Int32Array
  /** Rows so far. */
  rows: number
}
/** Reads records [at, to) and gives the number of the first that it did not take; `to` if it took all. */
export type RecordLoop = (input: LoopInput, at: number, to: number) => number

export interface LoopColumn {
  readonly type: DataType
  /** Is it a field of the payload? Others are left to the caller, also their builders. */
  readonly isRead: boolean
  /** A record without it is not taken. */
  readonly isNeeded: boolean
  /** The record's key must be the value's text, where it has one. */
  readonly isKey: boolean
}
const bitsPerWord = 30

export abstract class LoopText {
  readonly constants: unknown[] = []
  protected readonly columns: readonly LoopColumn[]
  protected readonly out: string[] = []
  private labels = 0

  constructor(columns: readonly LoopColumn[]) {
    this.columns = columns
  }
  /** By column: does it write arrays, or does it append to the builder? */
  protected abstract isDirect(c: number): boolean

  /** The name of a constant in the text. */
  protected use(constant: unknown): string {
    const known = this.constants.indexOf(constant)
    return `k${known >= 0 ? known : this.constants.push(constant) - 1}`
  }
  protected line(...lines: string[]): void {
    this.out.push(...lines)
  }
  protected label(): string {
    return `o${this.labels++}`
  }
  protected get read(): number[] {
    return [...this.columns.keys()].filter((c) => this.columns[c]!.isRead)
  }
  /** The function, from the lines of its loop. As in compile.ts: nothing in the text was written by a user. */
  protected made(): RecordLoop {
    const text = [...this.head(), ...this.out].join('\n')
    return (new Function('k', text) as (constants: readonly unknown[]) => RecordLoop)(this.constants)
  }
  private head(): string[] {
    const arrays = this.read.map((c) => {
      const builder = `const g${c} = builders[${c}]`
      if (!this.isDirect(c)) return builder
      return storageOf(this.columns[c]!.type) === 'bytes'
        ? `${builder}, f${c} = g${c}.from, t${c} = g${c}.to`
        : `${builder}, d${c} = g${c}.data`
    })
    return [
      "'use strict'",
      ...this.constants.map((_, i) => `const k${i} = k[${i}]`),
      'return function (input, at, to) {',
      'const b = input.bytes, view = input.view, places = input.places, shift = input.shift',
      'const numbers = input.numbers, builders = input.builders',
      ...arrays,
      'let n = input.rows, p = 0, q = 0, c = 0, s = 0, v = 0, x = 0, fraction = 0, negative = false',
    ]
  }

  // Which columns a record had a value for: bits of words, one bit a column.

  /** One word for so many columns that are read. */
  protected get words(): string[] {
    return Array.from({ length: Math.ceil(this.read.length / bitsPerWord) }, (_, w) => `seen${w}`)
  }
  private word(c: number): string {
    return `seen${Math.floor(this.read.indexOf(c) / bitsPerWord)}`
  }
  private bit(c: number): number {
    return 2 ** (this.read.indexOf(c) % bitsPerWord)
  }
  protected see(c: number): string {
    return `${this.word(c)} |= ${this.bit(c)}`
  }
  protected isSeen(c: number): string {
    return `(${this.word(c)} & ${this.bit(c)}) !== 0`
  }
  /** Where no value was seen: NULL, unless the record is not taken then; that is known before anything is put. */
  protected missing(absent = (c: number): string => (this.columns[c]!.isNeeded ? 'break row' : this.putNull(c))): void {
    const { read, words } = this
    const does = new Map(read.map((c) => [c, absent(c)]))
    const isUnseen = (c: number): string => `if ((${this.word(c)} & ${this.bit(c)}) === 0)`
    for (const needed of [true, false])
      for (const [w, word] of words.entries()) {
        const mine = read.slice(w * bitsPerWord, (w + 1) * bitsPerWord)
        const chosen = mine.filter((c) => (does.get(c) === 'break row') === needed)
        if (chosen.length === 0) continue
        this.line(`if (${word} !== ${2 ** mine.length - 1}) {`)
        for (const c of chosen) this.line(`${isUnseen(c)} ${does.get(c)!}`)
        this.line('}')
      }
  }
  protected putNull(c: number): string {
    if (!this.isDirect(c)) return `g${c}.pushNull()`
    const cell = storageOf(this.columns[c]!.type) === 'bytes' ? `f${c}[n] = t${c}[n] = 0` : `d${c}[n] = 0`
    return `{ g${c}.validity.nullAt(n); ${cell} }`
  }
}
