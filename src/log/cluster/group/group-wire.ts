/** The classic group protocol on the wire. Joining and being told wait for other members: each on a lane of its own. */
import type { AnyShape, Api, Decoded, Encoded } from '../../../wire/kafka/codec/shape.ts'
import { joinGroupApi } from '../../../wire/kafka/messages/11-join-group.ts'
import { heartbeatApi } from '../../../wire/kafka/messages/12-heartbeat.ts'
import { leaveGroupApi } from '../../../wire/kafka/messages/13-leave-group.ts'
import { syncGroupApi } from '../../../wire/kafka/messages/14-sync-group.ts'
import { code, isCoordinatorMoved } from '../errors.ts'
import type { Coordinators } from '../net/coordinators.ts'
import { Disconnected } from '../net/wire-connection.ts'
import { protocolName, protocolType } from './consumer-protocol.ts'
import { GroupError } from './group-error.ts'

/** The shortest that a broker takes by default (`group.min.session.timeout.ms`). Who is known to be dead goes before. */
export const sessionTimeoutMs = 6_000
/** Others wait so long for a member that does not come back to a rebalance. */
const rebalanceTimeoutMs = 10_000
const answerMs = 30_000

export interface Joined {
  readonly memberId: string
  readonly generation: number
  readonly leader: string
  readonly members: readonly { readonly member: string; readonly metadata: Uint8Array }[]
}

export class GroupWire {
  readonly #group: string
  readonly #coordinators: Coordinators

  constructor(group: string, coordinators: Coordinators) {
    this.#group = group
    this.#coordinators = coordinators
  }
  /** `named` hears the id that the coordinator gives before it lets the member in. Throws GroupError, Disconnected. */
  async join(
    metadata: Uint8Array,
    memberId: string,
    signal: AbortSignal,
    named: (id: string) => void,
  ): Promise<Joined> {
    for (let id = memberId; ;) {
      const answer = await this.#askAlone(signal, joinGroupApi, {
        groupId: this.#group,
        sessionTimeoutMs,
        rebalanceTimeoutMs,
        memberId: id,
        protocolType,
        protocols: [{ name: protocolName, metadata }],
      })
      if (answer.errorCode === code.memberIdRequired) {
        id = answer.memberId
        named(id)
        continue
      }
      this.#check(answer.errorCode)
      const members = answer.members.map((one) => ({ member: one.memberId, metadata: one.metadata }))
      return { memberId: answer.memberId, generation: answer.generationId, leader: answer.leader, members }
    }
  }
  async sync(joined: Joined, assignments: ReadonlyMap<string, Uint8Array>, signal: AbortSignal): Promise<Uint8Array> {
    const answer = await this.#askAlone(signal, syncGroupApi, {
      groupId: this.#group,
      generationId: joined.generation,
      memberId: joined.memberId,
      protocolType,
      protocolName,
      assignments: Array.from(assignments, ([member, assignment]) => ({ memberId: member, assignment })),
    })
    this.#check(answer.errorCode)
    return answer.assignment
  }
  /** Kafka's error number. */
  async heartbeat(memberId: string, generationId: number): Promise<number> {
    const broker = await this.#coordinators.find('group', this.#group)
    if (broker === null) throw new Disconnected('the group has no coordinator')
    try {
      const answer = await broker.ask('quick', heartbeatApi, { groupId: this.#group, generationId, memberId })
      if (isCoordinatorMoved(answer.errorCode)) this.#coordinators.forget('group', this.#group)
      return answer.errorCode
    } catch (error) {
      this.#coordinators.forget('group', this.#group)
      throw error
    }
  }
  /** Also for another member, whose process is dead. Throws GroupError. */
  async leave(memberId: string, reason: string): Promise<void> {
    const answer = await this.#coordinators.ask('group', this.#group, {
      what: `leaving group ${this.#group}`,
      ask: (broker) =>
        broker.ask('quick', leaveGroupApi, {
          groupId: this.#group,
          members: [{ memberId, reason }],
          memberId,
        }),
      errorOf: ({ errorCode }) => errorCode,
    })
    this.#check(answer.errorCode)
    const [member] = answer.members
    if (member !== undefined) this.#check(member.errorCode)
  }

  async #askAlone<Q extends AnyShape, A extends AnyShape>(
    signal: AbortSignal,
    api: Api<Q, A>,
    request: Encoded<Q>,
  ): Promise<Decoded<A>> {
    const broker = await this.#coordinators.find('group', this.#group)
    if (broker === null) throw new Disconnected('the group has no coordinator')
    const lane = await broker.lane()
    const stop = (): void => lane.release()
    signal.addEventListener('abort', stop, { once: true })
    try {
      signal.throwIfAborted()
      return await lane.ask(api, request, rebalanceTimeoutMs + answerMs)
    } catch (error) {
      this.#coordinators.forget('group', this.#group)
      throw error
    } finally {
      signal.removeEventListener('abort', stop)
      lane.release()
    }
  }
  #check(error: number): void {
    if (error === code.none) return
    if (isCoordinatorMoved(error)) this.#coordinators.forget('group', this.#group)
    throw new GroupError(error)
  }
}
