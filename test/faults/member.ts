/** A member of a group of the consumer protocol (KIP-848), over one connection. */
import { setTimeout as sleep } from 'node:timers/promises'
import { consumerGroupHeartbeatApi } from '../../src/wire/kafka/messages/68-consumer-group-heartbeat.ts'
import { WireClient } from '../gateway/kafka/wire-client.ts'

/** Kafka's epoch of a member that goes. */
const leaves = -1

export class Member {
  beats = 0
  /** How often it had to join again. */
  joins = 0
  readonly problems: string[] = []
  readonly #address: string
  readonly #topic: string
  readonly #id: string
  #client: WireClient | null = null
  #epoch = 0

  constructor(address: string, topic: string, id = 'the-member') {
    this.#id = id
    this.#address = address
    this.#topic = topic
  }
  /** Says that it lives; gives the error that it is answered. */
  async beat(): Promise<number> {
    const [host, port] = this.#address.split(':') as [string, string]
    if (this.#client === null || this.#client.isClosed)
      this.#client = await WireClient.open({ host, port: Number(port) })
    const { errorCode, memberEpoch } = await this.#client.ask(consumerGroupHeartbeatApi, 0, {
      groupId: `group of ${this.#topic}`,
      memberId: this.#id,
      memberEpoch: this.#epoch,
      ...(this.#epoch === 0
        ? { rebalanceTimeoutMs: 60_000, subscribedTopicNames: [this.#topic], topicPartitions: [] }
        : { rebalanceTimeoutMs: -1, subscribedTopicNames: null, topicPartitions: null }),
      instanceId: null,
      rackId: null,
      serverAssignor: null,
    } as never)
    this.beats++
    this.#epoch = errorCode === 0 ? memberEpoch : 0
    return errorCode
  }
  /** Whoever lets it go is wrong. */
  async mustBeat(): Promise<void> {
    const error = await this.beat()
    if (error !== 0) this.problems.push(`a heartbeat of a member was answered ${error}`)
  }
  /** Until it is a member, joining again where it was let go. Gives the milliseconds. */
  async join(withinMs = 30_000): Promise<number> {
    const start = performance.now()
    while ((await this.beat().catch(() => -1)) !== 0) {
      this.joins++
      if (performance.now() - start > withinMs) throw new Error(`no member again within ${withinMs} ms`)
      await sleep(50)
    }
    return performance.now() - start
  }
  async leave(): Promise<void> {
    this.#epoch = leaves
    await this.beat()
    this.#epoch = 0
  }
  close(): void {
    this.#client?.close()
  }
}
