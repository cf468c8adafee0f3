/**
 * Kafka's error numbers as a client meets them: which are asked again, which say that somebody else has to be asked, and
 * the Fault of those that nobody can mend.
 */
import { Fault } from '../../lib/fault.ts'

export const code = {
  none: 0,
  unknownServerError: -1,
  offsetOutOfRange: 1,
  corruptMessage: 2,
  unknownTopicOrPartition: 3,
  leaderNotAvailable: 5,
  notLeader: 6,
  requestTimedOut: 7,
  replicaNotAvailable: 9,
  messageTooLarge: 10,
  networkException: 13,
  coordinatorLoading: 14,
  coordinatorNotAvailable: 15,
  notCoordinator: 16,
  invalidTopic: 17,
  notEnoughReplicas: 19,
  notEnoughReplicasAfterAppend: 20,
  illegalGeneration: 22,
  inconsistentProtocol: 23,
  invalidGroup: 24,
  unknownMember: 25,
  rebalanceInProgress: 27,
  topicAuthorizationFailed: 29,
  groupAuthorizationFailed: 30,
  clusterAuthorizationFailed: 31,
  invalidTimestamp: 32,
  topicExists: 36,
  invalidPartitions: 37,
  invalidConfig: 40,
  notController: 41,
  policyViolation: 44,
  outOfOrderSequence: 45,
  duplicateSequence: 46,
  invalidProducerEpoch: 47,
  invalidTransactionState: 48,
  invalidProducerIdMapping: 49,
  concurrentTransactions: 51,
  transactionalIdAuthorizationFailed: 53,
  storageError: 56,
  saslAuthenticationFailed: 58,
  unknownProducerId: 59,
  nonEmptyGroup: 68,
  groupIdNotFound: 69,
  fencedLeaderEpoch: 74,
  unknownLeaderEpoch: 75,
  unsupportedCompression: 76,
  offsetNotAvailable: 78,
  memberIdRequired: 79,
  fencedInstance: 82,
  invalidRecord: 87,
  unstableOffset: 88,
  throttlingQuotaExceeded: 89,
  producerFenced: 90,
  transactionAbortable: 120,
} as const

/** The leader is somebody else, or on its way: ask for it again. */
const leaderMoved: ReadonlySet<number> = new Set([
  code.unknownTopicOrPartition,
  code.leaderNotAvailable,
  code.notLeader,
  code.replicaNotAvailable,
  code.storageError,
  code.fencedLeaderEpoch,
  code.unknownLeaderEpoch,
  code.offsetNotAvailable,
])
export const isLeaderMoved = (error: number): boolean => leaderMoved.has(error)

const coordinatorMoved: ReadonlySet<number> = new Set([
  code.coordinatorLoading,
  code.coordinatorNotAvailable,
  code.notCoordinator,
])
export const isCoordinatorMoved = (error: number): boolean => coordinatorMoved.has(error)

const passing: ReadonlySet<number> = new Set([
  code.unknownServerError,
  code.requestTimedOut,
  code.networkException,
  code.notEnoughReplicas,
  code.notEnoughReplicasAfterAppend,
  code.notController,
  code.throttlingQuotaExceeded,
])
/** The same request may succeed in a while. */
export const isPassing = (error: number): boolean =>
  passing.has(error) || isLeaderMoved(error) || isCoordinatorMoved(error)

const notAuthorized: ReadonlySet<number> = new Set([
  code.topicAuthorizationFailed,
  code.groupAuthorizationFailed,
  code.clusterAuthorizationFailed,
  code.transactionalIdAuthorizationFailed,
])

/** What the request was about, for the fault's facts. */
export interface About {
  readonly what: string
  readonly topic?: string
  readonly group?: string
}
/** A fault for an answer that will not change by asking again. */
export function faultOf(error: number, about: About, message: string | null = null): Fault {
  const { what, topic, group } = about
  if (topic !== undefined)
    switch (error) {
      case code.unknownTopicOrPartition:
        return new Fault('log.unknown-topic', { topic })
      case code.invalidTopic:
        return new Fault('log.invalid-topic', { topic, why: message ?? 'the cluster refuses it' })
      case code.topicExists:
        return new Fault('log.topic-exists', { topic })
    }
  if (group !== undefined)
    switch (error) {
      case code.groupIdNotFound:
        return new Fault('log.unknown-group', { group })
      case code.nonEmptyGroup:
        return new Fault('log.group-not-empty', { group })
      case code.invalidGroup:
        return new Fault('log.invalid-group', { group, why: message ?? 'the cluster refuses it' })
      case code.inconsistentProtocol:
        return new Fault('log.inconsistent-protocol', { group, why: 'its members speak another protocol' })
    }
  switch (error) {
    case code.corruptMessage:
      return new Fault('log.corrupt-batch', { what: message ?? 'the broker found it damaged' })
    case code.invalidRecord:
      return new Fault('log.invalid-batch', { what: message ?? 'the broker refuses its records' })
    case code.unsupportedCompression:
      return new Fault('log.unsupported-compression', { codec: message ?? 'of the batch' })
    case code.invalidTimestamp:
      return new Fault('log.invalid-timestamp', { timeMs: -1, why: message ?? 'it lies outside what the topic takes' })
  }
  if (notAuthorized.has(error)) return new Fault('cluster.not-authorized', { what })
  if (isPassing(error)) return new Fault('cluster.unavailable', { what, why: `error ${error} did not pass` })
  return new Fault('cluster.refused', { what, error, why: message ?? '' })
}
