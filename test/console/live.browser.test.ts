/** The console in a real Chromium: what lives. Search, tail, rows, charts, flow, SQL and alerts, against the fixture server. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { buildConsole, launch, skip, until, visit } from './chromium.ts'

let browser: Browser
const rows = (page: Page) => page.locator('.table-row')
const firstOffset = async (page: Page): Promise<string> =>
  (await rows(page).first().locator('.cell').nth(2).innerText()).trim()
const numberIn = (text: string): number => Number(/[\d,]+/.exec(text)?.[0].replaceAll(',', '') ?? Number.NaN)

describe('the live console', { skip }, () => {
  before(async () => {
    buildConsole()
    browser = await launch()
  })
  after(() => browser?.close())

  test('the overview shows rates, what went wrong, the views with rows in them, and an alert as it fires', async () => {
    await using v = await visit(browser, '/overview', { perSecond: 40 })
    const { page, server } = v
    await page.getByText('41/s').first().waitFor()
    assert.match(await page.locator('.gauge.errors').innerText(), /12\s+quarantined\s+37\s+late/)
    const card = page.locator('.card', { hasText: 'revenue' })
    await card.locator('.peek td').first().waitFor()
    assert.match(await page.locator('.card').first().innerText(), /broken[\s\S]*failed/)
    server.shop.fire('Customer c5 paid far too much', 'c5', { customer: 'c5' })
    await page.locator('.alert-list').getByText('Customer c5 paid far too much').waitFor()
    await page.locator('.wrong-count', { hasText: 'quarantined' }).getByRole('link').click()
    await page.getByText('1 of 5 topics').waitFor()
  })

  test('seek by offset, by time to the millisecond, and back through the log', async () => {
    await using v = await visit(browser, '/topics/purchases?partition=1')
    const { page, server } = v
    const records = server.shop.topics.get('purchases')!.partitions[1]!
    await page.getByText('100 shown').waitFor()
    assert.equal(await firstOffset(page), String(records.length - 1))
    await page.getByRole('button', { name: 'Older' }).click()
    await page.getByText('200 shown').waitFor()
    await page.getByLabel('Start').selectOption('offset')
    await page.getByRole('textbox', { name: 'Offset' }).fill('42')
    await page.getByRole('button', { name: 'Seek' }).click()
    await until(
      () => firstOffset(page),
      (offset) => offset === '42',
      'offset 42',
    )
    await page.getByLabel('Start').selectOption('time')
    await page.getByLabel('Time, UTC').fill('half past nine')
    await page.getByRole('button', { name: 'Seek' }).click()
    await page.getByText('A time is written 2026-01-31').waitFor()
    await page.getByLabel('Time, UTC').fill(records[700]!.timestamp.replace('T', ' ').replace('Z', ''))
    await page.getByRole('button', { name: 'Seek' }).click()
    await until(
      () => firstOffset(page),
      (offset) => offset === '700',
      'the record of that millisecond',
    )
    const next = new Date(Date.parse(records[700]!.timestamp) + 1).toISOString()
    await page.getByLabel('Time, UTC').fill(next)
    await page.getByRole('button', { name: 'Seek' }).click()
    await until(
      () => firstOffset(page),
      (offset) => offset === '701',
      'a millisecond later',
    )
    await page.getByRole('button', { name: 'More' }).click()
    await page.getByText('200 shown').waitFor()
  })

  test('a filter shows how far it is, can be stopped and gone on with, and says what it looked at when it finds nothing', async () => {
    await using v = await visit(browser, '/topics/purchases')
    const { page, server } = v
    server.scanMax = 100
    server.scanDelayMs = 150
    const where = page.getByLabel('Filter by an SQL condition')
    await where.fill('nr = 4990')
    await where.press('Enter')
    const status = page.getByTestId('search-status')
    await status.getByRole('progressbar').waitFor()
    await until(
      () => status.innerText(),
      (text) => /\d scanned of [\d,]+/.test(text) && numberIn(/[\d,]+ scanned/.exec(text)![0]) > 200,
      'progress',
    )
    await status.getByRole('button', { name: 'Stop' }).click()
    await page.getByText(/Stopped: nothing among the [\d,]+ records scanned so far/).waitFor()
    server.scanDelayMs = 0
    await status.getByRole('button', { name: 'Go on' }).click()
    await status.getByText('1 found').waitFor()
    assert.match(await status.innerText(), /back to the beginning/)
    await where.fill('nr = 999999')
    await where.press('Enter')
    await page.getByText('None of the 5,000 records scanned matches.').waitFor()
  })

  test("the server's error of a filter is shown with a caret under its place", async () => {
    await using v = await visit(browser, '/topics/purchases')
    const { page } = v
    const where = page.getByLabel('Filter by an SQL condition')
    await where.fill('amount = ')
    await where.press('Enter')
    const caret = await page.getByTestId('caret').innerText()
    const [line = '', mark = ''] = caret.split('\n')
    assert.equal(line, '1 │ amount =')
    assert.equal(mark.indexOf('^'), line.indexOf('='))
    await page.getByText('Write a value: amount = 5').waitFor()
    // The same on the live tail, where the answer to the stream itself is the refusal.
    await page.getByRole('button', { name: 'Live' }).click()
    await page.getByTestId('caret').waitFor()
  })

  test('the live tail shows what comes, holds still while paused and loses nothing, also over a cut connection', async () => {
    await using v = await visit(browser, '/topics/purchases?live=true')
    const { page, server } = v
    const status = page.getByTestId('tail-status')
    await status.getByText('live').waitFor()
    const send = (n: number): void =>
      void server.shop.append('purchases', { partition: 0, key: { text: `tail-${n}` }, value: { json: { n } } })
    send(1)
    await page.getByText('tail-1').waitFor()
    await page.keyboard.press(' ')
    send(2)
    send(3)
    await status.getByText('2 wait').waitFor()
    assert.equal(await page.getByText('tail-3').count(), 0)
    await page.getByRole('button', { name: 'Go on' }).click()
    await page.getByText('tail-3').waitFor()
    server.cutStreams()
    send(4)
    await until(
      () => page.getByText('tail-4').count(),
      (n) => n === 1,
      'what was sent during the cut',
    )
    assert.equal(await page.getByText('tail-2').count(), 1)
    assert.equal(await page.getByText('tail-3').count(), 1)
    await rows(page).first().click()
    await page.getByRole('complementary', { name: /^Record 0:/ }).waitFor()
    assert.equal(await page.getByRole('button', { name: 'Go on' }).count(), 1, 'looking at a record pauses the tail')
  })

  test('a busy tail stays bounded and responsive', async () => {
    await using v = await visit(browser, '/topics/purchases?live=true', { perSecond: 3000 })
    const { page } = v
    await until(
      async () => numberIn(await page.getByTestId('tail-status').locator('b').innerText()),
      (n) => n > 6000,
      'records come',
    )
    assert.ok((await rows(page).count()) < 80)
    const frames = Number(
      await page.evaluate(`new Promise((done) => {
        let n = 0
        const start = performance.now()
        const next = () => { n++; performance.now() - start < 2000 ? requestAnimationFrame(next) : done(n / 2) }
        requestAnimationFrame(next)
      })`),
    )
    assert.ok(frames > 15, `${frames} frames a second`)
  })

  test('a record in full: JSON, text, the bytes as stored; and one that is produced here', async () => {
    await using v = await visit(browser, '/topics/sensor-bytes')
    const { page, server } = v
    await rows(page).first().click()
    await page.getByText('00000000  00 01 02 fa 41 42 43 0a  ff 00 11 12 13 14 15 16  ····ABC·········').waitFor()
    await v.go('/topics/purchases?open=produce')
    const value = page.getByLabel('Value', { exact: true })
    assert.deepEqual(Object.keys(JSON.parse(await value.inputValue()) as object), [
      'customer',
      'item',
      'amount',
      'bought_at',
    ])
    await value.fill('{"amount": 5')
    await page.getByText(/^Not JSON: /).waitFor()
    assert.equal(await page.getByRole('button', { name: 'Send' }).isDisabled(), true)
    await value.fill('{"customer": "c1", "amount": 12345678901234567890}')
    await page.getByLabel('Key', { exact: true }).fill('c1')
    await page.getByLabel('Headers').fill('source: console\nnote: a: b')
    await page.getByRole('button', { name: 'Send' }).click()
    await page.getByText(/Written to partition \d at offset \d+/).waitFor()
    const stored = server.shop.topics
      .get('purchases')!
      .partitions.flat()
      .findLast((r) => r.key !== null && 'text' in r.key && r.key.text === 'c1')!
    assert.deepEqual(
      stored.headers.map((h) => [h.name, h.value]),
      [
        ['source', { text: 'console' }],
        ['note', { text: 'a: b' }],
      ],
    )
    await page.getByRole('button', { name: 'Show it' }).click()
    await page
      .getByRole('complementary', { name: /^Record / })
      .getByText('"c1"')
      .waitFor()
  })

  test('rows of a view change in place, light up, keep their number over a cut, and pause', async () => {
    await using v = await visit(browser, '/views/stock?sort=item')
    const { page, server } = v
    await page.getByText('24 rows,').waitFor()
    const cells = rows(page).first().locator('.cell')
    const before = await cells.nth(2).innerText()
    for (let i = 0; i < 48; i++) server.shop.buy()
    await until(
      () => cells.nth(2).innerText(),
      (text) => Number(text) === Number(before) + 2,
      'sold twice more',
    )
    assert.match((await cells.nth(2).getAttribute('class')) ?? '', /flash-/)
    assert.doesNotMatch((await cells.nth(0).getAttribute('class')) ?? '', /flash-/)
    server.cutStreams()
    for (let i = 0; i < 24; i++) server.shop.buy()
    await until(
      () => cells.nth(2).innerText(),
      (text) => Number(text) === Number(before) + 3,
      'after the cut',
    )
    assert.match(await page.getByTestId('rows-count').innerText(), /^24 rows/)
    await rows(page).first().click()
    const detail = page.getByRole('complementary', { name: 'Row' })
    assert.match(await detail.innerText(), /"sold": \d+/)
    assert.match(page.url(), /row=/)
    await page.keyboard.press('Escape')
    await until(
      () => detail.count(),
      (n) => n === 0,
      'Escape closes the row',
    )
    await page.getByRole('button', { name: 'Pause' }).click()
    for (let i = 0; i < 24; i++) server.shop.buy()
    await page.waitForTimeout(700)
    assert.equal(Number(await cells.nth(2).innerText()), Number(before) + 3)
    await page.getByRole('button', { name: 'Go on' }).click()
    await until(
      () => cells.nth(2).innerText(),
      (text) => Number(text) === Number(before) + 4,
      'after the pause',
    )
  })

  test('a chart is drawn over time and grows as rows come', async () => {
    await using v = await visit(browser, '/views/revenue?tab=chart', { perSecond: 40 })
    const { page } = v
    await page.locator('.u-wrap canvas').waitFor()
    const inked = `(() => {
      const canvas = document.querySelector('.u-wrap canvas')
      const { data } = canvas.getContext('2d').getImageData(0, 0, canvas.width, canvas.height)
      const colours = new Set()
      for (let i = 0; i < data.length; i += 4) if (data[i + 3] > 200) colours.add(data[i] + ',' + data[i + 1] + ',' + data[i + 2])
      return colours.size
    })()`
    await until(
      () => page.evaluate(inked),
      (n) => Number(n) > 3,
      'lines, grid and text',
    )
    assert.ok(Number(await page.locator('.chart').getAttribute('data-points')) > 50)
    const last = page.locator('.legend-item b').first()
    const before = await last.innerText()
    await until(
      () => last.innerText(),
      (text) => text !== before,
      'the last point moves',
    )
    await page.getByLabel('Chart', { exact: true }).selectOption('live')
    await until(
      async () => Number(await page.locator('.chart').getAttribute('data-points')),
      (n) => n >= 3,
      'a point a second',
    )
    await page.getByLabel('Chart', { exact: true }).selectOption('bars')
    await page.getByTestId('bars').locator('li').first().waitFor()
    assert.match(page.url(), /chart=bars/)
  })

  test('the flow shows a rate and a watermark on every edge, and names what limits it', async () => {
    await using v = await visit(browser, '/views/revenue?tab=flow', { perSecond: 40 })
    const { page, server } = v
    const edges = page.getByTestId('edge')
    await edges.first().waitFor()
    const texts = await edges.allInnerTexts()
    assert.equal(texts.length, 5)
    for (const text of texts) assert.match(text, /^[\d.]+k?\/s\s+20\d\d-\d\d-\d\d \d\d:\d\d/)
    const reading = page.getByTestId('reading')
    await reading.getByText('Nothing holds this flow back.').waitFor()
    server.shop.busyNode = 'j'
    await reading.getByText('purchases.item = items.item is the bottleneck: at work 93 % of the time.').waitFor()
    server.shop.busyNode = null
    server.shop.heldBackBy = 'items:0'
    await reading.getByText('The watermark is held back by items:0.').click()
    const detail = page.getByRole('complementary', { name: 'items' })
    await detail.getByText('Behind the newest').waitFor()
    await page.getByRole('button', { name: /^aggregate/ }).click()
    await page.getByRole('complementary', { name: 'by window_start, shelf' }).getByText('120 entries, 66 kB').waitFor()
    assert.match(page.url(), /node=a/)
  })

  test('SQL answers, shows where it went wrong, and subscribes', async () => {
    await using v = await visit(browser, '/sql')
    const { page, server } = v
    const editor = page.getByRole('textbox', { name: 'SQL' })
    await editor.fill('SELECT item\nFORM stock')
    await editor.press('Control+Enter')
    await page.getByText('expected FROM, found FORM').waitFor()
    assert.equal((await page.getByTestId('caret').innerText()).split('\n')[0], '2 │ FORM stock')
    assert.equal(await page.locator('.editor-lines .wrong').innerText(), '2')
    await editor.fill('SELECT * FROM stock')
    await page.getByRole('button', { name: 'Run' }).click()
    await page.getByTestId('sql-status').getByText('24 rows').waitFor()
    await editor.fill('SUBSCRIBE TO stock')
    await editor.press('Control+Enter')
    await page.getByTestId('sql-status').getByText('live').waitFor()
    const sold = rows(page).first().locator('.cell').nth(2)
    const before = Number(await sold.innerText())
    for (let i = 0; i < 24; i++) server.shop.buy()
    await until(
      () => sold.innerText(),
      (text) => Number(text) === before + 1,
      'the subscription goes on',
    )
    await page.getByRole('button', { name: 'Stop' }).click()
    await page.getByText('Stopped.').waitFor()
  })

  test('a link may ask, never change: DROP waits for a hand', async () => {
    await using v = await visit(browser, '/sql?q=DROP+MATERIALIZED+VIEW+stock&run=true')
    await v.page.getByText('The answer appears here.').waitFor()
    await v.page.waitForTimeout(400)
    assert.deepEqual(
      v.server.asked.filter((line) => line.startsWith('POST')),
      [],
    )
    await v.go('/sql?q=SELECT+*+FROM+stock&run=true')
    await v.page.getByText('24 rows').waitFor()
  })

  test('an alert appears as it fires, says why, and leads to the records that caused it', async () => {
    await using v = await visit(browser, '/alerts')
    const { page, server } = v
    await page.getByText('live').first().waitFor()
    server.shop.fire('Customer c9 bought three times in one day', 'c9', { customer: 'c9', purchases: 3 }, 600)
    const fired = page.locator('.table-row', { hasText: 'Customer c9 bought three times' })
    await fired.waitFor()
    await fired.click()
    const detail = page.getByRole('complementary', { name: /^Alert / })
    await detail.getByText('purchases', { exact: true }).waitFor()
    await detail.getByRole('link', { name: /purchases partition 0 offsets 200 to 202/ }).click()
    await page.getByRole('complementary', { name: 'Record 0:200' }).waitFor()
    assert.equal(await firstOffset(page), '200')
    await page.goBack()
    await page.getByRole('button', { name: /^reorder/ }).click()
    await page.getByText('Definition of reorder').waitFor()
    assert.equal(await page.locator('.table-row', { hasText: 'Customer c9' }).count(), 0)
  })

  test('new alerts are counted beside their name on every screen, until they were looked at', async () => {
    await using v = await visit(browser, '/topics')
    const { page, server } = v
    await page.locator('.unseen').waitFor()
    await page.getByRole('link', { name: /^Alerts/ }).click()
    await until(
      () => page.locator('.unseen').count(),
      (n) => n === 0,
      'seen',
    )
    await page.getByRole('link', { name: 'Topics' }).click()
    server.shop.fire('one more', 'k', {})
    await until(
      () =>
        page
          .locator('.unseen')
          .innerText()
          .catch(() => ''),
      (text) => text === '1',
      'one new',
    )
  })

  test('groups show how far behind they are in records and in time, and whom nobody reads for', async () => {
    await using v = await visit(browser, '/groups')
    const { page } = v
    await page.locator('.table-row', { hasText: 'billing' }).getByText('1 m 24 s').waitFor()
    await page.getByRole('link', { name: 'billing' }).click()
    await page.getByText('420').waitFor()
    const unread = page.locator('.table-row', { hasText: 'nobody' })
    assert.equal(await unread.count(), 1)
    assert.match(await unread.innerText(), /purchases[\s\S]*2[\s\S]*1,500[\s\S]*1,640[\s\S]*140/)
  })
})
