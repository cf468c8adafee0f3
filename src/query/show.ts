/** SHOW, DESCRIBE, EXPLAIN: what is there, as rows. */
import { Fingerprints } from '../flow/fingerprint.ts'
import { functions } from '../flow/functions/index.ts'
import { type Columns, type DataType, typeName } from '../schema/types.ts'
import { withoutSecrets } from '../sql/alert.ts'
import { aggregateNames } from '../sql/bind/aggregates.ts'
import { SqlFault } from '../sql/fault.ts'
import { planConstant } from '../sql/plan/constant.ts'
import type { ViewPlan } from '../flow/plan.ts'
import { sourcesOf } from '../flow/plan-facts.ts'
import { explainPlan, explainView } from '../sql/plan/explain.ts'
import { matchesName, quoteIfNeeded } from '../sql/bind/scope.ts'
import { catalogName, matcher } from '../sql/plan/relation.ts'
import { planOnce } from '../sql/plan/view.ts'
import type { QualifiedName, Statement } from '../sql/syntax/ast.ts'
import type { Definition } from './definitions.ts'
import { type EngineParts, planContext, timeText } from './engine-parts.ts'
import type { RelationInfo, Rights, SavepointInfo } from './engine.ts'
import { alteredView } from './alter-view.ts'
import { changeLines, changeOf, goneBack } from './replace.ts'
import { listSavepoints } from './savepoints.ts'
import { isShown, pickShown, shownFault, shownSchema } from './rights.ts'

export interface Table {
  readonly columns: Columns
  readonly rows: readonly (readonly unknown[])[]
}
const field = (name: string, type: DataType = { kind: 'text' }): Columns[number] => ({ name, type, nullable: true })
const count: DataType = { kind: 'bigint' }

export async function show(parts: EngineParts, what: string, text: string, at: number): Promise<Table> {
  const { definitions, rights } = parts
  const of = (kind: Definition['kind']): Definition[] =>
    definitions
      .all()
      .filter((definition) => definition.kind === kind && isShown(rights, definition))
      .toSorted(byName)
  switch (what) {
    case 'streams':
      return {
        columns: [field('name'), field('topic'), field('key'), field('event_time')],
        rows: of('stream').map((d) => [d.name, d.topic?.name ?? null, d.keyColumns.join(', ') || null, eventTime(d)]),
      }
    case 'tables':
      return {
        columns: [field('name'), field('topic'), field('key')],
        rows: of('table').map((d) => [d.name, d.topic?.name ?? null, d.keyColumns.join(', ')]),
      }
    case 'views':
      return {
        columns: [
          field('name'),
          field('status'),
          field('key'),
          field('rows_in', count),
          field('rows_out', count),
          field('late', count),
          field('watermark'),
        ],
        rows: [
          ...of('view').map((d) => [d.name, ...viewCells(parts, d)]),
          // Nothing of them runs.
          ...of('plain-view').map((d) => [d.name, d.fault === null ? 'plain' : 'failed', null, null, null, null, null]),
        ].toSorted(([a], [b]) => (String(a) < String(b) ? -1 : 1)),
      }
    case 'alerts':
      rights.demandCluster('describe')
      return {
        columns: [field('name'), field('status'), field('notifies')],
        rows: of('alert').map((d) => [
          d.name,
          statusOf(parts, d),
          d.alert?.rule.destinations.map((one) => one.kind).join(', ') ?? null,
        ]),
      }
    case 'savepoints':
      return showSavepoints(parts)
    case 'topics':
      return showTopics(parts)
    case 'functions':
      return showFunctions(definitions)
    default:
      return setting(what, text, at)
  }
}
const byName = (a: { readonly name: string }, b: { readonly name: string }): number => (a.name < b.name ? -1 : 1)
function eventTime({ relation }: Definition): string | null {
  const source = relation?.source
  if (source === undefined) return null
  return source.time === null ? '_timestamp' : source.columns[source.time.column]!.name
}
export function statusOf({ runner }: EngineParts, { view, fault }: Definition): RelationInfo['status'] {
  if (fault !== null) return 'failed'
  return view === null ? 'running' : (runner.state(view.name)?.status ?? 'restoring')
}
function viewCells(parts: EngineParts, definition: Definition): unknown[] {
  const { view } = definition
  const state = view === null ? null : parts.runner.state(view.name)
  const key = view?.key?.map((i) => view.plan.columns[i]!.name).join(', ') ?? null
  return [
    statusOf(parts, definition),
    key,
    state?.stats.rowsIn ?? 0,
    state?.stats.rowsOut ?? 0,
    state?.stats.late ?? 0,
    state === null ? null : timeText(state.watermarkMs),
  ]
}
async function showTopics({ log, rights }: EngineParts): Promise<Table> {
  const all = (await log.topics.list()).filter(({ name }) => !name.startsWith('_') && rights.sees(name))
  const topics = all.toSorted(byName)
  return {
    columns: [
      field('name'),
      field('partitions', { kind: 'int' }),
      field('cleanup_policy'),
      field('retention_ms', count),
    ],
    rows: topics.map(({ name, partitions, config, defaults }) => {
      const retention = config['retention.ms'] ?? defaults?.['retention.ms'] ?? null
      return [name, partitions, config['cleanup.policy'] ?? 'delete', retention === null ? null : Number(retention)]
    }),
  }
}
async function showSavepoints(parts: EngineParts): Promise<Table> {
  const all = await listSavepoints(parts)
  const operatorText = ({ kind, label, rows }: SavepointInfo['operators'][number]): string =>
    `${kind} ${label}${rows === null ? '' : `: ${rows} rows`}`
  return {
    columns: [
      field('name'),
      field('view'),
      field('at', { kind: 'timestamptz' }),
      field('state_bytes', count),
      field('row_bytes', count),
      field('operators'),
    ],
    rows: all.map(({ name, view, at, stateBytes, rowBytes, operators }) => [
      name,
      view,
      at,
      stateBytes,
      rowBytes,
      operators.map(operatorText).join('; '),
    ]),
  }
}
function showFunctions({ functions: given }: EngineParts['definitions']): Table {
  const rows = functions.rows
    .filter((row) => row.name !== 'cast')
    .map((row) => {
      const args = row.args.map((kind) => (kind === 'double' ? 'double precision' : kind))
      const returns = typeof row.returns === 'function' ? 'by arguments' : typeName(row.returns)
      return [row.name, `${args.join(', ')}${row.variadic === true ? ' …' : ''}`, returns, row.about]
    })
  const ours = given.all.map(({ name, args, returns, user: { fn, version } }) => {
    const about = `${fn.about} (version ${version})`
    return [name, args.map(typeName).join(', '), typeName(returns), about]
  })
  const aggregates = aggregateNames.map((name) => [name, 'any', 'by arguments', 'Aggregate'])
  return {
    columns: [field('name'), field('arguments'), field('returns'), field('about')],
    rows: [...rows, ...aggregates, ...ours],
  }
}

const settings: Readonly<Record<string, string>> = {
  server_version: '16.0',
  server_version_num: '160000',
  server_encoding: 'UTF8',
  client_encoding: 'UTF8',
  timezone: 'UTC',
  time_zone: 'UTC',
  datestyle: 'ISO, MDY',
  standard_conforming_strings: 'on',
  transaction_isolation: 'read committed',
  transaction_isolation_level: 'read committed',
  max_identifier_length: '249',
  integer_datetimes: 'on',
}
function setting(name: string, text: string, at: number): Table {
  if (!Object.hasOwn(settings, name)) {
    throw new SqlFault('sql.unknown-parameter', `there is no setting "${name}"`, text, at, {
      hint: 'SHOW STREAMS, TABLES, VIEWS, ALERTS, TOPICS, SAVEPOINTS and FUNCTIONS list what is there; DESCRIBE name shows columns.',
    })
  }
  return { columns: [field(name)], rows: [[settings[name]]] }
}

/** The statement that makes it. */
export function showCreate(parts: EngineParts, name: QualifiedName, text: string): Table {
  const { stored, name: shown } = named(parts, name, text)
  parts.rights.demandCluster('describe')
  if (stored === null)
    throw new SqlFault(
      'sql.unsupported',
      `"${shown}" is defined by a program: there is no statement of it`,
      text,
      name.at,
      {
        hint: `DESCRIBE ${quoteIfNeeded(shown)} shows its columns.`,
      },
    )
  return { columns: [field('name'), field('sql')], rows: [[shown, withoutSecrets(stored.sql)]] }
}
/** Of one name there may be a relation and an alert: the relation is meant. Throws SqlFault. */
function named({ definitions, rights }: EngineParts, name: QualifiedName, text: string): Definition {
  const wanted = matcher(name)
  const all = definitions.all().filter((one) => matchesName(wanted, one.name) && isShown(rights, one))
  const relations = all.filter(({ kind }) => kind !== 'alert')
  const found = pickShown(rights, relations.length > 0 ? relations : definitions.all(), name, text)
  if (found === null) throw new SqlFault('sql.unknown-relation', `"${catalogName(name)}" does not exist`, text, name.at)
  return found
}
/** Columns of a relation; what an alert is. */
export function describe(parts: EngineParts, name: QualifiedName, text: string): Table {
  const { rights } = parts
  const found = named(parts, name, text)
  if (found.plain !== null)
    return {
      columns: describedColumns,
      rows: found.plain.fields.map((column) => [column.name, typeName(column.type), column.nullable, null]),
    }
  if (found.relation === null) return describeDefinition(rights, found)
  const { source, declared, key } = found.relation
  const rows = source.columns.slice(0, declared).map((column, i) => {
    const notes = [
      key?.includes(i) === true || found.keyColumns.includes(column.name) ? 'key' : null,
      source.time?.column === i
        ? `event time${source.watermark !== undefined ? ', rows say the watermark' : source.time.delayMs === 0 ? '' : `, ${source.time.delayMs} ms late at most`}`
        : null,
      source.fields[i]!.from === 'computed' ? 'generated' : null,
    ]
    return [
      column.name,
      typeName(column.type),
      column.nullable,
      notes.filter((note) => note !== null).join('; ') || null,
    ]
  })
  return { columns: describedColumns, rows }
}
const describedColumns = [field('column'), field('type'), field('nullable', { kind: 'boolean' }), field('note')]
function describeDefinition(rights: Rights, definition: Definition): Table {
  const { kind, name, alert, stored } = definition
  // The text of what cannot be planned may name what may not be seen.
  const sql = stored === null || !rights.seesCluster() ? null : withoutSecrets(stored.sql)
  const rows: [string, string | null][] = [
    ['kind', kind],
    ['name', name],
    ['sql', sql],
    ['every_ms', alert?.rule.everyMs === undefined || alert.rule.everyMs === null ? null : String(alert.rule.everyMs)],
    ['key', alert?.rule.key.join(', ') ?? null],
    ['error', shownFault(rights, definition)],
  ]
  return {
    columns: [field('property'), field('value')],
    rows: rows.filter(([, value]) => value !== null && value !== ''),
  }
}

/** null: it is no view that runs. */
export const explainedView = (parts: EngineParts, name: QualifiedName, text: string): ViewPlan | null =>
  named(parts, name, text).view

export async function explain(
  parts: EngineParts,
  statement: Extract<Statement, { kind: 'explain' }>,
  text: string,
  parameters: readonly unknown[],
): Promise<Table> {
  const view = statement.named === null ? null : explainedView(parts, statement.named, text)
  if (view !== null) {
    for (const { topic } of sourcesOf(view.plan)) parts.rights.demand('read', topic)
    return planTable([...explainView(view), `Plan ${new Fingerprints().ofResult(view.plan)}`])
  }
  return planTable(await explainLines(parts, statement.statement, text, parameters))
}
export const planTable = (lines: readonly string[]): Table => ({
  columns: [field('QUERY PLAN')],
  rows: lines.map((line) => [line]),
})
/** What OR REPLACE would do to what is there. */
async function explainChange(
  parts: EngineParts,
  statement: Statement,
  planned: Definition,
  text: string,
): Promise<string[]> {
  const known = parts.definitions.relation(planned.name)
  if (known === null && statement.kind === 'create-view' && statement.start?.from === 'savepoint')
    return changeLines(await goneBack(parts, planned.view!, { text, start: statement.start }))
  if (statement.kind !== 'create-view' || !statement.orReplace || known === null || !isShown(parts.rights, known))
    return []
  const [headline, ...more] = changeLines(await changeOf(parts, { known, planned, statement, text }))
  return [`Replaces view ${known.name}: ${headline}`, ...more]
}
/** What is done with the rows of a query in the end. */
export function explainArrangement({ rel, order, limit, offset }: ReturnType<typeof planOnce>): string[] {
  const sorts = order.map((key) => `${rel.plan.columns[key.column]!.name}${key.descending ? ' desc' : ''}`)
  return [
    ...(limit === null && offset === 0 ? [] : [`Limit ${limit ?? 'all'}${offset === 0 ? '' : ` after ${offset}`}`]),
    ...(order.length === 0 ? [] : [`Sort by ${sorts.join(', ')}`]),
  ]
}
async function explainLines(
  parts: EngineParts,
  statement: Statement,
  text: string,
  parameters: readonly unknown[],
): Promise<string[]> {
  const context = planContext(parts, text, parameters)
  switch (statement.kind) {
    case 'query':
    case 'subscribe': {
      const constant = planConstant(context, statement.query)
      if (constant !== null) return ['Constant rows']
      const planned = planOnce(context, statement.query)
      return [...explainArrangement(planned), ...explainPlan(planned.rel.plan)]
    }
    case 'create-view':
    case 'create-alert': {
      const planned = parts.definitions.plan(statement, text, shownSchema(parts.rights, parts.definitions))
      const { view } = planned
      return [
        ...explainView(view!),
        ...(await explainChange(parts, statement, planned, text)),
        `Plan ${new Fingerprints().ofResult(view!.plan)}`,
      ]
    }
    case 'alter-view': {
      const altered = alteredView(parts, statement, text)
      return explainLines(parts, altered.statement, altered.text, parameters)
    }
    default:
      throw new SqlFault('sql.unsupported', 'EXPLAIN takes a query, a view or an alert', text, statement.at)
  }
}
