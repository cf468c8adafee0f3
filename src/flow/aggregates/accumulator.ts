/**
 * Aggregates as fields of a state row. Adding a value with a negative weight takes it away again: every accumulator here
 * gives the same result for the same bag of values, in whatever order they came and went.
 */
import { Fault } from '../../lib/fault.ts'
import { type DataType, typeName } from '../../schema/types.ts'
import * as decimal from '../decimal.ts'
import type { Aggregate, Value } from '../expression.ts'
import * as h from '../functions/helpers.ts'
import { KeyWriter, writeKey } from '../key.ts'
import { canonical, toDecimal } from '../memory.ts'
import type { StateTable } from '../state.ts'
import { asPair, grow, multiplyPairs, product, rounded, subtractPairs } from './exact-sum.ts'

export interface Accumulator {
  /** Fields it takes in a row. */
  readonly numbers: number
  readonly values: number
  /** `n` and `v`: positions of its first fields in the table's arrays. The value is present. */
  add(table: StateTable, n: number, v: number, value: Value, weight: number): void
  /** null = NULL, as of an empty bag. */
  result(table: StateTable, n: number, v: number): Value
}

/** The accumulator of an aggregate; `grows`: nothing is ever taken away. Extremes that can shrink are not here. */
export function accumulator(aggregate: Aggregate, grows: boolean): Accumulator {
  const [arg] = aggregate.args
  switch (aggregate.name) {
    case 'count':
      return count
    case 'sum':
      return sum(needed(arg, aggregate).type, aggregate.type, false)
    case 'avg':
      return sum(needed(arg, aggregate).type, aggregate.type, true)
    case 'min':
    case 'max':
      if (grows) return extreme(needed(arg, aggregate).type, aggregate.name === 'max')
      break
    case 'bool_and':
    case 'every':
      return truth(true)
    case 'bool_or':
      return truth(false)
    case 'stddev':
    case 'stddev_samp':
    case 'variance':
    case 'var_samp':
    case 'stddev_pop':
    case 'var_pop':
      return spread(needed(arg, aggregate).type, aggregate.type, {
        root: aggregate.name.startsWith('stddev'),
        sample: !aggregate.name.endsWith('_pop'),
      })
  }
  throw new Fault('flow.unsupported', {
    what: `there is no aggregate ${aggregate.name}(${aggregate.args.map((a) => typeName(a.type)).join(', ')})`,
  })
}
function needed<T>(arg: T | undefined, aggregate: Aggregate): T {
  if (arg === undefined)
    throw new Fault('flow.unsupported', { what: `the aggregate ${aggregate.name} takes an argument` })
  return arg
}

/** Values counted; without an argument, rows. */
const count: Accumulator = {
  numbers: 1,
  values: 0,
  add(table, n, _, __, weight) {
    table.numbers[n]! += weight
  },
  result: (table, n) => table.numbers[n]!,
}
/** Trues and falses counted. */
const truth = (all: boolean): Accumulator => ({
  numbers: 2,
  values: 0,
  add(table, n, _, value, weight) {
    table.numbers[value === true ? n : n + 1]! += weight
  },
  result(table, n) {
    const [trues, falses] = [table.numbers[n]!, table.numbers[n + 1]!]
    if (trues + falses === 0) return null
    return all ? falses === 0 : trues > 0
  },
})

// Exact integers: a number field while it fits, else a bigint in the value field.

function getInt(table: StateTable, n: number, v: number): h.Int {
  const wide = table.values[v]
  return typeof wide === 'bigint' ? wide : table.numbers[n]!
}
function setInt(table: StateTable, n: number, v: number, value: h.Int): void {
  if (typeof value === 'number') {
    table.numbers[n] = value
    table.values[v] = null
  } else {
    table.numbers[n] = 0
    table.values[v] = value
  }
}
const scaleOf = (type: DataType): number | null => (type.kind === 'numeric' ? type.scale : 0)
const isDouble = (type: DataType): boolean => type.kind === 'real' || type.kind === 'double'
const isExactNumber = (type: DataType): boolean =>
  type.kind === 'smallint' || type.kind === 'int' || type.kind === 'bigint' || type.kind === 'numeric'

/** A Decimal in the memory form of the result's type. */
function toType(d: decimal.Decimal, type: DataType): Value {
  switch (type.kind) {
    case 'numeric':
      return type.scale === null ? d : canonical(decimal.rescaleDigits(d.digits, d.scale, type.scale))
    case 'smallint':
    case 'int':
    case 'bigint':
      return h.checkBigint(decimal.rescaleDigits(d.digits, d.scale, 0))
    case 'double':
    case 'real':
      return decimal.decimalToDouble(d.digits, d.scale)
    default:
      throw new Fault('flow.unsupported', { what: `a sum is no ${typeName(type)}` })
  }
}
function sum(from: DataType, to: DataType, mean: boolean): Accumulator {
  if (isDouble(from)) return doubleSum(to, mean)
  if (!isExactNumber(from))
    throw new Fault('flow.unsupported', { what: `there is no ${mean ? 'avg' : 'sum'}(${typeName(from)})` })
  const scale = scaleOf(from)
  return scale === null ? decimalSum(to, mean) : exactSum(scale, to, mean)
}
const average = (total: decimal.Decimal, n: number): decimal.Decimal =>
  decimal.divide(total, decimal.decimalFromNumber(BigInt(n)))

/** Of integers and numerics of a fixed scale. */
function exactSum(scale: number, to: DataType, mean: boolean): Accumulator {
  return {
    numbers: 2,
    values: 1,
    add(table, n, v, value, weight) {
      const term = weight === 1 ? (value as h.Int) : h.multiplyInts(value as h.Int, weight)
      table.numbers[n]! += weight
      setInt(table, n + 1, v, h.addInts(getInt(table, n + 1, v), term))
    },
    result(table, n, v) {
      const rows = table.numbers[n]!
      if (rows === 0) return null
      const total = getInt(table, n + 1, v)
      if (!mean && typeof total === 'number' && to.kind === 'bigint') return total
      const d = toDecimal(total, scale)
      return toType(mean ? average(d, rows) : d, to)
    },
  }
}
/** Of numerics that carry their own scales: the sum has the largest of them. */
function decimalSum(to: DataType, mean: boolean): Accumulator {
  return {
    numbers: 1,
    values: 1,
    add(table, n, v, value, weight) {
      const d = value as decimal.Decimal
      const term = weight === 1 ? d : { digits: d.digits * BigInt(weight), scale: d.scale }
      const before = table.values[v] as decimal.Decimal | null
      table.numbers[n]! += weight
      table.values[v] = before === null ? term : decimal.add(before, term)
    },
    result(table, n, v) {
      const rows = table.numbers[n]!
      if (rows === 0) return null
      const total = table.values[v] as decimal.Decimal
      return toType(mean ? average(total, rows) : total, to)
    },
  }
}

// Doubles: partials in three number fields, the rest (rare) in a value; what is not finite is counted apart.

const partialFields = 3
function loadPartials(table: StateTable, n: number, v: number): number[] {
  const partials: number[] = []
  for (let i = 0; i < partialFields && table.numbers[n + i] !== 0; i++) partials.push(table.numbers[n + i]!)
  const rest = table.values[v]
  if (Array.isArray(rest)) for (const partial of rest) partials.push(partial as number)
  return partials
}
function storePartials(table: StateTable, n: number, v: number, partials: readonly number[]): void {
  for (let i = 0; i < partialFields; i++) table.numbers[n + i] = partials[i] ?? 0
  table.values[v] = partials.length > partialFields ? partials.slice(partialFields) : null
}
function addTo(table: StateTable, n: number, v: number, terms: readonly number[]): void {
  const partials = loadPartials(table, n, v)
  for (const term of terms) grow(partials, term)
  storePartials(table, n, v, partials)
}
/** Fields: values, NaNs, ∞, −∞. Gives the special value that the sum is because of them; null: it is finite. */
function special(table: StateTable, n: number): number | null {
  const [nans, plus, minus] = [table.numbers[n + 1]!, table.numbers[n + 2]!, table.numbers[n + 3]!]
  if (nans > 0 || (plus > 0 && minus > 0)) return NaN
  return plus > 0 ? Infinity : minus > 0 ? -Infinity : null
}
const specials = 4
function countDouble(table: StateTable, n: number, x: number, weight: number): boolean {
  table.numbers[n]! += weight
  if (Number.isFinite(x)) return true
  table.numbers[n + (x !== x ? 1 : x > 0 ? 2 : 3)]! += weight
  return false
}
/** x × weight without rounding. */
function weighted(x: number, weight: number): number[] {
  if (weight === 1) return [x]
  const { high, low } = product(x, weight)
  return [high, low]
}
function doubleSum(to: DataType, mean: boolean): Accumulator {
  return {
    numbers: specials + partialFields,
    values: 1,
    add(table, n, v, value, weight) {
      if (countDouble(table, n, value as number, weight))
        addTo(table, n + specials, v, weighted(value as number, weight))
    },
    result(table, n, v) {
      const rows = table.numbers[n]!
      if (rows === 0) return null
      const total = special(table, n) ?? rounded(loadPartials(table, n + specials, v))
      const result = mean ? total / rows : total
      return to.kind === 'real' ? h.checkReal(result, 0, Number.isFinite(result) ? 0 : result) : result
    },
  }
}

interface SpreadKind {
  readonly root: boolean
  readonly sample: boolean
}
function spread(from: DataType, to: DataType, kind: SpreadKind): Accumulator {
  if (isDouble(from)) return doubleSpread(kind)
  if (!isExactNumber(from)) throw new Fault('flow.unsupported', { what: `there is no variance of ${typeName(from)}` })
  return exactSpread(from, to, kind)
}
/** From the exact sums of values and squares, as PostgreSQL's numeric_stddev_internal. */
function exactSpread(from: DataType, to: DataType, kind: SpreadKind): Accumulator {
  const scale = scaleOf(from)
  const square = (a: decimal.Decimal): decimal.Decimal => ({ digits: a.digits * a.digits, scale: a.scale * 2 })
  const times = (a: decimal.Decimal, n: number): decimal.Decimal => ({ digits: a.digits * BigInt(n), scale: a.scale })
  const zero = { digits: 0n, scale: 0 }
  return {
    numbers: 1,
    values: 2,
    add(table, n, v, value, weight) {
      const d = toDecimal(value as h.Int | decimal.Decimal, scale)
      table.numbers[n]! += weight
      table.values[v] = decimal.add((table.values[v] as decimal.Decimal | null) ?? zero, times(d, weight))
      table.values[v + 1] = decimal.add(
        (table.values[v + 1] as decimal.Decimal | null) ?? zero,
        times(square(d), weight),
      )
    },
    result(table, n, v) {
      const rows = table.numbers[n]!
      if (rows === 0 || (kind.sample && rows === 1)) return null
      const total = table.values[v] as decimal.Decimal
      const squares = table.values[v + 1] as decimal.Decimal
      const numerator = decimal.subtract(times(squares, rows), square(total))
      if (numerator.digits <= 0n) return toType(zero, to)
      const denominator = decimal.decimalFromNumber(BigInt(rows) * BigInt(kind.sample ? rows - 1 : rows))
      const variance = decimal.divide(numerator, denominator)
      return toType(kind.root ? decimal.squareRoot(variance, variance.scale) : variance, to)
    },
  }
}
/** Exact sums of values and squares, then the last steps in pairs of doubles: any order gives the same bits. */
function doubleSpread(kind: SpreadKind): Accumulator {
  return {
    numbers: specials + 2 * partialFields,
    values: 2,
    add(table, n, v, value, weight) {
      const x = value as number
      if (!countDouble(table, n, x, weight)) return
      addTo(table, n + specials, v, weighted(x, weight))
      const square = product(x, x)
      if (!Number.isFinite(square.high))
        throw new Fault('value.out-of-range', { type: 'double precision', value: String(x) })
      addTo(table, n + specials + partialFields, v + 1, [
        ...weighted(square.high, weight),
        ...weighted(square.low, weight),
      ])
    },
    result(table, n, v) {
      const rows = table.numbers[n]!
      if (rows === 0 || (kind.sample && rows === 1)) return null
      if (special(table, n) !== null) return NaN
      const total = asPair(loadPartials(table, n + specials, v))
      const squares = asPair(loadPartials(table, n + specials + partialFields, v + 1))
      const pair = subtractPairs(multiplyPairs(squares, { high: rows, low: 0 }), multiplyPairs(total, total))
      const numerator = Math.max(0, pair.high + pair.low)
      const variance = numerator / (rows * (kind.sample ? rows - 1 : rows))
      return kind.root ? Math.sqrt(variance) : variance
    },
  }
}

/** The smallest or largest so far; only where nothing is taken away. */
function extreme(type: DataType, largest: boolean): Accumulator {
  const compare = comparer(type)
  return {
    numbers: 0,
    values: 1,
    add(table, _, v, value) {
      const before = table.values[v]!
      const order = before === null ? 1 : compare(value, before) * (largest ? 1 : -1)
      if (order > 0) table.values[v] = value instanceof Uint8Array ? Buffer.from(value) : value
    },
    result: (table, _, v) => table.values[v]!,
  }
}
/** The order of key encodings, shortcut for plain numbers. */
export function comparer(type: DataType): (a: Value, b: Value) => number {
  const x = new KeyWriter()
  const y = new KeyWriter()
  return (a, b) => {
    if (typeof a === 'number' && typeof b === 'number') return h.compareDoubles(a, b)
    x.length = 0
    y.length = 0
    writeKey(x, a, type)
    writeKey(y, b, type)
    return Buffer.compare(x.done(), y.done())
  }
}
