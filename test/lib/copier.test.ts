import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Copier } from '../../src/lib/bytes.ts'

test('a copier copies pieces of any length as a buffer does, between arrays that change and that begin anywhere', () => {
  const whole = Buffer.from(Uint8Array.from({ length: 4_096 }, (_, i) => (i * 131 + (i >> 8)) & 255))
  const froms = [whole, whole.subarray(3, 2_000), new Uint8Array(whole.buffer, whole.byteOffset + 5, 3_000)]
  const tos = [Buffer.alloc(2_048), Buffer.alloc(4_096).subarray(7, 2_055), new Uint8Array(2_048)]
  const copier = new Copier()
  let seed = 1
  const next = (below: number): number => (seed = (seed * 48_271) % 2_147_483_647) % below
  let [from, to] = [froms[0]!, tos[0]!]
  for (let i = 0; i < 20_000; i++) {
    // The same two for a while, as state does.
    if (next(5) === 0) [from, to] = [froms[next(3)]!, tos[next(3)]!]
    const length = next(i % 2 === 0 ? 30 : 300)
    const start = next(from.length - length + 1)
    const at = next(to.length - length + 1)
    const wanted = Buffer.from(to)
    Buffer.from(from.buffer, from.byteOffset, from.length).copy(wanted, at, start, start + length)
    copier.copy(from, start, start + length, to, at)
    assert.ok(wanted.equals(to), `${length} bytes from ${start} to ${at}`)
  }
})
