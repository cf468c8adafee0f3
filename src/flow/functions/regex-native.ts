/**
 * Expressions that JavaScript's own matcher takes in a time that is known: those which repeat single characters only. It tries one
 * way after the other, so n characters may cost n × n^k tries, with k repetitions without an end; where that is too much for a
 * text, and for all other expressions, `regex.ts` has a matcher of its own. Both find the same.
 */
import type { RegexNode } from './regex-parse.ts'

/** Tries that a text may cost. */
const triesMax = 1_000_000

interface Translated {
  readonly source: string
  readonly length: number
  /** Repetitions without an end on one way through. */
  readonly repeats: number
  readonly ways: number
}
export class NativeRegex {
  private readonly regex: RegExp
  private readonly cost: Translated

  private constructor(translated: Translated) {
    this.cost = translated
    this.regex = new RegExp(translated.source, 'gu')
  }
  /** null: it is not for this matcher. */
  static of(node: RegexNode): NativeRegex | null {
    const translated = translate(node)
    return translated === null ? null : new NativeRegex(translated)
  }
  takes(text: string, from: number): boolean {
    const { length, repeats, ways } = this.cost
    const count = text.length - from + 1
    // In the middle of a character it would begin before it.
    return count ** (repeats + 1) * length * ways <= triesMax && (text.charCodeAt(from) & 0xfc00) !== 0xdc00
  }
  exec(text: string, from: number): RegExpExecArray | null {
    this.regex.lastIndex = from
    return this.regex.exec(text)
  }
  test(text: string): boolean {
    this.regex.lastIndex = 0
    return this.regex.test(text)
  }
}

function translate(node: RegexNode): Translated | null {
  switch (node.kind) {
    case 'char':
      return node.source === null ? null : { source: node.source, length: 1, repeats: 0, ways: 1 }
    case 'assert': {
      const source = assertions[node.what]
      return source === undefined ? null : { source, length: 1, repeats: 0, ways: 1 }
    }
    case 'group': {
      const item = translate(node.item)
      return item === null ? null : { ...item, source: `(${item.source})` }
    }
    case 'repeat': {
      const { item, min, max, greedy } = node
      if (item.kind !== 'char' || item.source === null) return null
      const isOpen = max === Infinity
      const source = `${item.source}{${min},${isOpen ? '' : max}}${greedy ? '' : '?'}`
      return { source, length: 1 + min, repeats: isOpen ? 1 : 0, ways: isOpen ? 1 : max - min + 1 }
    }
    case 'cat':
    case 'alt':
      return together(node.kind, node.items)
  }
}
function together(kind: 'cat' | 'alt', nodes: readonly RegexNode[]): Translated | null {
  const items: Translated[] = []
  for (const node of nodes) {
    const item = translate(node)
    if (item === null) return null
    items.push(item)
  }
  const length = items.reduce((sum, item) => sum + item.length, 1)
  const repeats = items.map((item) => item.repeats)
  if (kind === 'cat')
    return {
      source: items.map(({ source }) => source).join(''),
      length,
      repeats: repeats.reduce((sum, count) => sum + count, 0),
      ways: items.reduce((product, { ways }) => product * ways, 1),
    }
  const source = `(?:${items.map((item) => item.source).join('|')})`
  return { source, length, repeats: Math.max(...repeats), ways: items.reduce((sum, { ways }) => sum + ways, 0) }
}
/** Others would match in the middle of a character beyond 16 bits. */
const assertions: Partial<Record<Extract<RegexNode, { kind: 'assert' }>['what'], string>> = {
  start: '^',
  end: '$',
}
