/** A connector as it stands in the catalogue, and what its kind makes of it. */
import { Fault } from '../lib/fault.ts'
import { limits } from '../lib/limits.ts'
import { compilePattern } from '../log/pattern.ts'
import type { RestartStrategy } from '../flow/plan.ts'
import { wrongTopicName } from '../log/topic-rules.ts'
import type { ConnectorDefinition, DirectionName } from './connectors.ts'
import type { Kind } from './kind.ts'
import { restartFields, restartOf } from './restart-settings.ts'
import { type Field, type Files, type Given, Settings, wrong } from './settings.ts'

export interface Stored {
  readonly version: 1
  readonly id: string
  readonly kind: string
  readonly direction: DirectionName
  readonly settings: Given
  readonly paused?: true
}
/** null: it is of another version, or damaged. */
export function readStored(value: unknown): Stored | null {
  if (typeof value !== 'object' || value === null) return null
  const { version, id, kind, direction, settings, paused } = value as Record<string, unknown>
  if (version !== 1 || typeof id !== 'string' || typeof kind !== 'string') return null
  if ((direction !== 'source' && direction !== 'sink') || typeof settings !== 'object' || settings === null) return null
  return {
    version,
    id,
    kind,
    direction,
    settings: settings as Given,
    ...(paused === true ? { paused } : {}),
  }
}

/** Of every sink: which of our topics it carries out. */
export const sinkFields: readonly Field[] = [
  { name: 'topics', type: 'list', about: 'topics to carry out; they may come later' },
  { name: 'topics.pattern', type: 'text', about: 'or those whose whole names match this regular expression (RE2)' },
  {
    name: 'start',
    type: ['earliest', 'latest'],
    default: 'earliest',
    about: 'where it begins in what nothing was carried out of yet',
  },
]
export function fieldsOf(kind: Kind, direction: DirectionName): readonly Field[] {
  const own = kind[direction]?.fields ?? []
  return [...(direction === 'sink' ? sinkFields : []), ...own, ...restartFields]
}

/** What is asked for, in a form that can be run. */
export interface Prepared {
  readonly kind: Kind
  readonly direction: DirectionName
  readonly settings: Settings
  readonly strategy: RestartStrategy
  /** Of a sink. */
  readonly matches: ((topic: string) => boolean) | null
  readonly named: readonly string[]
}
/** Throws Fault connect.unknown-kind, connect.invalid-setting. */
export function prepare(
  { kind: kindName, direction, settings: given }: Pick<ConnectorDefinition, 'kind' | 'direction' | 'settings'>,
  kinds: readonly Kind[],
  files: Files,
): Prepared {
  const kind = kinds.find((one) => one.name === kindName)
  if (kind?.[direction] === undefined) {
    const known = kinds.filter((one) => one[direction] !== undefined).map(({ name }) => name)
    throw new Fault('connect.unknown-kind', { kind: kindName.slice(0, 100), direction, known: known.join(', ') })
  }
  const settings = new Settings(fieldsOf(kind, direction), given, files)
  kind[direction].check?.(settings)
  const strategy = restartOf(settings)
  const named = direction === 'sink' ? settings.list('topics') : []
  const matches = direction === 'sink' ? matcher(settings) : null
  return { kind, direction, settings, strategy, named, matches }
}
function matcher(settings: Settings): Prepared['matches'] {
  const pattern = settings.text('topics.pattern')
  const named = settings.list('topics')
  if ((pattern === null) === (named.length === 0)) throw wrong('topics', 'either topics or topics.pattern is given')
  for (const name of named) {
    const why = wrongTopicName(name)
    if (why !== null) throw wrong('topics', `${name}: ${why}`)
  }
  if (pattern === null) return null
  return matching('topics.pattern', pattern)
}
/** Names that match as a whole; those that begin with _ are somebody's own. */
export function matching(setting: string, pattern: string): (name: string) => boolean {
  try {
    const compiled = compilePattern(pattern)
    return (name) => !name.startsWith('_') && compiled.matches(name)
  } catch (error) {
    throw error instanceof Fault ? wrong(setting, error.message) : error
  }
}

/** Its group and topics are named after it. Throws Fault connect.invalid-setting. */
export function checkName(name: string): void {
  const why = wrongTopicName(`${name}.dlq`) ?? (name.startsWith('_') ? 'it begins with _' : null)
  if (why !== null || name.length === 0 || name.length > limits.topicNameLength - longestPrefix)
    throw wrong('name', `${name.slice(0, 100)} cannot name a connector: ${why ?? 'it is too long'}`)
}
const longestPrefix = 32
