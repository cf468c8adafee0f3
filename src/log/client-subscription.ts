/** What a client-metrics resource asks which clients for. */
import type { RE2JS } from 're2js'
import { Fault } from '../lib/fault.ts'
import { limits } from '../lib/limits.ts'
import { compilePattern } from './pattern.ts'

const factNames = [
  'client_instance_id',
  'client_id',
  'client_software_name',
  'client_software_version',
  'client_source_address',
  'client_source_port',
] as const
/** What a client is known by. */
export type ClientFacts = Readonly<Record<(typeof factNames)[number], string>>
type Match = ReadonlyMap<keyof ClientFacts, RE2JS>
export interface Subscription {
  readonly metrics: readonly string[]
  readonly intervalMs: number
  readonly match: Match
}
export const defaultPushMs = 300_000

/** `config` has been checked. */
export function subscriptionOf(config: Readonly<Record<string, string>>): Subscription {
  const match = matchOf(config['match'] ?? '')
  return {
    metrics: listOf(config['metrics'] ?? ''),
    intervalMs: Number(config['interval.ms'] ?? defaultPushMs),
    match: typeof match === 'string' ? new Map() : match,
  }
}
export function asks({ match }: Subscription, facts: ClientFacts): boolean {
  for (const [name, pattern] of match) if (!pattern.matches(facts[name])) return false
  return true
}

export const listOf = (text: string): string[] =>
  text
    .split(',')
    .map((part) => part.trim())
    .filter((part) => part !== '')

/** Or what is wrong with the text. */
export function matchOf(text: string): Match | string {
  if (text.length > limits.clientSubscriptionLength) return `it is longer than ${limits.clientSubscriptionLength}`
  const match = new Map<keyof ClientFacts, RE2JS>()
  for (const part of listOf(text)) {
    const [left = '', right = '', ...more] = part.split('=')
    const name = factNames.find((one) => one === left.trim())
    if (name === undefined || right.trim() === '' || more.length > 0)
      return `${JSON.stringify(part)} is not NAME=PATTERN with one of ${factNames.join(', ')}`
    try {
      match.set(name, compilePattern(right.trim()))
    } catch (error) {
      if (error instanceof Fault) return error.message
      throw error
    }
  }
  return match
}
