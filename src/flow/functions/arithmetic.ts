/** Arithmetic and rounding. Operators stand for two arguments of one type; the binder casts before. */
import type { DataType } from '../../schema/types.ts'
import * as decimal from '../decimal.ts'
import { toDecimal } from '../memory.ts'
import * as h from './helpers.ts'
import type { CallSite, FunctionRow, Kind } from './table.ts'

type Numeric = DataType & { kind: 'numeric' }
const scaleOf = (type: DataType): number | null => (type as Numeric).scale
const numeric = (scale: number | null): DataType => ({ kind: 'numeric', precision: null, scale })
const largerScale = ([a, b]: readonly DataType[]): DataType => {
  const x = scaleOf(a!)
  const y = scaleOf(b!)
  return numeric(x === null || y === null ? null : Math.max(x, y))
}
const scaleSum = ([a, b]: readonly DataType[]): DataType => {
  const x = scaleOf(a!)
  const y = scaleOf(b!)
  return numeric(x === null || y === null ? null : x + y)
}

/** An argument as Decimal, whatever its type's scale. */
export const asDecimal = (c: CallSite, n: number): string =>
  scaleOf(c.types[n]!) === null ? c.args[n]! : `${c.use(toDecimal)}(${c.args[n]}, ${scaleOf(c.types[n]!)})`
/** A Decimal in the form of the call's result type. */
export const fromDecimal = (c: CallSite, code: string): string =>
  scaleOf(c.type) === null ? code : `${c.use(h.toScaled)}(${code}, ${scaleOf(c.type)})`
/** Both arguments as scaled integers of one scale; null where a scale is not fixed. */
export function atScale(c: CallSite, scale: number | null): string[] | null {
  if (scale === null || c.types.some((t) => scaleOf(t) === null)) return null
  return c.args.map((arg, i) => {
    const from = scaleOf(c.types[i]!)
    return from === scale ? arg : `${c.use(h.rescaleInt)}(${arg}, ${from}, ${scale})`
  })
}
const exact =
  (fast: (a: h.Int, b: h.Int) => h.Int, slow: (a: decimal.Decimal, b: decimal.Decimal) => decimal.Decimal) =>
  (c: CallSite): string => {
    const args = atScale(c, scaleOf(c.type))
    if (args !== null) return `${c.use(fast)}(${args[0]}, ${args[1]})`
    return fromDecimal(c, `${c.use(slow)}(${asDecimal(c, 0)}, ${asDecimal(c, 1)})`)
  }
const viaDecimal =
  (fn: (...args: never[]) => decimal.Decimal) =>
  (c: CallSite): string =>
    fromDecimal(c, `${c.use(fn)}(${c.args.map((_, i) => asDecimal(c, i)).join(', ')})`)
/** A product needs no common scale: those of its factors add up. */
const product = (c: CallSite): string => {
  const [x, y] = [scaleOf(c.types[0]!), scaleOf(c.types[1]!)]
  if (x !== null && y !== null && scaleOf(c.type) === x + y)
    return `${c.use(h.multiplyInts)}(${c.args[0]}, ${c.args[1]})`
  return fromDecimal(c, `${c.use(decimal.multiply)}(${asDecimal(c, 0)}, ${asDecimal(c, 1)})`)
}

const kindType = (kind: 'smallint' | 'int' | 'bigint' | 'real' | 'double'): DataType => ({ kind })
const binary = (
  name: string,
  kind: 'smallint' | 'int' | 'bigint' | 'real' | 'double',
  code: FunctionRow['code'],
  duckdb: string,
  about: string,
): FunctionRow => ({ name, args: [kind, kind], returns: kindType(kind), code, duckdb, about })

const small = (name: string, symbol: string, about: string): FunctionRow[] =>
  (['smallint', 'int'] as const).map((kind) => {
    const check = kind === 'int' ? h.checkInt : h.checkSmallint
    return binary(name, kind, (c) => `${c.use(check)}(${c.args[0]} ${symbol} ${c.args[1]})`, `$1 ${symbol} $2`, about)
  })
const smallBy = (name: string, fn: (a: number, b: number) => number, duckdb: string, about: string): FunctionRow[] =>
  (['smallint', 'int'] as const).map((kind) => {
    const check = kind === 'int' ? h.checkInt : h.checkSmallint
    return binary(name, kind, (c) => `${c.use(check)}(${c.use(fn)}(${c.args[0]}, ${c.args[1]}))`, duckdb, about)
  })
const wide = (name: string, fn: (a: h.Int, b: h.Int) => h.Int, duckdb: string, about: string): FunctionRow =>
  binary(name, 'bigint', (c) => `${c.use(fn)}(${c.args[0]}, ${c.args[1]})`, duckdb, about)
const floating = (name: string, symbol: string, about: string): FunctionRow[] =>
  (['real', 'double'] as const).map((kind) => {
    const check = kind === 'real' ? h.checkReal : h.checkDouble
    return binary(
      name,
      kind,
      (c) => `${c.use(check)}(${c.args[0]} ${symbol} ${c.args[1]}, ${c.args[0]}, ${c.args[1]})`,
      `$1 ${symbol} $2`,
      about,
    )
  })
const divideDoubles = (a: number, b: number): number => (b === 0 && a === a ? h.divisionByZero() : a / b)
const floatDivision = (['real', 'double'] as const).map((kind) =>
  binary(
    '/',
    kind,
    (c) =>
      `${c.use(kind === 'real' ? h.checkReal : h.checkDouble)}(${c.use(divideDoubles)}(${c.args[0]}, ${c.args[1]}), ${c.args[0]}, ${c.args[1]})`,
    '$1 / $2',
    'Quotient',
  ),
)

const operators: FunctionRow[] = [
  ...small('+', '+', 'Sum'),
  ...small('-', '-', 'Difference'),
  ...small('*', '*', 'Product'),
  ...smallBy('/', h.divideInts, '$1 // $2', 'Quotient, truncated towards zero'),
  ...smallBy('%', h.remainderInts, '$1 % $2', 'Remainder, with the sign of the dividend'),
  wide('+', h.addBigints, '$1 + $2', 'Sum'),
  wide('-', h.subtractBigints, '$1 - $2', 'Difference'),
  wide('*', h.multiplyBigints, '$1 * $2', 'Product'),
  wide('/', h.divideBigints, '$1 // $2', 'Quotient, truncated towards zero'),
  wide('%', h.remainderBigints, '$1 % $2', 'Remainder, with the sign of the dividend'),
  ...floating('+', '+', 'Sum'),
  ...floating('-', '-', 'Difference'),
  ...floating('*', '*', 'Product'),
  ...floatDivision,
  {
    name: '+',
    args: ['numeric', 'numeric'],
    returns: largerScale,
    code: exact(h.addInts, decimal.add),
    duckdb: '$1 + $2',
    about: 'Sum',
  },
  {
    name: '-',
    args: ['numeric', 'numeric'],
    returns: largerScale,
    code: exact(h.subtractInts, decimal.subtract),
    duckdb: '$1 - $2',
    about: 'Difference',
  },
  { name: '*', args: ['numeric', 'numeric'], returns: scaleSum, code: product, duckdb: '$1 * $2', about: 'Product' },
  {
    name: '/',
    args: ['numeric', 'numeric'],
    returns: numeric(null),
    code: viaDecimal((a: decimal.Decimal, b: decimal.Decimal) => decimal.divide(a, b)),
    duckdb: null,
    why: 'DuckDB divides decimals as doubles',
    about: 'Quotient with at least 16 significant digits',
  },
  {
    name: '%',
    args: ['numeric', 'numeric'],
    returns: largerScale,
    code: viaDecimal(decimal.remainder),
    duckdb: '$1 % $2',
    about: 'Remainder, with the sign of the dividend',
  },
]

const numberKinds = ['smallint', 'int', 'bigint', 'real', 'double', 'numeric'] as const
const same = (types: readonly DataType[]): DataType => types[0]!
/** One argument; the result has its type. */
const unary = (
  name: string,
  codes: Readonly<Record<(typeof numberKinds)[number], FunctionRow['code'] | null>>,
  duckdb: string,
  about: string,
  returns: FunctionRow['returns'] = same,
): FunctionRow[] =>
  numberKinds.flatMap((kind) => {
    const code = codes[kind]
    return code === null ? [] : [{ name, args: [kind as Kind], returns, code, duckdb, about }]
  })
const wholeType = ([type]: readonly DataType[]): DataType =>
  type!.kind === 'numeric' ? numeric(0) : { kind: 'double' }
const js =
  (text: string): FunctionRow['code'] =>
  (c) =>
    `(${text.replaceAll('$1', c.args[0]!)} + 0)`
const absDecimal = (d: decimal.Decimal): decimal.Decimal => (d.digits < 0n ? decimal.negate(d) : d)
const signDecimal = (d: decimal.Decimal): decimal.Decimal => ({
  digits: d.digits < 0n ? -1n : d.digits > 0n ? 1n : 0n,
  scale: 0,
})
const upward = (d: decimal.Decimal): decimal.Decimal => h.wholeDecimal(d, true)
const downward = (d: decimal.Decimal): decimal.Decimal => h.wholeDecimal(d, false)
const nearest = (d: decimal.Decimal): decimal.Decimal => h.roundDecimal(d, 0)
const towardsZero = (d: decimal.Decimal): decimal.Decimal => h.truncateDecimal(d, 0)

const doubleFunction = (name: string, fn: (v: number) => number, duckdb: string, about: string): FunctionRow => ({
  name,
  args: ['double'],
  returns: { kind: 'double' },
  code: (c) => `${c.use(fn)}(${c.args[0]})`,
  duckdb,
  about,
})
const invalid = h.invalidArgument
const squareRoot = (v: number): number =>
  v < 0 ? invalid('cannot take square root of a negative number') : Math.sqrt(v)
const logarithm =
  (fn: (v: number) => number) =>
  (v: number): number =>
    v === 0
      ? invalid('cannot take logarithm of zero')
      : v < 0
        ? invalid('cannot take logarithm of a negative number')
        : fn(v)
const exponential = (v: number): number => h.checkDouble(Math.exp(v), v, v)
const powerOf = (a: number, b: number): number => {
  if (a === 0 && b < 0) return invalid('zero raised to a negative power is undefined')
  if (a < 0 && !Number.isInteger(b) && Number.isFinite(b))
    return invalid('a negative number raised to a non-integer power yields a complex result')
  // IEEE and PostgreSQL: 1 to any power is 1, also to NaN; JavaScript disagrees.
  if (a === 1) return 1
  return h.checkDouble(a ** b, a, b)
}

const roundings: FunctionRow[] = [
  ...unary(
    'ceil',
    { smallint: null, int: null, bigint: null, real: null, double: js('Math.ceil($1)'), numeric: viaDecimal(upward) },
    'ceil($1)',
    'The nearest whole number not below',
    wholeType,
  ),
  ...unary(
    'floor',
    {
      smallint: null,
      int: null,
      bigint: null,
      real: null,
      double: js('Math.floor($1)'),
      numeric: viaDecimal(downward),
    },
    'floor($1)',
    'The nearest whole number not above',
    wholeType,
  ),
  ...unary(
    'round',
    {
      smallint: null,
      int: null,
      bigint: null,
      real: null,
      double: (c) => `(${c.use(h.roundHalfEven)}(${c.args[0]}) + 0)`,
      numeric: viaDecimal(nearest),
    },
    'CASE WHEN true THEN round_even($1, 0) END',
    'The nearest whole number; ties: doubles to the even one, numerics away from zero',
    wholeType,
  ).map((row) => (row.args[0] === 'numeric' ? { ...row, duckdb: 'round($1)' } : row)),
  ...unary(
    'trunc',
    {
      smallint: null,
      int: null,
      bigint: null,
      real: null,
      double: js('Math.trunc($1)'),
      numeric: viaDecimal(towardsZero),
    },
    'trunc($1)',
    'The whole part',
    wholeType,
  ),
  {
    name: 'round',
    args: ['numeric', 'int'],
    returns: numeric(null),
    code: (c) => fromDecimal(c, `${c.use(h.roundDecimal)}(${asDecimal(c, 0)}, ${c.use(h.checkPlaces)}(${c.args[1]}))`),
    duckdb: null,
    why: 'DuckDB wants the places as a constant and keeps the scale of the type',
    about: 'Rounded to so many digits after the point',
  },
  {
    name: 'trunc',
    args: ['numeric', 'int'],
    returns: numeric(null),
    code: (c) =>
      fromDecimal(c, `${c.use(h.truncateDecimal)}(${asDecimal(c, 0)}, ${c.use(h.checkPlaces)}(${c.args[1]}))`),
    duckdb: null,
    why: 'DuckDB wants the places as a constant and keeps the scale of the type',
    about: 'Cut to so many digits after the point',
  },
]

export const arithmetic: readonly FunctionRow[] = [
  ...operators,
  ...unary(
    'neg',
    {
      smallint: (c) => `${c.use(h.checkSmallint)}(0 - ${c.args[0]})`,
      int: (c) => `${c.use(h.checkInt)}(0 - ${c.args[0]})`,
      bigint: (c) => `${c.use(h.negateBigint)}(${c.args[0]})`,
      real: (c) => `(-${c.args[0]})`,
      double: (c) => `(-${c.args[0]})`,
      numeric: viaDecimal(decimal.negate),
    },
    '-$1',
    'The number with its sign turned',
  ),
  ...unary(
    'abs',
    {
      smallint: (c) => `${c.use(h.checkSmallint)}(Math.abs(${c.args[0]}))`,
      int: (c) => `${c.use(h.checkInt)}(Math.abs(${c.args[0]}))`,
      bigint: (c) => `${c.use(h.absBigint)}(${c.args[0]})`,
      real: (c) => `Math.abs(${c.args[0]})`,
      double: (c) => `Math.abs(${c.args[0]})`,
      numeric: viaDecimal(absDecimal),
    },
    'abs($1)',
    'The number without its sign',
  ),
  ...unary(
    'sign',
    {
      smallint: null,
      int: null,
      bigint: null,
      real: null,
      double: js('Math.sign($1)'),
      numeric: viaDecimal(signDecimal),
    },
    'sign($1)',
    '−1, 0 or 1',
    wholeType,
  ),
  ...roundings,
  ...['mod'].flatMap((name) => operators.filter((o) => o.name === '%').map((o) => ({ ...o, name }))),
  doubleFunction('sqrt', squareRoot, 'sqrt($1)', 'Square root'),
  doubleFunction('cbrt', Math.cbrt, 'cbrt($1)', 'Cube root'),
  doubleFunction('exp', exponential, 'exp($1)', 'e raised to the power'),
  doubleFunction('ln', logarithm(Math.log), 'ln($1)', 'Natural logarithm'),
  doubleFunction('log', logarithm(Math.log10), 'log10($1)', 'Logarithm to base 10'),
  doubleFunction('log10', logarithm(Math.log10), 'log10($1)', 'Logarithm to base 10'),
  doubleFunction('sin', Math.sin, 'sin($1)', 'Sine of an angle in radians'),
  doubleFunction('cos', Math.cos, 'cos($1)', 'Cosine of an angle in radians'),
  doubleFunction('tan', Math.tan, 'tan($1)', 'Tangent of an angle in radians'),
  doubleFunction('atan', Math.atan, 'atan($1)', 'Inverse tangent, in radians'),
  doubleFunction('degrees', (v) => (v * 180) / Math.PI, 'degrees($1)', 'Radians as degrees'),
  doubleFunction('radians', (v) => (v / 180) * Math.PI, 'radians($1)', 'Degrees as radians'),
  ...['^', 'power', 'pow'].map((name): FunctionRow => ({
    name,
    args: ['double', 'double'],
    returns: { kind: 'double' },
    code: (c) => `${c.use(powerOf)}(${c.args[0]}, ${c.args[1]})`,
    duckdb: 'pow($1, $2)',
    about: 'The first raised to the power of the second',
  })),
  {
    name: 'sqrt',
    args: ['numeric'],
    returns: numeric(null),
    code: viaDecimal((d: decimal.Decimal) => decimal.squareRoot(d)),
    duckdb: null,
    why: 'DuckDB takes the root of a decimal as a double',
    about: 'Square root with at least 16 significant digits',
  },
  {
    name: 'div',
    args: ['numeric', 'numeric'],
    returns: numeric(0),
    code: viaDecimal(decimal.divideTruncated),
    duckdb: null,
    why: 'DuckDB has no integer division of decimals',
    about: 'The whole part of the quotient',
  },
]
