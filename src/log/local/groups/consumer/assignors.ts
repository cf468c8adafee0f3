/** Server-side assignors: who is to have which partitions; pure. */
import { range } from './range.ts'
import type { TopicPartitions } from './model.ts'
import { uniform } from './uniform.ts'

export interface AssignedMember {
  readonly id: string
  readonly instanceId: string | null
  /** Ids of topics that are there. Members with the same subscription share one set. */
  readonly topics: ReadonlySet<string>
  /** Its target so far. */
  readonly target: TopicPartitions
}
/** Answers in the order of the members. */
export type Assignor = (
  members: readonly AssignedMember[],
  partitionsOf: (topicId: string) => number,
) => TopicPartitions[]

export const assignors = { uniform, range } satisfies Record<string, Assignor>
export type AssignorName = keyof typeof assignors
export const assignorNames = Object.keys(assignors) as AssignorName[]
export const defaultAssignor: AssignorName = 'uniform'
export const isAssignor = (name: string): name is AssignorName => Object.hasOwn(assignors, name)
