import { parseArgs, type ParseArgsConfig } from 'node:util'
import { asFault, Fault } from '../lib/fault.ts'
import { suggestion } from '../lib/suggestion.ts'
import { version } from '../node/version.ts'
import { json } from './client.ts'
import { type Call, type Command, CommandError, exit, globalOptions, type Option, usageError } from './command.ts'
import { commands } from './commands.ts'
import { commandHelp, overview } from './help.ts'
import { outputFormats, type OutputFormat } from './output.ts'

/** Runs one command line; resolves with the exit code. */
export async function main(words: readonly string[]): Promise<number> {
  const stop = stopOnSignals()
  let output: OutputFormat = 'table'
  try {
    if (words[0] === '--version' || words[0] === 'version') {
      process.stdout.write(`millrace ${version}\n`)
      return exit.ok
    }
    if (words.length === 0 || words[0] === 'help' || words[0] === '--help' || words[0] === '-h') {
      const asked = words[0] === 'help' ? words.slice(1) : []
      const group = commands.filter((command) => asked.every((word, i) => command.path[i] === word))
      const named = find(asked)
      if (named === null && group.length === 0) throw unknownCommand(asked)
      process.stdout.write(named === null ? overview(group) : commandHelp(named.command))
      return exit.ok
    }
    const found = find(words)
    if (found === null) throw unknownCommand(words)
    const parsed = parse(found.command, found.rest)
    if (parsed === 'help') {
      process.stdout.write(commandHelp(found.command))
      return exit.ok
    }
    output = parsed.output
    await run(found.command, { ...parsed, signal: stop })
    return exit.ok
  } catch (error) {
    if (stop.aborted && !(error instanceof CommandError)) return exit.interrupted
    return complain(error, output)
  }
}

/** A name that is not there is answered with the one that may be meant. */
async function run(command: Command, on: Call): Promise<void> {
  try {
    await command.run(on)
  } catch (error) {
    if (error instanceof CommandError && error.exitCode === exit.notFound)
      for (const { name, known } of command.args ?? []) {
        const value = on.args[name]
        if (known === undefined || value === undefined) continue
        const list = await json<Record<string, unknown>[]>(on, { path: known.path }).catch(() => [])
        const near = suggestion(
          value,
          list.map((one) => String(one[known.field])),
        )
        if (near !== null) throw error.with(`Perhaps you meant ${near}.`)
      }
    throw error
  }
}

function find(words: readonly string[]): { command: Command; rest: readonly string[] } | null {
  for (const command of commands)
    if (command.path.every((word, i) => words[i] === word)) return { command, rest: words.slice(command.path.length) }
  return null
}
function unknownCommand(words: readonly string[]): CommandError {
  if (words[0]!.startsWith('-'))
    return usageError(`${words[0]} stands before the command`, 'Options come last: `millrace topic list -o json`.')
  // Words that are no option; `help` is one of them.
  const typed = words.slice(0, 2).filter((word) => !word.startsWith('-'))
  const paths = [...commands.map((command) => command.path.join(' ')), 'help']
  const group = paths.filter((path) => path.split(' ')[0] === typed[0])
  const near = suggestion(typed.join(' '), paths) ?? suggestion(typed[0]!, paths)
  const meant = near !== null ? `did you mean ${near}?` : group.length > 0 ? `it is one of ${group.join(', ')}` : ''
  return usageError(`millrace ${typed.join(' ')}: there is no such command${meant === '' ? '' : `; ${meant}`}`)
}

function parse(command: Command, words: readonly string[]): Omit<Call, 'signal'> | 'help' {
  const known: readonly Option[] = [...(command.options ?? []), ...globalOptions]
  const options: NonNullable<ParseArgsConfig['options']> = {}
  for (const option of known)
    options[option.name] = {
      type: option.value === undefined ? 'boolean' : 'string',
      multiple: option.repeatable === true,
      ...(option.short === undefined ? {} : { short: option.short }),
    }
  let values: Record<string, string | boolean | (string | boolean)[] | undefined>
  let positionals: string[]
  try {
    ;({ values, positionals } = parseArgs({ args: [...words], options, allowPositionals: true, strict: true }))
  } catch (error) {
    throw badOption(error, command, known)
  }
  if (values['help'] === true) return 'help'
  const args: Record<string, string | undefined> = {}
  for (const argument of command.args ?? []) {
    if (argument.rest === true) break
    args[argument.name] = positionals.shift()
    if (args[argument.name] === undefined && argument.optional !== true)
      throw usageError(
        `millrace ${command.path.join(' ')}: ${argument.name.toUpperCase()} is missing`,
        `For example: ${command.examples[0]}`,
      )
  }
  const takesRest = command.args?.some((argument) => argument.rest === true) ?? false
  if (!takesRest && positionals.length > 0) throw usageError(`one word too many: ${positionals[0]}`, seeHelp(command))
  const format = values['output'] ?? 'table'
  const output = outputFormats.find((known) => known === format)
  if (output === undefined) throw usageError(`-o ${String(format)}: one of ${outputFormats.join(', ')}`)
  return {
    args,
    rest: positionals,
    output,
    server: serverUrl(String(values['server'] ?? process.env['MILLRACE_SERVER'] ?? 'http://127.0.0.1:8080')),
    options: {
      text: (name) => (typeof values[name] === 'string' ? values[name] : undefined),
      list: (name) => (Array.isArray(values[name]) ? values[name].map(String) : undefined),
      on: (name) => values[name] === true,
    },
  }
}

const seeHelp = (command: Command): string => `See \`millrace help ${command.path.join(' ')}\`.`

function badOption(error: unknown, command: Command, known: readonly Option[]): CommandError {
  const { code, message } = error as Error & { code?: string }
  const name = /'(--?[^'\s=]+)/.exec(message)?.[1]
  if (code !== 'ERR_PARSE_ARGS_UNKNOWN_OPTION' || name === undefined) return usageError(message, seeHelp(command))
  const near = suggestion(
    name.replace(/^--?/, ''),
    known.map((option) => option.name),
  )
  return usageError(`there is no option ${name}${near === null ? '' : `; did you mean --${near}?`}`, seeHelp(command))
}

/** HOST:PORT will do. */
function serverUrl(text: string): string {
  const url = URL.parse(text.includes('://') ? text : `http://${text}`)
  if (url === null || !/^https?:$/.test(url.protocol))
    throw usageError(`--server ${text}: a URL such as http://127.0.0.1:8080 is wanted`)
  return url.href.replace(/\/$/, '')
}

function complain(error: unknown, output: OutputFormat): number {
  const failure = error instanceof CommandError ? error : fromFault(asFault(error))
  const { message, code, hint, sqlstate, excerpt } = failure
  if (output === 'json' || output === 'jsonl') {
    const more = { ...(sqlstate === null ? {} : { sqlstate }), ...(excerpt === null ? {} : { excerpt }) }
    process.stderr.write(JSON.stringify({ code, message, hint, ...more }) + '\n')
  } else if (sqlstate === null) {
    const place = excerpt === null ? '' : `${excerpt}\n`
    process.stderr.write(`millrace: ${message}\n${place}${hint === '' ? '' : `  ${hint}\n`}`)
  } else {
    const place = excerpt === null ? '' : `${excerpt}\n`
    process.stderr.write(`ERROR ${sqlstate}: ${message}\n${place}${hint === '' ? '' : `HINT: ${hint}\n`}`)
  }
  return failure.exitCode
}
function fromFault(fault: Fault): CommandError {
  if (fault.code === 'internal' && fault.cause instanceof Error) process.stderr.write(`${fault.cause.stack}\n`)
  return new CommandError(fault.message, {
    code: fault.code,
    hint: fault.hint,
    ...('excerpt' in fault.facts && typeof fault.facts.excerpt === 'string' ? { excerpt: fault.facts.excerpt } : {}),
    exitCode: fault.code.startsWith('config.') ? exit.usage : exit.failed,
  })
}

/** The first SIGINT or SIGTERM asks to stop; a second one stops at once. */
function stopOnSignals(): AbortSignal {
  const controller = new AbortController()
  const stop = (): void => {
    if (controller.signal.aborted) process.exit(exit.interrupted)
    controller.abort(new Error('interrupted'))
  }
  process.on('SIGINT', stop)
  process.on('SIGTERM', stop)
  return controller.signal
}
