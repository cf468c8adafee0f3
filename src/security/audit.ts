/**
 * What was done to the platform and what was refused, as records of the topic `_millrace_audit`. An act waits for nothing:
 * its record is written behind it, in batches. Refusals, which strangers can cause, are written at a bounded rate; what is
 * beyond is counted and the count written.
 */
import { Fault, asFault } from '../lib/fault.ts'
import type { Logger } from '../lib/logger.ts'
import type { Clock } from '../lib/world.ts'
import { encodeBatch } from '../log/batch.ts'
import type { Log } from '../log/log.ts'
import type { Subject } from './authorizer.ts'
import { principalText } from './principal.ts'

const auditTopic = '_millrace_audit'

interface AuditEntry {
  readonly subject: Subject
  /** The protocol by which it came. */
  readonly via: string
  /** The API or route. */
  readonly action: string
  /** What it was about: `topic:orders`. */
  readonly resources: readonly string[]
  readonly outcome: 'done' | 'failed' | 'refused'
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
const resourcesMax = 100
const detailMax = 1_000

export class TopicAudit implements Audit {
  readonly #log: Log
  readonly #clock: Clock
  readonly #logger: Logger
  readonly #waiting: Buffer[] = []
  #writing: Promise<void> | null = null
  #isThere = false
  #second = -1
  #refusals = 0

  constructor(options: { log: Log; clock: Clock; logger: Logger }) {
    this.#log = options.log
    this.#clock = options.clock
    this.#logger = options.logger
  }

  note(entry: AuditEntry): void {
    if (entry.outcome === 'refused' && !this.#mayWrite()) return
    const { subject, resources, detail, ...rest } = entry
    this.#put({
      ...rest,
      principal: principalText(subject.principal),
      host: subject.host,
      resources: resources.slice(0, resourcesMax),
      ...(resources.length > resourcesMax ? { moreResources: resources.length - resourcesMax } : {}),
      ...(detail === undefined ? {} : { detail: detail.slice(0, detailMax) }),
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
    this.#waiting.push(Buffer.from(JSON.stringify({ at: new Date(this.#clock.now()).toISOString(), ...facts })))
    this.#writing ??= this.#write().finally(() => (this.#writing = null))
  }
  async #write(): Promise<void> {
    try {
      if (!this.#isThere) await this.#create()
      const writer = this.#log.writer()
      while (this.#waiting.length > 0) {
        const timeMs = this.#clock.now()
        const records = this.#waiting.splice(0, batchMax).map((value) => ({ key: null, value, timeMs }))
        const [appended] = await writer.append([
          { partition: { topic: auditTopic, index: 0 }, batch: encodeBatch(records) },
        ])
        if (appended !== undefined && 'fault' in appended) throw appended.fault
      }
    } catch (error) {
      this.#logger.error('audit: what was done could not be written', { why: asFault(error).message })
    }
  }
  async #create(): Promise<void> {
    if ((await this.#log.topics.get(auditTopic)) === null) {
      const config = { 'retention.ms': '-1' }
      const [fault] = await this.#log.topics.create([{ name: auditTopic, partitions: 1, config }])
      if (fault instanceof Fault && fault.code !== 'log.topic-exists') throw fault
    }
    this.#isThere = true
  }
  /** Resolves when what was noted is written. */
  async close(): Promise<void> {
    while (this.#writing !== null) await this.#writing
  }
}
