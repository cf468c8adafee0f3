/** Arithmetic that overflows on neither side: every number has a bound, and what could pass its type's is not made. */
import type { Expr, Kind } from './node.ts'
import { columnExpr, columnsOf, expr, integers, limits, type Maker, same, type Scope, timeKind } from './terms.ts'
import { decimalType } from './values.ts'

export function arithmetic(make: Maker, scope: Scope, kind: Kind, depth: number): Expr | null {
  const { chance } = make
  const a = make.of(scope, kind, depth)
  const b = make.of(scope, kind, depth)
  const op = chance.pick(['+', '-', '*', '/', '%', '&', '|', 'abs', 'neg'])
  const bound =
    op === '*' ? a.bound * b.bound : op === '+' || op === '-' ? a.bound + b.bound : Math.max(a.bound, b.bound)
  if (bound > limits[kind]!) return null
  switch (op) {
    case '/':
    case '%':
      // The least bigint divided by -1 would overflow.
      if (a.bound > 9e18) return null
      return expr(`($1 ${op} nullif($2, 0))`, `($1 ${op === '/' ? '//' : '%'} nullif($2, 0))`, [a, b], {
        kind,
        bound: a.bound,
      })
    case '&':
    case '|':
      return kind === 'smallint' ? null : same(`($1 ${op} $2)`, [a, b], { kind, bound: bound * 2 + 1 })
    case 'abs':
      return a.bound > 9e18 ? null : same('abs($1)', [a], { kind, bound: a.bound })
    case 'neg':
      return a.bound > 9e18 ? null : same('(-$1)', [a], { kind, bound: a.bound })
    default:
      return same(`($1 ${op} $2)`, [a, b], { kind, bound })
  }
}
export function integerOf(make: Maker, scope: Scope, kind: Kind, depth: number, call: () => Expr | null): Expr | null {
  const { chance } = make
  if (kind !== 'int') {
    const from = kind === 'bigint' ? chance.pick<Kind>(['int', 'smallint']) : 'smallint'
    const a = make.of(scope, from, depth)
    return same(`CAST($1 AS ${kind})`, [a], { kind, bound: a.bound })
  }
  const made: (() => Expr | null)[] = [call]
  const unit = chance.pick(['year', 'month', 'day', 'hour', 'minute', 'dow', 'isodow', 'doy', 'week', 'quarter'])
  made.push(() =>
    expr(
      `CAST(extract(${unit} FROM $1) AS int)`,
      `CAST(extract(${unit} FROM $1) AS INTEGER)`,
      [make.of(scope, timeKind(chance, scope), depth)],
      { kind, bound: 3_000 },
    ),
  )
  if (columnsOf(scope, 'date').length > 0)
    made.push(() =>
      expr('($1 - $2)', 'CAST($1 - $2 AS INTEGER)', [make.of(scope, 'date', 0), make.of(scope, 'date', 0)], {
        kind,
        bound: 40_000,
      }),
    )
  if (columnsOf(scope, 'jsonb').length > 0) {
    made.push(() =>
      expr(
        `CAST($1 ->> 'a' AS int)`,
        `CAST($1 ->> '$.a' AS INTEGER)`,
        [columnExpr(chance.pick(columnsOf(scope, 'jsonb')))],
        { kind, bound: 4 },
      ),
    )
    made.push(() =>
      expr(
        `jsonb_array_length($1 -> 'l')`,
        `CASE WHEN ($1 -> '$.l') IS NULL THEN NULL ELSE CAST(json_array_length($1, '$.l') AS INTEGER) END`,
        [columnExpr(chance.pick(columnsOf(scope, 'jsonb')))],
        { kind, bound: 3 },
      ),
    )
  }
  if (columnsOf(scope, 'struct').length > 0)
    made.push(() => expr('($1).a', `struct_extract($1, 'a')`, [make.of(scope, 'struct', 0)], { kind, bound: 4 }))
  return chance.pick(made)()
}
export function decimal(make: Maker, scope: Scope, depth: number): Expr | null {
  const { chance } = make
  const kind = 'numeric'
  const a = make.of(scope, kind, depth)
  const op = chance.pick([
    '+',
    '-',
    '*',
    'int',
    'abs',
    'round',
    'floor',
    'ceil',
    'trunc',
    'neg',
    'round1',
    'scale',
    'mod',
    'cut',
  ])
  if (op === 'int') {
    const from = make.of(scope, chance.pick(integers), depth)
    return expr('CAST($1 AS numeric)', 'CAST($1 AS DECIMAL(38,0))', [from], { kind, scale: 0, bound: from.bound })
  }
  if (op === 'abs' || op === 'neg')
    return expr(op === 'abs' ? 'abs($1)' : '(-$1)', op === 'abs' ? 'abs($1)' : '(-$1)', [a], {
      kind,
      scale: a.scale!,
      bound: a.bound,
    })
  if (op === 'scale')
    return expr('CAST($1 AS numeric(38,2))', 'CAST($1 AS DECIMAL(38,2))', [a], { kind, scale: 2, bound: a.bound + 1 })
  // There a quotient is a double.
  if (op === 'cut' && a.bound > 1e12) return null
  if (op === 'cut')
    return expr('trunc($1, 1)', 'CAST(trunc(CAST($1 AS DECIMAL(38,4)) * 10) / 10 AS DECIMAL(38,1))', [a], {
      kind,
      scale: 1,
      bound: a.bound,
    })
  if (op === 'mod') {
    const b = make.of(scope, kind, 0)
    const scale = Math.max(a.scale!, b.scale!)
    if (a.bound > 1e12 || b.bound > 1e12 || scale > 8) return null
    const as = `DECIMAL(24,${scale})`
    return expr(
      '($1 % nullif($2, 0))',
      `CAST(CAST($1 AS ${as}) % nullif(CAST($2 AS ${as}), 0) AS ${decimalType(scale)})`,
      [a, b],
      { kind, scale, bound: a.bound },
    )
  }
  if (op === 'round1')
    return expr('round($1, 1)', 'CAST(round($1, 1) AS DECIMAL(38,1))', [a], { kind, scale: 1, bound: a.bound + 1 })
  if (op !== '+' && op !== '-' && op !== '*')
    return expr(`${op}($1)`, `CAST(${op}($1) AS DECIMAL(38,0))`, [a], { kind, scale: 0, bound: a.bound + 1 })
  const b = make.of(scope, chance.is(0.3) ? 'int' : kind, depth)
  const scales = [a.scale!, b.scale ?? 0] as const
  if (op === '*') {
    const scale = scales[0] + scales[1]
    if (scale > 12 || a.bound * 10 ** scales[0] > 1e17 || b.bound * 10 ** scales[1] > 1e17 || a.bound * b.bound > 1e20)
      return null
    return expr(
      '($1 * $2)',
      `CAST(CAST($1 AS DECIMAL(19,${scales[0]})) * CAST($2 AS DECIMAL(19,${scales[1]})) AS ${decimalType(scale)})`,
      [a, b],
      { kind, scale, bound: a.bound * b.bound },
    )
  }
  const scale = Math.max(...scales)
  const bound = a.bound + b.bound
  if (bound > 1e22) return null
  return expr(`($1 ${op} $2)`, `(CAST($1 AS ${decimalType(scale)}) ${op} CAST($2 AS ${decimalType(scale)}))`, [a, b], {
    kind,
    scale,
    bound,
  })
}
export function double(make: Maker, scope: Scope, kind: Kind, depth: number): Expr | null {
  const { chance } = make
  const a = make.of(scope, kind, depth)
  switch (chance.pick(['+', '-', '*', '/', 'abs', 'round', 'int', 'neg', 'sqrt'] as const)) {
    case 'abs':
      return same('abs($1)', [a], { kind, bound: a.bound })
    case 'neg':
      return same('(-$1)', [a], { kind, bound: a.bound })
    case 'round': {
      const name = chance.pick(['floor', 'ceil', 'round', 'trunc'])
      if (kind === 'real') return null
      return expr(`${name}($1)`, name === 'round' ? 'round_even($1, 0)' : `${name}($1)`, [a], {
        kind,
        bound: a.bound + 1,
      })
    }
    case 'int': {
      const from = make.of(scope, 'int', depth)
      return same(`CAST($1 AS ${kind === 'double' ? 'double precision' : kind})`, [from], { kind, bound: from.bound })
    }
    case 'sqrt':
      return kind === 'real' ? null : same('sqrt(abs($1))', [a], { kind, bound: a.bound + 1 })
    case '/':
      return same('($1 / nullif($2, 0))', [a, make.of(scope, kind, depth)], { kind, bound: Infinity })
    default: {
      const b = make.of(scope, kind, depth)
      const bound = a.bound * b.bound + a.bound + b.bound
      return bound > 1e30 && bound !== Infinity
        ? null
        : same(`($1 ${chance.pick(['+', '-', '*'])} $2)`, [a, b], { kind, bound })
    }
  }
}
