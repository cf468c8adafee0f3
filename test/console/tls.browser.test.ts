/** The console as somebody beyond this machine has it: over https, with a name and password, and live. */
import assert from 'node:assert/strict'
import { X509Certificate, createHash } from 'node:crypto'
import { after, before, describe, test } from 'node:test'
import type { Browser, BrowserContext, Page } from 'playwright-core'
import { authority, temporaryFolder } from '../security/certificates.ts'
import { type Platform, makeUser, platform } from '../security/platform.ts'
import { buildConsole, launch, skip, until } from './chromium.ts'

const cleanups: (() => unknown)[] = []
const suite = { after: (call: () => unknown): void => void cleanups.push(call) } as never

describe('the console over TLS', { skip }, () => {
  let p: Platform
  let browser: Browser
  let context: BrowserContext
  let page: Page
  const wrong: string[] = []
  const cookies: string[] = []

  before(async () => {
    buildConsole()
    const { certFile, keyFile, cert } = authority(temporaryFolder(suite), 'ca').issue('server', '/CN=localhost')
    p = await platform(suite, { tlsCert: certFile, tlsKey: keyFile, tls: ['http'] })
    await makeUser(p, 'root', 'root-secret', true)
    // Of all certificates that no authority of the machine knows, the browser takes this one.
    const key = new X509Certificate(cert).publicKey.export({ type: 'spki', format: 'der' })
    const pin = createHash('sha256').update(key).digest('base64')
    browser = await launch([`--ignore-certificate-errors-spki-list=${pin}`])
    context = await browser.newContext({ httpCredentials: { username: 'root', password: 'root-secret' } })
    page = await context.newPage()
    page.setDefaultTimeout(15_000)
    page.on('pageerror', (error) => wrong.push(error.message))
    page.on('console', (message) => {
      // The browser says so before it asks for the password.
      if (message.type() === 'error' && !message.text().includes('401')) wrong.push(message.text())
    })
    page.on('request', (request) => {
      if (!request.url().startsWith(p.http)) wrong.push(`request to ${request.url()}`)
    })
    page.on('websocket', (socket) => {
      if (!socket.url().startsWith(p.http.replace('https', 'wss'))) wrong.push(`socket to ${socket.url()}`)
    })
    page.on('response', async (response) => {
      const set = await response.headerValue('set-cookie').catch(() => null)
      if (set !== null) cookies.push(set)
    })
  })
  after(async () => {
    await browser?.close()
    for (const call of cleanups.reverse()) await call()
  })
  const go = (path: string): Promise<unknown> => page.goto(p.http + path)
  async function runSql(sql: string, tag: string): Promise<void> {
    await page.getByRole('textbox', { name: 'SQL' }).fill(sql)
    await page.getByRole('button', { name: 'Run' }).click()
    await page.getByTestId('sql-status').getByText(tag).waitFor()
  }

  test('without a password there is the page, and nothing of the platform', async () => {
    const stranger = await browser.newContext()
    const answer = await stranger.request.get(`${p.http}/v1/topics/readings`, { ignoreHTTPSErrors: true })
    assert.equal(answer.status(), 401)
    assert.match(answer.headers()['www-authenticate'] ?? '', /^Basic /)
    await stranger.close()
  })

  test('SQL, a live tail and live rows, from pages of this server', async () => {
    await go('/sql')
    await runSql(
      `CREATE STREAM readings (sensor text, value int) WITH (topic = 'readings', format = 'json')`,
      'CREATE STREAM',
    )
    await runSql(
      'CREATE MATERIALIZED VIEW totals AS SELECT sensor, sum(value) AS total FROM readings GROUP BY sensor',
      'CREATE MATERIALIZED VIEW',
    )
    await go('/topics/readings?live=true')
    await page.getByTestId('tail-status').getByText('live').waitFor()
    const watching = await context.newPage()
    await watching.goto(`${p.http}/views/totals`)
    const insert = (value: number): Promise<number> =>
      page.evaluate(
        async (json) =>
          (
            await fetch('/v1/topics/readings/records', {
              method: 'POST',
              headers: { 'content-type': 'application/json' },
              body: json,
            })
          ).status,
        JSON.stringify({ sensor: 'kitchen', value }),
      )
    const rows = (of: Page): Promise<string> => of.locator('.table-row').first().innerText()
    for (const [value, total] of [
      [20, '20'],
      [22, '42'],
    ] as const) {
      assert.equal(await insert(value), 200)
      await until(
        () => rows(page),
        (text) => text.includes(`"value":${value}`),
        `the record ${value} in the tail`,
      )
      await until(
        () => rows(watching),
        (text) => text.includes('kitchen') && text.includes(total),
        `the total ${total} in the rows`,
      )
    }
    await watching.close()
  })

  test('all of it is encrypted, and nothing of who asks is kept in the browser', async () => {
    assert.equal(await page.evaluate('isSecureContext'), true)
    assert.deepEqual(wrong, [])
    assert.deepEqual(cookies, [])
    assert.deepEqual(await context.cookies(), [])
    const stored = await page.evaluate(() => JSON.stringify([localStorage, sessionStorage]))
    assert.ok(!/root|secret|Basic/.test(stored), stored)
  })
})
