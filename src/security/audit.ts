/**
 * What was done to the platform and what was refused, as records of the topic `_millrace_audit`. An act waits for nothing:
 * its record is written behind it, in batches, and written again until it is there. Refusals, which strangers can cause, are written at a bounded rate; what is
 * beyond is counted and the count written.
 */
import { Fault, asFault } from '../lib/fault.ts'
import type { Logger } from '../lib/logger.ts'
import type { Clock } from '../lib/world.ts'
import type { Offset } from '../lib/brand.ts'
import { decodeBatch, encodeBatch } from '../log/batch.ts'
import type { Log } from '../log/log.ts'
import { AuditChain } from './audit-chain.ts'
import type { Subject } from './authorizer.ts'
import { principalText } from './principal.ts'

export const auditTopic = '_millrace_audit'
const auditPartition = { topic: auditTopic, index: 0 }

interface AuditEntry {
  readonly subject: Subject
  /** The protocol by which it came. */
  readonly via: string
  /** The API or route. */
  readonly action: string
  /** What it was about: `topic:orders`. */
  readonly resources: readonly string[]
  /** `partly`: some of what was asked for failed. */
  readonly outcome: 'done' | 'partly' | 'failed' | 'refused'
  /** What it was to be from then on: `topic:orders retention.ms=1000`. Never a secret. */
  readonly changes?: readonly string[]
  /** For people. Never a secret. */
  readonly detail?: string
}
export interface Audit {
  note(entry: AuditEntry): void
}
export const noAudit: Audit = { note: () => {} }

/** Refusals a second that are written. */
const refusalsPerSecond = 20
/** Entries that wait to be written; what is beyond stands in the program's log only. */
const waitingMax = 10_000
const batchMax = 500
const retryMs = 1_000
/** How far back the newest record is looked for: markers may be behind it. */
const newestWithin = 100
const resourcesMax = 100
const detailMax = 1_000
const shortened = (text: string): string => (text.length > detailMax ? `${text.slice(0, detailMax)}…` : text)

export class TopicAudit implements Audit {
  readonly #log: Log
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #newChain: () => string
  readonly #waiting: object[] = []
  #writing: Promise<void> | null = null
  #chain: AuditChain | null = null
  #closed = false
  #said = false
  #second = -1
  #refusals = 0

  constructor(options: { log: Log; clock: Clock; logger: Logger; newChain: () => string }) {
    this.#log = options.log
    this.#clock = options.clock
    this.#logger = options.logger
    this.#newChain = options.newChain
  }

  note(entry: AuditEntry): void {
    if (entry.outcome === 'refused' && !this.#mayWrite()) return
    const { subject, resources, detail, changes = [], ...rest } = entry
    this.#put({
      ...rest,
      principal: principalText(subject.principal),
      host: subject.host,
      resources: resources.slice(0, resourcesMax),
      ...(resources.length > resourcesMax ? { moreResources: resources.length - resourcesMax } : {}),
      ...(changes.length === 0 ? {} : { changes: changes.slice(0, resourcesMax).map(shortened) }),
      ...(changes.length > resourcesMax ? { moreChanges: changes.length - resourcesMax } : {}),
      ...(detail === undefined ? {} : { detail: shortened(detail) }),
    })
  }
  #mayWrite(): boolean {
    const second = Math.floor(this.#clock.monotonic() / 1000)
    if (second !== this.#second) {
      const unsaid = this.#refusals - refusalsPerSecond
      if (unsaid > 0) this.#put({ outcome: 'refused', more: unsaid })
      this.#second = second
      this.#refusals = 0
    }
    return this.#refusals++ < refusalsPerSecond
  }
  #put(facts: object): void {
    if (this.#waiting.length >= waitingMax) return this.#logger.error('audit: more than can be written', { ...facts })
    this.#waiting.push({ at: new Date(this.#clock.now()).toISOString(), ...facts })
    this.#writing ??= this.#write().finally(() => (this.#writing = null))
  }
  async #write(): Promise<void> {
    while (this.#waiting.length > 0) {
      try {
        this.#chain ??= new AuditChain(this.#newChain(), await this.#newest())
        await this.#append(this.#chain)
        this.#said = false
      } catch (error) {
        // Once is enough: what waits is bounded, and said when it is over the bound.
        if (!this.#said) this.#logger.error('audit: what was done cannot be written', { why: asFault(error).message })
        this.#said = true
        if (this.#closed) return
        await this.#clock.sleep(retryMs)
      }
    }
  }
  async #append(chain: AuditChain): Promise<void> {
    const timeMs = this.#clock.now()
    const taken = this.#waiting.slice(0, batchMax)
    const { values, accepted } = chain.link(taken)
    const records = values.map((value) => ({ key: null, value, timeMs }))
    const batch = encodeBatch(records)
    const [appended] = await this.#log.writer().append([{ partition: auditPartition, batch }])
    if (appended !== undefined && 'fault' in appended) throw appended.fault
    accepted()
    this.#waiting.splice(0, taken.length)
  }
  /** The value of the newest record; makes the topic where there is none. */
  async #newest(): Promise<Uint8Array | null> {
    if ((await this.#log.topics.get(auditTopic)) === null) {
      const config = { 'retention.ms': '-1' }
      const [fault] = await this.#log.topics.create([{ name: auditTopic, partitions: 1, config }])
      if (fault instanceof Fault && fault.code !== 'log.topic-exists') throw fault
      if (!(fault instanceof Fault)) return null
    }
    const [bounds] = await this.#log.bounds([auditPartition])
    let newest: Uint8Array | null = null
    let offset = Math.max(bounds!.start, bounds!.end - newestWithin) as Offset
    const reader = this.#log.reader()
    while (offset < bounds!.end) {
      const [chunk] = await reader.read([{ partition: auditPartition, offset }])
      if (chunk === undefined || 'fault' in chunk) throw chunk?.fault ?? new Error('no answer')
      for (const batch of chunk.batches) for (const { value } of decodeBatch(batch)) newest = value ?? newest
      if (chunk.next <= offset) break
      offset = chunk.next
    }
    return newest
  }
  /** Resolves when what was noted is written, or was tried once more. */
  async close(): Promise<void> {
    this.#closed = true
    while (this.#writing !== null) await this.#writing
  }
}
