/** The syntax tree of a regular expression. The host's engine has checked the grammar; this only cuts it into parts. */

export class PatternError extends Error {}

export type PatternNode =
  | { readonly kind: 'char'; readonly test: (code: number) => boolean }
  | { readonly kind: 'cat' | 'alt'; readonly items: readonly PatternNode[] }
  | { readonly kind: 'repeat'; readonly item: PatternNode; readonly min: number; readonly max: number }
  | { readonly kind: 'assert'; readonly what: 'start' | 'end' | 'word' | 'not-word' }
  | { readonly kind: 'look'; readonly item: PatternNode; readonly negative: boolean }

const sourceLengthMax = 10_000
const nestingMax = 200

export function parsePattern(source: string): { node: PatternNode; unicode: boolean } {
  if (source.length > sourceLengthMax) throw new PatternError(`it is longer than ${sourceLengthMax} characters`)
  const unicode = compiles(source, 'u')
  if (!unicode && !compiles(source, '')) throw new PatternError('it is not a regular expression of ECMAScript')
  return { node: new Parser(source, unicode).whole(), unicode }
}
function compiles(source: string, flags: string): boolean {
  try {
    new RegExp(source, flags).test('')
    return true
  } catch {
    return false
  }
}

const quantifier = /[*+?]\??|\{(\d+)(,(\d*))?\}\??/y
const escapeUnicode =
  /\\(?:[pP]\{[^}]*\}|u\{[0-9a-fA-F]+\}|u[dD][89abAB][0-9a-fA-F]{2}\\u[dD][c-fC-F][0-9a-fA-F]{2}|u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|c[A-Za-z]|[^])/uy
const escapePlain = /\\(?:u[0-9a-fA-F]{4}|x[0-9a-fA-F]{2}|c[A-Za-z]|0[0-7]{0,2}|[^])/y

class Parser {
  readonly #source: string
  readonly #unicode: boolean
  #at = 0
  #depth = 0

  constructor(source: string, unicode: boolean) {
    this.#source = source
    this.#unicode = unicode
  }
  whole(): PatternNode {
    const node = this.#alternatives()
    if (this.#at < this.#source.length) throw new PatternError('its brackets do not match')
    return node
  }

  #alternatives(): PatternNode {
    if (++this.#depth > nestingMax) throw new PatternError('its groups are nested too deeply')
    const items = [this.#sequence()]
    while (this.#take('|')) items.push(this.#sequence())
    this.#depth--
    return items.length === 1 ? items[0]! : { kind: 'alt', items }
  }
  #sequence(): PatternNode {
    const items: PatternNode[] = []
    while (this.#at < this.#source.length && this.#source[this.#at] !== '|' && this.#source[this.#at] !== ')')
      items.push(this.#term())
    return { kind: 'cat', items }
  }
  #term(): PatternNode {
    const item = this.#atom()
    quantifier.lastIndex = this.#at
    const found = quantifier.exec(this.#source)
    if (found === null) return item
    if (item.kind === 'look' || item.kind === 'assert') throw new PatternError('it repeats an assertion')
    this.#at = quantifier.lastIndex
    const sign = found[0][0]
    if (sign === '*') return { kind: 'repeat', item, min: 0, max: Infinity }
    if (sign === '+') return { kind: 'repeat', item, min: 1, max: Infinity }
    if (sign === '?') return { kind: 'repeat', item, min: 0, max: 1 }
    const min = Number(found[1])
    const max = found[2] === undefined ? min : found[3] === '' ? Infinity : Number(found[3])
    return { kind: 'repeat', item, min, max }
  }
  #atom(): PatternNode {
    switch (this.#source[this.#at]) {
      case '^':
        this.#at++
        return { kind: 'assert', what: 'start' }
      case '$':
        this.#at++
        return { kind: 'assert', what: 'end' }
      case '(':
        return this.#group()
      case '[':
        return this.#char(this.#classEnd())
      case '\\':
        return this.#escape()
      default: {
        const code = this.#unicode ? this.#source.codePointAt(this.#at)! : 0
        return this.#char(this.#at + (code > 0xffff ? 2 : 1))
      }
    }
  }
  #group(): PatternNode {
    this.#at++
    let look: boolean | null = null
    if (this.#take('?=')) look = false
    else if (this.#take('?!')) look = true
    else if (this.#take('?<=') || this.#take('?<!')) throw new PatternError('it looks behind, which is not supported')
    else if (this.#take('?<')) this.#at = this.#source.indexOf('>', this.#at) + 1
    else if (this.#source[this.#at] === '?' && !this.#take('?:'))
      throw new PatternError('it sets flags inside, which is not supported')
    const item = this.#alternatives()
    if (!this.#take(')')) throw new PatternError('its brackets do not match')
    return look === null ? item : { kind: 'look', item, negative: look }
  }
  #classEnd(): number {
    let at = this.#at + 1
    while (this.#source[at] !== ']') at += this.#source[at] === '\\' ? 2 : 1
    return at + 1
  }
  #escape(): PatternNode {
    const next = this.#source[this.#at + 1]!
    if (next === 'b' || next === 'B') {
      this.#at += 2
      return { kind: 'assert', what: next === 'b' ? 'word' : 'not-word' }
    }
    if ((next >= '1' && next <= '9') || next === 'k')
      throw new PatternError('it refers back to a group, which is not supported')
    const form = this.#unicode ? escapeUnicode : escapePlain
    form.lastIndex = this.#at
    form.exec(this.#source)
    return this.#char(form.lastIndex)
  }
  /** What stands up to `end` matches one character: the host's engine says which. */
  #char(end: number): PatternNode {
    const text = this.#source.slice(this.#at, end)
    this.#at = end
    // A bracket that stands for itself outside `u` would mean something once wrapped.
    const alone = text === '{' || text === '}' || text === ']' ? `\\${text}` : text
    const one = new RegExp(`^(?:${alone})$`, this.#unicode ? 'u' : '')
    const ascii = Uint8Array.from({ length: 128 }, (_, code) => (one.test(String.fromCharCode(code)) ? 1 : 0))
    return {
      kind: 'char',
      test: (code) => (code < 128 ? ascii[code] === 1 : one.test(String.fromCodePoint(code))),
    }
  }
  #take(text: string): boolean {
    if (!this.#source.startsWith(text, this.#at)) return false
    this.#at += text.length
    return true
  }
}
