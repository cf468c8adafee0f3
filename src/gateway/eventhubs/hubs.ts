/** Hubs as topics of the log: found by name, written to, asked about. What the connections of one listener share. */
import type { Offset } from '../../lib/brand.ts'
import { Fault } from '../../lib/fault.ts'
import type { Logger } from '../../lib/logger.ts'
import type { World } from '../../lib/world.ts'
import { type RecordInput, decodeBatch } from '../../log/batch.ts'
import type { Commits } from '../../log/commits.ts'
import type { KeptMap } from '../../log/kept-map.ts'
import type { LocalLog } from '../../log/local/local-log.ts'
import type { TopicInfo } from '../../log/log.ts'
import { encodeOrigin } from '../../log/origin.ts'
import { Placing, type Target } from '../../log/placing.ts'
import { isKeptTopic } from '../../log/topic-rules.ts'
import type { Contracts } from '../../schema/contracts.ts'
import { ensureQuarantine, quarantined } from '../../schema/quarantine.ts'
import type { Subject } from '../../security/authorizer.ts'
import type { Operation, ResourceType } from '../../security/grants.ts'
import { anonymous } from '../../security/principal.ts'
import type { Security } from '../../security/security.ts'
import type { EventHubsMeter } from '../../telemetry/eventhubs-meter.ts'
import { Refused, condition } from './conditions.ts'
import { Epochs } from './epochs.ts'
import { Tokens } from './tokens.ts'

export interface HubParts {
  readonly world: World
  readonly log: LocalLog
  readonly commits: Commits
  readonly contracts: Contracts
  readonly security: Security
  readonly logger: Logger
  readonly meter?: EventHubsMeter
  /** What views write, others may not. */
  readonly uses: { writerOf(topic: string): string | null }
  /** Partitions of a hub that is made because somebody sends to it; null: none is. */
  readonly autoCreate: number | null
}
/** What is known of a partition's end. */
export interface PartitionFacts {
  readonly start: number
  readonly end: number
  /** Of the last event; −1: there is none. */
  readonly lastSequence: number
  readonly lastTimeMs: number
}

export class Hubs {
  readonly parts: HubParts
  readonly kept: KeptMap
  readonly epochs: Epochs
  readonly tokens: Tokens
  /** When the listener began: hubs of whose making nothing is known say this. */
  readonly startedMs: number
  /** Bytes that came and are not stored yet, over all connections. */
  bytesWaiting = 0
  /** Bytes of batches that were read and not sent yet, over all links. */
  bytesHeld = 0
  /** Bytes of messages that have not come whole, over all links. */
  bytesPartial = 0
  /** Bytes that were written and not taken, over all connections. */
  bytesBacklog = 0
  sessions = 0
  links = 0
  readonly #placing: Placing
  /** The last event of a partition, by its end. */
  readonly #last = new Map<string, PartitionFacts>()

  constructor(parts: HubParts, kept: KeptMap) {
    this.parts = parts
    this.kept = kept
    const { clock } = parts.world
    this.epochs = new Epochs(kept, clock)
    this.tokens = new Tokens({ security: parts.security, clock })
    this.#placing = new Placing(parts)
    this.startedMs = clock.now()
  }

  /** By its name, whatever its case where only one fits. Throws Refused. */
  topic(hub: string): TopicInfo {
    const { catalog } = this.parts.log
    const exact = catalog.byName(hub)
    if (exact !== null && !isKeptTopic(hub)) return exact
    const name = hub.toLowerCase()
    const similar = catalog.all().filter((one) => one.name.toLowerCase() === name && !isKeptTopic(one.name))
    if (similar.length === 1) return similar[0]!
    throw new Refused(condition.notFound, `The messaging entity '${hub.slice(0, 300)}' could not be found.`)
  }
  /** The same for who may do that to it: others do not learn whether it is there. Throws Refused. */
  topicFor(subject: Subject, operation: Operation, hub: string): TopicInfo {
    let found: TopicInfo
    try {
      found = this.topic(hub)
    } catch (error) {
      this.allow(subject, operation, 'topic', hub)
      throw error
    }
    this.allow(subject, operation, 'topic', found.name)
    return found
  }
  /** The same for who sends: where it is asked for, a hub is made. Throws Refused, Fault. */
  async topicToWrite(hub: string, subject: Subject): Promise<TopicInfo> {
    const { log, autoCreate, uses } = this.parts
    let found: TopicInfo
    try {
      found = this.topicFor(subject, 'write', hub)
    } catch (error) {
      const isThere = !(error instanceof Refused) || error.refusal.condition !== condition.notFound
      if (isThere || autoCreate === null || isKeptTopic(hub)) throw error
      this.allow(subject, 'create', 'topic', hub)
      const [fault] = await log.topics.create([{ name: hub, partitions: autoCreate }])
      if (fault instanceof Fault && fault.code !== 'log.topic-exists') throw fault
      found = this.topic(hub)
    }
    if (uses.writerOf(found.name) !== null)
      throw new Fault('log.topic-kept', {
        topic: found.name,
        why: 'it holds the changes of a view, which alone writes it',
      })
    return found
  }
  /** Throws Refused; the attempt is in the audit. */
  allow(subject: Subject, operation: Operation, type: ResourceType, name: string): void {
    const { authorizer, audit } = this.parts.security
    if (authorizer.allows(subject, operation, { type, name })) return
    audit.note({ subject, via: 'eventhubs', action: operation, resources: [`${type}:${name}`], outcome: 'refused' })
    throw new Refused(
      condition.unauthorized,
      `Unauthorized access. '${operation}' of the ${type} '${name.slice(0, 300)}' is not granted to ${subject.principal.name}.`,
    )
  }

  /** Somebody did not say who they are as they should have; that is in the audit. */
  unknown(host: string, detail: string): void {
    const subject = { principal: anonymous, host }
    const { audit } = this.parts.security
    audit.note({ subject, via: 'eventhubs', action: 'authenticate', resources: [], outcome: 'refused', detail })
  }

  /**
   * All of them or none, in order; durable when it resolves. Throws Fault. They are on their way when this returns. `bytes`: of
   * what they came in.
   */
  async store(
    topic: TopicInfo,
    partition: number | null,
    records: readonly RecordInput[],
    bytes: number,
  ): Promise<void> {
    const contract = this.parts.contracts.get(topic.name)
    const targets: Target[] = records.map((record) => ({ topic, partition, record }))
    if (contract === null) await this.#placing.place(targets, 'all')
    else await this.#placing.place(await this.#checked(topic, targets, contract.onInvalid ?? 'reject'), 'all')
    this.parts.meter?.sent(records.length, bytes)
  }
  async #checked(topic: TopicInfo, targets: Target[], onInvalid: string): Promise<Target[]> {
    const { contracts, log } = this.parts
    const faults = targets.map(({ record }) => contracts.check(topic.name, { key: record.key, value: record.value }))
    const bad = faults.filter(
      (fault) => fault !== null && (onInvalid !== 'null' || fault.code === 'schema.key-mismatch'),
    )
    if (bad.length === 0) return targets
    if (onInvalid !== 'quarantine') throw bad[0]!
    const quarantine = await ensureQuarantine(log, topic)
    return targets.map((target, i) => {
      const fault = faults[i]
      if (fault == null) return target
      // An event that was refused at the door has no offset: its range in the topic is empty.
      const range = { topicId: topic.id, partition: target.partition ?? 0, first: 0, last: -1 }
      const record = quarantined(target.record, fault, encodeOrigin({ ranges: [range], state: false }))
      return { topic: quarantine, partition: target.partition, record }
    })
  }

  /** Throws Fault. */
  async facts(topic: TopicInfo, index: number): Promise<PartitionFacts> {
    const partition = { topic: topic.name, index }
    const [bounds] = await this.parts.log.bounds([partition])
    if (bounds === undefined) throw new Fault('log.unknown-partition', { topic: topic.name, partition: index })
    const { start, stable: end } = bounds
    const key = `${topic.id}/${index}`
    const known = this.#last.get(key)
    if (known?.end === end) return known.start === start ? known : { ...known, start }
    const last = await this.#lastBefore(partition, start, end)
    const found: PartitionFacts = { start, end, lastSequence: last?.offset ?? -1, lastTimeMs: last?.timeMs ?? 0 }
    if (this.#last.size >= lastMax) this.#last.clear()
    this.#last.set(key, found)
    return found
  }
  /** Looks back over markers and what compaction left out. */
  async #lastBefore(
    partition: { topic: string; index: number },
    start: number,
    end: number,
  ): Promise<{ offset: number; timeMs: number } | null> {
    const reader = this.parts.log.reader({ maxBytes: 64 * 1024 })
    for (let step = 1, from = end - 1; end > start; step *= 4) {
      from = Math.max(start, end - step)
      let last: { offset: number; timeMs: number } | null = null
      for (let at = from; at < end;) {
        const [chunk] = await reader.read([{ partition, offset: at as Offset }])
        if (chunk === undefined || 'fault' in chunk || chunk.next <= at) break
        const newest = chunk.batches.at(-1)
        if (newest !== undefined) last = decodeBatch(newest).findLast(({ offset }) => offset < end) ?? last
        at = chunk.next
      }
      if (last !== null || from === start) return last
    }
    return null
  }
}
const lastMax = 10_000
