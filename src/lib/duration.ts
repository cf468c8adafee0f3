import { Fault } from './fault.ts'

const unitMs: Readonly<Record<string, number>> = { ms: 1, s: 1_000, m: 60_000, h: 3_600_000, d: 86_400_000 }

/** `500ms`, `5s`, `1m`, `1h`, `7d` in milliseconds. Throws Fault config.invalid. */
export function parseDuration(setting: string, text: string): number {
  const match = /^(\d+(?:\.\d+)?)(ms|s|m|h|d)$/.exec(text)
  if (match === null)
    throw new Fault('config.invalid', { setting, value: text, why: 'a duration looks like 500ms, 5s, 1m, 1h or 7d' })
  return Number(match[1]) * unitMs[match[2]!]!
}

/** In the largest unit that says it without a fraction: `1d`, `90s`. */
export function durationText(ms: number): string {
  const [unit, size] = Object.entries(unitMs).findLast(([, unitSize]) => ms % unitSize === 0 && ms >= unitSize) ?? [
    'ms',
    1,
  ]
  return `${ms / size}${unit}`
}
/** For people who want to know how long about: at least two whole units, `277d`, `95s`. */
export function about(ms: number): string {
  const size = Object.values(unitMs).findLast((unitSize) => ms >= unitSize * 2) ?? 1
  return durationText(Math.ceil(ms / size) * size)
}
