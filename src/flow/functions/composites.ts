/** Values of several fields, and of lists of them: made of parts, and read from and written as JSON. */
import { assert } from '../../lib/assert.ts'
import { Fault } from '../../lib/fault.ts'
import { type DataType, typeName } from '../../schema/types.ts'
import { misfitOf, valueReader } from '../decode-value.ts'
import type { Value } from '../expression.ts'
import { canonicalJsonb, checkJson } from '../json-text.ts'
import { jsonWriter } from '../json-value.ts'
import type { FunctionRow, Kind } from './table.ts'

/** Reads a value of the type from JSON text, as events are read. Gives a function that throws Fault value.invalid-text. */
export function jsonReader(type: DataType): (json: string) => Value {
  const read = valueReader(type)
  return (json) => {
    const bytes = Buffer.from(checkJson(json).trim())
    try {
      return read(bytes, 0, bytes.length)
    } catch (error) {
      const misfit = misfitOf(error)
      if (misfit === null) throw error
      throw new Fault('value.invalid-text', { type: typeName(type), text: `${json.slice(0, 80)} ${misfit.message}` })
    }
  }
}
const why = 'DuckDB has its own type for structs'
const cast = (from: Kind, to: Kind, code: FunctionRow['code'], about: string): FunctionRow => ({
  name: 'cast',
  args: [from],
  to,
  returns: { kind: to } as DataType,
  mayBeNull: true,
  code,
  duckdb: null,
  why,
  about,
})
const written: FunctionRow['code'] = (c) => `${c.use(jsonWriter(c.types[0]!))}(${c.args[0]})`
const read: FunctionRow['code'] = (c) => `${c.use(jsonReader(c.type))}(${c.args[0]})`

export const composites: readonly FunctionRow[] = [
  {
    name: 'row-of',
    args: ['any'],
    variadic: true,
    returns: (types) => ({
      kind: 'composite',
      fields: types.map((type, i) => ({ name: `f${i + 1}`, type, nullable: true })),
    }),
    nulls: 'called',
    code({ args, type, use }) {
      assert(type.kind === 'composite', 'a row is composite')
      // `__proto__` as a key in brackets is a field like others.
      return `({ ${args.map((arg, i) => `[${use(type.fields[i]!.name)}]: ${arg}`).join(', ')} })`
    },
    duckdb: null,
    why,
    about: 'A value whose fields are these',
  },
  ...(['composite', 'array'] as const).flatMap((to) =>
    (['json', 'jsonb', 'text'] as const)
      .filter((from) => to === 'composite' || from !== 'text')
      .map((from) => cast(from, to, read, `${from} as ${to}`)),
  ),
  cast('composite', 'text', written, 'composite as text: JSON'),
  cast('composite', 'json', written, 'composite as json'),
  cast('composite', 'jsonb', (c) => `${c.use(canonicalJsonb)}(${written(c)})`, 'composite as jsonb'),
]
