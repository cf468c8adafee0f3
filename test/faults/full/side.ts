/**
 * Clients of one protocol while a disk fills up, what they were told, and what must be true of it. A writer sends what was
 * refused again, as its client's library would.
 */
import { setTimeout as sleep } from 'node:timers/promises'

export interface Side {
  readonly name: string
  readonly told: Told
  start(): Promise<void>
  /** Before something breaks. */
  before(): Promise<void>
  /** All that it may be asked to remember, until it is taken. */
  changes(): Promise<void>
  /** What there is no room for is refused; what can be read is. */
  whileFull(): Promise<void>
  /** What was refused is taken, and what was taken before stands. */
  afterwards(): Promise<void>
  /** Nothing writes any more. */
  stop(): Promise<void>
  /** All that was acknowledged is there; `http` is the address of the log. */
  check(http: string): Promise<void>
  close(): void
}

/** What the clients of a protocol were told. */
export class Told {
  readonly problems: string[] = []
  accepted = 0
  slowestMs = 0
  /** A refusal's name → how often. */
  readonly refused = new Map<string, number>()
  readonly #retried: Set<string>
  /** The process is being killed: connections are lost. */
  isAway = false
  kills = 0
  #mayLoseConnections = false
  /** Not a byte is free. Otherwise something small may still find room where records do not. */
  isToTheLastByte = false
  /** What found room, and is not to be asked again. */
  readonly #confirmed = new Set<string>()

  /** `retried`: what the official client of the protocol sends again by itself, or hands to its user to send again. */
  constructor(retried: readonly string[]) {
    this.#retried = new Set(retried)
  }
  /** A disk that fails may also end connections, where a protocol has no word for it, or be said in another one. */
  alsoFails(name: string): void {
    this.#mayLoseConnections = true
    this.#retried.add(name)
  }
  /** Of what begins now: whether it has not been disturbed by a kill since. */
  watch(): () => boolean {
    const { isAway, kills } = this
    return () => !isAway && kills === this.kills
  }
  away(isAway: boolean): void {
    this.isAway = isAway
    if (isAway) this.kills++
  }
  get refusals(): number {
    return [...this.refused.values()].reduce((sum, count) => sum + count, 0)
  }
  refuse(name: string): void {
    if (!this.#retried.has(name)) this.problem(`refused with ${name}, which its client does not send again`)
    this.refused.set(name, (this.refused.get(name) ?? 0) + 1)
  }
  lost(connection: string): void {
    if (!this.#mayLoseConnections) this.problem(`a connection was lost: ${connection}`)
  }
  problem(text: string): void {
    if (this.problems.length < 20 && !this.problems.includes(text)) this.problems.push(text)
  }
  /** Must be refused with a name that is sent again. False: it found room. */
  async mustRefuse(what: string, act: () => Promise<string | null>): Promise<boolean> {
    const started = performance.now()
    const why = await act()
    this.slowestMs = Math.max(this.slowestMs, performance.now() - started)
    if (why === null) {
      this.#confirmed.add(what)
      if (this.isToTheLastByte) this.problem(`${what} was confirmed on a full disk`)
      return false
    }
    this.#confirmed.delete(what)
    if (this.#retried.has(why)) this.refuse(why)
    else this.problem(`${what}: ${why}, which its client does not send again`)
    return true
  }
  async mustTake(what: string, act: () => Promise<string | null>): Promise<void> {
    if (this.#confirmed.delete(what)) return
    const giveUp = performance.now() + takesAgainMs
    for (;;) {
      const why = await act()
      if (why === null) return
      if (performance.now() > giveUp) return this.problem(`${what}: ${why} when there was room again`)
      await sleep(100)
    }
  }
}
const takesAgainMs = 5_000

/** null: taken; else the name of the refusal. */
export type Answer = string | null
const refusedPauseMs = 60
const lostPauseMs = 100
const answeredInTheEndMs = 30_000
const takenPauseMs = 5

/** Values of one writer: numbered, and each proves itself. */
export class Writer {
  readonly name: string
  readonly acknowledged = new Set<number>()
  readonly #told: Told
  readonly #send: (ids: readonly string[]) => Promise<readonly Answer[]>
  readonly #atOnce: number
  /** Whether each is to be answered within a bound. */
  readonly #isMeasured: boolean
  #next = 0
  #running: Promise<void> | null = null
  #isOver = false

  constructor(
    name: string,
    told: Told,
    send: (ids: readonly string[]) => Promise<readonly Answer[]>,
    { atOnce = 1, isMeasured = true }: { atOnce?: number; isMeasured?: boolean } = {},
  ) {
    this.name = name
    this.#told = told
    this.#send = send
    this.#atOnce = atOnce
    this.#isMeasured = isMeasured
  }
  start(): void {
    this.#running = this.#run()
  }
  async stop(): Promise<void> {
    this.#isOver = true
    const late = sleep(answeredInTheEndMs, 'late' as const, { ref: false })
    if ((await Promise.race([this.#running, late])) === 'late') this.#told.problem(`${this.name} is never answered`)
  }
  async #run(): Promise<void> {
    let left: number[] = []
    while (!this.#isOver) {
      while (left.length < this.#atOnce) left.push(this.#next++)
      const started = performance.now()
      const isUndisturbed = this.#told.watch()
      let answers: readonly Answer[]
      try {
        answers = await this.#send(left.map((number) => `${this.name}/${number}`))
      } catch (error) {
        if (isUndisturbed()) this.#told.lost(`${this.name}, ${String(error)}`)
        await sleep(lostPauseMs)
        continue
      }
      if (this.#isMeasured && isUndisturbed())
        this.#told.slowestMs = Math.max(this.#told.slowestMs, performance.now() - started)
      const again: number[] = []
      for (const [index, number] of left.entries()) {
        const why = answers[index]
        if (why === null) {
          this.acknowledged.add(number)
          this.#told.accepted++
        } else {
          again.push(number)
          this.#told.refuse(why ?? 'nothing')
        }
      }
      left = again
      await sleep(again.length > 0 ? refusedPauseMs : takenPauseMs)
    }
  }
}

export const valueOf = (id: string, bytes: number): Buffer => Buffer.from(`${id}|`.padEnd(bytes, id))

/** Reads a topic whole: what was acknowledged is there, and nothing is torn. Gives how often what is there twice is. */
export async function checkTopic(
  http: string,
  topic: string,
  {
    writers,
    told,
    isOnce = () => false,
  }: { writers: readonly Writer[]; told: Told; isOnce?: (name: string) => boolean },
): Promise<number> {
  const found = await countsOf(http, topic, told)
  let again = 0
  for (const { name, acknowledged } of writers)
    for (const number of acknowledged) {
      const times = found.get(`${name}/${number}`) ?? 0
      if (times === 0) told.problem(`${name}/${number} was acknowledged and is not in ${topic}`)
      if (times > 1) again++
      if (times > 1 && isOnce(name)) told.problem(`${name}/${number} is in ${topic} ${times} times`)
    }
  return again
}
async function countsOf(http: string, topic: string, told: Told): Promise<Map<string, number>> {
  const answer = await fetch(`http://${http}/v1/topics/${topic}/records?from=earliest`, {
    headers: { accept: 'application/x-ndjson' },
  })
  if (!answer.ok) throw new Error(`${topic} cannot be read: ${answer.status} ${await answer.text()}`)
  const found = new Map<string, number>()
  for (const line of (await answer.text()).split('\n')) {
    if (line === '') continue
    const { value } = JSON.parse(line) as { readonly value: { readonly text?: string } | null }
    const text = value?.text ?? ''
    const id = text.slice(0, Math.max(0, text.indexOf('|')))
    if (text !== valueOf(id, text.length).toString()) told.problem(`a value in ${topic} is torn: ${text.slice(0, 60)}`)
    found.set(id, (found.get(id) ?? 0) + 1)
  }
  return found
}
