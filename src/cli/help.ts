import { type Command, globalOptions, type Option } from './command.ts'

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
  const parts = [`${usage(command)}\n  ${command.summary}`]
  const options = [...(command.options ?? []), ...globalOptions]
  const width = Math.max(...options.map((option) => flag(option).length))
  parts.push(`Options:\n${options.map((option) => `  ${flag(option).padEnd(width)}  ${option.summary}`).join('\n')}`)
  parts.push(`Examples:\n${command.examples.map((example) => `  ${example}`).join('\n')}`)
  return parts.join('\n\n') + '\n'
}
const flag = (option: Option): string =>
  `${option.short === undefined ? '    ' : `-${option.short}, `}--${option.name}${option.value === undefined ? '' : ` ${option.value}`}`
