/**
 * The only client of a subscription of its own: it publishes, pulls, acknowledges, makes snapshots and goes back to them,
 * changes, detaches, deletes and makes anew, one thing after another in an order of chance, and holds what comes against
 * the worlds that there may be. What was not answered because the server died is looked up, or is two worlds until what
 * comes rules one out.
 */
import * as m from '../../src/wire/pubsub/messages.ts'
import { empty } from '../../src/wire/protobuf/well-known.ts'
import type { RpcFailure } from '../gateway/pubsub/fixture.ts'
import type { Server, Told } from './pubsub-link.ts'
import { Part, pause, status, textOf } from './pubsub-part.ts'
import { type Kind, type Message, type Place, Worlds } from './pubsub-worlds.ts'

const keys = 3
const keyless = 'none'
const snapshotsMax = 3
/** Then it begins a new life: what a seek brings back is bounded. */
const lifeMessages = 400
const deadlineSeconds = 10
/** Nothing came for so long, with the server up: nothing will. Locks that hold over a death last as long as the deadline. */
const quietMs = { kept: 13_000, other: 2_000 } as const
const silentMsMax = 45_000
/** What must not come has so long to come. */
const settledMs = 300

export class Actor extends Part {
  readonly kind: Kind
  readonly worlds: Worlds
  /** How often the server had died when it was first not known which world it is; null: it is. */
  doubtsSince: number | null = null
  readonly #numbers = new Map<string, number>()
  #deaths = 0
  /** Counts topics, subscriptions and snapshots. */
  #made = 0
  #topicSays = ''
  #subscriptionSays = ''

  constructor(kind: Kind, server: Server, random: () => number) {
    super(kind.name, server, random)
    this.kind = kind
    this.worlds = new Worlds(kind)
  }
  get #topic(): string {
    return `of-${this.kind.name}`
  }
  get #names() {
    const { name } = this.kind
    return { topic: `projects/p/topics/of-${name}`, subscription: `projects/p/subscriptions/${name}` }
  }
  override get found(): readonly string[] {
    return [...super.found, ...this.worlds.problems]
  }
  override async run(): Promise<void> {
    await this.#makeTopic()
    await this.#makeSubscription()
    while (!this.stopping) await this.#step()
    await this.#drain()
    this.link.close()
  }
  async #step(): Promise<void> {
    this.#look()
    if (this.worlds.count > 1) return this.#drain()
    if (this.worlds.messages > lifeMessages) return this.#again()
    const { snapshots } = this.worlds
    const place = snapshots[this.below(snapshots.length)]
    const steps: (readonly [weight: number, run: () => Promise<unknown>])[] = [
      [20, () => this.#publish()],
      [20, () => this.#pullSome()],
      [14, () => this.#snapshot()],
      [place === undefined ? 0 : 16, () => this.#seek({ snapshot: place! })],
      [6, () => this.#seekBack()],
      [4, () => this.#seek({ timeMs: Date.now() + 60_000 })],
      [8, () => this.#update()],
      [10, () => this.#drain()],
      [4, () => this.#again()],
      [2, () => this.#topicAgain()],
      [2, () => this.#detach()],
    ]
    await this.one(steps)
  }
  #look(): void {
    if (this.#deaths === this.server.deaths) return
    this.#deaths = this.server.deaths
    this.worlds.restarted()
  }

  // --- messages

  async #publish(): Promise<readonly Message[]> {
    const count = 1 + this.below(6)
    const ids = Array.from({ length: count }, () => {
      const dice = this.below(keys + 1)
      const key = dice === keys ? keyless : `k${dice}`
      const number = this.#numbers.get(key) ?? 0
      this.#numbers.set(key, number + 1)
      return { id: `${key}/${number}`, key, number }
    })
    const given = ids.map(({ id, key }) => ({ data: Buffer.from(id), orderingKey: key === keyless ? '' : key }))
    const fromMs = Date.now()
    const told = await this.link.tell('Publish', (calls) => calls.publish(this.#topic, ...given))
    this.isDone('Publish', told)
    const isSure = told.is === 'answered'
    const toMs = isSure ? Date.now() : Date.now() + 1_000
    const all = ids.map((one): Message => ({
      ...one,
      key: one.key === keyless ? one.id : one.key,
      fromMs,
      toMs,
      isSure,
    }))
    for (const one of all) this.worlds.published(one)
    return all
  }
  async #pull(count: number): Promise<{ id: string; ackId: string }[]> {
    const subscription = this.#names.subscription
    const types = [m.pullRequest, m.pullResponse] as const
    const told = await this.link.call('Subscriber/Pull', types, {
      subscription,
      maxMessages: count,
      returnImmediately: true,
    })
    this.#look()
    if (told.is === 'refused') this.problem(`Pull was refused: ${textOf(told.failure)}`)
    const received = told.is === 'answered' ? told.value.receivedMessages : []
    return received.map(({ message, ackId }) => {
      const id = Buffer.from(message!.data).toString()
      this.worlds.delivered(id)
      return { id, ackId }
    })
  }
  async #acknowledge(all: readonly { id: string; ackId: string }[]): Promise<void> {
    if (all.length === 0) return
    const told = await this.link.tell('Acknowledge', (calls) =>
      calls.acknowledge(this.kind.name, ...all.map(({ ackId }) => ackId)),
    )
    if (told.is === 'answered') return this.worlds.acknowledged(idsOf(all), 'sure')
    if (told.is === 'lost') return this.worlds.acknowledged(idsOf(all), 'maybe')
    // Where exactly once is promised the answer names those whose lock has ended.
    const names = told.failure.details?.toString('latin1') ?? ''
    const refused = all.filter(({ ackId }) => names.includes(ackId))
    if (!this.kind.exact || told.failure.status !== status.precondition || refused.length === 0)
      this.problem(`Acknowledge was refused: ${textOf(told.failure)}`)
    this.count('refused ids')
    this.worlds.givenBack(idsOf(refused))
    this.worlds.acknowledged(idsOf(all.filter((one) => !refused.includes(one))), 'sure')
  }
  async #giveBack(all: readonly { id: string; ackId: string }[]): Promise<void> {
    if (all.length === 0) return
    await this.link.tell('ModifyAckDeadline', (calls) =>
      calls.modifyDeadline(this.kind.name, 0, ...all.map(({ ackId }) => ackId)),
    )
    this.worlds.givenBack(idsOf(all))
  }
  /** Some are acknowledged, the others given back: none stay out. */
  async #pullSome(): Promise<void> {
    const all = await this.#pull(1 + this.below(10))
    const cut = this.below(all.length + 1)
    await this.#acknowledge(all.slice(0, cut))
    await this.#giveBack(all.slice(cut))
  }
  /** Until all came that has to, and, where that is not known, until nothing more comes. */
  async #drain(): Promise<void> {
    const quiet = this.kind.exact ? quietMs.kept : quietMs.other
    let sinceMs = performance.now()
    let deaths = this.server.deaths
    for (;;) {
      const all = await this.#pull(100)
      if (this.server.deaths !== deaths || all.length > 0) {
        deaths = this.server.deaths
        await this.server.up
        sinceMs = performance.now()
      }
      await this.#acknowledge(all)
      if (all.length === 0) await pause(100)
      const silentMs = performance.now() - sinceMs
      const isSettled = this.worlds.due('some').length === 0
      if (all.length === 0 && isSettled && silentMs > settledMs) break
      const mayBeAll = this.worlds.due('every').length === 0
      if (silentMs > (mayBeAll && this.worlds.count > 1 ? quiet : silentMsMax)) break
    }
    this.worlds.drained()
    this.doubtsSince = null
    this.count('drained')
  }

  // --- snapshots and seeks

  async #snapshot(): Promise<void> {
    if (this.worlds.snapshots.length >= snapshotsMax) return this.#forgetSnapshot()
    const id = `${this.kind.name}-${this.#made++}`
    const [told] = await Promise.all([
      // What is published meanwhile is not in it, or not acknowledged in it: it is due after a seek.
      this.link.tell('CreateSnapshot', (calls) => calls.snapshot(id, this.kind.name)),
      this.random() < 0.5 ? this.#publish() : null,
    ])
    if (!this.isDone('CreateSnapshot', told) && !(await this.#isThere(id))) return
    this.worlds.snapshot(id)
  }
  async #isThere(id: string): Promise<boolean> {
    const types = [m.getSnapshotRequest, m.snapshotMessage] as const
    const snapshot = `projects/p/snapshots/${id}`
    const found = await this.asked(() => this.link.call('Subscriber/GetSnapshot', types, { snapshot }))
    if (!(found instanceof Error)) return true
    if (found.status !== status.notFound) this.problem(`GetSnapshot was refused: ${textOf(found)}`)
    return false
  }
  async #forgetSnapshot(): Promise<void> {
    const [id] = this.worlds.snapshots
    const types = [m.deleteSnapshotRequest, empty] as const
    const told = await this.link.call('Subscriber/DeleteSnapshot', types, { snapshot: `projects/p/snapshots/${id}` })
    if (this.isDone('DeleteSnapshot', told) || !(await this.#isThere(id!))) this.worlds.forget(id!)
  }
  async #seekBack(): Promise<void> {
    const times = this.worlds.timesMs.slice(-20)
    const timeMs = times[this.below(times.length)]
    if (timeMs !== undefined) await this.#seek({ timeMs })
  }
  async #seek(to: Place): Promise<void> {
    const time = 'timeMs' in to ? { seconds: Math.floor(to.timeMs / 1000), nanos: (to.timeMs % 1000) * 1e6 } : null
    const snapshot = 'snapshot' in to ? `projects/p/snapshots/${to.snapshot}` : ''
    const says = time === null ? 'Seek to a snapshot' : 'Seek to a time'
    const [told, during] = await Promise.all([
      this.link.tell(says, (calls) => calls.seek(this.kind.name, { time, snapshot })),
      this.random() < 0.5 ? this.#publish() : [],
    ])
    this.#look()
    if (this.isDone(says, told)) this.worlds.sought(to, 'sure', during)
    else if (told.is === 'lost') {
      this.worlds.sought(to, 'maybe', during)
      this.doubtsSince = this.server.deaths
      return this.#drain()
    }
    if (this.random() < 0.5) await this.#drain()
  }

  // --- what it is

  async #update(): Promise<void> {
    const says = `${this.#made++}`
    const types = [m.updateSubscriptionRequest, m.subscriptionMessage] as const
    const ackDeadlineSeconds = deadlineSeconds + (this.#made % 5)
    const subscription = { name: this.#names.subscription, labels: new Map([['says', says]]), ackDeadlineSeconds }
    const updateMask = { paths: ['labels', 'ack_deadline_seconds'] }
    const told = await this.link.call('Subscriber/UpdateSubscription', types, { subscription, updateMask })
    const next = `${says} ${ackDeadlineSeconds}`
    if (this.isDone('UpdateSubscription', told)) this.#subscriptionSays = next
    const found = await this.#found()
    if (found instanceof Error) return this.problem(`GetSubscription was refused: ${textOf(found)}`)
    const there = `${found.labels.get('says')} ${found.ackDeadlineSeconds}`
    if (there !== this.#subscriptionSays && there !== next)
      this.problem(`it says ${there} after ${this.#subscriptionSays}`)
    this.#subscriptionSays = there
  }
  #found(): Promise<m.SubscriptionMessage | RpcFailure> {
    const types = [m.getSubscriptionRequest, m.subscriptionMessage] as const
    const { subscription } = this.#names
    return this.asked(() => this.link.call('Subscriber/GetSubscription', types, { subscription }))
  }
  #foundTopic(): Promise<m.TopicMessage | RpcFailure> {
    const types = [m.getTopicRequest, m.topicMessage] as const
    return this.asked(() => this.link.call('Publisher/GetTopic', types, { topic: this.#names.topic }))
  }
  async #makeTopic(): Promise<void> {
    for (;;) {
      const says = `t${this.#made++}`
      const labels = new Map([['says', says]])
      const told = await this.link.tell('CreateTopic', (calls) => calls.topic(this.#topic, { labels }))
      this.isDone('CreateTopic', told)
      const found = await this.#foundTopic()
      if (this.isGone(found)) continue
      const there = found.labels.get('says')
      if (there !== says) this.problem(`the topic is there as ${there}, not as ${says}`)
      this.#topicSays = says
      return
    }
  }
  async #makeSubscription(): Promise<void> {
    const { name, ordered, exact, retains } = this.kind
    for (;;) {
      const says = `s${this.#made++}`
      this.#subscriptionSays = `${says} ${deadlineSeconds}`
      const more = {
        labels: new Map([['says', says]]),
        enableMessageOrdering: ordered,
        enableExactlyOnceDelivery: exact,
        ackDeadlineSeconds: deadlineSeconds,
        retainAckedMessages: retains,
      }
      const told = await this.link.tell('CreateSubscription', (calls) => calls.subscription(name, this.#topic, more))
      this.isDone('CreateSubscription', told)
      const found = await this.#found()
      if (this.isGone(found)) continue
      const there = found.labels.get('says')
      if (there !== says) this.problem(`it is there as ${there}, not as ${says}`)
      this.worlds.begunAnew()
      return
    }
  }
  /** Whether it is gone; else it has to be as it was. */
  async #remove(): Promise<boolean> {
    const types = [m.deleteSubscriptionRequest, empty] as const
    const { subscription } = this.#names
    const told = await this.link.call('Subscriber/DeleteSubscription', types, { subscription })
    this.isDone('DeleteSubscription', told)
    const found = await this.#found()
    const isGone = this.isGone(found)
    if (told.is === 'answered' && !isGone) this.problem('it is there after it was deleted')
    return isGone
  }
  async #again(): Promise<void> {
    const snapshots = this.worlds.snapshots
    if (await this.#remove()) {
      await this.#makeSubscription()
      for (const id of snapshots) await this.asked(() => this.#removeSnapshot(id))
      await this.#publish()
    }
    await this.#drain()
  }
  #removeSnapshot(id: string): Promise<Told<object>> {
    const types = [m.deleteSnapshotRequest, empty] as const
    return this.link.call('Subscriber/DeleteSnapshot', types, { snapshot: `projects/p/snapshots/${id}` })
  }
  async #topicAgain(): Promise<void> {
    const types = [m.deleteTopicRequest, empty] as const
    const snapshots = this.worlds.snapshots
    const told = await this.link.call('Publisher/DeleteTopic', types, { topic: this.#names.topic })
    const isDone = this.isDone('DeleteTopic', told)
    const topic = await this.#foundTopic()
    if (!this.isGone(topic)) {
      if (isDone) this.problem('the topic is there after it was deleted')
      const there = topic.labels.get('says')
      if (there !== this.#topicSays) this.problem(`the topic is there as ${there}, not as ${this.#topicSays}`)
      return this.#drain()
    }
    await this.#checkTopicGone()
    // Sometimes another of that name is there before: the subscription is none of its.
    const isFirst = this.random() < 0.5
    if (isFirst) await this.#makeTopic()
    if (isFirst) await this.#checkTopicGone()
    while (!(await this.#remove()));
    if (!isFirst) await this.#makeTopic()
    await this.#makeSubscription()
    for (const id of snapshots) {
      const found = await this.asked(() =>
        this.link.tell('Seek to a snapshot', (calls) =>
          calls.seek(this.kind.name, { time: null, snapshot: `projects/p/snapshots/${id}` }),
        ),
      )
      if (!(found instanceof Error)) this.problem('it was sought to a snapshot of a topic that is gone')
      await this.asked(() => this.#removeSnapshot(id))
    }
    await this.#publish()
    await this.#drain()
  }
  async #checkTopicGone(): Promise<void> {
    const found = await this.#found()
    if (found instanceof Error) this.problem(`GetSubscription was refused: ${textOf(found)}`)
    else if (found.topic !== '_deleted-topic_') this.problem(`its topic is gone, and it says ${found.topic}`)
  }
  async #detach(): Promise<void> {
    const types = [m.detachSubscriptionRequest, m.detachSubscriptionResponse] as const
    const { subscription } = this.#names
    const told = await this.link.call('Publisher/DetachSubscription', types, { subscription })
    const isDone = this.isDone('DetachSubscription', told)
    const found = await this.#found()
    if (found instanceof Error) return this.problem(`GetSubscription was refused: ${textOf(found)}`)
    if (!found.detached) {
      if (isDone) this.problem('it is not detached after it was')
      return this.#drain()
    }
    const pulled = await this.asked(() => this.link.tell('Pull', (calls) => calls.pull(this.kind.name, 1)))
    if (!(pulled instanceof Error) || (pulled as RpcFailure).status !== status.precondition)
      this.problem('it is detached, and may be pulled from')
    const snapshots = this.worlds.snapshots
    while (!(await this.#remove()));
    await this.#makeSubscription()
    for (const id of snapshots) await this.asked(() => this.#removeSnapshot(id))
    await this.#drain()
  }
}
const idsOf = (all: readonly { readonly id: string }[]): string[] => all.map(({ id }) => id)
