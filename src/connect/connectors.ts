/** Connectors as the layers above see them. What is defined is in the catalogue; a secret comes out nowhere. */
import type { Fault } from '../lib/fault.ts'
import type { Diagnosis } from '../query/engine.ts'
import type { Given } from './settings.ts'

export type DirectionName = 'source' | 'sink'

export interface ConnectorDefinition {
  readonly name: string
  /** `kafka`, `mqtt`, … */
  readonly kind: string
  readonly direction: DirectionName
  readonly settings: Given
}
export interface ConnectorInfo extends ConnectorDefinition {
  /** Failed: it stands still, for good or until `restartsAt`. */
  readonly status: 'running' | 'paused' | 'failed'
  /** The last one, also when it was got over. */
  readonly fault: Fault | null
  /** ISO 8601, of the last fault. */
  readonly faultAt: string | null
  /** ISO 8601; null: nothing starts by itself. */
  readonly restartsAt: string | null
  /** Records that have not been carried over yet; null: nobody can say. */
  readonly lag: number | null
  /** Carried over since this process runs it. */
  readonly records: number
  readonly bytes: number
  /** Kept in `<name>.dlq` since then. */
  readonly refused: number
  readonly restarts: number
  /** ISO 8601, when something was last carried over or refused since then. */
  readonly carriedAt: string | null
}
export interface ConnectorChange {
  /** null takes a setting back to its default. */
  readonly settings?: Readonly<Record<string, string | null>>
  readonly paused?: boolean
}
export interface Connectors {
  list(): Promise<readonly ConnectorInfo[]>
  get(name: string): Promise<ConnectorInfo | null>
  /** Durable when it resolves. Throws Fault connect.exists, connect.unknown-kind, connect.invalid-setting. */
  create(definition: ConnectorDefinition): Promise<ConnectorInfo>
  /** Starts it anew, also when it had failed. Throws Fault connect.unknown-connector, connect.invalid-setting. */
  alter(name: string, change: ConnectorChange): Promise<ConnectorInfo>
  /** What it has carried over stays; where it was is forgotten. */
  remove(name: string): Promise<void>
  /** Why nothing flows: causes, the likeliest first; [] = none is known. Throws Fault connect.unknown-connector. */
  doctor(name: string): Promise<readonly Diagnosis[]>
}
