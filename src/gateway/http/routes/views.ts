/** Views, streams and tables: what they are, their rows, their changes, their dataflow. */
import { Fault } from '../../../lib/fault.ts'
import { limits } from '../../../lib/limits.ts'
import type { Change, Diagnosis, Graph, RelationInfo, Result } from '../../../query/engine.ts'
import { parseJson, stringifyJson } from '../../../schema/json-text.ts'
import { clusterName } from '../../../security/grants.ts'
import { typeName } from '../../../schema/types.ts'
import { byContent, onView, open } from '../access.ts'
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
      handle: ({ sees }) =>
        jsonAnswer(
          engine
            .views()
            .filter(({ topic }) => sees('describe', 'topic', topic))
            .map((info) => shown(parts, info, sees)),
        ),
    },
    {
      method: 'GET',
      path: '/v1/views/{view}',
      id: 'getView',
      access: onView('describe'),
      says: 'One stream, table or view.',
      gives: json('What it is and how it does.', schemas.Relation),
      handle: ({ params, sees }) => jsonAnswer(shown(parts, relation(parts, params['view']!), sees)),
    },
    {
      method: 'DELETE',
      path: '/v1/views/{view}',
      id: 'dropView',
      access: byContent,
      says: 'Drops it; the topic of a stream or table stays.',
      gives: { 204: { says: 'Dropped.' } },
      handle: async ({ params, rights }) => {
        const wanted = params['view']!
        const found = engine.relation(wanted)
        if (found === null || !rights.sees(found.topic)) {
          rights.missed(found?.topic ?? null)
          throw unknown(wanted)
        }
        await engine.drop(found.kind, found.name, rights)
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
      handle: async ({ params, headers, signal, rights, usage }) => {
        negotiate(headers['accept'], [mediaTypes.sse])
        const { name } = relation(parts, params['view']!)
        const { changes } = await engine.subscribe(quoted(name), { signal, rights, usage })
        return liveAnswer(changeEvents(changes))
      },
    },
    {
      method: 'GET',
      path: '/v1/views/{view}/doctor',
      id: 'examineView',
      access: onView('describe'),
      says: 'Why a view gives nothing, or not what was expected: causes, the likeliest first. Values of events are told to those who may read all that the view reads.',
      gives: json('The causes; none where none is known.', listOf(schemas.Diagnosis)),
      handle: async ({ params, sees }) => {
        const { name } = relation(parts, params['view']!)
        const found = await engine.doctor(name, { samples: readsSources(parts, name, sees) })
        return jsonAnswer(seesSources(parts, name, sees) ? found : found.map(({ code }) => hidden(code)))
      },
    },
    {
      method: 'GET',
      path: '/v1/views/{view}/graph',
      id: 'getGraph',
      access: onView('describe'),
      says: 'The dataflow with what runs through its edges.',
      gives: json('Nodes and edges.', schemas.Graph),
      handle: async ({ params, sees }) => {
        const { name } = relation(parts, params['view']!)
        const graph = await engine.graph(name)
        return jsonAnswer(seesSources(parts, name, sees) ? graph : withoutSources(graph))
      },
    },
  ]
}

function relation({ engine }: Parts, name: string): RelationInfo {
  const found = engine.relation(name)
  if (found === null) throw unknown(name)
  return found
}
const unknown = (name: string): Fault =>
  new Fault('http.no-such', { what: 'stream, table or view', name: name.slice(0, 300) })

const seesSources = ({ engine }: Parts, name: string, sees: Exchange['sees']): boolean =>
  engine.sources(name)?.every((topic) => sees('describe', 'topic', topic)) ?? sees('describe', 'cluster', clusterName)
const readsSources = ({ engine }: Parts, name: string, sees: Exchange['sees']): boolean =>
  engine.sources(name)?.every((topic) => sees('read', 'topic', topic)) ?? sees('describe', 'cluster', clusterName)
/** Words of a cause name what is read: of the kind of cause alone, those who may not see that are told. */
const hidden = (code: string): Diagnosis => ({
  code,
  sure: 'likely',
  node: null,
  says: 'The cause is for those who may see all that the view reads.',
  evidence: [],
  remedy: 'Ask for the right to describe the topics that it reads.',
})
const withoutSources = (graph: Graph): Graph => ({
  ...graph,
  nodes: graph.nodes.map((node) => (node.kind === 'source' ? { ...node, label: 'a source' } : node)),
  heldBackBy: null,
})
/** The text of a view, and why it fails, name what it reads: not to those who may not know that it is there. */
function shown(parts: Parts, info: RelationInfo, sees: Exchange['sees']): RelationInfo {
  if (seesSources(parts, info.name, sees)) return info
  const message = 'why is for those who may see all that it reads'
  const { error, restarts } = info
  return {
    ...info,
    sql: null,
    error: error === null ? null : { ...error, message },
    ...(restarts === undefined ? {} : { restarts: { ...restarts, lastFault: { ...restarts.lastFault, message } } }),
  }
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
    if (rows.length === limits.httpRecords)
      throw new Fault('query.answer-too-large', { what: `${limits.httpRecords} rows` })
    if (bytes > answerBytes) throw new Fault('query.answer-too-large', { what: `${answerBytes / 1024 ** 2} MiB` })
    rows.push(text)
  }
  const head = `{"command":${JSON.stringify(result.command)},"columns":${JSON.stringify(columns)},"rows":[`
  const { notices = [] } = result
  const tail = notices.length === 0 ? '' : `,"notices":${JSON.stringify(notices)}`
  return { status: 200, headers: { 'content-type': mediaTypes.json }, body: `${head}${rows.join(',')}]${tail}}` }
}
/** First what the columns are, then a row a line, then what else is to be said. */
async function* resultLines(result: Result, columns: QueryAnswer['columns']): AsyncIterable<unknown> {
  yield { command: result.command, columns }
  yield* result.rows
  const { notices = [] } = result
  if (notices.length > 0) yield { notices }
}

export async function* changeEvents(changes: AsyncIterable<Change>): AsyncIterable<LiveEvent> {
  for await (const change of changes) yield { event: 'change', json: stringifyJson(change) }
}
