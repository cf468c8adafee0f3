/** A command as data: parsing, help, completion and the contract test are derived from it. */
import type { OutputFormat } from './output.ts'

export interface Option {
  readonly name: string
  readonly short?: string
  /** What stands behind it in help; absent = a switch. */
  readonly value?: string
  readonly repeatable?: boolean
  readonly summary: string
}
export interface Argument {
  readonly name: string
  readonly optional?: boolean
  /** The list that its values stand in: what a misspelt one is compared with. */
  readonly known?: NameList
  /** Takes all words that are left. */
  readonly rest?: boolean
}
/** An answer of the HTTP interface that is a list, and the field of its members that is the name. */
export interface NameList {
  readonly path: string
  readonly field: string
}
export const topicNames: NameList = { path: '/v1/topics', field: 'name' }
export const relationNames: NameList = { path: '/v1/views', field: 'name' }
export const groupNames: NameList = { path: '/v1/groups', field: 'group' }
export interface Command {
  /** Words after `millrace`: `['topic', 'list']`. */
  readonly path: readonly string[]
  readonly summary: string
  readonly args?: readonly Argument[]
  readonly options?: readonly Option[]
  /** At least one line that works as it stands. */
  readonly examples: readonly string[]
  run(call: Call): Promise<void>
}
export interface Call {
  readonly args: Readonly<Record<string, string | undefined>>
  readonly rest: readonly string[]
  readonly options: Options
  readonly output: OutputFormat
  readonly server: string
  /** Aborts on SIGINT and SIGTERM. */
  readonly signal: AbortSignal
}
export interface Options {
  text(name: string): string | undefined
  list(name: string): readonly string[] | undefined
  on(name: string): boolean
}

/** What the process ends with. */
export const exit = {
  ok: 0,
  failed: 1,
  usage: 2,
  notFound: 3,
  notAllowed: 4,
  timedOut: 5,
  conflict: 6,
  interrupted: 130,
} as const

/** Ends the command with a message on standard error. */
export class CommandError extends Error {
  readonly exitCode: number
  readonly code: string
  readonly hint: string
  /** Of a fault in SQL: its SQLSTATE, and, where its text is at fault, the line with a caret under the place. */
  readonly sqlstate: string | null
  readonly excerpt: string | null

  constructor(message: string, options: Partial<Pick<CommandError, 'exitCode' | 'code' | 'hint'> & SqlPlace> = {}) {
    super(message)
    this.exitCode = options.exitCode ?? exit.failed
    this.code = options.code ?? 'cli.failed'
    this.hint = options.hint ?? ''
    this.sqlstate = options.sqlstate ?? null
    this.excerpt = options.excerpt ?? null
  }
  /** The same with better advice. */
  with(hint: string): CommandError {
    const { exitCode, code } = this
    return new CommandError(this.message, { exitCode, code, hint })
  }
}
interface SqlPlace {
  readonly sqlstate: string
  readonly excerpt: string
}
export const usageError = (message: string, hint = 'See `millrace help`.'): CommandError =>
  new CommandError(message, { exitCode: exit.usage, code: 'cli.usage', hint })

export const globalOptions: readonly Option[] = [
  { name: 'output', short: 'o', value: 'FORMAT', summary: 'table, json, jsonl, yaml or none' },
  { name: 'server', value: 'URL', summary: 'the Millrace to talk to (MILLRACE_SERVER; default http://127.0.0.1:8080)' },
  { name: 'help', short: 'h', summary: 'help for this command' },
]
