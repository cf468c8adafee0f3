/** The console against Millrace itself, as a process of its own: one story through every screen, with a kill -9 in it. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer } from 'node:http'
import type { AddressInfo } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, describe, test } from 'node:test'
import { Kafka, logLevel } from 'kafkajs'
import type { Browser, Page } from 'playwright-core'
import { startMillrace } from '../interop/setup/millrace.ts'
import type { Millrace } from '../interop/setup/millrace.ts'
import { buildConsole, launch, skip, until } from './chromium.ts'

interface Message {
  readonly event: string
  readonly id: string
  readonly offset: number
}

const data = mkdtempSync(join(tmpdir(), 'millrace-console-'))
let browser: Browser
let millrace: Millrace
let page: Page
const wrong: string[] = []
const rows = () => page.locator('.table-row')
const go = (route: string) => page.goto(`http://${millrace.http}${route}`)

/** The offset of the first record shown. */
const firstIs = (offset: string) =>
  until(
    async () => (await rows().first().locator('.cell').nth(2).innerText()).trim(),
    (shown) => shown === offset,
    `offset ${offset} first`,
  )

async function runSql(sql: string, tag: string): Promise<void> {
  await page.getByRole('textbox', { name: 'SQL' }).fill(sql)
  await page.getByRole('button', { name: 'Run' }).click()
  await page.getByTestId('sql-status').getByText(tag).waitFor()
}

/** Event time runs a second an event, from the first of January. */
async function send(from: number, count: number): Promise<void> {
  const events = Array.from({ length: count }, (_, i) => ({
    sensor: `s${(from + i) % 5}`,
    value: (from + i) % 100 === 99 ? 200 : (from + i) % 40,
    at: new Date(Date.UTC(2026, 0, 1) + (from + i) * 1000).toISOString(),
  }))
  const post = (): Promise<Response> =>
    fetch(`http://${millrace.http}/v1/topics/readings/records`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify(events),
    })
  // A connection kept from before a kill is found dead on its next use: that one never reached anybody.
  const response = await post().catch(post)
  assert.equal(response.status, 200, await response.text())
}

describe('the console against Millrace itself', { skip }, () => {
  before(async () => {
    buildConsole()
    millrace = await startMillrace({ data })
    browser = await launch()
    page = await browser.newPage({ viewport: { width: 1280, height: 800 } })
    page.setDefaultTimeout(15_000)
    page.on('pageerror', (error) => wrong.push(error.message))
  })
  after(async () => {
    await browser?.close()
    if (millrace !== undefined && !millrace.running) console.error(`Millrace ended by itself:\n${millrace.log()}`)
    await millrace?.[Symbol.asyncDispose]()
    rmSync(data, { recursive: true, force: true })
  })

  test('an empty instance says how to begin; SQL declares a stream, views and an alert, and errors carry a caret', async () => {
    await go('/overview')
    await page.getByText('Nothing runs here yet.').waitFor()
    await go('/sql')
    await runSql(
      "CREATE STREAM readings (sensor text, value double precision, at timestamptz, WATERMARK FOR at AS at - INTERVAL '5 seconds') WITH (topic = 'readings', format = 'json', key = 'sensor')",
      'CREATE STREAM',
    )
    await runSql(
      'CREATE MATERIALIZED VIEW averages AS SELECT sensor, avg(value) AS average, count(*) AS n FROM readings GROUP BY sensor',
      'CREATE MATERIALIZED VIEW',
    )
    await runSql(
      "CREATE MATERIALIZED VIEW minutes AS SELECT window_start, sensor, sum(value) AS total FROM TUMBLE(readings, at, INTERVAL '1 minute') GROUP BY window_start, window_end, sensor",
      'CREATE MATERIALIZED VIEW',
    )
    await runSql(
      'CREATE ALERT hot AS SELECT sensor, value FROM readings WHERE value > 100 NOTIFY CONSOLE',
      'CREATE ALERT',
    )
    await page.getByRole('textbox', { name: 'SQL' }).fill('SELECT sensor\nFROM averagse')
    await page.getByRole('button', { name: 'Run' }).click()
    assert.match(await page.getByTestId('caret').innerText(), /^2 │ FROM averagse\n\s+\^/)
  })

  test('a view without rows says why it has none, beside its rows and beside its flow', async () => {
    await go('/views/averages')
    const causes = page.getByRole('region', { name: 'What stands in the way' })
    await causes.getByText('no-events').waitFor()
    await go('/views/averages?tab=flow')
    await causes.getByText('no-events').waitFor()
  })

  test('events arrive in the tail, in rows, in a window on the chart and on the edges of the flow', async () => {
    await go('/topics/readings?live=true')
    await page.getByTestId('tail-status').getByText('live').waitFor()
    await send(0, 250)
    await until(
      async () => rows().first().innerText(),
      (text) => text.includes('"at":"2026-01-01T00:04:09.000Z"'),
      'the last event',
    )
    await go('/views/averages')
    await until(
      () => page.getByTestId('rows-count').innerText(),
      (text) => text.startsWith('5 rows'),
      'five sensors',
    )
    assert.match(await rows().first().innerText(), /s0[\s\S]*50/)
    await go('/views/minutes?tab=chart')
    await page.locator('.u-wrap canvas').waitFor()
    assert.equal(await page.locator('.chart').getAttribute('data-points'), '5')
    await go('/views/minutes?tab=flow')
    const edges = page.getByTestId('edge')
    await edges.first().waitFor()
    const texts = await edges.allInnerTexts()
    assert.ok(texts.length >= 3)
    for (const text of texts) assert.match(text, /^[\d.]+k?\/s\s+2026-01-01 00:04/)
    await page.getByTestId('reading').waitFor()
  })

  test('records are found by SQL, by offset and by time, and one is produced', async () => {
    await go('/topics/readings?where=value+%3E+100')
    await page.getByTestId('search-status').getByText('2 found').waitFor()
    await go('/topics/readings?where=value+%3E')
    assert.match(await page.getByTestId('caret').innerText(), /^1 │ value >\n\s+\^/)
    await go('/topics/readings?from=42')
    await firstIs('42')
    await go('/topics/readings?from=2000-01-01T00%3A00%3A00.000Z')
    await firstIs('0')
    await go('/topics/readings?open=produce')
    await page
      .getByLabel('Value', { exact: true })
      .fill('{"sensor":"s9","value":1,"at":"2026-01-01T00:04:10Z","big":12345678901234567890}')
    await page.getByRole('button', { name: 'Send' }).click()
    await page.getByRole('button', { name: 'Show it' }).click()
    await page
      .getByRole('complementary', { name: /^Record / })
      .getByText('12345678901234567890')
      .waitFor()
  })

  test('a page of its own tails over a WebSocket and goes on after it; one of another origin may not', async () => {
    const at = `ws://${millrace.http}/v1/topics/readings/records`
    const tail = (url: string, count: number) =>
      page.evaluate(
        ([to, wanted]) =>
          new Promise<{ messages: Message[]; code: number }>((resolve) => {
            const messages: Message[] = []
            const socket = new WebSocket(to)
            socket.onmessage = ({ data }) => {
              const message = JSON.parse(String(data)) as Message
              if (message.event === 'record') messages.push(message)
              if (messages.length === wanted) socket.close(1000)
            }
            socket.onclose = ({ code }) => resolve({ messages, code })
          }),
        [url, count] as const,
      )
    const first = await tail(`${at}?from=0`, 10)
    assert.equal(first.code, 1000)
    const rest = await tail(`${at}?lastEventId=${first.messages.at(-1)!.id}`, 5)
    assert.deepEqual(
      [...first.messages, ...rest.messages].map(({ offset }) => offset),
      Array.from({ length: 15 }, (_, i) => i),
    )
    const refused = async (): Promise<number> => {
      const text = await (await fetch(`http://${millrace.http}/metrics`)).text()
      return Number(/^millrace_http_refused_total\{what="origin"\} (\d+)$/m.exec(text)?.[1] ?? 0)
    }
    const before = await refused()
    const foreign = createServer((_, response) => response.end('foreign'))
    await new Promise<void>((resolve) => foreign.listen(0, '127.0.0.1', resolve))
    await page.goto(`http://127.0.0.1:${(foreign.address() as AddressInfo).port}/`)
    foreign.close()
    assert.deepEqual(await tail(`${at}?from=0`, 1), { messages: [], code: 1006 })
    assert.equal(await refused(), before + 1)
  })

  test('an alert appears as it fires and leads to its record', async () => {
    await go('/alerts')
    await page.getByText('live').first().waitFor()
    const count = (wanted: number) =>
      until(
        () => rows().count(),
        (n) => n === wanted,
        `${wanted} alerts`,
      )
    await count(2)
    await send(251, 100)
    await count(3)
    await rows().first().click()
    await page
      .getByRole('complementary', { name: /^Alert hot/ })
      .getByRole('link', { name: /^readings partition 0 offset/ })
      .click()
    await page
      .getByRole('complementary', { name: /^Record 0:/ })
      .getByText('200')
      .first()
      .waitFor()
  })

  test('a subscription follows, and a group of a Kafka client shows how far it is behind', async () => {
    await go('/sql?q=SUBSCRIBE+TO+averages&run=true')
    await page.getByTestId('sql-status').getByText('live').waitFor()
    await until(
      () => rows().count(),
      (n) => n === 6,
      'six sensors',
    )
    const kafka = new Kafka({ brokers: [millrace.kafka], logLevel: logLevel.NOTHING })
    const consumer = kafka.consumer({ groupId: 'readers' })
    let seen = 0
    await consumer.connect()
    await consumer.subscribe({ topic: 'readings', fromBeginning: true })
    await consumer.run({
      autoCommit: false,
      eachMessage: async () => {
        seen++
      },
    })
    await until(
      async () => seen,
      (n) => n === 351,
      'all read',
    )
    await consumer.commitOffsets([{ topic: 'readings', partition: 0, offset: '351' }])
    await go('/groups/readers')
    await page.locator('.members li').waitFor()
    await until(
      () => page.locator('.summary').innerText(),
      (text) => /^Stable\s+0 records behind/.test(text),
      'caught up',
    )
    await rows().getByText('351').first().waitFor()
    await consumer.disconnect()
    await send(351, 30)
    await until(
      () => page.locator('.summary').innerText(),
      (text) => /30 records behind/.test(text),
      'thirty behind',
    )
  })

  test('killed and started again, it goes on under the eyes of who looked on', async () => {
    await go('/views/averages')
    await until(
      () => rows().count(),
      (n) => n === 6,
      'six sensors',
    )
    const { http } = millrace
    const text = await page.locator('.table-body').innerText()
    await millrace.kill('SIGKILL')
    await page.locator('.connection-bar').waitFor()
    assert.equal(await page.locator('.table-body').innerText(), text)
    millrace = await startMillrace({ http, data })
    await until(
      () => page.locator('.connection-bar').count(),
      (n) => n === 0,
      'connected again',
    )
    await send(381, 5)
    await until(
      () => page.locator('.table-body').innerText(),
      (now) => now !== text,
      'rows go on',
    )
    assert.equal(await rows().count(), 6)
  })

  test('nothing was thrown in the browser', () => assert.deepEqual(wrong, []))
})
