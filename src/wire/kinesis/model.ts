/**
 * The operations of Amazon Kinesis Data Streams and what their requests may say: the public service model (2013-12-02), one
 * line for each shape. Shapes that only channels have are left out: there are no channels here.
 */
import {
  type StructureShape,
  type TextShape,
  type ValueOf,
  anything,
  blob,
  list,
  map,
  needed,
  structure,
  text,
  timestamp,
  truth,
  whole,
} from './shape.ts'

const anyText: TextShape = text({})
const queueARN = text({ min: 1, max: 2048, pattern: 'arn:aws.*:kinesis:.*:\\d{12}:queue/\\S+' })
const receiptHandle = text({ min: 1, max: 1024 })
const acknowledgeDeadLetterQueueRecordsRequestEntry = structure({ ReceiptHandle: needed(receiptHandle) })
const acknowledgeDeadLetterQueueRecordsRequestEntryList = list(acknowledgeDeadLetterQueueRecordsRequestEntry, {
  min: 1,
  max: 10,
})
const acknowledgeQueueRecordsRequestEntry = structure({ ReceiptHandle: needed(receiptHandle) })
const acknowledgeQueueRecordsRequestEntryList = list(acknowledgeQueueRecordsRequestEntry, { min: 1, max: 10 })
const streamName = text({ min: 1, max: 128, pattern: '[a-zA-Z0-9_.-]+' })
const tagKey = text({ min: 1, max: 128 })
const tagValue = text({ min: 0, max: 256 })
const tagMap = map(tagKey, tagValue, { min: 1, max: 200 })
const streamARN = text({ min: 1, max: 2048, pattern: 'arn:aws.*:kinesis:.*:\\d{12}:stream/\\S+' })
const streamId = text({ min: 1, max: 24, pattern: '[a-z0-9]{20}-[a-z0-9]{3}' })
const channelName = text({ min: 1, max: 128, pattern: '[a-zA-Z0-9_.-]+' })
const keyId = text({ min: 1, max: 2048 })
const queueName = text({ min: 1, max: 128, pattern: '[a-zA-Z0-9_.-]+' })
const queueStartingPositionType = text({ values: ['TRIM_HORIZON', 'LATEST', 'AT_TIMESTAMP'] })
const queueStartingPosition = structure({ Type: needed(queueStartingPositionType), Timestamp: timestamp })
const queueStreamConfiguration = structure({ StreamARN: needed(streamARN), StartingPosition: queueStartingPosition })
const queueStreamConfigurationList = list(queueStreamConfiguration, { min: 1, max: 10000 })
const visibilityTimeoutSeconds = whole('Integer', { min: 0, max: 43200 })
const targetType = text({ values: ['BUILT_IN', 'NONE'] })
const maxReceiveCount = whole('Integer', { min: 1, max: 1000 })
const deadLetterConfiguration = structure({ TargetType: needed(targetType), MaxReceiveCount: maxReceiveCount })
const queueAttributes = structure({
  VisibilityTimeoutSeconds: visibilityTimeoutSeconds,
  DeadLetterConfiguration: deadLetterConfiguration,
})
const positiveIntegerObject = whole('Integer', { min: 1 })
const streamMode = text({ values: ['PROVISIONED', 'ON_DEMAND'] })
const streamModeDetails = structure({ StreamMode: needed(streamMode) })
const naturalIntegerObject = whole('Integer', { min: 0 })
const maxRecordSizeInKiB = whole('Integer', { min: 1024, max: 10240 })
const recordDistributionStrategy = text({ values: ['AUTO', 'USER_PARTITION_KEY'] })
const retentionPeriodHours = whole('Integer', {})
const channelARN = text({ min: 1, max: 2048, pattern: 'arn:aws.*:kinesis:.*:\\d{12}:channel/\\S+' })
const resourceARN = text({ min: 1, max: 2048, pattern: 'arn:aws.*:kinesis:.*:\\d{12}:.*(stream|channel|queue)/\\S+' })
const consumerName = text({ min: 1, max: 128, pattern: '[a-zA-Z0-9_.-]+' })
const consumerARN = text({
  min: 1,
  max: 2048,
  pattern: '(arn):aws.*:kinesis:.*:\\d{12}:.*stream\\/[a-zA-Z0-9_.-]+\\/consumer\\/[a-zA-Z0-9_.-]+:[0-9]+',
})
const describeStreamInputLimit = whole('Integer', { min: 1, max: 10000 })
const shardId = text({ min: 1, max: 128, pattern: '[a-zA-Z0-9_.-]+' })
const metricsName = text({
  values: [
    'IncomingBytes',
    'IncomingRecords',
    'OutgoingBytes',
    'OutgoingRecords',
    'WriteProvisionedThroughputExceeded',
    'ReadProvisionedThroughputExceeded',
    'IteratorAgeMilliseconds',
    'ALL',
  ],
})
const metricsNameList = list(metricsName, { min: 1, max: 7 })
const shardIterator = text({ min: 1, max: 512 })
const getRecordsInputLimit = whole('Integer', { min: 1, max: 10000 })
const shardIteratorType = text({
  values: ['AFTER_SEQUENCE_NUMBER', 'LATEST', 'AT_TIMESTAMP', 'AT_SEQUENCE_NUMBER', 'TRIM_HORIZON'],
})
const sequenceNumber = text({ pattern: '0|([1-9]\\d{0,128})' })
const streamFilter = structure({ StreamARN: needed(streamARN), StreamCreationTimestamp: timestamp })
const streamFilterList = list(streamFilter, { min: 1, max: 10000 })
const listChannelsInputLimit = whole('Integer', { min: 1, max: 10000 })
const nextToken = text({ min: 1, max: 1048576 })
const listQueuesInputLimit = whole('Integer', { min: 1, max: 10000 })
const queueStreamFilter = structure({ StreamARN: needed(streamARN), StreamCreationTimestamp: timestamp })
const queueStreamFilterList = list(queueStreamFilter, { min: 1, max: 10000 })
const listShardsInputLimit = whole('Integer', { min: 1, max: 10000 })
const shardFilterType = text({
  values: ['AFTER_SHARD_ID', 'AT_TRIM_HORIZON', 'FROM_TRIM_HORIZON', 'AT_LATEST', 'AT_TIMESTAMP', 'FROM_TIMESTAMP'],
})
const shardFilter = structure({ Type: needed(shardFilterType), ShardId: shardId, Timestamp: timestamp })
const listStreamConsumersInputLimit = whole('Integer', { min: 1, max: 10000 })
const listStreamsInputLimit = whole('Integer', { min: 1, max: 10000 })
const listTagsForStreamInputLimit = whole('Integer', { min: 1, max: 50 })
const data = blob({ min: 0, max: 10485760 })
const partitionKey = text({ min: 1, max: 256 })
const hashKey = text({ pattern: '0|([1-9]\\d{0,38})' })
const putRecordsRequestEntry = structure({ Data: needed(data), ExplicitHashKey: hashKey, PartitionKey: partitionKey })
const putRecordsRequestEntryList = list(putRecordsRequestEntry, { min: 1, max: 500 })
const policy = text({})
const receiveQueueRecordsInputLimit = whole('Integer', { min: 1, max: 10 })
const receiveQueueRecordsWaitTimeSeconds = whole('Integer', { min: 1, max: 20 })
const tagKeyList = list(tagKey, { min: 1, max: 50 })
const restoreDeadLetterQueueRecordsRequestEntry = structure({ ReceiptHandle: needed(receiptHandle) })
const restoreDeadLetterQueueRecordsRequestEntryList = list(restoreDeadLetterQueueRecordsRequestEntry, {
  min: 1,
  max: 10,
})
const encryptionType = text({ values: ['NONE', 'KMS'] })
const startingPosition = structure({
  Type: needed(shardIteratorType),
  SequenceNumber: sequenceNumber,
  Timestamp: timestamp,
})
const minimumThroughputBillingCommitmentInputStatus = text({ values: ['ENABLED', 'DISABLED'] })
const minimumThroughputBillingCommitmentInput = structure({
  Status: needed(minimumThroughputBillingCommitmentInputStatus),
})
const updateDeadLetterQueueRecordsVisibilityRequestEntry = structure({
  ReceiptHandle: needed(receiptHandle),
  VisibilityTimeoutSeconds: needed(visibilityTimeoutSeconds),
})
const updateDeadLetterQueueRecordsVisibilityRequestEntryList = list(
  updateDeadLetterQueueRecordsVisibilityRequestEntry,
  { min: 1, max: 10 },
)
const updateQueueRecordsVisibilityRequestEntry = structure({
  ReceiptHandle: needed(receiptHandle),
  VisibilityTimeoutSeconds: needed(visibilityTimeoutSeconds),
})
const updateQueueRecordsVisibilityRequestEntryList = list(updateQueueRecordsVisibilityRequestEntry, { min: 1, max: 10 })
const scalingType = text({ values: ['UNIFORM_SCALING'] })

export const operations = {
  AcknowledgeDeadLetterQueueRecords: structure({
    QueueARN: needed(queueARN),
    Entries: needed(acknowledgeDeadLetterQueueRecordsRequestEntryList),
  }),
  AcknowledgeQueueRecords: structure({
    QueueARN: needed(queueARN),
    Entries: needed(acknowledgeQueueRecordsRequestEntryList),
  }),
  AddTagsToStream: structure({
    StreamName: streamName,
    Tags: needed(tagMap),
    StreamARN: streamARN,
    StreamId: streamId,
  }),
  CreateChannel: structure({
    ChannelName: needed(channelName),
    ServiceExecutionRoleARN: needed(anyText),
    StreamConfigurationList: needed(list(anything, { min: 1, max: 10000 })),
    Tags: tagMap,
  }),
  CreateQueue: structure({
    QueueName: needed(queueName),
    StreamConfigurationList: needed(queueStreamConfigurationList),
    QueueAttributes: queueAttributes,
    Tags: tagMap,
  }),
  CreateStream: structure({
    StreamName: needed(streamName),
    ShardCount: whole('Integer', { min: 1, max: 100_000 }),
    StreamModeDetails: streamModeDetails,
    Tags: tagMap,
    WarmThroughputMiBps: naturalIntegerObject,
    MaxRecordSizeInKiB: maxRecordSizeInKiB,
    RecordDistributionStrategy: recordDistributionStrategy,
  }),
  DecreaseStreamRetentionPeriod: structure({
    StreamName: streamName,
    RetentionPeriodHours: needed(retentionPeriodHours),
    StreamARN: streamARN,
    StreamId: streamId,
  }),
  DeleteChannel: structure({ ChannelARN: needed(channelARN) }),
  DeleteQueue: structure({ QueueARN: needed(queueARN) }),
  DeleteResourcePolicy: structure({ ResourceARN: needed(resourceARN), StreamId: streamId }),
  DeleteStream: structure({
    StreamName: streamName,
    EnforceConsumerDeletion: truth,
    StreamARN: streamARN,
    StreamId: streamId,
  }),
  DeregisterStreamConsumer: structure({
    StreamARN: streamARN,
    ConsumerName: consumerName,
    ConsumerARN: consumerARN,
    StreamId: streamId,
  }),
  DescribeAccountSettings: structure({}),
  DescribeChannel: structure({ ChannelARN: needed(channelARN) }),
  DescribeLimits: structure({}),
  DescribeQueue: structure({ QueueARN: needed(queueARN) }),
  DescribeStream: structure({
    StreamName: streamName,
    Limit: describeStreamInputLimit,
    ExclusiveStartShardId: shardId,
    StreamARN: streamARN,
    StreamId: streamId,
  }),
  DescribeStreamConsumer: structure({
    StreamARN: streamARN,
    ConsumerName: consumerName,
    ConsumerARN: consumerARN,
    StreamId: streamId,
  }),
  DescribeStreamSummary: structure({ StreamName: streamName, StreamARN: streamARN, StreamId: streamId }),
  DisableEnhancedMonitoring: structure({
    StreamName: streamName,
    ShardLevelMetrics: needed(metricsNameList),
    StreamARN: streamARN,
    StreamId: streamId,
  }),
  EnableEnhancedMonitoring: structure({
    StreamName: streamName,
    ShardLevelMetrics: needed(metricsNameList),
    StreamARN: streamARN,
    StreamId: streamId,
  }),
  GetRecords: structure({
    ShardIterator: needed(shardIterator),
    Limit: getRecordsInputLimit,
    StreamARN: streamARN,
    StreamId: streamId,
    DryRun: truth,
  }),
  GetResourcePolicy: structure({ ResourceARN: needed(resourceARN), StreamId: streamId }),
  GetShardIterator: structure({
    StreamName: streamName,
    ShardId: needed(shardId),
    ShardIteratorType: needed(shardIteratorType),
    StartingSequenceNumber: sequenceNumber,
    Timestamp: timestamp,
    StreamARN: streamARN,
    StreamId: streamId,
    DryRun: truth,
  }),
  IncreaseStreamRetentionPeriod: structure({
    StreamName: streamName,
    RetentionPeriodHours: needed(retentionPeriodHours),
    StreamARN: streamARN,
    StreamId: streamId,
  }),
  ListChannels: structure({ StreamFilter: streamFilterList, MaxResults: listChannelsInputLimit, NextToken: nextToken }),
  ListQueues: structure({
    MaxResults: listQueuesInputLimit,
    NextToken: nextToken,
    StreamFilter: queueStreamFilterList,
  }),
  ListShards: structure({
    StreamName: streamName,
    NextToken: nextToken,
    ExclusiveStartShardId: shardId,
    MaxResults: listShardsInputLimit,
    StreamCreationTimestamp: timestamp,
    ShardFilter: shardFilter,
    StreamARN: streamARN,
    StreamId: streamId,
  }),
  ListStreamConsumers: structure({
    StreamARN: needed(streamARN),
    NextToken: nextToken,
    MaxResults: listStreamConsumersInputLimit,
    StreamCreationTimestamp: timestamp,
    StreamId: streamId,
  }),
  ListStreams: structure({ Limit: listStreamsInputLimit, ExclusiveStartStreamName: streamName, NextToken: nextToken }),
  ListTagsForResource: structure({ ResourceARN: needed(resourceARN), StreamId: streamId }),
  ListTagsForStream: structure({
    StreamName: streamName,
    ExclusiveStartTagKey: tagKey,
    Limit: listTagsForStreamInputLimit,
    StreamARN: streamARN,
    StreamId: streamId,
  }),
  MergeShards: structure({
    StreamName: streamName,
    ShardToMerge: needed(shardId),
    AdjacentShardToMerge: needed(shardId),
    StreamARN: streamARN,
    StreamId: streamId,
  }),
  PutRecord: structure({
    StreamName: streamName,
    Data: needed(data),
    PartitionKey: partitionKey,
    ExplicitHashKey: hashKey,
    SequenceNumberForOrdering: sequenceNumber,
    StreamARN: streamARN,
    StreamId: streamId,
    DryRun: truth,
  }),
  PutRecords: structure({
    Records: needed(putRecordsRequestEntryList),
    StreamName: streamName,
    StreamARN: streamARN,
    StreamId: streamId,
    DryRun: truth,
  }),
  PutResourcePolicy: structure({ ResourceARN: needed(resourceARN), StreamId: streamId, Policy: needed(policy) }),
  ReceiveDeadLetterQueueRecords: structure({
    QueueARN: needed(queueARN),
    Limit: receiveQueueRecordsInputLimit,
    WaitTimeSeconds: receiveQueueRecordsWaitTimeSeconds,
    VisibilityTimeoutSeconds: visibilityTimeoutSeconds,
  }),
  ReceiveQueueRecords: structure({
    QueueARN: needed(queueARN),
    Limit: receiveQueueRecordsInputLimit,
    WaitTimeSeconds: receiveQueueRecordsWaitTimeSeconds,
    VisibilityTimeoutSeconds: visibilityTimeoutSeconds,
  }),
  RegisterStreamConsumer: structure({
    StreamARN: needed(streamARN),
    ConsumerName: needed(consumerName),
    StreamId: streamId,
    Tags: tagMap,
  }),
  RemoveTagsFromStream: structure({
    StreamName: streamName,
    TagKeys: needed(tagKeyList),
    StreamARN: streamARN,
    StreamId: streamId,
  }),
  RestoreDeadLetterQueueRecords: structure({
    QueueARN: needed(queueARN),
    Entries: needed(restoreDeadLetterQueueRecordsRequestEntryList),
  }),
  SplitShard: structure({
    StreamName: streamName,
    ShardToSplit: needed(shardId),
    NewStartingHashKey: needed(hashKey),
    StreamARN: streamARN,
    StreamId: streamId,
  }),
  StartStreamEncryption: structure({
    StreamName: streamName,
    EncryptionType: needed(encryptionType),
    KeyId: needed(keyId),
    StreamARN: streamARN,
    StreamId: streamId,
  }),
  StopStreamEncryption: structure({
    StreamName: streamName,
    EncryptionType: needed(encryptionType),
    KeyId: needed(keyId),
    StreamARN: streamARN,
    StreamId: streamId,
  }),
  SubscribeToShard: structure({
    ConsumerARN: needed(consumerARN),
    StreamId: streamId,
    ShardId: needed(shardId),
    StartingPosition: needed(startingPosition),
    DryRun: truth,
  }),
  TagResource: structure({ Tags: needed(tagMap), ResourceARN: needed(resourceARN), StreamId: streamId }),
  UntagResource: structure({ TagKeys: needed(tagKeyList), ResourceARN: needed(resourceARN), StreamId: streamId }),
  UpdateAccountSettings: structure({
    MinimumThroughputBillingCommitment: needed(minimumThroughputBillingCommitmentInput),
  }),
  UpdateChannel: structure({ ChannelARN: needed(channelARN), Status: anyText }),
  UpdateDeadLetterQueueRecordsVisibility: structure({
    QueueARN: needed(queueARN),
    Entries: needed(updateDeadLetterQueueRecordsVisibilityRequestEntryList),
  }),
  UpdateMaxRecordSize: structure({
    StreamARN: streamARN,
    StreamId: streamId,
    MaxRecordSizeInKiB: needed(maxRecordSizeInKiB),
  }),
  UpdateQueue: structure({ QueueARN: needed(queueARN), QueueAttributes: needed(queueAttributes) }),
  UpdateQueueRecordsVisibility: structure({
    QueueARN: needed(queueARN),
    Entries: needed(updateQueueRecordsVisibilityRequestEntryList),
  }),
  UpdateShardCount: structure({
    StreamName: streamName,
    TargetShardCount: needed(positiveIntegerObject),
    ScalingType: needed(scalingType),
    StreamARN: streamARN,
    StreamId: streamId,
  }),
  UpdateStreamMode: structure({
    StreamARN: needed(streamARN),
    StreamId: streamId,
    StreamModeDetails: needed(streamModeDetails),
    WarmThroughputMiBps: naturalIntegerObject,
  }),
  UpdateStreamRecordDistributionStrategy: structure({
    StreamARN: needed(streamARN),
    StreamId: streamId,
    RecordDistributionStrategy: needed(recordDistributionStrategy),
  }),
  UpdateStreamWarmThroughput: structure({
    StreamARN: streamARN,
    StreamName: streamName,
    StreamId: streamId,
    WarmThroughputMiBps: needed(naturalIntegerObject),
  }),
} as const
/** Limits that the service had in 2020, where they were others. */
const tags2020 = { min: 1, max: 10 }
const hours2020 = needed(whole('Integer', { min: 1, max: 168 }))
export const operations2020: Readonly<Record<string, StructureShape>> = {
  AddTagsToStream: structure({ ...operations.AddTagsToStream.members, Tags: needed(map(tagKey, tagValue, tags2020)) }),
  RemoveTagsFromStream: structure({
    ...operations.RemoveTagsFromStream.members,
    TagKeys: needed(list(tagKey, tags2020)),
  }),
  ListTagsForStream: structure({ ...operations.ListTagsForStream.members, Limit: whole('Integer', tags2020) }),
  IncreaseStreamRetentionPeriod: structure({
    ...operations.IncreaseStreamRetentionPeriod.members,
    RetentionPeriodHours: hours2020,
  }),
  DecreaseStreamRetentionPeriod: structure({
    ...operations.DecreaseStreamRetentionPeriod.members,
    RetentionPeriodHours: hours2020,
  }),
}

export type OperationName = keyof typeof operations
export type InputOf<N extends OperationName> = ValueOf<(typeof operations)[N]>
export const operationNames = Object.keys(operations) as OperationName[]
export const isOperation = (name: string): name is OperationName => Object.hasOwn(operations, name)
