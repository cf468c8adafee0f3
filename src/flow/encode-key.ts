/**
 * Key bytes of keyed topics (conventions: one column as plain text, several as a JSON array), written and read. Equal
 * keys have equal bytes: numerics are written without zeros at the end of their fraction.
 */
import type { Columns, Field } from '../schema/types.ts'
import { type Batch, valueAt } from './batch.ts'
import { compileScalar } from './compile.ts'
import { type Decimal, decimalText, trimScale } from './decimal.ts'
import { Misfit, valueReader } from './decode-value.ts'
import type { Value } from './expression.ts'
import { eachItem, skipSpace, valueEnd } from './json-scan.ts'
import { jsonWriter } from './json-value.ts'
import { toDecimal } from './memory.ts'

/** A value as it stands in a JSON array. */
function itemWriter(field: Field): (value: Value) => string {
  const { type } = field
  const write = jsonWriter(type)
  if (type.kind !== 'numeric') return (v) => (Object.is(v, -0) ? '0' : write(v))
  return (v) => {
    if (v === null) return 'null'
    const d = trimScale(toDecimal(v as number | bigint | Decimal, type.scale))
    return decimalText(d.digits, d.scale)
  }
}
/** NULL has no plain text; a key of it alone is written as an array. */
const nullKey = '[null]'
export function keyText(columns: Columns): (values: readonly Value[]) => string {
  const writers = columns.map(itemWriter)
  const [only] = columns
  if (columns.length !== 1 || only === undefined)
    return (values) => `[${writers.map((write, i) => write(values[i]!)).join(',')}]`
  const write = writers[0]!
  return (values) => {
    const value = values[0]!
    if (value === null) return nullKey
    const text = write(value)
    return text.startsWith('"') ? (JSON.parse(text) as string) : text
  }
}
/** Key bytes of a batch's row. */
export function keyWriter(columns: Columns, positions: readonly number[]): (batch: Batch, row: number) => Buffer {
  const fields = positions.map((p) => columns[p]!)
  const text = keyText(fields)
  const values: Value[] = positions.map(() => null)
  return (batch, row) => {
    for (let i = 0; i < positions.length; i++) values[i] = valueAt(batch.columns[positions[i]!]!, row, fields[i]!.type)
    return Buffer.from(text(values))
  }
}

function plainReader(field: Field): (key: Buffer) => Value {
  const { type } = field
  if (type.kind === 'text') return (key) => key.toString('utf8')
  if (type.kind === 'composite') {
    const read = valueReader(type)
    return (key) => {
      const start = skipSpace(key, 0)
      if (skipSpace(key, valueEnd(key, start, key.length)) !== key.length) throw new Misfit('it is not one JSON value')
      return read(key, start, key.length)
    }
  }
  const cast = compileScalar({
    kind: 'call',
    name: 'cast',
    args: [{ kind: 'column', index: 0, type: { kind: 'text' } }],
    type,
  })
  return (key) => {
    const text = key.toString('utf8')
    return cast([text], 0)
  }
}
/** Values of key columns from key bytes. Throws Misfit, or the Fault of a cast. */
export function keyReader(columns: Columns): (key: Buffer) => readonly Value[] {
  const [only] = columns
  if (columns.length === 1 && only !== undefined) {
    const read = plainReader(only)
    return (key) => [only.nullable && key.toString('latin1') === nullKey ? null : read(key)]
  }
  const readers = columns.map((c) => valueReader(c.type))
  return (key) => {
    const start = skipSpace(key, 0)
    if (key[start] !== 91 || skipSpace(key, valueEnd(key, start, key.length)) !== key.length)
      throw new Misfit('it is not a JSON array')
    const values: Value[] = []
    eachItem(key, start, key.length, (from, to) => {
      const read = readers[values.length]
      if (read === undefined) throw new Misfit(`it has not ${columns.length} values`)
      values.push(read(key, from, to))
    })
    if (values.length !== columns.length) throw new Misfit(`it has not ${columns.length} values`)
    return values
  }
}
