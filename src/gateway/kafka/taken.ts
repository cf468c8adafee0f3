/** What the sessions of each owner take of the room that there is for those of all. */
import { principalText } from '../../security/principal.ts'
import type { RequestAccess } from './access.ts'

export interface Taken {
  readonly sessions: number
  readonly partitions: number
}
const nothing: Taken = { sessions: 0, partitions: 0 }

/** Principal and address of a client: whose sessions are counted together. */
export const ownerOf = ({ subject: { principal, host } }: RequestAccess): string =>
  `${principalText(principal)}@${host}`

export class TakenByOwner {
  readonly #owners = new Map<string, Taken>()

  of(owner: string): Taken {
    return this.#owners.get(owner) ?? nothing
  }
  add(owner: string, more: Taken): void {
    const { sessions, partitions } = this.of(owner)
    const taken = { sessions: sessions + more.sessions, partitions: partitions + more.partitions }
    if (taken.sessions > 0) this.#owners.set(owner, taken)
    else this.#owners.delete(owner)
  }
  /** How much of it those have that have most. */
  most(what: keyof Taken): number {
    let most = 0
    for (const taken of this.#owners.values()) most = Math.max(most, taken[what])
    return most
  }
}
