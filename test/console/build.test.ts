import assert from 'node:assert/strict'
import { execFileSync } from 'node:child_process'
import { mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { gzipSync } from 'node:zlib'

const firstLoadMax = 90 * 1024
let out = ''
let html = ''
const text = (file: string): string => readFileSync(join(out, file), 'utf8')
const gzipped = (file: string): number => gzipSync(readFileSync(join(out, file)), { level: 9 }).length

before(() => {
  out = join(mkdtempSync(join(tmpdir(), 'millrace-console-')), 'console')
  execFileSync(process.execPath, [join(import.meta.dirname, '../../console/build.mjs'), out])
  html = text('index.html')
})
after(() => rmSync(join(out, '..'), { recursive: true, force: true }))

/** Scripts of the page and what they import before anything is shown. */
function firstLoad(): string[] {
  const found = [...html.matchAll(/<script[^>]*src="\/([^"]+)"/g)].map((m) => m[1]!)
  assert.ok(found.length > 0, 'the page names no script')
  for (const file of found)
    for (const m of text(file).matchAll(
      /(?:import|export)[^;'"`(]*?from\s*["'`]\.\/([^"'`]+)["'`]|import\s*["'`]\.\/([^"'`]+)["'`]/g,
    )) {
      const next = `assets/${m[1] ?? m[2]}`
      if (!found.includes(next)) found.push(next)
    }
  return found
}

test('the script of the first load is at most 90 KiB gzipped', (t) => {
  const sizes = firstLoad().map((file) => ({ file, bytes: gzipped(file) }))
  const total = sizes.reduce((sum, s) => sum + s.bytes, 0)
  t.diagnostic(`${(total / 1024).toFixed(1)} KiB in ${sizes.length} files`)
  assert.ok(total > 10 * 1024, 'hardly any script was found: the test reads the wrong files')
  assert.ok(total <= firstLoadMax, JSON.stringify(sizes))
})

test('the chart and the layout of graphs come when they are needed', () => {
  const first = firstLoad()
  const late = readdirSync(join(out, 'assets')).filter((f) => f.endsWith('.js') && !first.includes(`assets/${f}`))
  assert.ok(
    late.some((f) => /uplot/i.test(f)),
    String(late),
  )
  assert.ok(
    late.some((f) => /dagre/i.test(f)),
    String(late),
  )
})

test('the page runs under a policy that allows no inline script or style, and names no other host', () => {
  assert.match(html, /default-src 'none'/)
  assert.match(html, /require-trusted-types-for 'script'/)
  assert.doesNotMatch(html, /unsafe-|<script(?![^>]*src=)|<style|\son\w+=|style=/)
  const named = /(?:https?:)?\/\/[a-z0-9-]+(?:\.[a-z0-9-]+)+/gi
  // Names of XML namespaces, and where a library says its errors are explained: never fetched.
  const harmless = /^https?:\/\/(www\.w3\.org|preactjs\.com|github\.com)$/
  for (const file of [
    'index.html',
    ...readdirSync(join(out, 'assets'))
      .filter((f) => /\.(js|css|svg)$/.test(f))
      .map((f) => `assets/${f}`),
  ])
    for (const [address] of text(file).matchAll(named)) assert.match(address, harmless, `${file} names ${address}`)
})

test('every asset is named by its content', () => {
  for (const file of readdirSync(join(out, 'assets'))) assert.match(file, /-[\w-]{8}\.(js|css|svg|woff2)$/)
  for (const [, address] of html.matchAll(/(?:href|src)="\/([^"]+)"/g)) assert.ok(text(address!).length > 0, address)
})
