/**
 * What names operators and sources in a view's state, so that another plan finds what it has in common with the one that
 * saved it. An operator's number in the keys of the changelog is made of its fingerprint (`fingerprint.ts`), wherever it
 * stands in the plan. A source keeps the small number that rows in state have as their origin: which one that is is saved
 * beside the state, also of sources that are no longer there.
 *
 * A key of the changelog: format version, slot, operator, table, then the table's own key.
 */
import { createHash } from 'node:crypto'
import { ByteReader, ByteWriter } from '../lib/bytes.ts'
import { Fingerprints } from './fingerprint.ts'
import type { Node, Source } from './graph.ts'
import type { Value } from './expression.ts'
import type { ChangesTo } from './state.ts'

export const stateVersion = 3
/** Bits of an operator's number: four bytes in a key. 0 is the graph itself. */
const numberDigits = 7

export interface Mark {
  readonly number: number
  readonly fingerprint: string
  readonly kind: string
  readonly label: string
}
interface SourceMark {
  readonly index: number
  readonly fingerprint: string
  readonly topic: string
  /** No longer in the plan; rows in its state may be from it. */
  readonly gone?: boolean
}
/** As it lies beside the state. */
export interface SavedMarks {
  /** Of the whole plan, its result included. */
  readonly print: string
  readonly operators: readonly Mark[]
  readonly sources: readonly SourceMark[]
}

export class Marks {
  readonly print: string
  /** Of those that have tables. */
  readonly operators: ReadonlyMap<Node, Mark>
  readonly byNumber: ReadonlyMap<number, Node>
  /** Of those whose watermark is saved; all others have that of their input. */
  readonly watermarks: ReadonlyMap<Node, number>
  private readonly sources: ReadonlyMap<Source, SourceMark>
  private readonly gone: readonly SourceMark[]

  constructor(
    print: string,
    operators: ReadonlyMap<Node, Mark>,
    watermarks: ReadonlyMap<Node, number>,
    sources: ReadonlyMap<Source, SourceMark>,
    gone: readonly SourceMark[],
  ) {
    this.print = print
    this.operators = operators
    this.watermarks = watermarks
    this.sources = sources
    this.gone = gone
    this.byNumber = new Map([...operators].map(([node, { number }]) => [number, node]))
  }
  get saved(): SavedMarks {
    return {
      print: this.print,
      operators: [...this.operators.values()],
      sources: [...this.sources.values(), ...this.gone],
    }
  }
  /** As it lies beside the state; asked for in every tick. */
  get text(): string {
    return (this.written ??= JSON.stringify(this.saved))
  }
  private written: string | null = null
  index(source: Source): number {
    return this.sources.get(source)!.index
  }
  /** The topic that rows of the source with this number are from. */
  topicOf(index: number): string | undefined {
    for (const mark of this.sources.values()) if (mark.index === index) return mark.topic
    return this.gone.find((mark) => mark.index === index)?.topic
  }
  /** Sources keep the numbers that they were saved with; new ones get others. */
  after(saved: SavedMarks): Marks {
    const known = new Map(saved.sources.map((mark) => [mark.fingerprint, mark]))
    let next = 1 + Math.max(-1, ...saved.sources.map(({ index }) => index))
    const sources = new Map<Source, SourceMark>()
    for (const [source, mark] of this.sources)
      sources.set(source, { ...mark, index: known.get(mark.fingerprint)?.index ?? next++ })
    const held = new Set([...this.sources.values()].map(({ fingerprint }) => fingerprint))
    const gone = saved.sources.flatMap((mark) => (held.has(mark.fingerprint) ? [] : [{ ...mark, gone: true }]))
    return new Marks(this.print, this.operators, this.watermarks, sources, gone)
  }
}

export function marksOf({ nodes, sources }: { nodes: readonly Node[]; sources: readonly Source[] }): Marks {
  const fingerprints = new Fingerprints()
  const distinct = new Distinct()
  const operators = new Map<Node, Mark>()
  const watermarks = new Map<Node, number>()
  for (const node of nodes) {
    const { plan, tables, kind, label } = node
    // However many parts hold them.
    const specs = tables.slice(0, tables.length / (node.operator?.here?.length ?? 1)).map(({ spec }) => spec)
    const mark = tables.length === 0 ? null : distinct.mark(fingerprints.ofState(plan, specs))
    if (mark !== null) operators.set(node, { ...mark, kind, label })
    if (plan.op === 'source') watermarks.set(node, distinct.mark(fingerprints.ofSource(plan)).number)
    else if (node.inputs.length !== 1 || node.operator?.keepsWatermark === true)
      watermarks.set(node, mark?.number ?? distinct.mark(fingerprints.ofState(plan, specs)).number)
  }
  const marked = new Distinct()
  const ofSources = sources.map((source, index) => {
    const { fingerprint } = marked.mark(fingerprints.ofSource(source.plan))
    return [source, { index, fingerprint, topic: source.plan.topic }] as const
  })
  const prints = [...operators.values(), ...ofSources.map(([, mark]) => mark)].map(({ fingerprint }) => fingerprint)
  const print = printOf([fingerprints.ofResult(nodes.at(-1)!.plan), ...prints.toSorted()])
  return new Marks(print, operators, watermarks, new Map(ofSources), [])
}
const printOf = (prints: readonly string[]): string =>
  createHash('sha256').update(prints.join()).digest('hex').slice(0, 32)
/** Topics that it has read. */
export const liveTopics = ({ sources }: SavedMarks): ReadonlySet<string> =>
  new Set(sources.flatMap(({ topic, gone }) => (gone === true ? [] : [topic])))
/** Equal steps, which a plan may hold several times where they are not shared, are told apart by their order. */
class Distinct {
  private readonly taken = new Set<number>()
  private readonly counts = new Map<string, number>()

  mark(fingerprint: string): { readonly number: number; readonly fingerprint: string } {
    const count = (this.counts.get(fingerprint) ?? 0) + 1
    this.counts.set(fingerprint, count)
    let number = Number.parseInt(fingerprint.slice(0, numberDigits), 16) + count - 1
    while (number === 0 || this.taken.has(number)) number++
    this.taken.add(number)
    return { number, fingerprint: count === 1 ? fingerprint : `${fingerprint}#${count}` }
  }
}

/** Operators of the plan whose state is not among what was saved, as people know them. */
export function missing(marks: Marks, saved: SavedMarks): string[] {
  return [...marks.operators.values()]
    .filter((mark) => !isAmong(mark, saved))
    .map(({ kind, label }) => `${kind} ${label}`)
}
export const isAmong = (mark: Mark, { operators }: SavedMarks): boolean =>
  operators.some(({ number, fingerprint }) => number === mark.number && fingerprint === mark.fingerprint)

/** What `Marks.text` says; null: nothing that can be understood. */
export function readMarks(value: Value | undefined): SavedMarks | null {
  return typeof value === 'string' ? (JSON.parse(value) as SavedMarks) : null
}

/** Entries of operators that are not there: kept by their keys until it is told that they are gone. */
export class Left {
  private readonly keys = new Map<string, Buffer>()
  private isTold = false

  take(key: Uint8Array, value: Uint8Array | null): void {
    const bytes = Buffer.from(key)
    if (value === null) this.keys.delete(bytes.toString('latin1'))
    else this.keys.set(bytes.toString('latin1'), bytes)
  }
  get count(): number {
    return this.keys.size
  }
  tell(to: ChangesTo): void {
    for (const key of this.keys.values()) {
      to.key(key[1]!, key.length).raw(key)
      to.end(true)
    }
    this.isTold = true
  }
  /** What was told has been committed. */
  commit(): void {
    if (this.isTold) this.clear()
  }
  clear(): void {
    this.keys.clear()
    this.isTold = false
  }
}

/** Before a table's own key: format version, slot (the table puts it there), operator, table. */
export function changelogPrefix(operator: number, table: number): Buffer {
  const out = new ByteWriter(12)
  out.int8(stateVersion)
  out.int8(0)
  out.uvarint(operator)
  out.uvarint(table)
  return out.done()
}
/** `operator` null: a format that this program does not read. */
export function keyOfChangelog(key: Uint8Array): {
  readonly version: number
  readonly slot: number
  readonly operator: number | null
  readonly table: number
  readonly rest: Uint8Array
} {
  const input = new ByteReader(key)
  const version = input.uint8()
  if (version !== stateVersion) return { version, slot: 0, operator: null, table: 0, rest: key }
  const slot = input.uint8()
  const operator = input.uvarint()
  const table = input.uvarint()
  return { version, slot, operator, table, rest: key.subarray(input.at) }
}
