/**
 * Sums of doubles without rounding: a list of partials that do not overlap and whose exact sum is the sum (Shewchuk,
 * "Adaptive Precision Floating-Point Arithmetic", 1997; Python's fsum). Rounded once, when asked. So the order of
 * additions and withdrawals changes no bit of the result.
 */
import { Fault } from '../../lib/fault.ts'

/** Adds x; drops zeros. Throws value.out-of-range where the sum leaves the doubles. */
export function grow(partials: number[], x: number): void {
  let kept = 0
  for (let i = 0; i < partials.length; i++) {
    let y = partials[i]!
    if (Math.abs(x) < Math.abs(y)) {
      const t = x
      x = y
      y = t
    }
    const high = x + y
    const low = y - (high - x)
    if (low !== 0) partials[kept++] = low
    x = high
  }
  if (!Number.isFinite(x)) throw new Fault('value.out-of-range', { type: 'double precision', value: String(x) })
  partials.length = kept
  if (x !== 0) partials.push(x)
}
/** The double nearest to the exact sum. */
export function rounded(partials: readonly number[]): number {
  let n = partials.length
  if (n === 0) return 0
  let high = partials[--n]!
  let low = 0
  while (n > 0) {
    const x = high
    const y = partials[--n]!
    high = x + y
    low = y - (high - x)
    if (low !== 0) break
  }
  // Exactly between two doubles: what lies below decides, not the rounding to even.
  if (n > 0 && ((low < 0 && partials[n - 1]! < 0) || (low > 0 && partials[n - 1]! > 0))) {
    const y = low * 2
    const x = high + y
    if (y === x - high) high = x
  }
  return high
}
/** The sum as two doubles, the second the rounded rest of the first. */
export function asPair(partials: readonly number[]): Pair {
  const high = rounded(partials)
  const rest = partials.slice()
  grow(rest, -high)
  return { high, low: rounded(rest) }
}

export interface Pair {
  readonly high: number
  readonly low: number
}
const splitter = 134_217_729 // 2^27 + 1
/** The product of two doubles, exactly (Dekker). */
export function product(a: number, b: number): Pair {
  const high = a * b
  const ta = splitter * a
  const ah = ta - (ta - a)
  const al = a - ah
  const tb = splitter * b
  const bh = tb - (tb - b)
  const bl = b - bh
  return { high, low: al * bl - (high - ah * bh - al * bh - ah * bl) }
}
function twoSum(a: number, b: number): Pair {
  const high = a + b
  const part = high - a
  return { high, low: a - (high - part) + (b - part) }
}
export function multiplyPairs(a: Pair, b: Pair): Pair {
  const p = product(a.high, b.high)
  return twoSum(p.high, p.low + (a.high * b.low + a.low * b.high))
}
export function subtractPairs(a: Pair, b: Pair): Pair {
  const s = twoSum(a.high, -b.high)
  const t = twoSum(a.low, -b.low)
  const u = twoSum(s.high, s.low + t.high)
  return twoSum(u.high, u.low + t.low)
}
