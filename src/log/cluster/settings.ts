/** Where the cluster is and how it is talked to. */
import type { Logger } from '../../lib/logger.ts'
import type { Address, TlsClient, World } from '../../lib/world.ts'
import type { LogMeter } from '../broker.ts'

export type SaslMechanism = 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512'
export interface SaslSettings {
  readonly mechanism: SaslMechanism
  readonly username: string
  readonly password: string
}
export interface ClusterSettings {
  readonly world: World
  /** Any of its brokers, to begin with. */
  readonly brokers: readonly Address[]
  readonly tls?: TlsClient
  readonly sasl?: SaslSettings
  /** Where other processes see that this one lives; null = nowhere: its death is then seen by the session timeout alone. */
  readonly peer?: { readonly listen: Address; readonly advertise?: Address } | null
  readonly meter?: LogMeter | null
  readonly logger?: Logger
}
