/**
 * PostgreSQL's lexical rules: names with folding left to the binder, the five string forms, nested comments, numbers
 * with bases and underscores, operators by the longest match that PostgreSQL would take. Throws SqlFault with the place.
 */
import { Fault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import { SqlFault } from '../fault.ts'

export interface Token {
  readonly kind:
    | 'word'
    | 'quoted'
    | 'string'
    | 'bits'
    | 'integer'
    | 'decimal'
    | 'parameter'
    | 'operator'
    | 'punctuation'
    | 'end'
  /** What it says: a word as written, a quoted name or string unescaped, a number without underscores. */
  readonly text: string
  /** A bare word in lower case, to compare with keywords; empty for all other tokens. */
  readonly word: string
  readonly at: number
  readonly end: number
}

const isSpace = (c: number): boolean => c === 0x20 || (c >= 9 && c <= 13)
const isDigit = (c: number): boolean => c >= 0x30 && c <= 0x39
const isWordStart = (c: number): boolean =>
  (c >= 0x61 && c <= 0x7a) || (c >= 0x41 && c <= 0x5a) || c === 0x5f || c >= 0x80
const isWordPart = (c: number): boolean => isWordStart(c) || isDigit(c) || c === 0x24
const operatorCharacters = new Set('+-*/<>=~!@#%^&|`?')
const operatorSpecial = /[~!@#%^&|`?]/
const punctuation = new Set('()[],;.:')

/** All tokens of a text; the last is `end`. */
export function tokenize(text: string): Token[] {
  if (text.length > limits.sqlBytes) {
    throw new Fault('wire.too-large', { what: 'a SQL text', bytes: text.length, bytesMax: limits.sqlBytes })
  }
  const lexer = new Lexer(text)
  const tokens: Token[] = []
  for (;;) {
    const token = lexer.next()
    tokens.push(token)
    if (token.kind === 'end') return tokens
  }
}

class Lexer {
  readonly text: string
  at = 0

  constructor(text: string) {
    this.text = text
  }

  next(): Token {
    this.skipBlank()
    const { text, at } = this
    if (at >= text.length) return { kind: 'end', text: '', word: '', at, end: at }
    const c = text.charCodeAt(at)
    const following = text[at + 1]
    if (following === "'" && isOneOf(c, 'eE')) return this.escapeString()
    if (following === "'" && isOneOf(c, 'bBxX')) return this.bitString()
    if (following === "'" && isOneOf(c, 'nN')) return this.string(at + 1)
    if (isOneOf(c, 'uU') && following === '&' && (text[at + 2] === "'" || text[at + 2] === '"')) return this.unicode()
    if (isWordStart(c)) return this.word()
    if (isDigit(c) || (c === 0x2e && isDigit(text.charCodeAt(at + 1)))) return this.number()
    if (c === 0x27) return this.string(at)
    if (c === 0x22) return this.quotedName()
    if (c === 0x24) return this.dollar()
    return this.symbol()
  }

  private fail(message: string, at: number, hint?: string): never {
    throw new SqlFault('sql.syntax', message, this.text, at, hint === undefined ? {} : { hint })
  }

  private skipBlank(): void {
    const { text } = this
    for (;;) {
      while (this.at < text.length && isSpace(text.charCodeAt(this.at))) this.at++
      if (text.startsWith('--', this.at)) this.skipLine()
      else if (text.startsWith('/*', this.at)) this.skipComment()
      else return
    }
  }
  private skipLine(): void {
    while (this.at < this.text.length && this.text[this.at] !== '\n' && this.text[this.at] !== '\r') this.at++
  }
  private skipComment(): void {
    const { text } = this
    const start = this.at
    let depth = 0
    do {
      if (this.at >= text.length) this.fail('unterminated /* comment', start)
      if (text.startsWith('/*', this.at)) {
        depth++
        this.at += 2
      } else if (text.startsWith('*/', this.at)) {
        depth--
        this.at += 2
      } else this.at++
    } while (depth > 0)
  }

  private token(kind: Token['kind'], text: string, at: number): Token {
    return { kind, text, word: kind === 'word' ? text.toLowerCase() : '', at, end: this.at }
  }

  private word(): Token {
    const at = this.at
    while (this.at < this.text.length && isWordPart(this.text.charCodeAt(this.at))) this.at++
    // Only ASCII folds, as PostgreSQL does in UTF-8: the spelling stays in the text, the binder compares without case.
    return this.token('word', this.text.slice(at, this.at), at)
  }

  private quotedName(): Token {
    const at = this.at
    const name = this.delimited('"', 'unterminated quoted identifier')
    if (name === '') this.fail('zero-length delimited identifier', at)
    return this.token('quoted', name, at)
  }

  /** From the opening delimiter at `this.at` to behind the closing one; doubled delimiters stand for one. */
  private delimited(delimiter: string, unterminated: string): string {
    const start = this.at
    let out = ''
    this.at++
    for (;;) {
      const close = this.text.indexOf(delimiter, this.at)
      if (close === -1) this.fail(unterminated, start)
      out += this.text.slice(this.at, close)
      this.at = close + 1
      if (this.text[this.at] !== delimiter) {
        if (out.includes('\0')) this.fail('a zero byte cannot be in a text', start)
        return out
      }
      out += delimiter
      this.at++
    }
  }

  private string(quoteAt: number): Token {
    const at = this.at
    this.at = quoteAt
    let value = this.delimited("'", 'unterminated quoted string')
    while (this.continues()) value += this.delimited("'", 'unterminated quoted string')
    return this.token('string', value, at)
  }

  /** Strings with only blanks and at least one line break between them are one. */
  private continues(): boolean {
    const { text } = this
    let i = this.at
    let broken = false
    for (; i < text.length; i++) {
      if (text.startsWith('--', i)) {
        while (i < text.length && text[i] !== '\n' && text[i] !== '\r') i++
        i--
      } else if (!isSpace(text.charCodeAt(i))) break
      else if (text[i] === '\n' || text[i] === '\r') broken = true
    }
    if (!broken || text[i] !== "'") return false
    this.at = i
    return true
  }

  private escapeString(): Token {
    const at = this.at
    this.at++
    let value = this.escaped()
    while (this.continues()) value += this.escaped()
    return this.token('string', value, at)
  }
  private escaped(): string {
    const { text } = this
    const start = this.at
    let out = ''
    this.at++
    for (;;) {
      if (this.at >= text.length) this.fail('unterminated quoted string', start)
      const c = text[this.at]!
      if (c === "'") {
        this.at++
        if (text[this.at] !== "'") return out
        out += "'"
        this.at++
      } else if (c === '\\') out += this.escape(start)
      else {
        out += c
        this.at++
      }
    }
  }
  private escape(start: number): string {
    const { text } = this
    const at = this.at
    const c = text[at + 1]
    if (c === undefined) this.fail('unterminated quoted string', start)
    const simple = { b: '\b', f: '\f', n: '\n', r: '\r', t: '\t' }[c]
    this.at += 2
    if (simple !== undefined) return simple
    if (c === 'u' || c === 'U') return this.unicodeEscape(at, c === 'u' ? 4 : 8)
    const match = /^(?:[0-7]{1,3}|x[0-9a-fA-F]{1,2})/.exec(text.slice(at + 1, at + 5))
    if (match === null) return c
    this.at = at + 1 + match[0].length
    const byte = c === 'x' ? Number.parseInt(match[0].slice(1), 16) : Number.parseInt(match[0], 8)
    if (byte === 0 || byte > 0x7f) this.fail('an escaped byte must be ASCII and not zero; use \\u for the rest', at)
    return String.fromCharCode(byte)
  }
  private unicodeEscape(at: number, digits: number): string {
    const hex = this.text.slice(at + 2, at + 2 + digits)
    if (!new RegExp(`^[0-9a-fA-F]{${digits}}$`).test(hex)) {
      this.fail('invalid Unicode escape', at, 'Unicode escapes must be \\uXXXX or \\UXXXXXXXX.')
    }
    this.at = at + 2 + digits
    const point = Number.parseInt(hex, 16)
    if (point >= 0xd800 && point < 0xdc00) return this.lowSurrogate(at, point)
    return this.character(point, at)
  }
  private lowSurrogate(at: number, high: number): string {
    const match = /^\\(?:u([0-9a-fA-F]{4})|U([0-9a-fA-F]{8}))/.exec(this.text.slice(this.at, this.at + 10))
    const low = match === null ? 0 : Number.parseInt(match[1] ?? match[2]!, 16)
    if (match === null || low < 0xdc00 || low > 0xdfff) this.fail('invalid Unicode surrogate pair', at)
    this.at += match[0].length
    return String.fromCodePoint(0x1_0000 + (high - 0xd800) * 0x400 + (low - 0xdc00))
  }
  private character(point: number, at: number): string {
    if (point === 0 || point > 0x10ffff || (point >= 0xd800 && point <= 0xdfff)) {
      this.fail('invalid Unicode escape value', at)
    }
    return String.fromCodePoint(point)
  }

  /** U&'d\0061t' and U&"d\0061t"; the escape character is the backslash. */
  private unicode(): Token {
    const at = this.at
    this.at += 2
    const quote = this.text[this.at]!
    let raw = this.delimited(quote, quote === '"' ? 'unterminated quoted identifier' : 'unterminated quoted string')
    while (quote === "'" && this.continues()) raw += this.delimited("'", 'unterminated quoted string')
    const after = /^\s*uescape\b/i.exec(this.text.slice(this.at, this.at + 64))
    if (after !== null)
      throw new SqlFault('sql.unsupported', 'UESCAPE is not supported', this.text, this.at + after[0].length - 7)
    let value = ''
    for (let i = 0; i < raw.length;) {
      if (raw[i] !== '\\') value += raw[i++]!
      else if (raw[i + 1] === '\\') {
        value += '\\'
        i += 2
      } else {
        const match = /^\\(?:([0-9a-fA-F]{4})|\+([0-9a-fA-F]{6}))/.exec(raw.slice(i, i + 8))
        if (match === null) this.fail('invalid Unicode escape', at, 'Unicode escapes must be \\XXXX or \\+XXXXXX.')
        value += String.fromCharCode(...codeUnits(Number.parseInt(match[1] ?? match[2]!, 16)))
        i += match[0].length
      }
    }
    if (!value.isWellFormed() || value.includes('\0')) this.fail('invalid Unicode escape value', at)
    if (quote === '"' && value === '') this.fail('zero-length delimited identifier', at)
    return this.token(quote === '"' ? 'quoted' : 'string', value, at)
  }

  private bitString(): Token {
    const at = this.at
    this.at++
    const digits = this.delimited("'", 'unterminated bit string literal')
    const hex = isOneOf(this.text.charCodeAt(at), 'xX')
    if (!(hex ? /^[0-9a-fA-F]*$/ : /^[01]*$/).test(digits)) this.fail('invalid digit in a bit string', at)
    return this.token('bits', digits, at)
  }

  private dollar(): Token {
    const { text, at } = this
    const parameter = /^\$\d+/.exec(text.slice(at, at + 20))
    if (parameter !== null) {
      this.at += parameter[0].length
      if (isWordPart(text.charCodeAt(this.at))) this.fail('trailing junk after parameter', at)
      return this.token('parameter', parameter[0].slice(1), at)
    }
    const tag = /^\$(?:[A-Za-z_\u0080-\uffff][A-Za-z0-9_\u0080-\uffff]*)?\$/.exec(text.slice(at, at + 256))
    if (tag === null) this.fail('syntax error at or near "$"', at)
    const close = text.indexOf(tag[0], at + tag[0].length)
    if (close === -1) this.fail('unterminated dollar-quoted string', at)
    this.at = close + tag[0].length
    return this.token('string', text.slice(at + tag[0].length, close), at)
  }

  private number(): Token {
    const { text, at } = this
    const rest = text.slice(at, at + 1100)
    const based = /^0(?:[xX](?:_?[0-9a-fA-F])+|[oO](?:_?[0-7])+|[bB](?:_?[01])+)/.exec(rest)
    const match =
      based ?? /^(?:\d(?:_?\d)*(?:\.(?!\.)(?:\d(?:_?\d)*)?)?|\.\d(?:_?\d)*)(?:[eE][+-]?\d(?:_?\d)*)?/.exec(rest)
    if (match === null) this.fail('invalid number', at)
    if (match[0].length > 1000) this.fail('a number of more than 1000 digits', at)
    this.at += match[0].length
    if (isWordPart(text.charCodeAt(this.at))) {
      const end = /^[\w$\u0080-\uffff]*/.exec(text.slice(this.at, this.at + 40))![0].length
      this.fail(`trailing junk after numeric literal at or near "${text.slice(at, this.at + end)}"`, at)
    }
    const digits = match[0].replaceAll('_', '')
    if (based !== null) return this.token('integer', BigInt(digits).toString(), at)
    return this.token(/^\d+$/.test(digits) ? 'integer' : 'decimal', digits, at)
  }

  private symbol(): Token {
    const { text, at } = this
    const c = text[at]!
    const two = text.slice(at, at + 2)
    if (two === '::' || two === ':=' || two === '..') {
      this.at += 2
      return this.token('punctuation', two, at)
    }
    if (punctuation.has(c)) {
      this.at++
      return this.token('punctuation', c, at)
    }
    if (!operatorCharacters.has(c)) {
      const shown = String.fromCodePoint(text.codePointAt(at)!)
      this.fail(`syntax error at or near "${shown}"`, at)
    }
    const operator = this.longestOperator()
    this.at += operator.length
    if (operator === '=>') return this.token('punctuation', '=>', at)
    return this.token('operator', operator === '!=' ? '<>' : operator, at)
  }
  /** As many operator characters as follow, up to a comment; + and - end one only if it holds a special character. */
  private longestOperator(): string {
    const { text, at } = this
    let end = at
    while (end < text.length && operatorCharacters.has(text[end]!)) {
      if (text.startsWith('--', end) || text.startsWith('/*', end)) break
      end++
    }
    let operator = text.slice(at, end)
    if (operator.length > 1 && !operatorSpecial.test(operator)) {
      operator = operator[0] + operator.slice(1).replace(/[+-]+$/, '')
    }
    if (operator.length > 63) this.fail('operator too long', at)
    return operator
  }
}

const isOneOf = (c: number, characters: string): boolean => characters.includes(String.fromCharCode(c))
const codeUnits = (point: number): number[] =>
  point > 0xffff && point <= 0x10ffff
    ? [0xd800 + ((point - 0x1_0000) >> 10), 0xdc00 + ((point - 0x1_0000) & 0x3ff)]
    : [point > 0x10ffff ? 0 : point]
