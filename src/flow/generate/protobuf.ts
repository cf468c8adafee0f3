/**
 * A loop over records with Protobuf payloads of one message: fields come in any order, so each tag is looked up; what is
 * wanted goes into the columns' arrays, the rest is passed. Lists, maps and messages as a whole are read by the complete
 * parser's readers where their occurrences follow each other. A field that comes again later, or a oneof that changes its
 * mind, is left to the complete parser (`formats/protobuf.ts`), which gives what this gives.
 */
import { limits } from '../../lib/limits.ts'
import type { ProtoField, ProtoKind } from '../../schema/formats/protobuf.ts'
import { columnBuilder } from '../columns.ts'
import { misfitOf } from '../decode-value.ts'
import { type WantedMessage, protoReader, wire, wireOf } from '../formats/protobuf.ts'
import { appended } from './json-scalars.ts'
import {
  cursor,
  enumName,
  fixedInt64,
  fixedUint64,
  instantOf,
  occurrencesPassed,
  putValue,
  restBool,
  restInt32,
  restInt64,
  restSint32,
  restSint64,
  restTag,
  restUint32,
  restUint64,
} from './binary.ts'
import { BinaryText, NoLoop, isInstant, isWhole } from './binary-loop.ts'
import type { LoopColumn, RecordLoop } from './loop.ts'

export interface ProtoLoopOptions {
  readonly header: Buffer
  readonly weighted: boolean
}
/** null: the complete parser reads all of such a source. */
export function protoLoop(
  columns: readonly LoopColumn[],
  wanted: WantedMessage,
  options: ProtoLoopOptions,
): RecordLoop | null {
  try {
    return new ProtoText(columns).loop(wanted, options)
  } catch (error) {
    if (error instanceof NoLoop) return null
    throw error
  }
}
/** A loop with more text than this would only be interpreted. */
const linesMax = 4_000
/** A message in which something is wanted, and the variable that says that it is there. */
interface Inside {
  readonly name: string
  readonly wanted: WantedMessage
}
type Wanted = NonNullable<ReturnType<WantedMessage['byNumber']['get']>>

/** How a kind is read as a varint: what its first four bytes say as v, and what reads longer ones. */
const varints: Partial<Record<ProtoKind, readonly [string, (b: Buffer, at: number, low: number) => number]>> = {
  bool: ['v === 0 ? 0 : 1', restBool],
  int32: ['v', restInt32],
  enum: ['v', restInt32],
  uint32: ['v', restUint32],
  sint32: ['(v >>> 1) ^ -(v & 1)', restSint32],
  int64: ['v', restInt64],
  uint64: ['v', restUint64],
  sint64: ['(v >>> 1) ^ -(v & 1)', restSint64],
}

class ProtoText extends BinaryText {
  /** By column: its field, and the variable that says whether the message around it is there; null: it is. */
  private readonly places = new Map<number, { readonly field: ProtoField; readonly present: string | null }>()

  loop(wanted: WantedMessage, { header, weighted }: ProtoLoopOptions): RecordLoop {
    const messages: Inside[] = []
    this.collect(wanted, null, messages)
    const absent = new Map(this.read.map((c) => [c, this.absent(c)]))
    return this.frame(
      header,
      weighted,
      () => {
        this.line(...messages.map(({ name }) => `let ${name} = false`))
        this.message(wanted, messages, 'end')
      },
      (c) => absent.get(c)!,
    )
  }
  private collect(wanted: WantedMessage, present: string | null, messages: Inside[], depth = 0): void {
    if (depth >= limits.jsonDepth) throw new NoLoop()
    for (const { field, wants, inside } of wanted.byNumber.values()) {
      const [column, ...others] = wants.columns
      if (others.length > 0 || (column !== undefined && wants.children.size > 0)) throw new NoLoop()
      if (column !== undefined) this.places.set(column, { field, present })
      // What is wanted of a list or a map is for the complete parser to refuse.
      if (column === undefined && inside === null && field.form !== 'one') throw new NoLoop()
      if (inside === null) continue
      const name = this.label()
      messages.push({ name, wanted: inside })
      this.collect(inside, name, messages, depth + 1)
    }
  }
  /** What to do where a column's field was not written. */
  private absent(c: number): string {
    const { isNeeded } = this.columns[c]!
    const nothing = isNeeded ? 'break row' : this.putNull(c)
    const place = this.places.get(c)
    if (place === undefined) return nothing
    const { field, present } = place
    if (field.presence !== 'implicit' && field.declared === null) return nothing
    const otherwise = this.byDefault(c, field)
    if (present === null) return otherwise
    if (otherwise === 'break row' || nothing === 'break row') throw new NoLoop()
    return `{ if (${present}) { ${otherwise} } else ${nothing} }`
  }
  private byDefault(c: number, field: ProtoField): string {
    const { type, isNeeded, isKey } = this.columns[c]!
    const read = protoReader(field, type)
    const builder = columnBuilder(type, 1)
    try {
      read(Buffer.alloc(0), 0, 0, builder)
    } catch (error) {
      if (misfitOf(error) !== null) return 'break row'
      throw error
    }
    const value = builder.last(type)
    if (isKey || (value === null && isNeeded)) return 'break row'
    // Each row has an object of its own.
    if (!this.isDirect(c)) return `${this.use(appended)}(${this.use(read)}, b, 0, 0, g${c})`
    if (typeof value === 'number') return `d${c}[n] = ${Object.is(value, -0) ? '-0' : value}`
    if (value === '') return `f${c}[n] = t${c}[n] = 0`
    return `${this.use(putValue)}(${this.use({ value })}.value, g${c}, n)`
  }

  private message(wanted: WantedMessage, messages: readonly Inside[], end: string): void {
    if (this.out.length > linesMax) throw new NoLoop()
    const label = this.label()
    const start = this.label()
    this.line(
      `${label}: while (p < ${end}) {`,
      `const ${start} = p`,
      'c = b[p++]',
      'if (c > 127) {',
      'v = b[p++]; c = (c & 127) | ((v & 127) << 7)',
      `if (v > 127) { if ((c = ${this.use(restTag)}(b, p, c)) < 0) break row; p = ${this.use(cursor)}.at }`,
      '}',
      'switch (c) {',
    )
    for (const one of wanted.byNumber.values()) {
      this.wanted(one, wanted, { messages, end, start })
      if (this.out.length > linesMax) throw new NoLoop()
    }
    // Members of a oneof that nobody wants say that those are not there that somebody wants.
    for (const field of wanted.message.fields)
      if (!wanted.byNumber.has(field.number) && this.othersOf(wanted, field).length > 0) {
        this.line(`case ${field.number * 8 + wireOf(field.kind)}: {`, ...this.forgetOthers(wanted, field, messages))
        this.passKind(wireOf(field.kind), end)
        this.line('break', '}')
        if (this.out.length > linesMax) throw new NoLoop()
      }
    this.line('default:', 'if (!(c >= 8)) break row', 'switch (c & 7) {')
    for (const type of Object.values(wire)) {
      this.line(`case ${type}:`)
      this.passKind(type, end)
      this.line('break')
    }
    this.line('default: break row', '}', '}', '}', `if (p !== ${end}) break row`)
  }
  private passKind(type: number, end: string): void {
    if (type === wire.varint) this.passVarint()
    else if (type === wire.fixed64) this.line('p += 8')
    else if (type === wire.fixed32) this.line('p += 4')
    else {
      this.length(end)
      this.line('p += x')
    }
  }
  private length(end: string): void {
    this.varint('v', restUint64)
    this.checkLength(end)
  }
  private othersOf({ byNumber }: WantedMessage, field: ProtoField): Wanted[] {
    if (field.oneof < 0) return []
    return [...byNumber.values()].filter((other) => other.field !== field && other.field.oneof === field.oneof)
  }
  /** The record is left where one of them was written before. */
  private forgetOthers(wanted: WantedMessage, field: ProtoField, messages: readonly Inside[]): string[] {
    return this.othersOf(wanted, field).flatMap(({ wants, inside }) => [
      ...wants.columns.map((c) => `if (${this.isSeen(c)}) break row`),
      ...messages.filter((one) => one.wanted === inside).map(({ name }) => `if (${name}) break row`),
    ])
  }
  private wanted(
    { field, wants, inside }: Wanted,
    of: WantedMessage,
    { messages, end, start }: { messages: readonly Inside[]; end: string; start: string },
  ): void {
    const [column] = wants.columns
    const tag = field.number * 8 + wireOf(field.kind)
    const isPackable = field.form === 'repeated' && wireOf(field.kind) !== wire.bytes
    this.line(...(isPackable ? [`case ${field.number * 8 + wire.bytes}:`] : []), `case ${tag}: {`)
    this.line(...this.forgetOthers(of, field, messages))
    if (column !== undefined) {
      this.line(`if (${this.isSeen(column)}) break row`)
      if (field.form !== 'one' || !this.direct(column, field, end)) {
        this.line(`if ((p = ${this.use(occurrencesPassed)}(b, ${start}, ${end}, ${this.use(field)})) < 0) break row`)
        this.line(`s = ${start}`)
        this.putRead(column, protoReader(field, this.columns[column]!.type))
      }
      this.line(this.see(column))
    } else if (inside !== null) {
      const own = messages.find((one) => one.wanted === inside)!
      const inner = this.label()
      this.length(end)
      this.line(`${own.name} = true`, `const ${inner} = p + x`)
      this.message(inside, messages, inner)
    } else this.passKind(wireOf(field.kind), end)
    this.line('break', '}')
  }

  /** Reads a single value into the column; false: nothing was written, there is no short way. */
  private direct(c: number, field: ProtoField, end: string): boolean {
    const { type } = this.columns[c]!
    const { kind } = field
    switch (kind) {
      case 'string':
      case 'bytes':
        if (kind === 'bytes' && type.kind === 'bytea') {
          this.length(end)
          this.putBytes(c)
          return true
        }
        if (type.kind !== 'text' && type.kind !== 'varchar' && (type.kind !== 'uuid' || kind === 'bytes')) return false
        this.length(end)
        return this.putText(c)
      case 'float':
      case 'double': {
        if (type.kind !== 'double' && type.kind !== 'real') return false
        const [bytes, get] = kind === 'float' ? [4, 'getFloat32'] : [8, 'getFloat64']
        this.line(`if (p + ${bytes} > ${end}) break row`, `x = view.${get}(p, true)`, `p += ${bytes}`)
        return this.putFloat(c)
      }
      case 'bool':
        if (type.kind !== 'boolean') return false
        this.varint(...varints.bool!)
        this.line('if (x !== x) break row', `d${c}[n] = x`)
        return true
      case 'enum':
        if (this.columns[c]!.isKey) return false
        if (isWhole(type)) {
          this.varint(...varints.enum!)
          return this.putWhole(c, false)
        }
        if (type.kind !== 'text') return false
        this.varint(...varints.enum!)
        this.line(`q = x !== x ? null : ${this.use(enumName)}(${this.use(field.values)}, x)`)
        this.line('if (q === null) break row', `g${c}.putText(n, q)`)
        return true
      case 'message': {
        if (field.message!.known !== 'timestamp' || !isInstant(type)) return false
        this.length(end)
        this.line(`v = p; p += x`, `x = ${this.use(instantOf)}(b, v, p)`, 'if (x !== x) break row', `d${c}[n] = x`)
        return true
      }
      default:
        return this.number(c, kind, end)
    }
  }
  private number(c: number, kind: ProtoKind, end: string): boolean {
    const { type } = this.columns[c]!
    const isFitting = type.kind === 'numeric' && type.scale !== null && type.scale >= 0 && type.scale <= 15
    if (!isWhole(type) && !isInstant(type) && type.kind !== 'double' && type.kind !== 'real' && !isFitting) return false
    const varint = varints[kind]
    if (varint !== undefined) this.varint(...varint)
    else {
      const bytes = kind.endsWith('32') ? 4 : 8
      this.line(`if (p + ${bytes} > ${end}) break row`)
      if (kind === 'fixed32') this.line('x = view.getUint32(p, true)')
      else if (kind === 'sfixed32') this.line('x = view.getInt32(p, true)')
      else this.line(`x = ${this.use(kind === 'fixed64' ? fixedUint64 : fixedInt64)}(view, p)`)
      this.line(`p += ${bytes}`)
    }
    return this.putWhole(c, true)
  }
}
