/**
 * Partitions that our own writers put nothing more to, by the setting `closed.partitions` of their topic: `0:1,4:5`, each with
 * one that they write to instead. Kinesis' readers leave a shard that was split or merged.
 */
import type { TopicInfo } from './log.ts'

export const closedPartitions = 'closed.partitions'
type Config = TopicInfo['config']
const known = new WeakMap<Config, ReadonlyMap<number, number>>()
const pairs = /^(?:\d{1,6}:\d{1,6}(?:,\d{1,6}:\d{1,6})*)?$/

export const isClosedPartitions = (text: string): boolean => pairs.test(text)
export const closedText = (instead: Iterable<readonly [closed: number, open: number]>): string =>
  Array.from(instead, (pair) => pair.join(':')).join(',')
/** The partition itself, or the one in place of it. */
export function openPartition({ config, partitions }: Pick<TopicInfo, 'config' | 'partitions'>, index: number): number {
  const text = config[closedPartitions]
  if (text === undefined || text === '') return index
  let instead = known.get(config)
  if (instead === undefined)
    known.set(
      config,
      (instead = new Map(text.split(',').map((pair) => pair.split(':').map(Number) as [number, number]))),
    )
  const open = instead.get(index) ?? index
  return open < partitions ? open : index
}
