/** Settings that say whether and when a connector that failed starts again: the strategies of views, under the same names. */
import { restartDefaults } from '../flow/restart.ts'
import type { RestartStrategy } from '../flow/plan.ts'
import { type Field, type Settings, wrong } from './settings.ts'

export const restartFields: readonly Field[] = [
  {
    name: 'restart.strategy',
    type: ['none', 'fixed-delay', 'exponential-delay', 'failure-rate'],
    default: 'exponential-delay',
    about: 'whether and when it starts again by itself after a fault that may pass',
  },
  { name: 'restart.attempts', type: 'count', about: 'of fixed-delay (1) and exponential-delay (no end): how often' },
  { name: 'restart.delay', type: 'duration', about: 'before a start; of exponential-delay before the first; 1s' },
  { name: 'restart.delay.max', type: 'duration', about: 'of exponential-delay: no delay is longer; 1m' },
  {
    name: 'restart.multiplier',
    type: 'number',
    about: 'of exponential-delay: each delay is so many times the last; 1.5',
  },
  {
    name: 'restart.reset',
    type: 'duration',
    about: 'of exponential-delay: running for so long it has got over it; 1h',
  },
  { name: 'restart.failures', type: 'count', about: 'of failure-rate: so many starts within the interval; 1' },
  { name: 'restart.interval', type: 'duration', about: 'of failure-rate: the interval; 1m' },
]
const takes: Readonly<Record<RestartStrategy['kind'], readonly string[]>> = {
  none: [],
  'fixed-delay': ['attempts', 'delay'],
  'exponential-delay': ['attempts', 'delay', 'delay.max', 'multiplier', 'reset'],
  'failure-rate': ['failures', 'interval', 'delay'],
}

/** Throws Fault connect.invalid-setting. */
export function restartOf(settings: Settings): RestartStrategy {
  const kind = settings.text('restart.strategy') as RestartStrategy['kind']
  for (const { name } of restartFields)
    if (name !== 'restart.strategy' && settings.has(name) && !takes[kind].includes(name.slice('restart.'.length)))
      throw wrong(name, `has no meaning with restart.strategy ${kind}`)
  const delayMs = settings.duration('restart.delay')
  switch (kind) {
    case 'none':
      return { kind }
    case 'fixed-delay': {
      const usual = restartDefaults[kind]
      return { kind, attempts: settings.count('restart.attempts') ?? usual.attempts, delayMs: delayMs ?? usual.delayMs }
    }
    case 'failure-rate': {
      const usual = restartDefaults[kind]
      return {
        kind,
        failures: settings.count('restart.failures') ?? usual.failures,
        intervalMs: settings.duration('restart.interval') ?? usual.intervalMs,
        delayMs: delayMs ?? usual.delayMs,
      }
    }
    case 'exponential-delay': {
      const usual = restartDefaults[kind]
      const strategy = {
        ...usual,
        kind,
        initialMs: delayMs ?? usual.initialMs,
        mostMs: settings.duration('restart.delay.max') ?? usual.mostMs,
        multiplier: settings.number('restart.multiplier') ?? usual.multiplier,
        resetMs: settings.duration('restart.reset') ?? usual.resetMs,
        attempts: settings.count('restart.attempts') ?? usual.attempts,
      }
      if (strategy.multiplier < 1) throw wrong('restart.multiplier', 'is a number from 1')
      if (strategy.initialMs > strategy.mostMs)
        throw wrong(
          settings.has('restart.delay') ? 'restart.delay' : 'restart.delay.max',
          'makes the first delay longer than the longest',
        )
      return strategy
    }
  }
}
