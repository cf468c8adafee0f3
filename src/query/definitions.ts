/**
 * What is defined: streams, tables, views and alerts. Texts live in the catalogue and are planned anew at each start, in
 * the order in which they were made; what a program defines is given again by the program. A text that cannot be planned
 * any more stays, shown as failed with its reason: nothing is dropped by itself.
 */
import type { Adopts, ViewPlan } from '../flow/plan.ts'
import { sourcesOf, userFunctionsOf } from '../flow/plan-facts.ts'
import { asFault, Fault } from '../lib/fault.ts'
import type { Catalog, CatalogKind } from '../log/catalog.ts'
import type { PlannedAlert } from '../sql/alert.ts'
import { matchesName } from '../sql/bind/scope.ts'
import type { UserFunctions } from '../sql/bind/user-functions.ts'
import { planAlert } from '../sql/plan/alert.ts'
import type { PlanContext } from '../sql/plan/context.ts'
import { planRelation, type PlannedRelation, type TopicWish } from '../sql/plan/definitions.ts'
import type { Relation, Schema } from '../sql/plan/relation.ts'
import { planPlainView, planView, type PlannedPlainView, type PlannedView } from '../sql/plan/view.ts'
import type { Name, Statement } from '../sql/syntax/ast.ts'
import { parseStatements } from '../sql/syntax/parse.ts'
import { everyRight, shownSchema } from './rights.ts'

export type DefinitionKind = Exclude<CatalogKind, 'contract' | 'user' | 'access-key' | 'grant' | 'quota' | 'connector'>

/** As the catalogue keeps it. */
export interface Stored {
  readonly version: 1
  /** Definitions are read again in this order. */
  readonly seq: number
  readonly sql: string
  /** Functions of the program that it calls, and their versions; absent = none. */
  readonly functions?: Readonly<Record<string, string>>
  readonly paused?: boolean
  /** It is gone; what it has left behind is not yet. */
  readonly dropping?: boolean
  /** It takes the place of another, whose rows, or also state and positions, are still to go before it begins. */
  readonly replacing?: 'rows' | 'all'
  /** What is to be brought in before it begins. */
  readonly load?: { readonly savepoint: string; readonly rows: boolean }
  /** It goes on with what the one before has kept. */
  readonly adopts?: Adopts
}
export interface Definition {
  readonly kind: DefinitionKind
  readonly name: string
  /** null: a program gave it. */
  readonly stored: Stored | null
  readonly relation: Relation | null
  readonly topic: TopicWish | null
  /** What runs for it; null for streams and tables. */
  readonly view: ViewPlan | null
  readonly alert: PlannedAlert | null
  /** A query that stands for its name; null: it is none. */
  readonly plain: PlannedPlainView | null
  /** Plain views that its text names, and those that they name. */
  readonly inlined: readonly string[]
  /** Columns that make the record key when rows are inserted. */
  readonly keyColumns: readonly string[]
  /** Why it cannot be planned. */
  readonly fault: Fault | null
}

export type Dropped = Pick<Definition, 'kind' | 'name'>

export type Create = Extract<
  Statement,
  { kind: 'create-stream' | 'create-table' | 'create-view' | 'create-plain-view' | 'create-alert' }
>

export class Definitions {
  private readonly known = new Map<string, Definition>()
  private readonly catalog: Catalog
  readonly functions: UserFunctions

  constructor(catalog: Catalog, functions: UserFunctions) {
    this.catalog = catalog
    this.functions = functions
  }

  /** Reads the catalogue. Entries that do not make sense are shown as failed. */
  load(): void {
    const entries = kinds.flatMap((kind) =>
      this.catalog.all(kind).map(({ name, value }) => ({ kind, name, stored: readStored(value) })),
    )
    for (const { kind, name, stored } of entries.toSorted(
      (a, b) => (a.stored?.seq ?? Infinity) - (b.stored?.seq ?? Infinity),
    )) {
      if (stored?.dropping === true) continue
      this.known.set(keyOf(kind, name), this.restored(kind, name, stored))
    }
    // What was replaced may stand behind what reads it.
    while (this.retry().length > 0);
  }
  /**
   * Takes over what has been changed in the catalogue, by others: what is gone, with what was made anew under its name;
   * what is made; what was paused or resumed. What a program gave stays as it gave it.
   */
  follow(): { gone: Definition[]; made: Definition[]; turned: Definition[] } {
    const found = { gone: [] as Definition[], made: [] as Definition[], turned: [] as Definition[] }
    const entries = new Map(
      kinds.flatMap((kind) =>
        this.catalog
          .all(kind)
          .map(({ name, value }) => [keyOf(kind, name), { kind, name, stored: readStored(value) }] as const)
          // What another process is about to replace is not there until it is done.
          .filter(([, { stored }]) => stored?.dropping !== true && stored?.replacing === undefined),
      ),
    )
    for (const [key, one] of this.known) {
      const entry = entries.get(key)
      if (one.stored === null || (entry?.kind === one.kind && isSame(entry.stored, one.stored))) continue
      this.known.delete(key)
      found.gone.push(one)
    }
    const bySeq = [...entries].toSorted(([, a], [, b]) => (a.stored?.seq ?? Infinity) - (b.stored?.seq ?? Infinity))
    for (const [key, { kind, name, stored }] of bySeq) {
      const one = this.known.get(key)
      if (one === undefined) {
        const made = this.restored(kind, name, stored)
        this.known.set(key, made)
        found.made.push(made)
      } else if (one.stored !== null && stored !== null && one.stored.paused !== stored.paused) {
        const turned = { ...one, stored }
        this.known.set(key, turned)
        found.turned.push(turned)
      }
    }
    return found
  }
  /** Plans again what could not be planned: something it names may be there now. Gives what can be now. */
  retry(): Definition[] {
    const healed: Definition[] = []
    for (const definition of this.failed()) {
      const again = this.restored(definition.kind, definition.name, definition.stored)
      this.known.set(keyOf(again.kind, again.name), again)
      if (again.fault === null) healed.push(again)
    }
    return healed
  }
  private failed(): Definition[] {
    return [...this.known.values()].filter((definition) => definition.fault !== null)
  }
  private restored(kind: DefinitionKind, name: string, stored: Stored | null): Definition {
    const broken = (fault: Fault): Definition => ({ ...nothing, kind, name, stored, fault })
    if (stored === null)
      return broken(new Fault('internal', { what: `the catalogue's entry of ${kind} ${name} cannot be read` }))
    try {
      const [statement, more] = parseStatements(stored.sql)
      if (statement === undefined || more !== undefined || !isCreate(statement))
        throw new Fault('internal', { what: `the text of ${kind} ${name} is not one definition` })
      const planned = this.plan(statement, stored.sql)
      const changed = changedFunction(name, stored, planned)
      if (changed !== null) return { ...planned, name, stored, fault: changed }
      return { ...adopting(planned, stored), name, stored }
    } catch (error) {
      return broken(asFault(error))
    }
  }

  /** The definition of a text, not yet kept; `schema`: what it may name. Throws SqlFault. */
  plan(statement: Create, text: string, schema: Schema = shownSchema(everyRight, this)): Definition {
    const context: PlanContext = {
      text,
      schema,
      parameters: null,
      mode: 'view',
      ctes: [],
      close: null,
      allowUnbounded: false,
      inlined: new Set(),
    }
    return { ...this.planned(context, statement), inlined: [...context.inlined!] }
  }
  private planned(context: PlanContext, statement: Create): Definition {
    switch (statement.kind) {
      case 'create-stream':
      case 'create-table':
        return ofRelation(planRelation(context, statement))
      case 'create-view':
        return ofView(planView(context, statement))
      case 'create-plain-view':
        return ofPlainView(planPlainView(context, statement))
      case 'create-alert':
        return ofAlert(planAlert(context, statement))
    }
  }
  /** Durable when it resolves. */
  async keep(
    definition: Definition,
    sql: string,
    more: Pick<Stored, 'replacing' | 'load' | 'adopts'> = {},
  ): Promise<Definition> {
    const stored: Stored = { version: 1, seq: this.nextSeq(), sql, ...calledBy(definition), ...more }
    return this.store({ ...adopting(definition, stored), stored })
  }
  /** Takes the place of `known`; `replacing`: what that one left has to go first, until `settle`. Durable when it resolves. */
  async replace(
    known: Definition,
    definition: Definition,
    sql: string,
    change: { readonly isSame: boolean } & Pick<Stored, 'replacing' | 'load' | 'adopts'>,
  ): Promise<Definition> {
    const { paused, seq } = known.stored!
    const { isSame, replacing, load, adopts = isSame ? known.stored!.adopts : undefined } = change
    const stored: Stored = {
      version: 1,
      // It may read what was made after the one before.
      seq: isSame ? seq : this.nextSeq(),
      sql,
      ...calledBy(definition),
      ...(paused === true ? { paused } : {}),
      ...(replacing === undefined ? {} : { replacing }),
      ...(load === undefined ? {} : { load }),
      ...(adopts === undefined ? {} : { adopts }),
    }
    return this.store({ ...adopting(definition, stored), stored })
  }
  /** What the one before left is gone. */
  async settle(definition: Definition): Promise<Definition> {
    const { replacing: _, load: _load, ...stored } = definition.stored!
    return this.store({ ...definition, stored })
  }
  /** Its state is of its own plan now. */
  async adopted(definition: Definition): Promise<void> {
    const known = this.get(definition.kind, definition.name)
    if (known?.stored?.adopts === undefined || known.stored.seq !== definition.stored?.seq) return
    const { adopts: _, ...stored } = known.stored
    await this.store({ ...known, stored })
  }
  private async store(definition: Definition): Promise<Definition> {
    await this.catalog.change([{ kind: definition.kind, name: definition.name, value: definition.stored }])
    this.known.set(keyOf(definition.kind, definition.name), definition)
    return definition
  }
  private nextSeq(): number {
    return 1 + Math.max(0, ...[...this.known.values()].map((other) => other.stored?.seq ?? 0))
  }
  /** Given by a program: it is not in the catalogue. */
  give(definition: Definition): void {
    this.known.set(keyOf(definition.kind, definition.name), definition)
  }
  async setPaused(definition: Definition, paused: boolean): Promise<void> {
    if (definition.stored === null) return
    const { paused: _, ...rest } = definition.stored
    const stored: Stored = paused ? { ...rest, paused } : rest
    await this.catalog.change([{ kind: definition.kind, name: definition.name, value: stored }])
    this.known.set(keyOf(definition.kind, definition.name), { ...definition, stored })
  }
  /** From when this resolves they are gone, whatever happens; their entries stay until `forget`. */
  async drop(definitions: readonly Definition[]): Promise<void> {
    const kept = definitions.filter((definition) => definition.stored !== null)
    const entry = ({ kind, name, stored }: Definition) => ({ kind, name, value: { ...stored, dropping: true } })
    if (kept.length > 0) await this.catalog.change(kept.map(entry))
    for (const { kind, name } of definitions) this.known.delete(keyOf(kind, name))
  }
  async forget(dropped: readonly Dropped[]): Promise<void> {
    const entries = dropped.filter(({ kind, name }) => this.catalog.get(kind, name) !== null)
    if (entries.length > 0) await this.catalog.change(entries.map(({ kind, name }) => ({ kind, name, value: null })))
  }
  /** Dropped, and not all that they left behind is known to be gone. */
  dropped(): Dropped[] {
    return kinds.flatMap((kind) =>
      this.catalog
        .all(kind)
        .filter(({ value }) => readStored(value)?.dropping === true)
        .map(({ name }) => ({ kind, name })),
    )
  }

  all(): readonly Definition[] {
    return [...this.known.values()]
  }
  get(kind: DefinitionKind, name: string): Definition | null {
    const found = this.known.get(keyOf(kind, name))
    return found?.kind === kind ? found : null
  }
  /** Streams, tables and views share their names. */
  relation(name: string): Definition | null {
    return this.get('stream', name) ?? this.get('table', name) ?? this.get('view', name) ?? this.get('plain-view', name)
  }
  *relations(): Iterable<Relation> {
    for (const { relation } of this.known.values()) if (relation !== null) yield relation
  }
  /** Of that name, and it cannot be planned any more. */
  broken(name: Name): Definition | null {
    const isBroken = (one: Definition): boolean => one.kind !== 'alert' && one.relation === null && one.fault !== null
    return this.all().find((one) => isBroken(one) && matchesName(name, one.name)) ?? null
  }
  /** Views and alerts that read it, directly or through plain views. */
  readers(name: string): Definition[] {
    return this.all().filter(
      ({ view, plain, inlined }) =>
        (view !== null && sourceNames(view.plan).has(name)) ||
        plain?.reads.some((source) => source.name === name) === true ||
        inlined.includes(name),
    )
  }
}

const kinds: readonly DefinitionKind[] = ['stream', 'table', 'view', 'plain-view', 'alert']
/** One that was made anew is another, whatever its text. */
const isSame = (a: Stored | null, b: Stored): boolean => a?.sql === b.sql && a.seq === b.seq
const keyOf = (kind: DefinitionKind, name: string): string => `${kind === 'alert' ? 'alert' : 'relation'}/${name}`
export const isCreate = (statement: Statement): statement is Create =>
  statement.kind === 'create-stream' ||
  statement.kind === 'create-table' ||
  statement.kind === 'create-view' ||
  statement.kind === 'create-plain-view' ||
  statement.kind === 'create-alert'

function readStored(value: unknown): Stored | null {
  if (value === null || typeof value !== 'object') return null
  const { version, seq, sql, functions, paused, dropping, replacing, load, adopts } = value as Record<string, unknown>
  if (version !== 1 || typeof seq !== 'number' || typeof sql !== 'string') return null
  return {
    version,
    seq,
    sql,
    ...(typeof functions === 'object' && functions !== null ? { functions: functions as Record<string, string> } : {}),
    ...(paused === true ? { paused } : {}),
    ...(dropping === true ? { dropping } : {}),
    ...(replacing === 'rows' || replacing === 'all' ? { replacing } : {}),
    ...(isLoad(load) ? { load } : {}),
    ...(isAdopts(adopts) ? { adopts } : {}),
  }
}

/** What the state of a view depends on. */
function calledBy({ view }: Definition): Pick<Stored, 'functions'> {
  if (view === null) return {}
  const called = [...userFunctionsOf(view.plan)].map(([signature, { version }]) => [signature, version])
  return called.length === 0 ? {} : { functions: Object.fromEntries(called) as Record<string, string> }
}
/** What another version has computed cannot be gone on with. */
function changedFunction(view: string, stored: Stored, planned: Definition): Fault | null {
  if (planned.view === null || stored.functions === undefined) return null
  for (const [signature, { version }] of userFunctionsOf(planned.view.plan)) {
    const was = stored.functions[signature]
    if (was !== undefined && was !== version)
      return new Fault('flow.function-changed', { view, function: signature, was, is: version })
  }
  return null
}
const isLoad = (value: unknown): value is NonNullable<Stored['load']> =>
  typeof value === 'object' && value !== null && 'savepoint' in value && 'rows' in value
const isAdopts = (value: unknown): value is Adopts =>
  typeof value === 'object' && value !== null && 'into' in value && 'rows' in value
const adopting = (definition: Definition, { adopts }: Stored): Definition =>
  adopts === undefined || definition.view === null
    ? definition
    : { ...definition, view: { ...definition.view, adopts } }

const nothing = {
  stored: null,
  relation: null,
  topic: null,
  view: null,
  alert: null,
  plain: null,
  inlined: [],
  keyColumns: [],
  fault: null,
} as const
export const ofRelation = ({ relation, topic, keyColumns }: Omit<PlannedRelation, 'ifNotExists'>): Definition => ({
  ...nothing,
  kind: relation.kind,
  name: relation.name,
  relation,
  topic,
  keyColumns,
})
export const ofView = ({ view, relation, topic }: Omit<PlannedView, 'ifNotExists'>): Definition => ({
  ...nothing,
  kind: 'view',
  name: view.name,
  relation,
  topic,
  view,
})
const ofPlainView = (plain: PlannedPlainView): Definition => ({
  ...nothing,
  kind: 'plain-view',
  name: plain.view.name,
  plain,
})
const ofAlert = (alert: PlannedAlert): Definition => ({
  ...nothing,
  kind: 'alert',
  name: alert.rule.name,
  view: alert.view,
  alert,
})

/** Catalogue names of what a plan reads. */
export const sourceNames = (plan: ViewPlan['plan']): Set<string> => new Set(sourcesOf(plan).map(({ name }) => name))
