/** The key bytes of a field: text as UTF-8, numbers as decimal text, the rest as canonical JSON. One rule for all who write. */
import { canonicalJson } from './json-text.ts'

const number = /^(-?)(\d+)(?:\.(\d+))?(?:[eE]([+-]?\d+))?$/
/** A number like 1e1000000 would be a megabyte of zeros. */
const exponentMax = 400

/** From the text of a JSON value; null for JSON's null. */
export function keyText(json: Uint8Array): string | null {
  const text = Buffer.from(json.buffer, json.byteOffset, json.byteLength).toString('utf8')
  if (number.test(text)) return decimalText(text)
  const value = JSON.parse(text) as unknown
  if (value === null) return null
  return typeof value === 'string' ? value : canonicalJson(value)
}

/** Without exponent and without zeros at the end of the fraction, no digit lost: equal numbers, equal text. */
export function decimalText(token: string): string {
  const parts = number.exec(token)
  if (parts === null) return token
  const [, sign = '', whole = '', fraction = '', power = '0'] = parts
  const exponent = Number(power)
  if (Math.abs(exponent) > exponentMax) return token
  const digits = whole + fraction
  const point = whole.length + exponent
  const padded = digits.padStart(digits.length - Math.min(0, point - 1), '0').padEnd(point, '0')
  const split = Math.max(1, point)
  const before = padded.slice(0, split).replace(/^0+(?=\d)/, '')
  const after = padded.slice(split).replace(/0+$/, '')
  const shown = after === '' ? before : `${before}.${after}`
  return shown === '0' ? '0' : sign + shown
}

/** The key of several columns: a JSON array without white space. */
export function keyOfColumns(texts: readonly (Uint8Array | null)[]): string | null {
  if (texts.every((text) => text === null)) return null
  if (texts.length === 1) return keyText(texts[0]!)
  return `[${texts.map((text) => (text === null ? 'null' : itemText(text))).join(',')}]`
}
function itemText(json: Uint8Array): string {
  const text = Buffer.from(json.buffer, json.byteOffset, json.byteLength).toString('utf8')
  return number.test(text) ? decimalText(text) : canonicalJson(JSON.parse(text))
}

/** The same text, or the same number written otherwise. */
export function sameKey(a: string, b: string): boolean {
  return a === b || (number.test(a) && number.test(b) && decimalText(a) === decimalText(b))
}
