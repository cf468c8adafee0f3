/** Comparisons with PostgreSQL's equality and order, for two arguments of one type. */
import type { DataType } from '../../schema/types.ts'
import type { Value } from '../expression.ts'
import { KeyWriter, intervalMicros, writeKey } from '../key.ts'
import type { Interval } from '../memory.ts'
import { asDecimal, atScale } from './arithmetic.ts'
import * as h from './helpers.ts'
import type { CallSite, FunctionRow, Kind } from './table.ts'

/** Of values that have no order of their own in JavaScript: by their key encoding. */
function comparerByKey(type: DataType): (a: Value, b: Value) => number {
  const x = new KeyWriter()
  const y = new KeyWriter()
  return (a, b) => {
    x.length = 0
    y.length = 0
    writeKey(x, a, type)
    writeKey(y, b, type)
    return Buffer.compare(x.done(), y.done())
  }
}
const compareIntervals = (a: Interval, b: Interval): number => h.compareInts(intervalMicros(a), intervalMicros(b))

/** JavaScript for: a ‹symbol› b, both present. */
function compareCode(c: CallSite, symbol: '===' | '!==' | '<' | '<=' | '>' | '>='): string {
  const [a, b] = c.args
  const by = (fn: unknown, x = a, y = b): string => `${c.use(fn)}(${x}, ${y}) ${symbol} 0`
  const type = c.types[0]!
  switch (type.kind) {
    case 'real':
    case 'double':
      if (symbol === '===') return `${c.use(h.equalDoubles)}(${a}, ${b})`
      if (symbol === '!==') return `!${c.use(h.equalDoubles)}(${a}, ${b})`
      return by(h.compareDoubles)
    case 'text':
    case 'varchar':
      return symbol === '===' || symbol === '!==' ? `${a} ${symbol} ${b}` : by(h.compareTexts)
    case 'numeric': {
      const scales = c.types.map((t) => (t as DataType & { kind: 'numeric' }).scale)
      const scaled = scales.includes(null) ? null : atScale(c, Math.max(...(scales as number[])))
      if (scaled !== null) return `${scaled[0]} ${symbol} ${scaled[1]}`
      return by(h.compareDecimals, asDecimal(c, 0), asDecimal(c, 1))
    }
    case 'bytea':
      return by(h.compareBytes)
    case 'interval':
      return by(compareIntervals)
    case 'array':
    case 'composite':
      return by(comparerByKey(type))
    default:
      return `${a} ${symbol} ${b}`
  }
}

/** Whether a value equals one of the elements; NULL where none does and one is NULL. */
function equalsAny(type: DataType): (value: Value, items: readonly Value[]) => boolean | null {
  const compare = comparerByKey(type)
  const plain = new Set<Kind>([
    'boolean',
    'smallint',
    'int',
    'bigint',
    'text',
    'varchar',
    'uuid',
    'date',
    'time',
    'timestamp',
    'timestamptz',
  ])
  const same = plain.has(type.kind) ? Object.is : (a: Value, b: Value): boolean => compare(a, b) === 0
  return (value, items) => {
    let unknown = false
    for (const item of items)
      if (item === null) unknown = true
      else if (same(value, item)) return true
    return unknown ? null : false
  }
}
const anyElement: FunctionRow = {
  name: 'equals-any',
  args: ['any', 'array'],
  returns: { kind: 'boolean' },
  mayBeNull: true,
  code: (c) => `${c.use(equalsAny(c.types[0]!))}(${c.args[0]}, ${c.args[1]})`,
  duckdb: null,
  why: 'DuckDB has its own type for lists',
  about: 'Equals an element of an array',
}

/** What DuckDB orders and compares as PostgreSQL does. */
const comparable: readonly Kind[] = [
  'boolean',
  'smallint',
  'int',
  'bigint',
  'real',
  'double',
  'numeric',
  'text',
  'bytea',
  'uuid',
  'date',
  'time',
  'timestamp',
  'timestamptz',
  'interval',
  'jsonb',
  'array',
  'composite',
]
const twinless = (kind: Kind): string | null =>
  kind === 'jsonb' || kind === 'array' || kind === 'composite' ? 'no DuckDB twin for this type in the test' : null

const symbols = [
  ['=', '===', 'Equal'],
  ['<>', '!==', 'Not equal'],
  ['<', '<', 'Less'],
  ['<=', '<=', 'Less or equal'],
  ['>', '>', 'Greater'],
  ['>=', '>=', 'Greater or equal'],
] as const

const boolean: DataType = { kind: 'boolean' }
const comparisons: FunctionRow[] = comparable.flatMap((kind) =>
  symbols.map(([name, symbol, about]): FunctionRow => {
    const why = twinless(kind)
    return {
      name,
      args: [kind, kind],
      returns: boolean,
      code: (c) => `(${compareCode(c, symbol)})`,
      duckdb: why === null ? `$1 ${name} $2` : null,
      ...(why === null ? {} : { why }),
      about,
    }
  }),
)
/** NULL is a value like others here. */
const distinctness: FunctionRow[] = comparable.flatMap((kind) =>
  (['is-distinct', 'is-not-distinct'] as const).map((name): FunctionRow => {
    const why = twinless(kind)
    const negated = name === 'is-distinct'
    return {
      name,
      args: [kind, kind],
      returns: boolean,
      nulls: 'called',
      code: (c) => {
        const [a, b] = c.args
        const same = `(${a} === null || ${b} === null ? ${a} === ${b} : (${compareCode(c, '===')}))`
        return negated ? `!${same}` : same
      },
      duckdb: why === null ? `$1 IS ${negated ? '' : 'NOT '}DISTINCT FROM $2` : null,
      ...(why === null ? {} : { why }),
      about: negated ? 'Not equal; NULL equals NULL' : 'Equal; NULL equals NULL',
    }
  }),
)
/** NULLs are passed over, as in PostgreSQL. */
const extremes: FunctionRow[] = comparable.flatMap((kind) =>
  (['greatest', 'least'] as const).map((name): FunctionRow => {
    const why = twinless(kind)
    return {
      name,
      args: [kind, kind],
      returns: (types) => types[0]!,
      nulls: 'called',
      code: (c) => {
        const [a, b] = c.args
        const first = `(${compareCode(c, name === 'greatest' ? '>=' : '<=')})`
        return `(${a} === null ? ${b} : ${b} === null ? ${a} : ${first} ? ${a} : ${b})`
      },
      duckdb: why === null ? `${name}($1, $2)` : null,
      ...(why === null ? {} : { why }),
      about:
        name === 'greatest' ? 'The larger of two; NULL only if both are' : 'The smaller of two; NULL only if both are',
    }
  }),
)

export const comparison: readonly FunctionRow[] = [...comparisons, ...distinctness, ...extremes, anyElement]
