/** Every row of the function table against its DuckDB twin, with random arguments and NULLs. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { DuckDBInstance, type DuckDBConnection } from '@duckdb/node-api'
import { compileScalar } from '../../src/flow/compile.ts'
import { decimalText } from '../../src/flow/decimal.ts'
import type { Expression, Value } from '../../src/flow/expression.ts'
import { functions } from '../../src/flow/functions/index.ts'
import { type ArgumentKind, type FunctionRow, returnType } from '../../src/flow/functions/table.ts'
import { clockText, dateText, timestampText } from '../../src/flow/time-text.ts'
import { typeName, type DataType } from '../../src/schema/types.ts'
import { random } from './plans.ts'

const seed = Number(process.env['SEED'] ?? 7)
const samples = 24

const types: Readonly<Record<string, DataType>> = {
  boolean: { kind: 'boolean' },
  smallint: { kind: 'smallint' },
  int: { kind: 'int' },
  bigint: { kind: 'bigint' },
  real: { kind: 'real' },
  double: { kind: 'double' },
  numeric: { kind: 'numeric', precision: 12, scale: 3 },
  text: { kind: 'text' },
  varchar: { kind: 'text' },
  uuid: { kind: 'uuid' },
  bytea: { kind: 'bytea' },
  date: { kind: 'date' },
  time: { kind: 'time' },
  timestamp: { kind: 'timestamp' },
  timestamptz: { kind: 'timestamptz' },
}
const words = [
  '',
  'a',
  'abc',
  'Abc',
  ' x ',
  'naïve',
  '日本語',
  '😀x',
  'b%',
  'a_c',
  'zz top',
  '12',
  '-7',
  '3.50',
  'a,b,c',
]
type Next = () => number
const pick = <T>(list: readonly T[], next: Next): T => list[Math.floor(next() * list.length)]!
const whole = (next: Next, bound: number): number => Math.floor((next() * 2 - 1) * bound)

function valueOf(type: DataType, next: Next): Value {
  if (next() < 0.08) return null
  const small = next() < 0.7
  switch (type.kind) {
    case 'boolean':
      return next() < 0.5
    case 'smallint':
      return small ? whole(next, 20) : whole(next, 32767)
    case 'int':
      return small ? whole(next, 20) : whole(next, 2147483647)
    case 'bigint':
      return small ? whole(next, 1000) : next() < 0.5 ? whole(next, 2 ** 52) : BigInt(whole(next, 2 ** 52)) * 1023n
    case 'real':
      return Math.fround(small ? whole(next, 40) / 4 : (next() - 0.5) * 1e6)
    case 'double':
      return small ? whole(next, 40) / 4 : (next() - 0.5) * 1e9
    case 'numeric':
      return small ? whole(next, 5_000) : whole(next, 1e11)
    case 'text':
      return pick(words, next)
    case 'uuid':
      return `00000000-0000-4000-8000-00000000000${Math.floor(next() * 10)}`
    case 'bytea':
      return Buffer.from(pick(words, next))
    case 'date':
      return whole(next, 40_000)
    case 'time':
      return Math.floor(next() * 86_400e6)
    case 'timestamp':
    case 'timestamptz':
      return small ? whole(next, 4e9) * 1e6 : whole(next, 4e15)
    default:
      throw new Error(`no sample of ${type.kind}`)
  }
}
const duckNames: Readonly<Record<string, string>> = {
  double: 'DOUBLE',
  int: 'INTEGER',
  text: 'VARCHAR',
  bytea: 'BLOB',
  numeric: 'DECIMAL(12,3)',
}
const duckName = (type: DataType): string => duckNames[type.kind] ?? type.kind.toUpperCase()
function literalOf(value: Value, type: DataType): string {
  const cast = (text: string): string => `CAST(${text} AS ${duckName(type)})`
  if (value === null) return cast('NULL')
  const quote = (text: string): string => `'${text.replaceAll("'", "''")}'`
  switch (type.kind) {
    case 'text':
    case 'uuid':
      return cast(quote(value as string))
    case 'bytea':
      return cast(quote([...(value as Uint8Array)].map((b) => `\\x${b.toString(16).padStart(2, '0')}`).join('')))
    case 'numeric':
      return cast(quote(decimalText(value as number, 3)))
    case 'date':
      return cast(quote(dateText(value as number)))
    case 'time':
      return cast(quote(clockText(value as number)))
    case 'timestamp':
    case 'timestamptz':
      return cast(quote(timestampText(value as number)))
    default:
      return cast(quote(String(value)))
  }
}
/** Both results as text, as far as DuckDB's text form allows. */
function shown(value: Value, type: DataType): string | null {
  if (value === null) return null
  switch (type.kind) {
    case 'real':
    case 'double':
      return Number(Number(value).toPrecision(type.kind === 'real' ? 5 : 12)).toString()
    case 'numeric':
      return type.scale === null
        ? JSON.stringify(value, (_, v: unknown) => (typeof v === 'bigint' ? String(v) : v))
        : decimalText(value as number | bigint, type.scale)
    case 'date':
      return dateText(value as number)
    case 'time':
      return clockText(value as number)
    case 'timestamp':
    case 'timestamptz':
      return timestampText(value as number)
    case 'bytea':
      return Buffer.from(value as Uint8Array).toString('hex')
    default:
      return String(value)
  }
}
function shownByDuck(text: unknown, type: DataType): string | null {
  if (text === null) return null
  const value = String(text)
  switch (type.kind) {
    case 'real':
    case 'double':
      return Number(Number(value === 'nan' ? NaN : value).toPrecision(type.kind === 'real' ? 5 : 12)).toString()
    case 'timestamptz':
      return value.replace(/\+00$/, '')
    case 'numeric': {
      const scale = type.scale ?? 0
      const [whole = '', fraction = ''] = value.split('.')
      return scale === 0 ? whole : `${whole}.${fraction.padEnd(scale, '0')}`
    }
    case 'bytea':
      return value.toLowerCase()
    case 'date': {
      const [, year, rest] = /^(\d+)(-.*) \(BC\)$/.exec(value) ?? []
      return year === undefined ? value : isoYear(1 - Number(year)) + rest!
    }
    default:
      return value
  }
}

const isoYear = (year: number): string => (year === 0 ? '0000' : `-${String(-year).padStart(6, '0')}`)

let instance: DuckDBInstance
let duck: DuckDBConnection
before(async () => {
  instance = await DuckDBInstance.create(':memory:')
  duck = await instance.connect()
  await duck.run("SET TimeZone = 'UTC'")
})
after(() => {
  duck.closeSync()
  instance.closeSync()
})

const known = (kind: ArgumentKind): boolean => kind !== 'any' && Object.hasOwn(types, kind)

interface Case {
  readonly sql: string
  readonly type: DataType
  readonly ours: string | null | Error
}
function caseOf(row: FunctionRow, next: Next): Case {
  const args = row.args.map((kind) => types[kind]!)
  const values = args.map((type) => valueOf(type, next))
  const type: DataType = row.name === 'cast' && row.to !== undefined ? types[row.to]! : returnType(row, args)
  const columns = args.map((a, index): Expression => ({ kind: 'column', index, type: a }))
  let ours: Case['ours']
  try {
    ours = shown(compileScalar({ kind: 'call', name: row.name, args: columns, type })(values, 0), type)
  } catch (error) {
    ours = error as Error
  }
  const sql = row.duckdb!.replace(
    /\$(\d)/g,
    (_, n: string) => `(${literalOf(values[Number(n) - 1]!, args[Number(n) - 1]!)})`,
  )
  const text = type.kind === 'bytea' ? `hex(${sql})` : `CAST(${sql} AS VARCHAR)`
  return { sql: text, type, ours }
}
async function theirs(sql: string): Promise<unknown> {
  try {
    return (await duck.runAndReadAll(`SELECT ${sql}`)).getRows()[0]![0]
  } catch (error) {
    return error
  }
}

for (const row of functions.rows) {
  const name = `${row.name}(${row.args.join(', ')})${row.to === undefined ? '' : ` as ${row.to}`}`
  if (row.duckdb === null) {
    test(name, { skip: row.why ?? 'no twin' }, () => {})
    continue
  }
  if (!row.args.every(known) || (row.to !== undefined && !known(row.to))) {
    test(name, { skip: `no samples of ${row.args.join(', ')}` }, () => {})
    continue
  }
  test(name, async () => {
    const next = random(seed)
    for (let i = 0; i < samples; i++) {
      const one = caseOf(row, next)
      // Where one refuses a value the other may answer: DuckDB gives NULL or infinity for what PostgreSQL calls an error.
      if (one.ours instanceof Error) continue
      const duckSays = await theirs(one.sql)
      if (duckSays instanceof Error) continue
      assert.equal(one.ours, shownByDuck(duckSays, one.type), `seed ${seed}: ${one.sql} as ${typeName(one.type)}`)
    }
  })
}
