/**
 * A real Chromium for the tests of the console. Needs the system package `chromium` (Debian, Ubuntu); `npm run
 * test:interop` installs it (`need('chromium')`). Where there is none these tests are skipped, and say so.
 */
import { execFileSync } from 'node:child_process'
import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { chromium } from 'playwright-core'
import type { Browser, Page } from 'playwright-core'
import { FixtureServer } from './fixture-server.ts'

const known = ['/usr/bin/chromium', '/usr/bin/chromium-browser', '/usr/bin/google-chrome']
const found = known.find((path) => existsSync(path))
export const skip: string | false =
  found === undefined ? `no Chromium at ${known.join(', ')}: apt-get install chromium` : false
if (skip !== false) console.error(`console tests skipped: ${skip}`)

export function buildConsole(): void {
  execFileSync(process.execPath, [join(import.meta.dirname, '../../console/build.mjs')])
}

export function launch(more: readonly string[] = []): Promise<Browser> {
  return chromium.launch({
    executablePath: found!,
    args: ['--no-sandbox', '--disable-gpu', '--disable-background-networking', '--no-first-run', ...more],
  })
}

export interface Visit extends AsyncDisposable {
  readonly page: Page
  readonly server: FixtureServer
  readonly url: string
  /** Requests to other hosts, script errors, refusals by the policy: none is ever right. */
  readonly wrong: string[]
  go(route: string): Promise<void>
}
export interface VisitOptions {
  readonly width?: number
  readonly height?: number
  readonly dark?: boolean
  readonly perSecond?: number
  readonly prepare?: (server: FixtureServer) => void
}

/** A server of its own and a fresh profile. Fails at the end when something went wrong that no test looked for. */
export async function visit(browser: Browser, route: string, options: VisitOptions = {}): Promise<Visit> {
  const server = new FixtureServer()
  options.prepare?.(server)
  const url = await server.listen()
  server.trade(options.perSecond ?? 0)
  const context = await browser.newContext({
    viewport: { width: options.width ?? 1280, height: options.height ?? 800 },
    colorScheme: options.dark === true ? 'dark' : 'light',
  })
  const page = await context.newPage()
  page.setDefaultTimeout(8000)
  const wrong: string[] = []
  page.on('pageerror', (error) => wrong.push(`script error: ${error.message}`))
  page.on('console', (message) => {
    if (message.type() === 'error' && !/Failed to load resource/.test(message.text())) wrong.push(message.text())
  })
  page.on('dialog', (dialog) => {
    wrong.push(`dialog: ${dialog.message()}`)
    void dialog.dismiss()
  })
  await context.route('**/*', async (given) => {
    if (!given.request().url().startsWith(url)) wrong.push(`request to ${given.request().url()}`)
    await given.continue()
  })
  const go = async (to: string): Promise<void> => {
    await page.goto('about:blank')
    await page.goto(url + to.replace(/^\//, ''))
  }
  await go(route)
  return {
    page,
    server,
    url,
    wrong,
    go,
    async [Symbol.asyncDispose]() {
      await context.close()
      await server[Symbol.asyncDispose]()
      if (wrong.length > 0) throw new Error(`in the browser: ${wrong.join('; ')}`)
    },
  }
}

/** Waits until `look` gives what `wanted` accepts; says what it last gave otherwise. */
export async function until<T>(look: () => Promise<T>, wanted: (value: T) => boolean, what: string): Promise<T> {
  const end = performance.now() + 8000
  let last: T | undefined
  while (performance.now() < end) {
    last = await look()
    if (wanted(last)) return last
    await new Promise((resolve) => setTimeout(resolve, 60))
  }
  throw new Error(`${what}: last ${JSON.stringify(last)}`)
}
