/** What may be set on topics and subscriptions, within the bounds of the service. */
import { msOf, type Seconds } from '../../wire/protobuf/well-known.ts'
import type { MessageTransform, PushConfig, SubscriptionMessage, TopicMessage } from '../../wire/pubsub/messages.ts'
import { asFault } from '../../lib/fault.ts'
import { RpcError, invalid } from './errors.ts'
import { parseFilter } from './filter.ts'
import { parseName } from './names.ts'
import { checkDeadline } from './settling.ts'
import type { Transforms } from './transforms.ts'

const minuteMs = 60_000
const dayMs = 24 * 3_600_000
const labelForm = /^[\p{Ll}\p{Lo}\p{N}_-]{0,63}$/u

export function checkDuration(given: Seconds | null, field: string, minMs: number, maxMs: number): void {
  if (given === null) return
  const ms = msOf(given)
  if (Math.abs(given.nanos) > 999_999_999 || ms < minMs || ms > maxMs)
    throw invalid(
      `Invalid ${field} given (${field}=${ms / 1000}s). The value must be between ${minMs / 1000}s and ${maxMs / 1000}s.`,
    )
}
export function checkLabels(labels: ReadonlyMap<string, string>): void {
  if (labels.size > 64) throw invalid(`Too many labels: ${labels.size}, and the limit is 64.`)
  for (const [key, value] of labels)
    if (key === '' || !/^[\p{Ll}\p{Lo}]/u.test(key) || !labelForm.test(key) || !labelForm.test(value))
      throw invalid(
        `Invalid label given (${key}=${value}). Keys begin with a lower-case letter; both hold at most 63 lower-case letters, digits, underscores and dashes.`,
      )
}
const unsupported = (what: string): RpcError =>
  new RpcError(
    'UNIMPLEMENTED',
    `${what} is not supported by Millrace. Its connectors (docs/connect.md) may do the same.`,
  )

export async function checkTopic(topic: TopicMessage, transforms: Transforms): Promise<void> {
  checkLabels(topic.labels)
  if (topic.messageStoragePolicy?.allowedPersistenceRegions.length === 0)
    throw invalid('Invalid message_storage_policy given. allowed_persistence_regions must not be empty.')
  checkDuration(topic.messageRetentionDuration, 'message_retention_duration', 10 * minuteMs, 31 * dayMs)
  if (topic.ingestionDataSourceSettings !== null) throw unsupported('Ingestion (ingestion_data_source_settings)')
  await checkTransforms(topic.messageTransforms, transforms)
}
export async function checkSubscription(subscription: SubscriptionMessage, transforms: Transforms): Promise<void> {
  const { ackDeadlineSeconds: seconds } = subscription
  if (seconds !== 0) checkDeadline(seconds, 'ack_deadline_seconds')
  checkLabels(subscription.labels)
  checkDuration(subscription.messageRetentionDuration, 'message_retention_duration', 10 * minuteMs, 31 * dayMs)
  checkDuration(subscription.expirationPolicy?.ttl ?? null, 'expiration_policy.ttl', dayMs, 10_000 * dayMs)
  checkExpiration(subscription)
  checkRetry(subscription)
  checkDeadLetter(subscription)
  if (subscription.filter !== '') checkFilter(subscription.filter)
  if (subscription.bigqueryConfig !== null) throw unsupported('Writing to BigQuery (bigquery_config)')
  if (subscription.cloudStorageConfig !== null) throw unsupported('Writing to Cloud Storage (cloud_storage_config)')
  if (subscription.bigtableConfig !== null) throw unsupported('Writing to Bigtable (bigtable_config)')
  checkPush(subscription.pushConfig)
  if ((subscription.pushConfig?.pushEndpoint ?? '') !== '' && subscription.enableExactlyOnceDelivery)
    throw invalid('Exactly-once delivery is not supported for push subscriptions.')
  await checkTransforms(subscription.messageTransforms, transforms)
}
function checkExpiration({ expirationPolicy, messageRetentionDuration: kept }: SubscriptionMessage): void {
  const ttl = expirationPolicy?.ttl ?? null
  if (ttl !== null && kept !== null && msOf(ttl) < msOf(kept))
    throw invalid(
      `Invalid expiration_policy.ttl given (${msOf(ttl) / 1000}s). It must not be less than message_retention_duration (${msOf(kept) / 1000}s).`,
    )
}
function checkRetry({ retryPolicy }: SubscriptionMessage): void {
  if (retryPolicy === null) return
  const { minimumBackoff: min, maximumBackoff: max } = retryPolicy
  checkDuration(min, 'retry_policy.minimum_backoff', 0, 600_000)
  checkDuration(max, 'retry_policy.maximum_backoff', 0, 600_000)
  if (min !== null && max !== null && msOf(min) > msOf(max))
    throw invalid('Invalid retry_policy given. minimum_backoff must not be more than maximum_backoff.')
}
function checkDeadLetter({ deadLetterPolicy }: SubscriptionMessage): void {
  if (deadLetterPolicy === null) return
  const { deadLetterTopic, maxDeliveryAttempts: attempts } = deadLetterPolicy
  if (deadLetterTopic === '') throw invalid('A dead letter policy must have a dead_letter_topic.')
  parseName('topics', deadLetterTopic)
  if (attempts !== 0 && (attempts < 5 || attempts > 100))
    throw invalid(
      `Invalid max_delivery_attempts given (max_delivery_attempts=${attempts}). The value must be between 5 and 100.`,
    )
}
function checkFilter(filter: string): void {
  try {
    parseFilter(filter)
  } catch (error) {
    throw invalid(`Invalid filter given (filter=${filter.slice(0, 300)}): ${asFault(error).message}`)
  }
}
export function checkPush(config: PushConfig | null): void {
  if (config === null || config.pushEndpoint === '') return
  const url = URL.parse(config.pushEndpoint)
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:') || url.username !== '')
    throw invalid(
      `Invalid push endpoint given (endpoint=${config.pushEndpoint.slice(0, 300)}). It must be an HTTP(S) URL.`,
    )
  for (const [key, value] of config.attributes)
    if (key !== 'x-goog-version' || !/^v1(beta[12])?$/.test(value))
      throw invalid(`Invalid push attribute given (${key.slice(0, 64)}=${value.slice(0, 64)}).`)
}
async function checkTransforms(all: readonly MessageTransform[], transforms: Transforms): Promise<void> {
  if (all.length > 5) throw invalid(`Too many message transforms: ${all.length}, and the limit is 5.`)
  for (const { javascriptUdf, aiInference } of all) {
    if (aiInference !== null) throw unsupported('AI inference (message_transforms.ai_inference)')
    if (javascriptUdf === null) throw invalid('A message transform must have a javascript_udf.')
    await transforms.check(javascriptUdf)
  }
  const names = all.map(({ javascriptUdf }) => javascriptUdf!.functionName)
  const twice = names.find((name, i) => names.indexOf(name) !== i)
  if (twice !== undefined)
    throw invalid(`Invalid message_transforms given. Each must have a function_name of its own, and two have ${twice}.`)
}
