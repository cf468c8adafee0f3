/** What a request is complained of with: in the service's words, and without writing out what is cut anyway. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { list, map, read, complaint, structure, text } from '../../../src/wire/kinesis/shape.ts'

const short = text({ min: 1, max: 3 })
const shape = structure({ Tags: map(short, short, { min: 1, max: 2 }), Names: list(short, { max: 2 }) })
const none = { needed: new Set<string>(), dataBytesMax: Infinity }
const said = (input: Record<string, unknown>): string | null => complaint(shape, input, none)
const shownMax = 100_000

/** Says how many of its entries were asked for together with their values. */
class Counted extends Map<string, string> {
  shown = 0;
  override *[Symbol.iterator](): MapIterator<[string, string]> {
    for (const entry of super.entries()) {
      this.shown++
      yield entry
    }
  }
}

test('maps and lists are shown as they are', () => {
  const tags = (...entries: [string, string][]): object => ({ Tags: new Map(entries) })
  assert.equal(said({ ...tags(['a', '1'], ['b', '2']) }), null)
  assert.equal(
    said({ ...tags(['a', '1'], ['b', '2'], ['c', '3']), Names: ['', 'b', 'c'] }),
    "3 validation errors detected: Value '{a=1, b=2, c=3}' at 'tags' failed to satisfy constraint: Member must have length " +
      "less than or equal to 2; Value '[, b, c]' at 'names' failed to satisfy constraint: Member must have length less than " +
      "or equal to 2; Value '[, b, c]' at 'names' failed to satisfy constraint: Member must satisfy constraint: " +
      '[Member must have length less than or equal to 3, Member must have length greater than or equal to 1]',
  )
  assert.match(said({ ...tags(['long', '1']) }) ?? '', /Value '\{long=1\}' at 'tags' .* Map keys must satisfy/)
  assert.match(said({ ...tags(['a', '']) }) ?? '', /Value '\{a=\}' at 'tags' .* Map value must satisfy/)
})
test('of very many entries so many are looked at as are shown', () => {
  const count = 145_000
  const entries = Array.from({ length: count }, (_, i) => [`key-${i}`, 'x'.repeat(90)] as const)
  const tags = new Counted(entries)
  const words = said({ Tags: tags }) ?? ''
  assert.ok(words.includes('key-0=xxx'))
  assert.ok(words.length > 3 * shownMax && words.length < 3 * shownMax + 1_000)
  assert.ok(tags.shown < shownMax / 90, `${tags.shown} entries were written out`)
  const given = read(shape, { Tags: Object.fromEntries(entries) })['Tags'] as Map<string, string>
  assert.ok(given.size > 200 && given.size < count / 5, `${given.size} entries were taken`)
})
test('of a request that is right nothing is written out', () => {
  const tags = new Counted([['a', '1']])
  assert.equal(said({ Tags: tags }), null)
  assert.equal(tags.shown, 0)
})
