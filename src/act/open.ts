/**
 * Alerts, put together: for each rule a task that turns rows of its view into alerts (`dispatcher.ts`), one ledger of what
 * fired (`ledger.ts`), and the deliveries (`deliveries.ts`). Follows the rules as they come and go.
 */
import { Fault, asFault } from '../lib/fault.ts'
import { limits } from '../lib/limits.ts'
import type { Logger } from '../lib/logger.ts'
import type { World } from '../lib/world.ts'
import type { Commits } from '../log/commits.ts'
import { GroupTask } from '../log/group-task.ts'
import type { Log, Membership } from '../log/log.ts'
import type { AlertRules } from '../query/engine.ts'
import { type AlertDestination, type PlannedAlert, alertViewName, withoutSecrets } from '../sql/alert.ts'
import { webhookRules } from './addresses.ts'
import type { AlertInfo, Alerts, FiredAlert } from './alerts.ts'
import { type Backoff, standardBackoff } from './backoff.ts'
import { Deliveries } from './deliveries.ts'
import { Dispatcher, destinationText } from './dispatcher.ts'
import { type Fired, alertsTopic } from './ledger-records.ts'
import { LedgerFeed } from './ledger-feed.ts'
import { Ledger } from './ledger.ts'
import { Watchers } from './watchers.ts'

export interface AlertsOptions {
  readonly world: World
  readonly log: Log
  readonly commits: Commits
  readonly rules: AlertRules
  readonly logger: Logger
  /** `webhooks.allow`: CIDR ranges that webhooks may reach although they are not on the public internet. */
  readonly allow?: readonly string[]
  /** Webhooks may reach this machine itself: for development. */
  readonly allowLoopback?: boolean
  readonly backoff?: Backoff
}
export interface RunningAlerts extends Alerts {
  /** Resolves when what fired before the start has been read and rules are followed. */
  readonly ready: Promise<void>
  close(): Promise<void>
}

/** Whoever holds it makes the deliveries. */
const deliveriesGroup = '_millrace_deliveries'
const alertGroup = (alert: string): string => `_millrace_alerts.${alert}`
/** Alerts are kept for 90 days; the newest state of each delivery with them. */
const ledgerConfig = {
  'cleanup.policy': 'compact,delete',
  'retention.ms': String(90 * 24 * 3_600_000),
  'max.message.bytes': String(limits.batchBytesMax),
}

/** Throws Fault config.invalid. */
export function openAlerts(options: AlertsOptions): RunningAlerts {
  return new OpenAlerts(options)
}

class OpenAlerts implements RunningAlerts {
  readonly ready: Promise<void>
  readonly #options: AlertsOptions
  readonly #ledger = new Ledger()
  readonly #feed: LedgerFeed
  readonly #deliveries: Deliveries
  #delivering: { readonly membership: Membership; readonly done: Promise<void> } | null = null
  readonly #watchers = new Watchers<FiredAlert>()
  readonly #tasks = new Map<string, { readonly task: GroupTask; readonly planned: PlannedAlert }>()
  readonly #suppressed = new Map<string, number>()
  readonly #stop = new AbortController()
  readonly #stopWatching: () => void
  /** Changes one after another. */
  #changing: Promise<void>

  constructor(options: AlertsOptions) {
    const { world, log, commits, rules, logger, allow = [], allowLoopback = false, backoff = standardBackoff } = options
    this.#options = options
    this.#deliveries = new Deliveries({
      world,
      log,
      commits,
      logger,
      ledger: this.#ledger,
      backoff,
      rules: webhookRules(allow, allowLoopback),
      destination: (alert, place, to) => this.#destination(alert, place, to),
    })
    this.#feed = new LedgerFeed({
      log,
      clock: world.clock,
      logger,
      fired: (fired, offset) => this.#fired(fired, offset),
      delivery: (change) => {
        this.#ledger.delivery(change)
        this.#deliveries.settled()
      },
    })
    this.ready = this.#start()
    this.#changing = this.ready.catch((error: unknown) =>
      logger.error('alerts did not start', { error: asFault(error) }),
    )
    this.#stopWatching = rules.onChange(() => this.#follow())
    this.#follow()
  }
  async close(): Promise<void> {
    this.#stop.abort(new Fault('log.closed', { what: 'the alerts' }))
    this.#stopWatching()
    await this.#changing
    await this.#feed.close()
    await Promise.all([...this.#tasks.values()].map(({ task }) => task.close()))
    await this.#deliveries.close()
    await this.#delivering?.membership.leave()
    await this.#delivering?.done
    this.#watchers.close()
  }

  list(): readonly AlertInfo[] {
    return this.#options.rules.all().map(({ name, sql, status, planned }) => {
      const { fired, failures } = this.#ledger.counts(name)
      return {
        name,
        sql: withoutSecrets(sql),
        destinations: planned?.rule.destinations.map(destinationText) ?? [],
        fired,
        suppressed: this.#suppressed.get(name) ?? 0,
        deliveryFailures: failures,
        status: status === 'restarting' ? 'failed' : status === 'failed' || status === 'paused' ? status : 'running',
      }
    })
  }
  fired({ alert, limit = 100 }: { alert?: string; limit?: number } = {}): Promise<readonly FiredAlert[]> {
    return this.ready.then(async () => {
      await this.#feed.current()
      return this.#ledger.recent(alert ?? null, limit)
    })
  }
  watch(signal: AbortSignal): AsyncIterable<FiredAlert> {
    return this.#watchers.watch(signal)
  }

  async #start(): Promise<void> {
    const { log } = this.#options
    const [fault] = await log.topics.create([{ name: alertsTopic, partitions: 1, config: ledgerConfig }])
    if (fault instanceof Fault && fault.code !== 'log.topic-exists') throw fault
    await this.#feed.start()
    const membership = log.join(deliveriesGroup, { topics: [alertsTopic], warm: () => [], whole: true })
    this.#delivering = { membership, done: this.#deliver(membership) }
  }
  /** Makes the deliveries while it falls to this process. */
  async #deliver(membership: Membership): Promise<void> {
    const { logger } = this.#options
    try {
      for await (const { claim, active, accept } of membership.changes()) {
        this.#deliveries.end()
        accept()
        if (active.length === 0) continue
        await this.#feed.settled(claim)
        this.#deliveries.begin(claim, this.#ledger.waiting())
      }
    } catch (error) {
      if (!this.#stop.signal.aborted) logger.error('deliveries have ended', { error: asFault(error) })
    }
  }
  #follow(): void {
    this.#changing = this.#changing
      .then(() => this.#followRules())
      .catch((error: unknown) =>
        this.#options.logger.error('alerts do not follow their rules', { error: asFault(error) }),
      )
  }
  async #followRules(): Promise<void> {
    if (this.#stop.signal.aborted) return
    const wanted = new Map<string, PlannedAlert>()
    for (const { name, planned } of this.#options.rules.all()) if (planned !== null) wanted.set(name, planned)
    for (const [name, { task, planned }] of this.#tasks) {
      if (sameRule(wanted.get(name), planned)) continue
      this.#tasks.delete(name)
      await task.close()
    }
    for (const [name, planned] of wanted) if (!this.#tasks.has(name)) await this.#run(name, planned)
  }
  async #run(name: string, planned: PlannedAlert): Promise<void> {
    const { log, commits, world, logger } = this.#options
    const topic = alertViewName(name)
    let dispatcher: Dispatcher | null = null
    const task = new GroupTask({
      log,
      commits,
      clock: world.clock,
      logger,
      group: alertGroup(name),
      topics: [topic],
      begin: (claim) => this.#feed.settled(claim),
      step: async (read, signal) => {
        await this.#deliveries.room(signal)
        dispatcher ??= await this.#dispatcher(topic, planned)
        return dispatcher.step(read)
      },
    })
    this.#tasks.set(name, { task, planned })
  }
  async #dispatcher(topic: string, planned: PlannedAlert): Promise<Dispatcher> {
    const { log, logger } = this.#options
    const { name } = planned.rule
    const info = await log.topics.get(topic)
    if (info === null) throw new Fault('log.unknown-topic', { topic })
    return new Dispatcher({
      log,
      logger,
      ledger: this.#ledger,
      planned,
      topicId: info.id,
      reached: (offset) => this.#feed.reached(offset),
      suppressed: (count) => this.#suppressed.set(name, (this.#suppressed.get(name) ?? 0) + count),
    })
  }
  #fired(fired: Fired, offset: number): void {
    const rule = this.#options.rules.all().find(({ name }) => name === fired.alert)?.planned?.rule
    this.#ledger.fired(fired, offset, rule?.everyMs ?? null)
    this.#deliveries.add(this.#ledger.waitingOf(fired), fired)
    const shown = this.#ledger.find(fired.id)
    if (shown !== null) this.#watchers.tell(shown)
  }
  #destination(alert: string, place: number, to: string): AlertDestination | null {
    const rule = this.#options.rules.all().find(({ name }) => name === alert)?.planned?.rule
    if (rule === undefined) return null
    const same = rule.destinations[place]
    if (same !== undefined && destinationText(same) === to) return same
    return rule.destinations.find((one) => destinationText(one) === to) ?? null
  }
}

const sameRule = (a: PlannedAlert | undefined, b: PlannedAlert): boolean =>
  a !== undefined && (a === b || JSON.stringify(a.rule) === JSON.stringify(b.rule))
