import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Match, type Regex, compileRegex } from '../../src/flow/functions/regex.ts'
import { Fault } from '../../src/lib/fault.ts'
import { random } from './plans.ts'

const atoms = [
  'a',
  'b',
  '.',
  '[ab]',
  '[^a]',
  '[a-c-]',
  '[[:digit:]x]',
  '[^\\s-]',
  '\\w',
  '\\W',
  '\\d',
  '\\D',
  '\\s',
  'é',
  '😀',
  '\\.',
  '\\u0061',
  '[]a]',
]
const repeats = ['', '', '', '*', '+', '?', '*?', '+?', '{2}', '{1,3}', '{0,2}?', '{2,}']
const asserts = ['^', '$', '\\y', '\\A', '\\Z']
const pieces = ['a', 'b', 'A', 'c', '1', ' ', '\n', '-', '.', 'é', '😀', '\ud800', '_', 'x']
const flagSets = ['', '', 'n', 'i', 'ni']

function pattern(next: () => number, depth = 0): string {
  const pick = (list: readonly string[]): string => list[Math.floor(next() * list.length)]!
  const items = Array.from({ length: 1 + Math.floor(next() * 4) }, () => {
    const kind = next()
    if (kind < 0.12) return pick(asserts)
    if (kind < 0.3 && depth < 2) {
      const inside = Array.from({ length: 1 + Math.floor(next() * 2) }, () => pattern(next, depth + 1)).join('|')
      return `${pick(['(', '(?:'])}${inside})${next() < 0.2 ? pick(repeats) : ''}`
    }
    return pick(atoms) + pick(repeats)
  })
  return items.join('')
}

/** null: what is repeated may not be. */
function compiled(text: string, flags: string): Regex | null {
  try {
    return compileRegex(text, flags, false)
  } catch (error) {
    assert.ok(error instanceof Fault && error.message.includes('quantifier'), String(error))
    return null
  }
}

test('expressions that the native matcher takes match as the one that follows all ways at once', () => {
  let matched = 0
  for (let seed = 1; seed <= 4_000; seed++) {
    const next = random(seed)
    const text = pattern(next)
    const flags = flagSets[Math.floor(next() * flagSets.length)]!
    const own = compiled(text, flags)
    if (own === null) continue
    const native = compileRegex(text, flags)
    for (let n = 0; n < 6; n++) {
      const on = Array.from({ length: Math.floor(next() * 9) }, () => pieces[Math.floor(next() * pieces.length)]!).join(
        '',
      )
      const from = n < 4 ? 0 : Math.floor(next() * (on.length + 1))
      const said = `seed ${seed}: ${text} with ${flags} on ${JSON.stringify(on)} from ${from}`
      const found: Match | null = own.match(on, from)
      if (found !== null) matched++
      assert.deepEqual(native.match(on, from), found, said)
      assert.equal(native.test(on), own.test(on), said)
    }
  }
  assert.ok(matched > 5_000, `${matched} matches`)
})
test('a text on which trying one way after the other would take too long ends soon all the same', () => {
  const regex = compileRegex('a*a*a*a*a*b')
  const started = performance.now()
  assert.equal(regex.test('a'.repeat(20_000)), false)
  assert.equal(compileRegex('x*x*x*y').match('x'.repeat(3_000), 0), null)
  assert.ok(performance.now() - started < 5_000, 'a few seconds at most')
})
