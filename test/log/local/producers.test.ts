import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Fault } from '../../../src/lib/fault.ts'
import { readBatchHeader } from '../../../src/store/batch-header.ts'
import { AbortedTransactions } from '../../../src/log/local/aborted.ts'
import { decodeProducers, encodeProducers } from '../../../src/log/local/producer-snapshot.ts'
import { ProducerTable, sequenceAfter } from '../../../src/log/local/producers.ts'
import { batch, off } from './support.ts'

const header = (sequence: number, count = 1, epoch = 0, transactional = false) =>
  readBatchHeader(
    batch(
      Array.from({ length: count }, () => 'x'),
      { producerId: 7, epoch, sequence, transactional },
    ),
  )

function table(): { offer(sequence: number, count?: number, epoch?: number): string; table: ProducerTable } {
  const producers = new ProducerTable()
  let end = 0
  return {
    table: producers,
    offer(sequence, count = 1, epoch = 0) {
      const offered = header(sequence, count, epoch)
      try {
        const repeated = producers.check(offered)
        if (repeated !== null) return `again ${repeated.baseOffset}`
        producers.appended(offered, { baseOffset: off(end), appendTimeMs: -1, nowMs: 1 })
        end += count
        return `at ${end - count}`
      } catch (error) {
        if (error instanceof Fault) return error.code
        throw error
      }
    },
  }
}

test('the last five batches are answered again, older ones are duplicates, gaps are out of order', () => {
  const { offer } = table()
  for (let i = 0; i < 6; i++) assert.equal(offer(i * 2, 2), `at ${i * 2}`)
  assert.equal(offer(2, 2), 'again 2')
  assert.equal(offer(10, 2), 'again 10')
  assert.equal(offer(0, 2), 'log.duplicate-sequence')
  assert.equal(offer(13, 2), 'log.out-of-order-sequence')
  assert.equal(offer(11, 2), 'log.out-of-order-sequence', 'half old, half new')
  assert.equal(offer(12, 2), 'at 12')
})
test('a producer that is not known may begin anywhere, one with a new epoch at 0 only', () => {
  const { offer } = table()
  assert.equal(offer(500), 'at 0')
  assert.equal(offer(501, 1, 1), 'log.out-of-order-sequence')
  assert.equal(offer(0, 1, 1), 'at 1')
  assert.equal(offer(502, 1, 0), 'log.invalid-producer-epoch')
})
test('sequences go on at 0 after 2^31 − 1', () => {
  const { offer } = table()
  const last = 2 ** 31 - 2
  assert.equal(offer(last, 3), 'at 0')
  assert.equal(sequenceAfter(last, 3), 1)
  assert.equal(offer(1, 1), 'at 3')
  assert.equal(offer(last, 3), 'again 0')
  assert.equal(offer(last - 5, 5), 'log.duplicate-sequence')
})
test('a marker fences what its transaction sent late', () => {
  const { offer, table: producers } = table()
  producers.appended(header(0, 2, 3, true), { baseOffset: off(0), appendTimeMs: -1, nowMs: 1 })
  assert.equal(producers.firstOpen(), 0)
  assert.equal(producers.ended(7, 4, 2), 0)
  assert.equal(producers.firstOpen(), null)
  assert.equal(offer(2, 1, 3), 'log.invalid-producer-epoch')
  assert.equal(offer(0, 1, 4), 'at 0')
})
test('silent producers are forgotten, those in a transaction are not', () => {
  const producers = new ProducerTable()
  const one = (producerId: number, transactional: boolean, nowMs: number): void =>
    producers.appended(readBatchHeader(batch(['x'], { producerId, transactional })), {
      baseOffset: off(producerId),
      appendTimeMs: -1,
      nowMs,
    })
  one(1, false, 10)
  one(2, true, 10)
  one(3, false, 20)
  producers.forgetSilent(15)
  assert.deepEqual([...producers.producers.keys()], [2, 3])
})
test('a snapshot brings everything back, and bytes that are not one are not taken', () => {
  const { offer, table: producers } = table()
  for (let i = 0; i < 7; i++) offer(i)
  producers.appended(readBatchHeader(batch(['x'], { producerId: 9, transactional: true })), {
    baseOffset: off(50),
    appendTimeMs: 1234,
    nowMs: 5,
  })
  const aborted = new AbortedTransactions()
  aborted.add({ producerId: 3, first: off(1), last: off(4) })
  const bytes = encodeProducers(producers, aborted)
  const back = decodeProducers(bytes)
  assert.deepEqual(back?.table.producers, producers.producers)
  assert.deepEqual(back?.table.openTransactions, producers.openTransactions)
  assert.deepEqual(back?.aborted.all, aborted.all)
  assert.equal(decodeProducers(bytes.subarray(0, 20)), null)
  assert.equal(decodeProducers(new Uint8Array([9, 9, 9])), null)
})
test('aborted transactions that touch a range are found, and only those', () => {
  fc.assert(
    fc.property(
      fc.array(fc.tuple(fc.nat(50), fc.nat(20)), { maxLength: 20 }),
      fc.nat(60),
      fc.nat(60),
      (lengths, from, length) => {
        const aborted = new AbortedTransactions()
        const all = lengths
          .map(([first, more], producerId) => ({ producerId, first: off(first), last: off(first + more + 1) }))
          .sort((a, b) => a.last - b.last)
        for (const one of all) aborted.add(one)
        const found = aborted.overlapping(off(from), off(from + length))
        const expected = all.filter((one) => one.last >= from && one.first < from + length)
        assert.deepEqual(
          new Set(found.map(({ producerId }) => producerId)),
          new Set(expected.map(({ producerId }) => producerId)),
        )
        assert.deepEqual(
          found.map(({ first }) => first),
          found.map(({ first }) => first).sort((a, b) => a - b),
        )
      },
    ),
  )
})
