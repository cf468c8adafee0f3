/** The brokers that keep groups and transactions, found by name and asked until they answer. */
import { Fault } from '../../../lib/fault.ts'
import { findCoordinatorApi } from '../../../wire/kafka/messages/10-find-coordinator.ts'
import { code, faultOf, isCoordinatorMoved, isPassing } from '../errors.ts'
import type { Broker } from './broker.ts'
import { type Network, disconnection, patienceMs } from './network.ts'

const keyTypes = { group: 0, transaction: 1 } as const
export type CoordinatorOf = keyof typeof keyTypes

export class Coordinators {
  readonly #network: Network
  /** Node ids by `type/key`. */
  readonly #known = new Map<string, number>()

  constructor(network: Network) {
    this.#network = network
  }

  /**
   * Asks the coordinator of `key` until the answer's error is none that passes. A lost connection is asked again too: the
   * question must bear that.
   */
  async ask<A>(
    type: CoordinatorOf,
    key: string,
    question: { ask(broker: Broker): Promise<A>; errorOf(answer: A): number; readonly what: string },
    withinMs = patienceMs,
  ): Promise<A> {
    const patience = this.#network.patience(withinMs)
    let why: string
    do {
      try {
        const broker = await this.find(type, key)
        if (broker === null) why = 'there is no coordinator'
        else {
          const answer = await question.ask(broker)
          const error = question.errorOf(answer)
          if (!isCoordinatorMoved(error)) return answer
          why = `error ${error}`
        }
      } catch (error) {
        why = disconnection(error)
      }
      this.forget(type, key)
    } while (await patience.wait())
    throw new Fault('cluster.unavailable', { what: question.what, why })
  }
  /** null = there is none now. Throws Disconnected, or a Fault. */
  async find(type: CoordinatorOf, key: string): Promise<Broker | null> {
    const name = `${type}/${key}`
    const known = this.#known.get(name)
    const broker = known === undefined ? null : this.#network.broker(known)
    if (broker !== null) return broker
    const request = { key: '', keyType: keyTypes[type], coordinatorKeys: [key] }
    const { coordinators } = await this.#network.askAny(findCoordinatorApi, request)
    const [found] = coordinators
    if (found === undefined || isPassing(found.errorCode)) return null
    if (found.errorCode !== code.none)
      throw faultOf(
        found.errorCode,
        { what: `finding the coordinator of ${type} ${key}`, group: key },
        found.errorMessage,
      )
    if (this.#network.broker(found.nodeId) === null) return null
    this.#known.set(name, found.nodeId)
    return this.#network.broker(found.nodeId)
  }
  forget(type: CoordinatorOf, key: string): void {
    this.#known.delete(`${type}/${key}`)
  }
}
