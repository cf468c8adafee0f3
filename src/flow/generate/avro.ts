/**
 * A loop over records with Avro payloads of one schema: it walks the fields in the order in which that has them, puts what
 * is wanted into the columns' arrays and passes the rest. What it takes is what the complete parser (`formats/avro.ts`)
 * takes, to the same values.
 */
import { type AvroNode, type Logical, isEmpty } from '../../schema/formats/avro.ts'
import type { DataType } from '../../schema/types.ts'
import { limits } from '../../lib/limits.ts'
import { columnBuilder } from '../columns.ts'
import { misfitOf } from '../decode-value.ts'
import { AvroLocator, avroReader } from '../formats/avro.ts'
import type { Wants } from '../formats/binary.ts'
import { dateMin } from '../time-text.ts'
import { avroPassed, decimalNumber, putValue, restSint64 } from './binary.ts'
import { BinaryText, NoLoop, isInstant, isWhole, safeMs } from './binary-loop.ts'
import type { LoopColumn, RecordLoop } from './loop.ts'

export interface AvroLoopOptions {
  readonly header: Buffer
  readonly weighted: boolean
}
/** null: the complete parser reads all of such a source. */
export function avroLoop(
  columns: readonly LoopColumn[],
  wants: Wants,
  node: AvroNode,
  options: AvroLoopOptions,
): RecordLoop | null {
  try {
    return new AvroText(columns).loop(wants, node, options)
  } catch (error) {
    if (error instanceof NoLoop) return null
    throw error
  }
}
/** Branches whose index is one byte. */
const branchesMax = 64
/** A loop with more text than this would only be interpreted. */
const linesMax = 4_000
const dayMost = 100_000_000
const dayMicros = 86_400_000_000

class AvroText extends BinaryText {
  loop(wants: Wants, node: AvroNode, { header, weighted }: AvroLoopOptions): RecordLoop {
    if (node.kind !== 'record' || wants.columns.length > 0) throw new NoLoop()
    return this.frame(header, weighted, () => this.record(wants, node, 0))
  }
  private record(wants: Wants, node: AvroNode & { kind: 'record' }, depth: number): void {
    for (const { name, node: field } of node.fields) {
      const child = name === null ? undefined : wants.children.get(name)
      if (child === undefined) this.pass(field, depth + 1)
      else this.value(child, field, depth + 1)
      if (this.out.length > linesMax) throw new NoLoop()
    }
    for (const { name, node: field, bytes } of node.defaults) {
      const child = wants.children.get(name)
      if (child !== undefined) this.defaults(child, field, bytes)
    }
  }
  private value(wants: Wants, node: AvroNode, depth: number): void {
    if (depth >= limits.jsonDepth) throw new NoLoop()
    const [column, ...others] = wants.columns
    if (others.length > 0 || (column !== undefined && wants.children.size > 0)) throw new NoLoop()
    if (node.kind === 'union') this.union(node, (branch) => this.value(wants, branch, depth + 1))
    else if (column !== undefined) this.column(column, node, depth)
    else if (node.kind === 'record') this.record(wants, node, depth)
    else if (node.kind === 'map') throw new NoLoop()
    else this.pass(node, depth)
  }
  private union({ branches }: AvroNode & { kind: 'union' }, each: (branch: AvroNode) => void): void {
    if (branches.length > branchesMax || branches.length === 0) throw new NoLoop()
    const index = this.label()
    this.line(`const ${index} = b[p++]`)
    for (const [i, branch] of branches.entries()) {
      this.line(`${i === 0 ? '' : 'else '}if (${index} === ${i * 2}) {`)
      each(branch)
      this.line('}')
    }
    this.line('else break row')
  }
  private defaults(wants: Wants, node: AvroNode, bytes: Buffer): void {
    const locator = new AvroLocator(wants, this.columns.length)
    try {
      locator.locate(bytes, 0, node)
      for (const [c, place] of locator.places.entries()) {
        if (place === null) continue
        const { type } = this.columns[c]!
        const builder = columnBuilder(type, 1)
        avroReader(place.node, type)(place.bytes, place.from, place.to, builder)
        if (!this.isDirect(c) || this.columns[c]!.isKey) throw new NoLoop()
        this.line(`${this.use(putValue)}(${this.use({ value: builder.last(type) })}.value, g${c}, n)`, this.see(c))
      }
    } catch (error) {
      if (misfitOf(error) !== null) throw new NoLoop()
      throw error
    }
  }

  // Passing by.

  private pass(node: AvroNode, depth: number): void {
    if (isEmpty(node)) return
    switch (node.kind) {
      case 'boolean':
        return this.line('p++')
      case 'int':
      case 'long':
      case 'enum':
        return this.passVarint()
      case 'float':
        return this.line('p += 4')
      case 'double':
        return this.line('p += 8')
      case 'fixed':
        return this.line(`p += ${node.size}`)
      case 'bytes':
      case 'string':
        this.length()
        return this.line('p += x')
      case 'unreadable':
        return this.pass(node.writer, depth)
      case 'union':
        if (node.branches.length === 2 && node.branches.every(isPlain))
          return this.union(node, (branch) => this.pass(branch, depth + 1))
        return this.passAny(node, depth)
      default:
        return this.passAny(node, depth)
    }
  }
  private passAny(node: AvroNode, depth: number): void {
    this.line(`if ((p = ${this.use(avroPassed)}(b, p, end, ${this.use(node)}, ${depth})) < 0) break row`)
  }
  private long(): void {
    this.varint('(v >>> 1) ^ -(v & 1)', restSint64)
  }
  private length(): void {
    this.long()
    this.checkLength('end')
  }

  // Columns.

  private column(c: number, node: AvroNode, depth: number): void {
    if (node.kind === 'null') return
    if (node.kind === 'unreadable') return this.line('break row')
    if (!this.direct(c, node, this.columns[c]!.type)) {
      const from = this.label()
      this.line(`const ${from} = p`)
      this.pass(node, depth)
      this.line(`if (p > end) break row`, `s = ${from}`)
      this.putRead(c, avroReader(node, this.columns[c]!.type))
    }
    this.line(this.see(c))
  }
  /** Reads the value into the column; false: nothing was written, there is no short way. */
  private direct(c: number, node: AvroNode, type: DataType): boolean {
    switch (node.kind) {
      case 'boolean':
        if (type.kind !== 'boolean') return false
        this.line('c = b[p++]', 'if (c !== 0 && c !== 1) break row', `d${c}[n] = c`)
        return true
      case 'int':
      case 'long':
        return this.whole(c, node.kind, node.logical)
      case 'float':
      case 'double': {
        if (type.kind !== 'double' && type.kind !== 'real') return false
        const [bytes, get] = node.kind === 'float' ? [4, 'getFloat32'] : [8, 'getFloat64']
        this.line(`if (p + ${bytes} > end) break row`, `x = view.${get}(p, true)`, `p += ${bytes}`)
        return this.putFloat(c)
      }
      case 'string':
        if (type.kind !== 'text' && type.kind !== 'varchar' && type.kind !== 'uuid') return false
        this.length()
        return this.putText(c)
      case 'bytes':
      case 'fixed':
        return this.bytes(c, node.kind === 'fixed' ? node.size : null, node.logical)
      case 'enum':
        if (type.kind !== 'text' || this.columns[c]!.isKey) return false
        this.long()
        this.line(
          `q = ${this.use(node.symbols)}[x]`,
          'if (q === undefined || q === null) break row',
          `g${c}.putText(n, q)`,
        )
        return true
      default:
        return false
    }
  }
  private whole(c: number, kind: AvroNode['kind'], logical: Logical | null): boolean {
    const { type } = this.columns[c]!
    const name = logical?.name ?? null
    const checkInt = (): void => {
      this.long()
      if (kind === 'int') this.line('if (!(x >= -2147483648 && x <= 2147483647)) break row')
    }
    if (name === null || isWhole(type)) {
      const fits = isWhole(type) || isInstant(type) || ['double', 'real', 'numeric'].includes(type.kind)
      if (!fits || (type.kind === 'numeric' && (type.scale === null || type.scale < 0 || type.scale > 15))) return false
      checkInt()
      return this.putWhole(c, true)
    }
    const per = { 'time-millis': 1000, 'time-micros': 1 }[name as 'time-millis']
    if (per !== undefined) {
      if (type.kind !== 'time') return false
      checkInt()
      this.line(`x *= ${per}`, `if (!(x >= 0 && x < ${dayMicros})) break row`, `d${c}[n] = x`)
      return true
    }
    if (name === 'date') {
      if (type.kind !== 'date') return false
      checkInt()
      this.line(`if (!(x >= ${dateMin} && x <= ${dayMost})) break row`, `d${c}[n] = x`)
      return true
    }
    if (!isInstant(type) || name.endsWith('nanos')) return false
    checkInt()
    const unit = name.endsWith('millis') ? 1000 : 1
    const most = name.endsWith('millis') ? safeMs : Number.MAX_SAFE_INTEGER
    this.line(`if (!(x >= ${-most} && x <= ${most})) break row`, `d${c}[n] = x * ${unit}`)
    return true
  }
  /** `size`: null = a length stands before them. */
  private bytes(c: number, size: number | null, logical: Logical | null): boolean {
    const { type } = this.columns[c]!
    const length = (): void => {
      if (size === null) return this.length()
      this.line(`x = ${size}`)
      this.checkLength('end')
    }
    if (type.kind === 'bytea') {
      length()
      this.putBytes(c)
      return true
    }
    if (size === null && logical === null && (type.kind === 'text' || type.kind === 'varchar')) {
      length()
      return this.putText(c)
    }
    const isDecimal = logical?.name === 'decimal' && type.kind === 'numeric' && type.scale !== null
    if (!isDecimal || type.scale! < logical.scale || type.scale! > 15) return false
    length()
    this.line(`v = p; p += x`, `x = ${this.use(decimalNumber)}(b, v, p)`)
    this.putDigits(c, type as DataType & { kind: 'numeric' }, logical.scale)
    return true
  }
}
const isPlain = (node: AvroNode): boolean =>
  ['null', 'boolean', 'int', 'long', 'float', 'double', 'string', 'bytes', 'enum', 'fixed'].includes(node.kind)
