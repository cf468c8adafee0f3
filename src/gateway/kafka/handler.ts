/**
 * The form of an API on the server: its message, the versions it is offered in, and a function from request to answer.
 * What the server says it supports is computed from the list of handlers.
 */
import type { Lease } from '../../lib/buffer-pool.ts'
import { Fault, asFault, faults } from '../../lib/fault.ts'
import type { Logger } from '../../lib/logger.ts'
import type { Turns } from '../../lib/turns.ts'
import type { Address } from '../../lib/world.ts'
import type { Broker, ConfigEntry, ResourceConfigs } from '../../log/broker.ts'
import type { Partition, TopicInfo } from '../../log/log.ts'
import type { Api, AnyShape, Decoded, Encoded } from '../../wire/kafka/codec/shape.ts'
import type { ClientQuota } from '../../security/quotas.ts'
import type { Security } from '../../security/security.ts'
import type { Access, RequestAccess } from './access.ts'
import type { ClientTelemetry, TelemetryCaller } from './client-telemetry.ts'
import type { FetchSessions } from './fetch-sessions.ts'
import type { ShareSessions } from './share-sessions.ts'
import type { Session } from './session.ts'
import type { TopicDefaults } from './topic-defaults.ts'

/** What is computed on a topic: clients do not change or delete it then. */
export interface TopicUses {
  /** The view that alone writes it. */
  writerOf(topic: string): string | null
  /** A stream or table over it. */
  readerOf(topic: string): { readonly kind: string; readonly name: string } | null
}
export const unused: TopicUses = { writerOf: () => null, readerOf: () => null }

/** What a handler may know beside its request. */
export interface Exchange {
  readonly broker: Broker
  readonly version: number
  readonly clientId: string
  /** The client's address as Kafka shows it. */
  readonly clientHost: string
  /** Where this connection's client reaches us. */
  readonly node: Address
  /** The port that the client came from. */
  readonly clientPort: number
  readonly sessions: FetchSessions
  readonly shareSessions: ShareSessions
  readonly clientTelemetry: ClientTelemetry
  readonly supported: readonly SupportedApi[]
  readonly topicDefaults: TopicDefaults
  readonly uses: TopicUses
  /** Lists of the request that may be long are gone through by these. */
  readonly turns: Turns
  /** Bytes of records that the answer may have, as busy as it is. */
  readonly answerBytesMax: number
  readonly log: Logger
  /** Who asks. */
  readonly session: Session
  /** What they may do. */
  readonly access: RequestAccess
  readonly security: Security
  /** The protocol of the listener, as Kafka names it: PLAINTEXT, SSL, SASL_PLAINTEXT, SASL_SSL. */
  readonly listenerProtocol: string
  /** So many partitions are made or unmade. False where the quota for that is used up, and the client knows that answer. */
  mutations(count: number, strict: boolean): boolean
  /** The connection ends once the answer has left. */
  endAfter(): void
  /** Of the request's bytes: released by a handler that knows that nobody looks at them any more, else by nobody. */
  readonly lease: Lease
  /** Has `call` called once the answer has left; not at all if it does not. */
  whenSent(call: () => void): void
  /** Aborted when the connection closes. */
  readonly signal: AbortSignal
}
export interface SupportedApi {
  readonly apiKey: number
  readonly minVersion: number
  readonly maxVersion: number
}

/** null: nothing is sent (acks = 0). 'close': nothing is sent, and the connection ends. */
export type Answer<A extends AnyShape> = Encoded<A> | null | 'close'

export interface Handler<Q extends AnyShape = AnyShape, A extends AnyShape = AnyShape> {
  readonly api: Api<Q, A>
  readonly versions: readonly [first: number, last: number]
  /** What of it a client must be allowed. */
  readonly access: Access
  /** The quota that its bytes count for: those of the request, or of the answer. */
  readonly quota?: Extract<ClientQuota, 'producer_byte_rate' | 'consumer_byte_rate'>
  /** Bytes of records in the answer, where they are what counts. */
  answerBytes?(answer: Encoded<A>): number
  /** What ApiVersions says in place of the first version, where clients need it said so. */
  readonly announcedFrom?: number
  /** Requests of this kind begin before the one before them, of the same kind, is answered. */
  readonly pipelined?: boolean
  handle(request: Decoded<Q>, exchange: Exchange): Answer<A> | Promise<Answer<A>>
  /** For counting, where the error codes lie deeper in the answer. */
  firstError?(answer: Encoded<A>): number
}
export const handler = <Q extends AnyShape, A extends AnyShape>(of: Handler<Q, A>): Handler<Q, A> => of

/** We are the only broker. */
export const nodeId = 1
/** The name of the folder that logs lie in. Clients want one; where the data lies is nothing for them. */
export const dataFolder = 'data'
/** "Not asked for", in place of a set of operations. */
export const operationsUnknown = -2_147_483_648

/** Codes of the protocol itself, which no layer below speaks of. */
export const code = {
  none: 0,
  offsetOutOfRange: 1,
  unknownTopicOrPartition: 3,
  leaderNotAvailable: 5,
  coordinatorNotAvailable: 15,
  notCoordinator: 16,
  invalidTopic: 17,
  notEnoughReplicas: 19,
  topicAuthorizationFailed: 29,
  groupAuthorizationFailed: 30,
  clusterAuthorizationFailed: 31,
  invalidRequiredAcks: 21,
  invalidGroupId: 24,
  unsupportedVersion: 35,
  invalidPartitions: 37,
  invalidReplicationFactor: 38,
  invalidReplicaAssignment: 39,
  unsupportedSaslMechanism: 33,
  invalidConfig: 40,
  invalidRequest: 42,
  invalidProducerEpoch: 47,
  invalidTxnState: 48,
  transactionalIdAuthorizationFailed: 53,
  operationNotAttempted: 55,
  logDirNotFound: 57,
  unknownLeaderEpoch: 75,
  fencedLeaderEpoch: 74,
  invalidRecord: 87,
  groupIdNotFound: 69,
  fetchSessionIdNotFound: 70,
  invalidFetchSessionEpoch: 71,
  unknownTopicId: 100,
  electionNotNeeded: 84,
  throttlingQuotaExceeded: 89,
  resourceNotFound: 91,
  duplicateResource: 92,
  noReassignmentInProgress: 85,
  invalidUpdateVersion: 95,
  brokerIdNotRegistered: 102,
  fetchSessionTopicIdError: 106,
  mismatchedEndpointType: 114,
  shareSessionNotFound: 122,
  invalidShareSessionEpoch: 123,
  shareSessionLimitReached: 133,
} as const

export const errorCode = (fault: Fault | null): number => (fault === null ? code.none : faults[fault.code].kafka)
/**
 * The same where the answer is a coordinator's: clients know what to do about one that is not there, and not what to do
 * about a disk that fails or a log that closes.
 */
export function groupErrorCode(fault: Fault | null): number {
  if (fault === null) return code.none
  if (fault.code.startsWith('store.')) return code.notCoordinator
  return fault.code === 'log.closed' ? code.coordinatorNotAvailable : errorCode(fault)
}
/** Why, for people: sentence and hint. */
export const errorMessage = (fault: Fault | null): string | null => (fault === null ? null : shortened(fault.message))
/** What a client sent comes back in messages, and a text on the wire has 32,767 bytes at most. */
export const shortened = (message: string): string =>
  message.length > messageLength ? `${message.slice(0, messageLength)}…` : message
const messageLength = 4_000

/** Names that stand more than once in a list of any length. */
export function repeated(names: readonly string[]): ReadonlySet<string> {
  const seen = new Set<string>()
  return new Set(names.filter((name) => seen.size === seen.add(name).size))
}

/** The value, or the Fault that was thrown in its place. What is not ours is logged: it is a fault of Millrace. */
export async function attempt<T>(exchange: Exchange, call: () => Promise<T> | T): Promise<T | Fault> {
  try {
    return await call()
  } catch (error) {
    const fault = asFault(error)
    if (fault.code === 'internal') exchange.log.error('kafka: a request failed', { error })
    return fault
  }
}

/** Topics by name or, where the message has ids instead, by id. */
export function findTopic(
  { broker }: Exchange,
  by: { readonly name: string | null; readonly id: string } | { readonly name: string },
  byId: boolean,
): TopicInfo | null {
  if (byId && 'id' in by) return broker.catalog.byId(by.id)
  return by.name === null ? null : broker.catalog.byName(by.name)
}

/** What is wrong with the epoch that a client believes is current; 0 = nothing. */
export function epochError({ broker }: Exchange, partition: Partition, believed: number): number {
  if (believed < 0) return code.none
  const current = broker.leaderEpoch(partition)
  if (believed === current) return code.none
  return believed < current ? code.fencedLeaderEpoch : code.unknownLeaderEpoch
}

const internalTopics = new Set(['__consumer_offsets', '__transaction_state', '__share_group_state'])
const ownPrefix = '_millrace_'
/** Kept for the broker itself: clients leave such topics out of patterns. */
export const isInternal = (topic: string): boolean => internalTopics.has(topic) || topic.startsWith(ownPrefix)
/** What clients may not create, because a later part of Millrace may mean it. */
export function reservedName(topic: string): Fault | null {
  if (!topic.startsWith(ownPrefix)) return null
  return new Fault('log.invalid-topic', {
    topic,
    why: `names that begin with ${ownPrefix} are kept for Millrace itself`,
  })
}

/** Why clients may not change a topic: what Millrace keeps or computes there would no longer be true. */
export function keptTopic({ uses }: Pick<Exchange, 'uses'>, topic: string): Fault | null {
  const kept = (why: string): Fault => new Fault('log.topic-kept', { topic, why })
  if (topic.startsWith(ownPrefix)) return kept('Millrace keeps it for itself')
  const view = uses.writerOf(topic)
  return view === null ? null : kept(`it holds the changes of the view ${view}, which alone writes it`)
}
/** Why a topic may not be deleted: a definition stands on it. */
export function readTopic({ uses }: Pick<Exchange, 'uses'>, topic: string): Fault | null {
  const reader = uses.readerOf(topic)
  return reader === null ? null : new Fault('log.topic-in-use', { topic, by: `the ${reader.kind} ${reader.name}` })
}
/** Who has a topic's records delivered to another one (`deliver.to`) writes there. null: they may. */
export function deliveryRefusal(
  exchange: Exchange,
  config: Readonly<Record<string, string | null>>,
): { readonly error: number; readonly message: string } | null {
  const to = config['deliver.to'] ?? ''
  if (to === '') return null
  if (!exchange.access.sees('write', 'topic', to))
    return { error: code.topicAuthorizationFailed, message: shortened(`deliver.to needs the right to write to ${to}.`) }
  const kept = keptTopic(exchange, to)
  return kept === null ? null : { error: errorCode(kept), message: errorMessage(kept)! }
}
/** The same for groups: their positions are how far a view has read. */
export function keptGroup(group: string): Fault | null {
  if (!group.startsWith(ownPrefix)) return null
  return new Fault('log.invalid-group', { group, why: 'Millrace keeps it for itself' })
}

/** Why the settings of a resource are not for who asks; null = they are. */
export function configRefusal(
  operation: 'describe-configs' | 'alter-configs',
  resourceType: number,
  name: string,
  { access }: Exchange,
): { readonly error: number; readonly message: string } | null {
  if (resourceType === resource.topic && !access.may(operation, 'topic', name))
    return { error: code.topicAuthorizationFailed, message: 'Topic authorization failed.' }
  if (resourceType === resource.group && !access.may(operation, 'group', name))
    return { error: code.groupAuthorizationFailed, message: 'Group authorization failed.' }
  if (resourceType !== resource.topic && resourceType !== resource.group && !access.onCluster(operation))
    return { error: code.clusterAuthorizationFailed, message: 'Cluster authorization failed.' }
  return null
}

/** As a client-metrics resource may match it. */
export const telemetryCaller = ({ session, clientId, clientHost, clientPort, signal }: Exchange): TelemetryCaller => ({
  client_id: clientId,
  client_software_name: session.software.name,
  client_software_version: session.software.version,
  client_source_address: clientHost.slice(1),
  client_source_port: String(clientPort),
  signal,
})

/** Numbers of resource types and of where a setting's value comes from. */
export const resource = { topic: 2, broker: 4, brokerLogger: 8, clientMetrics: 16, group: 32 } as const
const source = { topic: 1, broker: 2, 'all-brokers': 3, static: 4, default: 5, clientMetrics: 7, group: 8 } as const
/** Where resources of the type have their settings; null: elsewhere. */
export function resourceConfigs({ broker }: Exchange, resourceType: number): ResourceConfigs | null {
  if (resourceType === resource.group) return broker.groupConfigs
  if (resourceType === resource.broker) return broker.brokerConfigs
  return resourceType === resource.clientMetrics ? broker.clientMetrics : null
}
/** What is said of the others. */
export const settingless = (resourceType: number): string =>
  resourceType === resource.brokerLogger
    ? 'loggers have no levels here: everything of info and above is written to standard error'
    : `resources of type ${resourceType} have no settings`
export const synonymsOf = ({ synonyms = [] }: ConfigEntry): { name: string; value: string; source: number }[] =>
  synonyms.map((one) => ({ ...one, source: source[one.source] }))
export function configSource(entry: ConfigEntry, resourceType: number): number {
  const [first] = synonymsOf(entry)
  if (first !== undefined) return first.source
  if (entry.isDefault) return source.default
  if (entry.readOnly === true) return source.static
  if (resourceType === resource.clientMetrics) return source.clientMetrics
  return resourceType === resource.group ? source.group : source.topic
}
export const configTypeNumber: Readonly<Record<ConfigEntry['type'], number>> = {
  boolean: 1,
  string: 2,
  int: 3,
  long: 5,
  double: 6,
  list: 7,
  password: 9,
}
