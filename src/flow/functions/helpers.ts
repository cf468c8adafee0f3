/** What generated code calls: checked arithmetic and comparisons over values in memory form. */
import { Fault } from '../../lib/fault.ts'
import { compare, decimalText, type Decimal, divideRounded, powerOf10, rescaleDigits } from '../decimal.ts'
import { canonical, isExact } from '../memory.ts'

export type Int = number | bigint

const outOfRange = (type: string, value: unknown): never => {
  throw new Fault('value.out-of-range', { type, value: String(value) })
}
export const divisionByZero = (): never => {
  throw new Fault('value.division-by-zero', {})
}

// Checks of ranges.

export function checkSmallint(v: number): number {
  return v >= -32768 && v <= 32767 ? v + 0 : outOfRange('smallint', v)
}
export function checkInt(v: number): number {
  return v >= -2147483648 && v <= 2147483647 ? v + 0 : outOfRange('integer', v)
}
/** A bigint of PostgreSQL: 64 bits. */
export function checkBigint(v: bigint): Int {
  return BigInt.asIntN(64, v) === v ? canonical(v) : outOfRange('bigint', v)
}
/** The result of an operation on finite doubles must be finite. */
export function checkDouble(v: number, a: number, b: number): number {
  if (Number.isFinite(v) || v !== v) return v
  return Number.isFinite(a) && Number.isFinite(b) ? outOfRange('double precision', v) : v
}
export function checkReal(v: number, a: number, b: number): number {
  const rounded = Math.fround(v)
  if (Number.isFinite(rounded) || rounded !== rounded) return rounded
  return Number.isFinite(a) && Number.isFinite(b) ? outOfRange('real', v) : rounded
}
export function checkPrecision(v: Int, precision: number | null, scale: number): Int {
  if (precision === null) return v
  const limit = powerOf10(precision)
  if (typeof v === 'number' && precision > 15) return v
  if (v < limit && v > -limit) return v
  return outOfRange(`numeric(${precision},${scale})`, decimalText(v, scale))
}

// Small integers.

export function divideInts(a: number, b: number): number {
  return b === 0 ? divisionByZero() : Math.trunc(a / b) + 0
}
export function remainderInts(a: number, b: number): number {
  return b === 0 ? divisionByZero() : (a % b) + 0
}

// Integers of 64 bits, canonical.

export function addBigints(a: Int, b: Int): Int {
  if (typeof a === 'number' && typeof b === 'number') {
    const sum = a + b
    if (isExact(sum)) return sum
  }
  return checkBigint(BigInt(a) + BigInt(b))
}
export function subtractBigints(a: Int, b: Int): Int {
  if (typeof a === 'number' && typeof b === 'number') {
    const difference = a - b
    if (isExact(difference)) return difference
  }
  return checkBigint(BigInt(a) - BigInt(b))
}
export function multiplyBigints(a: Int, b: Int): Int {
  if (typeof a === 'number' && typeof b === 'number') {
    const product = a * b
    if (isExact(product)) return product + 0
  }
  return checkBigint(BigInt(a) * BigInt(b))
}
export function divideBigints(a: Int, b: Int): Int {
  if (b === 0) return divisionByZero()
  if (typeof a === 'number' && typeof b === 'number') {
    // The quotient of doubles may round up to the next whole number: only below 2^53 / b is it surely right.
    const quotient = (a - (a % b)) / b
    return quotient + 0
  }
  return checkBigint(BigInt(a) / BigInt(b))
}
export function remainderBigints(a: Int, b: Int): Int {
  if (b === 0) return divisionByZero()
  if (typeof a === 'number' && typeof b === 'number') return (a % b) + 0
  return canonical(BigInt(a) % BigInt(b))
}
export const negateBigint = (a: Int): Int => (typeof a === 'number' ? 0 - a : checkBigint(-a))
export const absBigint = (a: Int): Int => (a < 0 ? negateBigint(a) : a)

// Scaled integers of numerics: no bound but memory.

export function addInts(a: Int, b: Int): Int {
  if (typeof a === 'number' && typeof b === 'number') {
    const sum = a + b
    if (isExact(sum)) return sum
  }
  return canonical(BigInt(a) + BigInt(b))
}
export function subtractInts(a: Int, b: Int): Int {
  if (typeof a === 'number' && typeof b === 'number') {
    const difference = a - b
    if (isExact(difference)) return difference
  }
  return canonical(BigInt(a) - BigInt(b))
}
export function multiplyInts(a: Int, b: Int): Int {
  if (typeof a === 'number' && typeof b === 'number') {
    const product = a * b
    if (isExact(product)) return product + 0
  }
  return canonical(BigInt(a) * BigInt(b))
}
/** From one scale to another, rounded half away from zero. */
export function rescaleInt(a: Int, from: number, to: number): Int {
  if (from === to) return a
  if (to > from && typeof a === 'number' && to - from <= 15) {
    const product = a * 10 ** (to - from)
    if (isExact(product)) return product
  }
  return canonical(rescaleDigits(BigInt(a), from, to))
}
export const toScaled = (d: Decimal, scale: number): Int => canonical(rescaleDigits(d.digits, d.scale, scale))
export const roundDecimal = (d: Decimal, places: number): Decimal => {
  if (places >= d.scale) return { digits: rescaleDigits(d.digits, d.scale, places), scale: places }
  if (places >= 0) return { digits: rescaleDigits(d.digits, d.scale, places), scale: places }
  const unit = powerOf10(d.scale - places)
  return { digits: divideRounded(d.digits, unit) * powerOf10(-places), scale: 0 }
}
export const truncateDecimal = (d: Decimal, places: number): Decimal => {
  if (places >= d.scale) return { digits: rescaleDigits(d.digits, d.scale, places), scale: places }
  const kept = d.digits / powerOf10(d.scale - places)
  return places >= 0 ? { digits: kept, scale: places } : { digits: kept * powerOf10(-places), scale: 0 }
}
/** Towards −∞ (`up` false) or +∞. */
export function wholeDecimal(d: Decimal, up: boolean): Decimal {
  const unit = powerOf10(d.scale)
  const kept = d.digits / unit
  const rest = d.digits % unit
  if (rest === 0n) return { digits: kept, scale: 0 }
  if (up) return { digits: rest > 0n ? kept + 1n : kept, scale: 0 }
  return { digits: rest < 0n ? kept - 1n : kept, scale: 0 }
}
/** To the nearest whole number, ties to the even one: how PostgreSQL rounds doubles. */
export function roundHalfEven(v: number): number {
  const floor = Math.floor(v)
  const rest = v - floor
  if (rest < 0.5) return floor
  if (rest > 0.5) return floor + 1
  return floor % 2 === 0 ? floor : floor + 1
}

// Comparisons: −1, 0, 1.

/** NaN equals NaN and is larger than all else. */
export function compareDoubles(a: number, b: number): number {
  if (a < b) return -1
  if (a > b) return 1
  if (a === b) return 0
  return a !== a ? (b !== b ? 0 : 1) : -1
}
export const equalDoubles = (a: number, b: number): boolean => a === b || (a !== a && b !== b)
/** By code point, which is the order of UTF-8 bytes; JavaScript's own order is that of UTF-16 units. */
export function compareTexts(a: string, b: string): number {
  const length = Math.min(a.length, b.length)
  for (let i = 0; i < length; i++) {
    let x = a.charCodeAt(i)
    let y = b.charCodeAt(i)
    if (x === y) continue
    // Surrogates stand for code points above all others of the plane.
    if (x >= 0xd800 && y >= 0xd800) {
      x = x >= 0xe000 ? x - 0x800 : x + 0x2000
      y = y >= 0xe000 ? y - 0x800 : y + 0x2000
    }
    return x < y ? -1 : 1
  }
  return a.length - b.length
}
export const compareInts = (a: Int, b: Int): number => (a < b ? -1 : a > b ? 1 : 0)
export const compareDecimals = compare
export const compareBytes = (a: Uint8Array, b: Uint8Array): number => Buffer.compare(a, b)

/** Digits after the point that a rounding may be asked for; PostgreSQL clamps likewise. */
export const checkPlaces = (places: number): number => Math.max(-2000, Math.min(2000, places))
export function invalidArgument(what: string): never {
  throw new Fault('value.invalid-argument', { what })
}
