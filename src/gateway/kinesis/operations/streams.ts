/** Streams: made, described, set, removed. */
import { Fault } from '../../../lib/fault.ts'
import type { Call, Handlers } from '../call.ts'
import { page, pageAfter, pageToken } from '../call.ts'
import { descriptionJson, shardJson, shownShards, streamSummaryJson, summaryJson } from '../describe.ts'
import { inUse, invalid } from '../errors.ts'
import { shardId } from '../shards.ts'
import { type Stream, hoursOf, msOf } from '../streams.ts'
import { type KeptQueue, queuesOf } from './queue-state.ts'
import { tagsOf } from './tag-rules.ts'

const hoursMin = 24
const hoursMax = 8_760
const onDemandShards = 4
const onDemandStreamsMax = 50
const listedDefault = 100
const is2020 = ({ service }: Call): boolean => service.streams.settings.model === '2020'

export const streamOperations = {
  async CreateStream(call) {
    const { input, service } = call
    const { StreamName: name, StreamModeDetails, ShardCount } = input
    call.demand('create', name)
    const onDemand = StreamModeDetails?.StreamMode === 'ON_DEMAND'
    if (onDemand && ShardCount !== undefined)
      throw invalid('ShardCount cannot be specified when StreamMode is ON_DEMAND.')
    const { WarmThroughputMiBps, RecordDistributionStrategy } = input
    if (!onDemand && WarmThroughputMiBps !== undefined) throw warmOnDemand(name)
    if (!onDemand && RecordDistributionStrategy === 'AUTO') throw autoOnDemand(name)
    await service.streams.create({
      name,
      shards: ShardCount ?? onDemandShards,
      onDemand,
      tags: input.Tags === undefined ? {} : tagsOf(input.Tags),
      maxRecordKiB: input.MaxRecordSizeInKiB ?? 1_024,
      warmMiBps: WarmThroughputMiBps ?? 0,
      auto: RecordDistributionStrategy === 'AUTO',
    })
    return null
  },
  async DeleteStream(call) {
    const stream = call.found('delete')
    const reader = call.service.uses.readerOf(stream.name)
    if (reader !== null)
      throw new Fault('log.topic-in-use', { topic: stream.name, by: `the ${reader.kind} ${reader.name}` })
    checkNoQueues(call, stream)
    const consumers = Object.keys(stream.consumers).length
    if (consumers > 0 && call.input.EnforceConsumerDeletion !== true)
      throw inUse(
        `Stream ${stream.name} under account ${call.service.streams.account} has ${consumers} consumers registered: ` +
          'deregister them, or say EnforceConsumerDeletion.',
      )
    await call.service.streams.remove(stream.name)
    return null
  },
  DescribeStream(call) {
    const stream = call.found('describe')
    const { Limit = listedDefault, ExclusiveStartShardId } = call.input
    const shown = stream.status === 'CREATING' ? [] : shownShards(stream, call.nowMs)
    const { some, more } = page(shown, Limit, (shard) => shardId(shard) > (ExclusiveStartShardId ?? ''))
    return {
      StreamDescription: {
        ...descriptionJson(stream, call.codec, is2020(call)),
        Shards: some.map((shard) => shardJson(stream.shards, shard)),
        HasMoreShards: more,
      },
    }
  },
  DescribeStreamSummary(call) {
    const stream = call.found('describe')
    const queues = queuesOn(call, stream).length
    return { StreamDescriptionSummary: summaryJson(stream, call.codec, is2020(call), queues) }
  },
  ListStreams(call) {
    const { streams } = call.service
    const { Limit = listedDefault, ExclusiveStartStreamName, NextToken } = call.input
    const after = ExclusiveStartStreamName ?? pageAfter(NextToken)
    const names = streams.names().filter((name) => call.sees('describe', name))
    const { some, more } = page(names, Limit, (name) => name > after)
    const answer = { StreamNames: some, HasMoreStreams: more }
    if (is2020(call)) return answer
    const summaries = some.flatMap((name) => {
      const stream = streams.find(name)
      return stream === null ? [] : [streamSummaryJson(stream, call.codec)]
    })
    return { ...answer, StreamSummaries: summaries, ...(more ? { NextToken: pageToken(some.at(-1)!) } : {}) }
  },
  DescribeLimits(call) {
    call.demandCluster('describe')
    const { streams } = call.service
    const onDemand = streams.names().filter((name) => streams.find(name)?.onDemand === true)
    return {
      ShardLimit: streams.settings.shardsMax,
      OpenShardCount: streams.openShards(),
      OnDemandStreamCount: onDemand.length,
      OnDemandStreamCountLimit: Math.max(onDemandStreamsMax, onDemand.length),
      ChannelCount: 0,
      ChannelCountLimit: 0,
    }
  },
  DescribeAccountSettings(call) {
    call.demandCluster('describe')
    return { MinimumThroughputBillingCommitment: commitmentOf(call) }
  },
  async UpdateAccountSettings(call) {
    call.demandCluster('alter')
    const { Status } = call.input.MinimumThroughputBillingCommitment
    const startedMs = call.nowMs
    await call.service.streams.kept.set([['account', { status: Status, startedMs }]])
    return { MinimumThroughputBillingCommitment: commitmentOf(call) }
  },
  async IncreaseStreamRetentionPeriod(call) {
    const stream = call.found('alter-configs')
    const { RetentionPeriodHours: hours } = call.input
    checkHours(hours)
    const before = hoursOf(stream.retentionMs)
    if (hours < before)
      throw invalid(
        `Requested retention period (${hours} hours) for stream ${stream.name} can not be shorter than existing retention ` +
          `period (${before} hours). Use DecreaseRetentionPeriod API.`,
      )
    await call.service.streams.setRetention(stream.name, msOf(hours))
    return null
  },
  async DecreaseStreamRetentionPeriod(call) {
    const stream = call.found('alter-configs')
    const { RetentionPeriodHours: hours } = call.input
    checkHours(hours)
    const before = hoursOf(stream.retentionMs)
    if (hours > before)
      throw invalid(
        `Requested retention period (${hours} hours) for stream ${stream.name} can not be longer than existing retention ` +
          `period (${before} hours). Use IncreaseRetentionPeriod API.`,
      )
    await call.service.streams.setRetention(stream.name, msOf(hours))
    return null
  },
  async UpdateStreamMode(call) {
    const name = call.reshards()
    const stream = call.service.streams.active(name)
    const { StreamModeDetails, WarmThroughputMiBps } = call.input
    const onDemand = StreamModeDetails.StreamMode === 'ON_DEMAND'
    if (!onDemand && WarmThroughputMiBps !== undefined) throw warmOnDemand(name)
    if (!onDemand && stream.onDemand) checkNoQueues(call, stream)
    await call.service.streams.change(name, () => ({
      onDemand,
      // What only on-demand streams have.
      ...(onDemand ? {} : { auto: false, warmMiBps: 0 }),
      ...(WarmThroughputMiBps === undefined ? {} : { warmMiBps: WarmThroughputMiBps }),
    }))
    return null
  },
  async UpdateMaxRecordSize(call) {
    const name = call.stream('alter-configs')
    call.service.streams.active(name)
    await call.service.streams.setMaxRecord(name, call.input.MaxRecordSizeInKiB)
    return null
  },
  async UpdateStreamWarmThroughput(call) {
    const name = call.stream('alter')
    const stream = call.service.streams.active(name)
    if (!stream.onDemand) throw warmOnDemand(name)
    const { WarmThroughputMiBps } = call.input
    await call.service.streams.change(name, () => ({ warmMiBps: WarmThroughputMiBps }))
    const WarmThroughput = { TargetMiBps: WarmThroughputMiBps, CurrentMiBps: WarmThroughputMiBps }
    return { StreamARN: stream.arn, StreamName: name, WarmThroughput }
  },
  async UpdateStreamRecordDistributionStrategy(call) {
    const name = call.stream('alter')
    const auto = call.input.RecordDistributionStrategy === 'AUTO'
    await call.service.streams.change(name, ({ onDemand }) => {
      if (auto && !onDemand) throw autoOnDemand(name)
      return { auto }
    })
    return null
  },
  async StartStreamEncryption(call) {
    const name = call.stream('alter')
    call.service.streams.active(name)
    const { EncryptionType, KeyId } = call.input
    if (EncryptionType !== 'KMS') throw invalid('EncryptionType is KMS for a stream that is to be encrypted.')
    await call.service.streams.change(name, () => ({ keyId: KeyId }))
    return null
  },
  async StopStreamEncryption(call) {
    const name = call.stream('alter')
    call.service.streams.active(name)
    await call.service.streams.change(name, () => ({ keyId: null }))
    return null
  },
  EnableEnhancedMonitoring: (call) => monitored(call, (before, some) => [...new Set([...before, ...some])]),
  DisableEnhancedMonitoring: (call) => monitored(call, (before, some) => before.filter((one) => !some.includes(one))),
} satisfies Partial<Handlers>

const warmOnDemand = (name: string): Error =>
  invalid(`Warm throughput is for streams with the mode ON_DEMAND; ${name} is PROVISIONED.`)
const autoOnDemand = (name: string): Error =>
  invalid(`The record distribution strategy AUTO is for streams with the mode ON_DEMAND; ${name} is PROVISIONED.`)
const queuesOn = ({ service }: Call, { topicId }: Stream): KeptQueue[] =>
  queuesOf(service.streams).filter(({ streams }) => streams.some((one) => one.topicId === topicId))
/** Throws ServiceError ResourceInUseException. */
function checkNoQueues(call: Call, stream: Stream): void {
  const queues = queuesOn(call, stream).length
  if (queues > 0)
    throw inUse(
      `Stream ${stream.name} under account ${call.service.streams.account} has ${queues} queues: delete them first (DeleteQueue).`,
    )
}

const allMetrics = [
  'IncomingBytes',
  'IncomingRecords',
  'OutgoingBytes',
  'OutgoingRecords',
  'WriteProvisionedThroughputExceeded',
  'ReadProvisionedThroughputExceeded',
  'IteratorAgeMilliseconds',
]
async function monitored(
  call: Call<'EnableEnhancedMonitoring'> | Call<'DisableEnhancedMonitoring'>,
  next: (before: readonly string[], some: readonly string[]) => readonly string[],
): Promise<object> {
  const { streams } = call.service
  const { name, arn } = call.found('alter')
  const asked = call.input.ShardLevelMetrics
  let current: readonly string[] = []
  let desired: readonly string[] = []
  await streams.change(name, ({ metrics }) => {
    current = metrics
    desired = next(metrics, asked.includes('ALL') ? allMetrics : asked)
    return { metrics: desired }
  })
  return { StreamName: name, StreamARN: arn, CurrentShardLevelMetrics: current, DesiredShardLevelMetrics: desired }
}
function checkHours(hours: number): void {
  if (hours < hoursMin)
    throw invalid(
      `Minimum allowed retention period is ${hoursMin} hours. Requested retention period (${hours} hours) is too short.`,
    )
  if (hours > hoursMax)
    throw invalid(
      `Maximum allowed retention period is ${hoursMax} hours. Requested retention period (${hours} hours) is too long.`,
    )
}
function commitmentOf({ service, codec }: Call): object {
  const kept = service.streams.kept.get('account') as { status: string; startedMs: number } | null
  if (kept === null || kept.status === 'DISABLED') return { Status: 'DISABLED' }
  return { Status: kept.status, StartedAt: codec.time(kept.startedMs) }
}
