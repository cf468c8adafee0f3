import assert from 'node:assert/strict'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const folder = join(import.meta.dirname, '../../console/style')
const text = readdirSync(folder)
  .map((file) => readFileSync(join(folder, file), 'utf8'))
  .join('\n')
const tokens = new Map(
  [...text.matchAll(/(--[\w-]+): light-dark\((#\w{6}), (#\w{6})\)/g)].map((m) => [m[1]!, [m[2]!, m[3]!] as const]),
)

/** As WCAG 2 defines it. */
function luminance(hex: string): number {
  const [r, g, b] = [1, 3, 5]
    .map((at) => Number.parseInt(hex.slice(at, at + 2), 16) / 255)
    .map((c) => (c <= 0.04045 ? c / 12.92 : ((c + 0.055) / 1.055) ** 2.4))
  return 0.2126 * r! + 0.7152 * g! + 0.0722 * b!
}
function contrast(a: string, b: string): number {
  const [dark, light] = [luminance(a), luminance(b)].sort((x, y) => x - y)
  return (light! + 0.05) / (dark! + 0.05)
}

test('text stands out from every ground it may stand on, in light and in dark', () => {
  const grounds = ['--bg', '--side', '--surface', '--raised', '--hover']
  const inks = ['--ink', '--muted', '--accent', '--bad', '--warn', '--line-2', '--line-3', '--line-5', '--line-6']
  const pairs = [
    ...inks.flatMap((ink) => grounds.map((ground) => [ink, ground] as const)),
    ['--accent', '--accent-soft'],
    ['--ink', '--accent-soft'],
    ['--good', '--good-soft'],
    ['--warn', '--warn-soft'],
    ['--bad', '--bad-soft'],
    ['--ink', '--bad-soft'],
    ['--accent-ink', '--accent'],
    ['--bad-ink', '--bad'],
  ] as const
  for (const [ink, ground] of pairs)
    for (const theme of [0, 1] as const) {
      const ratio = contrast(tokens.get(ink)![theme], tokens.get(ground)![theme])
      assert.ok(ratio >= 4.5, `${ink} on ${ground}, ${theme === 0 ? 'light' : 'dark'}: ${ratio.toFixed(2)}`)
    }
})

test('colours stand in the tokens alone, and every token that is used is there', () => {
  const outside = text.slice(text.indexOf("[data-theme='light']"))
  assert.deepEqual(outside.match(/#[0-9a-f]{3,8}\b/gi), null)
  const used = new Set([...text.matchAll(/var\((--[\w-]+)/g)].map((m) => m[1]!))
  const declared = new Set([...text.matchAll(/(--[\w-]+):/g)].map((m) => m[1]!))
  // Set by scripts: the tracks of a table, the rows of the editor.
  for (const name of ['--columns', '--table-min', '--rows']) declared.add(name)
  assert.deepEqual(
    [...used].filter((name) => !declared.has(name)),
    [],
  )
})
