/**
 * Many views and much state in one process: 1,000 small views over one stream, a new view beside them, and a start with
 * state to read.
 */
import { cpuSeconds, residentBytes } from '../test/faults/process.ts'
import { startMillrace } from '../test/interop/setup/index.ts'
import type { Report, RowSpec } from './lib/rows.ts'
import { sql } from './lib/sql.ts'

const created = '1,000 views: make one'
const first = '1,000 views: a new one, statement to first output'
const through = '1,000 views: one event through all'
const idle = '1,000 views: CPU idle'
const memory = '1,000 views: memory'
const restarted = '1,000 views: start to all running'
const large = 'start with 1 GB of state to running'
export const viewRows: readonly RowSpec[] = [
  { row: created, unit: 'ms', better: 'lower', goal: null, alone: true },
  { row: first, unit: 'ms', better: 'lower', goal: 200, alone: true },
  { row: through, unit: 'ms', better: 'lower', goal: null, alone: true },
  { row: idle, unit: '% of a core', better: 'lower', goal: null, alone: true },
  { row: memory, unit: 'MB', better: 'lower', goal: null, alone: true },
  { row: restarted, unit: 's', better: 'lower', goal: null, alone: true },
  { row: large, unit: 's', better: 'lower', goal: 10, alone: true },
]

export async function benchViews(report: Report, isQuick: boolean): Promise<void> {
  if (report.wantsAny(viewRows.slice(0, -1))) await manyViews(report, isQuick ? 100 : 1_000)
  if (report.wantsAny(viewRows.slice(-1))) await largeState(report, isQuick ? 20 : 1_000)
}

async function manyViews(report: Report, count: number): Promise<void> {
  await using product = await startMillrace()
  await sql(product, `CREATE STREAM s (k int, v int) WITH (topic = 's')`)
  const takenMs = await timed(async () => {
    for (let i = 0; i < count; i++)
      await sql(
        product,
        `CREATE MATERIALIZED VIEW v${i} AS SELECT k, sum(v) AS total FROM s WHERE k % ${count} = ${i} GROUP BY k`,
      )
  })
  report.sample(created, 'ours', takenMs / count)
  for (let run = 0; run < 5; run++) {
    const ms = await timed(() => sql(product, `INSERT INTO s VALUES (${run}, 1); FLUSH`))
    report.sample(through, 'ours', ms)
  }
  for (let run = 0; run < 5; run++) {
    const ms = await timed(async () => {
      await sql(product, `CREATE MATERIALIZED VIEW new${run} AS SELECT k, sum(v) AS total FROM s GROUP BY k`)
      while ((await sql(product, `SELECT count(*) AS n FROM new${run}`)) === '[[0]]');
    })
    report.sample(first, 'ours', ms)
  }
  const before = cpuSeconds(product.pid)
  const idleMs = await timed(() => new Promise((resolve) => setTimeout(resolve, 10_000)))
  report.sample(idle, 'ours', ((cpuSeconds(product.pid) - before) * 100_000) / idleMs)
  report.sample(memory, 'ours', residentBytes(product.pid) / (1024 * 1024))
  await product.kill('SIGTERM')
  await using again = await startMillrace({ data: product.data })
  const waitedMs = await timed(() => sql(again, 'FLUSH'))
  report.sample(restarted, 'ours', (again.spawnToReadyMs + waitedMs) / 1000)
}

/** Rows of a kilobyte, one for each key. */
async function largeState(report: Report, megabytes: number): Promise<void> {
  await using product = await startMillrace()
  await sql(product, `CREATE STREAM s (k bigint, v text) WITH (topic = 's')`)
  await sql(product, `CREATE MATERIALIZED VIEW newest AS SELECT k, max(v) AS v FROM s GROUP BY k`)
  const text = 'x'.repeat(1_000)
  for (let from = 0; from < megabytes * 1_000; from += 5_000) {
    const lines = Array.from({ length: Math.min(5_000, megabytes * 1_000 - from) }, (_, i) =>
      JSON.stringify({ k: from + i, v: `${text}${from + i}` }),
    )
    const answer = await fetch(`http://${product.http}/v1/topics/s/records`, {
      method: 'POST',
      headers: { 'content-type': 'application/x-ndjson' },
      body: lines.join('\n'),
    })
    if (!answer.ok) throw new Error(`${answer.status}: ${await answer.text()}`)
    await answer.text()
  }
  await sql(product, 'FLUSH')
  await product.kill('SIGTERM')
  await using again = await startMillrace({ data: product.data })
  const waitedMs = await timed(() => sql(again, 'FLUSH'))
  report.sample(large, 'ours', (again.spawnToReadyMs + waitedMs) / 1000)
}

async function timed(work: () => Promise<unknown>): Promise<number> {
  const start = performance.now()
  await work()
  return performance.now() - start
}
