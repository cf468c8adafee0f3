/**
 * A checker that cannot fail proves nothing: each way of breaking a log is planted into a run that was right, and the
 * check must name it. The run has an idempotent producer (0) and one that never repeats (1), interleaved.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type LogRecord } from '../../src/log/batch.ts'
import { History, LogCheck, type ViolationKind } from './history.ts'
import { batchOf, damaged, idOf, readBatch, type ReadRecord, recordId, valueOf } from './records.ts'

const partition = 'a/0'
const total = 40

/** Records in turn from both producers; all acknowledged, the first 30 seen; the last of each producer unanswered. */
function rightRun(): { history: History; log: ReadRecord[] } {
  const history = new History()
  history.sender(0, partition, true)
  history.sender(1, partition, false)
  const log: ReadRecord[] = []
  for (let offset = 0; offset < total; offset++) {
    const id = recordId(offset % 2, Math.floor(offset / 2))
    history.sent(id, 1)
    log.push({ offset, id })
    if (offset < total - 2) history.acknowledged(id, 1, offset)
    if (offset < 30) history.seen(partition, { offset, id })
    history.watermark(partition, Math.min(offset, 30))
  }
  return { history, log }
}

function kinds(history: History, log: readonly ReadRecord[], end = log.length): Set<ViolationKind> {
  const check = new LogCheck(history, partition)
  for (const record of log) check.record(record)
  check.end(end)
  return new Set([...history.violations, ...check.violations].map((violation) => violation.kind))
}
const renumber = (log: readonly ReadRecord[]): ReadRecord[] => log.map(({ id }, offset) => ({ offset, id }))

describe('a right run passes', () => {
  test('with all that was sent', () => {
    const { history, log } = rightRun()
    assert.deepEqual(kinds(history, log), new Set())
  })
  test('without what was sent and never answered', () => {
    const { history, log } = rightRun()
    assert.deepEqual(kinds(history, log.slice(0, total - 2)), new Set())
  })
  test('in pieces as in one go', () => {
    const { history, log } = rightRun()
    const check = new LogCheck(history, partition)
    for (const record of log.slice(0, total - 2)) check.record(record)
    check.end(total - 2)
    for (const record of log.slice(total - 2)) check.record(record)
    check.end(total)
    assert.deepEqual(check.violations, [])
  })
})

describe('a planted fault is caught', () => {
  const planted: readonly (readonly [says: string, expected: ViolationKind, ReturnType<typeof rightRun>['log']])[] = [
    ['an acknowledged record missing at the end', 'lost', rightRun().log.slice(0, total - 3)],
    ['an acknowledged record missing in the middle', 'lost', renumber(rightRun().log.filter((_, i) => i !== 35))],
    ['a seen record missing, later ones moved up', 'gone', renumber(rightRun().log.filter((_, i) => i !== 11))],
    ['a seen record beyond the end', 'gone', rightRun().log.slice(0, 25)],
    ['the end below a watermark that was told', 'receded', rightRun().log.slice(0, 29)],
    ['an idempotent record twice', 'doubled', renumber([...rightRun().log, rightRun().log[0]!])],
    ['a record twice that was sent once', 'doubled', renumber([...rightRun().log, rightRun().log[1]!])],
    ['two records of a producer exchanged', 'reordered', renumber(swap(rightRun().log, 36, 38))],
    ['a hole in an idempotent sequence', 'hole', renumber(rightRun().log.filter((_, i) => i !== 36))],
    ['an offset left out', 'gap', rightRun().log.map((r, i) => (i < 39 ? r : { ...r, offset: r.offset + 1 }))],
    ['other bytes', 'changed', rightRun().log.map((r, i) => (i === 39 ? { ...r, id: damaged } : r))],
    ['a record nobody sent', 'foreign', [...rightRun().log, { offset: total, id: recordId(0, 999) }]],
    ['a record of an unknown producer', 'foreign', [...rightRun().log, { offset: total, id: recordId(7, 0) }]],
    ['a seen record in another order', 'gone', renumber(swap(rightRun().log, 4, 6))],
  ]
  for (const [says, expected, log] of planted) {
    test(`${expected}: ${says}`, () => {
      const found = kinds(rightRun().history, log)
      assert.ok(found.has(expected), `found ${[...found].join(', ') || 'nothing'}`)
    })
  }
  test('gap: the log tells an end that it does not reach', () => {
    const { history, log } = rightRun()
    assert.ok(kinds(history, log, total + 1).has('gap'))
  })
  test('gone: a consumer is given two records at one offset', () => {
    const { history, log } = rightRun()
    history.seen(partition, { offset: 3, id: recordId(1, 7) })
    assert.ok(kinds(history, log).has('gone'))
  })
  test('changed: a consumer is given damaged bytes', () => {
    const { history, log } = rightRun()
    history.seen(partition, { offset: 3, id: damaged })
    assert.ok(kinds(history, log).has('changed'))
  })
  test('lost: one offset acknowledged for two records', () => {
    const { history, log } = rightRun()
    history.acknowledged(recordId(0, 5), 1, 2)
    assert.ok(kinds(history, log).has('lost'))
  })
  test('lost: acknowledged as a repetition and not there', () => {
    const { history, log } = rightRun()
    history.sent(recordId(0, 20), 1)
    history.acknowledged(recordId(0, 20), 1, null)
    assert.ok(kinds(history, log).has('lost'))
  })
})

describe('records prove themselves', () => {
  test('what was sent is recognised after a batch of any size', () => {
    for (const first of [recordId(0, 0), recordId(3, 100), recordId(900, 2_000_000)]) {
      const read = readBatch(batchOf(first, 70, { producerId: 5, epoch: 0 }))
      assert.deepEqual(
        read.map(({ id }) => id),
        Array.from({ length: 70 }, (_, i) => first + i),
      )
    }
  })
  test('any single changed bit of a value is noticed', () => {
    const id = recordId(2, 77)
    const right = valueOf(id)
    for (let bit = 0; bit < right.length * 8; bit++) {
      const value = Buffer.from(right)
      value[bit >> 3]! ^= 1 << (bit & 7)
      assert.notEqual(idOf(recordWith(value)), id, `bit ${bit}`)
    }
    assert.equal(idOf(recordWith(right)), id)
    assert.equal(idOf(recordWith(null)), damaged)
  })
})

function recordWith(value: Uint8Array | null): LogRecord {
  return { offset: 0, timeMs: 0, key: null, value, headers: [] }
}
function swap(log: readonly ReadRecord[], a: number, b: number): ReadRecord[] {
  const swapped = [...log]
  ;[swapped[a], swapped[b]] = [log[b]!, log[a]!]
  return swapped
}
