/** WITH (restart_strategy = …): what a view does when it has failed. */
import type { RestartStrategy } from '../../flow/plan.ts'
import { restartDefaults } from '../../flow/restart.ts'
import { SqlFault } from '../fault.ts'
import type { Options, OptionSpecs } from './options.ts'

export const restartOptions: OptionSpecs = {
  restart_strategy: {
    kind: 'choice',
    choices: ['none', 'fixed-delay', 'exponential-delay', 'failure-rate'],
    about: 'whether and when a view that failed starts again by itself; default exponential-delay',
  },
  restart_attempts: { kind: 'count', about: 'of fixed-delay (default 1) and exponential-delay (no end): how often' },
  restart_delay: { kind: 'duration', about: 'before a start; of exponential-delay before the first; default 1s' },
  restart_delay_max: { kind: 'duration', about: 'of exponential-delay: no delay is longer; default 1m' },
  restart_multiplier: {
    kind: 'number',
    about: 'of exponential-delay: each delay is so many times the last; default 1.5',
  },
  restart_jitter: { kind: 'number', about: 'of exponential-delay: a share of the delay, more or less; default 0.1' },
  restart_reset: {
    kind: 'duration',
    about: 'of exponential-delay: running for so long it has got over it; default 1h',
  },
  restart_failures: { kind: 'count', about: 'of failure-rate: so many starts within the interval; default 1' },
  restart_interval: { kind: 'duration', about: 'of failure-rate: the interval; default 1m' },
}
const takes: Readonly<Record<RestartStrategy['kind'], readonly string[]>> = {
  none: [],
  'fixed-delay': ['attempts', 'delay'],
  'exponential-delay': ['attempts', 'delay', 'delay_max', 'multiplier', 'jitter', 'reset'],
  'failure-rate': ['failures', 'interval', 'delay'],
}

/** null: nothing is said of it. Throws SqlFault. */
export function restartOf(options: Options, text: string): RestartStrategy | null {
  const kind = options.textOf('restart_strategy')?.toLowerCase() as RestartStrategy['kind'] | undefined
  const wrong = (name: string, why: string, hint?: string): never => {
    const more = hint === undefined ? {} : { hint }
    throw new SqlFault('sql.invalid-value', `option ${name} ${why}`, text, options.at(name), more)
  }
  for (const name of Object.keys(restartOptions)) {
    if (name === 'restart_strategy' || !options.has(name)) continue
    const of = Object.entries(takes).flatMap(([one, its]) => (its.includes(name.slice('restart_'.length)) ? [one] : []))
    if (kind === undefined) wrong(name, 'needs the option restart_strategy', `It belongs to ${of.join(' and ')}.`)
    else if (!of.includes(kind))
      wrong(name, `has no meaning with restart_strategy = '${kind}'`, `It belongs to ${of.join(' and ')}.`)
  }
  switch (kind) {
    case undefined:
      return null
    case 'none':
      return { kind }
    case 'fixed-delay': {
      const { attempts, delayMs } = restartDefaults[kind]
      return {
        kind,
        attempts: options.count('restart_attempts') ?? attempts,
        delayMs: options.duration('restart_delay') ?? delayMs,
      }
    }
    case 'failure-rate': {
      const { failures, intervalMs, delayMs } = restartDefaults[kind]
      return {
        kind,
        failures: options.count('restart_failures') ?? failures,
        intervalMs: options.duration('restart_interval') ?? intervalMs,
        delayMs: options.duration('restart_delay') ?? delayMs,
      }
    }
    case 'exponential-delay': {
      const { initialMs, mostMs, multiplier, jitter, resetMs, attempts } = restartDefaults[kind]
      const strategy = {
        kind,
        initialMs: options.duration('restart_delay') ?? initialMs,
        mostMs: options.duration('restart_delay_max') ?? mostMs,
        multiplier: options.number('restart_multiplier') ?? multiplier,
        jitter: options.number('restart_jitter') ?? jitter,
        resetMs: options.duration('restart_reset') ?? resetMs,
        attempts: options.count('restart_attempts') ?? attempts,
      }
      if (strategy.multiplier < 1) wrong('restart_multiplier', 'must be a number from 1')
      if (strategy.jitter > 1) wrong('restart_jitter', 'must be a number from 0 to 1')
      if (strategy.initialMs > strategy.mostMs)
        wrong(
          options.has('restart_delay') ? 'restart_delay' : 'restart_delay_max',
          'makes the first delay longer than the longest',
        )
      return strategy
    }
  }
}
