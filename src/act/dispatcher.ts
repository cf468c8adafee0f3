/**
 * From the rows of an alert's view to alerts that fire. One task per alert reads the view's topic; what fires and the
 * position read are committed together, so each row fires at most once and none is missed. EVERY: a key fires again only
 * when its last alert is that much older, by the time of the tick that wrote the row (so a repetition decides alike).
 */
import { type Offset, offset as asOffset } from '../lib/brand.ts'
import type { Logger } from '../lib/logger.ts'
import { encodeBatch } from '../log/batch.ts'
import type { Read, Written } from '../log/group-task.ts'
import type { Log } from '../log/log.ts'
import { decodeOrigin, originHeader } from '../log/origin.ts'
import { jsonMember, parseJson } from '../schema/json-text.ts'
import { keyText } from '../schema/key.ts'
import { type AlertDestination, type PlannedAlert, alertText } from '../sql/alert.ts'
import { type Fired, firedRecord } from './ledger-records.ts'
import { type Ledger, ledgerPartition } from './ledger.ts'

export interface DispatcherOptions {
  readonly log: Log
  readonly logger: Logger
  readonly ledger: Ledger
  readonly planned: PlannedAlert
  /** Of the view's topic: part of every id. */
  readonly topicId: string
  /** Resolves when everything before the offset is in the ledger. */
  reached(offset: Offset): Promise<void>
  suppressed(count: number): void
}

const weightHeader = 'mr-weight'
/** Names of source topics by id: they do not change. */
const namesKept = 10_000

export class Dispatcher {
  readonly #options: DispatcherOptions
  readonly #topicNames = new Map<string, string>()
  /** Behind what was committed last. */
  #written = asOffset(0)

  constructor(options: DispatcherOptions) {
    this.#options = options
  }

  async step(read: readonly Read[]): Promise<Written | null> {
    const { planned, ledger } = this.#options
    const { everyMs, name } = planned.rule
    await this.#options.reached(this.#written)
    const fresh = new Map<string, number>()
    const firing: Fired[] = []
    let suppressed = 0
    for (const one of read) {
      if (!arrives(one)) continue
      const fired = await this.#alert(one)
      if (everyMs !== null) {
        const last = fresh.get(fired.key) ?? ledger.lastFired(name, fired.key)
        if (last !== null && within(fired.firedAtMs, last, everyMs)) {
          suppressed++
          continue
        }
        fresh.set(fired.key, fired.firedAtMs)
      }
      firing.push(fired)
    }
    if (firing.length === 0) {
      this.#options.suppressed(suppressed)
      return null
    }
    return this.#firing(firing, suppressed)
  }
  #firing(firing: readonly Fired[], suppressed: number): Written {
    const { log } = this.#options
    const batches = [...inBatches(firing, log.limits.batchBytes)]
    let end = this.#written
    return {
      async write(append) {
        const placed = await append(
          batches.map((batch) => ({ partition: ledgerPartition, batch: encodeBatch(batch.map(firedRecord)) })),
        )
        end = asOffset(placed.at(-1)!.offset + batches.at(-1)!.length)
      },
      committed: () => {
        this.#options.suppressed(suppressed)
        this.#written = end
      },
    }
  }

  async #alert({ partition, record }: Read): Promise<Fired> {
    const { planned, topicId } = this.#options
    const { rule, view } = planned
    const bytes = record.value!
    const row = Buffer.from(bytes).toString('utf8')
    const values = parseJson(bytes) as Readonly<Record<string, unknown>>
    const originBytes = record.headers.find(([name]) => name === originHeader)?.[1] ?? null
    const columns = view.plan.columns.map((column) => values[column.name])
    return {
      id: `${topicId.replaceAll('-', '')}-${partition.index}-${record.offset}`,
      alert: rule.name,
      key: this.#key(bytes),
      row,
      message: rule.message === null ? `${rule.name}: ${row}` : alertText(rule.message, columns),
      firedAtMs: record.timeMs,
      origin: originBytes === null ? [] : await this.#origin(originBytes),
      destinations: rule.destinations.map(destinationText),
      originBytes,
    }
  }
  /** The columns that say which alert it is, in the form of record keys; '' where every row is its own. */
  #key(row: Uint8Array): string {
    const { rule, view } = this.#options.planned
    const named = rule.key.length > 0 ? rule.key : (view.key ?? []).map((column) => view.plan.columns[column]!.name)
    const texts = named.map((name) => {
      const text = jsonMember(row, name)
      return text === null ? null : keyText(text)
    })
    return texts.length === 1 ? (texts[0] ?? '') : texts.length === 0 ? '' : JSON.stringify(texts)
  }
  async #origin(bytes: Uint8Array): Promise<readonly string[]> {
    const { ranges } = decodeOrigin(bytes)
    const out: string[] = []
    for (const { topicId, partition, first, last } of ranges)
      out.push(`${await this.#topicName(topicId)}:${partition}:${first}..${last}`)
    return out
  }
  async #topicName(id: string): Promise<string> {
    const plain = id.replaceAll('-', '')
    const known = this.#topicNames.get(plain)
    if (known !== undefined) return known
    if (this.#topicNames.size > namesKept) this.#topicNames.clear()
    for (const topic of await this.#options.log.topics.list())
      this.#topicNames.set(topic.id.replaceAll('-', ''), topic.name)
    return this.#topicNames.get(plain) ?? id
  }
}

/** A row that comes into the view; one that is withdrawn fires nothing. */
function arrives({ record }: Read): boolean {
  if (record.value === null) return false
  const weight = record.headers.find(([name]) => name === weightHeader)?.[1]
  return weight === undefined || weight === null || !Buffer.from(weight).toString('latin1').startsWith('-')
}
/** A clock that was set back does not silence an alert. */
const within = (atMs: number, lastMs: number, everyMs: number): boolean => Math.abs(atMs - lastMs) < everyMs

/** How people see a destination; the query of a URL may hold a secret. */
export function destinationText(destination: AlertDestination): string {
  if (destination.kind !== 'webhook') return destination.kind
  const url = new URL(destination.url)
  return url.search === '' ? destination.url : `${url.origin}${url.pathname}?…`
}

function* inBatches(firing: readonly Fired[], bytesMax: number): Iterable<readonly Fired[]> {
  let batch: Fired[] = []
  let bytes = 0
  for (const fired of firing) {
    const record = firedRecord(fired)
    const size = 128 + record.key!.length + record.value!.length + (fired.originBytes?.length ?? 0)
    if (batch.length > 0 && bytes + size > bytesMax - 1024) {
      yield batch
      batch = []
      bytes = 0
    }
    batch.push(fired)
    bytes += size
  }
  if (batch.length > 0) yield batch
}
