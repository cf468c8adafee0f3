/**
 * Reads most records of a source by a generated loop (`generate/json.ts`), once it has seen what their payloads look like.
 * Whatever the loop leaves is read by the complete parser and, where it was valid, learnt. Results are the same with and
 * without it.
 */
import { isUtf8 } from 'node:buffer'
import { assert } from '../lib/assert.ts'
import { type RawRecords, place } from '../log/raw-records.ts'
import type { ColumnBuilder } from './columns.ts'
import { jsonLoop, keyIsText } from './generate/json.ts'
import type { LoopColumn, LoopInput, RecordLoop } from './generate/loop.ts'
import { JsonSyntax } from './json-scan.ts'
import type { SourcePlan } from './plan.ts'
import { ObjectShape } from './shape.ts'

/** Records read by the complete parser before code is generated: it would not pay for a few. */
const warmUp = 64
/** The same between two generations, while more is learnt; and how many there are at most. */
const betweenGenerations = 16
const generationsMax = 32
const pathMax = 16

export class LearntReader {
  /** Rows that the loop read, and those left to the complete parser. */
  readonly stats = { fast: 0, slow: 0 }
  private readonly columns: readonly LoopColumn[]
  private readonly shape: ObjectShape
  private readonly weighted: boolean
  private loop: RecordLoop | null = null
  private hasLearnt = false
  private generations = 0
  private sinceGeneration = 0

  private constructor(plan: SourcePlan, paths: readonly (readonly string[] | null)[]) {
    const { columns, fields, key, time, mode } = plan
    this.columns = columns.map(({ type, nullable }, c) => ({
      type,
      isRead: fields[c]!.from === 'value',
      isNeeded: !nullable || time?.column === c || key.includes(c),
      isKey: key.includes(c),
    }))
    this.shape = new ObjectShape(paths)
    this.weighted = mode === 'weighted'
  }
  /** null: of such a source everything is read by the complete parser. */
  static of(plan: SourcePlan): LearntReader | null {
    if (plan.format !== 'json') return null
    const { key, columns } = plan
    if (key.length > 1 || key.some((c) => !keyIsText(columns[c]!.type))) return null
    const paths = plan.fields.map((field) => (field.from === 'value' ? field.path : null))
    const known = paths.filter((path) => path !== null)
    if (known.some((path) => path.length === 0 || path.length > pathMax)) return null
    const isAbove = (a: readonly string[], b: readonly string[]): boolean => a.every((name, i) => b[i] === name)
    const collide = known.some((a, i) => known.some((b, j) => i !== j && isAbove(a, b)))
    return collide ? null : new LearntReader(plan, paths)
  }
  /** Before a batch is read; null: it is not worth it yet. */
  begin(input: readonly RawRecords[]): FlatInput | null {
    const total = input.reduce((sum, { count }) => sum + count, 0)
    return this.stats.slow + total < warmUp ? null : new FlatInput(input)
  }
  /** Reads on from this record of a piece; gives the first that is left, and has added rows to `input`. */
  read(input: OpenInput, piece: number, at: number, to: number): number {
    this.generate()
    const { loop } = this
    if (loop === null) return at
    const before = input.rows
    for (let next = at; next < to;) {
      const until = Math.min(to, input.enter(piece, next))
      at = loop(input, next, until)
      if (at < until) break
      next = until
    }
    this.stats.fast += input.rows - before
    return at
  }
  /** A record that the complete parser made a row of. */
  learn(value: Buffer | null): void {
    this.stats.slow++
    this.sinceGeneration++
    if (value !== null && this.generations < generationsMax && this.looksNew(value)) this.hasLearnt = true
  }
  private looksNew(value: Buffer): boolean {
    // What is no text, or no JSON, may be a row too: of NULLs, where the source says so.
    if (!isUtf8(value)) return false
    try {
      return this.shape.learn(value, 0, value.length)
    } catch (error) {
      if (error instanceof JsonSyntax) return false
      throw error
    }
  }
  private generate(): void {
    if (!this.hasLearnt || this.stats.slow < warmUp) return
    if (this.loop !== null && this.sinceGeneration < betweenGenerations) return
    this.loop = jsonLoop(this.columns, this.shape, this.weighted)
    this.hasLearnt = false
    this.generations++
    this.sinceGeneration = 0
  }
}

/** A loop's input that finds its way through the pieces. */
export interface OpenInput extends LoopInput {
  /** Goes to this record of a piece; gives the number behind the last one that can be read at once. */
  enter(this: OpenInput, piece: number, at: number): number
}
const noPlaces = new Int32Array(0)
interface Run {
  readonly until: number
  readonly shift: number
}
/** Pieces of records as one run of bytes: as they lie if they lie so, else copied behind each other. */
export class FlatInput {
  readonly bytes: Buffer
  readonly view: DataView
  private readonly pieces: readonly RawRecords[]
  private readonly runs: readonly (readonly Run[])[]

  constructor(pieces: readonly RawRecords[]) {
    this.pieces = pieces
    const found = pieces.map((records) => [...spans(records)])
    const [first, ...more] = found.flat()
    if (first !== undefined && more.every(({ bytes }) => bytes === first.bytes)) {
      const all = [first, ...more]
      const from = Math.min(...all.map((span) => span.from))
      this.bytes = first.bytes.subarray(from, Math.max(...all.map((span) => span.to)))
      this.runs = found.map((list) => list.map(({ until }) => ({ until, shift: -from })))
    } else {
      let length = 0
      this.runs = found.map((list) =>
        list.map(({ until, from, to }) => {
          const shift = length - from
          length += to - from
          return { until, shift }
        }),
      )
      this.bytes = Buffer.concat(
        found.flat().map(({ bytes, from, to }) => bytes.subarray(from, to)),
        length,
      )
    }
    this.view = new DataView(this.bytes.buffer, this.bytes.byteOffset, this.bytes.length)
  }
  /** What a loop writes into. */
  to(builders: readonly ColumnBuilder[], numbers: Int32Array): OpenInput {
    const { bytes, view, pieces, runs } = this
    return {
      ...{ bytes, view, builders, numbers, rows: 0, shift: 0, places: noPlaces },
      enter(piece, at) {
        const run = runs[piece]!.find(({ until }) => at < until)
        assert(run !== undefined, 'a record of the piece')
        this.places = pieces[piece]!.places
        this.shift = run.shift
        return run.until
      },
    }
  }
}
/** Where the keys and values of a piece lie, by part. */
function* spans(records: RawRecords): IterableIterator<{ bytes: Buffer; until: number; from: number; to: number }> {
  const { places } = records
  let at = records.from
  for (const { bytes, until } of records.parts) {
    if (at >= records.to) return
    const end = Math.min(until, records.to)
    if (at >= end) continue
    const first = at * place.stride
    const from = places[first + place.keyFrom]! < 0 ? places[first + place.keyTo]! : places[first + place.keyFrom]!
    yield { bytes, until: end, from, to: places[(end - 1) * place.stride + place.valueTo]! }
    at = end
  }
}
