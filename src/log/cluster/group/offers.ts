/**
 * What a member holds, is offered, and will be offered: without I/O. One change at a time is with the task; the next comes
 * when it has been accepted, and only the newest counts.
 */
import type { Claim, Partition } from '../../log.ts'
import { type ClusterClaim, asClaim, placeOf, renew } from './claim.ts'

interface Wish {
  readonly active: readonly Partition[]
  readonly standby: readonly Partition[]
}
interface Given extends Wish {
  readonly claim: ClusterClaim
}
export interface Change extends Wish {
  readonly claim: Claim
  accept(): void
}
export interface OffersHost {
  readonly group: string
  /** Partitions were given up: others wait for them. */
  released(): void
}

export class Offers {
  readonly #host: OffersHost
  #accepted: Given | null = null
  #given: Given | null = null
  #next: Wish | null = null
  #member: { readonly id: string; readonly generation: number } = { id: '', generation: -1 }
  #wake: (() => void) | null = null
  #ended = false
  #failed: Error | null = null

  constructor(host: OffersHost) {
    this.#host = host
  }
  /** What others must not have: also what was offered and not accepted yet. */
  get held(): readonly Partition[] {
    const all = [...(this.#accepted?.active ?? []), ...(this.#given?.active ?? [])]
    return [...new Map(all.map((one) => [placeOf(one), one])).values()]
  }
  /** A generation has begun. `kept`: held, and to be given up by accepting the offer that comes. */
  assigned(member: { id: string; generation: number }, wish: Wish, kept: readonly Partition[]): void {
    this.#member = member
    const mine = [...wish.active, ...kept]
    for (const { claim } of this.#claims())
      if (claim.memberId === member.id) renew(claim, member.generation, mine)
      else claim.lost = true
    if (this.#accepted?.claim.lost === true) this.#accepted = null
    const latest = this.#given ?? this.#accepted
    const isNews =
      latest === null || latest.claim.lost || !same(latest.active, wish.active) || !same(latest.standby, wish.standby)
    this.#next = isNews ? wish : null
    this.#stir()
  }
  /** The member was thrown out, or must take itself to be. */
  lose(): void {
    for (const { claim } of this.#claims()) claim.lost = true
    this.#accepted = null
    this.#next = null
  }
  *#claims(): Iterable<Given> {
    if (this.#accepted !== null) yield this.#accepted
    if (this.#given !== null) yield this.#given
  }
  async *changes(): AsyncIterable<Change> {
    for (;;) {
      while ((this.#next === null || this.#given !== null) && !this.#ended)
        await new Promise<void>((resolve) => (this.#wake = resolve))
      if (this.#failed !== null) throw this.#failed
      if (this.#ended || this.#next === null) return
      const { active, standby } = this.#next
      this.#next = null
      const { id, generation } = this.#member
      const claim: ClusterClaim = { group: this.#host.group, memberId: id, generation, partitions: active, lost: false }
      const given: Given = { claim, active, standby }
      this.#given = given
      yield { claim: asClaim(claim), active, standby, accept: () => this.#accept(given) }
    }
  }
  #accept(given: Given): void {
    if (this.#given !== given) return
    const before = this.#accepted
    if (before !== null) before.claim.lost = true
    this.#given = null
    this.#accepted = given.claim.lost ? null : given
    const places = new Set(given.active.map(placeOf))
    if (before !== null && before.active.some((one) => !places.has(placeOf(one)))) this.#host.released()
    this.#stir()
  }
  end(why: Error | null = null): void {
    this.lose()
    this.#ended = true
    this.#failed = why
    this.#stir()
  }
  #stir(): void {
    this.#wake?.()
    this.#wake = null
  }
}

function same(a: readonly Partition[], b: readonly Partition[]): boolean {
  if (a.length !== b.length) return false
  const places = new Set(a.map(placeOf))
  return b.every((one) => places.has(placeOf(one)))
}
