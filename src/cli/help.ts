import { type Command, exit, globalOptions, type Option } from './command.ts'

const usage = (command: Command): string => {
  const args = (command.args ?? []).map(({ name, optional }) =>
    optional === true ? `[${name.toUpperCase()}]` : name.toUpperCase(),
  )
  return ['millrace', ...command.path, ...args].join(' ')
}

/** `millrace help` */
export function overview(commands: readonly Command[]): string {
  const width = Math.max(...commands.map((command) => usage(command).length))
  const lines = commands.map((command) => `  ${usage(command).padEnd(width)}  ${command.summary}`)
  return `Usage:\n${lines.join('\n')}\n\n  millrace help COMMAND tells more.\n`
}

/** `millrace help topic create` */
export function commandHelp(command: Command): string {
  const options = optionLines([...(command.options ?? []), ...globalOptions])
  const examples = command.examples.map((example) => `  ${example}`).join('\n')
  return `${usage(command)}\n  ${command.summary}\n\nOptions:\n${options}\n\nExamples:\n${examples}\n`
}
function optionLines(options: readonly Option[]): string {
  const width = Math.max(...options.map((option) => flag(option).length))
  return options.map((option) => `  ${flag(option).padEnd(width)}  ${option.summary}`).join('\n')
}
const flag = (option: Option): string =>
  `${option.short === undefined ? '    ' : `-${option.short}, `}--${option.name}${option.value === undefined ? '' : ` ${option.value}`}`

/** docs/cli.md */
export function reference(commands: readonly Command[]): string {
  const sections = commands.map((command) => {
    const options = command.options ?? []
    return [
      `## ${usage(command)}`,
      `${command.summary}.`,
      ...(options.length === 0 ? [] : ['```\n' + optionLines(options) + '\n```']),
      '```\n' + command.examples.join('\n') + '\n```',
    ].join('\n\n')
  })
  const codes = Object.entries(exit).map(
    ([name, code]) => `${code} ${name.replaceAll(/[A-Z]/g, (c) => ` ${c.toLowerCase()}`)}`,
  )
  return `# The command line

From a checkout: \`npm run millrace -- …\`. Once installed: \`npx millrace …\`. Data goes to standard output, everything
else to standard error; npm adds lines of its own unless told not to: \`npm run -s millrace -- topic list -o json | jq\`.
Every command takes:

\`\`\`
${optionLines(globalOptions)}
\`\`\`

Exit codes: ${codes.join(', ')}. With \`-o json\` a failure is a JSON object on standard error: \`code\`, \`message\`, \`hint\`.

Settings of \`serve\` also come from \`millrace.config.ts\` in the project's folder and from the environment
(\`MILLRACE_DATA\`, \`MILLRACE_LISTEN\`, \`MILLRACE_ADVERTISE\`, \`MILLRACE_LOG\`, \`MILLRACE_WEBHOOKS_ALLOW\`; lists separated by
commas, as in flags, which may also stand several times): a flag goes over the environment, that over the file.
\`millrace config\` prints the outcome. A Kafka cluster as the log: [cluster.md](cluster.md).

What V8 makes of the program's modules is kept in \`.cache/compile\` beside \`src\` or \`dist\`, where that may be written,
and halves every later start; \`NODE_DISABLE_COMPILE_CACHE=1\` does without, \`NODE_COMPILE_CACHE=DIR\` keeps it elsewhere.

${sections.join('\n\n')}
`
}
