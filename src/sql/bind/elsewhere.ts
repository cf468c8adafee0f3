/** Functions that other systems have, and what is written here for them. */

export const windowsInFrom =
  "Windows stand in FROM: SELECT window_start, count(*) AS c FROM TUMBLE(s, t, INTERVAL '1 minute') GROUP BY window_start, window_end."
const newest = 'Write SELECT DISTINCT ON (k) k, n FROM s ORDER BY k, t DESC.'
const json = "Write j ->> 'a', or j #>> '{a,b}' for a path."
const unnest =
  'There is no UNNEST yet: in TypeScript stream().flatMap(…) gives a row for each; j -> 0 and a[1] reach one element.'
const chance =
  'What is computed must give the same again: rows are withdrawn so. A function in TypeScript may be volatile: defineSqlFunction.'
const typed = 'DESCRIBE v says the types of columns, and an answer has them beside the names.'
const lists = 'It would keep every row. Write max(k), count(DISTINCT k), or read the rows with SELECT.'
const seconds = 'Write extract(epoch FROM t).'

export const functionsElsewhere: Readonly<Record<string, string>> = {
  tumble_start: windowsInFrom,
  tumble_end: windowsInFrom,
  hop_start: windowsInFrom,
  hop_end: windowsInFrom,
  session_start: windowsInFrom,
  session_end: windowsInFrom,
  window_start: windowsInFrom,
  latest_by_offset: newest,
  earliest_by_offset: 'Write SELECT DISTINCT ON (k) k, n FROM s ORDER BY k, t.',
  arg_max: 'Write SELECT DISTINCT ON (k) k, n FROM s ORDER BY k, n DESC.',
  max_by: 'Write SELECT DISTINCT ON (k) k, n FROM s ORDER BY k, n DESC.',
  arg_min: 'Write SELECT DISTINCT ON (k) k, n FROM s ORDER BY k, n.',
  min_by: 'Write SELECT DISTINCT ON (k) k, n FROM s ORDER BY k, n.',
  last: newest,
  first: 'Write SELECT DISTINCT ON (k) k, n FROM s ORDER BY k, t.',
  json_extract: json,
  json_extract_string: json,
  get_json_object: json,
  jsonextract: json,
  unnest,
  explode: unnest,
  jsonb_array_elements: unnest,
  json_array_elements: unnest,
  array_contains: "Write 'x' = ANY (a).",
  contains: "Write strpos(k, 'x') > 0, or 'x' = ANY (a) of an array.",
  collect_list: lists,
  collect_set: lists,
  group_concat: lists,
  listagg: lists,
  count_if: 'Write count(*) FILTER (WHERE n > 1).',
  countif: 'Write count(*) FILTER (WHERE n > 1).',
  ifnull: "Write coalesce(k, 'x').",
  nvl: "Write coalesce(k, 'x').",
  isnull: "Write k IS NULL, or coalesce(k, 'x').",
  if: "Write CASE WHEN n > 1 THEN 'a' ELSE 'b' END.",
  iff: "Write CASE WHEN n > 1 THEN 'a' ELSE 'b' END.",
  len: 'Write length(k).',
  getdate: 'Write now().',
  sysdate: 'Write now().',
  unix_timestamp: seconds,
  to_unixtime: seconds,
  to_epoch: seconds,
  from_unixtime: 'Write to_timestamp(n).',
  date_format: "Write to_char(t, 'YYYY-MM-DD HH24:MI').",
  format_date: "Write to_char(t, 'YYYY-MM-DD HH24:MI').",
  datediff: 'Write extract(epoch FROM t - t0) / 86400, or t - t0.',
  date_diff: 'Write extract(epoch FROM t - t0) / 86400, or t - t0.',
  timestampdiff: 'Write extract(epoch FROM t - t0).',
  dateadd: "Write t + INTERVAL '1 day'.",
  date_add: "Write t + INTERVAL '1 day'.",
  timestampadd: "Write t + INTERVAL '1 day'.",
  mz_now: 'Write now().',
  to_timestamp_ltz: 'Write to_timestamp(n / 1000.0), of milliseconds.',
  parse_json: 'Write k::jsonb.',
  jsonb_path_query: json,
  jsonb_path_query_first: json,
  gen_random_uuid: chance,
  uuid: chance,
  random: chance,
  rand: chance,
  typeof: typed,
  pg_typeof: typed,
  proctime: 'Write now(); beside a table in a join, FOR SYSTEM_TIME AS OF PROCTIME().',
  try_cast: "Write CASE WHEN k ~ '^[0-9]+$' THEN k::int END.",
  safe_cast: "Write CASE WHEN k ~ '^[0-9]+$' THEN k::int END.",
}
