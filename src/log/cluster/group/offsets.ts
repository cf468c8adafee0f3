/** Committed positions of a group, read and set. */
import { offsetCommitApi } from '../../../wire/kafka/messages/08-offset-commit.ts'
import { offsetFetchApi } from '../../../wire/kafka/messages/09-offset-fetch.ts'
import type { At, Partition } from '../../log.ts'
import { code, faultOf } from '../errors.ts'
import type { Coordinators } from '../net/coordinators.ts'
import { byTopic } from '../net/leaders.ts'
import { placeOf } from './claim.ts'

const noTopicId = '00000000-0000-0000-0000-000000000000'

export interface Committed {
  readonly partition: Partition
  /** −1: none, or not settled. */
  readonly offset: number
  /** For what our ticks commit: the transactional id of the process that did. */
  readonly metadata: string
  /** A transaction is open over it (asked with `stable` alone). */
  readonly unstable: boolean
}

/** All there are when `of` is null. */
export async function committedOf(
  coordinators: Coordinators,
  group: string,
  of: readonly Partition[] | null,
  stable: boolean,
): Promise<readonly Committed[]> {
  const answer = await coordinators.ask('group', group, {
    what: `asking for positions of group ${group}`,
    ask: (broker) =>
      broker.ask('quick', offsetFetchApi, {
        groups: [
          {
            groupId: group,
            topics:
              of === null
                ? null
                : byTopic(of.map((partition) => ({ partition }))).map(({ topic, items }) => ({
                    topicId: noTopicId,
                    name: topic,
                    partitionIndexes: items.map(({ partition }) => partition.index),
                  })),
          },
        ],
        groupId: group,
        topics: null,
        requireStable: stable,
      }),
    errorOf: ({ groups }) => groups[0]?.errorCode ?? code.unknownServerError,
  })
  const [found] = answer.groups
  if (found === undefined || found.errorCode === code.groupIdNotFound) return []
  if (found.errorCode !== code.none) throw faultOf(found.errorCode, { what: `positions of group ${group}`, group })
  return found.topics.flatMap(({ name, partitions }) =>
    partitions.map(({ partitionIndex, committedOffset, metadata, errorCode }): Committed => {
      if (errorCode !== code.none && errorCode !== code.unstableOffset && errorCode !== code.unknownTopicOrPartition)
        throw faultOf(errorCode, { what: `positions of group ${group}`, topic: name })
      return {
        partition: { topic: name, index: partitionIndex },
        offset: errorCode === code.none ? committedOffset : -1,
        metadata: metadata ?? '',
        unstable: errorCode === code.unstableOffset,
      }
    }),
  )
}
export const byPlace = (committed: readonly Committed[]): ReadonlyMap<string, Committed> =>
  new Map(committed.map((one) => [placeOf(one.partition), one]))

/** Outside of any membership: the group must be empty. Kafka's error number of the first that is refused. */
export async function setPositions(coordinators: Coordinators, group: string, to: readonly At[]): Promise<number> {
  const answer = await coordinators.ask('group', group, {
    what: `setting positions of group ${group}`,
    ask: (broker) =>
      broker.ask('quick', offsetCommitApi, {
        groupId: group,
        generationIdOrMemberEpoch: -1,
        memberId: '',
        topics: byTopic(to).map(({ topic, items }) => ({
          topicId: noTopicId,
          name: topic,
          partitions: items.map(({ partition, offset }) => ({
            partitionIndex: partition.index,
            committedOffset: offset,
            committedMetadata: '',
          })),
        })),
      }),
    errorOf: ({ topics }) => topics[0]?.partitions[0]?.errorCode ?? code.none,
  })
  const errors = answer.topics.flatMap(({ partitions }) => partitions.map(({ errorCode }) => errorCode))
  return errors.find((error) => error !== code.none) ?? code.none
}
