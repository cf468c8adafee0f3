/** What other systems write where this grammar ends, and how it is said here: hints, by the words around the place of a fault. */
import type { Token } from './lexer.ts'

/** The token that does not fit, and those before it, the nearest first. */
type Near = readonly (Pick<Token, 'word' | 'text' | 'kind'> | undefined)[]

/** Statements of others, by their first word. */
const statements: Readonly<Record<string, string>> = {
  pause: 'Write ALTER MATERIALIZED VIEW v PAUSE.',
  resume: 'Write ALTER MATERIALIZED VIEW v RESUME.',
  terminate: 'Write DROP MATERIALIZED VIEW v.',
  list: 'Write SHOW STREAMS, SHOW TABLES or SHOW VIEWS.',
  print: 'Write SELECT * FROM s, or SUBSCRIBE TO s for what is still to come.',
  tail: 'Write SUBSCRIBE TO s; on the command line: millrace tail s.',
  use: 'There is one database, and a name is said in full: SELECT * FROM s.',
}
/** Words behind which, or at which, another grammar goes on. */
const clauses: Readonly<Record<string, string>> = {
  qualify:
    'Write SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY k ORDER BY t) AS r FROM s) AS q WHERE r = 1.',
  top: 'Write SELECT k FROM s LIMIT 5.',
  exclude: 'Name the columns that you want: SELECT k, n FROM s.',
  except: 'Name the columns that you want: SELECT k, n FROM s.',
  sample: "Write WHERE md5(k) < '1a', for a tenth of the keys, or LIMIT.",
  extended: 'Write DESCRIBE v; EXPLAIN ANALYZE v says what went through a view.',
  tumbling: windows(`TUMBLE(s, t, INTERVAL '1 minute')`),
  hopping: windows(`HOP(s, t, INTERVAL '10 seconds', INTERVAL '1 minute')`),
  session: `Windows stand in FROM: SELECT window_start, k, count(*) AS c FROM SESSION(s, t, INTERVAL '1 minute', k) GROUP BY window_start, window_end, k.`,
  map: "Objects of any names are jsonb: m jsonb, read by m ->> 'name'.",
  array: 'An array of texts is text[].',
}
function windows(from: string): string {
  return `Windows stand in FROM: SELECT window_start, k, count(*) AS c FROM ${from} GROUP BY window_start, window_end, k.`
}
const emits: Readonly<Record<string, string>> = {
  changes:
    'Leave it out: a MATERIALIZED VIEW gives every change anyway; of a query of now SUBSCRIBE gives them: SUBSCRIBE SELECT k, n FROM s.',
  final: 'Write EMIT ON WINDOW CLOSE, of a view over windows.',
}

/** Of the first word of a statement. */
export const hintOfStatement = (word: string): string | undefined =>
  Object.hasOwn(statements, word) ? statements[word] : undefined
/** undefined: nothing that we know of. */
export function hintElsewhere([here, ...before]: Near): string | undefined {
  if (here === undefined) return undefined
  const { word } = here
  const [one, two, three] = before
  if (one?.kind === 'operator' && one.text.endsWith('?'))
    return 'Parameters are written $1, $2 …: SELECT k FROM s WHERE k = $1.'
  if (word === 'key' && one?.kind === 'word' && one.word !== 'primary')
    return "Write CREATE STREAM keyed (k text, n int) WITH (key = 'k')."
  if (word === 'all' && one?.word === 'by')
    return 'Name the columns, or their places in the list: GROUP BY 1, ORDER BY 1.'
  if (one?.word === 'all' && two?.word === 'by') return 'Name the columns, or their places in the list: GROUP BY 1.'
  if (word === 'by' && two?.word === 'limit')
    return 'Write SELECT * FROM (SELECT *, row_number() OVER (PARTITION BY k ORDER BY t) AS r FROM s) AS q WHERE r <= 5.'
  if (word === 'as' && (three?.word === 'try_cast' || three?.word === 'safe_cast'))
    return `Write CASE WHEN k ~ '^[0-9]+$' THEN k::int END.`
  for (const near of [here, one, two])
    if (near !== undefined && near.kind === 'word' && Object.hasOwn(clauses, near.word)) return clauses[near.word]
  return undefined
}
/** Behind EMIT. */
export const hintOfEmit = (word: string): string | undefined => (Object.hasOwn(emits, word) ? emits[word] : undefined)

/** Forms of the standard. */
export const formHints: Readonly<Record<string, string>> = {
  json_value: "Write j ->> 'a', or j #>> '{a,b}' for a path.",
  json_query: "Write j -> 'a', or j #> '{a,b}' for a path.",
  json_exists: "Write j ? 'a'.",
  json_object: "Write jsonb_build_object('a', n).",
  json_array: 'Write jsonb_build_array(n, k).',
}
/** Options that other systems have. */
export const optionHints: Readonly<Record<string, string>> = {
  kafka_topic: "Write topic = 'q'.",
  value_format: "Write format = 'json'.",
  'debezium-json.schema-include': 'Leave it out: whether a schema is around an event is seen by itself.',
  connector: "There are none: WITH (topic = 'q') names the topic.",
  timestamp: "Write WATERMARK FOR t AS t - INTERVAL '5 seconds' among the columns.",
  'scan.watermark.alignment.group': "Write watermark_alignment_group = 'g', watermark_alignment_max_drift = '1m'.",
  'scan.watermark.alignment.max-drift': "Write watermark_alignment_group = 'g', watermark_alignment_max_drift = '1m'.",
  'scan.watermark.idle-timeout': "A view says it: CREATE MATERIALIZED VIEW … WITH (idle = '30s').",
  'scan.startup.mode': 'A view says where it begins: … START FROM NOW.',
  'properties.bootstrap.servers':
    'Where the log is stands in the configuration: millrace serve --log kafka://HOST:PORT.',
}
/** Objects that are not created here. */
export const objectHints: Readonly<Record<string, string>> = {
  source: "A stream reads a topic, which anybody may write: CREATE STREAM src (a int) WITH (topic = 'src').",
  sink: 'The changes of a view are the topic of its name, for every Kafka client: CREATE MATERIALIZED VIEW snk AS SELECT k FROM s. An ALERT calls a webhook.',
  connector: "A stream reads a topic, which anybody may write: CREATE STREAM src (a int) WITH (topic = 'src').",
  function: 'Functions are TypeScript: defineSqlFunction, in a file of the project; docs/sql.md says how.',
  type: 'Write the type where it is used: c STRUCT<x int, y text>.',
  index:
    'None is needed: a view by key is found by its key. CREATE MATERIALIZED VIEW byk AS SELECT k, count(*) AS c FROM s GROUP BY k.',
  database: 'There is one database. Topics are kept apart by their names.',
  schema: 'A name may have a schema without that: CREATE STREAM shop.s (a int).',
  user: 'Users are made on the command line: millrace user create.',
  role: 'Users are made on the command line: millrace user create.',
}
/** ALTER of a view. */
export const alterHints: Readonly<Record<string, string>> = {
  suspend: 'Write ALTER MATERIALIZED VIEW v PAUSE.',
  rename: 'A view keeps its name: make it again under the other one, and drop this one.',
  set: 'Write CREATE OR REPLACE MATERIALIZED VIEW v WITH (parallelism = 2) AS SELECT k, count(*) AS c FROM s GROUP BY k: where the query is the same, state and rows stay.',
  refresh: 'A MATERIALIZED VIEW is always kept up to date; FLUSH waits until it has taken in all that is there.',
}
/** Statements that PostgreSQL has. */
export const statementHints: Readonly<Record<string, string>> = {
  update: "A row of a table replaces the one with the same key: INSERT INTO items VALUES ('a', 'new', 2).",
  truncate: 'DROP TABLE items, and its topic: DROP TOPIC items.',
  begin: 'One INSERT is all or nothing, also of many rows.',
  start: 'One INSERT is all or nothing, also of many rows.',
  commit: 'One INSERT is all or nothing, also of many rows.',
  set: 'What a view may be told stands with it, in WITH (…).',
  copy: 'INSERT takes many rows; millrace produce TOPIC reads lines of JSON.',
  grant: 'Rights are given with a user: millrace user alter.',
  refresh: 'A MATERIALIZED VIEW is always kept up to date; FLUSH waits until it has taken in all that is there.',
}
