/** Numbers, continued: angles, divisors, bits, logarithms to any base. */
import { canonical } from '../memory.ts'
import { absBigint, checkBigint, checkInt, divisionByZero, type Int, invalidArgument } from './helpers.ts'
import { row, twin, type } from './rows.ts'
import type { FunctionRow } from './table.ts'

const { double, int, bigint } = type
const inUnit =
  (fn: (v: number) => number) =>
  (v: number): number =>
    v < -1 || v > 1 ? invalidArgument('input is out of range') : fn(v)
function acosh(v: number): number {
  return v < 1 ? invalidArgument('input is out of range') : Math.acosh(v)
}
function cot(v: number): number {
  const tangent = Math.tan(v)
  return tangent === 0 ? divisionByZero() : 1 / tangent
}

function divisor(a: Int, b: Int): Int {
  let [x, y] = [BigInt(absBigint(a)), BigInt(absBigint(b))]
  while (y !== 0n) [x, y] = [y, x % y]
  return checkBigint(x)
}
function multiple(a: Int, b: Int): Int {
  if (a === 0 || b === 0) return 0
  return checkBigint((BigInt(absBigint(a)) / BigInt(divisor(a, b))) * BigInt(absBigint(b)))
}
function factorial(n: Int): Int {
  if (n < 0) return invalidArgument('factorial of a negative number is undefined')
  if (n > 1000) return invalidArgument('factorial of more than 1000 is not supported')
  let product = 1n
  for (let i = 2n; i <= BigInt(n); i++) product *= i
  return canonical(product)
}
function logarithm(base: number, v: number): number {
  if (v <= 0 || base <= 0)
    return invalidArgument(
      v === 0 || base === 0 ? 'cannot take logarithm of zero' : 'cannot take logarithm of a negative number',
    )
  const divisorLog = Math.log(base)
  return divisorLog === 0 ? divisionByZero() : Math.log(v) / divisorLog
}
/** Which of `count` equal parts of [low, high) it lies in: 0 below, count + 1 from high on. */
function bucket(v: number, low: number, high: number, count: number): number {
  if (count <= 0) return invalidArgument('count must be greater than zero')
  if (low === high) return invalidArgument('lower bound cannot equal upper bound')
  if (![v, low, high].every(Number.isFinite))
    return invalidArgument('operand, lower bound, and upper bound must be finite')
  const forward = low < high
  if (forward ? v < low : v > low) return 0
  if (forward ? v >= high : v <= high) return checkInt(count + 1)
  return Math.floor(((v - low) * count) / (high - low)) + 1
}

const shift = (n: Int, by: number): number => Number(((BigInt(by) % BigInt(n)) + BigInt(n)) % BigInt(n))
const wide =
  (fn: (a: bigint, b: bigint) => bigint) =>
  (a: Int, b: Int): Int =>
    canonical(BigInt.asIntN(64, fn(BigInt(a), BigInt(b))))
const bits: FunctionRow[] = [
  twin('&', ['int', 'int'], int, (a: number, b: number) => a & b, '$1 & $2', 'Bits in both'),
  twin('|', ['int', 'int'], int, (a: number, b: number) => a | b, '$1 | $2', 'Bits in either'),
  twin('#', ['int', 'int'], int, (a: number, b: number) => a ^ b, 'xor($1, $2)', 'Bits in one of both'),
  twin('prefix ~', ['int'], int, (a: number) => ~a, '~$1', 'Bits turned'),
  row('<<', ['int', 'int'], int, (a: number, n: number) => a << shift(32, n), 'Bits moved left'),
  row('>>', ['int', 'int'], int, (a: number, n: number) => a >> shift(32, n), 'Bits moved right'),
  twin(
    '&',
    ['bigint', 'bigint'],
    bigint,
    wide((a, b) => a & b),
    '$1 & $2',
    'Bits in both',
  ),
  twin(
    '|',
    ['bigint', 'bigint'],
    bigint,
    wide((a, b) => a | b),
    '$1 | $2',
    'Bits in either',
  ),
  twin(
    '#',
    ['bigint', 'bigint'],
    bigint,
    wide((a, b) => a ^ b),
    'xor($1, $2)',
    'Bits in one of both',
  ),
  twin('prefix ~', ['bigint'], bigint, (a: Int) => canonical(~BigInt(a)), '~$1', 'Bits turned'),
  row(
    '<<',
    ['bigint', 'int'],
    bigint,
    (a: Int, n: number) => canonical(BigInt.asIntN(64, BigInt(a) << BigInt(shift(64, n)))),
    'Bits moved left',
  ),
  row(
    '>>',
    ['bigint', 'int'],
    bigint,
    (a: Int, n: number) => canonical(BigInt(a) >> BigInt(shift(64, n))),
    'Bits moved right',
  ),
]

export const moreMath: readonly FunctionRow[] = [
  ...bits,
  twin('asin', ['double'], double, inUnit(Math.asin), 'asin($1)', 'Inverse sine, in radians'),
  twin('acos', ['double'], double, inUnit(Math.acos), 'acos($1)', 'Inverse cosine, in radians'),
  twin('atan2', ['double', 'double'], double, Math.atan2, 'atan2($1, $2)', 'Angle of a point, in radians'),
  row('sinh', ['double'], double, Math.sinh, 'Hyperbolic sine'),
  row('cosh', ['double'], double, Math.cosh, 'Hyperbolic cosine'),
  twin('tanh', ['double'], double, Math.tanh, 'tanh($1)', 'Hyperbolic tangent'),
  twin('asinh', ['double'], double, Math.asinh, 'asinh($1)', 'Inverse hyperbolic sine'),
  twin('acosh', ['double'], double, acosh, 'acosh($1)', 'Inverse hyperbolic cosine'),
  twin(
    'ceiling',
    ['double'],
    double,
    (v: number) => Math.ceil(v) + 0,
    'ceil($1)',
    'The nearest whole number not below',
  ),
  row('cot', ['double'], double, cot, 'Cotangent of an angle in radians'),
  twin('pi', [], double, () => Math.PI, 'pi()', 'The number π'),
  twin('gcd', ['bigint', 'bigint'], bigint, divisor, 'gcd($1, $2)', 'Greatest common divisor'),
  row('lcm', ['bigint', 'bigint'], bigint, multiple, 'Least common multiple'),
  row(
    'factorial',
    ['bigint'],
    { kind: 'numeric', precision: null, scale: 0 },
    factorial,
    'Product of the numbers up to it',
  ),
  row('log', ['double', 'double'], double, logarithm, 'Logarithm of the second to the base of the first'),
  row(
    'width_bucket',
    ['double', 'double', 'double', 'int'],
    int,
    bucket,
    'Which of n equal parts of a range it lies in',
  ),
]
