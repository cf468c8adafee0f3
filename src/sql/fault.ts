/**
 * Faults about a SQL text. Every one knows its place: line, column, and the line itself with a caret under it, as psql
 * prints it. Positions inside the parser are offsets into the text; they become lines and columns only here.
 */
import { Fault, faults, type FaultCode, type SqlFacts } from '../lib/fault.ts'

export type SqlFaultCode = Extract<FaultCode, `sql.${string}`>

export interface SqlFaultOptions {
  readonly expected?: readonly string[]
  readonly hint?: string
}

export class SqlFault extends Fault<SqlFaultCode> {
  constructor(code: SqlFaultCode, message: string, text: string, at: number, options: SqlFaultOptions = {}) {
    super(code, { message, ...place(text, at), ...options })
    this.name = 'SqlFault'
  }
  get position(): { readonly line: number; readonly column: number } {
    return { line: this.facts.line, column: this.facts.column }
  }
  get sqlstate(): string {
    return faults[this.code].sqlstate
  }
  /** The marked line with the caret under the place. */
  get excerpt(): string {
    return this.facts.excerpt
  }
  override get hint(): string {
    return this.facts.hint ?? faults[this.code].hint
  }
}

/** A place in a text, kept by every node of the tree. Offsets in UTF-16 units; `end` is the first behind it. */
export interface Span {
  readonly at: number
  readonly end: number
}

const excerptWidth = 100

/** Line and column (from 1, in characters) of an offset, and the marked excerpt. */
export function place(text: string, at: number): Pick<SqlFacts, 'line' | 'column' | 'excerpt'> {
  const offset = Math.min(at, text.length)
  const start = text.lastIndexOf('\n', offset - 1) + 1
  const newline = text.indexOf('\n', offset)
  const lineText = text.slice(start, newline === -1 ? text.length : newline).replace(/\r$/, '')
  let line = 1
  for (let i = text.indexOf('\n'); i !== -1 && i < offset; i = text.indexOf('\n', i + 1)) line++
  const column = Array.from(text.slice(start, offset)).length + 1
  return { line, column, excerpt: mark(lineText, line, column) }
}

function mark(lineText: string, line: number, column: number): string {
  const characters = Array.from(lineText.replaceAll('\t', ' '))
  const from = column > excerptWidth - 20 ? column - 60 : 0
  const shown = characters.slice(from, from + excerptWidth)
  const head = `LINE ${line}: ${from > 0 ? '…' : ''}`
  const tail = from + excerptWidth < characters.length ? '…' : ''
  return `${head}${shown.join('')}${tail}\n${' '.repeat(Array.from(head).length + column - 1 - from)}^`
}
