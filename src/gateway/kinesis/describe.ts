/** Streams and shards as answers have them. */
import { sequenceNumber, endIndex } from '../../wire/kinesis/sequence-number.ts'
import type { Codec } from './codec.ts'
import { type Shard, childrenOf, hasEnd, isOpen, shardId } from './shards.ts'
import { type Stream, hoursOf } from './streams.ts'

export const firstNumber = (shard: number, { createdMs }: Shard): string =>
  sequenceNumber({ shard, shardCreatedMs: createdMs, index: 0n, timeMs: createdMs })
export const lastNumber = (shard: number, { createdMs, closedMs = 0 }: Shard): string =>
  sequenceNumber({ shard, shardCreatedMs: createdMs, index: endIndex, timeMs: closedMs })

const rangeOf = ({ from, to }: Shard): object => ({ StartingHashKey: from, EndingHashKey: to })
export function shardJson(shards: readonly Shard[], shard: number): object {
  const one = shards[shard]!
  return {
    ShardId: shardId(shard),
    ...(one.parent === undefined ? {} : { ParentShardId: shardId(one.parent) }),
    ...(one.adjacent === undefined ? {} : { AdjacentParentShardId: shardId(one.adjacent) }),
    HashKeyRange: rangeOf(one),
    SequenceNumberRange: {
      StartingSequenceNumber: firstNumber(shard, one),
      ...(hasEnd(one) ? { EndingSequenceNumber: lastNumber(shard, one) } : {}),
    },
  }
}
export const childShards = (shards: readonly Shard[], shard: number): object[] =>
  childrenOf(shards, shard).map((child) => {
    const one = shards[child]!
    const parents = [one.parent, one.adjacent].filter((parent) => parent !== undefined)
    return { ShardId: shardId(child), ParentShards: parents.map(shardId), HashKeyRange: rangeOf(one) }
  })
/** Numbers of the shards that still have something to read: the closed ones go when what they hold is too old to be kept. */
export const shownShards = ({ shards, retentionMs }: Stream, nowMs: number): number[] =>
  shards.flatMap((shard, i) => (!hasEnd(shard) || shard.closedMs! + retentionMs > nowMs ? [i] : []))

const modeOf = ({ onDemand }: Stream): object => ({ StreamMode: onDemand ? 'ON_DEMAND' : 'PROVISIONED' })
/** `is2020`: what there was then. */
export function descriptionJson(stream: Stream, codec: Codec, is2020: boolean): object {
  const { keyId } = stream
  return {
    StreamName: stream.name,
    StreamARN: stream.arn,
    StreamStatus: stream.status,
    ...(is2020 ? {} : { StreamModeDetails: modeOf(stream) }),
    RetentionPeriodHours: hoursOf(stream.retentionMs),
    StreamCreationTimestamp: codec.time(Math.floor(stream.createdMs / 1_000) * 1_000),
    EnhancedMonitoring: [{ ShardLevelMetrics: stream.metrics }],
    EncryptionType: keyId === null ? 'NONE' : 'KMS',
    ...(keyId === null ? {} : { KeyId: keyId }),
  }
}
export function summaryJson(stream: Stream, codec: Codec, is2020: boolean, queues: number): object {
  return {
    ...descriptionJson(stream, codec, is2020),
    OpenShardCount: stream.shards.filter(isOpen).length,
    ConsumerCount: Object.keys(stream.consumers).length,
    ...(is2020
      ? {}
      : {
          StreamId: stream.streamId,
          MaxRecordSizeInKiB: stream.maxRecordKiB,
          ...(stream.onDemand
            ? { WarmThroughput: { TargetMiBps: stream.warmMiBps, CurrentMiBps: stream.warmMiBps } }
            : {}),
          RecordDistributionStrategy: stream.auto ? 'AUTO' : 'USER_PARTITION_KEY',
          ChannelCount: 0,
          QueueCount: queues,
        }),
  }
}
export const streamSummaryJson = (stream: Stream, codec: Codec): object => ({
  StreamName: stream.name,
  StreamARN: stream.arn,
  StreamStatus: stream.status,
  StreamModeDetails: modeOf(stream),
  StreamCreationTimestamp: codec.time(Math.floor(stream.createdMs / 1_000) * 1_000),
})
