/** Messages of google.pubsub.v1 (pubsub.proto): topics, subscriptions, snapshots, and what passes between. */
import {
  type Of,
  bool,
  bytes,
  enumOf,
  int32,
  int64,
  list,
  message,
  string,
  stringMap,
  sub,
} from '../protobuf/message.ts'
import { duration, fieldMask, timestamp } from '../protobuf/well-known.ts'

const named = 'google.pubsub.v1.'
export const encodings = { ENCODING_UNSPECIFIED: 0, JSON: 1, BINARY: 2 } as const
export type Encoding = keyof typeof encodings

// --- topics

const messageStoragePolicy = message(`${named}MessageStoragePolicy`, {
  allowedPersistenceRegions: list(string(1)),
  enforceInTransit: bool(2),
})
const schemaSettings = message(`${named}SchemaSettings`, {
  schema: string(1),
  encoding: enumOf(2, encodings),
  firstRevisionId: string(3),
  lastRevisionId: string(4),
})
/** The fields of a source are not looked at: there is no ingestion by this name here. */
const source = message(`${named}IngestionDataSourceSettings.Source`, {})
const ingestionDataSourceSettings = message(`${named}IngestionDataSourceSettings`, {
  awsKinesis: sub(1, source),
  cloudStorage: sub(2, source),
  azureEventHubs: sub(3, source),
  platformLogsSettings: sub(4, source),
  awsMsk: sub(5, source),
  confluentCloud: sub(6, source),
})
const javascriptUdf = message(`${named}JavaScriptUDF`, { functionName: string(1), code: string(2) })
export const messageTransform = message(`${named}MessageTransform`, {
  javascriptUdf: sub(2, javascriptUdf),
  aiInference: sub(6, source),
  enabled: bool(3),
  disabled: bool(4),
})
export type MessageTransform = Of<typeof messageTransform>
export const topicMessage = message(`${named}Topic`, {
  name: string(1),
  labels: stringMap(2),
  messageStoragePolicy: sub(3, messageStoragePolicy),
  kmsKeyName: string(5),
  schemaSettings: sub(6, schemaSettings),
  satisfiesPzs: bool(7),
  messageRetentionDuration: sub(8, duration),
  state: enumOf(9, { STATE_UNSPECIFIED: 0, ACTIVE: 1, INGESTION_RESOURCE_ERROR: 2 }),
  ingestionDataSourceSettings: sub(10, ingestionDataSourceSettings),
  messageTransforms: list(13, messageTransform),
  tags: stringMap(14),
})
export type TopicMessage = Of<typeof topicMessage>
export type SchemaSettings = NonNullable<TopicMessage['schemaSettings']>

export const pubsubMessage = message(`${named}PubsubMessage`, {
  data: bytes(1),
  attributes: stringMap(2),
  messageId: string(3),
  publishTime: sub(4, timestamp),
  orderingKey: string(5),
})
export type PubsubMessage = Of<typeof pubsubMessage>
export const getTopicRequest = message(`${named}GetTopicRequest`, { topic: string(1) })
export const updateTopicRequest = message(`${named}UpdateTopicRequest`, {
  topic: sub(1, topicMessage),
  updateMask: sub(2, fieldMask),
})
export const publishRequest = message(`${named}PublishRequest`, { topic: string(1), messages: list(2, pubsubMessage) })
export const publishResponse = message(`${named}PublishResponse`, { messageIds: list(string(1)) })
const page = { pageSize: int32(2), pageToken: string(3) }
const nextPageToken = string(2)
export const listTopicsRequest = message(`${named}ListTopicsRequest`, { project: string(1), ...page })
export const listTopicsResponse = message(`${named}ListTopicsResponse`, {
  topics: list(1, topicMessage),
  nextPageToken,
})
export const listTopicSubscriptionsRequest = message(`${named}ListTopicSubscriptionsRequest`, {
  topic: string(1),
  ...page,
})
export const listTopicSubscriptionsResponse = message(`${named}ListTopicSubscriptionsResponse`, {
  subscriptions: list(string(1)),
  nextPageToken,
})
export const listTopicSnapshotsRequest = message(`${named}ListTopicSnapshotsRequest`, { topic: string(1), ...page })
export const listTopicSnapshotsResponse = message(`${named}ListTopicSnapshotsResponse`, {
  snapshots: list(string(1)),
  nextPageToken,
})
export const deleteTopicRequest = message(`${named}DeleteTopicRequest`, { topic: string(1) })
export const detachSubscriptionRequest = message(`${named}DetachSubscriptionRequest`, { subscription: string(1) })
export const detachSubscriptionResponse = message(`${named}DetachSubscriptionResponse`, {})

// --- subscriptions

const retryPolicy = message(`${named}RetryPolicy`, {
  minimumBackoff: sub(1, duration),
  maximumBackoff: sub(2, duration),
})
const deadLetterPolicy = message(`${named}DeadLetterPolicy`, {
  deadLetterTopic: string(1),
  maxDeliveryAttempts: int32(2),
})
const expirationPolicy = message(`${named}ExpirationPolicy`, { ttl: sub(1, duration) })
export const pushConfigMessage = message(`${named}PushConfig`, {
  pushEndpoint: string(1),
  attributes: stringMap(2),
  oidcToken: sub(3, message(`${named}PushConfig.OidcToken`, { serviceAccountEmail: string(1), audience: string(2) })),
  pubsubWrapper: sub(4, message(`${named}PushConfig.PubsubWrapper`, {})),
  noWrapper: sub(5, message(`${named}PushConfig.NoWrapper`, { writeMetadata: bool(1) })),
})
export type PushConfig = Of<typeof pushConfigMessage>
export const subscriptionMessage = message(`${named}Subscription`, {
  name: string(1),
  topic: string(2),
  pushConfig: sub(4, pushConfigMessage),
  ackDeadlineSeconds: int32(5),
  retainAckedMessages: bool(7),
  messageRetentionDuration: sub(8, duration),
  labels: stringMap(9),
  enableMessageOrdering: bool(10),
  expirationPolicy: sub(11, expirationPolicy),
  filter: string(12),
  deadLetterPolicy: sub(13, deadLetterPolicy),
  retryPolicy: sub(14, retryPolicy),
  detached: bool(15),
  enableExactlyOnceDelivery: bool(16),
  topicMessageRetentionDuration: sub(17, duration),
  bigqueryConfig: sub(18, source),
  state: enumOf(19, { STATE_UNSPECIFIED: 0, ACTIVE: 1, RESOURCE_ERROR: 2 }),
  cloudStorageConfig: sub(22, source),
  messageTransforms: list(25, messageTransform),
  tags: stringMap(26),
  bigtableConfig: sub(27, source),
})
export type RetryPolicy = Of<typeof retryPolicy>
export type SubscriptionMessage = Of<typeof subscriptionMessage>
export const receivedMessage = message(`${named}ReceivedMessage`, {
  ackId: string(1),
  message: sub(2, pubsubMessage),
  deliveryAttempt: int32(3),
})
export type ReceivedMessage = Of<typeof receivedMessage>
export const getSubscriptionRequest = message(`${named}GetSubscriptionRequest`, { subscription: string(1) })
export const updateSubscriptionRequest = message(`${named}UpdateSubscriptionRequest`, {
  subscription: sub(1, subscriptionMessage),
  updateMask: sub(2, fieldMask),
})
export const listSubscriptionsRequest = message(`${named}ListSubscriptionsRequest`, { project: string(1), ...page })
export const listSubscriptionsResponse = message(`${named}ListSubscriptionsResponse`, {
  subscriptions: list(1, subscriptionMessage),
  nextPageToken,
})
export const deleteSubscriptionRequest = message(`${named}DeleteSubscriptionRequest`, { subscription: string(1) })
export const modifyPushConfigRequest = message(`${named}ModifyPushConfigRequest`, {
  subscription: string(1),
  pushConfig: sub(2, pushConfigMessage),
})
export const pullRequest = message(`${named}PullRequest`, {
  subscription: string(1),
  returnImmediately: bool(2),
  maxMessages: int32(3),
})
export const pullResponse = message(`${named}PullResponse`, { receivedMessages: list(1, receivedMessage) })
export const modifyAckDeadlineRequest = message(`${named}ModifyAckDeadlineRequest`, {
  subscription: string(1),
  ackIds: list(string(4)),
  ackDeadlineSeconds: int32(3),
})
export const acknowledgeRequest = message(`${named}AcknowledgeRequest`, {
  subscription: string(1),
  ackIds: list(string(2)),
})
export const streamingPullRequest = message(`${named}StreamingPullRequest`, {
  subscription: string(1),
  ackIds: list(string(2)),
  modifyDeadlineSeconds: list(int32(3)),
  modifyDeadlineAckIds: list(string(4)),
  streamAckDeadlineSeconds: int32(5),
  clientId: string(6),
  maxOutstandingMessages: int64(7),
  maxOutstandingBytes: int64(8),
  protocolVersion: int64(10),
})
export type StreamingPullRequest = Of<typeof streamingPullRequest>
export const streamingPullResponse = message(`${named}StreamingPullResponse`, {
  receivedMessages: list(1, receivedMessage),
  acknowledgeConfirmation: sub(
    5,
    message(`${named}StreamingPullResponse.AcknowledgeConfirmation`, {
      ackIds: list(string(1)),
      invalidAckIds: list(string(2)),
      unorderedAckIds: list(string(3)),
      temporaryFailedAckIds: list(string(4)),
    }),
  ),
  modifyAckDeadlineConfirmation: sub(
    3,
    message(`${named}StreamingPullResponse.ModifyAckDeadlineConfirmation`, {
      ackIds: list(string(1)),
      invalidAckIds: list(string(2)),
      temporaryFailedAckIds: list(string(3)),
    }),
  ),
  subscriptionProperties: sub(
    4,
    message(`${named}StreamingPullResponse.SubscriptionProperties`, {
      exactlyOnceDeliveryEnabled: bool(1),
      messageOrderingEnabled: bool(2),
    }),
  ),
})

// --- snapshots

export const snapshotMessage = message(`${named}Snapshot`, {
  name: string(1),
  topic: string(2),
  expireTime: sub(3, timestamp),
  labels: stringMap(4),
})
export type SnapshotMessage = Of<typeof snapshotMessage>
export const createSnapshotRequest = message(`${named}CreateSnapshotRequest`, {
  name: string(1),
  subscription: string(2),
  labels: stringMap(3),
  tags: stringMap(4),
})
export const updateSnapshotRequest = message(`${named}UpdateSnapshotRequest`, {
  snapshot: sub(1, snapshotMessage),
  updateMask: sub(2, fieldMask),
})
export const getSnapshotRequest = message(`${named}GetSnapshotRequest`, { snapshot: string(1) })
export const listSnapshotsRequest = message(`${named}ListSnapshotsRequest`, { project: string(1), ...page })
export const listSnapshotsResponse = message(`${named}ListSnapshotsResponse`, {
  snapshots: list(1, snapshotMessage),
  nextPageToken,
})
export const deleteSnapshotRequest = message(`${named}DeleteSnapshotRequest`, { snapshot: string(1) })
export const seekRequest = message(`${named}SeekRequest`, {
  subscription: string(1),
  time: sub(2, timestamp),
  snapshot: string(3),
})
export const seekResponse = message(`${named}SeekResponse`, {})
