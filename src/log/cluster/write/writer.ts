/** `Writer` of the cluster: every entry goes to the queue of its partition; what is on its way is bounded. */
import { Fault, asFault } from '../../../lib/fault.ts'
import { limits } from '../../../lib/limits.ts'
import { initProducerIdApi } from '../../../wire/kafka/messages/22-init-producer-id.ts'
import type { LogMeter } from '../../broker.ts'
import type { Appended, Batch, Partition, Writer } from '../../log.ts'
import { code, faultOf, isPassing } from '../errors.ts'
import type { Metadata } from '../net/metadata.ts'
import { type Network, closedFault } from '../net/network.ts'
import { checkedCopies } from './check.ts'
import { PartitionQueue } from './partition-queue.ts'
import type { Identity } from './produce.ts'
import { Senders } from './senders.ts'

export type Entries = readonly { partition: Partition; batch: Batch }[]
interface Host {
  readonly network: Network
  readonly metadata: Metadata
  readonly meter: LogMeter | null
}

export class ClusterWriter implements Writer {
  readonly #host: Host
  readonly #senders: Senders
  readonly #queues = new Map<string, PartitionQueue>()
  /** Shared by the queues until one of them needs another. */
  #identity: Promise<Identity> | null = null
  #bytes = 0
  #room: (() => void)[] = []

  /** `acks` as on the wire: −1 all replicas in sync, 1 the leader alone. */
  constructor(host: Host, acks: -1 | 1) {
    this.#host = host
    this.#senders = new Senders(acks)
  }
  async append(entries: Entries): Promise<Appended[]> {
    let bytes = 0
    for (const { batch } of entries) bytes += batch.length
    await this.#whenRoom()
    this.#bytes += bytes
    try {
      return await Promise.all(entries.map((entry) => this.#append(entry)))
    } finally {
      this.#bytes -= bytes
      if (this.#bytes < limits.clusterWriterBytes) for (const go of this.#room.splice(0)) go()
    }
  }
  async #whenRoom(): Promise<void> {
    while (this.#bytes >= limits.clusterWriterBytes) await new Promise<void>((resolve) => this.#room.push(resolve))
  }
  #append({ partition, batch }: Entries[number]): Promise<Appended> {
    if (this.#host.network.closing.aborted) return Promise.resolve({ fault: closedFault() })
    try {
      // Queued within this turn, so that entries keep their order.
      const queue = this.#queueOf(partition)
      const parts = checkedCopies(batch).map(async (one) => {
        const appended = await new Promise<Appended>((resolve) => queue.add({ ...one, resolve }))
        if ('offset' in appended) this.#host.meter?.appended(partition.topic, one.records, one.batch.length)
        return appended
      })
      return Promise.all(parts).then((done) => done.find((one) => 'fault' in one) ?? done[0]!)
    } catch (error) {
      return Promise.resolve({ fault: asFault(error) })
    }
  }
  #queueOf(partition: Partition): PartitionQueue {
    const key = `${partition.topic}/${partition.index}`
    let queue = this.#queues.get(key)
    if (queue === undefined) {
      const { network, metadata } = this.#host
      const host = {
        network,
        metadata,
        senders: this.#senders,
        identity: (not: Identity | null) => this.#identityBut(not),
      }
      queue = new PartitionQueue(partition, host, () => this.#trimQueues())
      this.#queues.set(key, queue)
    }
    return queue
  }
  /** A queue remembers its sequence; of very many partitions those used first are forgotten, with a new identity each. */
  #trimQueues(): void {
    if (this.#queues.size <= limits.clusterWriterPartitions) return
    for (const [key, queue] of this.#queues) {
      if (queue.isIdle) this.#queues.delete(key)
      if (this.#queues.size <= limits.clusterWriterPartitions / 2) return
    }
  }
  async #identityBut(not: Identity | null): Promise<Identity> {
    const shared = await this.#identity?.catch(() => null)
    if (shared != null && shared !== not) return shared
    this.#identity = this.#freshIdentity()
    return this.#identity
  }
  async #freshIdentity(): Promise<Identity> {
    const { network } = this.#host
    const patience = network.patience()
    for (;;) {
      const answer = await network.askAny(initProducerIdApi, {
        transactionalId: null,
        transactionTimeoutMs: 60_000,
        enable2Pc: false,
        keepPreparedTxn: false,
      })
      if (answer.errorCode === code.none) return { producerId: answer.producerId, epoch: answer.producerEpoch }
      if (!isPassing(answer.errorCode)) throw faultOf(answer.errorCode, { what: 'taking a producer id' })
      if (!(await patience.wait()))
        throw new Fault('cluster.unavailable', { what: 'taking a producer id', why: `error ${answer.errorCode}` })
    }
  }
}
