/**
 * Quotas: definitions of kind `quota` in the catalogue, found by Kafka's precedence, kept to by making whoever is over them
 * wait. A rate is what came in the last eleven samples of a second, Kafka's default: so a client that was still may go over
 * its quota for a moment, and the wait is what brings the rate back to it.
 */
import { Fault } from '../lib/fault.ts'
import type { Clock } from '../lib/world.ts'
import type { Catalog } from '../log/catalog.ts'

const clientQuotas = [
  'producer_byte_rate',
  'consumer_byte_rate',
  'request_percentage',
  'controller_mutation_rate',
] as const
export type ClientQuota = (typeof clientQuotas)[number]
/** Kafka takes no fraction of a byte, nor of a connection. */
const wholeQuotas: readonly string[] = ['producer_byte_rate', 'consumer_byte_rate', 'connection_creation_rate']
const ipQuota = 'connection_creation_rate'
type QuotaKey = ClientQuota | typeof ipQuota

export const entityTypes = ['user', 'client-id', 'ip'] as const
/** Whom a quota is for; null: everybody who has none of their own. */
export type QuotaEntity = Readonly<Partial<Record<(typeof entityTypes)[number], string | null>>>
export interface QuotaDefinition {
  readonly entity: QuotaEntity
  readonly values: Readonly<Partial<Record<QuotaKey, number>>>
}
export interface QuotaChange {
  readonly entity: QuotaEntity
  /** null takes a quota away. */
  readonly values: Readonly<Record<string, number | null>>
}
export interface Client {
  readonly user: string
  readonly clientId: string
}
export interface Quotas {
  all(): readonly QuotaDefinition[]
  /** What `change` would throw. */
  check(change: QuotaChange): Fault | null
  change(changes: readonly QuotaChange[]): Promise<void>
  /** Counts, and says for how many milliseconds the client has to be silent; 0 = it may go on. */
  charge(quota: ClientQuota, client: Client, amount: number): number
  /** For how many milliseconds the client is over it, if it uses nothing more; for who is told and comes back. */
  wait(quota: ClientQuota, client: Client): number
  connected(ip: string): number
}
export const noQuotas: Quotas = {
  all: () => [],
  check: () => new Fault('security.unavailable', {}),
  change: () => Promise.reject(new Fault('security.unavailable', {})),
  charge: () => 0,
  wait: () => 0,
  connected: () => 0,
}

const keyOf = (entity: QuotaEntity): string =>
  JSON.stringify(entityTypes.filter((type) => type in entity).map((type) => [type, entity[type] ?? null]))

/** Those who are counted at once; then those that were counted longest ago start anew. */
const countedMax = 50_000

export class CatalogQuotas implements Quotas {
  readonly #catalog: Catalog
  readonly #clock: Clock
  #byEntity = new Map<string, QuotaDefinition>()
  readonly #rates = new Map<string, Rate>()

  constructor(options: { catalog: Catalog; clock: Clock }) {
    this.#catalog = options.catalog
    this.#clock = options.clock
    this.read()
  }
  /** Of the catalogue, which has changed. */
  read(): void {
    const definitions = this.#catalog.all('quota').map(({ value }) => value as QuotaDefinition)
    this.#byEntity = new Map(definitions.map((definition) => [keyOf(definition.entity), definition]))
  }
  all(): readonly QuotaDefinition[] {
    return [...this.#byEntity.values()]
  }

  check({ entity, values }: QuotaChange): Fault | null {
    const why = wrongEntity(entity) ?? wrongValues(entity, values)
    return why === null ? null : new Fault('security.invalid-quota', { why })
  }
  async change(changes: readonly QuotaChange[]): Promise<void> {
    const entries = changes.map((change) => {
      const fault = this.check(change)
      if (fault !== null) throw fault
      const name = keyOf(change.entity)
      const values = new Map(Object.entries({ ...this.#byEntity.get(name)?.values }))
      for (const [quota, value] of Object.entries(change.values)) {
        if (value === null) values.delete(quota)
        else values.set(quota, value)
      }
      const value = values.size === 0 ? null : { entity: change.entity, values: Object.fromEntries(values) }
      return { kind: 'quota' as const, name, value }
    })
    await this.#catalog.change(entries)
  }

  charge(quota: ClientQuota, client: Client, amount: number): number {
    const found = this.#find(quota, client)
    return found === null ? 0 : found.rate.add(this.#clock.monotonic(), amount, found.limit)
  }
  wait(quota: ClientQuota, client: Client): number {
    const found = this.#find(quota, client)
    return found === null ? 0 : found.rate.over(this.#clock.monotonic(), found.limit)
  }
  #find(quota: ClientQuota, client: Client): { readonly rate: Rate; readonly limit: number } | null {
    if (this.#byEntity.size === 0) return null
    for (const [entity, counted] of precedence(client)) {
      const limit = this.#byEntity.get(keyOf(entity))?.values[quota]
      if (limit !== undefined) return { rate: this.#rate(quota, counted), limit }
    }
    return null
  }
  connected(ip: string): number {
    if (this.#byEntity.size === 0) return 0
    for (const entity of [{ ip }, { ip: null }]) {
      const limit = this.#byEntity.get(keyOf(entity))?.values[ipQuota]
      if (limit !== undefined) return this.#rate(ipQuota, ip).add(this.#clock.monotonic(), 1, limit)
    }
    return 0
  }
  #rate(quota: QuotaKey, counted: string): Rate {
    const key = `${quota} ${counted}`
    const rate = this.#rates.get(key) ?? new Rate()
    this.#rates.delete(key)
    this.#rates.set(key, rate)
    if (this.#rates.size > countedMax) this.#rates.delete(this.#rates.keys().next().value!)
    return rate
  }
}

/** Kafka's order: the pair, then the user, then the client; each by name before by default. And who is counted as one. */
function precedence({ user, clientId }: Client): readonly (readonly [QuotaEntity, string])[] {
  const pair = JSON.stringify([user, clientId])
  return [
    [{ user, 'client-id': clientId }, pair],
    [{ user, 'client-id': null }, pair],
    [{ user }, JSON.stringify([user])],
    [{ user: null, 'client-id': clientId }, pair],
    [{ user: null, 'client-id': null }, pair],
    [{ user: null }, JSON.stringify([user])],
    [{ 'client-id': clientId }, JSON.stringify([null, clientId])],
    [{ 'client-id': null }, JSON.stringify([null, clientId])],
  ]
}

const sampleMs = 1_000
const samplesMax = 11

/** What came in the last samples, and how long to wait until it is no more than allowed. */
class Rate {
  readonly #samples: { readonly startMs: number; amount: number }[] = []

  add(nowMs: number, amount: number, perSecond: number): number {
    const last = this.#samples.at(-1)
    if (last !== undefined && nowMs - last.startMs < sampleMs) last.amount += amount
    else this.#samples.push({ startMs: nowMs, amount })
    while (this.#samples.length > 1 && nowMs - this.#samples[0]!.startMs >= samplesMax * sampleMs) this.#samples.shift()
    let total = 0
    for (const sample of this.#samples) total += sample.amount
    // As if all samples but one had passed: else the first request of all would be a huge rate.
    const elapsedMs = Math.max(nowMs - this.#samples[0]!.startMs, (samplesMax - 1) * sampleMs)
    const allowed = (perSecond * elapsedMs) / 1000
    return total <= allowed ? 0 : Math.ceil(((total - allowed) / perSecond) * 1000)
  }
  /** From now until `add` of nothing would give 0: time passes, and the oldest samples go. */
  over(nowMs: number, perSecond: number): number {
    this.add(nowMs, 0, perSecond)
    let total = 0
    for (const { amount } of this.#samples) total += amount
    let fromMs = nowMs
    for (const [i, { startMs, amount }] of this.#samples.entries()) {
      const neededMs = (total / perSecond) * 1000
      const freeMs = neededMs <= (samplesMax - 1) * sampleMs ? fromMs : Math.max(fromMs, startMs + neededMs)
      const goneMs = startMs + samplesMax * sampleMs
      if (freeMs < goneMs || i === this.#samples.length - 1) return Math.ceil(freeMs - nowMs)
      fromMs = Math.max(fromMs, goneMs)
      total -= amount
    }
    return 0
  }
}

const nameLengthMax = 255
function wrongEntity(entity: QuotaEntity): string | null {
  const types = Object.keys(entity)
  if (types.length === 0) return 'a quota is for a user, a client id, both, or an address'
  if ('ip' in entity && types.length > 1) return 'an address has quotas of its own, not with users and client ids'
  const wrong = entityTypes.find((type) => entity[type] === '' || (entity[type]?.length ?? 0) > nameLengthMax)
  return wrong === undefined ? null : `the ${wrong} is empty or too long`
}
function wrongValues(entity: QuotaEntity, values: QuotaChange['values']): string | null {
  const known: readonly string[] = 'ip' in entity ? [ipQuota] : clientQuotas
  for (const [quota, value] of Object.entries(values)) {
    if (!known.includes(quota))
      return `there is no quota ${quota.slice(0, 100)} of this kind; there are ${known.join(', ')}`
    if (value !== null && !(Number.isFinite(value) && value > 0)) return `${quota} is more than 0`
    if (value !== null && wholeQuotas.includes(quota) && !Number.isInteger(value)) return `${quota} is a whole number`
  }
  return null
}
