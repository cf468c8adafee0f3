/** What the parts of a group of the consumer protocol hold in memory. */
import {
  bytesOfProtocols,
  bytesOfText,
  bytesOfTexts,
  bytesPerMember,
  bytesPerName,
  bytesPerPartition,
} from '../memory.ts'
import type { Holding, MemberInfo, Progress, ResolvedPattern, TopicPartitions } from './model.ts'

export function bytesOfInfo(info: MemberInfo | null): number {
  if (info === null) return 0
  const texts = [info.instanceId, info.rackId, info.clientId, info.clientId, info.host, info.pattern, info.assignor]
  return (
    bytesPerMember +
    texts.reduce((sum, text) => sum + bytesOfText(text), 0) +
    bytesOfTexts(info.topics) +
    (info.classic === null ? 0 : bytesOfProtocols(info.classic))
  )
}
export function bytesOfTarget(target: TopicPartitions | null): number {
  let sum = 0
  for (const indexes of target?.values() ?? []) sum += bytesPerName + indexes.size * bytesPerPartition
  return sum
}
function bytesOfHolding(holding: Holding): number {
  let sum = 0
  // Once for the member, once for who owns a partition.
  for (const epochs of holding.values()) sum += bytesPerName + epochs.size * 2 * bytesPerPartition
  return sum
}
export const bytesOfProgress = (progress: Progress | null): number =>
  progress === null ? 0 : bytesPerName + bytesOfHolding(progress.assigned) + bytesOfHolding(progress.revoking)
/** The names are those of the topics, which are there anyway. */
export const bytesOfPattern = (pattern: ResolvedPattern | null): number =>
  pattern === null ? 0 : (1 + pattern.topics.length) * bytesPerName
