import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compilePattern } from '../../src/schema/pattern.ts'

const zodEmail =
  "^(?!\\.)(?!.*\\.\\.)([A-Za-z0-9_'+\\-\\.]*)[A-Za-z0-9_+-]@([A-Za-z0-9][A-Za-z0-9\\-]*\\.)+[A-Za-z]{2,}$"

test('a pattern answers as the host engine does', () => {
  const cases: [string, string[]][] = [
    ['abc', ['abc', 'xabcx', 'ab', '']],
    ['^a|b$', ['ax', 'xb', 'x', 'b', 'a']],
    ['^(?:a|bc)+$', ['abca', 'abcb', 'bcbc', '']],
    ['^[A-Z]{2,3}-\\d{4}$', ['AB-1234', 'ABC-123', 'ABCD-1234', 'AB-12345']],
    ['^(\\w+\\.)*\\w+$', ['a.b.c', 'a..b', '']],
    ['\\bfoo\\B', ['foo', 'foox', 'a foo', 'afoob', ' foob']],
    ['^\\p{Lu}\\p{Ll}*$', ['Émile', 'émile', 'ABC', 'Ω']],
    ['^.{3}$', ['a😀b', 'ab', '\n\n\n', 'abc']],
    ['^[^\\]\\-a]+$', ['xyz', 'x]z', 'a', '-']],
    ['^\\u{1F600}\\uD83D\\uDE00?$', ['😀', '😀😀', '']],
    ['^(?=.*[0-9])(?=.*[a-z]).{4,8}$', ['abc1', 'abcd', '1234', 'a1', 'abcdefgh1']],
    ['a{0}b{2,}(c{,2})?', ['bb', 'b', 'bbb']],
    ['^x\\-y\\@z$', ['x-y@z', 'xy']],
    ['a{,2}]}', ['a{,2}]}', 'aa]}']],
    ['^(a?){20}a{20}$', ['a'.repeat(20), 'a'.repeat(40), 'a'.repeat(41)]],
    ['()*x', ['x', 'y']],
    ['', ['', 'x']],
    [zodEmail, ['a@b.co', '.a@b.co', 'a..b@c.de', 'a.b+c@d-e.fg', 'a@b', "o'x@y.zz", 'a@b.c']],
  ]
  for (const [source, texts] of cases) {
    const pattern = compilePattern(source)
    let host: RegExp
    try {
      host = new RegExp(source, 'u')
    } catch {
      host = new RegExp(source)
    }
    for (const text of texts) assert.equal(pattern.test(text), host.test(text), `${source} on ${JSON.stringify(text)}`)
  }
})

test('random patterns answer as the host engine does', () => {
  const atom = fc.constantFrom('a', 'b', '.', '[ab]', '[^a]', '\\w', '\\d', '^', '$', '\\b')
  const { pattern } = fc.letrec<{ pattern: string }>((tie) => ({
    pattern: fc.oneof(
      { maxDepth: 4, withCrossShrink: true },
      atom,
      fc.tuple(tie('pattern'), tie('pattern')).map(([x, y]) => x + y),
      fc.tuple(tie('pattern'), tie('pattern')).map(([x, y]) => `(?:${x}|${y})`),
      fc.tuple(tie('pattern'), fc.constantFrom('*', '+', '?', '{2}', '{1,3}', '{0,}')).map(([x, q]) => `(?:${x})${q}`),
      tie('pattern').map((x) => `(?=${x})`),
      tie('pattern').map((x) => `(?!${x})`),
    ),
  }))
  fc.assert(
    fc.property(pattern, fc.array(fc.constantFrom('a', 'b', '1', ' ', 'é'), { maxLength: 8 }), (source, letters) => {
      const text = letters.join('')
      assert.equal(compilePattern(source).test(text), new RegExp(source, 'u').test(text))
    }),
    { numRuns: 3000 },
  )
})

test('patterns that make a backtracking engine explode end in time', () => {
  const evil = [
    '^(a+)+$',
    '^(a|a)*$',
    '^(a|aa)+$',
    '^(a*)*b',
    '(x+x+)+y',
    '^(([a-z])+.)+[A-Z]([a-z])+$',
    'a*a*a*a*a*a*b',
  ]
  const text = `${'a'.repeat(5_000)}!`
  const before = process.cpuUsage().user
  for (const source of evil) assert.equal(compilePattern(source).test(text), false)
  assert.ok(process.cpuUsage().user - before < 5_000_000)
})

test('what is not supported is refused by name', () => {
  for (const [source, why] of [
    ['(a)\\1', /refers back/],
    ['(?<=a)b', /looks behind/],
    ['(?i:a)', /flags/],
    ['(a', /not a regular expression/],
    ['((a{1000}){1000}){1000}', /too large/],
    ['('.repeat(1000) + ')'.repeat(1000), /nested too deeply/],
    ['a'.repeat(20_000), /longer than/],
  ] as const)
    assert.throws(() => compilePattern(source), why, source)
})

test('a match that takes too many steps says so', () => {
  const nested = compilePattern('(?:(?=(?:(?=(?:(?=.*x).)*y).)*z).)*w')
  assert.throws(() => nested.test('a'.repeat(20_000)), /too many steps/)
})
