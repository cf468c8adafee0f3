/** Until when the members of a group must have been heard of; not stored. */
import type { GroupState } from './state.ts'

interface Watch {
  heardMs: number
  /** A consumer has to say until then that it gave up what it was told to. */
  revokesUntilMs: number
  /** A classic member has to join again, and to ask for its assignment. */
  joinsUntilMs: number
  syncsUntilMs: number
}

export class Watches {
  readonly #state: GroupState
  readonly #sessionMs: () => number
  readonly #members = new Map<string, Watch>()
  /** No deadline lies before it; it may lie before all of them. */
  #soonestMs = Infinity

  constructor(state: GroupState, sessionMs: () => number) {
    this.#state = state
    this.#sessionMs = sessionMs
  }
  #of(member: string, nowMs: number): Watch {
    let watch = this.#members.get(member)
    if (watch === undefined) {
      watch = { heardMs: nowMs, revokesUntilMs: Infinity, joinsUntilMs: Infinity, syncsUntilMs: Infinity }
      this.#members.set(member, watch)
    }
    return watch
  }
  heard(member: string, nowMs: number): void {
    this.#of(member, nowMs).heardMs = nowMs
    this.look(this.#sessionEndMs(member, nowMs))
  }
  #sessionEndMs(member: string, heardMs: number): number {
    return heardMs + (this.#state.infos.get(member)?.classic?.sessionTimeoutMs ?? this.#sessionMs())
  }
  revokes(member: string, untilMs: number): void {
    this.#of(member, -Infinity).revokesUntilMs = untilMs
    this.look(untilMs)
  }
  /** The first time counts: asking it again gives it no more time. */
  mustJoin(member: string, untilMs: number): void {
    const watch = this.#of(member, -Infinity)
    watch.joinsUntilMs = Math.min(watch.joinsUntilMs, untilMs)
    this.look(untilMs)
  }
  joined(member: string, syncsUntilMs: number): void {
    const watch = this.#of(member, -Infinity)
    watch.joinsUntilMs = Infinity
    watch.syncsUntilMs = syncsUntilMs
    this.look(syncsUntilMs)
  }
  synced(member: string): void {
    this.#of(member, -Infinity).syncsUntilMs = Infinity
  }
  /** There may be something to do then. */
  look(atMs: number): void {
    this.#soonestMs = Math.min(this.#soonestMs, atMs)
  }
  nextMs(): number {
    return this.#soonestMs
  }
  /** After a restart: everybody has a whole session to be heard of. */
  begin(nowMs: number): void {
    for (const [member, info] of this.#state.infos) {
      this.heard(member, nowMs)
      if (info.classic === null && this.#state.progressOf(member).state === 'unrevoked')
        this.revokes(member, nowMs + info.rebalanceTimeoutMs)
    }
  }
  /** Members whose time is over. */
  over(nowMs: number): Set<string> {
    const over = new Set<string>()
    this.#soonestMs = Infinity
    for (const member of this.#members.keys()) if (!this.#state.infos.has(member)) this.#members.delete(member)
    for (const member of this.#state.infos.keys()) {
      const watch = this.#of(member, nowMs)
      const { revokesUntilMs, joinsUntilMs, syncsUntilMs } = watch
      const endMs = Math.min(this.#sessionEndMs(member, watch.heardMs), revokesUntilMs, joinsUntilMs, syncsUntilMs)
      if (endMs <= nowMs) over.add(member)
      else this.look(endMs)
    }
    return over
  }
}
