/** Views, streams and tables: what they are, their rows, their changes, their dataflow. */
import { Fault } from '../../../lib/fault.ts'
import { limits } from '../../../lib/limits.ts'
import type { Change, RelationInfo, Result } from '../../../query/engine.ts'
import { parseJson, stringifyJson } from '../../../schema/json-text.ts'
import { typeName } from '../../../schema/types.ts'
import { onCluster, onView, open } from '../access.ts'
import type { QueryAnswer } from '../api.ts'
import { jsonAnswer, linesAnswer } from '../answers.ts'
import { type Answer, type Exchange, type LiveEvent, mediaTypes, negotiate } from '../exchange.ts'
import { liveAnswer } from '../live.ts'
import { invalid, wholeNumber } from '../parameters.ts'
import type { Parts } from '../parts.ts'
import type { JsonSchema, Route } from '../route.ts'
import { listOf, schemas } from '../schemas.ts'

const json = (says: string, schema: JsonSchema): Route['gives'] => ({
  200: { says, as: { [mediaTypes.json]: schema } },
})

export function viewRoutes(parts: Parts): readonly Route[] {
  const { engine } = parts
  return [
    {
      method: 'GET',
      path: '/v1/views',
      id: 'listViews',
      access: open,
      says: 'Streams, tables and views.',
      gives: json('All of them.', listOf(schemas.Relation)),
      handle: ({ sees }) => jsonAnswer(engine.views().filter(({ topic }) => sees('describe', 'topic', topic))),
    },
    {
      method: 'GET',
      path: '/v1/views/{view}',
      id: 'getView',
      access: onView('describe'),
      says: 'One stream, table or view.',
      gives: json('What it is and how it does.', schemas.Relation),
      handle: ({ params }) => jsonAnswer(relation(parts, params['view']!)),
    },
    {
      method: 'DELETE',
      path: '/v1/views/{view}',
      id: 'dropView',
      access: onCluster('alter'),
      says: 'Drops it; the topic of a stream or table stays.',
      gives: { 204: { says: 'Dropped.' } },
      handle: async ({ params }) => {
        const { kind, name } = relation(parts, params['view']!)
        await engine.drop(kind, name)
        return { status: 204, body: null }
      },
    },
    {
      method: 'GET',
      path: '/v1/views/{view}/rows',
      id: 'readRows',
      access: onView('read'),
      says: 'Rows as of the last committed tick.',
      query: {
        key: { says: 'JSON array of the key columns (or one value): only that row.', schema: { type: 'string' } },
        limit: { says: 'Rows at most; 1000 unless given.', schema: { type: 'integer', minimum: 0 } },
      },
      gives: {
        200: { says: 'The rows.', as: { [mediaTypes.json]: schemas.QueryAnswer, [mediaTypes.ndjson]: {} } },
      },
      handle: (exchange) => rows(parts, exchange),
    },
    {
      method: 'GET',
      path: '/v1/views/{view}/changes',
      id: 'watchView',
      access: onView('read'),
      says: 'The rows there are, a progress mark, then changes as they are committed.',
      gives: { 200: { says: 'Events `change`.', as: { [mediaTypes.sse]: schemas.Change } } },
      handle: async ({ params, headers, signal }) => {
        negotiate(headers['accept'], [mediaTypes.sse])
        const { name } = relation(parts, params['view']!)
        const { changes } = await engine.subscribe(quoted(name), { signal })
        return liveAnswer(changeEvents(changes))
      },
    },
    {
      method: 'GET',
      path: '/v1/views/{view}/graph',
      id: 'getGraph',
      access: onView('describe'),
      says: 'The dataflow with what runs through its edges.',
      gives: json('Nodes and edges.', schemas.Graph),
      handle: ({ params }) => jsonAnswer(engine.graph(relation(parts, params['view']!).name)),
    },
  ]
}

function relation({ engine }: Parts, name: string): RelationInfo {
  const found = engine.relation(name)
  if (found === null) throw new Fault('http.no-such', { what: 'stream, table or view', name: name.slice(0, 300) })
  return found
}
/** As an identifier that matches exactly. */
const quoted = (name: string): string =>
  name
    .split('.')
    .map((part) => `"${part.replaceAll('"', '""')}"`)
    .join('.')

async function rows(parts: Parts, { params, query, headers }: Exchange): Promise<Answer> {
  const type = negotiate(headers['accept'], [mediaTypes.json, mediaTypes.ndjson])
  const { name } = relation(parts, params['view']!)
  const key = query.get('key')
  const limit = wholeNumber('limit', query.get('limit') ?? '1000', { min: 0, max: limits.httpRecords })
  const result = await parts.engine.rows(name, { limit, ...(key === null ? {} : { key: readKey(key) }) })
  return resultAnswer(result, type)
}
/** `["a",1]`, or one value: JSON, else the text itself. */
function readKey(text: string): readonly unknown[] {
  if (text.length > 100_000) throw invalid('key', text, 'it is too long')
  try {
    const value = parseJson(Buffer.from(text))
    return Array.isArray(value) ? value : [value]
  } catch {
    return [text]
  }
}

/** Rows and text that one answer holds; more comes as lines. */
const answerBytes = 64 * 1024 * 1024
export async function resultAnswer(result: Result, type: string): Promise<Answer> {
  const columns: QueryAnswer['columns'] = result.columns.map(({ name, type: of }) => ({ name, type: typeName(of) }))
  if (type === mediaTypes.ndjson) return linesAnswer(resultLines(result, columns))
  const rows: string[] = []
  let bytes = 0
  for await (const row of result.rows) {
    const text = stringifyJson(row)
    bytes += text.length
    if (rows.length === limits.httpRecords || bytes > answerBytes)
      throw new Fault('wire.too-large', { what: 'the result', bytes, bytesMax: answerBytes })
    rows.push(text)
  }
  const head = `{"command":${JSON.stringify(result.command)},"columns":${JSON.stringify(columns)},"rows":[`
  return { status: 200, headers: { 'content-type': mediaTypes.json }, body: `${head}${rows.join(',')}]}` }
}
/** First what the columns are, then a row a line. */
async function* resultLines({ command, rows }: Result, columns: QueryAnswer['columns']): AsyncIterable<unknown> {
  yield { command, columns }
  yield* rows
}

export async function* changeEvents(changes: AsyncIterable<Change>): AsyncIterable<LiveEvent> {
  for await (const change of changes) yield { event: 'change', json: stringifyJson(change) }
}
