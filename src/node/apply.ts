/**
 * A project's definitions into the engine. What stands in the catalogue already, word for word, is left alone; what has
 * changed is dropped with everything of the project that reads it, and made anew. Files may come in any order: what names
 * something that is not there yet is tried again after the rest.
 */
import { parted } from '../query/alter-alert.ts'
import type { AnyTopic, AnyView, Definition } from '../dsl/index.ts'
import type { ViewPlan } from '../flow/plan.ts'
import { inputsFirst } from '../flow/runtime/flow.ts'
import { isAlert, isTopic, isView } from '../dsl/index.ts'
import { SqlText } from '../dsl/definitions.ts'
import { restartOptions } from '../dsl/restart.ts'
import { Fault } from '../lib/fault.ts'
import type { Logger } from '../lib/logger.ts'
import { type Create, isCreate } from '../query/definitions.ts'
import type { OpenEngine } from '../query/open.ts'
import type { Contracts } from '../schema/contracts.ts'
import type { ProjectMark } from './project.ts'
import { SqlFault } from '../sql/fault.ts'
import { parseStatements } from '../sql/syntax/parse.ts'

export interface ApplyTo {
  readonly engine: OpenEngine
  readonly contracts: Contracts
  readonly logger: Logger
}
export interface Definitions {
  readonly sql: readonly { readonly file: string; readonly text: string }[]
  readonly definitions: readonly Definition[]
  /** Which file a definition stands in; those of a program stand in none. */
  readonly files?: ReadonlyMap<Definition, string>
  /** Where the definitions can be loaded from once more, by another thread; absent: nowhere. */
  readonly project?: ProjectMark
}

interface Wanted {
  readonly kind: 'stream' | 'table' | 'view' | 'plain-view' | 'alert'
  readonly name: string
  /** As it stands in the catalogue once it is made. */
  readonly text: string
  readonly file: string
  /** Where the text stands in the file. */
  readonly in: { readonly text: string; readonly at: number }
  /** A view that goes on with its state when its query has changed. */
  readonly resumes: boolean
}

/** Throws the fault of the first definition that cannot be made, with its file in front. */
export async function applyDefinitions(to: ApplyTo, { sql, files = new Map(), ...given }: Definitions): Promise<void> {
  const definitions = [...new Set(given.definitions)]
  const wanted = [...sql.flatMap(statementsOf), ...definitions.flatMap((one) => asStatement(one, files.get(one)))]
  const views = definitions.filter(isView)
  refuseTwice(wanted, views, files)
  for (const definition of definitions) if (isTopic(definition)) await applyTopic(to, definition)
  const planned = new Map(views.flatMap((view) => named(files.get(view) ?? view.name, () => viewOf(view))))
  await checkChanged(
    to,
    wanted,
    views.map(({ name }) => name),
  )
  await dropChanged(to, wanted)
  const begun = [await beginViews(to, planned, wanted)]
  await untilDone(wanted.map((one) => async () => void begun.push(await createMissing(to, one))))
  // All at once: on a cluster each waits for others that share its group.
  for (const one of await Promise.allSettled(begun.map(({ started }) => started)))
    if (one.status === 'rejected') throw one.reason
}
/** It stands in the catalogue; it runs when `started` resolves. */
interface Begun {
  readonly started: Promise<void>
}
/** Streams, tables and views share their names. Throws Fault project.duplicate. */
function refuseTwice(wanted: readonly Wanted[], views: readonly AnyView[], files: ReadonlyMap<unknown, string>): void {
  const made = new Map<string, string>()
  const streams = views.filter(({ from }) => !(from instanceof SqlText))
  const all = [
    ...wanted,
    ...streams.map((view) => ({ kind: 'view', name: view.name, file: files.get(view) ?? 'the program' })),
  ]
  for (const { kind, name, file } of all) {
    const key = `${kind === 'alert' ? 'alert' : 'relation'} ${name.toLowerCase()}`
    const other = made.get(key)
    if (other !== undefined) {
      const where = other === file ? file : `${other} and ${file}`
      throw new Fault('project.duplicate', { what: `${kind} ${name}`, files: where })
    }
    made.set(key, file)
  }
}
/** Views that are streams of TypeScript; those in SQL are statements. */
async function beginViews(
  to: ApplyTo,
  planned: ReadonlyMap<ViewPlan, Parameters<OpenEngine['defineViews']>[0][number]>,
  wanted: readonly Wanted[],
): Promise<Begun> {
  const ours = new Set(wanted.map(({ kind, name }) => `${kind} ${name}`))
  const ordered = inputsFirst([...planned.keys()]).map((view) => planned.get(view)!)
  const { changed, started } = await to.engine.defineViews(ordered, ({ kind, name }) => ours.has(`${kind} ${name}`))
  for (const { name, becomes } of changed)
    to.logger.info(
      becomes === 'anew'
        ? `view ${name} has changed: it is made anew`
        : `view ${name} has changed: it goes on with its state`,
    )
  return { started }
}
function viewOf(view: AnyView): [ViewPlan, Parameters<OpenEngine['defineViews']>[0][number]][] {
  const plan = view.plan()
  if (plan === null) return []
  return [[plan, { view: plan, time: view.eventTime(), resumes: view.options.startFrom === 'resume' }]]
}
/** What goes wrong says where. */
function named<T>(file: string, work: () => T): T {
  try {
    return work()
  } catch (error) {
    if (error instanceof Error) error.message = `${file}: ${error.message}`
    throw error
  }
}

async function applyTopic({ engine, contracts }: ApplyTo, topic: AnyTopic): Promise<void> {
  const { key, partitions, config, onInvalid } = topic.options
  await engine.define({
    kind: 'stream',
    source: topic.source('append'),
    keyColumns: key === undefined ? [] : [key],
    ...(partitions === undefined ? {} : { partitions }),
    ...(config === undefined ? {} : { config }),
  })
  await contracts.change(topic.name, {
    schema: topic.jsonSchema,
    keyField: key ?? null,
    ...(onInvalid === undefined ? {} : { onInvalid }),
  })
}

function statementsOf({ file, text }: Definitions['sql'][number]): Wanted[] {
  const place = { file, in: { text, at: 0 } }
  return inPlace(place, 0, () => parseStatements(text)).flatMap((statement) => {
    // They are for who runs connectors (`apply-connectors.ts`).
    if (statement.kind === 'create-connector') return []
    if (!isCreate(statement))
      throw placed(
        place,
        0,
        new SqlFault('sql.unsupported', 'a project file holds definitions only', text, statement.at, {
          hint: 'Put other statements into a file of their own and run it with `millrace sql FILE`.',
        }),
      )
    const name = statement.name.parts.at(-1)!.text
    const resumes = statement.kind === 'create-view' && statement.start?.from === 'resume'
    const { at, end } = statement
    return [{ kind: kindOf(statement), name, text: text.slice(at, end), file, in: { text, at }, resumes }]
  })
}
function asStatement(definition: Definition, file = definition.name): Wanted[] {
  const { name } = definition
  if (isAlert(definition)) {
    const text = definition.statement()
    return [{ kind: 'alert', name, text, file, in: { text, at: 0 }, resumes: false }]
  }
  if (!isView(definition) || !(definition.from instanceof SqlText)) return []
  const quoted = `"${name.replaceAll('"', '""')}"`
  const text = `CREATE MATERIALIZED VIEW ${quoted}${optionsText(definition)}`
  const resumes = definition.options.startFrom === 'resume'
  return [{ kind: 'view', name, text, file, in: { text, at: 0 }, resumes }]
}
/** A view in SQL takes its options as SQL says them. */
function optionsText({ from, options }: AnyView): string {
  const {
    idle,
    lateTopic,
    onError,
    startFrom,
    memoryBudget,
    stateTtl,
    parallelism,
    standbys,
    restart,
    allowUnboundedState,
  } = options
  const written = Object.entries({
    idle,
    late_topic: lateTopic,
    on_error: onError,
    memory_budget: memoryBudget,
    state_ttl: stateTtl,
    parallelism,
    standbys,
    allow_unbounded_state: allowUnboundedState,
    ...(restart === undefined ? {} : restartOptions(restart)),
  }).flatMap(([option, value]) => {
    if (value === undefined) return []
    return [`${option} = ${typeof value === 'string' ? `'${value.replaceAll("'", "''")}'` : String(value)}`]
  })
  const start = startFrom instanceof Date ? `TIMESTAMP '${startFrom.toISOString()}'` : startFrom?.toUpperCase()
  return [
    ...(written.length === 0 ? [] : [` WITH (${written.join(', ')})`]),
    ` AS ${(from as SqlText<unknown>).text.trim()}`,
    ...(start === undefined ? [] : [` START FROM ${start}`]),
  ].join('')
}
function kindOf({ kind }: Create): Wanted['kind'] {
  switch (kind) {
    case 'create-stream':
      return 'stream'
    case 'create-table':
      return 'table'
    case 'create-view':
      return 'view'
    case 'create-plain-view':
      return 'plain-view'
    case 'create-alert':
      return 'alert'
  }
}

const known = ({ engine }: ApplyTo, { kind, name }: Wanted): string | null => {
  if (kind === 'alert') return engine.alertRules.all().find((rule) => rule.name === name)?.sql ?? null
  return engine.relation(name)?.sql ?? null
}
const head = /^create\s+(?:or\s+replace\s+)?/i
const isSame = (a: string, b: string): boolean => a.replace(head, '') === b.replace(head, '')
/** An alert that only tells others, which ALTER says; null: it is none, or another one. */
function toldAnew({ kind, name, text }: Wanted, before: string): string | null {
  if (kind !== 'alert') return null
  const [was, is] = [parted(before), parted(text)]
  if (!isSame(was.before, is.before) || was.behind !== is.behind) return null
  return `ALTER ALERT "${name.replaceAll('"', '""')}" NOTIFY ${is.told}`
}
async function createMissing(to: ApplyTo, wanted: Wanted): Promise<Begun> {
  const { kind, name, text, file, resumes } = wanted
  const before = known(to, wanted)
  const nothing = { started: Promise.resolve() }
  if (before === null) {
    const { started } = await inPlaceOf(wanted, 0, () => to.engine.begin(text))
    return { started: inPlaceOf(wanted, 0, () => started) }
  }
  if (isSame(before, text)) return nothing
  const told = toldAnew(wanted, before)
  if (told !== null) {
    await inPlaceOf(wanted, 0, () => to.engine.run(told))
    to.logger.info(`alert ${name} has changed: it tells others, and goes on`, { file })
    return nothing
  }
  if (!resumes) return nothing
  const again = text.replace(head, 'CREATE OR REPLACE ')
  const { notices = [] } = await inPlaceOf(wanted, again.length - text.length, () => to.engine.run(again))
  to.logger.info([`${kind} ${name} has changed: ${notices[0]}`, ...notices.slice(1)].join('\n'), { file })
  return nothing
}

type Place = Pick<Wanted, 'file' | 'in'>
/** A fault of a text that has so many characters more in front says where it is in its file. */
function placed({ file, in: where }: Place, more: number, error: unknown): unknown {
  if (!(error instanceof SqlFault)) {
    if (error instanceof Error) error.message = `${file}: ${error.message}`
    return error
  }
  const { line, column } = error.position
  // Of lines above the first the text in front has none.
  const before = where.text
    .slice(where.at)
    .split('\n')
    .slice(0, line - 1)
  const at = where.at + before.reduce((sum, one) => sum + one.length + 1, 0) + column - 1 - (line === 1 ? more : 0)
  const { message, hint, expected } = error.facts
  const place = new SqlFault(error.code, message, where.text, Math.max(0, at)).position
  return new SqlFault(error.code, `${file}:${place.line}:${place.column}: ${message}`, where.text, Math.max(0, at), {
    ...(hint === undefined ? {} : { hint }),
    ...(expected === undefined ? {} : { expected }),
  })
}
export function inPlace<T>(place: Place, more: number, work: () => T): T {
  try {
    return work()
  } catch (error) {
    throw placed(place, more, error)
  }
}
async function inPlaceOf<T>(place: Place, more: number, work: () => Promise<T>): Promise<T> {
  try {
    return await work()
  } catch (error) {
    throw placed(place, more, error)
  }
}

/**
 * A changed view that cannot be planned is refused before the one that runs is dropped. What reads something else that is
 * new or changed cannot be known before that is there. Throws SqlFault.
 */
async function checkChanged(to: ApplyTo, wanted: readonly Wanted[], programViews: readonly string[]): Promise<void> {
  const changed = wanted.filter((one) => {
    const before = known(to, one)
    return before === null || !isSame(before, one.text)
  })
  const ours = [...wanted.map(({ name }) => name), ...programViews]
  for (const one of changed) {
    if ((one.kind !== 'view' && one.kind !== 'alert') || known(to, one) === null) continue
    const moving = [...changed.filter((other) => other !== one).map(({ name }) => name), ...programViews]
    if (moving.some((name) => mentions(one.text, name))) continue
    try {
      await inPlaceOf(one, explain.length, () => to.engine.run(`${explain}${one.text}`))
    } catch (error) {
      if (!(error instanceof SqlFault)) throw error
      // A relation of the project may only wait for another one.
      const isUnknown = error.code === 'sql.unknown-relation'
      if (!isUnknown || !ours.some((name) => error.facts.message.includes(`"${name}"`))) throw error
    }
  }
}
const explain = 'EXPLAIN '
function mentions(text: string, name: string): boolean {
  const lower = text.toLowerCase()
  return lower.includes(name.toLowerCase())
}

/** With what reads it, readers first. A reader that is not of the project stands in the way: nothing is dropped then. */
async function dropChanged(to: ApplyTo, wanted: readonly Wanted[]): Promise<void> {
  const outdated = new Set(to.engine.outdated().map(({ kind, name }) => `${kind} ${name}`))
  const changed = wanted.filter((one) => {
    if (outdated.has(`${one.kind} ${one.name}`)) return true
    const before = known(to, one)
    return before !== null && !one.resumes && !isSame(before, one.text) && toldAnew(one, before) === null
  })
  const ours = new Set(wanted.map(({ kind, name }) => `${kind} ${name}`))
  const drops = new Map<string, { kind: Wanted['kind']; name: string }>()
  for (const one of changed) {
    to.logger.info(`${one.kind} ${one.name} has changed: it is made anew`, { file: one.file })
    for (const { kind, name } of to.engine.dependents(one.kind, one.name)) {
      if (!ours.has(`${kind} ${name}`))
        throw new Fault('project.has-reader', { changed: `${one.kind} ${one.name}`, reader: `${kind} ${name}` })
      drops.set(`${kind} ${name}`, { kind, name })
    }
  }
  for (const { kind, name } of drops.values()) await to.engine.drop(kind, name)
}

/** Tries each until it works or a whole round brings nothing new; then the first fault stands. */
async function untilDone(makes: readonly (() => Promise<void>)[]): Promise<void> {
  let left = makes
  for (;;) {
    const failed: { readonly one: (typeof makes)[number]; readonly error: unknown }[] = []
    for (const one of left) {
      try {
        await one()
      } catch (error) {
        failed.push({ one, error })
      }
    }
    if (failed.length === 0) return
    if (failed.length === left.length) throw failed[0]!.error
    left = failed.map(({ one }) => one)
  }
}
