/**
 * A group of the consumer protocol with clients that behave as KIP-848 says, topics that come and go, and a clock that the
 * test moves. Every change goes through its record: the shadow group is what a restart would make of them.
 */
import assert from 'node:assert/strict'
import type { Fault } from '../../../../src/lib/fault.ts'
import type { ConsumerHeartbeat, ConsumerHeartbeatAnswer } from '../../../../src/log/broker.ts'
import {
  ConsumerGroup,
  type ConsumerGroupHost,
  type ConsumerGroupSettings,
} from '../../../../src/log/local/groups/consumer/consumer-group.ts'
import { consumerKind } from '../../../../src/log/local/groups/consumer/kind.ts'
import type { Edit } from '../../../../src/log/local/groups/consumer/edit.ts'
import { matches } from '../../../../src/log/local/groups/consumer/patterns.ts'
import { changeOf, recordOf } from '../../../../src/log/local/groups/consumer/records.ts'

export class Bench {
  nowMs = 0
  readonly topics = new Map<string, { id: string; partitions: number }>()
  settings: ConsumerGroupSettings = { sessionMs: 45_000, heartbeatMs: null, assignmentMs: 0 }
  group: ConsumerGroup
  /** What is stored, as records; the newest edits last. */
  readonly edits: Edit[] = []
  #asked: readonly string[] | null = null
  #version = 0
  #ids = 0
  #durable = 0

  constructor() {
    this.group = this.#make()
  }
  #make(): ConsumerGroup {
    const host: ConsumerGroupHost = {
      topics: {
        byName: (name) => this.topics.get(name) ?? null,
        byId: (id) => {
          for (const [name, topic] of this.topics) if (topic.id === id) return { name, partitions: topic.partitions }
          return null
        },
      },
      topicsVersion: () => this.#version,
      wallMs: () => 1_000_000 + this.nowMs,
      settings: () => this.settings,
      refuses: () => null,
      resolve: (patterns) => (this.#asked = patterns),
    }
    return new ConsumerGroup('g', host, consumerKind)
  }
  topic(name: string, partitions: number): void {
    const known = this.topics.get(name)
    const id = known?.id ?? `00000000-0000-4000-8000-${String(this.#ids++).padStart(12, '0')}`
    this.topics.set(name, { id, partitions })
    this.#changed(name)
  }
  removeTopic(name: string): void {
    this.topics.delete(name)
    this.#changed(name)
  }
  #changed(name: string): void {
    this.#version++
    if (this.group.state.subscribesTo(name)) this.group.topicsChanged()
  }
  nameOf(id: string): string {
    for (const [name, topic] of this.topics) if (topic.id === id) return name
    return id
  }

  edit<T>(work: (edit: Edit) => T): T {
    const edit = this.group.begin()
    try {
      const answer = work(edit)
      this.edits.push(edit)
      return answer
    } catch (error) {
      edit.undo()
      throw error
    }
  }
  heartbeat(request: Partial<ConsumerHeartbeat> & { memberId: string; epoch: number }): ConsumerHeartbeatAnswer {
    return this.edit((edit) => this.group.heartbeat(edit, fullRequest(request), this.nowMs))
  }
  leave(memberId: string, epoch = -1, instanceId: string | null = null): void {
    this.edit((edit) => {
      if (this.group.leave(edit, { memberId, instanceId, epoch })) this.group.fence(edit, new Set([memberId]))
    })
  }
  /** Patterns that were asked for are resolved now. */
  resolve(): void {
    const asked = this.#asked
    if (asked === null) return
    this.#asked = null
    const walk = matches(asked, [...this.topics.keys()])
    let step = walk.next()
    while (step.done !== true) step = walk.next()
    const found = step.value
    this.edit((edit) => this.group.resolved(edit, found))
  }
  /** Members whose time is over are out. */
  pass(ms: number): string[] {
    this.nowMs += ms
    const over = this.group.watches.nextMs() <= this.nowMs ? this.group.watches.over(this.nowMs) : new Set<string>()
    if (over.size > 0) this.edit((edit) => this.group.fence(edit, over))
    return [...over]
  }
  /** The newest writes since the last restart failed. */
  fail(count: number): void {
    for (const edit of this.edits.splice(Math.max(this.#durable, this.edits.length - count)).toReversed()) edit.undo()
  }
  /** The group as a restart would find it. */
  restored(): ConsumerGroup {
    const group = this.#make()
    for (const edit of this.edits)
      for (const change of edit.changes) {
        const { key, value } = recordOf('g', change, 0)
        const said = changeOf({ key: key!, value, headers: [], timeMs: 0, offset: 0 } as never)
        assert.equal(said?.group, 'g')
        group.state.apply(said.change)
      }
    group.watches.begin(this.nowMs)
    return group
  }
  restart(): void {
    this.#durable = this.edits.length
    this.group = this.restored()
    this.#asked = null
  }
}

export const fullRequest = (
  request: Partial<ConsumerHeartbeat> & { memberId: string; epoch: number },
): ConsumerHeartbeat => ({
  group: 'g',
  instanceId: null,
  rackId: null,
  rebalanceTimeoutMs: -1,
  topics: null,
  pattern: null,
  assignor: null,
  owned: null,
  clientId: 'c',
  host: '/127.0.0.1',
  ...request,
})

/** A consumer: what it holds, what it has been told to hold, and how it says so. */
export class Client {
  readonly bench: Bench
  memberId: string
  readonly instanceId: string | null
  epoch = 0
  topics: readonly string[]
  pattern: string | null
  /** `topicId/index` */
  held = new Set<string>()
  #told: Set<string> | null = null
  /** What it has to say beside that it lives. */
  #full = true
  #ownedNews = false

  constructor(bench: Bench, memberId: string, wishes: { topics?: string[]; pattern?: string; instanceId?: string }) {
    this.bench = bench
    this.memberId = memberId
    this.topics = wishes.topics ?? []
    this.pattern = wishes.pattern ?? null
    this.instanceId = wishes.instanceId ?? null
  }
  subscribe(topics: readonly string[], pattern: string | null = null): void {
    this.topics = topics
    this.pattern = pattern
    this.#full = true
  }
  /** Does as it was told: gives up what it is not to have, and says so; then takes what it is to have. */
  obey(): void {
    const told = this.#told
    if (told === null) return
    const gone = [...this.held].filter((place) => !told.has(place))
    for (const place of gone) this.held.delete(place)
    if (gone.length === 0) {
      this.held = new Set(told)
      this.#told = null
    }
    this.#ownedNews = true
  }
  beat(answered = true): void {
    const joins = this.epoch === 0
    const full = this.#full || joins
    const owned = joins ? [] : full || this.#ownedNews ? ownedOf(this.held) : null
    let answer: ConsumerHeartbeatAnswer
    try {
      answer = this.bench.heartbeat({
        memberId: this.memberId,
        epoch: this.epoch,
        instanceId: this.instanceId,
        owned,
        ...(full ? { rebalanceTimeoutMs: 60_000, topics: this.topics, pattern: this.pattern ?? '' } : {}),
      })
    } catch (error) {
      const { code } = error as Fault
      if (!['log.fenced-member-epoch', 'log.unknown-member', 'log.fenced-instance'].includes(code)) throw error
      this.abandon()
      return
    }
    if (!answered) {
      this.#full = true
      return
    }
    this.#full = this.#ownedNews = false
    this.epoch = answer.epoch
    if (answer.assignment !== null)
      this.#told = new Set(
        answer.assignment.flatMap(({ topicId, partitions }) => partitions.map((p) => `${topicId}/${p}`)),
      )
  }
  /** It was thrown out: everything is given up, and it joins anew. */
  abandon(): void {
    this.held.clear()
    this.#told = null
    this.#full = true
    this.epoch = 0
  }
}
function ownedOf(held: ReadonlySet<string>): { topicId: string; partitions: number[] }[] {
  const found = new Map<string, number[]>()
  for (const place of held) {
    const [topicId, index] = place.split('/') as [string, string]
    found.set(topicId, [...(found.get(topicId) ?? []), Number(index)])
  }
  return Array.from(found, ([topicId, partitions]) => ({ topicId, partitions }))
}
