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
import { canonical, formOf, isExact, toDecimal } from '../memory.ts'
import { type Column, valueAt } from '../batch.ts'
import { asPair, grow, multiplyPairs, product, rounded, subtractPairs } from './exact-sum.ts'

/** Fields of rows: those of a table, or copies of them. */
export interface Fields {
  readonly numbers: Float64Array
  readonly values: Value[]
}
/** The same of many rows, one behind the other. */
export interface RowFields extends Fields {
  readonly spec: { readonly numbers: number; readonly values: number }
}
/** Rows to be added, each to its group. */
export interface Additions {
  readonly fields: Fields
  /** Where the accumulator's fields of row i begin among the numbers; −1: the row does not count. */
  readonly at: Int32Array
  /** The same among the values. */
  readonly valuesAt: Int32Array
  readonly count: number
  /** The argument; null = none. */
  readonly column: Column | null
  readonly type: DataType | null
  /** null: every row once. */
  readonly weights: Float64Array | null
}

export interface Accumulator {
  /** Fields it takes in a row. */
  readonly numbers: number
  readonly values: number
  /** `n` and `v`: positions of its first fields in the arrays. The value is present. */
  add(fields: Fields, n: number, v: number, value: Value, weight: number): void
  /** As `add` for each row whose argument is not NULL, in a loop of its own where that is faster. */
  addAll?(additions: Additions): void
  /** Adds what another row has: its fields begin at `fromN` and `fromV` of `from`. */
  merge(fields: Fields, n: number, v: number, from: Fields, fromN: number, fromV: number): void
  /** null = NULL, as of an empty bag. */
  result(fields: Fields, n: number, v: number): Value
  /** Its result is its one number field as it is: never NULL, and another where that is another. */
  readonly isNumber?: true
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

/** What `addAll` is where there is no faster way. */
export function addOneByOne(to: Accumulator, additions: Additions): void {
  const { fields, at, valuesAt, count: rows, column, type, weights } = additions
  for (let i = 0; i < rows; i++) {
    if (at[i]! < 0) continue
    const value = column === null ? null : valueAt(column, i, type!)
    if (column === null || value !== null)
      to.add(fields, at[i]!, valuesAt[i]!, value, weights === null ? 1 : weights[i]!)
  }
}

/** Values counted; without an argument, rows. */
const count: Accumulator = {
  numbers: 1,
  values: 0,
  isNumber: true,
  add(fields, n, _, __, weight) {
    fields.numbers[n]! += weight
  },
  addAll({ fields: { numbers }, at, count: rows, column, weights }) {
    const valid = column === null ? null : column.valid
    for (let i = 0; i < rows; i++) {
      const n = at[i]!
      if (n >= 0 && (valid === null || valid[i] === 1)) numbers[n]! += weights === null ? 1 : weights[i]!
    }
  },
  merge({ numbers }, n, _, from, fromN) {
    numbers[n]! += from.numbers[fromN]!
  },
  result: (fields, n) => fields.numbers[n]!,
}
/** Trues and falses counted. */
const truth = (all: boolean): Accumulator => ({
  numbers: 2,
  values: 0,
  add(fields, n, _, value, weight) {
    fields.numbers[value === true ? n : n + 1]! += weight
  },
  merge({ numbers }, n, _, from, fromN) {
    numbers[n]! += from.numbers[fromN]!
    numbers[n + 1]! += from.numbers[fromN + 1]!
  },
  result(fields, n) {
    const [trues, falses] = [fields.numbers[n]!, fields.numbers[n + 1]!]
    if (trues + falses === 0) return null
    return all ? falses === 0 : trues > 0
  },
})

// Exact integers: a number field while it fits, else a bigint in the value field.

function getInt(fields: Fields, n: number, v: number): h.Int {
  const wide = fields.values[v]
  return typeof wide === 'bigint' ? wide : fields.numbers[n]!
}
function setInt(fields: Fields, n: number, v: number, value: h.Int): void {
  if (typeof value === 'number') {
    fields.numbers[n] = value
    fields.values[v] = null
  } else {
    // No sum of numbers with it is a number.
    fields.numbers[n] = NaN
    fields.values[v] = value
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
    add(fields, n, v, value, weight) {
      const term = weight === 1 ? (value as h.Int) : h.multiplyInts(value as h.Int, weight)
      fields.numbers[n]! += weight
      setInt(fields, n + 1, v, h.addInts(getInt(fields, n + 1, v), term))
    },
    addAll(additions) {
      const { fields, at, count: rows, column, weights } = additions
      if (column!.kind !== 'f64') return addOneByOne(this, additions)
      const { numbers } = fields
      const { data, valid } = column!
      for (let i = 0; i < rows; i++) {
        const n = at[i]!
        if (n < 0 || (valid !== null && valid[i] === 0)) continue
        const weight = weights === null ? 1 : weights[i]!
        const term = data[i]! * weight
        const total = numbers[n + 1]! + term
        if (isExact(term) && isExact(total)) {
          numbers[n]! += weight
          numbers[n + 1] = total
        } else this.add(fields, n, additions.valuesAt[i]!, data[i]!, weight)
      }
    },
    merge(fields, n, v, from, fromN, fromV) {
      fields.numbers[n]! += from.numbers[fromN]!
      setInt(fields, n + 1, v, h.addInts(getInt(fields, n + 1, v), getInt(from, fromN + 1, fromV)))
    },
    result(fields, n, v) {
      const rows = fields.numbers[n]!
      if (rows === 0) return null
      const total = getInt(fields, n + 1, v)
      if (!mean && typeof total === 'number' && to.kind === 'bigint') return total
      const d = toDecimal(total, scale)
      return toType(mean ? average(d, rows) : d, to)
    },
  }
}
function addDecimals(a: Value, b: Value): Value {
  if (a === null || b === null) return a ?? b
  return decimal.add(a as decimal.Decimal, b as decimal.Decimal)
}
/** Of numerics that carry their own scales: the sum has the largest of them. */
function decimalSum(to: DataType, mean: boolean): Accumulator {
  return {
    numbers: 1,
    values: 1,
    add(fields, n, v, value, weight) {
      const d = value as decimal.Decimal
      const term = weight === 1 ? d : { digits: d.digits * BigInt(weight), scale: d.scale }
      const before = fields.values[v] as decimal.Decimal | null
      fields.numbers[n]! += weight
      fields.values[v] = before === null ? term : decimal.add(before, term)
    },
    merge(fields, n, v, from, fromN, fromV) {
      fields.numbers[n]! += from.numbers[fromN]!
      fields.values[v] = addDecimals(fields.values[v]!, from.values[fromV]!)
    },
    result(fields, n, v) {
      const rows = fields.numbers[n]!
      if (rows === 0) return null
      const total = fields.values[v] as decimal.Decimal
      return toType(mean ? average(total, rows) : total, to)
    },
  }
}

// Doubles: partials in three number fields, the rest (rare) in a value; what is not finite is counted apart.

const partialFields = 3
function loadPartials(fields: Fields, n: number, v: number): number[] {
  const partials: number[] = []
  for (let i = 0; i < partialFields && fields.numbers[n + i] !== 0; i++) partials.push(fields.numbers[n + i]!)
  const rest = fields.values[v]
  if (Array.isArray(rest)) for (const partial of rest) partials.push(partial as number)
  return partials
}
function storePartials(fields: Fields, n: number, v: number, partials: readonly number[]): void {
  for (let i = 0; i < partialFields; i++) fields.numbers[n + i] = partials[i] ?? 0
  fields.values[v] = partials.length > partialFields ? partials.slice(partialFields) : null
}
function addTo(fields: Fields, n: number, v: number, terms: readonly number[]): void {
  const partials = loadPartials(fields, n, v)
  for (const term of terms) grow(partials, term)
  storePartials(fields, n, v, partials)
}
/** The same while there is at most one partial, which is nearly always; false: there are more. */
function addToFirst(fields: Fields, n: number, v: number, x: number): boolean {
  const { numbers } = fields
  const y = numbers[n]!
  if (numbers[n + 1] !== 0 || fields.values[v] !== null) return false
  const high = x + y
  const part = high - x
  const low = x - (high - part) + (y - part)
  if (high === 0 || !Number.isFinite(high)) return false
  numbers[n] = low === 0 ? high : low
  numbers[n + 1] = low === 0 ? 0 : high
  return true
}
/** Fields: values, NaNs, ∞, −∞. Gives the special value that the sum is because of them; null: it is finite. */
function special(fields: Fields, n: number): number | null {
  const [nans, plus, minus] = [fields.numbers[n + 1]!, fields.numbers[n + 2]!, fields.numbers[n + 3]!]
  if (nans > 0 || (plus > 0 && minus > 0)) return NaN
  return plus > 0 ? Infinity : minus > 0 ? -Infinity : null
}
const specials = 4
function countDouble(fields: Fields, n: number, x: number, weight: number): boolean {
  fields.numbers[n]! += weight
  if (Number.isFinite(x)) return true
  fields.numbers[n + (x !== x ? 1 : x > 0 ? 2 : 3)]! += weight
  return false
}
function mergeSpecials({ numbers }: Fields, n: number, from: Fields, fromN: number): void {
  for (let i = 0; i < specials; i++) numbers[n + i]! += from.numbers[fromN + i]!
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
    add(fields, n, v, value, weight) {
      const x = value as number
      if (!countDouble(fields, n, x, weight)) return
      if (weight !== 1 || !addToFirst(fields, n + specials, v, x)) addTo(fields, n + specials, v, weighted(x, weight))
    },
    merge(fields, n, v, from, fromN, fromV) {
      mergeSpecials(fields, n, from, fromN)
      addTo(fields, n + specials, v, loadPartials(from, fromN + specials, fromV))
    },
    result(fields, n, v) {
      const rows = fields.numbers[n]!
      if (rows === 0) return null
      const total = special(fields, n) ?? rounded(loadPartials(fields, n + specials, v))
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
    add(fields, n, v, value, weight) {
      const d = toDecimal(value as h.Int | decimal.Decimal, scale)
      fields.numbers[n]! += weight
      fields.values[v] = decimal.add((fields.values[v] as decimal.Decimal | null) ?? zero, times(d, weight))
      fields.values[v + 1] = decimal.add(
        (fields.values[v + 1] as decimal.Decimal | null) ?? zero,
        times(square(d), weight),
      )
    },
    merge(fields, n, v, from, fromN, fromV) {
      fields.numbers[n]! += from.numbers[fromN]!
      for (const i of [0, 1]) fields.values[v + i] = addDecimals(fields.values[v + i]!, from.values[fromV + i]!)
    },
    result(fields, n, v) {
      const rows = fields.numbers[n]!
      if (rows === 0 || (kind.sample && rows === 1)) return null
      const total = fields.values[v] as decimal.Decimal
      const squares = fields.values[v + 1] as decimal.Decimal
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
    add(fields, n, v, value, weight) {
      const x = value as number
      if (!countDouble(fields, n, x, weight)) return
      addTo(fields, n + specials, v, weighted(x, weight))
      const square = product(x, x)
      if (!Number.isFinite(square.high))
        throw new Fault('value.out-of-range', { type: 'double precision', value: String(x) })
      addTo(fields, n + specials + partialFields, v + 1, [
        ...weighted(square.high, weight),
        ...weighted(square.low, weight),
      ])
    },
    merge(fields, n, v, from, fromN, fromV) {
      mergeSpecials(fields, n, from, fromN)
      for (const i of [0, 1]) {
        const at = specials + i * partialFields
        addTo(fields, n + at, v + i, loadPartials(from, fromN + at, fromV + i))
      }
    },
    result(fields, n, v) {
      const rows = fields.numbers[n]!
      if (rows === 0 || (kind.sample && rows === 1)) return null
      if (special(fields, n) !== null) return NaN
      const total = asPair(loadPartials(fields, n + specials, v))
      const squares = asPair(loadPartials(fields, n + specials + partialFields, v + 1))
      const pair = subtractPairs(multiplyPairs(squares, { high: rows, low: 0 }), multiplyPairs(total, total))
      const numerator = Math.max(0, pair.high + pair.low)
      const variance = numerator / (rows * (kind.sample ? rows - 1 : rows))
      return kind.root ? Math.sqrt(variance) : variance
    },
  }
}

/** The smallest or largest so far; only where nothing is taken away. */
function extreme(type: DataType, largest: boolean): Accumulator {
  const form = formOf(type)
  return form === 'num' || form === 'int' ? extremeNumber(type, largest) : extremeValue(type, largest)
}
// Where the extreme of numbers lies.
const nowhere = 0
const inNumber = 1
const inValue = 2
function extremeNumber(type: DataType, largest: boolean): Accumulator {
  const compare = comparer(type)
  return {
    numbers: 2,
    values: type.kind === 'bigint' || type.kind === 'numeric' ? 1 : 0,
    add(fields, n, v, value) {
      const before = this.result(fields, n, v)
      if (before !== null && compare(value, before) * (largest ? 1 : -1) <= 0) return
      fields.numbers[n] = typeof value === 'number' ? inNumber : inValue
      fields.numbers[n + 1] = typeof value === 'number' ? value : 0
      if (this.values > 0) fields.values[v] = typeof value === 'number' ? null : value
    },
    addAll(additions) {
      const { fields, at, count: rows, column } = additions
      if (column!.kind !== 'f64') return addOneByOne(this, additions)
      const { numbers } = fields
      const { data, valid } = column!
      for (let i = 0; i < rows; i++) {
        const n = at[i]!
        if (n < 0 || (valid !== null && valid[i] === 0)) continue
        const value = data[i]!
        const before = numbers[n + 1]!
        // NaN, of which no comparison holds, takes the other way.
        if (numbers[n] === inNumber && (largest ? value <= before : value >= before)) continue
        if (numbers[n] === inNumber && (largest ? value > before : value < before)) numbers[n + 1] = value
        else this.add(fields, n, additions.valuesAt[i]!, value, 1)
      }
    },
    merge(fields, n, v, from, fromN, fromV) {
      const other = this.result(from, fromN, fromV)
      if (other !== null) this.add(fields, n, v, other, 1)
    },
    result({ numbers, values }, n, v) {
      if (numbers[n] === nowhere) return null
      return numbers[n] === inNumber ? numbers[n + 1]! : values[v]!
    },
  }
}
function extremeValue(type: DataType, largest: boolean): Accumulator {
  const compare = comparer(type)
  const sign = largest ? 1 : -1
  return {
    numbers: 0,
    values: 1,
    add(fields, _, v, value) {
      const before = fields.values[v]!
      const order = before === null ? 1 : compare(value, before) * sign
      if (order > 0) fields.values[v] = value instanceof Uint8Array ? Buffer.from(value) : value
    },
    addAll(additions) {
      const { fields, at, valuesAt, count: rows, column } = additions
      if (column!.kind !== 'bytes' || type.kind === 'bytea') return addOneByOne(this, additions)
      const { arena, from, to, valid } = column!
      for (let i = 0; i < rows; i++) {
        if (at[i]! < 0 || (valid !== null && valid[i] === 0)) continue
        const v = valuesAt[i]!
        const before = fields.values[v]
        // Most texts are no new extreme: seen without making a value of them, where both are ASCII.
        if (typeof before === 'string' && compareAscii(arena, from[i]!, to[i]!, before) * sign <= 0) continue
        this.add(fields, 0, v, arena.toString('utf8', from[i], to[i]), 1)
      }
    },
    merge(fields, n, v, from, fromN, fromV) {
      const other = this.result(from, fromN, fromV)
      if (other !== null) this.add(fields, n, v, other, 1)
    },
    result: (fields, _, v) => fields.values[v]!,
  }
}
/** The order of a text's bytes and a text; NaN where one of those that are compared is not ASCII. */
function compareAscii(bytes: Uint8Array, from: number, to: number, text: string): number {
  const length = to - from
  const common = Math.min(length, text.length)
  for (let i = 0; i < common; i++) {
    const a = bytes[from + i]!
    const b = text.charCodeAt(i)
    if (a >= 128 || b >= 128) return NaN
    if (a !== b) return a - b
  }
  return length - text.length
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
