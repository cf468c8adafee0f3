/**
 * What a group of the consumer protocol (KIP-848) consists of. Each of these is one record of `__consumer_offsets`, and
 * the group is what its newest records say: a change is a record's new value, null for one that is gone.
 */
import type { StoredGroup } from '../formats.ts'
import type { Protocol } from '../member.ts'

/** Topic id → indexes. */
export type TopicPartitions = ReadonlyMap<string, ReadonlySet<number>>
/** Topic id → index → the epoch in which the member got it (KIP-1251). */
export type Holding = ReadonlyMap<string, ReadonlyMap<number, number>>

/** What a member said of itself. */
export interface MemberInfo {
  readonly instanceId: string | null
  readonly rackId: string | null
  readonly clientId: string
  readonly host: string
  /** Sorted, each once. */
  readonly topics: readonly string[]
  /** '' for none. */
  readonly pattern: string
  readonly rebalanceTimeoutMs: number
  readonly assignor: string | null
  /** Of a member that speaks the classic protocol in this group. */
  readonly classic: { readonly sessionTimeoutMs: number; readonly protocols: readonly Protocol[] } | null
}
/**
 * How far a member has come towards its target. `unrevoked`: it has been told to give up `revoking` and has not said that
 * it did. `unreleased`: it waits for partitions that others still hold.
 */
export interface Progress {
  readonly epoch: number
  readonly previousEpoch: number
  readonly state: 'stable' | 'unrevoked' | 'unreleased'
  readonly assigned: Holding
  readonly revoking: Holding
}
export interface ResolvedPattern {
  /** Sorted. */
  readonly topics: readonly string[]
  readonly version: number
  readonly timeMs: number
}

export type Change =
  | { readonly kind: 'epoch'; readonly value: { readonly epoch: number; readonly hash: number } | null }
  | { readonly kind: 'assignment'; readonly value: { readonly epoch: number; readonly timeMs: number } | null }
  | { readonly kind: 'info'; readonly member: string; readonly value: MemberInfo | null }
  | { readonly kind: 'target'; readonly member: string; readonly value: TopicPartitions | null }
  | { readonly kind: 'progress'; readonly member: string; readonly value: Progress | null }
  | { readonly kind: 'pattern'; readonly pattern: string; readonly value: ResolvedPattern | null }
/** A change of the group, or what becomes of the classic group of the same name. */
export type GroupChange = Change | { readonly kind: 'classic'; readonly value: StoredGroup | null }

/** A static member that left for a while. */
export const awayEpoch = -2
export const noPartitions: TopicPartitions = new Map()
export const nothingHeld: Holding = new Map()

export function samePartitions(a: TopicPartitions, b: TopicPartitions): boolean {
  if (a === b) return true
  if (a.size !== b.size) return false
  for (const [topic, indexes] of a) {
    const others = b.get(topic)
    if (others === undefined || others.size !== indexes.size) return false
    for (const index of indexes) if (!others.has(index)) return false
  }
  return true
}
export function sameHolding(a: Holding, b: Holding): boolean {
  if (a === b) return true
  if (a.size !== b.size) return false
  for (const [topic, epochs] of a) {
    const others = b.get(topic)
    if (others === undefined || others.size !== epochs.size) return false
    for (const [index, epoch] of epochs) if (others.get(index) !== epoch) return false
  }
  return true
}
export const sameProgress = (a: Progress, b: Progress): boolean =>
  a.epoch === b.epoch &&
  a.previousEpoch === b.previousEpoch &&
  a.state === b.state &&
  sameHolding(a.assigned, b.assigned) &&
  sameHolding(a.revoking, b.revoking)

export const sameTexts = (a: readonly string[], b: readonly string[]): boolean =>
  a.length === b.length && a.every((text, i) => text === b[i])
export function sameInfo(a: MemberInfo, b: MemberInfo): boolean {
  return (
    a.instanceId === b.instanceId &&
    a.rackId === b.rackId &&
    a.clientId === b.clientId &&
    a.host === b.host &&
    a.pattern === b.pattern &&
    a.rebalanceTimeoutMs === b.rebalanceTimeoutMs &&
    a.assignor === b.assignor &&
    sameTexts(a.topics, b.topics) &&
    sameClassic(a.classic, b.classic)
  )
}
function sameClassic(a: MemberInfo['classic'], b: MemberInfo['classic']): boolean {
  if (a === null || b === null) return a === b
  return (
    a.sessionTimeoutMs === b.sessionTimeoutMs &&
    a.protocols.length === b.protocols.length &&
    a.protocols.every((one, i) => {
      const other = b.protocols[i]!
      return one.name === other.name && Buffer.compare(one.metadata, other.metadata) === 0
    })
  )
}
export const sortedTexts = (texts: readonly string[]): string[] => [...new Set(texts)].toSorted()
