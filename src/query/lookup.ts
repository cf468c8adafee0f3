/** Rows of one relation without SQL: by key, or all up to a limit; of what only grows, the newest. */
import type { Value } from '../flow/expression.ts'
import { fromJs, jsonWriter } from '../flow/json-value.ts'
import { Fault } from '../lib/fault.ts'
import type { Columns } from '../schema/types.ts'
import type { Definition } from './definitions.ts'
import type { EngineParts } from './engine-parts.ts'
import type { Result } from './engine.ts'
import { execute, type Row } from './execute.ts'
import { jsonRows } from './select.ts'
import { readNewest } from './newest.ts'

const limitDefault = 1_000

export async function lookupRows(
  parts: EngineParts,
  { relation, name, plain }: Definition,
  options: { readonly key?: readonly unknown[]; readonly limit?: number },
): Promise<Result> {
  if (plain !== null)
    throw new Fault('value.invalid-argument', {
      what: `${name} is a plain view, which keeps no rows: ask for them in SQL`,
    })
  if (relation === null) throw new Fault('flow.unknown-view', { view: name })
  const { source, declared, key } = relation
  const columns = source.columns.slice(0, declared)
  const limit = options.limit ?? limitDefault
  const live = parts.live.of(relation)
  if (options.key !== undefined) {
    if (key === null || key.length !== options.key.length) {
      throw new Fault('value.invalid-argument', {
        what: key === null ? `${name} has no key` : `the key of ${name} has ${key.length} columns`,
      })
    }
    const values = key.map((position, i) => fromJs(columns[position]!.type)(options.key![i]))
    if (live !== null) {
      await live.current()
      const row = source.mode === 'upsert' ? live.find(values) : null
      return answer(columns, row === null ? [] : [row])
    }
    return answer(columns, await scanFor(parts, relation, key, options.key, limit))
  }
  if (live === null)
    return answer(
      columns,
      await readNewest(
        parts.log,
        { ...source, columns, fields: source.fields.slice(0, declared) },
        limit,
        parts.world.clock,
      ),
    )
  await live.current()
  return answer(columns, take(live.rows(), limit))
}
const answer = (columns: Columns, rows: readonly Row[]): Result => ({
  command: 'SELECT',
  columns,
  rows: jsonRows(each(rows), columns),
})
async function* each(rows: readonly Row[]): AsyncGenerator<Row> {
  yield* rows
}
function take(rows: Iterable<Row>, limit: number): Row[] {
  const out: Row[] = []
  for (const row of rows) {
    if (out.length >= limit) break
    out.push(row)
  }
  return out
}
/** A view that only grows and has a key: read from its start. */
async function scanFor(
  parts: EngineParts,
  relation: NonNullable<Definition['relation']>,
  key: readonly number[],
  wanted: readonly unknown[],
  limit: number,
): Promise<Row[]> {
  const { source, declared } = relation
  const columns = source.columns.slice(0, declared)
  const writers = columns.map((column) => jsonWriter(column.type))
  const write = (position: number, value: Value): string => writers[position]!(value)
  const texts = key.map((position, i) => write(position, fromJs(columns[position]!.type)(wanted[i])))
  const rows = execute(
    { ...source, columns, fields: source.fields.slice(0, declared) },
    { log: parts.log, clock: parts.world.clock, known: () => Promise.resolve(null) },
  )
  const found: Row[] = []
  for await (const row of rows) {
    if (!key.every((position, i) => write(position, row[position]!) === texts[i])) continue
    found.push(row)
    if (found.length >= limit) break
  }
  return found
}
