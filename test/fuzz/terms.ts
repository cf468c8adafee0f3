/** What expressions are made of: columns, constants, and which types can be compared. */
import type { Chance } from './chance.ts'
import type { Expr, Kind, Query, Typed } from './node.ts'
import { decimalType, ourTypes, quoted, theirTypes } from './values.ts'

export interface Scoped extends Typed {
  readonly text: string
  /** What stands for it, where that is more than its name: a key of groups, an aggregate. */
  readonly expr?: Expr
}
export type Scope = readonly Scoped[]

export const expr = (
  ours: string,
  theirs: string,
  args: readonly (Expr | Query)[],
  typed: Partial<Typed> & { readonly kind: Kind },
): Expr => {
  const { kind, scale, bound = 0, exact = true } = typed
  return { node: 'expr', ours, theirs, args, kind, bound, exact, ...(scale === undefined ? {} : { scale }) }
}
export const same = (
  text: string,
  args: readonly (Expr | Query)[],
  typed: Partial<Typed> & { readonly kind: Kind },
): Expr => expr(text, text, args, typed)
export const columnExpr = ({ text, expr: whole, kind, scale, bound, exact }: Scoped): Expr =>
  whole ?? expr(text, text, [], { kind, bound, exact, ...(scale === undefined ? {} : { scale }) })
export const boolean = { kind: 'boolean' } as const

/** What goes to a type without being asked. */
const narrower: Partial<Record<Kind, readonly Kind[]>> = {
  int: ['smallint'],
  bigint: ['smallint', 'int'],
  numeric: ['smallint', 'int', 'bigint'],
  double: ['int', 'real', 'numeric'],
  real: ['int'],
  timestamp: ['date'],
  timestamptz: ['date', 'timestamp'],
}
/** The kind, or now and then one that becomes it. */
export const kindFor = (chance: Chance, kind: Kind): Kind =>
  narrower[kind] !== undefined && chance.is(0.2) ? chance.pick(narrower[kind]) : kind
/** Whether values of both are compared as PostgreSQL compares them. */
export function areCompared(a: Kind, b: Kind): boolean {
  return a === b || narrower[a]?.includes(b) === true || narrower[b]?.includes(a) === true
}
/** A condition over values that are compared: DuckDB would round decimals of different scales to one of them. */
export function compared(text: string, args: readonly Expr[]): Expr {
  const kinds = new Set(args.map((arg) => arg.kind))
  const scale = Math.max(...args.map((arg) => arg.scale ?? 0))
  const as =
    kinds.has('double') || (kinds.has('real') && kinds.size > 1)
      ? 'DOUBLE'
      : kinds.has('numeric')
        ? decimalType(scale)
        : null
  const isMixed = kinds.size > 1 || kinds.has('numeric')
  const theirs = isMixed && as !== null ? text.replace(/\$\d/g, (part) => `CAST(${part} AS ${as})`) : text
  return expr(text, theirs, args, { kind: 'boolean' })
}
export const limits: Partial<Record<Kind, number>> = { smallint: 32_767, int: 2 ** 31 - 1, bigint: 9.2e18 }
export const integers: readonly Kind[] = ['smallint', 'int', 'bigint']
/** Compared, grouped by and joined on. */
export const comparable: readonly Kind[] = [
  'boolean',
  ...integers,
  'numeric',
  'real',
  'double',
  'text',
  'bytea',
  'uuid',
  'date',
  'time',
  'timestamp',
  'timestamptz',
]
/** What min, max, greatest and ORDER BY take. */
export const ordered: readonly Kind[] = comparable.filter((k) => !['boolean', 'bytea', 'uuid'].includes(k))

const theirCast = (typed: Typed): string =>
  typed.kind === 'numeric' ? decimalType(typed.scale!) : theirTypes[typed.kind]
/** Two expressions of one kind as what both are. */
export const joined = (items: readonly Expr[]): Typed & { scale?: number } => {
  const scale = Math.max(...items.map((item) => item.scale ?? 0))
  return {
    kind: items[0]!.kind,
    bound: Math.max(...items.map((item) => item.bound)),
    exact: items.every((item) => item.exact),
    ...(items[0]!.kind === 'numeric' ? { scale } : {}),
  }
}

/** Makes random expressions. */
export interface Maker {
  readonly chance: Chance
  /** Of this kind; `depth` bounds how deep it nests, below 0 it is mostly a constant. */
  of(scope: Scope, kind: Kind, depth: number): Expr
  condition(scope: Scope, depth: number): Expr
}
export const columnsOf = (scope: Scope, kind: Kind): Scoped[] => scope.filter((c) => c.kind === kind && c.exact)

export function literalOf(chance: Chance, kind: Kind): Expr {
  const typed = (text: string, more: Partial<Typed> = {}): Expr =>
    expr(
      `CAST(${text} AS ${ourTypes[kind]})`,
      `CAST(${text} AS ${theirCast({ kind, bound: 0, exact: true, scale: 2, ...more })})`,
      [],
      { kind, ...(kind === 'numeric' ? { scale: 2 } : {}), ...more },
    )
  if (chance.is(0.06)) return typed('NULL')
  switch (kind) {
    case 'boolean':
      return same(chance.pick(['true', 'false']), [], boolean)
    case 'smallint':
    case 'bigint':
      return typed(`(${chance.int(-3, 6)})`, { bound: 6 })
    case 'int': {
      const value = chance.int(-3, 12)
      return expr(value < 0 ? `(${value})` : String(value), `CAST((${value}) AS INTEGER)`, [], { kind, bound: 12 })
    }
    case 'numeric': {
      const text = chance.pick(['0.5', '1.25', '2', '-3.75', '10.00', '0'])
      return expr(
        text.startsWith('-') ? `(${text})` : `CAST(${text} AS numeric)`,
        `CAST(${text} AS DECIMAL(38,2))`,
        [],
        { kind, scale: 2, bound: 10 },
      )
    }
    case 'real':
    case 'double':
      return typed(`(${chance.int(-16, 16) / 4})`, { bound: 4 })
    case 'text':
      return same(quoted(chance.pick(['a', 'b', 'ä', '', 'ab', '日本', '12'])), [], { kind })
    case 'bytea':
      return expr(`'\\x61'::bytea`, `unhex('61')`, [], { kind })
    case 'uuid':
      return typed(`'00000000-0000-4000-8000-00000000000${chance.int(0, 3)}'`)
    case 'date':
      return typed(`'2024-03-0${chance.int(1, 4)}'`)
    case 'time':
      return typed(`'${chance.pick(['00:00:00', '10:15:30', '12:00:00'])}'`)
    case 'timestamp':
      return typed(`'2024-03-01 ${chance.int(10, 11)}:${chance.int(10, 59)}:00'`)
    case 'timestamptz':
      return expr(`'2024-03-01 10:30:00Z'::timestamptz`, `'2024-03-01 10:30:00'::TIMESTAMP`, [], { kind })
    case 'jsonb':
      return typed(`'{"a":1}'`)
    case 'struct':
      return typed('NULL')
  }
}
export function smallInt(chance: Chance, least: number, most: number): Expr {
  const value = chance.int(least, most)
  return expr(`(${value})`, `CAST((${value}) AS INTEGER)`, [], { kind: 'int', bound: Math.abs(value) })
}

/** A kind that some column of the scope has. */
export function kindIn(chance: Chance, scope: Scope, of: readonly Kind[]): Kind {
  const found = scope.filter((c) => c.exact && of.includes(c.kind)).map((c) => c.kind)
  return found.length === 0 ? 'int' : chance.pick(found)
}
export function timeKind(chance: Chance, scope: Scope): Kind {
  const kind = kindIn(chance, scope, ['timestamp', 'timestamptz'])
  return kind === 'int' ? 'timestamptz' : kind
}
