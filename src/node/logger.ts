import type { Logger } from '../lib/logger.ts'
import type { Clock } from '../lib/world.ts'

/** One line a message on standard error: time, level, message, facts as JSON. */
export function standardErrorLogger(clock: Clock): Logger {
  const line = (level: string) => (message: string, facts?: Readonly<Record<string, unknown>>) => {
    const tail = facts === undefined ? '' : ` ${JSON.stringify(facts, plain)}`
    process.stderr.write(`${new Date(clock.now()).toISOString()} ${level} ${message}${tail}\n`)
  }
  return { info: line('info '), warn: line('warn '), error: line('error') }
}

function plain(_: string, value: unknown): unknown {
  if (typeof value === 'bigint') return value.toString()
  if (value instanceof Error) return value.stack ?? value.message
  return value
}
