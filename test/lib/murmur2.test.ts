import assert from 'node:assert/strict'
import { test } from 'node:test'
import { keyPartition, murmur2 } from '../../src/lib/murmur2.ts'

test('keys hash as in the Java client (its own test values)', () => {
  const known: [string, number][] = [
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
  ]
  for (const [key, hash] of known) assert.equal(murmur2(Buffer.from(key)), hash, key)
  assert.equal(keyPartition(Buffer.from('21'), 1000), (-973932308 & 0x7fffffff) % 1000)
})
