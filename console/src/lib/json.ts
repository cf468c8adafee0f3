/**
 * JSON without loss: a number that a double cannot hold keeps its text. Browsers that do not hand the source to the
 * reviver show such numbers rounded, as any JSON.parse does.
 */
export class ExactNumber {
  readonly text: string
  constructor(text: string) {
    this.text = text
  }
  toString(): string {
    return this.text
  }
}

/** Sixteen digits in a row, a point among them or not: only then can a double lose something. */
const longNumber = /\d(?:\.?\d){15}/

type Revive = (this: unknown, key: string, value: unknown, context?: { readonly source?: string }) => unknown
const reviveExact: Revive = (_key, value, context) => {
  const source = context?.source
  if (typeof value !== 'number' || source === undefined || source.length < 16) return value
  return sameNumber(value, source) ? value : new ExactNumber(source)
}

function sameNumber(value: number, source: string): boolean {
  if (/^-?\d+$/.test(source)) return Number.isSafeInteger(value)
  return String(value) === source.replace(/(\.\d*?)0+$/, '$1').replace(/\.$/, '')
}

export function parseJson(text: string): unknown {
  return longNumber.test(text)
    ? (JSON.parse(text, reviveExact as (key: string, value: unknown) => unknown) as unknown)
    : (JSON.parse(text) as unknown)
}

export type JsonToken = { readonly kind: 'punctuation' | 'name' | 'text' | 'number' | 'word'; readonly text: string }

/** Tokens of an indented print, in order; their texts joined are the print. Stops after about `charsMax` characters. */
export function printJson(value: unknown, charsMax = 200_000): { tokens: JsonToken[]; cut: boolean } {
  const printer = new Printer(charsMax)
  printer.value(value, '')
  return { tokens: printer.tokens, cut: printer.cut }
}

class Printer {
  readonly tokens: JsonToken[] = []
  cut = false
  #chars = 0
  readonly #charsMax: number

  constructor(charsMax: number) {
    this.#charsMax = charsMax
  }

  value(value: unknown, indent: string): void {
    if (this.cut) return
    if (value instanceof ExactNumber) this.#put('number', value.text)
    else if (typeof value === 'string') this.#put('text', JSON.stringify(value))
    else if (typeof value === 'number' || typeof value === 'bigint') this.#put('number', String(value))
    else if (Array.isArray(value)) this.#list(value, indent)
    else if (typeof value === 'object' && value !== null) this.#fields(Object.entries(value), indent)
    else this.#put('word', String(value))
  }

  #list(items: readonly unknown[], indent: string): void {
    if (items.length === 0) return this.#put('punctuation', '[]')
    this.#put('punctuation', '[')
    items.every((item, i) => {
      this.#put('punctuation', `${i > 0 ? ',' : ''}\n${indent}  `)
      this.value(item, `${indent}  `)
      return !this.cut
    })
    this.#put('punctuation', `\n${indent}]`)
  }

  #fields(fields: readonly (readonly [string, unknown])[], indent: string): void {
    if (fields.length === 0) return this.#put('punctuation', '{}')
    this.#put('punctuation', '{')
    fields.every(([name, value], i) => {
      this.#put('punctuation', `${i > 0 ? ',' : ''}\n${indent}  `)
      this.#put('name', JSON.stringify(name))
      this.#put('punctuation', ': ')
      this.value(value, `${indent}  `)
      return !this.cut
    })
    this.#put('punctuation', `\n${indent}}`)
  }

  #put(kind: JsonToken['kind'], text: string): void {
    if (this.cut) return
    this.#chars += text.length
    this.cut = this.#chars > this.#charsMax
    this.tokens.push({ kind, text })
  }
}

/** One line, without blanks; for table cells and for comparing rows. */
export function compactJson(value: unknown): string {
  if (value instanceof ExactNumber) return value.text
  if (typeof value === 'bigint') return String(value)
  if (Array.isArray(value)) return `[${value.map(compactJson).join(',')}]`
  if (typeof value === 'object' && value !== null)
    return `{${Object.entries(value)
      .map(([name, v]) => `${JSON.stringify(name)}:${compactJson(v)}`)
      .join(',')}}`
  return JSON.stringify(value) ?? 'null'
}

/** As a cell shows it: text without quotes, NULL as null. */
export function cellText(value: unknown): string | null {
  if (value === null || value === undefined) return null
  return typeof value === 'string' ? value : compactJson(value)
}
