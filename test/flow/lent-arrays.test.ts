import assert from 'node:assert/strict'
import { test } from 'node:test'
import { type Batch, emptyBatch } from '../../src/flow/batch.ts'
import { lending, lentBytes, lentDoubles, lentInts } from '../../src/flow/lent-arrays.ts'
import { drop, instead } from '../../src/lib/free.ts'

const length = 1_000
function batchOf(data: Float64Array, valid: Uint8Array | null, source: Int32Array): Batch {
  const { rows } = emptyBatch
  return { ...emptyBatch, count: 1, columns: [{ kind: 'f64', data, valid }], rows: { ...rows, source } }
}

test('arrays are used again when a step is over, but those that its result has, and what failed of it', () => {
  const taken: unknown[] = []
  lending(() => {
    const [kept, failed, given] = [lentDoubles(length), lentDoubles(length), lentDoubles(length)]
    const [valid, passed] = [lentBytes(length), lentBytes(length)]
    const [source, numbers] = [lentInts(length), lentInts(length)]
    taken.push(given, passed, numbers)
    const bad = { batch: batchOf(failed, null, source), faults: [] }
    return [{ ...batchOf(kept, valid, source), failed: bad }]
  })
  const again: unknown[] = []
  lending(() => {
    again.push(lentDoubles(length), lentBytes(length), lentInts(length))
    // There are no more.
    for (const array of [lentDoubles(length), lentBytes(length), lentInts(length)]) assert.ok(!taken.includes(array))
    return []
  })
  assert.deepEqual(
    again.map((array, i) => array === taken[i]),
    [true, true, true],
  )
})
test('what a step took that threw is not used again, and outside of steps nothing is', () => {
  const taken = new Set<unknown>()
  const take = (): Float64Array => {
    const array = lentDoubles(3_000)
    assert.ok(array.length >= 3_000 && !taken.has(array))
    taken.add(array)
    return array
  }
  assert.throws(
    () =>
      lending(() => {
        take()
        throw new Error('broken by a test')
      }),
    /broken/,
  )
  for (let i = 0; i < 3; i++) assert.equal(take().length, 3_000)
  lending(() => {
    take()
    // A step within a step is one with it.
    lending(() => [])
    take()
    return []
  })
})
test('what is too short or too long is made as it is asked for', () => {
  lending(() => {
    assert.equal(lentInts(10).length, 10)
    assert.equal(lentInts(1_000_000).length, 1_000_000)
    assert.equal(lentInts(0).length, 0)
    return []
  })
})
test('an array in the place of another has what that had, which is empty then; a part of one leaves it', () => {
  const old = Int32Array.of(1, 2, 3)
  assert.deepEqual([...instead(new Int32Array(5), old)], [1, 2, 3, 0, 0])
  assert.equal(old.length, 0)
  const whole = Float64Array.of(1, 2, 3)
  assert.deepEqual([...instead(new Float64Array(3), whole.subarray(1))], [2, 3, 0])
  drop(whole.subarray(0, 2))
  assert.deepEqual([...whole], [1, 2, 3])
})
