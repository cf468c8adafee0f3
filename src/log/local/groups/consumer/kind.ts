/**
 * The two kinds of groups whose partitions are assigned here: of the consumer protocol (KIP-848), and share groups
 * (KIP-932). What differs: who gets which partitions, how a member comes to its target, and the records.
 */
import type { LogRecord, RecordInput } from '../../../batch.ts'
import type { ConsumerHeartbeat } from '../../../broker.ts'
import { type Assignor, assignors, defaultAssignor, isAssignor } from './assignors.ts'
import type { Change, GroupChange, Progress } from './model.ts'
import { type Aim, reconcile } from './reconcile.ts'
import { changeOf, recordOf } from './records.ts'
import type { GroupState } from './state.ts'

export interface GroupKind {
  readonly name: 'consumer' | 'share'
  /** What stands where members do not say which they want. */
  readonly defaultAssignor: string
  assignor(state: GroupState): Assignor
  reconcile(member: Progress, aim: Aim): Progress
  /** A partition is with one member at a time: who sends an older epoch must show that it has no more than it had then. */
  readonly isExclusive: boolean
  /** A member that says all there is to say of itself is told all. */
  saysAll(request: ConsumerHeartbeat): boolean
  stateName(state: GroupState): string
  recordOf(group: string, change: GroupChange, timeMs: number): RecordInput
  changeOf(record: LogRecord): { readonly group: string; readonly change: Change } | null
}

export const consumerKind: GroupKind = {
  name: 'consumer',
  defaultAssignor,
  assignor(state) {
    const name = state.assignor()
    return assignors[name !== null && isAssignor(name) ? name : defaultAssignor]
  },
  reconcile,
  isExclusive: true,
  saysAll: ({ rebalanceTimeoutMs, topics, pattern, owned }) =>
    rebalanceTimeoutMs >= 0 && (topics !== null || pattern !== null) && owned !== null,
  stateName: (state) => state.state(),
  recordOf,
  changeOf,
}
