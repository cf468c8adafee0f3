/**
 * Random relations and what happens to them: streams that grow, and keyed tables whose rows are replaced and removed.
 * Few different values, so that joins meet and orders tie; NULLs; integers beyond 2^53; infinities, NaN and −0.
 */
import { Chance } from './chance.ts'
import type { Typed } from './node.ts'
import { startUs, versionMs } from './times.ts'
import { decimalType, ourTypes, quoted, theirTypes } from './values.ts'

export interface Column extends Typed {
  readonly name: string
  readonly nullable: boolean
  /** Our type, where it is not the kind's own. */
  readonly declared?: string
}
export interface Relation {
  readonly name: string
  readonly kind: 'stream' | 'table'
  readonly columns: readonly Column[]
  readonly key: readonly string[]
  readonly partitions: number
}
export type Cell = null | boolean | number | string | bigint | { readonly a: number | null; readonly b: string | null }
export interface Change {
  readonly relation: Relation
  readonly partition: number
  /** JSON of the key's columns; null for streams. */
  readonly key: string | null
  /** null: the row of the key goes. */
  readonly row: readonly Cell[] | null
  /** When the record says it was written; later than those before it. */
  readonly timeMs: number
  /** Decides how the record is written. */
  readonly spelling: number
}
export interface Dataset {
  /** Events come in the order of their time, and windows close while they come; else nothing closes before the end. */
  readonly isOrdered: boolean
  readonly relations: readonly Relation[]
  readonly changes: readonly Change[]
}
/** Every column a relation may have, and the relations have most of them. */
const choices: readonly Column[] = [
  { name: 'k', kind: 'int', bound: 5, exact: true, nullable: true },
  { name: 'n', kind: 'int', bound: 60, exact: true, nullable: true },
  { name: 'sm', kind: 'smallint', bound: 30, exact: true, nullable: true },
  { name: 'b', kind: 'bigint', bound: 9.3e18, exact: true, nullable: true },
  { name: 'm', kind: 'numeric', scale: 2, bound: 1e6, exact: true, nullable: true, declared: 'numeric(12,2)' },
  { name: 'u', kind: 'numeric', scale: 4, bound: 2e7, exact: true, nullable: true },
  { name: 'x', kind: 'double', bound: Infinity, exact: true, nullable: true },
  { name: 'z', kind: 'double', bound: 16, exact: true, nullable: true },
  { name: 'r', kind: 'real', bound: 16, exact: true, nullable: true },
  { name: 't', kind: 'text', bound: 0, exact: true, nullable: true },
  { name: 'w', kind: 'text', bound: 0, exact: true, nullable: true },
  { name: 'f', kind: 'boolean', bound: 0, exact: true, nullable: true },
  { name: 'd', kind: 'date', bound: 0, exact: true, nullable: true },
  { name: 'ts', kind: 'timestamp', bound: 0, exact: true, nullable: true },
  { name: 'tm', kind: 'time', bound: 0, exact: true, nullable: true },
  { name: 'y', kind: 'bytea', bound: 0, exact: true, nullable: true },
  { name: 'g', kind: 'uuid', bound: 0, exact: true, nullable: true },
  { name: 'j', kind: 'jsonb', bound: 0, exact: true, nullable: true },
  { name: 'c', kind: 'struct', bound: 0, exact: true, nullable: true },
]
const id: Column = { name: 'id', kind: 'int', bound: 400, exact: true, nullable: false }
export const eventTime: Column = { name: 'happened', kind: 'timestamptz', bound: 0, exact: true, nullable: false }
const notNull = (column: Column): Column => ({ ...column, nullable: false })

const words = ['', 'a', 'ab', 'Abc', 'b', ' x ', 'naïve', '日本', '😀x', 'b%', 'a_c', '12', '-7', "o'k", 'a,b,c']
const few = ['a', 'b', 'c', 'ä']
const nullOften = 0.15

function cell(column: Column, chance: Chance): Cell {
  if (column.nullable && chance.is(nullOften)) return null
  switch (column.name) {
    case 'k':
      return chance.int(0, 5)
    case 'id':
      return chance.int(0, 400)
    case 'n':
      return chance.int(-20, 60)
    case 'sm':
      return chance.int(-3, 30)
    case 'b':
      return chance.is(0.6) ? BigInt(chance.int(-4, 4)) : chance.pick(wide)
    case 'm':
      return (chance.int(-2_000, 8_000) / 100).toFixed(chance.pick([2, 2, 1]))
    case 'u':
      return chance.pick([
        '0',
        '1',
        '1.0',
        '1.00',
        '2.5',
        '-2.50',
        '0.3333',
        '12345678.9012',
        String(chance.int(-9, 9)),
      ])
    case 'x':
      return chance.pick(['NaN', 'Infinity', '-Infinity', -0, 0, 1, -1.5, 2.25, 1e10, chance.int(-40, 40) / 8])
    case 'z':
    case 'r':
      return chance.int(-64, 64) / 4
    case 't':
      return chance.pick(few)
    case 'w':
      return chance.pick(words)
    case 'f':
      return chance.is(0.6)
    case 'd':
      if (chance.is(0.1)) return chance.pick(['1969-12-31', '1696-02-29', '2100-02-28', '1900-03-01', '2024-12-30'])
      return new Date(startUs / 1000 + chance.int(-3, 3) * 86_400_000).toISOString().slice(0, 10)
    case 'ts':
      if (chance.is(0.1))
        return chance.pick([
          '1969-12-31T23:59:59.999999Z',
          '1899-12-31T12:00:00.500000Z',
          '2038-01-19T03:14:08.000000Z',
          '2024-12-29T00:00:00.000000Z',
        ])
      return instant(startUs + chance.int(0, 120) * 30_000_000 + (chance.is(0.2) ? chance.int(0, 999_999) : 0))
    case 'tm':
      return chance.pick(['00:00:00', '10:15:30', '23:59:59.5', '12:00:00'])
    case 'y':
      return chance.pick(['', '00', '61', '6162', 'ff00', 'c3a4'])
    case 'g':
      return `00000000-0000-4000-8000-00000000000${chance.int(0, 3)}`
    case 'j':
      return json(chance)
    default:
      return { a: chance.is(0.2) ? null : chance.int(0, 4), b: chance.is(0.2) ? null : chance.pick(few) }
  }
}
const wide = [
  9007199254740993n,
  9007199254740992n,
  -9007199254740993n,
  9223372036854775807n,
  -9223372036854775808n,
  4611686018427387904n,
]
/** Names in order and no spaces: two such texts are equal exactly where their values are. */
function json(chance: Chance): string {
  const value: Record<string, unknown> = {}
  if (chance.is(0.7)) value['a'] = chance.is(0.2) ? null : chance.int(0, 4)
  if (chance.is(0.5)) value['l'] = Array.from({ length: chance.int(0, 3) }, () => chance.int(0, 3))
  if (chance.is(0.3)) value['o'] = { b: chance.pick(few) }
  if (chance.is(0.6)) value['s'] = chance.pick(few)
  return JSON.stringify(value)
}
const instant = (us: number): string => {
  const rest = us % 1_000_000
  return `${new Date((us - rest) / 1000).toISOString().slice(0, 19)}.${String(rest).padStart(6, '0')}Z`
}

export function randomDataset(chance: Chance): Dataset {
  const some = (always: readonly string[]): Column[] =>
    choices.filter((c) => always.includes(c.name) || chance.is(0.55))
  const keyedBy = (key: string): Relation => ({
    name: 't2',
    kind: 'table',
    columns: some(['k', key]).map((c) => (c.name === key ? notNull(c) : c)),
    key: [key],
    partitions: chance.int(1, 2),
  })
  const streams: Relation[] = ['s0', 's1'].map((name) => ({
    name,
    kind: 'stream',
    columns: [id, ...some(['k', 't']), eventTime],
    key: [],
    partitions: chance.int(1, 3),
  }))
  const tables: Relation[] = [
    { name: 't0', kind: 'table', columns: [id, ...some(['k', 't'])], key: ['id'], partitions: chance.int(1, 3) },
    {
      name: 't1',
      kind: 'table',
      columns: some(['k', 't', 'n']).map((c) => (c.name === 'k' || c.name === 't' ? notNull(c) : c)),
      key: ['k', 't'],
      partitions: chance.int(1, 2),
    },
    keyedBy(chance.pick(['w', 'b', 'd', 'g', 'sm'])),
  ]
  const relations = [...streams, ...tables]
  const size = chance.weighted([
    [0.3, 0],
    [1, 12],
    [5, 60],
    [6, 110],
    [1, 200],
  ] as const)
  const isOrdered = chance.is(0.5)
  return {
    isOrdered,
    relations,
    changes: randomChanges(relations, Math.floor(size * (0.5 + chance.next())), isOrdered, chance),
  }
}
function randomChanges(relations: readonly Relation[], count: number, isOrdered: boolean, chance: Chance): Change[] {
  const changes: Change[] = []
  const weights = relations.map((relation) => [chance.next() + 0.1, relation] as const)
  for (let i = 0; i < count; i++) {
    const relation = chance.weighted(weights)
    const spelling = chance.int(0, 1e9)
    const timeMs = startUs / 1000 + i * versionMs
    const row = relation.columns.map((column) => {
      // No two events at once: what follows what is certain.
      if (column.name === 'happened')
        return instant(
          isOrdered ? startUs + i * 17_000_000 + chance.int(0, 9) : startUs + chance.int(0, 120) * 30_000_000 + i,
        )
      if (column.name !== 'id') return cell(column, chance)
      return relation.kind === 'table' ? chance.int(0, 15) : i
    })
    if (relation.kind === 'stream') {
      changes.push({ relation, partition: chance.int(0, relation.partitions - 1), key: null, row, timeMs, spelling })
      continue
    }
    const parts = relation.key.map((name) => row[relation.columns.findIndex((c) => c.name === name)]!)
    const key = parts.length === 1 ? String(parts[0]) : JSON.stringify(parts)
    // Changes of one key keep their order: they are in one partition.
    const partition = Buffer.from(key).reduce((sum, byte) => sum + byte, 0) % relation.partitions
    changes.push({ relation, partition, key, row: chance.is(0.25) ? null : row, timeMs, spelling })
  }
  return changes
}

export function definitions({ relations, isOrdered }: Dataset): string {
  return relations
    .map(({ name, kind, columns, key, partitions }) => {
      const parts = columns.map((c) => `${c.name} ${c.declared ?? ourTypes[c.kind]}${c.nullable ? '' : ' NOT NULL'}`)
      // Nothing is ever late: what lateness does is tested elsewhere.
      const delay = isOrdered ? '1 second' : '3 hours'
      if (kind === 'stream') parts.push(`WATERMARK FOR happened AS happened - INTERVAL '${delay}'`)
      else parts.push(`PRIMARY KEY (${key.join(', ')})`)
      return `CREATE ${kind.toUpperCase()} ${name} (${parts.join(', ')}) WITH (partitions = ${partitions});`
    })
    .join('\n')
}
/** Changes of each partition that has some. */
export function changesOf({
  relations,
  changes,
}: Dataset): { relation: Relation; partition: number; changes: Change[] }[] {
  return relations.flatMap((relation) =>
    Array.from({ length: relation.partitions }, (_, partition) => ({
      relation,
      partition,
      changes: changes.filter((c) => c.relation === relation && c.partition === partition),
    })).filter((place) => place.changes.length > 0),
  )
}
/** The record's value, in one of the many ways to write it. */
export function recordOf({ relation, row, spelling }: Change): string | null {
  if (row === null) return null
  const chance = new Chance(spelling)
  const isPlain = chance.is(0.4)
  const gap = (): string => (isPlain || chance.is(0.8) ? '' : chance.pick([' ', '\n', '\t  ']))
  const fields = relation.columns.flatMap((column, i) => {
    const value = row[i]!
    if (value === null && !isPlain && chance.is(0.5)) return []
    return [`"${spelled(column.name, isPlain, chance)}"${gap()}:${gap()}${jsonCell(value, column, isPlain, chance)}`]
  })
  if (isPlain) return `{${fields.join(',')}}`
  if (chance.is(0.3)) fields.push(chance.pick(['"other":{"k":[1,{"id":"}"}]}', '"kk":"\\"t\\""', '"_":1e400', '"":[]']))
  return `${gap()}{${gap()}${chance.shuffled(fields).join(`${gap()},${gap()}`)}${gap()}}`
}
/** Some of its characters as escapes. */
const spelled = (text: string, isPlain: boolean, chance: Chance): string =>
  isPlain || chance.is(0.9)
    ? JSON.stringify(text).slice(1, -1)
    : text.replace(/[^]/g, (c) =>
        chance.is(0.5) ? `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}` : JSON.stringify(c).slice(1, -1),
      )
function jsonCell(value: Cell, { kind }: Column, isPlain: boolean, chance: Chance): string {
  if (value === null) return 'null'
  switch (kind) {
    case 'bytea':
      return isPlain || chance.is(0.5)
        ? `"\\\\x${String(value)}"`
        : `"${Buffer.from(String(value), 'hex').toString('base64')}"`
    case 'jsonb':
      return String(value)
    case 'bigint':
      return isPlain || chance.is(0.8) ? String(value) : `"${String(value)}"`
    case 'numeric':
      return isPlain || chance.is(0.7) ? String(value) : `"${String(value)}"`
    case 'int':
    case 'smallint':
      return isPlain || chance.is(0.9) ? String(value) : `${String(value)}${chance.pick(['.0', 'e0', '.00E+0'])}`
    case 'struct':
      return JSON.stringify(value)
    default:
      if (typeof value === 'string') return `"${spelled(value, isPlain, chance)}"`
      if (Object.is(value, -0)) return '-0.0'
      return typeof value === 'number' && !isPlain && chance.is(0.2)
        ? `${String(value * 10)}e-1`
        : JSON.stringify(value)
  }
}
function theirCell(value: Cell, column: Column): string {
  if (value === null) return 'NULL'
  switch (column.kind) {
    case 'bytea':
      return `unhex('${String(value)}')`
    case 'struct': {
      const { a, b } = value as { a: number | null; b: string | null }
      return `{'a': ${a ?? 'NULL'}, 'b': ${b === null ? 'NULL' : quoted(b)}}`
    }
    case 'double':
    case 'real':
      return `'${Object.is(value, -0) ? '-0.0' : String(value)}'::DOUBLE`
    case 'timestamptz':
    case 'timestamp':
      return `'${String(value).replace('Z', '').replace('T', ' ')}'`
    default:
      return typeof value === 'string' ? quoted(value) : String(value)
  }
}
const theirType = (column: Column): string =>
  column.kind === 'numeric' ? decimalType(column.scale!) : theirTypes[column.kind]
/** Statements that give DuckDB the relations as they are after the first `getvariable('seen')` changes. */
export function theirDefinitions({ relations, changes }: Dataset): string[] {
  const out: string[] = []
  for (const relation of relations) {
    const { name, columns } = relation
    out.push(
      `CREATE OR REPLACE TABLE log_${name} (${columns.map((c) => `${c.name} ${theirType(c)}`).join(', ')}, _from INTEGER, _to INTEGER)`,
    )
    const rows: string[] = []
    for (const [at, change] of changes.entries()) {
      if (change.relation !== relation || change.row === null) continue
      const next = changes.findIndex(
        (c, i) => i > at && c.relation === relation && c.key !== null && c.key === change.key,
      )
      const cells = change.row.map((value, i) => theirCell(value, columns[i]!))
      rows.push(`(${cells.join(', ')}, ${at}, ${next < 0 ? 2_000_000_000 : next})`)
    }
    if (rows.length > 0) out.push(`INSERT INTO log_${name} VALUES ${rows.join(', ')}`)
    out.push(
      `CREATE OR REPLACE VIEW ${name} AS SELECT ${columns.map((c) => c.name).join(', ')} FROM log_${name} WHERE _from < getvariable('seen') AND _to >= getvariable('seen')`,
    )
  }
  return out
}
