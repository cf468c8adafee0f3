import assert from 'node:assert/strict'
import { test } from 'node:test'
import { murmur2 } from '../../../src/lib/murmur2.ts'
import { NewestOffsets } from '../../../src/log/local/compaction/newest-offsets.ts'

/** Notes the keys at rising offsets, in bytes around them, and asks for each record whether a newer one is there. */
function check(keys: readonly string[]): NewestOffsets {
  const newest = new NewestOffsets()
  const expected = new Map<string, number>()
  const bytesOf = (key: string): [Buffer, number, number] => {
    const bytes = Buffer.from(`<${key}>`, 'latin1')
    return [bytes, 1, bytes.length - 1]
  }
  for (const [offset, key] of keys.entries()) {
    newest.note(...bytesOf(key), offset)
    expected.set(key, offset)
  }
  for (const [offset, key] of keys.entries())
    if (newest.hasNewer(...bytesOf(key), offset) !== expected.get(key)! > offset)
      assert.fail(`${JSON.stringify(key)} at ${offset}, newest ${expected.get(key)}`)
  assert.equal(newest.hasNewer(...bytesOf('a key that nobody wrote'), 0), false)
  return newest
}

test('of many keys the newest is known, also of those whose hashes are equal', () => {
  const keys = Array.from({ length: 300_000 }, (_, i) => `key ${i.toString(36)}`)
  const hashes = new Map<number, string>()
  const equal = keys.filter((key) => {
    const hash = murmur2(Buffer.from(key, 'latin1'))
    const other = hashes.get(hash)
    hashes.set(hash, key)
    return other !== undefined
  })
  assert.ok(equal.length > 0, 'there are such')
  // Each once; then every third again, among them keys whose hash another has.
  check([...keys, ...keys.filter((_, i) => i % 3 === 0), ...equal])
})
test('keys that all want one place are known too, and so are those that come after', () => {
  const crowded: string[] = []
  for (let i = 0; crowded.length < 500; i++) {
    const key = `k${i}`
    if ((murmur2(Buffer.from(key, 'latin1')) & 1023) === 7) crowded.push(key)
  }
  const others = Array.from({ length: 5_000 }, (_, i) => `other ${i}`)
  check([...crowded, ...crowded.slice(100), ...others, ...crowded.slice(200), ...others.slice(2_000), ...crowded])
})
test('a key may be empty, or longer than a page, and counts with its bytes', () => {
  const long = 'x'.repeat(3 << 19)
  const page = 'y'.repeat(1 << 20)
  const newest = check(['', long, `${long}2`, '', page, '', 'a', page, long, 'a'.repeat(1_048_575), ''])
  assert.ok(newest.bytes > long.length * 2 + page.length && newest.bytes < long.length * 3 + page.length)
})
