import { parseArgs, type ParseArgsConfig } from 'node:util'
import { asFault, Fault } from '../lib/fault.ts'
import { type Call, type Command, CommandError, exit, globalOptions, type Option, usageError } from './command.ts'
import { commands } from './commands.ts'
import { commandHelp, overview } from './help.ts'
import { outputFormats, type OutputFormat } from './output.ts'

/** Runs one command line; resolves with the exit code. */
export async function main(words: readonly string[]): Promise<number> {
  const stop = stopOnSignals()
  let output: OutputFormat = 'table'
  try {
    if (words.length === 0 || words[0] === 'help' || words[0] === '--help' || words[0] === '-h') {
      const named = words[0] === 'help' ? find(words.slice(1)) : null
      process.stdout.write(named === null ? overview(commands) : commandHelp(named.command))
      return exit.ok
    }
    const found = find(words)
    if (found === null)
      throw usageError(`millrace ${words.slice(0, 2).join(' ')}: there is no such command${suggestion(words)}`)
    const parsed = parse(found.command, found.rest)
    if (parsed === 'help') {
      process.stdout.write(commandHelp(found.command))
      return exit.ok
    }
    output = parsed.output
    await found.command.run({ ...parsed, signal: stop })
    return exit.ok
  } catch (error) {
    if (stop.aborted && !(error instanceof CommandError)) return exit.interrupted
    return complain(error, output)
  }
}

function find(words: readonly string[]): { command: Command; rest: readonly string[] } | null {
  for (const command of commands)
    if (command.path.every((word, i) => words[i] === word)) return { command, rest: words.slice(command.path.length) }
  return null
}
function suggestion(words: readonly string[]): string {
  const near = commands.filter(
    (command) => command.path[0] === words[0] || command.path[0]!.startsWith(words[0]!.slice(0, 3)),
  )
  return near.length === 0 ? '' : `; did you mean ${near.map((command) => command.path.join(' ')).join(', ')}?`
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
    throw usageError((error as Error).message)
  }
  if (values['help'] === true) return 'help'
  const args: Record<string, string | undefined> = {}
  for (const argument of command.args ?? []) {
    if (argument.rest === true) break
    args[argument.name] = positionals.shift()
    if (args[argument.name] === undefined && argument.optional !== true)
      throw usageError(`millrace ${command.path.join(' ')}: ${argument.name.toUpperCase()} is missing`)
  }
  const takesRest = command.args?.some((argument) => argument.rest === true) ?? false
  if (!takesRest && positionals.length > 0) throw usageError(`one word too many: ${positionals[0]}`)
  const format = values['output'] ?? 'table'
  const output = outputFormats.find((known) => known === format)
  if (output === undefined) throw usageError(`-o ${String(format)}: one of ${outputFormats.join(', ')}`)
  return {
    args,
    rest: positionals,
    output,
    server: String(values['server'] ?? process.env['MILLRACE_SERVER'] ?? 'http://127.0.0.1:8080'),
    options: {
      text: (name) => (typeof values[name] === 'string' ? values[name] : undefined),
      list: (name) => (Array.isArray(values[name]) ? values[name].map(String) : undefined),
      on: (name) => values[name] === true,
    },
  }
}

function complain(error: unknown, output: OutputFormat): number {
  const failure = error instanceof CommandError ? error : fromFault(asFault(error))
  const { message, code, hint } = failure
  if (output === 'json' || output === 'jsonl') process.stderr.write(JSON.stringify({ code, message, hint }) + '\n')
  else process.stderr.write(`millrace: ${message}\n${hint === '' ? '' : `  ${hint}\n`}`)
  return failure.exitCode
}
function fromFault(fault: Fault): CommandError {
  if (fault.code === 'internal' && fault.cause instanceof Error) process.stderr.write(`${fault.cause.stack}\n`)
  return new CommandError(fault.message, {
    code: fault.code,
    hint: fault.hint,
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
