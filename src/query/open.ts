/**
 * The engine: statements in, rows and changes out; definitions kept, views run. See `engine.ts` for what it promises. Long
 * because it is one object of many small calls, each of which hands over to a file of its own.
 */
import { alterAlert } from './alter-alert.ts'
import type { SourcePlan, ViewPlan } from '../flow/plan.ts'
import { sourcesOf } from '../flow/plan-facts.ts'
import type { Flow } from '../flow/runtime/flow.ts'
import type { RestartInfo } from '../flow/runtime/restarts.ts'
import type { SqlFunctionDefinition } from '../flow/user-functions.ts'
import { Fault, asFault } from '../lib/fault.ts'
import type { World } from '../lib/world.ts'
import type { Catalog } from '../log/catalog.ts'
import type { Commits } from '../log/commits.ts'
import type { Log } from '../log/log.ts'
import type { Columns } from '../schema/types.ts'
import { UserFunctions } from '../sql/bind/user-functions.ts'
import { SqlFault } from '../sql/fault.ts'
import { type Relation, catalogName, pseudoColumns } from '../sql/plan/relation.ts'
import { planOnce } from '../sql/plan/view.ts'
import type { Statement } from '../sql/syntax/ast.ts'
import { parseStatements, parseSubscription } from '../sql/syntax/parse.ts'
import { analyze, analyzeView } from './analyze.ts'
import {
  type Done,
  alter,
  alterView,
  beginAll,
  create,
  createAndStart,
  drop,
  dropAll,
  finishDrops,
  follow,
  setPaused,
} from './ddl.ts'
import { type Definition, type DefinitionKind, Definitions, isCreate, ofRelation, sourceNames } from './definitions.ts'
import { type EngineParts, planContext, readsKeptRows, timeText } from './engine-parts.ts'
import type {
  AlertRules,
  Change,
  Diagnosis,
  Engine,
  Graph,
  QueryUsage,
  RecordView,
  RelationInfo,
  Result,
  Rights,
  RunOptions,
  SavepointInfo,
} from './engine.ts'
import { examineView } from './doctor/doctor.ts'
import { flowRunner } from './flow-runner.ts'
import { deleteRows } from './delete.ts'
import { type InsertHost, insertRows, insertTogether } from './insert.ts'
import { LiveStore } from './live-store.ts'
import type { LiveRows } from './live.ts'
import { lookupRows } from './lookup.ts'
import { recordFilter } from './record-filter.ts'
import { everyRight, pickShown, topicOf, wordOf } from './rights.ts'
import { type SelectHost, jsonRows, planSelection } from './select.ts'
import { describe, explain, explainedView, show, showCreate, statusOf, type Table } from './show.ts'
import { type BegunViews, type ProgramView, beginViews, programView } from './program-views.ts'
import { begin, dependents } from './running.ts'
import { stoppedViews } from './stopped-views.ts'
import { Unreadable } from './unreadable.ts'
import { type ConnectorStatements, changeConnector, showConnectors } from './connectors.ts'
import { createSavepoint, listSavepoints, removeSavepoint } from './savepoints.ts'
import { subscription } from './subscription.ts'

export interface EngineOptions {
  readonly log: Log
  readonly catalog: Catalog
  readonly commits: Commits
  readonly flow: Flow
  readonly world: World
  /** What the program gives to SQL. */
  readonly functions?: readonly SqlFunctionDefinition[]
  /** Why a topic's contract refuses an event that is inserted; null = it does not. */
  readonly check?: EngineParts['check']
  /** What a topic's contract says its events have; null = it does not say. */
  readonly fields?: EngineParts['fields']
  /** What runs sources and sinks, which begins after this; null = not yet. */
  readonly connectors?: () => ConnectorStatements | null
  /** Definitions that cannot run, for the log of the program. */
  readonly onFault?: (name: string, fault: Fault) => void
}
/** What a program defines: given again at each start, never in the catalogue. */
export interface ProgramDefinition {
  readonly kind: 'stream' | 'table'
  readonly source: SourcePlan
  readonly keyColumns: readonly string[]
  readonly partitions?: number
  readonly config?: Readonly<Record<string, string>>
}

export interface OpenEngine extends Engine {
  /** Replaces an earlier definition of that name by a program. Throws Fault sql.relation-exists where a text has the name. */
  define(definition: ProgramDefinition): Promise<void>
  /**
   * Views of a program, those that others read first, together: which of them have changed since their last start, and what
   * became of them. `mayDrop`: a reader in the catalogue may go with one that is made anew.
   */
  defineViews(
    views: readonly ProgramView[],
    mayDrop: (reader: { readonly kind: DefinitionKind; readonly name: string }) => boolean,
  ): Promise<BegunViews>
  /** The definition and everything that reads it, directly or not: what is read by others last. [] = there is none. */
  dependents(kind: DefinitionKind, name: string): readonly { readonly kind: DefinitionKind; readonly name: string }[]
  /** Views and alerts whose state was made with another version of a function. */
  outdated(): readonly { readonly kind: DefinitionKind; readonly name: string }[]
  /**
   * Runs one CREATE of a project. Resolves when what it makes stands in the catalogue and others can name it; `started`
   * does when it runs. Throws SqlFault, or a fault of the log.
   */
  begin(sql: string): Promise<{ readonly started: Promise<void> }>
  close(): Promise<void>
}

/** What the catalogue holds is planned and begins to run; restoring goes on behind. */
export async function openEngine(options: EngineOptions): Promise<OpenEngine> {
  const { log, world, commits } = options
  const definitions = new Definitions(options.catalog, new UserFunctions(options.functions))
  definitions.load()
  const parts: EngineParts = {
    log,
    world,
    commits,
    definitions,
    runner: flowRunner(options.flow),
    live: new LiveStore(log, world.clock),
    rights: everyRight,
    check: options.check ?? ((): null => null),
    fields: options.fields ?? ((): null => null),
  }
  const engine = new SqlEngine(parts, options)
  await engine.start()
  engine.follow(options.catalog)
  return engine
}

function shownRestarts(restarts: RestartInfo | null): Pick<RelationInfo, 'restarts'> {
  if (restarts === null) return {}
  const { attempts, lastFault, lastFaultMs, nextMs } = restarts
  const { code, message } = lastFault
  return {
    restarts: {
      attempts,
      lastFault: { code, message },
      lastFaultAt: timeText(lastFaultMs)!,
      nextAt: nextMs === null ? null : timeText(nextMs),
    },
  }
}
const readsTopic = ({ kind, topic }: Definition, name: string): boolean =>
  (kind === 'stream' || kind === 'table') && topic?.name === name
const noColumns: Columns = []
async function* nothing(): AsyncGenerator<readonly unknown[]> {}
async function* listed(rows: Table['rows']): AsyncGenerator<readonly unknown[]> {
  yield* rows
}
const done = (command: string): Result => ({ command, columns: noColumns, rows: nothing() })
const saying = ({ command, notices }: Done): Result => ({
  ...done(command),
  ...(notices.length === 0 ? {} : { notices }),
})
const answered = (command: string, { columns, rows }: Table): Result => ({ command, columns, rows: listed(rows) })

class SqlEngine implements OpenEngine {
  private readonly parts: EngineParts
  private readonly onFault: (name: string, fault: Fault) => void
  private readonly connectors: EngineOptions['connectors']
  private readonly stop = new AbortController()
  /** Definitions change one at a time. */
  private changing: Promise<unknown> = Promise.resolve()
  private stopFollowing = (): void => {}
  private readonly alertListeners = new Set<() => void>()

  constructor(parts: EngineParts, { onFault = () => {}, connectors }: Pick<EngineOptions, 'onFault' | 'connectors'>) {
    this.parts = parts
    this.onFault = onFault
    this.connectors = connectors
  }
  async start(): Promise<void> {
    await beginAll(this.parts, this.parts.definitions.all(), this.onFault)
    // Nothing of its name can be made before; and a start does not wait for it.
    void this.changeDefinitions(() => finishDrops(this.parts)).catch((error: unknown) =>
      this.onFault('what was dropped', asFault(error)),
    )
  }

  async run(sql: string, options: RunOptions = {}): Promise<Result> {
    let result: Result = done('')
    for (const statement of parseStatements(sql)) {
      if (options.signal?.aborted === true) throw new Fault('query.cancelled', {}, options.signal.reason)
      result = await this.execute(statement, sql, options)
    }
    return result
  }
  private async execute(statement: Statement, text: string, options: RunOptions): Promise<Result> {
    const { params = [], signal, usage } = options
    const host = this.hostFor(usage)
    const parts = this.partsFor(options.rights)
    const context = planContext(parts, text, params)
    switch (statement.kind) {
      case 'query': {
        const { columns, topics, rows } = planSelection(context, statement.query, host)
        for (const topic of topics) parts.rights.demand('read', topic)
        const unreadable = new Unreadable()
        return {
          command: 'SELECT',
          columns,
          rows: jsonRows(rows(this.signalWith(signal), unreadable), columns),
          get notices() {
            return [...stoppedViews(parts, topics), ...unreadable.notices]
          },
        }
      }
      case 'insert': {
        const target = this.find(parts, statement.into, text)
        const count = await insertRows(context, statement, target, this.writing(parts, host, usage), signal)
        return done(`INSERT 0 ${count}`)
      }
      case 'statement-set': {
        const inserts = statement.inserts.map((one) => ({ statement: one, target: this.find(parts, one.into, text) }))
        const counts = await insertTogether(context, inserts, this.writing(parts, host, usage), signal)
        return done(`INSERT 0 ${counts.reduce((sum, count) => sum + count, 0)}`)
      }
      case 'delete': {
        const target = this.find(parts, statement.from, text)
        return done(`DELETE ${await deleteRows(context, statement, target, this.writing(parts, host, usage), signal)}`)
      }
      case 'create-stream':
      case 'create-table':
      case 'create-view':
      case 'create-plain-view':
      case 'create-alert':
        return saying(await this.changeDefinitions(() => createAndStart(parts, statement, text)))
      case 'alter-view':
        return saying(await this.changeDefinitions(() => alterView(parts, statement, text)))
      case 'alter-alert':
        await this.changeDefinitions(() => alterAlert(parts, statement, text))
        return done('ALTER ALERT')
      case 'create-savepoint':
        await createSavepoint(parts, this.viewNamed(parts, statement.view, text), catalogName(statement.name))
        return done('CREATE SAVEPOINT')
      case 'drop-savepoint':
        for (const name of statement.names)
          if (!(await removeSavepoint(parts, catalogName(name))) && !statement.ifExists)
            throw new Fault('flow.unknown-savepoint', { savepoint: catalogName(name) })
        return done('DROP SAVEPOINT')
      case 'drop':
        return done(await this.changeDefinitions(() => drop(parts, statement, text)))
      case 'alter':
        return done(await this.changeDefinitions(() => alter(parts, statement, text)))
      case 'create-connector':
      case 'drop-connector':
      case 'alter-connector':
        return done(await changeConnector(this.connectorsAt(text, statement.at), parts.rights, statement, text))
      case 'show':
        if (statement.what === 'connectors')
          return answered('SHOW', await showConnectors(this.connectorsAt(text, statement.at), parts.rights))
        return answered('SHOW', await show(parts, statement.what, text, statement.at))
      case 'show-create':
        return answered('SHOW', showCreate(parts, statement.name, text))
      case 'flush':
        await this.parts.runner.flush(this.signalWith(signal))
        return done('FLUSH')
      case 'describe':
        return answered('DESCRIBE', describe(parts, statement.name, text))
      case 'explain':
        if (!statement.analyze) return answered('EXPLAIN', await explain(parts, statement, text, params))
        if (statement.named !== null) {
          const view = explainedView(parts, statement.named, text)
          if (view !== null) return answered('EXPLAIN', await analyzeView(parts, view))
        }
        return answered(
          'EXPLAIN',
          await analyze({ context, rights: parts.rights, host }, statement, this.signalWith(signal)),
        )
      case 'subscribe':
        throw new SqlFault(
          'sql.unsupported',
          'SUBSCRIBE never ends: it cannot be answered as a result',
          text,
          statement.at,
          { hint: 'Ask for it as a stream of events (Accept: text/event-stream).' },
        )
      case 'unsupported':
        throw new SqlFault('sql.unsupported', `${statement.what} is not supported yet`, text, statement.at)
    }
  }
  private connectorsAt(text: string, at: number): ConnectorStatements {
    const connectors = this.connectors?.() ?? null
    if (connectors !== null) return connectors
    throw new SqlFault('sql.unsupported', 'connectors are not there', text, at)
  }
  /** Definitions that others change, from now on. */
  follow(catalog: Catalog): void {
    const isOurs = ({ kind }: { readonly kind: string }): boolean => /^(stream|table|view|plain-view|alert)$/.test(kind)
    this.stopFollowing = catalog.onChange((changed) => {
      if (changed.some(isOurs)) void this.changeDefinitions(() => follow(this.parts, this.onFault)).catch(() => {})
    })
  }
  async begin(sql: string): Promise<{ readonly started: Promise<void> }> {
    const statement = parseStatements(sql)[0]
    if (statement === undefined || !isCreate(statement)) throw new TypeError('not the text of a definition')
    const made = await this.changeDefinitions(() => create(this.parts, statement, sql))
    const started = made.started.catch(async (error: unknown) => {
      await this.changeDefinitions(() => made.undo())
      throw error
    })
    started.catch(() => {})
    return { started }
  }
  private changeDefinitions<T>(change: () => Promise<T>): Promise<T> {
    const turn = this.changing.then(change).finally(() => {
      for (const listener of this.alertListeners) listener()
    })
    this.changing = turn.catch(() => {})
    return turn
  }
  private partsFor(rights: Rights = everyRight): EngineParts {
    return { ...this.parts, rights }
  }
  private find({ definitions, rights }: EngineParts, name: Parameters<typeof pickShown>[2], text: string): Definition {
    const all = definitions.all().filter((definition) => definition.kind !== 'alert')
    const found = pickShown(rights, all, name, text)
    if (found === null)
      throw new SqlFault(
        'sql.unknown-relation',
        `stream or table "${name.parts.map((p) => p.text).join('.')}" does not exist`,
        text,
        name.at,
      )
    return found
  }
  private writing(parts: EngineParts, host: SelectHost, usage: QueryUsage | undefined): InsertHost {
    return {
      ...parts,
      ...host,
      writerOf: (topic) => this.writerOf(topic),
      ...(usage === undefined ? {} : { usage }),
    }
  }
  private viewNamed(parts: EngineParts, name: Parameters<typeof pickShown>[2], text: string): Definition {
    const found = this.find(parts, name, text)
    if (found.kind === 'view') return found
    const message = `"${found.name}" is a ${wordOf(found)}: savepoints are of materialized views, which have state`
    throw new SqlFault('sql.wrong-kind', message, text, name.at)
  }
  private get selectHost(): SelectHost {
    return { log: this.parts.log, clock: this.parts.world.clock, live: (source) => this.live(source) }
  }
  private hostFor(usage: QueryUsage | undefined): SelectHost {
    return usage === undefined ? this.selectHost : { ...this.selectHost, worked: (ms) => usage.worked(ms) }
  }
  /** Rows in memory for a source of a plan; null where the topic must be read. */
  private live(source: SourcePlan): LiveRows | null {
    const relation = readsKeptRows(source) ? this.parts.definitions.relation(source.name)?.relation : null
    return relation === null || relation === undefined ? null : this.parts.live.of(relation)
  }
  private signalWith(signal: AbortSignal | undefined): AbortSignal {
    return signal === undefined ? this.stop.signal : AbortSignal.any([signal, this.stop.signal])
  }

  async subscribe(
    sql: string,
    options: RunOptions & { readonly snapshot?: boolean } = {},
  ): Promise<{ columns: Columns; changes: AsyncIterable<Change> }> {
    const { query, options: written } = parseSubscription(sql)
    const unknown = written.find((option) => option.name.toLowerCase() !== 'snapshot')
    if (unknown !== undefined)
      throw new SqlFault('sql.invalid-value', `there is no option ${unknown.name}`, sql, unknown.at, {
        hint: 'WITH (snapshot = false) leaves the snapshot out.',
      })
    const { rights = everyRight } = options
    const context = planContext(this.partsFor(rights), sql, options.params ?? [])
    const { rel, visible, order, limit, offset } = planOnce({ ...context, mode: 'view' }, query)
    if (order.length > 0 || limit !== null || offset > 0) {
      throw new SqlFault(
        'sql.unsupported',
        'SUBSCRIBE takes no ORDER BY or LIMIT',
        sql,
        query.orderBy[0]?.at ?? query.limit?.at ?? query.at,
        { hint: 'Changes come in the order in which they happen.' },
      )
    }
    const { plan } = rel
    for (const { topic } of sourcesOf(plan)) rights.demand('read', topic)
    const changes = subscription(plan, {
      ...this.hostFor(options.usage),
      signal: this.signalWith(options.signal),
      snapshot: options.snapshot ?? written.at(-1)?.value !== false,
      watermark: () => this.watermark(plan),
    })
    return { columns: plan.columns.slice(0, visible), changes }
  }
  /** The smallest over the views that the plan reads; null where it reads none. */
  private watermark(plan: ViewPlan['plan']): string | null {
    const marks = [...sourceNames(plan)].flatMap((name) => this.parts.runner.state(name)?.watermarkMs ?? [])
    return marks.length === 0 ? null : timeText(Math.min(...marks))
  }

  views(): readonly RelationInfo[] {
    return this.parts.definitions
      .all()
      .filter(({ kind }) => kind !== 'alert' && kind !== 'plain-view')
      .map((definition) => this.info(definition))
  }
  relation(name: string): RelationInfo | null {
    const found = this.parts.definitions.relation(name)
    return found === null ? null : this.info(found)
  }
  keyColumns(topic: string): readonly string[] {
    const named = this.parts.definitions.relation(topic)
    const isReader = (definition: Definition): boolean => readsTopic(definition, topic)
    const found = named !== null && isReader(named) ? named : this.parts.definitions.all().find(isReader)
    return found?.keyColumns ?? []
  }
  writerOf(topic: string): string | null {
    return this.parts.definitions.get('view', topic)?.name ?? null
  }
  readerOf(topic: string): { readonly kind: string; readonly name: string } | null {
    return this.parts.definitions.all().find((definition) => readsTopic(definition, topic)) ?? null
  }
  private info(definition: Definition): RelationInfo {
    const { relation, view, stored, fault, plain } = definition
    const state = view === null ? null : this.parts.runner.state(view.name)
    const problem = fault ?? state?.fault ?? null
    const columns = relation?.source.columns.slice(0, relation.declared) ?? plain?.fields ?? []
    return {
      name: definition.name,
      kind: definition.kind as RelationInfo['kind'],
      columns,
      key: relation?.key?.map((i) => columns[i]!.name) ?? null,
      topic: topicOf(definition),
      sql: stored?.sql ?? null,
      status: statusOf(this.parts, definition),
      error: problem === null ? null : { code: problem.code, message: problem.message },
      ...shownRestarts(state?.restarts ?? null),
      stats: state?.stats ?? { rowsIn: 0, rowsOut: 0, late: 0, invalid: 0, stateBytes: 0 },
      watermark: state === null ? null : timeText(state.watermarkMs),
    }
  }
  rows(name: string, options: { readonly key?: readonly unknown[]; readonly limit?: number } = {}): Promise<Result> {
    const { parts } = this
    return lookupRows(parts, this.existing(name), options)
  }
  private existing(name: string): Definition {
    const found = this.parts.definitions.relation(name)
    if (found === null) throw new Fault('flow.unknown-view', { view: name })
    if (found.fault !== null) throw found.fault
    return found
  }
  async graph(view: string): Promise<Graph> {
    const found = this.existing(view)
    const graph = found.view === null ? null : await this.parts.runner.graph(found.view.name)
    if (graph === null) throw new Fault('flow.unknown-view', { view })
    return graph
  }
  recordFilter(topic: string, where: string): (record: RecordView) => boolean {
    const relations = [...this.parts.definitions.relations()].filter((relation) => relation.source.topic === topic)
    const { functions } = this.parts.definitions
    return recordFilter(where, { relations, fields: this.parts.fields(topic), functions }, this.parts.world.clock)
  }

  async doctor(name: string, { samples = true }: { readonly samples?: boolean } = {}): Promise<readonly Diagnosis[]> {
    const { view, fault } = this.running(name)
    return examineView(this.parts, { name, view, fault }, samples)
  }
  sources(name: string): readonly string[] | null {
    const found = this.parts.definitions.relation(name)
    if (found === null || found.relation === null) return null
    return found.view === null ? [] : sourcesOf(found.view.plan).map(({ topic }) => topic)
  }
  async drop(kind: RelationInfo['kind'] | 'alert', name: string, rights: Rights = everyRight): Promise<void> {
    await this.changeDefinitions(async () => {
      const found = this.parts.definitions.get(kind, name)
      if (found === null) throw new Fault('flow.unknown-view', { view: name })
      await dropAll(this.partsFor(rights), found, { text: '', at: 0, cascade: false })
    })
  }
  dependents(kind: DefinitionKind, name: string): readonly Definition[] {
    const found = this.parts.definitions.get(kind, name)
    return found === null ? [] : dependents(this.parts, found)
  }
  outdated(): readonly Definition[] {
    return this.parts.definitions.all().filter(({ fault }) => fault?.code === 'flow.function-changed')
  }
  createSavepoint(view: string, name: string, rights?: Rights): Promise<SavepointInfo> {
    return createSavepoint(this.partsFor(rights), this.running(view), name)
  }
  savepoints(rights?: Rights): Promise<readonly SavepointInfo[]> {
    return listSavepoints(this.partsFor(rights))
  }
  async dropSavepoint(name: string, rights?: Rights): Promise<void> {
    if (!(await removeSavepoint(this.partsFor(rights), name)))
      throw new Fault('flow.unknown-savepoint', { savepoint: name })
  }
  async pause(view: string): Promise<void> {
    await this.changeDefinitions(() => setPaused(this.parts, this.running(view), true))
  }
  async resume(view: string): Promise<void> {
    await this.changeDefinitions(() => setPaused(this.parts, this.running(view), false))
  }
  private running(name: string): Definition {
    const found = this.parts.definitions.get('view', name) ?? this.parts.definitions.get('alert', name)
    if (found === null) throw new Fault('flow.unknown-view', { view: name })
    return found
  }

  async define(definition: ProgramDefinition): Promise<void> {
    await this.changeDefinitions(async () => {
      const made = programDefinition(definition)
      this.give(made)
      await begin(this.parts, made)
      await beginAll(this.parts, this.parts.definitions.retry(), this.onFault)
    })
  }
  async defineViews(
    views: readonly ProgramView[],
    mayDrop: Parameters<OpenEngine['defineViews']>[1],
  ): Promise<BegunViews> {
    return this.changeDefinitions(async () => {
      for (const one of views) this.give(programView(one))
      const { definitions } = this.parts
      // What the catalogue holds can be planned now, and be seen as a reader.
      const healed = definitions.retry()
      const begun = await beginViews(this.parts, views, mayDrop)
      const there = healed.filter(({ kind, name }) => definitions.get(kind, name) !== null)
      await beginAll(this.parts, there, this.onFault)
      return begun
    })
  }
  private give(made: Definition): void {
    const known = this.parts.definitions.relation(made.name)
    if (known !== null && known.stored !== null) {
      throw new SqlFault(
        'sql.relation-exists',
        `${known.kind} "${known.name}" already exists, defined by a statement`,
        '',
        0,
      )
    }
    this.parts.definitions.give(made)
  }
  readonly alertRules: AlertRules = {
    all: () =>
      this.parts.definitions
        .all()
        .filter((definition) => definition.kind === 'alert')
        .map((definition) => ({
          name: definition.name,
          sql: definition.stored?.sql ?? '',
          status: statusOf(this.parts, definition),
          planned: definition.alert,
        })),
    onChange: (call) => {
      this.alertListeners.add(call)
      return () => this.alertListeners.delete(call)
    },
  }
  async close(): Promise<void> {
    this.stop.abort(new Fault('log.closed', { what: 'the engine' }))
    this.stopFollowing()
    await this.changing
    await this.parts.live.close()
  }
}

function programDefinition(definition: ProgramDefinition): Definition {
  const { source, kind, keyColumns, partitions, config } = definition
  // What says the watermark stands behind the columns.
  const declared = source.watermark ?? source.columns.length
  const relation: Relation = {
    name: source.name,
    kind,
    source: {
      ...source,
      columns: [
        ...source.columns.slice(0, declared),
        ...pseudoColumns.map((p) => p.field),
        ...source.columns.slice(declared),
      ],
      fields: [
        ...source.fields.slice(0, declared),
        ...pseudoColumns.map((p) => ({ from: p.from })),
        ...source.fields.slice(declared),
      ],
      ...(source.watermark === undefined ? {} : { watermark: declared + pseudoColumns.length }),
    },
    declared,
    appendOnly: source.mode === 'append',
    key: source.mode === 'upsert' ? source.key : null,
  }
  return ofRelation({
    relation,
    topic: { name: source.topic, partitions: partitions ?? null, config: config ?? {} },
    keyColumns,
  })
}
