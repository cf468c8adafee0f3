/** Kafka's feature levels: which of its versioned behaviours stand here. Clients choose their protocol by some of them. */
import type { SupportedApi } from './handler.ts'

export interface Feature {
  readonly name: string
  readonly level: number
}
interface Known extends Feature {
  /** The API without which the behaviour is not there. */
  readonly needs: number
}
/** Levels of Kafka 4.3 (metadata.version 30 is 4.3-IV0). */
const known: readonly Known[] = [
  { name: 'group.version', level: 1, needs: 68 },
  { name: 'metadata.version', level: 30, needs: 18 },
  { name: 'share.version', level: 1, needs: 76 },
  { name: 'transaction.version', level: 2, needs: 28 },
]

export const featuresOf = (supported: readonly SupportedApi[]): readonly Feature[] =>
  known.filter(({ needs }) => supported.some(({ apiKey }) => apiKey === needs))
