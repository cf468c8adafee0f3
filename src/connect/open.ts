/**
 * Connectors, put together: definitions of kind `connector` in the catalogue, and one run for each that is not paused. Follows
 * the catalogue as it changes, whoever changed it.
 */
import { isDeepStrictEqual } from 'node:util'
import { Fault, asFault } from '../lib/fault.ts'
import { limits } from '../lib/limits.ts'
import type { Logger } from '../lib/logger.ts'
import type { World } from '../lib/world.ts'
import type { LogRecord } from '../log/batch.ts'
import type { Catalog } from '../log/catalog.ts'
import type { Commits } from '../log/commits.ts'
import type { Log } from '../log/log.ts'
import { Placing } from '../log/placing.ts'
import type { ConnectorChange, ConnectorDefinition, ConnectorInfo, Connectors } from './connectors.ts'
import { DeadLetters } from './dead-letters.ts'
import { diagnose } from './diagnose.ts'
import { foundTopics, newestRefused } from './doctor-facts.ts'
import { type Prepared, type Stored, checkName, fieldsOf, prepare, readStored } from './definition.ts'
import type { Kind } from './kind.ts'
import { kinds as allKinds } from './kinds.ts'
import type { LoadPackage } from './packages.ts'
import type { Diagnosis } from '../query/engine.ts'
import { ensurePositions, forgetPositions } from './positions.ts'
import { ConnectorRun, type RunHost, type State, type Way, atRest, groupOf } from './run.ts'
import { type Files, type Given, shownSettings } from './settings.ts'

export interface ConnectorsOptions {
  readonly world: World
  readonly log: Log
  readonly commits: Commits
  readonly catalog: Catalog
  readonly logger: Logger
  /** Of the machine, for secrets and certificates. */
  readonly files: Files
  /** Why a topic's contract keeps a record out; null = it does not. */
  readonly refuses: (topic: string, record: Pick<LogRecord, 'key' | 'value'>) => Fault | null
  readonly load: LoadPackage
  readonly kinds?: readonly Kind[]
}
export interface OpenConnectors extends Connectors {
  /** Resolves when what is defined was begun. */
  readonly ready: Promise<void>
  /**
   * So that it stands as given: made, left alone, or with these settings and no others from where it was; of another kind or
   * direction it begins anew. Throws as create does.
   */
  define(definition: ConnectorDefinition): Promise<'made' | 'same' | 'changed' | 'anew'>
  close(): Promise<void>
}

export function openConnectors(options: ConnectorsOptions): OpenConnectors {
  return new RunningConnectors(options)
}

interface Running {
  readonly stored: Stored
  /** Of a sink. */
  readonly topics: readonly string[] | null
  readonly run: ConnectorRun
}

class RunningConnectors implements OpenConnectors {
  readonly ready: Promise<void>
  readonly #options: ConnectorsOptions
  readonly #kinds: readonly Kind[]
  readonly #placing: Placing
  readonly #running = new Map<string, Running>()
  /** Of those that cannot even be begun. */
  readonly #broken = new Map<string, Fault>()
  /** Of those that ran here and do not now, by their ids. */
  readonly #ended = new Map<string, State>()
  readonly #stop = new AbortController()
  readonly #stopWatching: () => void
  readonly #watching: Promise<void>
  /** Changes one after another. */
  #changing: Promise<void> = Promise.resolve()

  constructor(options: ConnectorsOptions) {
    this.#options = options
    this.#kinds = options.kinds ?? allKinds
    this.#placing = new Placing(options)
    this.#stopWatching = options.catalog.onChange((changed) => {
      if (changed.some(({ kind }) => kind === 'connector')) void this.#follow()
    })
    this.ready = this.#follow()
    this.#watching = this.#watchTopics()
  }
  async close(): Promise<void> {
    this.#stop.abort()
    this.#stopWatching()
    await this.#changing
    await this.#watching
    await Promise.all([...this.#running.values()].map(({ run }) => run.close()))
  }

  async list(): Promise<readonly ConnectorInfo[]> {
    const names = this.#options.catalog.all('connector').map(({ name }) => name)
    const all = await Promise.all(names.toSorted((a, b) => (a < b ? -1 : 1)).map((name) => this.get(name)))
    return all.filter((one) => one !== null)
  }
  async get(name: string): Promise<ConnectorInfo | null> {
    const entry = this.#options.catalog.get('connector', name)
    if (entry === null) return null
    const stored = readStored(entry.value)
    if (stored === null) return { ...unreadable(name), ...atRest, status: 'failed', fault: damaged(name) }
    const { kind, direction, settings, paused } = stored
    const running = this.#running.get(name)
    const broken = this.#broken.get(name)
    const state =
      running !== undefined
        ? await running.run.info()
        : broken !== undefined
          ? { ...this.#before(stored), status: 'failed' as const, fault: broken }
          : { ...this.#before(stored), status: paused === true ? ('paused' as const) : ('running' as const) }
    return { name, kind, direction, settings: this.#shown(stored, settings), ...state }
  }
  #before({ id }: Stored): State {
    return { ...(this.#ended.get(id) ?? atRest), lag: null, restartsAt: null }
  }
  #shown({ kind, direction }: Stored, settings: Given): Given {
    const known = this.#kinds.find(({ name }) => name === kind)
    return shownSettings(known === undefined ? [] : fieldsOf(known, direction), settings)
  }

  async create({ name, kind, direction, settings }: ConnectorDefinition): Promise<ConnectorInfo> {
    const { catalog, world } = this.#options
    checkName(name)
    if (catalog.get('connector', name) !== null) throw new Fault('connect.exists', { name })
    if (catalog.all('connector').length >= limits.connectors)
      throw new Fault('connect.too-many', { countMax: limits.connectors })
    prepare({ kind, direction, settings }, this.#kinds, this.#options.files)
    return this.#store(name, { version: 1, id: world.random.uuid(), kind, direction, settings })
  }
  async alter(name: string, { settings = {}, paused }: ConnectorChange): Promise<ConnectorInfo> {
    const stored = this.#stored(name)
    const changed: Record<string, string> = { ...stored.settings }
    for (const [setting, value] of Object.entries(settings))
      if (value === null) delete changed[setting]
      else changed[setting] = value
    // To be paused it need not make sense.
    if (Object.keys(settings).length > 0 || paused === false)
      prepare({ ...stored, settings: changed }, this.#kinds, this.#options.files)
    const { paused: was, ...rest } = stored
    const isPaused = paused ?? was === true
    // Resumed again: whatever it stumbled over may be mended.
    if (!isPaused) await this.#end(name)
    return this.#store(name, { ...rest, settings: changed, ...(isPaused ? { paused: true as const } : {}) })
  }
  async define(definition: ConnectorDefinition): Promise<'made' | 'same' | 'changed' | 'anew'> {
    const { name, kind, direction, settings } = definition
    const entry = this.#options.catalog.get('connector', name)
    const stored = entry === null ? null : readStored(entry.value)
    if (entry === null) {
      await this.create(definition)
      return 'made'
    }
    if (stored === null || stored.kind !== kind || stored.direction !== direction) {
      await this.remove(name)
      await this.create(definition)
      return 'anew'
    }
    if (isDeepStrictEqual(stored.settings, settings)) return 'same'
    const gone = Object.keys(stored.settings).map((setting): [string, null] => [setting, null])
    await this.alter(name, { settings: { ...Object.fromEntries(gone), ...settings } })
    return 'changed'
  }
  async remove(name: string): Promise<void> {
    const { catalog, log, world } = this.#options
    if (catalog.get('connector', name) === null) throw unknown(name)
    const stored = readStored(catalog.get('connector', name)!.value)
    await catalog.change([{ kind: 'connector', name, value: null }])
    await this.#follow()
    if (stored !== null) {
      this.#ended.delete(stored.id)
      await forgetPositions(this.#options, stored.id, world.clock.now())
    }
    await log.groups.remove(groupOf(name)).catch(() => {})
  }
  async doctor(name: string): Promise<readonly Diagnosis[]> {
    const stored = this.#stored(name)
    const { log, world } = this.#options
    const running = this.#running.get(name)
    const wanted = stored.direction === 'sink' ? this.#prepared(stored) : null
    return diagnose({
      nowMs: world.clock.now(),
      info: (await this.get(name))!,
      waitsFor: running?.run.waitsFor() ?? null,
      topics: wanted === null ? null : await foundTopics(log, wanted),
      refused: await newestRefused(log, name),
    })
  }
  #stored(name: string): Stored {
    const entry = this.#options.catalog.get('connector', name)
    if (entry === null) throw unknown(name)
    const stored = readStored(entry.value)
    if (stored === null) throw damaged(name)
    return stored
  }
  async #store(name: string, value: Stored): Promise<ConnectorInfo> {
    await this.#options.catalog.change([{ kind: 'connector', name, value }])
    await this.#follow()
    return (await this.get(name))!
  }

  #follow(): Promise<void> {
    this.#changing = this.#changing
      .then(() => this.#followAll())
      .catch((error: unknown) =>
        this.#options.logger.error('connectors do not follow their definitions', { error: asFault(error) }),
      )
    return this.#changing
  }
  async #followAll(): Promise<void> {
    if (this.#stop.signal.aborted) return
    const entries = this.#options.catalog.all('connector')
    const wanted = new Map<string, Stored>()
    this.#broken.clear()
    for (const { name, value } of entries) {
      const stored = readStored(value)
      if (stored !== null && stored.paused !== true) wanted.set(name, stored)
    }
    const names = await this.#topicNames(wanted)
    for (const [name, { stored, topics }] of this.#running) {
      const now = wanted.get(name)
      const isSame = now !== undefined && JSON.stringify(now) === JSON.stringify(stored)
      if (!isSame || (topics !== null && !sameNames(topics, this.#topicsOf(now, names)))) await this.#endNow(name)
    }
    for (const [name, stored] of wanted) if (!this.#running.has(name)) await this.#begin(name, stored, names)
  }
  /** Names of topics, where somebody goes by a pattern. */
  async #topicNames(wanted: ReadonlyMap<string, Stored>): Promise<readonly string[]> {
    const isAsked = [...wanted.values()].some(
      ({ direction, settings }) => direction === 'sink' && settings['topics.pattern'] !== undefined,
    )
    return isAsked ? (await this.#options.log.topics.list()).map(({ name }) => name).toSorted() : []
  }
  #topicsOf(stored: Stored, names: readonly string[]): readonly string[] | null {
    if (stored.direction === 'source') return null
    const { matches, named } = this.#prepared(stored)
    return matches === null ? named : names.filter(matches)
  }
  #prepared(stored: Stored): Prepared {
    return prepare(stored, this.#kinds, this.#options.files)
  }
  async #begin(name: string, stored: Stored, names: readonly string[]): Promise<void> {
    try {
      const { kind, settings, strategy, direction } = this.#prepared(stored)
      const topics = this.#topicsOf(stored, names)
      // Nothing matches yet.
      if (topics?.length === 0) return
      if (direction === 'source') await ensurePositions(this.#options.log)
      const start = settings.text('start')
      const way: Way =
        topics === null
          ? { of: kind.source!, topics }
          : { of: kind.sink!, topics, from: start === 'latest' ? 'latest' : 'earliest' }
      const run = new ConnectorRun(this.#runHost(name, stored), {
        way,
        settings,
        strategy,
        before: this.#before(stored),
      })
      this.#running.set(name, { stored, topics, run })
    } catch (error) {
      const fault = asFault(error)
      this.#broken.set(name, fault)
      this.#options.logger.error(`connector ${name} cannot begin`, { code: fault.code, why: fault.message })
    }
  }
  #runHost(name: string, { id }: Stored): RunHost {
    const { world, log, commits, logger, refuses, load } = this.#options
    const ensureTopic: RunHost['ensureTopic'] = (topic, partitions, widen) => ensure(log, { topic, partitions, widen })
    const deadLetters = new DeadLetters(log, name)
    return { world, log, commits, placing: this.#placing, deadLetters, load, logger, name, id, refuses, ensureTopic }
  }
  #end(name: string): Promise<void> {
    this.#changing = this.#changing.then(() => this.#endNow(name))
    return this.#changing
  }
  async #endNow(name: string): Promise<void> {
    const running = this.#running.get(name)
    this.#running.delete(name)
    if (running === undefined) return
    await running.run.close()
    this.#ended.set(running.stored.id, await running.run.info())
  }
  async #watchTopics(): Promise<void> {
    const { signal } = this.#stop
    try {
      for await (const _ of this.#options.log.topics.watch(signal)) {
        const byPattern = this.#options.catalog
          .all('connector')
          .some(({ value }) => readStored(value)?.settings['topics.pattern'] !== undefined)
        if (byPattern) void this.#follow()
      }
    } catch (error) {
      if (!signal.aborted) this.#options.logger.error('connectors do not follow topics', { error: asFault(error) })
    }
  }
}

const unknown = (name: string): Fault => new Fault('connect.unknown-connector', { name: name.slice(0, 300) })
const damaged = (name: string): Fault =>
  new Fault('internal', { what: `the catalogue's entry of connector ${name} cannot be read` })
const unreadable = (name: string): ConnectorDefinition => ({ name, kind: '', direction: 'source', settings: {} })
const sameNames = (a: readonly string[], b: readonly string[] | null): boolean => a.join() === b?.join()

async function ensure(
  log: Log,
  { topic, partitions, widen }: { readonly topic: string; readonly partitions: number; readonly widen: boolean },
): Promise<void> {
  const known = await log.topics.get(topic)
  if (known !== null) {
    if (widen && known.partitions < partitions) await log.topics.alter(topic, { partitions })
    return
  }
  const [fault] = await log.topics.create([{ name: topic, partitions, config: { 'retention.ms': '-1' } }])
  if (fault instanceof Fault && fault.code !== 'log.topic-exists') throw fault
}
