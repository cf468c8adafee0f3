/**
 * The Nexmark queries over a file of events, one JSON object a line, on one embedded Millrace:
 *
 *   npm run nexmark -- EVENTS.ndjson [--queries q5,q7] [--write DIR] [--closing] [--parallel N] [--memory 256kB]
 *
 * Each query is a view over the topic; when it has caught up, its rows are printed as rows and SHA-256, one line of JSON for
 * all: `{"q0":{"rows":…,"sha256":…}}`. A row is a JSON object with the benchmark's columns, times as in the input, numerics
 * as text; lines are sorted as bytes. `--write` writes them to DIR/qN.ndjson too.
 * `--closing`: windows give their rows once, when they close.
 * `--parallel N`: steps with state are cut into N parts, on N threads.
 * `--memory SIZE`: the memory_budget of each view; data are then in a folder, so that state can go to files.
 */
import { createHash } from 'node:crypto'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs } from 'node:util'
import type { Running } from '../../src/node/millrace.ts'
import { feedEvents, linesOf, openNexmark } from './engine.ts'
import { closingQueries, queries } from './queries.ts'

export interface QueryResult {
  readonly rows: number
  readonly sha256: string
}
export interface NexmarkRun {
  readonly only?: readonly string[]
  /** Windows give their rows once, when they close; an event far ahead closes them all. */
  readonly closing?: boolean
  /** Parts of steps with state. */
  readonly parallel?: number
  /** Threads for them. Default: as many. */
  readonly workers?: number
  /** The budget of each view's state; absent: that of any view, and nothing is on disk. */
  readonly memory?: string
  /** Told of each query's lines, sorted. */
  readonly rows?: (query: string, lines: readonly string[]) => void
}

/** Feeds the lines and answers the queries. Throws the Fault of a view that ended. */
export async function runNexmark(
  lines: AsyncIterable<string> | Iterable<string>,
  {
    only = Object.keys(queries),
    closing = false,
    parallel = 1,
    workers = parallel,
    memory,
    rows = () => {},
  }: NexmarkRun = {},
): Promise<Record<string, QueryResult>> {
  const folder = memory === undefined ? null : mkdtempSync(join(tmpdir(), 'nexmark-'))
  const running = await openNexmark(folder ?? ':memory:', {}, parallel === 1 ? {} : { workers: String(workers) })
  try {
    await feedEvents(running, lines, { closes: closing })
    const results: Record<string, QueryResult> = {}
    for (const query of only) {
      await running.engine.run(
        `CREATE MATERIALIZED VIEW ${query} WITH (allow_unbounded_state = true, parallelism = ${parallel}${memory === undefined ? '' : `, memory_budget = '${memory}'`}) AS ${(closing ? closingQueries : queries)[query]!}; FLUSH`,
      )
      const error = running.engine.relation(query)?.error ?? null
      if (error !== null) throw error
      const shown = await rowsOf(running, query)
      await running.engine.run(`DROP MATERIALIZED VIEW ${query}`)
      rows(query, shown)
      const text = shown.map((line) => `${line}\n`).join('')
      results[query] = { rows: shown.length, sha256: createHash('sha256').update(text).digest('hex') }
    }
    return results
  } finally {
    await running.close()
    if (folder !== null) rmSync(folder, { recursive: true, force: true })
  }
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

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    options: {
      queries: { type: 'string' },
      write: { type: 'string' },
      closing: { type: 'boolean', default: false },
      parallel: { type: 'string', default: '1' },
      memory: { type: 'string' },
    },
    allowPositionals: true,
  })
  const [file] = positionals
  const only = values.queries?.split(',') ?? Object.keys(queries)
  const unknown = only.find((query) => queries[query] === undefined)
  const parallel = /^[1-9]\d?$/.test(values.parallel) && Number(values.parallel) <= 64 ? Number(values.parallel) : null
  if (file === undefined || unknown !== undefined || parallel === null) {
    const why =
      file === undefined
        ? 'Give a file of events.'
        : unknown === undefined
          ? '--parallel is a whole number from 1 to 64.'
          : `There is no query ${unknown}.`
    const usage =
      'npm run nexmark -- EVENTS.ndjson [--queries q5,q7] [--write DIR] [--closing] [--parallel N] [--memory 256kB]'
    process.stderr.write(`${why}\n${usage}\n`)
    return 2
  }
  const { write, closing, memory } = values
  if (write !== undefined) mkdirSync(write, { recursive: true })
  const results = await runNexmark(linesOf(file), {
    only,
    closing,
    parallel,
    ...(memory === undefined ? {} : { memory }),
    rows: (query, lines) => {
      if (write !== undefined) writeFileSync(join(write, `${query}.ndjson`), lines.map((line) => `${line}\n`).join(''))
    },
  })
  process.stdout.write(`${JSON.stringify(results)}\n`)
  return 0
}
if (import.meta.main) process.exitCode = await main()
