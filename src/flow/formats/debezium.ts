/**
 * Change events of Debezium: `before`, `after` and `op`, as JSON with or without the `schema` around it, or as Avro. An event is
 * one row, or two: by a key, the row that its key now has, or that it is gone; without one, the row that was and the row
 * that is, which add up.
 *
 * A null value follows a deletion, so that compaction may forget the key. By a key it says once more that the key is gone,
 * which only its record key tells; of Avro keys are not read, and without a key there is nothing to take away: it is
 * passed over.
 */
import type { Schemas } from '../../schema/formats/registry.ts'
import type { DataType, Field } from '../../schema/types.ts'
import { type ColumnBuilder, columnBuilder } from '../columns.ts'
import { Misfit, misfitOf, readerOf } from '../decode-value.ts'
import { keyReader } from '../encode-key.ts'
import type { Value } from '../expression.ts'
import { JsonSyntax, skipSpace } from '../json-scan.ts'
import { FieldLocator } from '../payload.ts'
import type { SourcePlan } from '../plan.ts'
import { type Payload, payloadOf } from './payload.ts'

/** A row that an event makes. */
export interface Image {
  readonly weight: 1 | -1
  /** By a key: it is gone. Its columns are those of the key. */
  readonly isDeleted: boolean
  /** Key columns from the record key; null: from the event. */
  readonly fromKey: readonly Value[] | null
  /** Where its columns begin in the payload; −1: it has none. */
  readonly at: number
}

const text: DataType = { kind: 'text' }
/** Places of an event in the payload behind each other: op, before, after, the columns of before, those of after. */
const [opAt, beforeAt, afterAt, columnsAt] = [0, 1, 2, 3]

export class ChangeEvents implements Payload {
  private readonly plan: SourcePlan
  private readonly inner: Payload
  private readonly stride: number
  private readonly op: ColumnBuilder = columnBuilder(text, 1)
  private readonly keys: RecordKeys | null
  private at = 0

  constructor(plan: SourcePlan, schemas: Schemas | null) {
    this.plan = plan
    const { columns, fields } = plan
    this.stride = columnsAt + 2 * columns.length
    const json: Field = { name: '', type: { kind: 'jsonb' }, nullable: true }
    const of = (image: 'before' | 'after'): SourcePlan['fields'][number][] =>
      fields.map((field) => (field.from === 'value' ? { from: 'value', path: [image, ...field.path] } : field))
    const event = [...['op', 'before', 'after'].map((name) => path([name])), ...of('before'), ...of('after')]
    const wrapped = event.map((field) => (field.from === 'value' ? path(['payload', ...field.path]) : field))
    const types = [{ ...json, type: text }, json, json, ...columns, ...columns]
    const isJson = plan.format === 'json'
    this.inner = payloadOf(
      {
        ...plan,
        columns: isJson ? [...types, ...types] : types,
        fields: isJson ? [...event, ...wrapped] : event,
      },
      schemas,
    )
    this.keys = isJson && plan.mode === 'upsert' ? new RecordKeys(plan) : null
  }
  clear(): void {
    this.inner.clear()
  }
  locate(value: Buffer): void {
    this.inner.locate(value)
  }
  /** The rows of an event; throws what `Payload.locate` throws. */
  images(value: Buffer | null, key: Buffer | null): readonly Image[] {
    if (value === null) return this.tombstone(key)
    this.inner.clear()
    this.inner.locate(value)
    const from = !this.inner.isMissing(opAt)
      ? 0
      : this.plan.format === 'json' && !this.inner.isMissing(this.stride)
        ? this.stride
        : null
    if (from === null) throw new Misfit('is no change event of Debezium: it has no op', 'op')
    const op = this.opOf(from)
    const { mode } = this.plan
    const isKeyed = mode === 'upsert'
    if (mode === 'append' && op !== 'c' && op !== 'r')
      throw new Misfit(`is ${JSON.stringify(op)}: here rows only come`, 'op')
    switch (op) {
      case 'c':
      case 'r':
        return [this.image(from, 'after', 1)]
      case 'u':
        return isKeyed ? [this.image(from, 'after', 1)] : [this.image(from, 'before', -1), this.image(from, 'after', 1)]
      case 'd':
        if (isKeyed && this.inner.isMissing(from + beforeAt) && key !== null) return this.tombstone(key)
        return [this.image(from, 'before', -1)]
      default:
        throw new Misfit(`is ${JSON.stringify(op)}: c, r, u and d change rows`, 'op')
    }
  }
  private opOf(from: number): string {
    this.op.truncate(0)
    try {
      this.inner.read(from + opAt, this.op)
    } catch (error) {
      throw new Misfit(misfitOf(error)?.message ?? 'is no text', 'op')
    }
    return String(this.op.last(text))
  }
  private image(from: number, name: 'before' | 'after', weight: 1 | -1): Image {
    const at = from + (name === 'before' ? beforeAt : afterAt)
    if (this.inner.isMissing(at))
      throw new Misfit(
        name === 'before' ? 'is needed: let the database log whole rows (REPLICA IDENTITY FULL)' : 'is needed',
        name,
      )
    if (this.inner.isObject?.(at) === false) throw new Misfit('is not an object', name)
    const columns = from + columnsAt + (name === 'before' ? 0 : this.plan.columns.length)
    return { weight, isDeleted: weight < 0 && this.plan.mode === 'upsert', fromKey: null, at: columns }
  }
  private tombstone(key: Buffer | null): readonly Image[] {
    if (this.keys === null) return []
    if (key === null) throw new Misfit('is null, and so is the key')
    return [{ weight: -1, isDeleted: true, fromKey: this.keyOf(key, this.keys), at: -1 }]
  }
  private keyOf(key: Buffer, keys: RecordKeys): readonly Value[] {
    try {
      return keys.read(key)
    } catch (error) {
      const why = misfitOf(error)
      if (why === null) throw error
      throw new Misfit(`cannot be read from the record's key: ${why.message}`)
    }
  }
  /** What is read is of this row of the event. */
  turnTo({ at }: Image): void {
    this.at = at
  }
  isMissing(column: number): boolean {
    return this.at < 0 || this.inner.isMissing(this.at + column)
  }
  read(column: number, builder: ColumnBuilder): void {
    this.inner.read(this.at + column, builder)
  }
}
const path = (of: readonly string[]): SourcePlan['fields'][number] & { readonly from: 'value' } => ({
  from: 'value',
  path: of,
})

/** Key columns from a record key: an object of them, in its `payload` where a schema is around it; else as Millrace writes keys. */
class RecordKeys {
  private readonly types: readonly DataType[]
  private readonly locator: FieldLocator
  private readonly plain: ReturnType<typeof keyReader>

  constructor({ key, columns, fields }: SourcePlan) {
    const paths = key.map((k): readonly string[] => {
      const field = fields[k]!
      return field.from === 'value' ? field.path : []
    })
    this.types = key.map((k) => columns[k]!.type)
    this.locator = new FieldLocator([...paths, ...paths.map((one) => ['payload', ...one])])
    this.plain = keyReader(key.map((k) => columns[k]!))
  }
  /** Throws JsonSyntax, Misfit and the faults of values. */
  read(key: Buffer): readonly Value[] {
    const at = key[skipSpace(key, 0)] === 123 ? this.located(key) : -1
    if (at < 0) return this.plain(key)
    const { from, to } = this.locator.places
    return this.types.map((type, k) => {
      const builder = columnBuilder(type, 1)
      readerOf(type)(key, from[at + k]!, to[at + k]!, builder)
      return builder.last(type)
    })
  }
  /** Where the columns are among the places; −1: it has not all of them. */
  private located(key: Buffer): number {
    this.locator.clear()
    try {
      this.locator.locate(key)
    } catch (error) {
      if (error instanceof JsonSyntax) return -1
      throw error
    }
    const { from } = this.locator.places
    const has = (first: number): boolean =>
      this.types.every((_, k) => from[first + k]! >= 0 && key[from[first + k]!] !== 110)
    return has(0) ? 0 : has(this.types.length) ? this.types.length : -1
  }
}
