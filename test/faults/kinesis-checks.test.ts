/** A checker that cannot fail proves nothing: each fault is planted into a right run, and must be named. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import {
  type RecordRow,
  type ShardRow,
  Written,
  changedProblems,
  recordProblems,
  shardProblems,
} from './kinesis-checks.ts'
import { QueueLedger } from './kinesis-queue.ts'

const middle = 2n ** 127n
const all = 2n ** 128n - 1n
/** 0 was split into 1 and 2; 1 and 2 were merged into 3. */
const rows: readonly ShardRow[] = [
  { id: '0', parents: [], from: 0n, to: all, first: 100n, last: 199n },
  { id: '1', parents: ['0'], from: 0n, to: middle - 1n, first: 200n, last: 299n },
  { id: '2', parents: ['0'], from: middle, to: all, first: 200n, last: 299n },
  { id: '3', parents: ['1', '2'], from: 0n, to: all, first: 300n, last: null },
]
const changedRow = (id: string, change: Partial<ShardRow>): ShardRow[] =>
  rows.map((row) => (row.id === id ? { ...row, ...change } : row))
const without = (id: string): ShardRow[] => rows.filter((row) => row.id !== id)

describe('shards', () => {
  test('that are right pass', () => {
    assert.deepEqual(shardProblems(rows), [])
    assert.deepEqual(changedProblems(rows, rows), [])
  })
  const planted: readonly (readonly [name: string, rows: readonly ShardRow[], says: RegExp])[] = [
    ['a gap of hash keys', changedRow('3', { from: 1n }), /held by none or by two/],
    ['hash keys that nobody has at the end', changedRow('3', { to: all - 1n }), /end at/],
    ['hash keys of two', [...rows, { ...rows[3]!, id: '4', from: middle }], /held by none or by two/],
    ['a closed shard without children', without('3'), /has no children/],
    ['a parent that is open', changedRow('2', { last: null }), /is open and has the child/],
    ['a child that begins before its parent ends', changedRow('3', { first: 299n }), /its parent 1 ends at/],
    ['a shard that ends before it begins', changedRow('1', { last: 150n }), /before it begins/],
    ['a shard twice', [...rows, rows[3]!], /listed twice/],
  ]
  for (const [name, wrong, says] of planted)
    test(`${name} is named`, () => assert.match(shardProblems(wrong).join('\n'), says))
  test('what changes behind its back is named', () => {
    assert.match(changedProblems(rows, without('1')).join(), /1 is not there any more/)
    for (const change of [{ to: 5n }, { first: 201n }, { last: 298n }, { last: null }, { parents: [] }])
      assert.match(changedProblems(rows, changedRow('1', change)).join(), /1 is not as it was/)
    assert.deepEqual(changedProblems(changedRow('3', {}), changedRow('3', { last: 999n })), [])
  })
})

describe('records', () => {
  const read: readonly RecordRow[] = [
    { shard: '0', text: 'a:0', sequence: 110n },
    { shard: '0', text: 'b:0', sequence: 120n },
    { shard: '1', text: 'a:1', sequence: 210n },
    { shard: '2', text: 'b:2', sequence: 210n },
    { shard: '3', text: 'a:2', sequence: 310n },
    { shard: '3', text: 'b:3', sequence: 320n },
  ]
  const problems = (found: readonly RecordRow[]): string => {
    const written = new Written()
    for (const { text, shard, sequence } of read) written.acknowledged.set(text, { shard, sequence })
    written.acknowledged.delete('a:1')
    written.unknown.add('a:1')
    written.refused.add('b:1')
    return recordProblems(written, found, rows).join('\n')
  }
  const changed = (i: number, change: Partial<RecordRow>): RecordRow[] =>
    read.map((row, at) => (at === i ? { ...row, ...change } : row))

  test('that are right pass, with and without what was not answered', () => {
    assert.equal(problems(read), '')
    assert.equal(problems(read.toSpliced(2, 1)), '')
  })
  const planted: readonly (readonly [name: string, read: readonly RecordRow[], says: RegExp])[] = [
    ['a lost record', read.toSpliced(4, 1), /a:2 was acknowledged in 3, and is lost/],
    ['a record twice', [...read, { shard: '3', text: 'b:2', sequence: 330n }], /b:2 was read twice/],
    ['a child before its parent', read.toSpliced(0, 3, read[2]!, read[0]!, read[1]!), /a:0 came after a:1/],
    ['another place', changed(5, { sequence: 330n }), /acknowledged as 3\/320, and is 3\/330/],
    ['sequence numbers that do not rise', changed(1, { sequence: 110n }), /not behind the one before it in 0/],
    ['a number outside of its shard', changed(4, { sequence: 299n }), /outside of 3/],
    ['what was refused', [...read, { shard: '3', text: 'b:1', sequence: 330n }], /b:1 was refused, and is in 3/],
    ['what nobody sent', [...read, { shard: '3', text: 'c:1', sequence: 330n }], /c:1 was never sent/],
    ['a shard that is not there', changed(5, { shard: '9' }), /which is not listed/],
  ]
  for (const [name, wrong, says] of planted) test(`${name} is named`, () => assert.match(problems(wrong), says))
})

describe('queues', () => {
  test('what is acknowledged once passes; what comes again after that, and what never comes, is named', () => {
    const ledger = new QueueLedger()
    for (const text of ['a:0', 'a:0', 'a:1']) ledger.receive(text)
    ledger.acknowledge('a:0')
    assert.deepEqual(ledger.problems, [])
    assert.deepEqual(ledger.missing(['a:0', 'a:1']), [])
    assert.deepEqual(ledger.missing(['a:0', 'a:1', 'a:2']), ['a:2'])
    ledger.receive('a:1')
    assert.deepEqual(ledger.problems, [])
    ledger.receive('a:0')
    assert.deepEqual(ledger.problems, ['a:0 was received again after it was acknowledged'])
  })
})
