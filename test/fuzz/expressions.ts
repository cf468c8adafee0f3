/**
 * Typed random expressions over the columns in scope. Functions come from the function table's rows that have a twin in
 * DuckDB; where the twin needs care (integers that must not overflow, decimals, JSON, times) they are written here.
 */
import type { Chance } from './chance.ts'
import type { Expr, Kind, Typed } from './node.ts'
import { arithmetic, decimal, double, integerOf } from './numbers.ts'
import { tableCalls } from './table-calls.ts'
import {
  areCompared,
  boolean,
  columnExpr,
  columnsOf,
  comparable,
  compared,
  expr,
  joined,
  kindFor,
  kindIn,
  literalOf,
  type Maker,
  ordered,
  same,
  type Scope,
  smallInt,
  timeKind,
} from './terms.ts'
import { decimalType, quoted, theirTypes } from './values.ts'

/** The type that DuckDB is told where one of several items is of another type, or a decimal. */
const castOf = (whole: Typed, other: Expr): string | null =>
  whole.kind === 'numeric' ? decimalType(whole.scale!) : other.kind === whole.kind ? null : theirTypes[whole.kind]

export class Expressions implements Maker {
  readonly chance: Chance
  constructor(chance: Chance) {
    this.chance = chance
  }
  /** Both sides agree on every bit of it. */
  of(scope: Scope, kind: Kind, depth: number): Expr {
    const { chance } = this
    const columns = columnsOf(scope, kind)
    if (depth <= 0 || chance.is(0.35)) {
      if (columns.length > 0 && chance.is(depth < 0 ? 0.3 : 0.85)) return columnExpr(chance.pick(columns))
      return literalOf(chance, kind)
    }
    if (kind !== 'jsonb' && kind !== 'struct' && chance.is(0.2)) return this.general(scope, kind, depth - 1)
    const made = this.made(scope, kind, depth - 1)
    return made ?? (columns.length > 0 ? columnExpr(chance.pick(columns)) : literalOf(chance, kind))
  }
  /** What every type has. */
  private general(scope: Scope, kind: Kind, depth: number): Expr {
    const { chance } = this
    const a = this.of(scope, kind, depth)
    const b = this.of(scope, kindFor(chance, kind), depth)
    const both = joined([a, b])
    const as = castOf(both, b)
    const cast = (n: number): string => (as === null ? `$${n}` : `CAST($${n} AS ${as})`)
    switch (chance.int(0, ordered.includes(kind) ? 4 : 3)) {
      case 0:
        return expr(
          'CASE WHEN $1 THEN $2 ELSE $3 END',
          `CASE WHEN $1 THEN ${cast(2)} ELSE ${cast(3)} END`,
          [this.condition(scope, depth), a, b],
          both,
        )
      case 1:
        return expr('coalesce($1, $2)', `coalesce(${cast(1)}, ${cast(2)})`, [a, b], both)
      case 2:
        return expr('nullif($1, $2)', `nullif(${cast(1)}, ${cast(2)})`, [a, b], both)
      case 3: {
        const c = this.of(scope, kind, 0)
        const whole = joined([c, b])
        const type = castOf(whole, b)
        const of = (n: number): string => (type === null ? `$${n}` : `CAST($${n} AS ${type})`)
        return expr(
          'CASE $1 WHEN 1 THEN $2 WHEN 2 THEN $3 END',
          `CASE $1 WHEN 1 THEN ${of(2)} WHEN 2 THEN ${of(3)} END`,
          [this.of(scope, 'int', 0), b, c],
          whole,
        )
      }
      default: {
        const name = chance.pick(['greatest', 'least'])
        return expr(`${name}($1, $2)`, `${name}(${cast(1)}, ${cast(2)})`, [a, b], both)
      }
    }
  }
  private made(scope: Scope, kind: Kind, depth: number): Expr | null {
    const { chance } = this
    switch (kind) {
      case 'boolean':
        return this.condition(scope, depth)
      case 'smallint':
      case 'int':
      case 'bigint':
        return chance.is(0.5)
          ? arithmetic(this, scope, kind, depth)
          : integerOf(this, scope, kind, depth, () => this.call(scope, 'int', depth))
      case 'numeric':
        return decimal(this, scope, depth)
      case 'real':
      case 'double':
        return double(this, scope, kind, depth)
      case 'jsonb':
        return columnsOf(scope, 'jsonb').length === 0
          ? null
          : chance.pick([
              expr(`($1 -> 'o')`, `($1 -> '$.o')`, [this.of(scope, 'jsonb', 0)], { kind }),
              expr(`($1 -> 'l' -> 0)`, `(($1 -> '$.l') -> '$[0]')`, [this.of(scope, 'jsonb', 0)], { kind }),
            ])
      case 'struct':
        return null
      default:
        return this.call(scope, kind, depth)
    }
  }
  /** A function of the table, or of the list of times and JSON below. */
  private call(scope: Scope, kind: Kind, depth: number): Expr | null {
    const { chance } = this
    const made = this.written(scope, kind, depth)
    if (made.length > 0 && chance.is(0.4)) return chance.pick(made)()
    const calls = tableCalls.filter((c) => c.kind === kind)
    if (calls.length === 0) return made.length === 0 ? null : chance.pick(made)()
    const { args, ours, theirs } = chance.pick(calls)
    const parts = args.map((arg) => (typeof arg === 'string' ? this.of(scope, arg, depth) : this.oneOf(arg)))
    return expr(ours, theirs, parts, { kind, bound: 1_000 })
  }
  private oneOf(texts: readonly (string | number)[]): Expr {
    const value = this.chance.pick(texts)
    if (typeof value === 'string') return same(quoted(value), [], { kind: 'text' })
    return expr(`(${value})`, `CAST((${value}) AS INTEGER)`, [], { kind: 'int', bound: 12 })
  }
  private written(scope: Scope, kind: Kind, depth: number): (() => Expr)[] {
    const { chance } = this
    const time = (): Expr => this.of(scope, timeKind(chance, scope), depth)
    const out: (() => Expr)[] = []
    const json = columnsOf(scope, 'jsonb').length > 0
    const struct = columnsOf(scope, 'struct').length > 0
    if (kind === 'text') {
      out.push(() => expr(`to_char($1, 'YYYY-MM-DD HH24:MI')`, `strftime($1, '%Y-%m-%d %H:%M')`, [time()], { kind }))
      out.push(() => same(`md5($1)`, [this.of(scope, 'text', 0)], { kind }))
      if (json) {
        out.push(() => expr(`($1 ->> 's')`, `($1 ->> '$.s')`, [this.of(scope, 'jsonb', 0)], { kind }))
        out.push(() => expr(`($1 #>> '{o,b}')`, `($1 ->> '$.o.b')`, [this.of(scope, 'jsonb', 0)], { kind }))
        out.push(() => expr(`($1 ->> 'a')`, `($1 ->> '$.a')`, [this.of(scope, 'jsonb', 0)], { kind }))
      }
      if (struct) out.push(() => expr('($1).b', `struct_extract($1, 'b')`, [this.of(scope, 'struct', 0)], { kind }))
    }
    if (kind === 'date') {
      out.push(() => same('CAST($1 AS date)', [time()], { kind }))
      out.push(() => same('($1 + $2)', [this.of(scope, 'date', depth), smallInt(chance, -3, 3)], { kind }))
    }
    if (kind === 'time') out.push(() => same('CAST($1 AS time)', [time()], { kind }))
    if (kind === 'timestamp')
      out.push(() =>
        expr(
          'CAST($1 AS timestamp)',
          'CAST($1 AS TIMESTAMP)',
          [chance.is(0.5) ? time() : this.of(scope, 'date', depth)],
          { kind },
        ),
      )
    if (kind === 'timestamp' || kind === 'timestamptz') {
      const unit = chance.pick(['minute', 'hour', 'day', 'month', 'week'])
      out.push(() =>
        expr(
          `date_trunc('${unit}', $1)`,
          `CAST(date_trunc('${unit}', $1) AS TIMESTAMP)`,
          [this.of(scope, kind, depth)],
          { kind },
        ),
      )
      const interval = `INTERVAL '${chance.int(1, 90)} ${chance.pick(['minutes', 'hours', 'seconds'])}'`
      out.push(() => same(`($1 ${chance.pick(['+', '-'])} ${interval})`, [this.of(scope, kind, depth)], { kind }))
    }
    if (kind === 'bytea')
      out.push(() => expr(`convert_to($1, 'UTF8')`, 'encode($1)', [this.of(scope, 'text', depth)], { kind }))
    return out
  }

  condition(scope: Scope, depth: number): Expr {
    const { chance } = this
    const two = (): [Expr, Expr] => [this.condition(scope, depth - 1), this.condition(scope, depth - 1)]
    if (depth > 0 && chance.is(0.3)) {
      switch (chance.int(0, 3)) {
        case 0:
          return same('($1 AND $2)', two(), boolean)
        case 1:
          return same('($1 OR $2)', two(), boolean)
        case 2:
          return same('(NOT $1)', [this.condition(scope, depth - 1)], boolean)
        default:
          return same(
            `($1 IS ${chance.pick(['', 'NOT '])}${chance.pick(['TRUE', 'FALSE'])})`,
            [this.condition(scope, depth - 1)],
            boolean,
          )
      }
    }
    const kind = kindIn(chance, scope, comparable)
    const a = this.of(scope, kind, depth)
    switch (chance.int(0, 9)) {
      case 0:
        return same(`($1 IS ${chance.pick(['', 'NOT '])}NULL)`, [chance.is(0.8) ? a : this.any(scope, depth)], boolean)
      case 1: {
        const items = Array.from({ length: chance.int(1, 4) }, () => this.of(scope, kind, chance.is(0.8) ? -1 : 0))
        const texts = items.map((_, i) => `$${i + 2}`).join(', ')
        return compared(`($1 ${chance.pick(['', 'NOT '])}IN (${texts}))`, [a, ...items])
      }
      case 2:
        return compared(`($1 ${chance.pick(['', 'NOT '])}BETWEEN $2 AND $3)`, [
          a,
          this.of(scope, kind, -1),
          this.of(scope, kind, -1),
        ])
      case 3: {
        const columns = columnsOf(scope, 'boolean')
        if (columns.length > 0) return columnExpr(chance.pick(columns))
        return compared(`($1 IS ${chance.pick(['', 'NOT '])}DISTINCT FROM $2)`, [a, this.of(scope, kind, depth)])
      }
      case 4: {
        const calls = tableCalls.filter((c) => c.kind === 'boolean')
        const { args, ours, theirs } = chance.pick(calls)
        return expr(
          ours,
          theirs,
          args.map((arg) => (typeof arg === 'string' ? this.of(scope, arg, depth) : this.oneOf(arg))),
          boolean,
        )
      }
      default:
        return this.comparison(scope, a, depth)
    }
  }
  /** Also between numbers of different types. */
  private comparison(scope: Scope, a: Expr, depth: number): Expr {
    const { chance } = this
    const others = comparable.filter((k) => areCompared(a.kind, k))
    const kind = chance.is(0.7) ? a.kind : chance.pick(others)
    const b = this.of(scope, kind, chance.is(0.5) ? -1 : depth)
    const op = chance.pick(['=', '<>', '<', '<=', '>', '>=', '<>', '<='])
    return compared(`($1 ${op} $2)`, [a, b])
  }
  any(scope: Scope, depth: number): Expr {
    const kinds = scope.map((c) => c.kind)
    return this.of(
      scope,
      this.chance.is(0.8) && kinds.length > 0 ? this.chance.pick(kinds) : this.chance.pick(comparable),
      depth,
    )
  }
  /** Of a list: a few agree to 12 digits only. */
  item(scope: Scope, depth: number): Expr {
    const { chance } = this
    const rough = scope.filter((c) => !c.exact)
    if (rough.length > 0 && chance.is(0.3)) return columnExpr(chance.pick(rough))
    if (chance.is(0.06)) return this.rough(scope)
    return chance.is(0.5) && scope.some((c) => c.exact)
      ? columnExpr(chance.pick(scope.filter((c) => c.exact)))
      : this.any(scope, depth)
  }
  private rough(scope: Scope): Expr {
    const { chance } = this
    const n = expr('CAST($1 AS double precision)', 'CAST($1 AS DOUBLE)', [this.of(scope, 'int', 0)], { kind: 'double' })
    if (chance.is(0.4))
      return expr(
        '($1 / nullif($2, 0))',
        '(CAST($1 AS DOUBLE) / nullif(CAST($2 AS DOUBLE), 0))',
        [this.of(scope, 'numeric', 0), this.of(scope, 'numeric', 0)],
        { kind: 'numeric', scale: 4, exact: false, bound: 1e9 },
      )
    const name = chance.pick(['sin', 'cos', 'atan', 'cbrt', 'exp', 'degrees', 'radians', 'tanh', 'asinh'])
    const arg = name === 'exp' ? same('least($1, CAST(20 AS double precision))', [n], { kind: 'double' }) : n
    return same(`${name}($1)`, [arg], { kind: 'double', exact: false, bound: Infinity })
  }
}
