/**
 * The picture of `_millrace_alerts` in memory: the newest alerts for those who look, when each key last fired, and which
 * deliveries are still to be made. Changed by what is read from the topic alone (`ledger-feed.ts`).
 */
import { limits } from '../lib/limits.ts'
import type { Partition } from '../log/log.ts'
import type { FiredAlert } from './alerts.ts'
import { type DeliveryChange, type DeliveryStatus, type Fired, alertsTopic } from './ledger-records.ts'

export const ledgerPartition: Partition = { topic: alertsTopic, index: 0 }

interface DeliveryState {
  status: DeliveryStatus
  attempts: number
  error: string | null
}
interface Shown {
  readonly fired: Fired
  readonly deliveries: DeliveryState[]
}
/** A delivery that no record says is over. */
export interface Waiting {
  readonly id: string
  readonly alert: string
  readonly destination: number
  /** What `destinations` calls it. */
  readonly to: string
  /** Of the fired alert in the topic. */
  readonly offset: number
  readonly attempts: number
  readonly nextMs: number
}

export class Ledger {
  /** Newest last; each is also in its rule's list. */
  readonly #recent: Shown[] = []
  readonly #byAlert = new Map<string, Shown[]>()
  readonly #shown = new Map<string, Shown>()
  readonly #counts = new Map<string, { fired: number; failures: number }>()
  /** Alert → key → when it last fired; oldest first. */
  readonly #lastFired = new Map<string, Map<string, number>>()
  readonly #waiting = new Map<string, Waiting>()

  /** An alert that stands at `offset`. A key that fired longer ago than `everyMs` of its rule is not remembered. */
  fired(fired: Fired, offset: number, everyMs: number | null): void {
    const { id, alert, key, firedAtMs, destinations } = fired
    this.#count(alert).fired++
    if (everyMs !== null) this.#remember(alert, key, firedAtMs, everyMs)
    const deliveries = destinations.map((to): DeliveryState => {
      return { status: to === 'console' ? 'delivered' : 'pending', attempts: to === 'console' ? 1 : 0, error: null }
    })
    destinations.forEach((to, destination) => {
      if (to === 'console') return
      this.#waiting.set(`${id}/${destination}`, { id, alert, destination, to, offset, attempts: 0, nextMs: 0 })
    })
    this.#show({ fired, deliveries })
  }
  delivery({ id, destination, status, attempts, error, nextMs }: DeliveryChange): void {
    const place = `${id}/${destination}`
    const waiting = this.#waiting.get(place)
    if (waiting !== undefined) {
      if (error !== null) this.#count(waiting.alert).failures++
      if (status === 'pending') this.#waiting.set(place, { ...waiting, attempts, nextMs })
      else this.#waiting.delete(place)
    }
    const shown = this.#shown.get(id)?.deliveries[destination]
    if (shown !== undefined) Object.assign(shown, { status, attempts, error })
  }

  waiting(): readonly Waiting[] {
    return [...this.#waiting.values()]
  }
  waitingOf({ id, destinations }: Fired): readonly Waiting[] {
    return destinations.flatMap((_, destination) => this.#waiting.get(`${id}/${destination}`) ?? [])
  }
  get waitingCount(): number {
    return this.#waiting.size
  }
  lastFired(alert: string, key: string): number | null {
    return this.#lastFired.get(alert)?.get(key) ?? null
  }
  counts(alert: string): { readonly fired: number; readonly failures: number } {
    return this.#counts.get(alert) ?? { fired: 0, failures: 0 }
  }
  /** Newest first. */
  recent(alert: string | null, limit: number): FiredAlert[] {
    const from = alert === null ? this.#recent : (this.#byAlert.get(alert) ?? [])
    return from
      .slice(Math.max(0, from.length - limit))
      .toReversed()
      .map(alertJson)
  }
  find(id: string): FiredAlert | null {
    const shown = this.#shown.get(id)
    return shown === undefined ? null : alertJson(shown)
  }

  #count(alert: string): { fired: number; failures: number } {
    let count = this.#counts.get(alert)
    if (count === undefined) this.#counts.set(alert, (count = { fired: 0, failures: 0 }))
    return count
  }
  #remember(alert: string, key: string, firedAtMs: number, everyMs: number): void {
    let keys = this.#lastFired.get(alert)
    if (keys === undefined) this.#lastFired.set(alert, (keys = new Map()))
    keys.delete(key)
    keys.set(key, firedAtMs)
    for (const [old, atMs] of keys) {
      if (atMs > firedAtMs - everyMs && keys.size <= limits.alertKeys) break
      keys.delete(old)
    }
  }
  #show(shown: Shown): void {
    const { id, alert } = shown.fired
    this.#shown.set(id, shown)
    let ofAlert = this.#byAlert.get(alert)
    if (ofAlert === undefined) this.#byAlert.set(alert, (ofAlert = []))
    ofAlert.push(shown)
    this.#recent.push(shown)
    // A rule's own list outlives the common one, so that a rare alert is not pushed out by a frequent one.
    if (this.#recent.length > limits.firedKept) this.#forget(this.#recent.shift()!)
    if (ofAlert.length > limits.firedKeptPerAlert) this.#forget(ofAlert.shift()!)
  }
  #forget(shown: Shown): void {
    const { id, alert } = shown.fired
    if (this.#recent[0] !== undefined && this.#recent.includes(shown)) return
    if (this.#byAlert.get(alert)?.includes(shown) === true) return
    this.#shown.delete(id)
  }
}

function alertJson({ fired, deliveries }: Shown): FiredAlert {
  const { id, alert, key, row, message, firedAtMs, origin, destinations } = fired
  return {
    id,
    alert,
    key,
    row: JSON.parse(row) as FiredAlert['row'],
    message,
    firedAt: new Date(firedAtMs).toISOString(),
    origin,
    deliveries: deliveries.map((delivery, i) => ({ destination: destinations[i]!, ...delivery })),
  }
}
