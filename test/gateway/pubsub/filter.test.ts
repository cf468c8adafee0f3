import assert from 'node:assert/strict'
import { test } from 'node:test'
import { parseFilter } from '../../../src/gateway/pubsub/filter.ts'

const messages = [
  { lang: 'en', name: 'com' },
  { lang: 'en', name: 'net' },
  { name: 'co' },
  { lang: 'jp' },
  { みんな: 'x' },
  { name: 'has"quote' },
  { 'iana.org/tag': 'en-US' },
  {},
  { '1st-': 'x' },
].map((one) => new Map(Object.entries(one)))
const passing = (filter: string): number[] => {
  const test = parseFilter(filter)
  return messages.flatMap((attributes, i) => (test(attributes) ? [i] : []))
}

test('filters let through what the service lets through', () => {
  for (const [filter, wanted] of [
    ['attributes:name', [0, 1, 2, 5]],
    ['attributes.name = "com"', [0]],
    ['attributes.name != "com"', [1, 2, 3, 4, 5, 6, 7, 8]],
    ['hasPrefix(attributes.name, "co")', [0, 2]],
    ['NOT attributes:name', [3, 4, 6, 7, 8]],
    ['-attributes:"lang"', [2, 4, 5, 6, 7, 8]],
    ['attributes.name = "has\\"quote"', [5]],
    ['attributes:"みんな"', [4]],
    ['attributes."iana.org/tag" = "en-US"', [6]],
    ['attributes:lang AND attributes:name', [0, 1]],
    ['attributes.lang = "jp" OR attributes.name = "co" OR attributes.name = "net"', [1, 2, 3]],
    ['NOT (attributes:name OR attributes.lang = "jp")', [4, 6, 7, 8]],
    ['(NOT attributes:name) OR attributes.name = "co"', [2, 3, 4, 6, 7, 8]],
    ['attributes:name AND (attributes.lang = "en" OR hasPrefix(attributes.name, "has"))', [0, 1, 5]],
    ['NOT NOT attributes:lang', [0, 1, 3]],
    ['  attributes : name\n', [0, 1, 2, 5]],
    // Escapes: Unicode, hexadecimal, octal.
    ['attributes.name = "\\u0063\\x6f\\155"', [0]],
    ['attributes:1st-', [8]],
    ['attributes:"1st-" AND -attributes:name', [8]],
  ] as const)
    assert.deepEqual(passing(filter), wanted, filter)
})
test('what is no filter is refused, with the place', () => {
  for (const [filter, says] of [
    ['', /ends too early/],
    ['attributes', /ends too early/],
    ['attributes.a', /ends too early/],
    ['attributes.a = b', /unexpected "b" at 16/],
    ['attributes.a == "b"', /unexpected "=" at 15/],
    ['attributes.a = "b" AND', /ends too early/],
    ['attributes:a AND attributes:b OR attributes:c', /need parentheses, at 31/],
    ['data = "x"', /unexpected "data" at 1/],
    ['hasPrefix(attributes.a)', /unexpected "\)"/],
    ['hasSuffix(attributes.a, "b")', /unexpected "hasSuffix"/],
    ['(attributes:a', /ends too early/],
    ['attributes:a)', /unexpected "\)" at 13/],
    ['attributes.a = "b', /unexpected/],
    ['attributes.a = "\\x"', /no such escape/],
    [`${'('.repeat(40)}attributes:a${')'.repeat(40)}`, /too deeply/],
    [`${'NOT '.repeat(50)}attributes:a`, /too deeply/],
    [`attributes:${'a'.repeat(260)}`, /longer than 256/],
    ['attributes:a; drop', /unexpected ";"/],
  ] as const)
    assert.throws(
      () => parseFilter(filter),
      (error: Error) => says.test(error.message),
      filter,
    )
})
