/**
 * Markup in every name and text that a client can give Millrace itself: columns, aliases, keys, headers, groups, clients,
 * alerts, contracts, faults. The console shows it as text.
 */
import assert from 'node:assert/strict'
import { after, before, describe, test } from 'node:test'
import { Kafka, logLevel } from 'kafkajs'
import type { Browser } from 'playwright-core'
import { type Platform, platform } from '../security/platform.ts'
import { buildConsole, launch, skip } from './chromium.ts'

const attack = `<img src=x onerror="alert(1)"><script>alert(2)</script>`
const quoted = `"${attack.replaceAll('"', '""')}"`
const literal = `'${attack}'`
const cleanups: (() => unknown)[] = []
const suite = { after: (call: () => unknown): void => void cleanups.push(call) } as never

describe('markup from clients in the console', { skip }, () => {
  let p: Platform
  let browser: Browser
  before(async () => {
    buildConsole()
    p = await platform(suite)
    browser = await launch()
    await fill()
  })
  after(async () => {
    await browser?.close()
    for (const call of cleanups.reverse()) await call()
  })

  async function call(method: string, path: string, type: string, body: string): Promise<void> {
    const response = await fetch(p.http + path, { method, headers: { 'content-type': type }, body })
    assert.equal(response.status < 300, true, await response.text())
  }
  async function fill(): Promise<void> {
    const schema = {
      title: attack,
      description: attack,
      type: 'object',
      properties: { [attack]: { type: 'string', description: attack } },
    }
    await call('PUT', '/v1/topics/marked', 'application/json', JSON.stringify({ schema, onInvalid: 'quarantine' }))
    for (const text of [
      `CREATE STREAM marked (k text, ${quoted} text) WITH (topic = 'marked', format = 'json')`,
      `CREATE MATERIALIZED VIEW shown AS SELECT ${quoted}, count(*) AS n FROM marked WHERE k <> ${literal} GROUP BY ${quoted}`,
      `CREATE ALERT loud AS SELECT k, ${quoted} FROM marked NOTIFY CONSOLE MESSAGE '${attack} {k}'`,
    ])
      await call('POST', '/v1/sql', 'application/sql', text)
    const kafka = new Kafka({
      clientId: attack,
      brokers: [`127.0.0.1:${p.kafka.port}`],
      logLevel: logLevel.NOTHING,
    })
    const producer = kafka.producer()
    await producer.connect()
    const headers = { [attack]: attack, 'mr-reason': attack, 'mr-error': attack }
    const event = JSON.stringify({ k: attack, [attack]: attack })
    await producer.send({
      topic: 'marked',
      messages: [
        { key: attack, value: JSON.stringify({ k: 'other', [attack]: attack }), headers },
        { key: attack, value: event, headers },
        { key: attack, value: attack, headers },
      ],
    })
    await producer.disconnect()
    const consumer = kafka.consumer({ groupId: attack })
    await consumer.connect()
    await consumer.subscribe({ topic: 'marked', fromBeginning: true })
    const joined = Promise.withResolvers<void>()
    await consumer.run({ eachMessage: () => Promise.resolve(joined.resolve()) })
    await joined.promise
    cleanups.push(() => consumer.disconnect())
  }

  test('no screen takes it for anything but text', async () => {
    const context = await browser.newContext({ viewport: { width: 1280, height: 800 } })
    const page = await context.newPage()
    page.setDefaultTimeout(10_000)
    const wrong: string[] = []
    page.on('pageerror', (error) => wrong.push(`script error: ${error.message}`))
    page.on('dialog', (dialog) => {
      wrong.push(`dialog: ${dialog.message()}`)
      void dialog.dismiss()
    })
    page.on('console', (message) => {
      if (/Content Security Policy/.test(message.text())) wrong.push(message.text())
    })
    const word = encodeURIComponent(attack)
    const sql = (text: string): string => `/sql?q=${encodeURIComponent(text)}&run=true`
    for (const route of [
      '/topics/marked?from=earliest',
      '/topics/marked?tab=schema',
      '/topics/marked?record=0%3A0',
      '/topics/marked?record=0%3A2&form=text',
      `/topics/marked?where=${word}`,
      '/topics/marked.quarantine?from=earliest',
      '/views/shown',
      '/views/shown?tab=flow',
      '/views/shown?tab=definition',
      '/views/marked?tab=definition',
      '/groups',
      `/groups/${word}`,
      '/alerts',
      sql(`SELECT * FROM ${quoted}`),
      sql(`SELECT ${literal} AS ${quoted}`),
      sql(`SELECT k AS ${quoted}, ${quoted} FROM marked`),
      sql('SHOW ALERTS'),
    ]) {
      await page.goto(p.http + route)
      await page
        .getByText('onerror=', { exact: false })
        .first()
        .waitFor({ state: 'attached' })
        .catch(() => wrong.push(`${route} does not show it`))
      assert.equal(await page.locator('img, #app script').count(), 0, route)
    }
    for (const route of ['/overview', '/topics', '/views']) {
      await page.goto(p.http + route)
      await page.locator('h1').first().waitFor()
      assert.equal(await page.locator('img, #app script').count(), 0, route)
    }
    assert.deepEqual(wrong, [])
    await context.close()
  })
})
