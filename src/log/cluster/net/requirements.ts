/**
 * What a cluster must be able to do, looked at before anything else is asked of it: what is missing is said at the start,
 * by name, not found out in the middle of a commit.
 */
import { Fault } from '../../../lib/fault.ts'
import type { Api } from '../../../wire/kafka/codec/shape.ts'
import { produceApi } from '../../../wire/kafka/messages/00-produce.ts'
import { fetchApi } from '../../../wire/kafka/messages/01-fetch.ts'
import { listOffsetsApi } from '../../../wire/kafka/messages/02-list-offsets.ts'
import { metadataApi } from '../../../wire/kafka/messages/03-metadata.ts'
import { offsetCommitApi } from '../../../wire/kafka/messages/08-offset-commit.ts'
import { offsetFetchApi } from '../../../wire/kafka/messages/09-offset-fetch.ts'
import { findCoordinatorApi } from '../../../wire/kafka/messages/10-find-coordinator.ts'
import { joinGroupApi } from '../../../wire/kafka/messages/11-join-group.ts'
import { heartbeatApi } from '../../../wire/kafka/messages/12-heartbeat.ts'
import { leaveGroupApi } from '../../../wire/kafka/messages/13-leave-group.ts'
import { syncGroupApi } from '../../../wire/kafka/messages/14-sync-group.ts'
import { describeGroupsApi } from '../../../wire/kafka/messages/15-describe-groups.ts'
import { listGroupsApi } from '../../../wire/kafka/messages/16-list-groups.ts'
import { createTopicsApi } from '../../../wire/kafka/messages/19-create-topics.ts'
import { deleteTopicsApi } from '../../../wire/kafka/messages/20-delete-topics.ts'
import { deleteRecordsApi } from '../../../wire/kafka/messages/21-delete-records.ts'
import { initProducerIdApi } from '../../../wire/kafka/messages/22-init-producer-id.ts'
import { endTxnApi } from '../../../wire/kafka/messages/26-end-txn.ts'
import { txnOffsetCommitApi } from '../../../wire/kafka/messages/28-txn-offset-commit.ts'
import { describeConfigsApi } from '../../../wire/kafka/messages/32-describe-configs.ts'
import { createPartitionsApi } from '../../../wire/kafka/messages/37-create-partitions.ts'
import { deleteGroupsApi } from '../../../wire/kafka/messages/42-delete-groups.ts'
import { incrementalAlterConfigsApi } from '../../../wire/kafka/messages/44-incremental-alter-configs.ts'
import { describeProducersApi } from '../../../wire/kafka/messages/61-describe-producers.ts'
import { listTransactionsApi } from '../../../wire/kafka/messages/66-list-transactions.ts'
import { type Network, disconnection } from './network.ts'
import type { Versions } from './versions.ts'

export const neededApis: readonly Api[] = [
  produceApi,
  fetchApi,
  listOffsetsApi,
  metadataApi,
  offsetCommitApi,
  offsetFetchApi,
  findCoordinatorApi,
  joinGroupApi,
  heartbeatApi,
  leaveGroupApi,
  syncGroupApi,
  describeGroupsApi,
  listGroupsApi,
  createTopicsApi,
  deleteTopicsApi,
  deleteRecordsApi,
  initProducerIdApi,
  endTxnApi,
  txnOffsetCommitApi,
  describeConfigsApi,
  createPartitionsApi,
  deleteGroupsApi,
  incrementalAlterConfigsApi,
  describeProducersApi,
  listTransactionsApi,
] as unknown as readonly Api[]
/** Transactions that cannot hang, and whose identity changes with each (KIP-890). */
const neededFeatures = { 'transaction.version': 2 } as const

/** Throws Fault cluster.too-old. */
export function requireAll(versions: Versions): void {
  for (const api of neededApis) versions.of(api)
  requireFeatures(versions)
}
function requireFeatures(versions: Versions): void {
  for (const [name, least] of Object.entries(neededFeatures)) {
    const level = versions.feature(name)
    if (level < least) throw new Fault('cluster.too-old', { what: `${name} is ${level}, needed is ${least}` })
  }
}
/** Of the first broker that answers. Throws Fault cluster.too-old, cluster.unavailable. */
export const requireCluster = (network: Network): Promise<void> => requireOf(network, requireAll)
/** The same, of what ticks alone need. */
export const requireTicks = (network: Network): Promise<void> =>
  requireOf(network, (versions) => {
    versions.of(endTxnApi as unknown as Api)
    requireFeatures(versions)
  })

async function requireOf(network: Network, check: (versions: Versions) => void): Promise<void> {
  let why = 'there is no broker'
  for (const broker of network.all()) {
    try {
      return check(await broker.versions())
    } catch (error) {
      why = disconnection(error)
    }
  }
  throw new Fault('cluster.unavailable', { what: 'asking what it can do', why })
}
