/** DELETE FROM table: a record without a value for the key of each row that the condition holds for, all or nothing. */
import { keyText } from '../flow/encode-key.ts'
import { Fault } from '../lib/fault.ts'
import type { RecordInput } from '../log/batch.ts'
import { SqlFault } from '../sql/fault.ts'
import type { PlanContext } from '../sql/plan/context.ts'
import type { Name, Query, SelectItem, Statement } from '../sql/syntax/ast.ts'
import type { Definition } from './definitions.ts'
import { append, type InsertHost } from './insert.ts'
import { planSelection } from './select.ts'

/** Count of rows, durable. Throws SqlFault, and what the condition throws. */
export async function deleteRows(
  ctx: PlanContext,
  statement: Extract<Statement, { kind: 'delete' }>,
  { name, relation, keyColumns }: Definition,
  host: InsertHost,
  signal?: AbortSignal,
): Promise<number> {
  const { at } = statement.from
  if (relation === null || relation.kind !== 'table')
    throw new SqlFault('sql.wrong-kind', `"${name}" is no table: only rows of tables are deleted`, ctx.text, at, {
      hint:
        relation?.kind === 'stream'
          ? "Events of a stream stay until retention takes them: WITH ('retention.ms' = 86400000)."
          : 'Delete from the table that the view reads.',
    })
  const { topic, columns, envelope } = relation.source
  if (envelope !== undefined)
    throw new SqlFault('sql.unsupported', `"${name}" holds change events of a database`, ctx.text, at, {
      hint: 'Delete the rows there.',
    })
  host.rights.demand('write', topic)
  const view = host.writerOf(topic)
  if (view !== null) throw new Fault('log.topic-kept', { topic, why: `it holds the changes of the view ${view}` })
  host.usage?.mayWrite()
  const selection = planSelection(ctx, keysOf(statement, keyColumns), host)
  for (const read of selection.topics) host.rights.demand('read', read)
  const text = keyText(keyColumns.map((key) => columns.find((field) => field.name === key)!))
  const records: RecordInput[] = []
  let bytes = 0
  for await (const row of selection.rows(signal)) {
    const key = Buffer.from(text(row))
    const fault = host.check(topic, { key, value: null })
    if (fault !== null) throw fault
    bytes += key.length
    records.push({ key, value: null, timeMs: host.clock.now() })
  }
  await append(new Map([[topic, records]]), host)
  host.usage?.wrote(bytes)
  return records.length
}
/** The keys of the rows. */
function keysOf(
  { from, where, at, end }: Extract<Statement, { kind: 'delete' }>,
  keyColumns: readonly string[],
): Query {
  const span = { at, end }
  const items = keyColumns.map((text): SelectItem => {
    const name: Name = { text, quoted: true, ...span }
    return { expr: { kind: 'name', parts: [name], ...span }, alias: null, ...span }
  })
  return {
    kind: 'query',
    with: [],
    recursive: false,
    body: {
      kind: 'select',
      distinct: false,
      items,
      from: [{ kind: 'table', name: from, alias: null, asOf: null, at: from.at, end: from.end }],
      where,
      groupBy: [],
      groupDistinct: false,
      having: null,
      windows: [],
      ...span,
    },
    orderBy: [],
    limit: null,
    offset: null,
    ties: false,
    locking: null,
    emit: null,
    ...span,
  }
}
