/**
 * The Nexmark queries over a file of events, one JSON object a line, on one embedded Millrace:
 *
 *   npm run nexmark -- EVENTS.ndjson [--queries q5,q7] [--write DIR]
 *
 * Each query is a view over the topic; when it has caught up, its rows are printed as rows and SHA-256, one line of JSON for
 * all: `{"q0":{"rows":…,"sha256":…}}`. A row is a JSON object with the benchmark's columns, times as in the input, numerics
 * as text; lines are sorted as bytes. `--write` writes them to DIR/qN.ndjson too.
 */
import { createHash } from 'node:crypto'
import { createReadStream, mkdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { parseArgs } from 'node:util'
import { realWorld } from '../../src/lib/real/world.ts'
import { encodeBatch } from '../../src/log/batch.ts'
import { environmentSettings, protocols, resolveConfig } from '../../src/node/config.ts'
import { silent } from '../../src/lib/logger.ts'
import { type Running, startMillrace } from '../../src/node/millrace.ts'
import { definitions, queries, sideRows } from './queries.ts'

export interface QueryResult {
  readonly rows: number
  readonly sha256: string
}
export interface NexmarkRun {
  readonly only?: readonly string[]
  /** Told of each query's lines, sorted. */
  readonly rows?: (query: string, lines: readonly string[]) => void
}
const batchRecords = 1_000

/** Feeds the lines and answers the queries. Throws the Fault of a view that ended. */
export async function runNexmark(
  lines: AsyncIterable<string> | Iterable<string>,
  { only = Object.keys(queries), rows = () => {} }: NexmarkRun = {},
): Promise<Record<string, QueryResult>> {
  const { config } = resolveConfig(
    { data: ':memory:', listen: protocols.map((protocol) => `${protocol}=off`) },
    environmentSettings({}),
    {},
  )
  const running = await startMillrace({
    config,
    world: realWorld(),
    logger: silent,
    definitions: { sql: [], definitions: [] },
  })
  try {
    await running.engine.run(definitions)
    await fillSideTable(running)
    await feed(running, lines)
    const results: Record<string, QueryResult> = {}
    for (const query of only) {
      await running.engine.run(
        `CREATE MATERIALIZED VIEW ${query} WITH (allow_unbounded_state = true) AS ${queries[query]!}; FLUSH`,
      )
      const shown = await rowsOf(running, query)
      await running.engine.run(`DROP MATERIALIZED VIEW ${query}`)
      rows(query, shown)
      const text = shown.map((line) => `${line}\n`).join('')
      results[query] = { rows: shown.length, sha256: createHash('sha256').update(text).digest('hex') }
    }
    return results
  } finally {
    await running.close()
  }
}
async function fillSideTable(running: Running): Promise<void> {
  for (let from = 0; from < sideRows; from += batchRecords) {
    const values = Array.from({ length: batchRecords }, (_, i) => `(${from + i}, '${from + i}')`)
    await running.engine.run(`INSERT INTO side_input VALUES ${values.join(', ')}`)
  }
}
async function feed(running: Running, lines: AsyncIterable<string> | Iterable<string>): Promise<void> {
  const writer = running.log.writer()
  let records: { key: null; value: Buffer; timeMs: number }[] = []
  const send = async (): Promise<void> => {
    if (records.length > 0)
      await writer.append([{ partition: { topic: 'events', index: 0 }, batch: encodeBatch(records) }])
    records = []
  }
  for await (const line of lines) {
    if (line === '') continue
    records.push({ key: null, value: Buffer.from(line), timeMs: Date.now() })
    if (records.length === batchRecords) await send()
  }
  await send()
}
async function rowsOf(running: Running, query: string): Promise<string[]> {
  const { columns, rows } = await running.engine.run(`SELECT * FROM ${query}`)
  const lines: string[] = []
  for await (const row of rows) {
    const fields = columns.map(({ name, type }, i): [string, unknown] => [name, shown(row[i], type.kind)])
    lines.push(JSON.stringify(Object.fromEntries(fields)))
  }
  // Sorted as UTF-8, which differs from UTF-16 beyond the basic plane.
  return lines
    .map((line) => Buffer.from(line))
    .sort(Buffer.compare)
    .map(String)
}
/** As in the input: `2015-07-15 00:00:00.000`. */
function shown(value: unknown, kind: string): unknown {
  if (value === null) return null
  if (kind === 'numeric') return Number(value).toFixed(3)
  if (typeof value === 'bigint') return Number(value)
  return kind === 'timestamp' ? new Date(String(value)).toISOString().replace('T', ' ').slice(0, 23) : value
}

/** Read when they are asked for: an interface of `readline` loses what it has read before. */
async function* linesOf(file: string): AsyncGenerator<string> {
  yield* createInterface({ input: createReadStream(file) })
}
async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: { queries: { type: 'string' }, write: { type: 'string' } },
    allowPositionals: true,
  })
  const [file] = positionals
  const only = values.queries?.split(',') ?? Object.keys(queries)
  const unknown = only.find((query) => queries[query] === undefined)
  if (file === undefined || unknown !== undefined) {
    const why = file === undefined ? 'Give a file of events.' : `There is no query ${unknown}.`
    process.stderr.write(`${why}\nnpm run nexmark -- EVENTS.ndjson [--queries q5,q7] [--write DIR]\n`)
    return 2
  }
  const { write } = values
  if (write !== undefined) mkdirSync(write, { recursive: true })
  const results = await runNexmark(linesOf(file), {
    only,
    rows: (query, lines) => {
      if (write !== undefined) writeFileSync(join(write, `${query}.ndjson`), lines.map((line) => `${line}\n`).join(''))
    },
  })
  process.stdout.write(`${JSON.stringify(results)}\n`)
  return 0
}
if (import.meta.main) process.exitCode = await main()
