/**
 * Exact decimals with PostgreSQL's scales: a sum has the larger scale of its terms, a product the sum of the scales, a
 * quotient and a square root at least 16 significant digits (`select_div_scale` and `sqrt_var` of PostgreSQL's
 * numeric.c). Rounding is half away from zero.
 */
import { Fault } from '../lib/fault.ts'
import { limits } from '../lib/limits.ts'

/** digits × 10^−scale; scale ≥ 0. */
export type Decimal = { readonly digits: bigint; readonly scale: number }

const powers: bigint[] = []
export function powerOf10(exponent: number): bigint {
  if (exponent > 1024) return 10n ** BigInt(exponent)
  return (powers[exponent] ??= 10n ** BigInt(exponent))
}
const outOfRange = (what: string): Fault => new Fault('value.out-of-range', { type: 'numeric', value: what })
const abs = (v: bigint): bigint => (v < 0n ? -v : v)
/** Division rounded half away from zero. */
export function divideRounded(a: bigint, b: bigint): bigint {
  const quotient = a / b
  const rest = abs(a % b)
  if (2n * rest < abs(b)) return quotient
  return a < 0n === b < 0n ? quotient + 1n : quotient - 1n
}
export const decimalFromNumber = (value: bigint): Decimal => ({ digits: value, scale: 0 })

/** The same value at another scale, rounded where digits are lost. */
export function rescaleDigits(digits: bigint, from: number, to: number): bigint {
  if (to >= from) return to === from ? digits : digits * powerOf10(to - from)
  return divideRounded(digits, powerOf10(from - to))
}
export const rescale = (d: Decimal, scale: number): Decimal =>
  d.scale === scale ? d : { digits: rescaleDigits(d.digits, d.scale, scale), scale }

export function add(a: Decimal, b: Decimal): Decimal {
  if (a.scale === b.scale) return { digits: a.digits + b.digits, scale: a.scale }
  const scale = Math.max(a.scale, b.scale)
  return { digits: rescale(a, scale).digits + rescale(b, scale).digits, scale }
}
export const negate = (a: Decimal): Decimal => ({ digits: -a.digits, scale: a.scale })
export const subtract = (a: Decimal, b: Decimal): Decimal => add(a, negate(b))
export function multiply(a: Decimal, b: Decimal): Decimal {
  return bounded({ digits: a.digits * b.digits, scale: a.scale + b.scale })
}
function bounded(d: Decimal): Decimal {
  const kept = d.scale > scaleMax ? rescale(d, scaleMax) : d
  // Numbers of far fewer digits, which is all but a few, are told by their length.
  const most = (mostWhole ??= 10n ** BigInt(limits.numericDigits))
  if ((kept.digits >= most || -kept.digits >= most) && abs(kept.digits) >= most * powerOf10(kept.scale))
    throw outOfRange(`of more than ${limits.numericDigits} digits`)
  return kept
}
let mostWhole: bigint | undefined
const scaleMax = 16_383
const displayScaleMax = 1_000
const significantDigits = 16

/** Position and value of the first base-10000 digit, as PostgreSQL stores numerics; zero has weight 0, digit 0. */
function leading(d: Decimal): { weight: number; digit: number } {
  if (d.digits === 0n) return { weight: 0, digit: 0 }
  const text = abs(d.digits).toString()
  // Decimal exponent of the first significant digit.
  const exponent = text.length - 1 - d.scale
  const weight = Math.floor(exponent / 4)
  const count = exponent - weight * 4 + 1
  return { weight, digit: Number(text.slice(0, count).padEnd(count, '0')) }
}
function quotientScale(a: Decimal, b: Decimal): number {
  const first = leading(a)
  const second = leading(b)
  let weight = first.weight - second.weight
  if (first.digit <= second.digit) weight--
  return Math.min(Math.max(significantDigits - weight * 4, a.scale, b.scale, 0), displayScaleMax)
}
export function divide(a: Decimal, b: Decimal, scale = quotientScale(a, b)): Decimal {
  if (b.digits === 0n) throw new Fault('value.division-by-zero', {})
  const shift = scale + b.scale - a.scale
  const numerator = shift >= 0 ? a.digits * powerOf10(shift) : a.digits
  const denominator = shift >= 0 ? b.digits : b.digits * powerOf10(-shift)
  return { digits: divideRounded(numerator, denominator), scale }
}
/** Towards zero, as div(). */
export function divideTruncated(a: Decimal, b: Decimal): Decimal {
  if (b.digits === 0n) throw new Fault('value.division-by-zero', {})
  const scale = Math.max(a.scale, b.scale)
  return { digits: rescale(a, scale).digits / rescale(b, scale).digits, scale: 0 }
}
/** Has the sign of the dividend. */
export function remainder(a: Decimal, b: Decimal): Decimal {
  if (b.digits === 0n) throw new Fault('value.division-by-zero', {})
  const scale = Math.max(a.scale, b.scale)
  return { digits: rescale(a, scale).digits % rescale(b, scale).digits, scale }
}
export function compare(a: Decimal, b: Decimal): number {
  const scale = Math.max(a.scale, b.scale)
  const x = rescaleDigits(a.digits, a.scale, scale)
  const y = rescaleDigits(b.digits, b.scale, scale)
  return x < y ? -1 : x > y ? 1 : 0
}

/** Largest integer whose square is at most `v`. Newton's method from above. */
export function integerSquareRoot(v: bigint): bigint {
  if (v < 2n) return v
  let x = 1n << BigInt((v.toString(2).length + 1) >> 1)
  for (;;) {
    const next = (x + v / x) >> 1n
    if (next >= x) return x
    x = next
  }
}
export function squareRoot(d: Decimal, scale = squareRootScale(d)): Decimal {
  if (d.digits < 0n) throw new Fault('value.invalid-argument', { what: 'cannot take square root of a negative number' })
  // One digit more than asked for decides the rounding: an exact root never ends in a tie that is not a 5.
  const wide = rescaleDigits(d.digits, d.scale, Math.max(2 * scale + 2, d.scale + (d.scale & 1)))
  const wideScale = Math.max(2 * scale + 2, d.scale + (d.scale & 1)) / 2
  return rescale({ digits: integerSquareRoot(wide), scale: wideScale }, scale)
}
function squareRootScale(d: Decimal): number {
  const { weight } = leading(d)
  const rootWeight = weight >= 0 ? (weight * 4) / 2 + 1 : 1 - (-weight * 4) / 2
  return Math.min(Math.max(significantDigits - rootWeight, d.scale, 0), displayScaleMax)
}

/** As PostgreSQL writes it: every digit of the scale. */
export function decimalText(digits: bigint | number, scale: number): string {
  if (scale === 0) return digits.toString()
  const negative = digits < 0
  const text = (negative ? digits.toString().slice(1) : digits.toString()).padStart(scale + 1, '0')
  return `${negative ? '-' : ''}${text.slice(0, -scale)}.${text.slice(-scale)}`
}
const pattern = /^\s*([+-]?)(?:(\d+)(?:\.(\d*))?|\.(\d+))(?:[eE]([+-]?\d+))?\s*$/
/** null where the text is not a number. Throws value.out-of-range beyond PostgreSQL's own limits. */
export function parseDecimal(text: string): Decimal | null {
  const match = pattern.exec(text)
  if (match === null) return null
  const fraction = match[3] ?? match[4] ?? ''
  const exponent = match[5] === undefined ? 0 : Number(match[5])
  const whole = match[2] ?? ''
  if (whole.length + exponent > limits.numericDigits || fraction.length - exponent > scaleMax) {
    if (/^0*$/.test(whole) && /^0*$/.test(fraction)) return { digits: 0n, scale: 0 }
    throw outOfRange(text.length > 40 ? `${text.slice(0, 40)}…` : text)
  }
  let digits = BigInt((whole + fraction).replace(/^0+(?=\d)/, ''))
  let scale = fraction.length - exponent
  if (scale < 0) {
    digits *= powerOf10(-scale)
    scale = 0
  }
  return { digits: match[1] === '-' ? -digits : digits, scale }
}
/** As PostgreSQL casts a double: 15 significant digits. */
export function decimalFromDouble(value: number): Decimal {
  if (!Number.isFinite(value)) throw outOfRange(String(value))
  const parsed = parseDecimal(value.toPrecision(15))!
  return trimScale(parsed)
}
/** Without zeros at the end of its fraction. */
export function trimScale(d: Decimal): Decimal {
  let { digits, scale } = d
  while (scale > 0 && digits % 10n === 0n) {
    digits /= 10n
    scale--
  }
  return { digits, scale }
}
export function decimalToDouble(digits: bigint | number, scale: number): number {
  if (typeof digits === 'number' && scale <= 22) return digits / 10 ** scale
  return Number(decimalText(digits, scale))
}
