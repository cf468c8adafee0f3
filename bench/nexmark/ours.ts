/**
 * The process that is measured: an embedded Millrace on a data folder, asked by its parent over a channel. Each answer has
 * the CPU time (user and system, all threads) that the process took for what was asked.
 *
 *   node bench/nexmark/ours.ts DATA_FOLDER
 */
import { createHash } from 'node:crypto'
import { assert } from '../../src/lib/assert.ts'
import { type DecodedQuery, decodeFor } from './decoded.ts'
import { feedEvents, linesOf, openNexmark } from './engine.ts'
import { closingQueries, sideRows } from './queries.ts'

export type Ask =
  | { readonly what: 'load'; readonly file: string }
  /** A view over the topic, from its creation until it has taken in all events. `output`: it writes its topic. */
  | { readonly what: 'view'; readonly query: string; readonly output: boolean }
  /** A view with so much memory for its state, or as much as it wants: what the process grows by. */
  | { readonly what: 'memory'; readonly query: string; readonly budget: string | null }
  | { readonly what: 'decode'; readonly query: string }
  /** What was decoded last. */
  | { readonly what: 'decoded' }
  | { readonly what: 'stop' }
export interface Answer {
  readonly cpuSeconds: number
  readonly wallSeconds: number
  /** Of the query, where they are known: all but views without output. */
  readonly rows: number | null
  /** Of 'memory': the largest growth that was seen, after what was garbage is gone; and a hash of the rows. */
  readonly grownBytes?: number
  readonly rowsHash?: string
}
export interface Failure {
  readonly error: string
}

/** A view without a topic of its own rows is told by its name. */
const silent = 'silent_'

const running = await openNexmark(process.argv[2]!, { keepsOutput: (view) => !view.startsWith(silent) })
let events = 0
let decoded: DecodedQuery | null = null

/** What is measured. Gives rows where it counts them. */
async function work(ask: Exclude<Ask, { what: 'stop' | 'memory' }>): Promise<number | null> {
  switch (ask.what) {
    case 'load':
      events = await feedEvents(running, linesOf(ask.file), { closes: true })
      return null
    case 'view': {
      const name = ask.output ? ask.query : silent + ask.query
      await running.engine.run(
        `CREATE MATERIALIZED VIEW ${name} WITH (allow_unbounded_state = true) AS ${closingQueries[ask.query]!}; FLUSH`,
      )
      return null
    }
    case 'decode':
      decoded = null
      decoded = await decodeFor(running, ask.query)
      return null
    case 'decoded':
      assert(decoded !== null, 'events that were decoded')
      return (await decoded.run()).rows
  }
}
/** Before a view goes: has it taken in everything, and how many rows does it hold? */
async function checked({ query, output }: Extract<Ask, { what: 'view' }>): Promise<number | null> {
  const { engine } = running
  const name = output ? query : silent + query
  const { status, stats } = engine.relation(name)!
  const wanted = query === 'q13' ? events + sideRows : events
  const { rowsIn, late, invalid } = stats
  if (status !== 'running' || rowsIn !== wanted || late + invalid > 0)
    throw new Error(`the view of ${query} is ${status}: ${rowsIn} of ${wanted} in, ${late} late, ${invalid} invalid`)
  let rows: number | null = null
  if (output) {
    const counted = await engine.run(`SELECT count(*) FROM ${name}`)
    for await (const [count] of counted.rows) rows = Number(count)
  }
  await engine.run(`DROP MATERIALIZED VIEW ${name}`)
  return rows
}
const residentBytes = (): number => {
  // By `--expose-gc`.
  globalThis.gc?.()
  return process.memoryUsage.rss()
}
/** With its topic, so that its rows can be compared. */
async function memoryOf(query: string, budget: string | null): Promise<Answer> {
  const before = residentBytes()
  let most = before
  const timer = setInterval(() => (most = Math.max(most, residentBytes())), 1_000)
  const started = process.cpuUsage()
  const startedMs = performance.now()
  const memory = budget === null ? '' : `, memory_budget = '${budget}'`
  await running.engine.run(
    `CREATE MATERIALIZED VIEW ${query} WITH (allow_unbounded_state = true${memory}) AS ${closingQueries[query]!}; FLUSH`,
  )
  const { user, system } = process.cpuUsage(started)
  const wallSeconds = (performance.now() - startedMs) / 1_000
  most = Math.max(most, residentBytes())
  clearInterval(timer)
  const error = running.engine.relation(query)!.error
  if (error !== null) throw new Error(`${query}: ${error.message}`)
  // The order of rows is not part of the result: their hashes are added up.
  let rows = 0
  const sum = Buffer.alloc(8)
  for await (const row of (await running.engine.run(`SELECT * FROM ${query}`)).rows) {
    const digest = createHash('sha256').update(row.map(String).join('\0')).digest()
    sum.writeBigUInt64BE((sum.readBigUInt64BE() + digest.readBigUInt64BE()) & 0xffff_ffff_ffff_ffffn)
    rows++
  }
  await running.engine.run(`DROP MATERIALIZED VIEW ${query}`)
  return {
    cpuSeconds: (user + system) / 1e6,
    wallSeconds,
    rows,
    grownBytes: most - before,
    rowsHash: sum.toString('hex'),
  }
}
async function answer(ask: Ask): Promise<Answer> {
  if (ask.what === 'stop') {
    await running.close()
    return { cpuSeconds: 0, wallSeconds: 0, rows: null }
  }
  if (ask.what === 'memory') return memoryOf(ask.query, ask.budget)
  const startedMs = performance.now()
  const started = process.cpuUsage()
  const counted = await work(ask)
  const { user, system } = process.cpuUsage(started)
  const wallSeconds = (performance.now() - startedMs) / 1_000
  const rows = ask.what === 'view' ? await checked(ask) : counted
  return { cpuSeconds: (user + system) / 1e6, wallSeconds, rows }
}

process.on('message', (ask: Ask) => {
  void answer(ask)
    .catch((error: unknown): Failure => ({ error: error instanceof Error ? error.message : String(error) }))
    .then((said) => {
      process.send!(said)
      if (ask.what === 'stop') process.disconnect()
    })
})
process.on('disconnect', () => process.exit())
process.send!({ ready: true })
