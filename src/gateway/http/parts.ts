/** What the routes stand on, given by the composition root. */
import type { Fault } from '../../lib/fault.ts'
import type { Logger } from '../../lib/logger.ts'
import type { World } from '../../lib/world.ts'
import type { Alerts } from '../../act/alerts.ts'
import type { Connectors } from '../../connect/connectors.ts'
import type { Broker } from '../../log/broker.ts'
import type { Commits } from '../../log/commits.ts'
import type { Log } from '../../log/log.ts'
import type { Doctor, Engine } from '../../query/engine.ts'
import type { Contracts } from '../../schema/contracts.ts'
import type { Security } from '../../security/security.ts'
import type { MqttSessions } from '../../telemetry/mqtt-sessions.ts'
import type { ReadersOf } from '../../telemetry/topic-reader.ts'
import type { Telemetry } from '../../telemetry/telemetry.ts'

interface LocalFacts extends Pick<Broker, 'sizeBytes' | 'describeConfig'> {
  /** Damage that was found when the log was opened. */
  readonly recovery: { readonly damaged: readonly Fault[] }
}
export interface Parts {
  readonly world: World
  readonly log: Log
  /** The process's one owner of ticks. */
  readonly commits: Commits
  readonly engine: Engine
  readonly alerts: Alerts
  readonly connectors: Connectors
  readonly contracts: Contracts
  readonly telemetry: Telemetry
  readonly security: Security
  readonly logger: Logger
  /** Through gateways, who are no groups. */
  readonly readersOf: ReadersOf
  /** null: MQTT does not listen. */
  readonly mqttSessions: () => MqttSessions | null
  /** Of other gateways, by protocol. */
  readonly doctors: () => ReadonlyMap<string, Doctor>
  readonly version: string
  /** What only a log on this machine knows; null with a cluster. */
  readonly local: LocalFacts | null
  /** The folder whose disk is watched; null where nothing is on disk. */
  readonly dataPath: string | null
}
