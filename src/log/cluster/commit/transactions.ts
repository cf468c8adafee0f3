/**
 * Transactions of others: whose they are, which are open over a partition, and how the one of a dead process is ended. Our
 * transactional ids begin with a prefix and name the process, so that a successor can tell whether it still lives.
 */
import { Fault } from '../../../lib/fault.ts'
import { initProducerIdApi } from '../../../wire/kafka/messages/22-init-producer-id.ts'
import { describeProducersApi } from '../../../wire/kafka/messages/61-describe-producers.ts'
import { listTransactionsApi } from '../../../wire/kafka/messages/66-list-transactions.ts'
import type { Partition } from '../../log.ts'
import { code, faultOf, isPassing } from '../errors.ts'
import type { Coordinators } from '../net/coordinators.ts'
import { askLeaders } from '../net/leaders.ts'
import type { Metadata } from '../net/metadata.ts'
import { type Network, disconnection } from '../net/network.ts'
import type { Identity } from '../write/produce.ts'

const prefix = '_millrace.'
/** After this without a commit the cluster rolls a transaction back itself. */
export const transactionTimeoutMs = 10_000

export const transactionalIdOf = (process: string, number: number): string => `${prefix}${process}.${number}`
/** null: not one of ours. */
export function processOf(transactionalId: string): string | null {
  if (!transactionalId.startsWith(prefix)) return null
  return transactionalId.slice(prefix.length, transactionalId.lastIndexOf('.'))
}

interface Host {
  readonly network: Network
  readonly metadata: Metadata
  readonly coordinators: Coordinators
}

/**
 * A fresh producer id and epoch for the name. Whoever had it before is fenced, and what it left open is rolled back when
 * this resolves.
 */
export async function initTransactionalId(
  { coordinators, network }: Host,
  transactionalId: string,
  withinMs?: number,
): Promise<Identity> {
  const what = `taking the transactional id ${transactionalId}`
  const patience = network.patience(withinMs)
  for (;;) {
    const answer = await coordinators.ask(
      'transaction',
      transactionalId,
      {
        what,
        ask: (broker) =>
          broker.ask('quick', initProducerIdApi, {
            transactionalId,
            transactionTimeoutMs,
            enable2Pc: false,
            keepPreparedTxn: false,
          }),
        errorOf: ({ errorCode }) => errorCode,
      },
      withinMs,
    )
    if (answer.errorCode === code.none) return { producerId: answer.producerId, epoch: answer.producerEpoch }
    // What was open is being rolled back.
    if (answer.errorCode !== code.concurrentTransactions && !isPassing(answer.errorCode))
      throw faultOf(answer.errorCode, { what })
    if (!(await patience.wait())) throw new Fault('cluster.unavailable', { what, why: `error ${answer.errorCode}` })
  }
}

/** Transactional ids, of ours alone, whose transactions are open over the partition. */
export async function openOver(host: Host, partition: Partition): Promise<string[]> {
  const producerIds = await openProducers(host, partition)
  if (producerIds.length === 0) return []
  const found = new Set<string>()
  for (const broker of host.network.all()) {
    try {
      const { transactionStates } = await broker.ask('quick', listTransactionsApi, {
        stateFilters: [],
        producerIdFilters: producerIds,
      })
      for (const { transactionalId } of transactionStates)
        if (processOf(transactionalId) !== null) found.add(transactionalId)
    } catch (error) {
      // Another broker, or the next attempt, knows.
      disconnection(error)
    }
  }
  return [...found]
}
/** Rolls back what a process left open that is known to be dead. */
export async function endTransactionsOf(host: Host, process: string): Promise<void> {
  const answers = await Promise.allSettled(
    host.network
      .all()
      .map((broker) => broker.ask('quick', listTransactionsApi, { stateFilters: ['Ongoing'], producerIdFilters: [] })),
  )
  const open = answers.flatMap((answer) => (answer.status === 'fulfilled' ? answer.value.transactionStates : []))
  const left = open.filter(({ transactionalId }) => processOf(transactionalId) === process)
  await Promise.all(left.map(({ transactionalId }) => initTransactionalId(host, transactionalId)))
}
async function openProducers(host: Host, partition: Partition): Promise<number[]> {
  const [answer] = await askLeaders<{ partition: Partition }, number[]>(
    host,
    'asking for open transactions',
    [{ partition }],
    async (broker) => {
      const { topics } = await broker.ask('quick', describeProducersApi, {
        topics: [{ name: partition.topic, partitionIndexes: [partition.index] }],
      })
      const found = topics[0]?.partitions[0]
      if (found === undefined) return [{ error: code.unknownServerError }]
      if (found.errorCode !== code.none) return [{ error: found.errorCode, message: found.errorMessage }]
      const open = found.activeProducers.filter(({ currentTxnStartOffset }) => currentTxnStartOffset >= 0)
      return [{ value: open.map(({ producerId }) => producerId) }]
    },
  )
  if (answer instanceof Fault) throw answer
  return answer ?? []
}
/** Where the group's positions lie, to ask who holds them open. */
export async function offsetsPartitionOf({ metadata }: Host, group: string): Promise<Partition | null> {
  const topic = '__consumer_offsets'
  const [found] = await metadata.fetch([topic])
  if (found === undefined) return null
  let hash = 0
  // As Java's String.hashCode.
  for (let i = 0; i < group.length; i++) hash = (Math.imul(31, hash) + group.charCodeAt(i)) | 0
  return { topic, index: (hash & 0x7fff_ffff) % found.partitions.length }
}
