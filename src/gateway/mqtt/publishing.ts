/** The way of a message into the log: what it has to be, who may, where it goes, and when its sender is told. */
import type { Fault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import type { Clock } from '../../lib/world.ts'
import type { RecordInput } from '../../log/batch.ts'
import type { Commits } from '../../log/commits.ts'
import type { Log } from '../../log/log.ts'
import { encodeOrigin } from '../../log/origin.ts'
import type { Contracts } from '../../schema/contracts.ts'
import { ensureQuarantine, quarantined } from '../../schema/quarantine.ts'
import type { Subject } from '../../security/authorizer.ts'
import { type Reason, reason } from '../../wire/mqtt/reason.ts'
import { isTopicName, levelsOf } from '../../wire/mqtt/topics.ts'
import type { Access } from './access.ts'
import { Appender, type Waiter, partitionOf } from './appender.ts'
import { LogTopic, type LogTopics } from './log-topics.ts'
import { type Sent, recordOf } from '../../log/mqtt-message.ts'
import { reasonOf } from './outcome.ts'
import { type Retained, retainedRecord } from './retained.ts'
import type { Session } from './session.ts'
import type { Store } from './store.ts'
import { sysPrefix } from './sys.ts'
import type { TopicMap } from './topic-map.ts'

export interface PublishWaiter {
  stored(): void
  /** `mayPass`: it may go better later. */
  refused(code: Reason, why: string, mayPass: boolean): void
}
export interface PublishOptions {
  readonly subject: Subject
  readonly session: Session | null
  /** With QoS 2 of a session that is kept: that the packet came is written with its message. */
  readonly packetId: number | null
}
interface Parts {
  readonly clock: Clock
  readonly log: Log
  readonly commits: Commits
  readonly contracts: Contracts
  readonly access: Access
  readonly writerOf: (topic: string) => string | null
  readonly map: TopicMap
  readonly topics: LogTopics
  readonly retained: Retained
  readonly store: Store
  readonly counts: { received: number; refused: number }
}

export class Publishing {
  readonly #parts: Parts
  readonly #appender: Appender

  constructor(parts: Parts) {
    this.#parts = parts
    this.#appender = new Appender(parts)
  }
  publish(sent: Sent, options: PublishOptions, waiter: PublishWaiter): void {
    const { topic } = sent
    this.#parts.counts.received++
    const refuse = (code: Reason, why: string, mayPass = false): void => {
      this.#parts.counts.refused++
      waiter.refused(code, why, mayPass)
    }
    if (!isTopicName(topic))
      return refuse(reason.topicNameInvalid, 'a topic name has at least one character and no wildcard')
    if (topic.startsWith(sysPrefix) || topic.startsWith('$share/'))
      return refuse(reason.topicNameInvalid, `topics of ${topic.split('/')[0]} are the server's`)
    if (levelsOf(topic) > limits.mqttTopicLevels)
      return refuse(reason.topicNameInvalid, `a topic has at most ${limits.mqttTopicLevels} levels`)
    const name = this.#parts.map.logTopic(topic)
    if (!this.#parts.access.may(options.subject, 'write', name))
      return refuse(reason.notAuthorized, `you may not write to ${name}`)
    const view = this.#parts.writerOf(name)
    if (view !== null)
      return refuse(reason.notAuthorized, `${name} holds the changes of the view ${view}, which alone writes it`)
    const log = this.#parts.topics.get(name)
    if (log !== null) return this.#append(log, sent, options, waiter, refuse)
    this.#parts.topics.ready(name).then(
      (made) => this.#append(made, sent, options, waiter, refuse),
      (error: unknown) => refuse(...reasonOf(error)),
    )
  }
  #append(
    topic: LogTopic,
    sent: Sent,
    { session, packetId }: PublishOptions,
    waiter: PublishWaiter,
    refuse: (code: Reason, why: string, mayPass?: boolean) => void,
  ): void {
    const publisher = session?.hasNoLocal === true ? session.clientId : null
    const record = recordOf(sent, this.#parts.clock.now(), publisher)
    const failed = (error: unknown): void => refuse(...reasonOf(error))
    const contract = this.#parts.contracts.get(topic.name)
    if (contract !== null && contract.onInvalid !== 'null') {
      const { key, value } = record
      const fault = this.#parts.contracts.check(topic.name, { key, value })
      if (fault !== null) {
        if (contract.onInvalid !== 'quarantine') return refuse(reason.payloadFormatInvalid, fault.message)
        this.#quarantine(topic, record, fault).then(() => waiter.stored(), failed)
        return
      }
    }
    try {
      if (sent.retain) this.#parts.retained.check(record)
    } catch (error) {
      return failed(error)
    }
    if (session !== null && packetId !== null)
      return this.#appendOnce(topic, record, { session, packetId, sent }, waiter, failed)
    if (!sent.retain) return this.#appender.add(topic, record, { stored: () => waiter.stored(), failed })
    // Both, side by side; who is told that it is stored finds it retained.
    const retained = this.#parts.retained.put(record)
    retained.catch(() => {})
    const stored = (): void => void retained.then(() => waiter.stored(), failed)
    this.#appender.add(topic, record, { stored, failed })
  }
  #appendOnce(
    topic: LogTopic,
    record: RecordInput,
    { session, packetId, sent }: { session: Session; packetId: number; sent: Sent },
    waiter: PublishWaiter,
    failed: (error: unknown) => void,
  ): void {
    const entries = [
      { partition: partitionOf(topic, record), record },
      { partition: this.#parts.store.partition, record: this.#parts.store.incoming(session, packetId) },
    ]
    const once: Waiter = { stored: () => waiter.stored(), failed }
    if (!sent.retain) return this.#appender.addTogether(entries, once)
    const kept = retainedRecord(record)
    this.#appender.addTogether([{ partition: this.#parts.retained.partition, record: kept }, ...entries], {
      stored: (offset) => {
        this.#parts.retained.take({ ...kept, headers: kept.headers ?? [], offset })
        waiter.stored()
      },
      failed,
    })
  }
  async #quarantine(topic: LogTopic, record: RecordInput, fault: Fault): Promise<void> {
    const { log } = this.#parts
    const info = await ensureQuarantine(log, topic.info)
    const origin = encodeOrigin({
      ranges: [{ topicId: topic.info.id, partition: 0, first: 0, last: -1 }],
      state: false,
    })
    await new Promise<void>((resolve, reject) =>
      this.#appender.add(new LogTopic(info), quarantined(record, fault, origin), {
        stored: () => resolve(),
        failed: reject,
      }),
    )
  }
}
