/** The console in a real Chromium against the fixture server: places, addresses, keys, themes, and what it refuses. */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import type { Browser, Page } from 'playwright-core'
import { buildConsole, launch, skip, until, visit } from './chromium.ts'

let browser: Browser
const row = (page: Page, text: string) => page.locator('.table-row', { hasText: text }).first()

/** The page, and what scrolls in it: nothing of it may go beyond the sides. */
const widest =
  "Math.max(document.documentElement.scrollWidth, ...[...document.querySelectorAll('.page')].map((p) => p.scrollWidth))"

/** Each place with its state in the address, and what must stand there. */
const places: readonly (readonly [route: string, text: string | RegExp])[] = [
  ['/overview', 'Records in'],
  ['', 'Records in'],
  ['/topics', 'purchases.quarantine'],
  ['/topics?filter=quarantine', '1 of 5 topics'],
  ['/topics?new=topic', 'New topic'],
  ['/topics/purchases', '100 shown'],
  ['/topics/purchases?tab=partitions', 'First offset'],
  ['/topics/purchases?tab=settings', 'All settings stand at their defaults.'],
  ['/topics/purchases?tab=schema', '"customer"'],
  ['/topics/purchases?from=earliest&partition=1', '100 shown'],
  ['/topics/purchases?from=1600&fields=amount', /\d+ shown/],
  ['/topics/purchases?where=nr+%3D+4321', '1 found'],
  ['/topics/purchases?record=2%3A7&form=hex', '00000000'],
  ['/topics/purchases?live=true', 'Waiting for the next record.'],
  ['/topics/purchases?open=produce', 'Produce to purchases'],
  ['/topics/purchases.quarantine?record=0%3A0', 'Set aside: schema.invalid: /amount must be number'],
  ['/topics/empty', 'This topic holds no records.'],
  ['/topics/gone', 'topic gone does not exist'],
  ['/views', 'revenue'],
  ['/views?kind=stream', '1 of 4'],
  ['/views/stock', 'cd-007'],
  ['/views/stock?filter=cd-007', '1 of 24 rows'],
  ['/views/revenue?tab=chart', 'cd-0'],
  ['/views/stock?tab=chart&chart=bars', 'cd-007'],
  ['/views/revenue?tab=flow&node=a', 'State'],
  ['/views/revenue?tab=definition', 'Open in SQL'],
  ['/views/broken', 'division by zero in the filter of broken'],
  ['/sql?q=SELECT+*+FROM+stock&run=true', '24 rows'],
  ['/sql?q=DROP+VIEW+stock&run=true', 'The answer appears here.'],
  ['/alerts', 'unusual_amount'],
  ['/alerts?alert=reorder', 'Definition of reorder'],
  ['/alerts?fired=alert-3', 'connect ECONNREFUSED'],
  ['/alerts?fired=long-gone', 'no longer among the newest'],
  ['/sql', 'EXPLAIN SELECT count(*) FROM'],
  ['/groups', 'billing'],
  ['/groups?internal=true', 'billing'],
  ['/groups/billing', 'nobody'],
  ['/topics/purchases?tab=readers', 'billing'],
  ['/topics/purchases?tab=readers', 'Pub/Sub subscription'],
  ['/connectors', 'west'],
  ['/connectors?filter=mqtt', '1 of 2'],
  ['/connectors/west', 'kafka-1:9092'],
  ['/connectors/out', 'Mend that, then'],
  ['/connectors/gone', 'there is no connector gone'],
  ['/#/topics/purchases?tab=partitions', 'First offset'],
  ['/nowhere', 'There is no page “nowhere”.'],
]

describe('the console', { skip }, () => {
  before(async () => {
    buildConsole()
    browser = await launch()
  })
  after(() => browser?.close())

  test('every place restores from its address, with nothing refused by the policy of the page', async () => {
    await using v = await visit(browser, '')
    for (const [route, text] of places) {
      await v.go(route)
      await v.page
        .getByText(text)
        .first()
        .waitFor()
        .catch(() => assert.fail(`${route} does not show ${text}`))
    }
  })

  test('a telephone shows what a list is about without scrolling sideways', async () => {
    await using v = await visit(browser, '', { width: 390, height: 760 })
    for (const [route, shown, hidden] of [
      ['/topics/purchases', ['Offset', 'Key', 'Value'], ['P', 'Time, UTC']],
      ['/alerts', ['Age', 'Alert', 'What'], ['Delivered', 'Fired, UTC']],
      ['/topics', ['Topic', 'Records/s', 'Records'], ['Kept', 'Size']],
      ['/views', ['Name', 'Status', 'Rows/s'], ['State', 'Late']],
    ] as const) {
      await v.go(route)
      await v.page.getByRole('columnheader').first().waitFor()
      const heads = v.page.getByRole('columnheader')
      const texts = (await heads.allInnerTexts()).map((text) => text.replaceAll(/[↑↓]/g, '').trim())
      for (const name of shown) {
        const box = await heads.nth(texts.indexOf(name)).boundingBox()
        assert.ok(box !== null && box.x >= 0 && box.x + Math.min(box.width, 60) <= 390, `${route}: ${name} in sight`)
      }
      for (const name of hidden) assert.ok(!texts.includes(name), `${route}: ${name} is left out`)
    }
  })

  test('no place is wider than a telephone, and none has a control without a name', async () => {
    await using v = await visit(browser, '', { width: 390, height: 760 })
    const cdp = await v.page.context().newCDPSession(v.page)
    for (const [route, text] of places) {
      await v.go(route)
      await v.page.getByText(text).first().waitFor()
      assert.equal(await v.page.evaluate(widest), 390, route)
      const { nodes } = (await cdp.send('Accessibility.getFullAXTree')) as {
        nodes: { ignored: boolean; role?: { value: string }; name?: { value: string } }[]
      }
      const controls = nodes.filter(
        (n) =>
          !n.ignored &&
          /^(button|link|textbox|searchbox|combobox|checkbox|radio|tab|spinbutton|grid|img)$/i.test(
            n.role?.value ?? '',
          ),
      )
      assert.ok(controls.length > 5, route)
      assert.deepEqual(
        controls.filter((n) => (n.name?.value ?? '') === '').map((n) => n.role?.value),
        [],
        route,
      )
    }
  })

  test('an instance without anything says how to begin, on a telephone too', async () => {
    await using v = await visit(browser, '/overview', {
      width: 390,
      prepare: ({ shop }) => {
        shop.views.clear()
        shop.topics.clear()
        shop.addTopic('purchases', 1, {})
        shop.addTopic('items', 1, {})
        shop.fired.length = 0
      },
    })
    await v.page.getByText('Nothing runs here yet.').waitFor()
    await v.page.getByText('None has fired.').waitFor()
    assert.equal(await v.page.evaluate(widest), 390)
    await v.page.getByRole('link', { name: 'open this in SQL' }).click()
    const text = await v.page.getByRole('textbox', { name: 'SQL' }).inputValue()
    assert.match(text, /^CREATE STREAM readings/)
  })

  test('what one does stands in the address: filter, order, tab, columns, record; Back undoes a step', async () => {
    await using v = await visit(browser, '/topics')
    const { page } = v
    await page.getByRole('searchbox', { name: 'Filter topics' }).fill('purch')
    await page.getByRole('button', { name: /^Records$/ }).click()
    await until(
      async () => page.url(),
      (url) => url.includes('filter=purch') && url.includes('sort=-records'),
      'filter and order',
    )
    await row(page, 'purchases').click()
    await page.getByRole('tab', { name: 'Records' }).waitFor()
    await page.getByText('Columns').click()
    await page.getByRole('checkbox', { name: 'amount' }).check()
    await page.locator('.table-row').nth(3).click()
    await until(
      async () => page.url(),
      (url) => url.includes('fields=amount') && /record=\d%3A\d+/.test(url),
      'column and record',
    )
    const address = page.url()
    await page.getByRole('tab', { name: 'Schema' }).click()
    await page.goBack()
    await until(
      async () => page.url(),
      (url) => url === address,
      'back',
    )
    await page.reload()
    await page.getByRole('columnheader', { name: 'amount' }).waitFor()
    await page.getByRole('complementary', { name: /^Record / }).waitFor()
  })

  test('ten thousand topics: rows at once, few in the document, a filter within a frame or two', async () => {
    await using v = await visit(browser, '/overview', {
      prepare: (server) => {
        for (let i = 0; i < 10_000; i++) server.shop.addTopic(`bulk-${i}`, 5, {})
      },
    })
    const { page } = v
    await page.goto(`${v.url}topics`)
    await page.getByText('10,005 topics').waitFor()
    assert.ok((await page.locator('.table-row').count()) < 80)
    const search = page.getByRole('searchbox', { name: 'Filter topics' })
    await search.fill('bulk-999')
    await page.getByText('11 of 10,005 topics').waitFor()
    const took = Number(
      await page.evaluate(`new Promise((done) => {
        const input = document.querySelector('input[type=search]')
        const start = performance.now()
        input.value = 'bulk-12'
        input.dispatchEvent(new Event('input', { bubbles: true }))
        requestAnimationFrame(() => setTimeout(() => done(performance.now() - start)))
      })`),
    )
    assert.ok(took < 250, `a keypress took ${took} ms`)
    await page.getByText('111 of 10,005 topics').waitFor()
    await search.fill('')
    await page.getByRole('grid', { name: 'Topics' }).press('End')
    await row(page, 'sensor-bytes').waitFor()
  })

  test('a topic is created, its settings changed and refused, and deleted only by its name', async () => {
    await using v = await visit(browser, '/topics')
    const { page, server } = v
    await page.keyboard.press('n')
    await page.getByLabel('Name', { exact: true }).fill('purchases')
    await page.getByRole('button', { name: 'Create' }).click()
    await page.getByText('topic purchases already exists').waitFor()
    await page.getByLabel('Name', { exact: true }).fill('visits')
    await page.getByLabel('Partitions').fill('4')
    await page.getByRole('button', { name: 'Create' }).click()
    await page.getByRole('heading', { name: 'visits' }).waitFor()
    assert.equal(server.shop.topics.get('visits')?.partitions.length, 4)
    await page.getByRole('tab', { name: 'Settings' }).click()
    await page.getByLabel('Setting', { exact: true }).fill('retention.ms')
    await page.getByLabel('Value', { exact: true }).fill('soon')
    await page.getByRole('button', { name: 'Set' }).click()
    await page.getByText('retention.ms=soon: not a number').waitFor()
    await page.getByRole('button', { name: 'Delete this topic' }).click()
    const confirm = page.getByRole('button', { name: 'Delete', exact: true })
    assert.equal(await confirm.isDisabled(), true)
    await page.getByLabel('Type visits to go on').fill('visits')
    await confirm.click()
    await page.getByRole('heading', { name: 'Topics' }).waitFor()
    assert.equal(server.shop.topics.has('visits'), false)
  })

  test('a connector is paused, resumed, started anew and dropped; its secret is not shown', async () => {
    await using v = await visit(browser, '/connectors')
    await row(v.page, 'west').getByRole('link').click()
    await v.page.getByText('kafka-1:9092').waitFor()
    assert.equal(await v.page.locator('.facts div', { hasText: 'password' }).locator('dd').innerText(), '…')
    const state = v.page.locator('.summary .badge')
    const becomes = (name: string, badge: string) =>
      v.page
        .getByRole('button', { name })
        .click()
        .then(() => state.filter({ hasText: badge }).waitFor())
    await becomes('Pause', 'paused')
    await becomes('Resume', 'running')
    await becomes('Restart', 'running')
    const patches = v.server.asked.filter((one) => one === 'PATCH /v1/connectors/west')
    assert.equal(patches.length, 3)
    await v.page.getByRole('button', { name: 'Drop this connector' }).click()
    await v.page.getByRole('button', { name: 'Drop', exact: true }).click()
    await v.page.getByText('the broker refuses the password').waitFor()
    assert.equal(await v.page.locator('.table-row', { hasText: 'west' }).count(), 0)
    assert.ok(v.server.asked.includes('DELETE /v1/connectors/west'))
  })

  test('the palette finds anything by keys alone, tables are walked by keys, and keys stay out of the way of typing', async () => {
    await using v = await visit(browser, '/overview')
    const { page } = v
    await page.getByText('Records in').waitFor()
    await page.keyboard.press('Control+k')
    await page.getByRole('combobox').fill('sto')
    await page.getByRole('option', { name: /stock/ }).first().waitFor()
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'stock', exact: true }).waitFor()
    await page.keyboard.press('g')
    await page.keyboard.press('t')
    await page.getByRole('heading', { name: 'Topics' }).waitFor()
    await row(page, 'purchases').waitFor()
    await page.keyboard.press('j')
    await page.keyboard.press('j')
    await page.keyboard.press('k')
    await page.keyboard.press('Enter')
    await page.getByRole('heading', { name: 'empty' }).waitFor()
    await page.getByLabel('Filter by an SQL condition').waitFor()
    await page.keyboard.press('/')
    await page.keyboard.type('g t ?')
    assert.equal(await page.getByLabel('Filter by an SQL condition').inputValue(), 'g t ?')
    await page.locator('body').press('Escape')
    await page.getByRole('button', { name: 'Keys' }).click()
    await page.getByText('Go to anything').last().waitFor()
    await page.keyboard.press('Escape')
    await until(
      () => page.locator('dialog').count(),
      (n) => n === 0,
      'the help closes',
    )
  })

  test('light and dark follow the system, and a choice outlives a reload', async () => {
    const background = 'getComputedStyle(document.body).backgroundColor'
    await using v = await visit(browser, '/topics', { dark: true })
    const { page } = v
    const dark = await page.evaluate(background)
    await page.emulateMedia({ colorScheme: 'light' })
    const light = await page.evaluate(background)
    assert.notEqual(dark, light)
    await page.getByRole('button', { name: 'Theme: system' }).click()
    assert.equal(await page.evaluate(background), dark)
    await page.reload()
    assert.equal(await page.evaluate(background), dark)
    await page.getByRole('button', { name: 'Theme: dark' }).click()
    assert.equal(await page.evaluate(background), light)
  })

  test('no text of a record, row, alert or name becomes anything but text', async () => {
    const attack = `<img src=x onerror="alert(1)"><script>alert(2)</script>"'&{{7*7}}`
    await using v = await visit(browser, '/topics/purchases?from=newest', {
      prepare: ({ shop }) => {
        shop.append('purchases', {
          key: { text: attack },
          value: { json: { [attack]: attack, customer: attack } },
          headers: [
            [attack, attack],
            ['mr-reason', attack],
          ],
        })
        shop.append('purchases', { key: { text: attack }, value: { text: attack } })
        const { sql, ...stock } = shop.views.get('stock')!
        shop.views.set('stock', { ...stock, sql: `${sql} -- ${attack}`, error: { code: attack, message: attack } })
        shop.rows.get('stock')!.set(attack, { item: attack, stock: 1, sold: 1e9 })
        shop.fire(attack, attack, { [attack]: attack })
        shop.alerts.push({
          name: attack,
          sql: attack,
          destinations: [attack],
          fired: 1,
          suppressed: 0,
          deliveryFailures: 0,
          status: 'running',
        })
        const group = shop.groups[0]!
        shop.groups.push({ ...group, group: attack, members: [{ id: attack, client: attack, host: attack, held: [] }] })
      },
    })
    const { page } = v
    const { partition, offset } = v.server.shop.topics
      .get('purchases')!
      .partitions.flat()
      .find((r) => r.headers.length > 1)!
    const id = encodeURIComponent(`${partition}:${offset}`)
    for (const [route, where] of [
      ['/topics/purchases', '.table-row'],
      [`/topics/purchases?fields=${encodeURIComponent(attack)}`, '.heading'],
      [`/topics/purchases?record=${id}`, '.detail'],
      [`/topics/purchases?record=${id}&form=text`, '.detail'],
      ['/views/stock', '.table-row'],
      ['/views/stock?tab=chart&chart=bars&y=sold', '.bars'],
      ['/views/stock?tab=chart&chart=live&y=sold', '.legend'],
      ['/views/stock?tab=definition', '.code'],
      [`/views/stock?filter=${encodeURIComponent(attack)}`, '.table-row'],
      ['/sql?q=SELECT+*+FROM+stock&run=true', '.table-row'],
      [`/sql?q=${encodeURIComponent(attack)}`, '.editor-colours'],
      ['/alerts', '.rules'],
      ['/alerts', '.table-row'],
      [`/groups/${encodeURIComponent(attack)}`, 'h1'],
      ['/overview', '.alert-list'],
      [`/${encodeURIComponent(attack)}`, '.empty'],
    ] as const) {
      await v.go(route)
      await page
        .locator(where, { hasText: 'onerror=' })
        .first()
        .waitFor()
        .catch(() => assert.fail(`${route} does not show the text in ${where}`))
      assert.equal(await page.locator('img, #app script').count(), 0, route)
    }
  })

  test('a server that goes away is said at once, and its return needs no reload', async () => {
    await using v = await visit(browser, '/views/stock', { perSecond: 20 })
    const { page, server } = v
    await row(page, 'cd-007').waitFor()
    const port = await server.away()
    await page.getByText('Millrace does not answer: what you see may be old').waitFor()
    assert.ok((await page.locator('.table-row').count()) > 10, 'what was known stays')
    await server.listen(port)
    await until(
      () => page.locator('.connection-bar').count(),
      (n) => n === 0,
      'the bar goes',
    )
    const before = await row(page, 'cd-007').innerText()
    await until(
      () => row(page, 'cd-007').innerText(),
      (text) => text !== before,
      'rows go on changing',
    )
  })
})
