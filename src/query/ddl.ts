/** CREATE, DROP, ALTER: first the catalogue, then topics, then what runs. A restart does again what a crash left out. */
import type { Plan } from '../flow/plan.ts'
import { sourcesOf } from '../flow/plan-facts.ts'
import { stateTopic } from '../flow/runtime/names.ts'
import { asFault, Fault } from '../lib/fault.ts'
import { limits } from '../lib/limits.ts'
import { wrongTopicName } from '../log/topic-rules.ts'
import { isQuarantine, quarantineName } from '../schema/quarantine.ts'
import { alertViewName } from '../sql/alert.ts'
import { SqlFault } from '../sql/fault.ts'
import { matchesName } from '../sql/bind/scope.ts'
import { catalogName, matcher, pickNamed } from '../sql/plan/relation.ts'
import type { ObjectKind, QualifiedName, Statement } from '../sql/syntax/ast.ts'
import { alteredView } from './alter-view.ts'
import type { Create, Definition, DefinitionKind, Definitions, Dropped } from './definitions.ts'
import type { EngineParts } from './engine-parts.ts'
import { changeLines, finishReplacing, goneBack, replace } from './replace.ts'
import { begin, clearView, dependents, ensureTopics, removeTopic } from './running.ts'
import { demandDependents, pickShown, shownSchema, topicOf, wordOf } from './rights.ts'

const tags: Readonly<Record<DefinitionKind, string>> = {
  stream: 'STREAM',
  table: 'TABLE',
  view: 'MATERIALIZED VIEW',
  'plain-view': 'VIEW',
  alert: 'ALERT',
}

export interface Done {
  /** The command tag. */
  readonly command: string
  readonly notices: readonly string[]
}
/** What stands in the catalogue, with its topics, and is on its way to run. */
export interface Created extends Done {
  readonly started: Promise<void>
  /** Once `started` has failed: who was told that it cannot be had must not find it there, nor what reads it. */
  undo(): Promise<void>
}
const running = (done: Done): Created => ({ ...done, started: Promise.resolve(), undo: () => Promise.resolve() })
/** Throws SqlFault, or a fault of the log. */
export async function create(parts: EngineParts, statement: Create, text: string): Promise<Created> {
  await finishDrops(parts)
  const planned = parts.definitions.plan(statement, text, shownSchema(parts.rights, parts.definitions))
  await demandCreate(parts, planned)
  const done: Done = { command: `CREATE ${tags[planned.kind]}`, notices: [] }
  const known =
    planned.kind === 'alert' ? parts.definitions.get('alert', planned.name) : parts.definitions.relation(planned.name)
  if (known === null || known.kind === 'view') checkInputs(parts, planned, text, statement.name.at)
  if (known !== null) {
    if (statement.kind === 'create-view' && statement.orReplace) {
      return running({ ...done, notices: await replace(parts, { known, planned, statement, text }) })
    }
    if (statement.ifNotExists && known.kind === planned.kind) return running(done)
    throw new SqlFault(
      'sql.relation-exists',
      `${wordOf(known)} "${known.name}" already exists`,
      text,
      statement.name.at,
    )
  }
  await checkTopic(parts, planned, text, topicPlace(statement))
  const start = statement.kind === 'create-view' ? statement.start : null
  const change = start?.from === 'savepoint' ? await goneBack(parts, planned.view!, { text, start }) : null
  const load = change === null ? {} : { replacing: 'all' as const, ...change.stored }
  const kept = await parts.definitions.keep(planned, text.slice(statement.at, statement.end), load)
  const undo = (): Promise<void> => remove(parts, dependents(parts, kept))
  let started: Promise<void>
  try {
    const ready = await finishReplacing(parts, kept)
    await ensureTopics(parts, ready)
    started = begin(parts, ready)
  } catch (error) {
    await undo()
    throw error
  }
  started.catch(() => {})
  const isNew = start?.from === 'resume' ? [`view ${planned.name} is new: there is nothing to resume`] : []
  return { ...done, notices: change === null ? isNew : changeLines(change), started, undo }
}
/** Resolves when it runs. */
export async function createAndStart(parts: EngineParts, statement: Create, text: string): Promise<Done> {
  const made = await create(parts, statement, text)
  try {
    await made.started
  } catch (error) {
    await made.undo()
    throw error
  }
  return made
}
/** ALTER MATERIALIZED VIEW … AS. */
export async function alterView(
  parts: EngineParts,
  statement: Extract<Statement, { kind: 'alter-view' }>,
  text: string,
): Promise<Done> {
  const altered = alteredView(parts, statement, text)
  const { notices } = await createAndStart(parts, altered.statement, altered.text)
  return { command: `ALTER ${tags.view}`, notices }
}

/** A view is what it reads copied into a topic of its own; a stream or table says how a topic is read and written. */
async function demandCreate({ rights, log }: EngineParts, planned: Definition): Promise<void> {
  const { kind, view } = planned
  if (view !== null) for (const { topic } of sourcesOf(view.plan)) rights.demand('read', topic)
  if (view !== null && view.lateTopic !== null) rights.demand('write', view.lateTopic)
  if (kind === 'alert') {
    rights.demandCluster('alter')
    return
  }
  const topic = topicOf(planned)
  if (planned.plain !== null) {
    for (const source of planned.plain.reads) rights.demand('read', source.topic)
    return rights.demand('create', topic)
  }
  rights.demand(kind === 'view' ? 'write' : 'alter', topic)
  if (kind === 'view' || (await log.topics.get(topic)) === null) rights.demand('create', topic)
}

/** What a view writes must not come in again, and nobody else may write what is not theirs. */
function checkInputs({ definitions }: EngineParts, { view }: Definition, text: string, at: number): void {
  if (view === null) return
  const { name, plan, lateTopic, onError } = view
  const refuse = (message: string): never => {
    throw new SqlFault('sql.invalid-definition', message, text, at)
  }
  if (onError === 'quarantine')
    for (const { topic } of sourcesOf(plan))
      if (!hasQuarantine(topic)) refuse(`topic "${topic}" can have no quarantine: ${tooLong}`)
  if (lateTopic !== null && isKept(lateTopic)) refuse(`the name ${lateTopic} is kept for Millrace itself`)
  if (lateTopic !== null && (lateTopic === name || definitions.get('view', lateTopic) !== null))
    refuse(`topic "${lateTopic}" is written by a view: late rows go to one of their own`)
  const above = topicsAbove(definitions, plan)
  if (above.has(name)) refuse(`view "${name}" would read itself`)
  if (lateTopic !== null && above.has(lateTopic))
    refuse(`late rows of "${name}" would come in again: it reads topic "${lateTopic}", directly or through other views`)
}
/** Topics that the plan reads, and those that the views read which write these. */
function topicsAbove(definitions: Definitions, plan: Plan): Set<string> {
  const found = new Set<string>()
  const visit = (above: Plan): void => {
    for (const { topic } of sourcesOf(above)) {
      if (found.has(topic)) continue
      found.add(topic)
      for (const { kind, view } of definitions.all())
        if (kind === 'view' && view !== null && (view.name === topic || view.lateTopic === topic)) visit(view.plan)
    }
  }
  visit(plan)
  return found
}
const hasQuarantine = (topic: string): boolean => quarantineName(topic).length <= limits.topicNameLength
const tooLong = `its name would be longer than ${limits.topicNameLength} characters`
const isKept = (topic: string): boolean => topic.startsWith('_millrace_') || topic.startsWith('__')

/** Where the topic's name stands. */
function topicPlace(statement: Create): number {
  const options = 'options' in statement ? statement.options : []
  return options.find(({ name }) => name.toLowerCase() === 'topic')?.valueAt ?? statement.name.at
}
/** What runs has a topic for its state, and a folder, both of its name. */
function checkStateName({ kind, name, view }: Definition, text: string, at: number): void {
  const wrong = view === null ? null : wrongTopicName(stateTopic(view.name))
  // Of a view that would have no topic of its own name either, that is said.
  if (wrong === null || (kind === 'view' && wrongTopicName(name) !== null)) return
  const message = `this ${kind} cannot be named "${name}": ${stateTopic(view!.name)}, where its state is kept, cannot be a topic name: ${wrong}`
  throw new SqlFault('sql.invalid-definition', message, text, at, {
    hint: 'Names of topics have letters, digits, dot, underscore and hyphen.',
  })
}
async function checkTopic(parts: EngineParts, planned: Definition, text: string, at: number): Promise<void> {
  const { kind, topic, relation } = planned
  checkStateName(planned, text, at)
  if (topic === null || relation === null) return
  const { name } = topic
  const wrong = wrongTopicName(name)
  if (wrong !== null)
    throw new SqlFault('sql.invalid-definition', `"${name}" cannot be a topic name: ${wrong}`, text, at, {
      hint: "Names of topics have letters, digits, dot, underscore and hyphen. A stream or table of any name may lie over another topic: WITH (topic = 'a_b').",
    })
  if (isKept(name)) {
    throw new SqlFault('sql.invalid-definition', `the name ${name} is kept for Millrace itself`, text, at)
  }
  if (kind === 'view' && isQuarantine(name))
    throw new SqlFault('sql.invalid-definition', `${name} would be the quarantine of another topic`, text, at, {
      hint: 'Invalid events would be kept among the rows of the view. Choose another name.',
    })
  if (relation.source.onInvalid === 'quarantine' && !hasQuarantine(name))
    throw new SqlFault('sql.invalid-definition', `topic "${name}" can have no quarantine: ${tooLong}`, text, at, {
      hint: "Choose a shorter name, or say what happens to invalid events: WITH (on_invalid = 'reject') or 'null'.",
    })
  const existing = await parts.log.topics.get(name)
  if (existing === null) return
  if (kind === 'view') {
    throw new SqlFault(
      'sql.relation-exists',
      `a topic "${name}" already exists, and the changes of the view would go there`,
      text,
      at,
      { hint: 'Choose another name, or delete the topic.' },
    )
  }
  if (topic.partitions !== null && topic.partitions !== existing.partitions) {
    throw new SqlFault(
      'sql.invalid-value',
      `topic "${name}" has ${existing.partitions} partitions, not ${topic.partitions}`,
      text,
      at,
      { hint: 'Leave the option out to take the topic as it is.' },
    )
  }
}

/** The command tag. Throws SqlFault. */
export async function drop(
  parts: EngineParts,
  statement: Extract<Statement, { kind: 'drop' }>,
  text: string,
): Promise<string> {
  for (const name of statement.names) {
    if (statement.object === 'topic') await dropTopic(parts, name, statement.ifExists, text)
    else await dropNamed(parts, name, { ...statement, object: statement.object }, text)
  }
  return `DROP ${statement.object === 'topic' ? 'TOPIC' : tags[statement.object]}`
}
async function dropNamed(
  parts: EngineParts,
  name: QualifiedName,
  statement: { object: Exclude<ObjectKind, 'topic'>; ifExists: boolean; cascade: boolean },
  text: string,
): Promise<void> {
  const found = findDefinition(parts, statement.object, name, text)
  if (found === null) {
    if (statement.ifExists) return
    throw new SqlFault(
      'sql.unknown-relation',
      `${statement.object} "${catalogName(name)}" does not exist`,
      text,
      name.at,
    )
  }
  if (found.kind !== statement.object && (found.kind !== 'plain-view' || statement.object !== 'view')) {
    throw new SqlFault('sql.wrong-kind', `"${found.name}" is a ${wordOf(found)}`, text, name.at, {
      hint: `Use DROP ${tags[found.kind]}.`,
    })
  }
  await dropAll(parts, found, { text, at: name.at, cascade: statement.cascade })
}
/** It and, if they may go too, all that read it. Throws SqlFault sql.dependent. */
export async function dropAll(
  parts: EngineParts,
  found: Definition,
  at: { readonly text: string; readonly at: number; readonly cascade: boolean },
): Promise<void> {
  const all = dependents(parts, found)
  demandDependents(parts.rights, found, all, at)
  await remove(parts, all)
}
function findDefinition(parts: EngineParts, kind: ObjectKind, name: QualifiedName, text: string): Definition | null {
  const all = parts.definitions.all().filter((definition) => (definition.kind === 'alert') === (kind === 'alert'))
  return pickShown(parts.rights, all, name, text)
}
/** Stops what runs, then forgets it; the changes of views go, the events of streams and tables stay in their topics. */
async function remove(parts: EngineParts, definitions: readonly Definition[]): Promise<void> {
  await parts.definitions.drop(definitions)
  await clear(parts, definitions)
}
/** What was dropped and, by a crash or a fault, not cleared away: else it would stand in the way of a new one of its name. */
export async function finishDrops(parts: EngineParts): Promise<void> {
  for (const { kind, name } of parts.definitions.dropped()) {
    // Another process may have done it meanwhile, and made a new one.
    const left = parts.definitions.dropped().filter((one) => one.kind === kind && one.name === name)
    await clear(parts, left)
  }
}
async function clear(parts: EngineParts, dropped: readonly Dropped[]): Promise<void> {
  for (const { name, kind } of dropped) {
    await parts.live.drop(name)
    if (kind === 'alert') await parts.runner.remove(alertViewName(name))
    if (kind === 'view') await clearView(parts, name)
  }
  await parts.definitions.forget(dropped)
}
async function dropTopic(parts: EngineParts, name: QualifiedName, ifExists: boolean, text: string): Promise<void> {
  const topics = (await parts.log.topics.list()).filter(
    (topic) => !topic.name.startsWith('_') || topic.name === catalogName(name),
  )
  const found = pickNamed(
    topics.filter((topic) => parts.rights.sees(topic.name)),
    name,
    text,
  )
  if (found === null) {
    parts.rights.missed(topics.find((topic) => matchesName(matcher(name), topic.name))?.name ?? null)
    if (ifExists) return
    throw new SqlFault('sql.unknown-relation', `topic "${catalogName(name)}" does not exist`, text, name.at)
  }
  if (isKept(found.name)) {
    throw new SqlFault('sql.dependent', `topic ${found.name} belongs to Millrace itself`, text, name.at)
  }
  parts.rights.demand('delete', found.name)
  const users = parts.definitions.all().filter((definition) => definition.topic?.name === found.name)
  if (users.length > 0) {
    // Who sees the topic sees what is defined on it.
    const names = users.map((user) => `${user.kind} ${user.name}`).join(', ')
    throw new SqlFault(
      'sql.dependent',
      `cannot drop topic "${found.name}" because other objects depend on it: ${names}`,
      text,
      name.at,
    )
  }
  await removeTopic(parts, found.name)
}

/** ALTER … PAUSE and RESUME. */
export async function alter(
  parts: EngineParts,
  statement: Extract<Statement, { kind: 'alter' }>,
  text: string,
): Promise<string> {
  const { object, name, action } = statement
  if (object === 'topic' || object === 'stream' || object === 'table') {
    throw new SqlFault('sql.wrong-kind', `a ${object} does not run: views and alerts can be paused`, text, name.at)
  }
  const found = findDefinition(parts, object, name, text)
  if (found === null)
    throw new SqlFault('sql.unknown-relation', `${object} "${catalogName(name)}" does not exist`, text, name.at)
  if (found.view === null)
    throw new SqlFault(
      'sql.wrong-kind',
      `"${found.name}" is a ${found.plain === null ? found.kind : 'plain view'}: only materialized views and alerts run`,
      text,
      name.at,
    )
  if (found.kind === 'alert') parts.rights.demandCluster('alter')
  else parts.rights.demand('alter', topicOf(found))
  await setPaused(parts, found, action === 'pause')
  return `ALTER ${tags[object]}`
}
export async function setPaused(parts: EngineParts, definition: Definition, paused: boolean): Promise<void> {
  const { view } = definition
  if (view === null) throw definition.fault ?? new Fault('flow.unknown-view', { view: definition.name })
  await parts.definitions.setPaused(definition, paused)
  await (paused ? parts.runner.pause(view.name) : parts.runner.resume(view.name))
}

/** What others have done to the catalogue is done here too; topics, state and positions are the affair of who did it. */
export async function follow(parts: EngineParts, onFault: (name: string, fault: Fault) => void): Promise<void> {
  const { gone, made, turned } = parts.definitions.follow()
  const each = async (definitions: readonly Definition[], act: (one: Definition) => Promise<void>): Promise<void> => {
    for (const one of definitions) await act(one).catch((error: unknown) => onFault(one.name, asFault(error)))
  }
  await each(gone, async ({ name, view }) => {
    await parts.live.drop(name)
    if (view !== null) await parts.runner.leave(view.name)
  })
  await each(turned, async ({ view, stored }) => {
    if (view !== null) await (stored?.paused === true ? parts.runner.pause(view.name) : parts.runner.resume(view.name))
  })
  if (made.length > 0) await beginAll(parts, [...made, ...parts.definitions.retry()], onFault)
}

/**
 * Topics of everything that is defined, then whatever runs, all at once: restoring a large state holds up nobody. What
 * cannot start is told and left.
 */
export async function beginAll(
  parts: EngineParts,
  definitions: readonly Definition[],
  onFault: (name: string, fault: Fault) => void,
): Promise<void> {
  const sound: Definition[] = []
  for (const definition of definitions) {
    const { name, fault } = definition
    if (fault !== null) onFault(name, fault)
    else
      await finishReplacing(parts, definition).then(
        (one) => sound.push(one),
        (error: unknown) => onFault(name, asFault(error)),
      )
  }
  for (const definition of sound) await ensureTopics(parts, definition)
  for (const definition of sound)
    void begin(parts, definition).catch((error: unknown) => onFault(definition.name, asFault(error)))
}
