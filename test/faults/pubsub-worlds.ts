/**
 * What a subscription may be like, for all that its only client knows. Each world says of every message whether it is due
 * (has to come), done (must not come) or open (either). Where the process died before it answered a seek there are two
 * worlds, one with it and one without; what is delivered, and what does not come, rules worlds out. None left: the
 * subscription is like neither, so something was lost, given twice, or done by halves.
 */
export type Fate = 'due' | 'done' | 'open'
export interface Message {
  readonly id: string
  readonly key: string
  /** Of its key, rising. */
  readonly number: number
  /** Its publish time lies between. */
  readonly fromMs: number
  readonly toMs: number
  /** Its publishing was answered; else it may be there or not. */
  readonly isSure: boolean
}
export interface Kind {
  readonly name: string
  readonly ordered: boolean
  readonly exact: boolean
  /** `retain_acked_messages`: a seek to a time brings back what was acknowledged. */
  readonly retains: boolean
}
export type Place = { readonly snapshot: string } | { readonly timeMs: number }
/** Whether it was answered. */
type Certainty = 'sure' | 'maybe'

interface World {
  readonly says: string
  readonly fates: Map<string, Fate>
  why: string | null
}
/** The clocks of two processes of a machine are one; a publish time is cut to the millisecond. */
const timeSlackMs = 2

export class Worlds {
  readonly kind: Kind
  readonly problems: string[] = []
  readonly #messages = new Map<string, Message>()
  /** Published before it was deleted and made again. */
  readonly #former = new Set<string>()
  readonly #snapshots = new Map<string, ReadonlyMap<string, Fate>>()
  #worlds: World[] = [{ says: 'as it was answered', fates: new Map(), why: null }]
  /** Delivered since what is out was last given out anew. */
  readonly #handed = new Set<string>()

  constructor(kind: Kind) {
    this.kind = kind
  }
  get #left(): World[] {
    return this.#worlds.filter(({ why }) => why === null)
  }
  get count(): number {
    return this.#left.length
  }
  get messages(): number {
    return this.#messages.size
  }
  get snapshots(): string[] {
    return [...this.#snapshots.keys()]
  }
  /** Times that lie between two publishings, oldest first. */
  get timesMs(): number[] {
    return [...new Set(Array.from(this.#messages.values(), ({ fromMs }) => fromMs))]
  }
  /** What has to come in every world, or in one of them. */
  due(how: 'every' | 'some'): string[] {
    const worlds = this.#left
    const isDue = (id: string): boolean => {
      const all = worlds.map(({ fates }) => fates.get(id) === 'due')
      return how === 'every' ? all.every(Boolean) : all.some(Boolean)
    }
    return [...this.#messages.keys()].filter(isDue)
  }

  // --- what is done

  published(message: Message): void {
    this.#messages.set(message.id, message)
    for (const { fates } of this.#worlds) fates.set(message.id, message.isSure ? 'due' : 'open')
  }
  acknowledged(ids: readonly string[], how: Certainty): void {
    for (const { fates } of this.#worlds)
      for (const id of ids)
        if (how === 'sure') fates.set(id, 'done')
        else if (fates.get(id) === 'due') fates.set(id, 'open')
  }
  /** What is out of these keys will be given out again. */
  givenBack(ids: readonly string[]): void {
    const keys = new Set(ids.map((id) => this.#messages.get(id)?.key))
    for (const id of this.#handed) if (keys.has(this.#messages.get(id)?.key)) this.#handed.delete(id)
  }
  /** Only where there is one world. */
  snapshot(name: string): void {
    this.#snapshots.set(name, new Map(this.#left[0]!.fates))
  }
  forget(name: string): void {
    this.#snapshots.delete(name)
  }
  /** `during`: what was being published meanwhile. */
  sought(to: Place, how: Certainty, during: readonly Message[] = []): void {
    const from = this.#left
    const after = from.map(({ fates }): World => ({ says: 'with the seek', fates: this.#after(to, fates), why: null }))
    for (const { id, fromMs } of during)
      if ('timeMs' in to && to.timeMs >= fromMs) for (const { fates } of after) fates.set(id, 'open')
    if (how === 'sure') this.#worlds = after
    else this.#worlds = [...from.map((one) => ({ ...one, says: 'without the seek' })), ...after]
    this.#handed.clear()
  }
  #after(to: Place, before: ReadonlyMap<string, Fate>): Map<string, Fate> {
    const fates = new Map<string, Fate>()
    const captured = 'snapshot' in to ? this.#snapshots.get(to.snapshot)! : null
    for (const [id, message] of this.#messages) {
      const there: Fate = message.isSure ? 'due' : 'open'
      if (captured !== null) fates.set(id, captured.get(id) ?? there)
      else if ('timeMs' in to) {
        const kept = this.kind.retains ? there : before.get(id)!
        if (message.toMs + timeSlackMs < to.timeMs) fates.set(id, 'done')
        else fates.set(id, message.fromMs - timeSlackMs >= to.timeMs ? kept : 'open')
      }
    }
    return fates
  }
  /** Deleted and made again: it sees nothing of what was before. */
  begunAnew(): void {
    for (const id of this.#messages.keys()) this.#former.add(id)
    this.#messages.clear()
    this.#worlds = [{ says: 'in its new life', fates: new Map(), why: null }]
    this.#snapshots.clear()
    this.#handed.clear()
  }
  /** The process died: what was out is given out again. */
  restarted(): void {
    this.#handed.clear()
  }

  // --- what is seen

  delivered(id: string): void {
    const message = this.#messages.get(id)
    if (message === undefined) {
      const why = this.#former.has(id) ? 'of its former life' : 'which nobody published'
      return void this.problems.push(`${this.kind.name}: ${id} came, ${why}`)
    }
    if (!message.isSure) this.#messages.set(id, { ...message, isSure: true })
    this.#checkOrder(message)
    // Behind an older one of its key, what was acknowledged comes again, but where exactly once is promised.
    const mayComeAgain = this.kind.ordered && !this.kind.exact
    for (const world of this.#left) {
      const fate = world.fates.get(id)
      if (fate !== 'done') world.fates.set(id, 'due')
      else if (mayComeAgain) world.fates.set(id, 'open')
      else world.why = `${id} came, which was done with`
    }
    this.#handed.add(id)
    this.#demandOne()
  }
  #checkOrder({ id, key, number }: Message): void {
    if (!this.kind.ordered) return
    for (const before of this.due('every')) {
      const { key: other, number: older } = this.#messages.get(before)!
      if (other === key && older < number && !this.#handed.has(before))
        this.problems.push(`${this.kind.name}: ${id} came before ${before}, which waits`)
    }
  }
  /** Nothing more comes: what was due did not. */
  drained(): void {
    for (const world of this.#left) {
      const missing = this.#missing(world)
      if (missing.length > 0)
        world.why = `${missing.length} never came (${missing.slice(0, 5).join(', ')}${missing.length > 5 ? ' …' : ''})`
    }
    this.#demandOne()
    this.#merge()
  }
  /** Nothing that came tells these worlds apart, and nothing is due in them: they are one. */
  #merge(): void {
    const worlds = this.#left
    const fates = new Map<string, Fate>()
    for (const id of this.#messages.keys()) {
      const all = new Set(worlds.map((world) => world.fates.get(id)!))
      fates.set(id, all.size === 1 ? [...all][0]! : 'open')
    }
    this.#worlds = [{ says: 'as it was answered', fates, why: null }]
  }
  #missing({ fates }: World): string[] {
    return Array.from(fates).flatMap(([id, fate]) => (fate === 'due' ? [id] : []))
  }
  #demandOne(): void {
    if (this.#left.length > 0) return
    const { name } = this.kind
    this.problems.push(`${name}: ${this.#worlds.map(({ says, why }) => `${says}: ${why}`).join('; ')}`)
    const fates = new Map(Array.from(this.#messages.keys(), (id): [string, Fate] => [id, 'open']))
    this.#worlds = [{ says: 'after a problem', fates, why: null }]
  }
}
