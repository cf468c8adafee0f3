/**
 * Filters of subscriptions: `attributes:key`, `attributes.key = "value"`, `!=`, `hasPrefix(attributes.key, "prefix")`,
 * NOT (or `-`), AND, OR, parentheses. As the service has it, AND and OR are not mixed without parentheses.
 */
import { Fault } from '../../lib/fault.ts'

export type Filter = (attributes: ReadonlyMap<string, string>) => boolean

/** The service's own bound. */
const filterBytesMax = 256
const depthMax = 32
type Token = { readonly is: 'word' | 'text' | 'sign'; readonly text: string; readonly at: number }

/** Throws Fault wire.malformed, which says what is wrong and where. */
export function parseFilter(text: string): Filter {
  if (Buffer.byteLength(text) > filterBytesMax) throw wrong(`it is longer than ${filterBytesMax} bytes`)
  const parser = new Parser(tokensOf(text))
  const filter = parser.expression(0)
  parser.end()
  return filter
}
const wrong = (what: string): Fault => new Fault('wire.malformed', { what })

const tokenForm = /\s+|"((?:[^"\\]|\\.)*)"|!=|[=:.,()-]|\w[\w-]*/y
function tokensOf(text: string): Token[] {
  const tokens: Token[] = []
  for (let at = 0; at < text.length; at = tokenForm.lastIndex) {
    tokenForm.lastIndex = at
    const found = tokenForm.exec(text)
    if (found === null) throw wrong(`unexpected ${JSON.stringify(text[at])} at ${at + 1}`)
    const [whole, quoted] = found
    if (quoted !== undefined) tokens.push({ is: 'text', text: unescaped(quoted, at), at })
    else if (/^\w/.test(whole)) tokens.push({ is: 'word', text: whole, at })
    else if (whole.trim() !== '') tokens.push({ is: 'sign', text: whole, at })
  }
  return tokens
}
const escapes: Readonly<Record<string, string>> = { n: '\n', r: '\r', t: '\t' }
const unescaped = (quoted: string, at: number): string =>
  quoted.replaceAll(/\\(u[0-9A-Fa-f]{4}|x[0-9A-Fa-f]{2}|[0-7]{1,3}|.)/gs, (_, code: string) => {
    if (/^[0-7]/.test(code)) return String.fromCharCode(Number.parseInt(code, 8))
    if (code.length > 1) return String.fromCharCode(Number.parseInt(code.slice(1), 16))
    if (/[\\"]/.test(code)) return code
    const found = escapes[code]
    if (found === undefined) throw wrong(`no such escape as \\${code} in the text at ${at + 1}`)
    return found
  })

class Parser {
  readonly #tokens: readonly Token[]
  #next = 0

  constructor(tokens: readonly Token[]) {
    this.#tokens = tokens
  }
  expression(depth: number): Filter {
    if (depth > depthMax) throw wrong('it is nested too deeply')
    const parts = [this.#term(depth)]
    let joint: 'AND' | 'OR' | null = null
    for (;;) {
      const word = this.#peek()
      if (word?.is !== 'word' || (word.text !== 'AND' && word.text !== 'OR')) break
      if (joint !== null && joint !== word.text) throw wrong(`AND and OR need parentheses, at ${word.at + 1}`)
      joint = word.text
      this.#next++
      parts.push(this.#term(depth))
    }
    if (parts.length === 1) return parts[0]!
    return joint === 'AND'
      ? (attributes) => parts.every((part) => part(attributes))
      : (attributes) => parts.some((part) => part(attributes))
  }
  #term(depth: number): Filter {
    const token = this.#peek()
    if ((token?.is === 'word' && token.text === 'NOT') || this.#isSign('-')) {
      this.#next++
      if (depth > depthMax) throw wrong('it is nested too deeply')
      const inner = this.#term(depth + 1)
      return (attributes) => !inner(attributes)
    }
    if (this.#isSign('(')) {
      this.#next++
      const inner = this.expression(depth + 1)
      this.#sign(')')
      return inner
    }
    return this.#comparison()
  }
  #comparison(): Filter {
    const word = this.#word()
    if (word === 'hasPrefix') {
      this.#sign('(')
      this.#attributes()
      this.#sign('.')
      const key = this.#key()
      this.#sign(',')
      const prefix = this.#text()
      this.#sign(')')
      return (attributes) => attributes.get(key)?.startsWith(prefix) === true
    }
    if (word !== 'attributes') throw this.#unexpected(this.#next - 1)
    if (this.#isSign(':')) {
      this.#next++
      const key = this.#key()
      return (attributes) => attributes.has(key)
    }
    this.#sign('.')
    const key = this.#key()
    const isEqual = this.#isSign('=')
    if (!isEqual && !this.#isSign('!=')) throw this.#unexpected(this.#next)
    this.#next++
    const value = this.#text()
    // Without the attribute it is not equal to anything.
    return (attributes) => (attributes.get(key) === value) === isEqual
  }
  end(): void {
    if (this.#next < this.#tokens.length) throw this.#unexpected(this.#next)
  }
  #attributes(): void {
    if (this.#word() !== 'attributes') throw this.#unexpected(this.#next - 1)
  }
  #word(): string {
    const token = this.#peek()
    if (token?.is !== 'word') throw this.#unexpected(this.#next)
    this.#next++
    return token.text
  }
  /** A name, or any text in quotes. */
  #key(): string {
    const token = this.#peek()
    if (token === undefined || token.is === 'sign') throw this.#unexpected(this.#next)
    this.#next++
    return token.text
  }
  #text(): string {
    const token = this.#peek()
    if (token?.is !== 'text') throw this.#unexpected(this.#next)
    this.#next++
    return token.text
  }
  #sign(text: string): void {
    if (!this.#isSign(text)) throw this.#unexpected(this.#next)
    this.#next++
  }
  #isSign(text: string): boolean {
    const token = this.#peek()
    return token?.is === 'sign' && token.text === text
  }
  #peek(): Token | undefined {
    return this.#tokens[this.#next]
  }
  #unexpected(at: number): Fault {
    const token = this.#tokens[at]
    return wrong(
      token === undefined ? 'it ends too early' : `unexpected ${JSON.stringify(token.text)} at ${token.at + 1}`,
    )
  }
}
