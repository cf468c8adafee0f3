/** JSON values as text: checked, and in the form that jsonb keeps. Numbers keep their digits. */
import { Fault } from '../lib/fault.ts'
import { limits } from '../lib/limits.ts'
import { decimalText, parseDecimal } from './decimal.ts'

/** A number with the digits it was written with. */
export class JsonNumber {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
}
export type JsonTree =
  | null
  | boolean
  | string
  | JsonNumber
  | readonly JsonTree[]
  | { readonly [name: string]: JsonTree }

type Source = { readonly source?: string }
type ParseWithSource = (text: string, reviver: (key: string, value: unknown, context: Source) => unknown) => unknown
/** JSON.parse with the digits of numbers kept. Throws SyntaxError. */
export function parseExact(text: string): JsonTree {
  return (JSON.parse as ParseWithSource)(text, (_, value, context) =>
    typeof value === 'number' ? new JsonNumber(context.source ?? String(value)) : value,
  ) as JsonTree
}
const invalid = (type: string, text: string, cause?: unknown): Fault =>
  new Fault('value.invalid-text', { type, text: text.length > 80 ? `${text.slice(0, 80)}…` : text }, cause)

function checkDepth(text: string, type: string): void {
  let depth = 0
  let inString = false
  for (let i = 0; i < text.length; i++) {
    const c = text.charCodeAt(i)
    if (inString) {
      if (c === 92) i++
      else if (c === 34) inString = false
    } else if (c === 34) inString = true
    else if (c === 91 || c === 123) {
      if (++depth > limits.jsonDepth) throw invalid(type, text)
    } else if (c === 93 || c === 125) depth--
  }
}
/** The text itself, if it is JSON. */
export function checkJson(text: string): string {
  checkDepth(text, 'json')
  try {
    JSON.parse(text)
  } catch (error) {
    throw invalid('json', text, error)
  }
  return text
}
/** As PostgreSQL writes a jsonb: keys by length, then by bytes; the last of equal keys; a blank after colon and comma. */
export function canonicalJsonb(text: string): string {
  checkDepth(text, 'jsonb')
  let tree: JsonTree
  try {
    tree = parseExact(text)
  } catch (error) {
    throw invalid('jsonb', text, error)
  }
  return jsonbText(tree)
}
export function jsonbText(tree: JsonTree): string {
  if (tree === null || typeof tree === 'boolean') return String(tree)
  if (typeof tree === 'string') return JSON.stringify(tree)
  if (tree instanceof JsonNumber) {
    const d = parseDecimal(tree.text)!
    return decimalText(d.digits, d.scale)
  }
  if (Array.isArray(tree)) return `[${tree.map((item) => jsonbText(item as JsonTree)).join(', ')}]`
  const fields = Object.entries(tree as { readonly [name: string]: JsonTree }).map(
    ([name, value]) => [Buffer.from(name), value] as const,
  )
  fields.sort(([a], [b]) => a.length - b.length || Buffer.compare(a, b))
  return `{${fields.map(([name, value]) => `${JSON.stringify(name.toString())}: ${jsonbText(value)}`).join(', ')}}`
}
