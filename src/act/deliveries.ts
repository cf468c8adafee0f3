/**
 * Deliveries: each destination has its own line, earliest first, a few under way at once. Of the processes on a log one
 * makes them (`begin`), until another takes over. What an attempt came to is
 * written before the next step, so a crash repeats at most the attempts that were under way (at least once, with the same
 * webhook-id). What is given up goes to `<alert>.dlq` in the same tick that says so.
 */
import { offset as asOffset } from '../lib/brand.ts'
import { Fault, asFault } from '../lib/fault.ts'
import { Heap } from '../lib/heap.ts'
import { limits } from '../lib/limits.ts'
import type { Logger } from '../lib/logger.ts'
import type { World } from '../lib/world.ts'
import { type RecordInput, decodeBatch, encodeBatch, isControl } from '../log/batch.ts'
import type { Commits } from '../log/commits.ts'
import type { Claim, Log, Reader, Tick } from '../log/log.ts'
import { originHeader } from '../log/origin.ts'
import type { AlertDestination, Webhook } from '../sql/alert.ts'
import type { WebhookRules } from './addresses.ts'
import { type Backoff, waitMs } from './backoff.ts'
import { type DeliveryChange, type Fired, deliveryRecord, readRecord } from './ledger-records.ts'
import { type Ledger, type Waiting, ledgerPartition } from './ledger.ts'
import { type AttemptResult, agree, attempt } from './webhook.ts'

export interface DeliveriesOptions {
  readonly world: World
  readonly log: Log
  readonly commits: Commits
  readonly logger: Logger
  readonly ledger: Ledger
  readonly rules: WebhookRules
  readonly backoff: Backoff
  /** As the alert's rule has it now; null: the rule or the destination is gone. */
  destination(alert: string, place: number, to: string): AlertDestination | null
}

interface Line {
  readonly heap: Heap<Waiting>
  running: number
  cancelTimer: (() => void) | null
}
/** Alerts whose text is kept from firing to first delivery. */
const textsKept = 1_000
const storeRetryMs = 1_000
const agreementsKept = 10_000
const agreementOf = ({ url, handshake }: Webhook): string => `${handshake} ${url}`
/** How often and how long one is tried: by its destination, else as all are. */
function boundsOf(
  destination: AlertDestination | null,
  { firedAtMs }: Fired,
  backoff: Backoff,
): { attemptsMax: number; untilMs: number } {
  const { attempts, retryForMs } = destination?.kind === 'webhook' ? destination : {}
  return {
    attemptsMax: attempts ?? (retryForMs === undefined ? backoff.attempts : Infinity),
    untilMs: retryForMs === undefined ? Infinity : firedAtMs + retryForMs,
  }
}

export class Deliveries {
  readonly #options: DeliveriesOptions
  readonly #reader: Reader
  readonly #lines = new Map<string, Line>()
  readonly #texts = new Map<string, Fired>()
  /** Receivers that were asked and take deliveries, until one fails. */
  readonly #agreements = new Set<string>()
  readonly #stop = new AbortController()
  readonly #running = new Set<Promise<void>>()
  /** null: another process makes the deliveries. */
  #claim: Claim | null = null
  #roomWanted: (() => void)[] = []

  constructor(options: DeliveriesOptions) {
    this.#options = options
    this.#reader = options.log.reader()
  }

  /** From now on they are made here, under this claim: these, and what is added. */
  begin(claim: Claim, waiting: readonly Waiting[]): void {
    this.end()
    this.#claim = claim
    this.add(waiting)
  }
  /** Somebody else makes them from now on; attempts under way come to their end, and nothing is written of them. */
  end(): void {
    this.#claim = null
    for (const line of this.#lines.values()) line.cancelTimer?.()
    this.#lines.clear()
  }
  add(waiting: readonly Waiting[], fired?: Fired): void {
    if (this.#claim === null) return
    if (fired !== undefined && waiting.length > 0) this.#keepText(fired)
    const touched = new Set<Line>()
    for (const one of waiting) {
      const line = this.#line(`${one.alert}/${one.to}`)
      line.heap.push(one)
      touched.add(line)
    }
    for (const line of touched) this.#advance(line)
  }
  /** Resolves when few enough are waiting for more to be taken on. */
  async room(signal: AbortSignal): Promise<void> {
    while (this.#options.ledger.waitingCount >= limits.deliveriesWaiting && !signal.aborted)
      await new Promise<void>((resolve) => {
        this.#roomWanted.push(resolve)
        signal.addEventListener('abort', () => resolve(), { once: true })
      })
  }
  /** The ledger has heard of a delivery. */
  settled(): void {
    if (this.#options.ledger.waitingCount < limits.deliveriesWaiting)
      for (const call of this.#roomWanted.splice(0)) call()
  }
  /** Attempts under way are broken off; they are made again at the next start. */
  async close(): Promise<void> {
    this.#stop.abort(new Fault('log.closed', { what: 'the deliveries' }))
    for (const line of this.#lines.values()) line.cancelTimer?.()
    await Promise.all(this.#running)
  }

  #line(name: string): Line {
    let line = this.#lines.get(name)
    if (line === undefined)
      this.#lines.set(name, (line = { heap: new Heap((a, b) => a.nextMs < b.nextMs), running: 0, cancelTimer: null }))
    return line
  }
  #advance(line: Line): void {
    line.cancelTimer?.()
    line.cancelTimer = null
    if (this.#stop.signal.aborted) return
    const now = this.#options.world.clock.now()
    while (line.running < limits.deliveriesPerDestination && this.#running.size < limits.deliveriesAtOnce) {
      const next = line.heap.peek()
      if (next === undefined) return
      if (next.nextMs > now) {
        line.cancelTimer = this.#options.world.clock.after(next.nextMs - now, () => this.#advance(line))
        return
      }
      line.heap.pop()
      this.#start(line, next)
    }
  }
  #start(line: Line, waiting: Waiting): void {
    const claim = this.#claim
    if (claim === null) return
    line.running++
    const run = this.#deliver(waiting, claim)
      .then((again) => {
        if (again !== null && this.#claim === claim) line.heap.push(again)
      })
      .catch((error: unknown) => {
        if (!this.#stop.signal.aborted) this.#options.logger.error('a delivery was lost sight of', { error })
      })
      .finally(() => {
        line.running--
        this.#running.delete(run)
        if (this.#claim === claim) this.#advance(line)
        // A line that found no free place is not told otherwise.
        if (this.#running.size === limits.deliveriesAtOnce - 1)
          for (const other of this.#lines.values()) this.#advance(other)
      })
    this.#running.add(run)
  }

  /** One attempt and what it came to; what is to be tried again. */
  async #deliver(waiting: Waiting, claim: Claim): Promise<Waiting | null> {
    const { world, backoff } = this.#options
    try {
      const fired = await this.#text(waiting)
      if (fired === null) return null
      const destination = this.#options.destination(waiting.alert, waiting.destination, waiting.to)
      const result = await this.#attempt(destination, fired)
      const attempts = waiting.attempts + 1
      if (result.ok)
        return await this.#settle(waiting, claim, { status: 'delivered', attempts, error: null, nextMs: 0 })
      const { attemptsMax, untilMs } = boundsOf(destination, fired, backoff)
      const nowMs = world.clock.now()
      if (result.permanent || attempts >= attemptsMax || nowMs >= untilMs)
        return await this.#giveUp(waiting, claim, fired, attempts, result.why)
      const nextMs = Math.min(untilMs, nowMs + waitMs(backoff, attempts, result.afterMs, world.random))
      return await this.#settle(waiting, claim, { status: 'pending', attempts, error: result.why, nextMs })
    } catch (error) {
      this.#stop.signal.throwIfAborted()
      this.#options.logger.warn('what a delivery came to could not be written', {
        id: waiting.id,
        error: asFault(error),
      })
      return { ...waiting, nextMs: world.clock.now() + storeRetryMs }
    }
  }
  async #attempt(destination: AlertDestination | null, fired: Fired): Promise<AttemptResult> {
    const { world, rules, logger } = this.#options
    if (destination === null)
      return { ok: false, why: 'its rule or destination was dropped', permanent: true, afterMs: null }
    if (destination.kind !== 'webhook') {
      logger.warn(fired.message, { alert: fired.alert, key: fired.key, id: fired.id })
      return { ok: true }
    }
    const { url, secret, previousSecret, headers } = destination
    const { signal } = this.#stop
    const refusal = await this.#agreed(destination)
    if (refusal !== null) return refusal
    const secrets = [secret, previousSecret].filter((one) => typeof one === 'string')
    const message = {
      url,
      secrets,
      id: fired.id,
      payload: payloadOf(fired),
      ...(headers === undefined ? {} : { headers }),
    }
    const result = await attempt(message, world, rules, signal)
    // Who refuses is asked again before the next one.
    if (!result.ok) this.#agreements.delete(agreementOf(destination))
    return result
  }
  /** null: the receiver takes deliveries, as far as is asked for. */
  async #agreed(webhook: Webhook): Promise<(AttemptResult & { ok: false }) | null> {
    const { url, handshake: origin, headers } = webhook
    const key = agreementOf(webhook)
    if (origin === undefined || this.#agreements.has(key)) return null
    const { world, rules } = this.#options
    const result = await agree({ url, origin, headers }, world, rules, this.#stop.signal)
    if (!result.ok) return result
    if (this.#agreements.size >= agreementsKept) this.#agreements.clear()
    this.#agreements.add(key)
    return null
  }

  async #settle(
    waiting: Waiting,
    claim: Claim,
    change: Omit<DeliveryChange, 'id' | 'destination'>,
  ): Promise<Waiting | null> {
    const { id, destination } = waiting
    await this.#options.commits.run(async (append) => {
      await this.#record({ id, destination, ...change }, append)
      return { parts: [{ claim, positions: [] }], result: null }
    })
    const { status, attempts, nextMs } = change
    return status === 'pending' ? { ...waiting, attempts, nextMs } : null
  }
  async #giveUp(waiting: Waiting, claim: Claim, fired: Fired, attempts: number, why: string): Promise<null> {
    const { id, destination, alert, to } = waiting
    const fault = new Fault('act.delivery-failed', { alert, destination: to, attempts, why })
    const topic = await this.#deadLetterTopic(alert)
    const change = { id, destination, status: 'dead', attempts, error: why, nextMs: 0 } as const
    await this.#options.commits.run(async (append) => {
      const batch = encodeBatch([deadLetter(fired, fault, attempts, to, this.#options.world.clock.now())])
      await append([{ partition: { topic, index: 0 }, batch }])
      await this.#record(change, append)
      return { parts: [{ claim, positions: [] }], result: null }
    })
    this.#options.logger.error(fault.message, { code: fault.code, id })
    return null
  }
  async #record(change: DeliveryChange, append: Tick['append']): Promise<void> {
    const batch = encodeBatch([deliveryRecord(change, this.#options.world.clock.now())])
    await append([{ partition: ledgerPartition, batch }])
  }
  async #deadLetterTopic(alert: string): Promise<string> {
    const name = `${alert}.dlq`
    const { topics } = this.#options.log
    if ((await topics.get(name)) === null) {
      const [fault] = await topics.create([{ name, partitions: 1, config: { 'retention.ms': '-1' } }])
      if (fault instanceof Fault && fault.code !== 'log.topic-exists') throw fault
    }
    return name
  }

  #keepText(fired: Fired): void {
    if (this.#texts.size >= textsKept) this.#texts.delete(this.#texts.keys().next().value!)
    this.#texts.set(fired.id, fired)
  }
  async #text({ id, offset }: Waiting): Promise<Fired | null> {
    const known = this.#texts.get(id)
    if (known !== undefined) return known
    const at = { partition: ledgerPartition, offset: asOffset(offset) }
    const [chunk] = await this.#reader.read([at], { ms: 1_000 }, this.#stop.signal)
    if (chunk !== undefined && 'fault' in chunk) throw chunk.fault
    for (const batch of chunk?.batches ?? [])
      for (const record of isControl(batch) ? [] : decodeBatch(batch)) {
        if (record.offset !== offset) continue
        const read = readRecord(record)
        return read === null || 'destination' in read ? null : read
      }
    return null
  }
}

/** As Standard Webhooks has it: type, timestamp, data. The row stands in it as the view wrote it. */
function payloadOf({ id, alert, key, row, message, firedAtMs, origin }: Fired): string {
  const firedAt = new Date(firedAtMs).toISOString()
  const data = JSON.stringify({ id, alert, key, message, firedAt, origin })
  return `{"type":"alert.fired","timestamp":"${firedAt}","data":${data.slice(0, -1)},"row":${row}}}`
}
function deadLetter(fired: Fired, fault: Fault, attempts: number, to: string, timeMs: number): RecordInput {
  const text = (value: string): Buffer => Buffer.from(value)
  return {
    key: text(fired.key),
    value: text(payloadOf(fired)),
    timeMs,
    headers: [
      ['mr-reason', text(fault.code)],
      ['mr-error', text(fault.message)],
      ['mr-attempts', text(String(attempts))],
      ['mr-destination', text(to)],
      ...(fired.originBytes === null ? [] : [[originHeader, fired.originBytes] as const]),
    ],
  }
}
