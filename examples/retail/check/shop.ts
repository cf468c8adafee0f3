/**
 * The example as a process, and what its views must hold when the marker has passed: batch queries over the purchases file
 * in DuckDB. For the example's own test, and for those that disturb it.
 */
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { DuckDBInstance } from '@duckdb/node-api'

const example = resolve(import.meta.dirname, '..')
const main = resolve(example, '../../src/cli/main.ts')
const purchases = join(example, 'data/purchases.txt')
type Row = Readonly<Record<string, unknown>>

export interface ShopOptions {
  /** More words for `millrace serve`. */
  readonly args?: readonly string[]
  readonly env?: NodeJS.ProcessEnv
}
/** One process. It can be ended and started again, on the same port and data. */
export class Shop {
  readonly #data = mkdtempSync(join(tmpdir(), 'millrace-retail-'))
  readonly #options: ShopOptions
  url = ''
  #process: ChildProcess | null = null
  #port = 0

  constructor(options: ShopOptions = {}) {
    this.#options = options
  }
  async start(): Promise<void> {
    const { args = ['--listen', 'kafka=127.0.0.1:0'], env } = this.#options
    const words = ['serve', example, '--data', this.#data, '--listen', `http=127.0.0.1:${this.#port}`, ...args]
    const child = spawn(process.execPath, [main, ...words, '-o', 'json'], {
      stdio: ['ignore', 'pipe', 'inherit'],
      env: { ...process.env, ...env },
    })
    this.#process = child
    for await (const line of createInterface({ input: child.stdout })) {
      const { listen: bound } = JSON.parse(line) as { listen: { http: string } }
      this.url = `http://${bound.http}`
      this.#port = Number(bound.http.split(':').at(-1))
      return
    }
    throw new Error('Millrace ended before it was ready')
  }
  /** Resolves when it has ended, or, for the others, at once. */
  async kill(signal: 'SIGKILL' | 'SIGTERM' | 'SIGSTOP' | 'SIGCONT'): Promise<void> {
    const child = this.#process
    if (child === null || child.exitCode !== null || child.signalCode !== null) return
    const gone = new Promise((done) => child.once('exit', done))
    child.kill(signal)
    if (signal === 'SIGKILL' || signal === 'SIGTERM') await gone
  }
  async close(): Promise<void> {
    await this.kill('SIGKILL')
    rmSync(this.#data, { recursive: true, force: true })
  }
  async rows(view: string, where = ''): Promise<Row[]> {
    const answer = await fetch(`${this.url}/v1/sql`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({ sql: `SELECT * FROM ${view}${where}` }),
    })
    assert.equal(answer.status, 200, await answer.clone().text())
    const { columns, rows } = (await answer.json()) as { columns: { name: string }[]; rows: unknown[][] }
    return rows.map((row) => Object.fromEntries(columns.map(({ name }, i) => [name, row[i]])))
  }
  async json<T>(path: string): Promise<T> {
    return (await (await fetch(this.url + path)).json()) as T
  }
  views(): Promise<readonly View[]> {
    return this.json('/v1/views')
  }
  alerts(): Promise<readonly { readonly name: string; readonly fired: number }[]> {
    return this.json('/v1/alerts')
  }
}
export interface View {
  readonly name: string
  readonly kind: string
  readonly status: string
  readonly error: unknown
  readonly stats: object
}

/** Waits until every view and alert has worked through the marker: none is behind, and nothing changes any more. */
async function settled(shops: readonly Shop[]): Promise<void> {
  for (let unchanged = 0, last = ''; unchanged < 4;) {
    await sleep(250)
    const views = (await Promise.all(shops.map((shop) => shop.views()))).flat()
    for (const { name, status, error } of views) assert.notEqual(status, 'failed', `${name}: ${JSON.stringify(error)}`)
    const alerts = (await Promise.all(shops.map((shop) => shop.alerts()))).flat()
    const groups = await shops[0]!.json<Group[]>('/v1/groups?internal=true')
    assert.ok(groups.length > 0)
    const behind = groups.filter(({ group, lag }) => lag > 0 && /^_millrace_(view|alerts)\./.test(group))
    const unread = await Promise.all(alerts.map(({ name }) => isUnread(shops[0]!, groups, name)))
    const now = JSON.stringify([alerts, views.map(({ name, status, stats }) => [name, status, stats])])
    unchanged = now === last && behind.length === 0 && !unread.includes(true) ? unchanged + 1 : 0
    last = now
  }
}
interface Group {
  readonly group: string
  readonly lag: number
  readonly positions: readonly unknown[]
}
/** An alert that has committed no position yet shows no lag. */
async function isUnread(shop: Shop, groups: readonly Group[], alert: string): Promise<boolean> {
  const group = groups.find((one) => one.group === `_millrace_alerts.${alert}`)
  if (group !== undefined && group.positions.length > 0) return false
  const topic = await shop.json<{ partitionDetails: { start: number; stable: number }[] }>(
    `/v1/topics/_millrace_alert.${alert}`,
  )
  return topic.partitionDetails.some(({ start, stable }) => stable > start)
}

/** Rows as sorted texts of plain numbers, so that 64-bit counts and JSON numbers compare. */
const plain = (rows: readonly (readonly unknown[])[]): string[] =>
  rows.map((row) => JSON.stringify(row.map(plainValue))).sort()
function plainValue(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plainValue)
  return typeof value === 'string' && /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : value
}
const picked = (rows: readonly Row[], ...columns: readonly string[]): string[] =>
  plain(rows.map((row) => columns.map((name) => row[name])))

export interface Batch {
  /** Waits until the shops, processes on one log, have worked through everything, and compares what the first one shows. */
  equals(...shops: readonly [Shop, ...Shop[]]): Promise<void>
}
/** The batch queries, over as many of the file's first lines as the replay was given. */
export async function batchResults(lines = Infinity): Promise<Batch> {
  const oracle = await (await DuckDBInstance.create(':memory:')).connect()
  const script = readFileSync(join(example, 'check/oracle.sql'), 'utf8')
    .replaceAll(/^--.*$/gm, '')
    .replaceAll('$FILE', purchases)
    .replaceAll('$LINES', String(Math.min(lines, 1e9)))
  for (const statement of script.split(/;\s*\n/)) if (statement.trim() !== '') await oracle.run(statement)
  const expected = async (query: string): Promise<string[]> => plain((await oracle.runAndReadAll(query)).getRowsJson())
  return {
    async equals(...shops) {
      await settled(shops)
      await compare(shops[0], expected)
    },
  }
}

async function compare(shop: Shop, expected: (query: string) => Promise<string[]>): Promise<void> {
  assert.deepEqual(
    picked(await shop.rows('stock'), 'item', 'sold', 'on_shelf', 'reorders'),
    await expected('FROM stock'),
  )
  assert.deepEqual(
    picked(await shop.rows('reorders'), 'item', 'sold_so_far'),
    await expected('SELECT item, n * 50 FROM stock, range(1, reorders + 1) AS r(n)'),
  )
  assert.deepEqual(
    picked(await shop.rows('partners'), 'item', 'partners'),
    await expected('SELECT item, list(partner ORDER BY place) FROM partners GROUP BY item'),
  )
  assert.deepEqual(
    picked(await shop.rows('recommendations', ' WHERE customer % 8 = 0'), 'customer', 'item', 'partners'),
    await expected('FROM recommendations'),
  )
  const fraud = await shop.rows('fraud')
  const unusual = fraud.filter(({ reason }) => reason === 'unusual amount')
  assert.deepEqual(
    picked(unusual, 'customer', 'line', 'amount'),
    await expected('SELECT customer, line, amount FROM unusual'),
  )
  for (const { because, line } of unusual) assert.equal((because as number[]).at(-1), line)
  const busy = new Map<string, Row>()
  for (const row of fraud.filter(({ reason }) => reason === 'busy day')) {
    const key = `${String(row['customer'])} ${String(row['day'])}`
    if (((busy.get(key)?.['because'] as unknown[] | undefined) ?? []).length < (row['because'] as unknown[]).length)
      busy.set(key, row)
  }
  assert.deepEqual(
    picked([...busy.values()], 'customer', 'because'),
    await expected('SELECT customer, lines FROM busy_days'),
  )
  const daily = await expected('SELECT count(*), sum(cds), round(sum(amount), 2) FROM purchases GROUP BY day')
  assert.deepEqual(picked(await shop.rows('daily'), 'purchases', 'cds', 'revenue'), daily)

  const fired = new Map<string, number>()
  for (const alert of await shop.alerts()) fired.set(alert.name, alert.fired)
  const [reorders] = await expected('SELECT sum(reorders) FROM stock')
  assert.equal(`[${fired.get('reorder')}]`, reorders)
  assert.equal(fired.get('unusual_amount'), unusual.length)
}
