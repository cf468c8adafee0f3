/** A member of a classic consumer group. */
import type { StoredMember } from './formats.ts'
import { bytesOfProtocols, bytesOfText, bytesPerMember, ownBytes, ownProtocols } from './memory.ts'
import type { JoinAnswer, SyncAnswer } from './messages.ts'

export interface Protocol {
  readonly name: string
  readonly metadata: Uint8Array
}
export interface MemberWishes {
  readonly instanceId: string | null
  readonly clientId: string
  readonly host: string
  readonly protocols: readonly Protocol[]
  readonly sessionTimeoutMs: number
  readonly rebalanceTimeoutMs: number
}

export class GroupMember {
  readonly id: string
  readonly instanceId: string | null
  clientId: string
  host: string
  /** In the member's order of preference. */
  protocols: readonly Protocol[]
  sessionTimeoutMs: number
  rebalanceTimeoutMs: number
  #assignment: Uint8Array = new Uint8Array()
  #wishedBytes: number
  /** When it last showed that it lives. */
  heardMs: number
  /** Has asked for its assignment in this generation. */
  synced = false
  answerJoin: ((answer: JoinAnswer) => void) | null = null
  answerSync: ((answer: SyncAnswer) => void) | null = null

  constructor(id: string, wishes: MemberWishes, nowMs: number) {
    this.id = id
    this.instanceId = wishes.instanceId
    this.clientId = wishes.clientId
    this.host = wishes.host
    this.protocols = ownProtocols(wishes)
    this.sessionTimeoutMs = wishes.sessionTimeoutMs
    this.rebalanceTimeoutMs = wishes.rebalanceTimeoutMs
    this.#wishedBytes = bytesOfWishes(wishes)
    this.heardMs = nowMs
  }

  get assignment(): Uint8Array {
    return this.#assignment
  }
  assign(assignment: Uint8Array): void {
    this.#assignment = ownBytes(assignment)
  }
  /** What it holds in memory. */
  get bytes(): number {
    return this.#wishedBytes + this.#assignment.length
  }
  /** We owe it an answer: its silence proves nothing. */
  get waits(): boolean {
    return this.answerJoin !== null || this.answerSync !== null
  }
  supports(protocol: string): boolean {
    return this.protocols.some(({ name }) => name === protocol)
  }
  offersSame(protocols: readonly Protocol[]): boolean {
    return (
      protocols.length === this.protocols.length &&
      protocols.every((one, i) => {
        const mine = this.protocols[i]!
        return one.name === mine.name && Buffer.compare(one.metadata, mine.metadata) === 0
      })
    )
  }
  update(wishes: MemberWishes): void {
    this.clientId = wishes.clientId
    this.host = wishes.host
    this.protocols = ownProtocols(wishes)
    this.sessionTimeoutMs = wishes.sessionTimeoutMs
    this.rebalanceTimeoutMs = wishes.rebalanceTimeoutMs
    this.#wishedBytes = bytesOfWishes(wishes)
  }
}

/** What a member with these wishes holds, before it is assigned anything. */
export const bytesOfWishes = (wishes: MemberWishes): number =>
  bytesPerMember +
  bytesOfText(wishes.instanceId) +
  // Its id begins with it.
  2 * bytesOfText(wishes.clientId) +
  bytesOfProtocols(wishes)

export const memberFrom = (id: string, wishes: MemberWishes, nowMs: number): GroupMember =>
  new GroupMember(id, wishes, nowMs)

export const storedMember = (member: GroupMember, protocol: string): StoredMember => ({
  id: member.id,
  instanceId: member.instanceId,
  clientId: member.clientId,
  host: member.host,
  rebalanceTimeoutMs: member.rebalanceTimeoutMs,
  sessionTimeoutMs: member.sessionTimeoutMs,
  subscription: member.protocols.find(({ name }) => name === protocol)?.metadata ?? new Uint8Array(),
  assignment: member.assignment,
})

/** Of the strategies that all have, the one that most prefer; the first member's order breaks ties. */
export function chooseProtocol(members: readonly (readonly Protocol[])[]): string {
  const common = (members[0] ?? [])
    .map(({ name }) => name)
    .filter((name) => members.every((protocols) => protocols.some((one) => one.name === name)))
  const votes = new Map(common.map((name) => [name, 0]))
  for (const protocols of members) {
    const choice = protocols.find(({ name }) => votes.has(name))?.name
    if (choice !== undefined) votes.set(choice, votes.get(choice)! + 1)
  }
  return common.reduce((best, name) => (votes.get(name)! > votes.get(best)! ? name : best), common[0] ?? '')
}
