/** to_char of numbers: 9 0 . , D G S MI PL SG PR FM $ L EEEE-free patterns, as PostgreSQL prints them. */
import type { Decimal } from '../decimal.ts'
import { roundDecimal, invalidArgument } from './helpers.ts'

interface Pattern {
  /** Digit places before and behind the point, from left to right: 9, 0, a separator, or text between them. */
  readonly whole: readonly string[]
  readonly fraction: readonly string[]
  readonly hasPoint: boolean
  readonly fill: boolean
  readonly sign: 'none' | 'S-front' | 'S-back' | 'MI' | 'PL' | 'SG' | 'PR'
  readonly prefix: string
  readonly suffix: string
}
const token = /FM|MI|PL|SG|PR|EEEE|TH|th|RN|rn|"[^"]*"|[90.,DGSVL$]|[^]/g

function parse(format: string): Pattern {
  const whole: string[] = []
  const fraction: string[] = []
  let hasPoint = false
  let fill = true
  let sign: Pattern['sign'] = 'none'
  let prefix = ''
  let suffix = ''
  for (const [text] of format.matchAll(token)) {
    const part = text.toUpperCase()
    const digits = whole.some((c) => c === '9' || c === '0') || hasPoint
    if (part === 'FM') fill = false
    else if (part === '9' || part === '0') (hasPoint ? fraction : whole).push(part)
    else if (part === ',' || part === 'G') (hasPoint ? fraction : whole).push(',')
    else if (part === '.' || part === 'D') hasPoint = true
    else if (part === 'S') sign = digits ? 'S-back' : 'S-front'
    else if (part === 'MI' || part === 'PL' || part === 'SG' || part === 'PR') sign = part
    else if (/^(?:EEEE|V|RN|TH)$/.test(part)) invalidArgument(`to_char: ${part} is not supported`)
    else {
      const shown = part === 'L' ? '$' : text.startsWith('"') ? text.slice(1, -1) : text
      if (!digits) prefix += shown
      else if (hasPoint) suffix += shown
      else for (const character of shown) whole.push(character)
    }
  }
  return { whole, fraction, hasPoint, fill, sign, prefix, suffix }
}

const isPlace = (c: string): boolean => c === '9' || c === '0'

export function formatNumber(value: Decimal, format: string): string {
  const pattern = parse(format)
  const places = pattern.fraction.filter((c) => c !== ',').length
  const rounded = roundDecimal(value, places)
  const negative = rounded.digits < 0n
  const digits = (negative ? -rounded.digits : rounded.digits).toString().padStart(places + 1, '0')
  const whole = digits.slice(0, digits.length - places)
  const room = pattern.whole.filter(isPlace).length
  const significant = whole === '0' ? '' : whole
  const overflow = significant.length > room
  const body = overflow
    ? hashes(pattern)
    : wholeText(significant, pattern) + fractionText(digits.slice(digits.length - places), pattern)
  return signed(body, negative, pattern)
}
const hashes = ({ whole, fraction, hasPoint }: Pattern): string =>
  whole.map((c) => (isPlace(c) ? '#' : c)).join('') + (hasPoint ? '.' : '') + fraction.map(() => '#').join('')

function wholeText(digits: string, { whole, fill, fraction }: Pattern): string {
  const places = whole.filter(isPlace).length
  const padded = digits.padStart(places, ' ')
  const firstZero = whole.filter(isPlace).indexOf('0')
  let out = ''
  let place = 0
  let shown = false
  for (const c of whole) {
    if (c === ',') {
      out += shown ? ',' : fill ? ' ' : ''
      continue
    }
    if (!isPlace(c)) {
      out += c
      continue
    }
    const digit = padded[place]!
    const forced = firstZero >= 0 && place >= firstZero
    const lastPlace = place === places - 1
    if (digit !== ' ' || forced) {
      out += digit === ' ' ? '0' : digit
      shown = true
    } else if (lastPlace && fraction.length === 0 && digits === '') {
      out += '0'
      shown = true
    } else out += fill ? ' ' : ''
    place++
  }
  return out
}
function fractionText(digits: string, { fraction, hasPoint, fill }: Pattern): string {
  if (!hasPoint) return ''
  if (fill) return `.${digits}`
  // FM drops zeros at the end that stand on a 9.
  let end = digits.length
  while (end > 0 && digits[end - 1] === '0' && fraction[end - 1] === '9') end--
  return `.${digits.slice(0, end)}`
}

function signed(body: string, negative: boolean, { sign, fill, prefix, suffix }: Pattern): string {
  const blanks = /^ */.exec(body)![0].length
  const behindBlanks = (mark: string): string => body.slice(0, blanks) + mark + prefix + body.slice(blanks) + suffix
  switch (sign) {
    case 'S-front':
      return behindBlanks(negative ? '-' : '+')
    case 'S-back':
      return prefix + body + (negative ? '-' : '+') + suffix
    case 'SG':
      return (negative ? '-' : '+') + prefix + body + suffix
    case 'MI':
      return prefix + body + (negative ? '-' : fill ? ' ' : '') + suffix
    case 'PL':
      return behindBlanks(negative ? '-' : fill ? ' ' : '') + (negative ? '' : '+')
    case 'PR':
      return negative
        ? `${body.slice(0, blanks)}<${prefix}${body.slice(blanks)}${suffix}>`
        : `${fill ? ' ' : ''}${prefix}${body}${suffix}${fill ? ' ' : ''}`
    case 'none':
      return behindBlanks(negative ? '-' : fill ? ' ' : '')
  }
}
