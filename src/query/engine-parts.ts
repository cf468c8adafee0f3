/** What the statements of the engine share. */
import type { SourcePlan } from '../flow/plan.ts'
import type { Fault } from '../lib/fault.ts'
import type { World } from '../lib/world.ts'
import type { Commits } from '../log/commits.ts'
import type { Log } from '../log/log.ts'
import type { PlanContext } from '../sql/plan/context.ts'
import type { DeclaredFields } from '../schema/contracts.ts'
import type { Definitions } from './definitions.ts'
import type { Rights } from './engine.ts'
import type { LiveStore } from './live-store.ts'
import { shownSchema } from './rights.ts'
import type { Runner } from './runner.ts'

export interface EngineParts {
  readonly log: Log
  readonly world: World
  readonly commits: Commits
  readonly runner: Runner
  readonly definitions: Definitions
  readonly live: LiveStore
  /** Of who asks; every right where nobody does. */
  readonly rights: Rights
  readonly fields: (topic: string) => DeclaredFields | null
  readonly check: (topic: string, event: { key: Uint8Array | null; value: Uint8Array | null }) => Fault | null
}

export function planContext(parts: EngineParts, text: string, parameters: readonly unknown[] | null): PlanContext {
  const schema = shownSchema(parts.rights, parts.definitions)
  return { text, schema, parameters, mode: 'once', ctes: [], close: null, allowUnbounded: false }
}
/** ISO 8601; null for no time at all. */
export function timeText(ms: number): string | null {
  if (!Number.isFinite(ms) || Math.abs(ms) > 8.64e15) return null
  return new Date(ms).toISOString()
}
export const readsKeptRows = (source: SourcePlan): boolean =>
  source.mode !== 'append' && source.fields.every((field) => field.from === 'value')
