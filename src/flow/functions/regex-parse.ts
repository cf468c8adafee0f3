/**
 * The regular expressions of PostgreSQL (ARE), as far as they are regular: literals, `.`, brackets with classes, `\d \w \s`
 * and their opposites, anchors, word boundaries, groups, alternation, counted and lazy repetition. Back references and
 * look-around are refused by name.
 */
import { invalidArgument } from './helpers.ts'

export type Test = (code: number) => boolean
export type RegexNode =
  /** `source`: the same as a JavaScript expression with the flag u; null: it is not known. */
  | { readonly kind: 'char'; readonly test: Test; readonly source: string | null }
  | {
      readonly kind: 'assert'
      readonly what:
        | 'start'
        | 'end'
        | 'line-start'
        | 'line-end'
        | 'word-start'
        | 'word-end'
        | 'boundary'
        | 'not-boundary'
    }
  | { readonly kind: 'cat' | 'alt'; readonly items: readonly RegexNode[] }
  | {
      readonly kind: 'repeat'
      readonly item: RegexNode
      readonly min: number
      readonly max: number
      readonly greedy: boolean
    }
  | { readonly kind: 'group'; readonly item: RegexNode; readonly index: number }

export interface ParsedRegex {
  readonly node: RegexNode
  readonly groups: number
}
export interface RegexFlags {
  readonly ignoreCase: boolean
  /** `n`: `.` and negated brackets stop at line ends, ^ and $ match there. */
  readonly lines: boolean
  /** `x`: blanks and comments are free. */
  readonly expanded: boolean
}
const repeatMax = 255
const depthMax = 100

const between =
  (low: number, high: number): Test =>
  (c) =>
    c >= low && c <= high
const isDigit = between(48, 57)
const letters = /\p{L}/u
const alphanumeric = /[\p{L}\p{N}]/u
export const isWordCharacter: Test = (c) =>
  c === 95 ||
  isDigit(c) ||
  between(97, 122)(c) ||
  between(65, 90)(c) ||
  (c > 127 && alphanumeric.test(String.fromCodePoint(c)))
const isSpace: Test = (c) => c === 32 || (c >= 9 && c <= 13) || c === 0xa0 || c === 0x2028 || c === 0x2029
const not =
  (test: Test): Test =>
  (c) =>
    !test(c)
/** As they stand in brackets of a JavaScript expression. */
const digitSource = '0-9'
const wordSource = '_\\p{L}\\p{N}'
const spaceSource = '\\u{20}\\u{9}-\\u{d}\\u{a0}\\u{2028}\\u{2029}'
const sourceOf = (code: number): string => `\\u{${code.toString(16)}}`
/** Characters of a bracket or an escape; `source` as it stands in brackets. */
interface Chars {
  readonly test: Test
  readonly source: string | null
}
const classSources: Readonly<Record<string, string>> = { digit: digitSource, space: spaceSource, word: wordSource }
const escapeSources: Readonly<Record<string, string>> = { d: digitSource, w: wordSource, s: spaceSource }
const classes: Readonly<Record<string, Test>> = {
  alpha: (c) => letters.test(String.fromCodePoint(c)),
  digit: isDigit,
  alnum: (c) => alphanumeric.test(String.fromCodePoint(c)),
  upper: (c) => /\p{Lu}/u.test(String.fromCodePoint(c)),
  lower: (c) => /\p{Ll}/u.test(String.fromCodePoint(c)),
  space: isSpace,
  blank: (c) => c === 32 || c === 9,
  punct: (c) => /[!-/:-@[-`{-~]/.test(String.fromCodePoint(c)) || (c > 127 && /\p{P}/u.test(String.fromCodePoint(c))),
  print: (c) => c >= 32 && c !== 127,
  graph: (c) => c > 32 && c !== 127,
  cntrl: (c) => c < 32 || c === 127,
  xdigit: (c) => isDigit(c) || between(97, 102)(c) || between(65, 70)(c),
  word: isWordCharacter,
}
const escapes: Readonly<Record<string, Test>> = {
  d: isDigit,
  D: not(isDigit),
  w: isWordCharacter,
  W: not(isWordCharacter),
  s: isSpace,
  S: not(isSpace),
}
const controls: Readonly<Record<string, number>> = { n: 10, t: 9, r: 13, f: 12, v: 11, a: 7, e: 27, b: 8, B: 92, 0: 0 }
const assertions = {
  A: 'start',
  Z: 'end',
  m: 'word-start',
  M: 'word-end',
  y: 'boundary',
  Y: 'not-boundary',
} as const

export function parseRegex(pattern: string, flags: RegexFlags): ParsedRegex {
  return new Parser(pattern, flags).parse()
}

class Parser {
  private readonly text: readonly string[]
  private readonly flags: RegexFlags
  private at = 0
  private groups = 0
  private depth = 0

  constructor(pattern: string, flags: RegexFlags) {
    this.text = Array.from(pattern)
    this.flags = flags
  }
  parse(): ParsedRegex {
    const node = this.alternatives()
    if (this.at < this.text.length) this.fail('parentheses () not balanced')
    return { node, groups: this.groups }
  }
  private fail(why: string): never {
    return invalidArgument(`invalid regular expression: ${why}`)
  }
  private get next(): string | undefined {
    return this.text[this.at]
  }
  private skipBlank(): void {
    if (!this.flags.expanded) return
    for (let comment = false; this.at < this.text.length; this.at++) {
      const c = this.text[this.at]!
      if (c === '#') comment = true
      else if (c === '\n') comment = false
      else if (!comment && !/\s/.test(c)) return
    }
  }
  private alternatives(): RegexNode {
    if (++this.depth > depthMax) this.fail('it is nested too deeply')
    const items = [this.sequence()]
    while (this.next === '|') {
      this.at++
      items.push(this.sequence())
    }
    this.depth--
    return items.length === 1 ? items[0]! : { kind: 'alt', items }
  }
  private sequence(): RegexNode {
    const items: RegexNode[] = []
    for (;;) {
      this.skipBlank()
      const c = this.next
      if (c === undefined || c === '|' || c === ')') return items.length === 1 ? items[0]! : { kind: 'cat', items }
      items.push(this.repeated(this.atom()))
    }
  }
  private repeated(atom: RegexNode): RegexNode {
    let node = atom
    for (let times = 0; ; times++) {
      this.skipBlank()
      const bounds = this.quantifier()
      if (bounds === null) return node
      if (times > 0 || node.kind === 'assert') this.fail('quantifier operand invalid')
      const greedy = this.next !== '?'
      if (!greedy) this.at++
      node = { kind: 'repeat', item: node, min: bounds[0], max: bounds[1], greedy }
    }
  }
  private quantifier(): readonly [number, number] | null {
    const c = this.next
    if (c === '*' || c === '+' || c === '?') {
      this.at++
      return c === '*' ? [0, Infinity] : c === '+' ? [1, Infinity] : [0, 1]
    }
    if (c !== '{') return null
    const match = /^\{(\d{1,3})(?:(,)(\d{1,3})?)?\}/.exec(this.text.slice(this.at, this.at + 12).join(''))
    if (match === null) return this.fail('invalid repetition count(s)')
    this.at += match[0].length
    const min = Number(match[1])
    const max = match[2] === undefined ? min : match[3] === undefined ? Infinity : Number(match[3])
    if (min > repeatMax || (max !== Infinity && max > repeatMax) || min > max) this.fail('invalid repetition count(s)')
    return [min, max]
  }
  private atom(): RegexNode {
    const c = this.text[this.at++]!
    switch (c) {
      case '(':
        return this.group()
      case '[':
        return this.bracket()
      case '.':
        return this.flags.lines
          ? { kind: 'char', test: (code) => code !== 10, source: '[^\\n]' }
          : { kind: 'char', test: () => true, source: '[^]' }
      case '^':
        return { kind: 'assert', what: this.flags.lines ? 'line-start' : 'start' }
      case '$':
        return { kind: 'assert', what: this.flags.lines ? 'line-end' : 'end' }
      case '\\':
        return this.escape()
      case '*':
      case '+':
      case '?':
        return this.fail('quantifier operand invalid')
      default:
        return this.literal(c)
    }
  }
  private literal(c: string): RegexNode {
    const code = c.codePointAt(0)!
    if (!this.flags.ignoreCase) return { kind: 'char', test: (other) => other === code, source: sourceOf(code) }
    const low = c.toLowerCase().codePointAt(0)!
    const high = c.toUpperCase().codePointAt(0)!
    const source = `[${[code, low, high].map(sourceOf).join('')}]`
    return { kind: 'char', test: (other) => other === code || other === low || other === high, source }
  }
  private folded(test: Test): Test {
    if (!this.flags.ignoreCase) return test
    return (c) => {
      if (test(c)) return true
      const text = String.fromCodePoint(c)
      return test(text.toLowerCase().codePointAt(0)!) || test(text.toUpperCase().codePointAt(0)!)
    }
  }
  private group(): RegexNode {
    if (this.next === '?') {
      const sign = this.text[this.at + 1]
      if (sign !== ':')
        this.fail(
          sign === '=' || sign === '!' || sign === '<' ? 'look-around is not supported' : 'quantifier operand invalid',
        )
      this.at += 2
      return this.closed(this.alternatives())
    }
    const index = ++this.groups
    return { kind: 'group', item: this.closed(this.alternatives()), index }
  }
  private closed(node: RegexNode): RegexNode {
    if (this.text[this.at++] !== ')') this.fail('parentheses () not balanced')
    return node
  }
  private escape(): RegexNode {
    const c = this.text[this.at++]
    if (c === undefined) return this.fail('invalid escape \\ sequence')
    if (Object.hasOwn(escapes, c)) {
      const inside = escapeSources[c.toLowerCase()]!
      return { kind: 'char', test: escapes[c]!, source: c === c.toLowerCase() ? `[${inside}]` : `[^${inside}]` }
    }
    if (Object.hasOwn(assertions, c)) return { kind: 'assert', what: assertions[c as keyof typeof assertions] }
    if (/[1-9]/.test(c)) return this.fail('back references are not supported')
    return this.literal(this.character(c))
  }
  /** The character that an escape stands for. */
  private character(c: string): string {
    if (Object.hasOwn(controls, c)) return String.fromCodePoint(controls[c]!)
    const digits = { x: 2, u: 4, U: 8 }[c]
    if (digits !== undefined) {
      const hex = this.text.slice(this.at, this.at + digits).join('')
      if (!/^[0-9a-fA-F]+$/.test(hex) || hex.length < digits || Number.parseInt(hex, 16) > 0x10ffff)
        return this.fail('invalid escape \\ sequence')
      this.at += digits
      return String.fromCodePoint(Number.parseInt(hex, 16))
    }
    return /[a-zA-Z]/.test(c) ? this.fail('invalid escape \\ sequence') : c
  }
  /** Behind `[`. */
  private bracket(): RegexNode {
    const negated = this.next === '^'
    if (negated) this.at++
    const items: Chars[] = []
    for (let first = true; ; first = false) {
      const c = this.text[this.at++]
      if (c === undefined) return this.fail('brackets [] not balanced')
      if (c === ']' && !first) break
      items.push(this.bracketItem(c))
    }
    const any: Test = (code) => items.some(({ test }) => test(code))
    const { ignoreCase, lines } = this.flags
    const isKnown = !ignoreCase && items.every(({ source }) => source !== null)
    const inside = items.map(({ source }) => source).join('')
    if (!negated) return { kind: 'char', test: this.folded(any), source: isKnown ? `[${inside}]` : null }
    const none: Test = lines ? (code): boolean => code !== 10 && !any(code) : not(any)
    return { kind: 'char', test: this.folded(none), source: isKnown ? `[^${inside}${lines ? '\\n' : ''}]` : null }
  }
  private bracketItem(c: string): Chars {
    if (c === '[' && this.next === ':') {
      const end = this.text.indexOf(':', this.at + 1)
      const name = this.text.slice(this.at + 1, end).join('')
      if (end < 0 || this.text[end + 1] !== ']' || !Object.hasOwn(classes, name))
        return this.fail('invalid character class')
      this.at = end + 2
      return { test: classes[name]!, source: classSources[name] ?? null }
    }
    if (c === '\\' && this.next !== undefined && Object.hasOwn(escapes, this.next)) {
      const name = this.text[this.at++]!
      return { test: escapes[name]!, source: escapeSources[name] ?? null }
    }
    const low = this.bracketCharacter(c)
    if (this.next !== '-' || this.text[this.at + 1] === ']' || this.text[this.at + 1] === undefined)
      return { test: (code) => code === low, source: sourceOf(low) }
    this.at++
    const high = this.bracketCharacter(this.text[this.at++]!)
    if (high < low) return this.fail('invalid character range')
    return { test: between(low, high), source: `${sourceOf(low)}-${sourceOf(high)}` }
  }
  private bracketCharacter(c: string): number {
    if (c !== '\\') return c.codePointAt(0)!
    const escaped = this.text[this.at++]
    if (escaped === undefined) return this.fail('invalid escape \\ sequence')
    return this.character(escaped).codePointAt(0)!
  }
}
