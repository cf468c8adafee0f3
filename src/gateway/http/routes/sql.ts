/** POST /v1/sql: rows as JSON or lines; SUBSCRIBE as live events. */
import { Fault } from '../../../lib/fault.ts'
import { limits } from '../../../lib/limits.ts'
import { parseJson } from '../../../schema/json-text.ts'
import { typeName } from '../../../schema/types.ts'
import { byContent } from '../access.ts'
import { type Answer, type Exchange, type LiveEvent, mediaType, mediaTypes, negotiate } from '../exchange.ts'
import { liveAnswer } from '../live.ts'
import type { Parts } from '../parts.ts'
import type { Route } from '../route.ts'
import { schemas } from '../schemas.ts'
import { changeEvents, resultAnswer } from './views.ts'

export function sqlRoute(parts: Parts): Route {
  return {
    method: 'POST',
    path: '/v1/sql',
    id: 'runSql',
    access: byContent,
    says: 'Runs one or more statements and answers for the last one.',
    takes: {
      [mediaTypes.json]: schemas.Query,
      'application/sql': { type: 'string' },
      'text/plain': { type: 'string' },
    },
    gives: {
      200: {
        says: 'Columns and rows; as lines first the columns, then a row each; as events `columns`, then `change`.',
        as: { [mediaTypes.json]: schemas.QueryAnswer, [mediaTypes.ndjson]: {}, [mediaTypes.sse]: schemas.Change },
      },
    },
    handle: (exchange) => run(parts, exchange),
  }
}

async function run({ engine }: Parts, exchange: Exchange): Promise<Answer> {
  const { signal, rights, usage } = exchange
  const type = negotiate(exchange.headers['accept'], [mediaTypes.json, mediaTypes.ndjson, mediaTypes.sse])
  const { sql, params } = await readQuery(exchange)
  if (type !== mediaTypes.sse) return resultAnswer(await engine.run(sql, { params, signal, rights, usage }), type)
  const { columns, changes } = await engine.subscribe(sql, { params, signal, rights, usage })
  const named = columns.map(({ name, type: of }) => ({ name, type: typeName(of) }))
  return liveAnswer(opened(JSON.stringify(named), changeEvents(changes)))
}
async function* opened(columns: string, changes: AsyncIterable<LiveEvent>): AsyncIterable<LiveEvent> {
  yield { event: 'columns', json: columns }
  yield* changes
}

const wrong = (field: string, why: string): Fault => new Fault('http.invalid-body', { field, why })
async function readQuery({ body, headers }: Exchange): Promise<{ sql: string; params: readonly unknown[] }> {
  // As JSON, every character of the text may take six bytes.
  const bytes = await body.whole(limits.sqlBytes * 6)
  const type = mediaType(headers['content-type'])
  if (type === 'application/sql' || type === 'text/plain') return { sql: checked(bytes.toString('utf8')), params: [] }
  const value = parseJson(bytes)
  if (typeof value !== 'object' || value === null || Array.isArray(value))
    throw wrong('', 'is not an object with the field sql')
  const { sql, params = [], ...rest } = value as Readonly<Record<string, unknown>>
  for (const name of Object.keys(rest)) throw wrong(name, 'is not a field of a query; it has sql and params')
  if (typeof sql !== 'string') throw wrong('sql', sql === undefined ? 'is missing' : 'is not text')
  if (!Array.isArray(params)) throw wrong('params', 'is not an array')
  return { sql: checked(sql), params }
}
function checked(sql: string): string {
  const bytes = Buffer.byteLength(sql)
  if (bytes > limits.sqlBytes)
    throw new Fault('wire.too-large', { what: 'the SQL text', bytes, bytesMax: limits.sqlBytes })
  return sql
}
