/** A walk over the tokens with one place at a time. All parsing functions take it; nothing else holds parser state. */
import { limits } from '../../lib/limits.ts'
import { type Span, SqlFault } from '../fault.ts'
import type { Name, Query, QualifiedName } from './ast.ts'
import { hintElsewhere } from './elsewhere.ts'
import { columnName, functionOrType, labelNeedsAs, reserved } from './keywords.ts'
import { type Token, tokenize } from './lexer.ts'

export type QueryParser = (cursor: Cursor, first?: Query) => Query

export class Cursor {
  readonly text: string
  private readonly tokens: Token[]
  private index = 0
  private depth = 0
  /**
   * Expressions hold queries and queries hold expressions: the entry point ties the knot. With `first`, a query in
   * parentheses has been read already and the query goes on behind it.
   */
  readonly query: QueryParser
  /** Between AS and NOTIFY of an alert: NOTIFY is no name there. */
  inAlert = false

  constructor(text: string, query: QueryParser) {
    this.text = text
    this.tokens = [...tokenize(text)]
    this.query = query
  }

  get token(): Token {
    return this.tokens[this.index]!
  }
  get at(): number {
    return this.token.at
  }
  /** Where the last token taken ended. */
  get end(): number {
    return this.index === 0 ? 0 : this.tokens[this.index - 1]!.end
  }
  atEnd(): boolean {
    return this.token.kind === 'end'
  }
  ahead(count: number): Token {
    return this.tokens[Math.min(this.index + count, this.tokens.length - 1)]!
  }
  take(): Token {
    const token = this.token
    if (token.kind !== 'end') this.index++
    return token
  }
  isWord(...words: readonly string[]): boolean {
    return this.token.word !== '' && words.includes(this.token.word)
  }
  isWordAhead(count: number, ...words: readonly string[]): boolean {
    const { word } = this.ahead(count)
    return word !== '' && words.includes(word)
  }
  isMark(text: string): boolean {
    return this.isMarkAhead(0, text)
  }
  isMarkAhead(count: number, text: string): boolean {
    const token = this.ahead(count)
    return (token.kind === 'punctuation' || token.kind === 'operator') && token.text === text
  }
  /** Takes these words if they all follow. */
  acceptWords(...words: readonly string[]): boolean {
    for (let i = 0; i < words.length; i++) if (this.ahead(i).word !== words[i]) return false
    this.index += words.length
    return true
  }
  accept(mark: string): boolean {
    if (!this.isMark(mark)) return false
    this.index++
    return true
  }
  /** The `>` that closes a list of types: of `>>` the first one. */
  expectClosing(): void {
    const { token } = this
    if (token.kind === 'operator' && token.text.startsWith('>') && /^>+$/.test(token.text) && token.text.length > 1)
      this.tokens[this.index] = { ...token, text: token.text.slice(1), at: token.at + 1 }
    else this.expect('>')
  }
  expectWord(...words: readonly string[]): void {
    for (const word of words) {
      if (this.token.word !== word) this.fail([word.toUpperCase()])
      this.index++
    }
  }
  expect(mark: string): void {
    if (!this.accept(mark)) this.fail([`"${mark}"`])
  }

  fail(expected: readonly string[] = [], given?: string): never {
    const { token } = this
    const before = [1, 2, 3].map((n) => this.tokens[this.index - n])
    const hint = given ?? hintElsewhere([token, ...before])
    const near = token.kind === 'end' ? 'at end of input' : `at or near "${this.text.slice(token.at, token.end)}"`
    const wanted = expected.length === 0 ? '' : `, expected ${listed(expected)}`
    throw new SqlFault('sql.syntax', `syntax error ${near}${wanted}`, this.text, token.at, {
      ...(expected.length > 0 ? { expected } : {}),
      ...(hint === undefined ? {} : { hint }),
    })
  }
  syntax(message: string, at: number): never {
    throw new SqlFault('sql.syntax', message, this.text, at)
  }
  unsupported(what: string, at: number, hint?: string): never {
    throw new SqlFault(
      'sql.unsupported',
      `${what} is not supported yet`,
      this.text,
      at,
      hint === undefined ? {} : { hint },
    )
  }

  /** Runs a nested construct one level deeper; the limit keeps hostile texts off the stack. */
  nested<T>(parse: () => T): T {
    if (this.depth >= limits.sqlDepth) {
      throw new SqlFault('sql.too-complex', `more than ${limits.sqlDepth} levels of nesting`, this.text, this.at)
    }
    this.depth++
    const result = parse()
    this.depth--
    return result
  }

  /** Chains lean to one side: each link deepens the tree by one. */
  checkChain(length: number): void {
    if (length <= limits.sqlChain) return
    throw new SqlFault('sql.too-complex', `more than ${limits.sqlChain} operators in a row`, this.text, this.at)
  }

  span(at: number): Span {
    return { at, end: this.end }
  }

  /** A column, table, cursor, … name. */
  name(expected = 'a name'): Name {
    const { token } = this
    if (!isName(token, (word) => reserved.has(word) || functionOrType.has(word))) this.fail([expected])
    return this.takeName()
  }
  /** Behind a dot or AS any word is a name. */
  label(expected = 'a name'): Name {
    if (this.token.kind !== 'quoted' && this.token.kind !== 'word') this.fail([expected])
    return this.takeName()
  }
  /** A label without AS, if one follows. */
  bareLabel(): Name | null {
    if (this.startsClause()) return null
    return isName(this.token, (word) => labelNeedsAs.has(word)) ? this.takeName() : null
  }
  /** Streaming clauses begin with words that are names elsewhere; what follows tells them apart. */
  startsClause(): boolean {
    if (this.isWord('emit'))
      return this.isWordAhead(1, 'changes', 'final') || (this.isWordAhead(1, 'on') && this.isWordAhead(2, 'window'))
    if (this.isWord('start')) return this.isWordAhead(1, 'from')
    return this.isWord('notify') && (this.inAlert || this.isWordAhead(1, 'webhook', 'log', 'console'))
  }
  private takeName(): Name {
    const token = this.take()
    return { text: token.text, quoted: token.kind === 'quoted', at: token.at, end: token.end }
  }
  startsName(): boolean {
    return isName(this.token, (word) => reserved.has(word) || functionOrType.has(word))
  }
  /** Any word that may name a function, with its schema. */
  functionName(): QualifiedName {
    const { at } = this
    if (!isName(this.token, (word) => reserved.has(word) || columnName.has(word))) this.fail(['a function'])
    const parts = [this.takeName()]
    while (this.accept('.')) parts.push(this.label())
    return { parts, ...this.span(at) }
  }
  qualifiedName(expected = 'a name'): QualifiedName {
    const { at } = this
    const parts = [this.name(expected)]
    while (this.accept('.')) parts.push(this.label())
    if (parts.length > 4) this.fail()
    return { parts, ...this.span(at) }
  }
  /** The name that stands here, without taking it. */
  peekName(): QualifiedName {
    const { index } = this
    const name = this.qualifiedName('a view')
    this.index = index
    return name
  }
  /** `( item, item … )`, at least one. */
  parenthesised<T>(item: () => T): T[] {
    this.expect('(')
    const items = this.list(item)
    this.expect(')')
    return items
  }
  list<T>(item: () => T): T[] {
    const items = [item()]
    while (this.accept(',')) items.push(item())
    return items
  }
  string(expected: string): string {
    if (this.token.kind !== 'string') this.fail([expected])
    return this.take().text
  }
}

const isName = (token: Token, taken: (word: string) => boolean): boolean =>
  token.kind === 'quoted' || (token.kind === 'word' && !taken(token.word))

/** What kind of name a bare word may start in an expression. */
export function mayStartName(token: Token): 'column' | 'function' | 'none' {
  if (token.kind === 'quoted') return 'column'
  if (token.kind !== 'word' || reserved.has(token.word)) return 'none'
  return functionOrType.has(token.word) ? 'function' : 'column'
}
/** Words like COALESCE or BETWEEN can name a column, but a parenthesis behind them is not a plain call. */
export const isSpecialFunctionWord = (token: Token): boolean => token.kind === 'word' && columnName.has(token.word)

const listed = (items: readonly string[]): string =>
  items.length < 2 ? (items[0] ?? '') : `${items.slice(0, -1).join(', ')} or ${items.at(-1)!}`
