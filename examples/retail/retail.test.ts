/**
 * The example's results when the marker has passed, against batch queries over the purchases file: after an undisturbed
 * replay, and after one in which Millrace was killed three times.
 */
import assert from 'node:assert/strict'
import { spawn, type ChildProcess } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { createInterface } from 'node:readline'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type DuckDBConnection, DuckDBInstance } from '@duckdb/node-api'
import { replay } from './replay/replay.ts'

const here = import.meta.dirname
const main = resolve(here, '../../src/cli/main.ts')
type Row = Readonly<Record<string, unknown>>

class Shop {
  readonly data = mkdtempSync(join(tmpdir(), 'millrace-retail-'))
  url = ''
  #process: ChildProcess | null = null
  #port = 0

  async start(): Promise<void> {
    const listen = ['--listen', `http=127.0.0.1:${this.#port}`, '--listen', 'kafka=127.0.0.1:0']
    const child = spawn(process.execPath, [main, 'serve', here, '--data', this.data, ...listen, '-o', 'json'], {
      stdio: ['ignore', 'pipe', 'inherit'],
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
  async kill(signal: 'SIGKILL' | 'SIGTERM'): Promise<void> {
    const child = this.#process
    if (child === null || child.exitCode !== null) return
    const gone = new Promise((done) => child.once('exit', done))
    child.kill(signal)
    await gone
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
  /** Waits until every view has worked through the marker: none is behind, and nothing changes any more. */
  async settled(): Promise<void> {
    for (let unchanged = 0, last = ''; unchanged < 4;) {
      await sleep(250)
      const views = await this.#json<{ name: string; status: string; error: unknown; stats: object }[]>('/v1/views')
      for (const { name, status, error } of views)
        assert.notEqual(status, 'failed', `${name}: ${JSON.stringify(error)}`)
      const groups = await this.#json<{ group: string; lag: number }[]>('/v1/groups?internal=true')
      assert.ok(groups.length > 0)
      const behind = groups.filter(({ group, lag }) => lag > 0 && /^_millrace_(view|alerts)\./.test(group))
      const now = JSON.stringify(views.map(({ name, status, stats }) => [name, status, stats]))
      unchanged = now === last && behind.length === 0 ? unchanged + 1 : 0
      last = now
    }
  }
  async #json<T>(path: string): Promise<T> {
    return (await (await fetch(this.url + path)).json()) as T
  }
}

let oracle: DuckDBConnection
before(async () => {
  oracle = await (await DuckDBInstance.create(':memory:')).connect()
  const script = readFileSync(join(here, 'check/oracle.sql'), 'utf8')
    .replaceAll(/^--.*$/gm, '')
    .replaceAll('$FILE', join(here, 'data/purchases.txt'))
  for (const statement of script.split(/;\s*\n/)) if (statement.trim() !== '') await oracle.run(statement)
})

/** Rows as sorted texts of plain numbers, so that 64-bit counts and JSON numbers compare. */
const plain = (rows: readonly (readonly unknown[])[]): string[] =>
  rows.map((row) => JSON.stringify(row.map(plainValue))).sort()
function plainValue(value: unknown): unknown {
  if (Array.isArray(value)) return value.map(plainValue)
  return typeof value === 'string' && /^-?\d+(\.\d+)?$/.test(value) ? Number(value) : value
}
const expected = async (query: string): Promise<string[]> => plain((await oracle.runAndReadAll(query)).getRowsJson())
const picked = (rows: readonly Row[], ...columns: readonly string[]): string[] =>
  plain(rows.map((row) => columns.map((name) => row[name])))

async function resultsAreThoseOfTheBatch(shop: Shop): Promise<void> {
  await shop.settled()
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
  const alerts = (await (await fetch(`${shop.url}/v1/alerts`)).json()) as { name: string; fired: number }[]
  for (const alert of alerts) fired.set(alert.name, alert.fired)
  const [reorders] = await expected('SELECT sum(reorders) FROM stock')
  assert.equal(`[${fired.get('reorder')}]`, reorders)
  assert.equal(fired.get('unusual_amount'), unusual.length)
}

describe('the retail example equals the batch queries at the marker', () => {
  const shops: Shop[] = []
  const open = async (): Promise<Shop> => {
    const shop = new Shop()
    shops.push(shop)
    await shop.start()
    return shop
  }
  after(async () => {
    for (const shop of shops) {
      await shop.kill('SIGKILL')
      rmSync(shop.data, { recursive: true, force: true })
    }
  })

  test('after an undisturbed replay', async () => {
    const shop = await open()
    await replay({ url: shop.url, seconds: 0 })
    await resultsAreThoseOfTheBatch(shop)
    await shop.kill('SIGTERM')
  })

  test('after a replay with three kill -9', async () => {
    const shop = await open()
    let sent = 0
    const replaying = replay({ url: shop.url, seconds: 12, onProgress: (count) => (sent = count) })
    for (const share of [0.2, 0.5, 0.8]) {
      while (sent < share * 69_660) await sleep(20)
      await shop.kill('SIGKILL')
      await shop.start()
    }
    await replaying
    await resultsAreThoseOfTheBatch(shop)
    await shop.kill('SIGTERM')
  })
})
