import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { Fault } from '../../../src/lib/fault.ts'
import { QueuePartition, type Rules } from '../../../src/log/queues/queue-partition.ts'
import type { Outcome } from '../../../src/log/queues/queues.ts'

const rules: Rules = {
  deliveriesMax: 3,
  lockMs: 100,
  mayRenew: true,
  releaseDelayMs: 0,
  releaseDelayMaxMs: 0,
  keepsLocks: false,
}
const clock = { nowMs: 0, wallMs: 1_000 }

/** A queue over a log that holds batches of ten. */
class Box {
  machine = new QueuePartition()
  nowMs = 0
  constructor(start = 0) {
    this.machine.begin(start)
  }
  take(member: string, recordsMax: number, more: { exact?: boolean; locksMax?: number; logEnd?: number } = {}) {
    const { exact = true, locksMax = 1_000, logEnd = 1_000 } = more
    const from = this.machine.nextAvailable(this.nowMs) ?? this.machine.end
    const extents = []
    for (let first = from; first < Math.min(logEnd, from + 100); first = 10 * Math.floor(first / 10) + 10)
      extents.push({ first, last: Math.min(logEnd - 1, 10 * Math.floor(first / 10) + 9) })
    const next = (extents.at(-1)?.last ?? from - 1) + 1
    const options = { member, recordsMax, exact, locksMax, nowMs: this.nowMs, rules, lockMs: 100, wallMs: 0 }
    return this.machine
      .take({ from, next, extents }, options)
      .map(({ first, last, deliveries }) => [first, last, deliveries])
  }
  settle(member: string, first: number, last: number, ...outcomes: Outcome[]) {
    return this.machine.settle(member, [{ first, last, outcomes }], { rules, nowMs: this.nowMs })
  }
  settled(member: string, first: number, last: number, ...outcomes: Outcome[]) {
    const change = this.settle(member, first, last, ...outcomes)
    this.machine.settled(change)
    return change
  }
  restarted(): Box {
    const next = new Box()
    next.machine = new QueuePartition()
    next.machine.restore(this.machine.stored(clock), true, clock)
    return next
  }
}
const refused = (call: () => unknown, code: string): void => {
  assert.throws(call, (error: unknown) => error instanceof Fault && error.code === code)
}

test('records are given out in order, each to one member', () => {
  const box = new Box()
  assert.deepEqual(box.take('a', 3), [[0, 2, 1]])
  assert.deepEqual(box.take('b', 2), [[3, 4, 1]])
})
test('without an exact limit a batch of the log is given out whole, as far as the locks reach', () => {
  const box = new Box()
  assert.deepEqual(box.take('a', 3, { exact: false }), [[0, 9, 1]])
  assert.deepEqual(box.take('b', 3, { exact: false, locksMax: 15 }), [[10, 14, 1]])
  assert.deepEqual(box.take('b', 3, { exact: false, locksMax: 15 }), [])
})
test('the start moves over what is durably over, and no further', () => {
  const box = new Box()
  box.take('a', 4)
  const second = box.settle('a', 1, 1, 'accept')
  box.machine.settled(second)
  assert.equal(box.machine.start, 0)
  const first = box.settle('a', 0, 0, 'reject')
  assert.equal(box.machine.start, 0, 'it is not durable yet')
  box.machine.settled(first)
  assert.equal(box.machine.start, 2)
})
test('what could not be stored is with its member again, for a second at least', () => {
  const box = new Box()
  box.take('a', 2)
  const change = box.settle('a', 0, 1, 'accept')
  box.machine.undo(change, 50)
  assert.equal(box.machine.nextMs(50), 1_050)
  box.settled('a', 0, 1, 'accept')
  assert.equal(box.machine.start, 2)
})
test('what is being stored is nobody’s: not to be settled, released or given out', () => {
  const box = new Box()
  box.take('a', 1)
  const change = box.settle('a', 0, 0, 'release')
  refused(() => box.settle('a', 0, 0, 'accept'), 'log.record-not-held')
  assert.ok(box.machine.expire(rules, 1e9).isEmpty)
  assert.deepEqual(box.take('b', 1), [[1, 1, 1]])
  box.machine.settled(change)
  assert.deepEqual(box.take('b', 1), [[0, 0, 2]])
})
test('only who holds a record settles it, all of a request or nothing', () => {
  const box = new Box()
  box.take('a', 2)
  box.take('b', 1)
  refused(() => box.settle('b', 0, 2, 'accept'), 'log.record-not-held')
  refused(() => box.settle('a', 0, 2, 'accept'), 'log.record-not-held')
  refused(() => box.settle('a', 0, 50, 'accept'), 'log.invalid-acknowledgement')
  refused(() => box.settle('a', 7, 8, 'accept'), 'log.invalid-acknowledgement')
  refused(() => box.settle('a', 1, 0, 'accept'), 'log.invalid-acknowledgement')
  refused(() => box.settle('a', 0, 1), 'log.invalid-acknowledgement')
  refused(() => box.settle('a', 0, 1, 'accept', 'accept', 'accept'), 'log.invalid-acknowledgement')
  const twice = [0, 0].map((first) => ({ first, last: first, outcomes: ['accept' as const] }))
  refused(() => box.machine.settle('a', twice, { rules, nowMs: 0 }), 'log.record-not-held')
  box.settled('a', 0, 1, 'accept', 'reject')
  assert.equal(box.machine.start, 2)
  assert.ok(box.settle('a', 0, 1, 'accept').isEmpty, 'what lies before the start is over')
})
test('a lock that ends gives the record to others, counted; the last delivery goes alone, then it is given up', () => {
  const box = new Box()
  box.take('a', 3)
  for (const deliveries of [1, 2]) {
    box.nowMs = box.machine.nextMs(box.nowMs)
    const change = box.machine.expire(rules, box.nowMs)
    assert.equal(change.dead.length, 0)
    box.machine.settled(change)
    if (deliveries === 1) assert.deepEqual(box.take('a', 3), [[0, 2, 2]])
  }
  assert.deepEqual(box.take('a', 3), [[0, 0, 3]])
  assert.deepEqual(box.take('b', 3), [[1, 1, 3]])
  box.nowMs = box.machine.nextMs(box.nowMs)
  const change = box.machine.expire(rules, box.nowMs)
  assert.deepEqual(
    change.dead.map(({ first, last, deliveries }) => [first, last, deliveries]),
    [
      [0, 0, 3],
      [1, 1, 3],
    ],
  )
  box.machine.settled(change)
  assert.equal(box.machine.start, 2)
})
test('a lock that is renewed begins anew, where the group allows it', () => {
  const box = new Box()
  box.take('a', 2)
  box.nowMs = 60
  assert.ok(box.settled('a', 0, 0, 'renew').isEmpty, 'nothing to store')
  box.nowMs = 100
  box.machine.settled(box.machine.expire(rules, 100))
  assert.deepEqual(box.take('b', 5), [
    [1, 1, 2],
    [2, 5, 1],
  ])
  const by = { rules: { ...rules, mayRenew: false }, nowMs: 0 }
  const settlement = { first: 0, last: 0, outcomes: ['renew' as const] }
  refused(() => box.machine.settle('a', [settlement], by), 'log.invalid-acknowledgement')
})
test('a delay holds a released record back, also over a restart', () => {
  const box = new Box()
  box.take('a', 1)
  const settlement = { first: 0, last: 0, outcomes: ['release' as const], delayMs: 500 }
  box.machine.settled(box.machine.settle('a', [settlement], { rules, nowMs: 0 }))
  for (const one of [box, box.restarted()]) {
    assert.equal(one.machine.nextAvailable(499), null)
    assert.equal(one.machine.nextMs(0), 500)
    assert.equal(one.machine.nextAvailable(500), 0)
  }
})
test('what the log has no records for is over', () => {
  const box = new Box()
  const options = { member: 'a', recordsMax: 10, exact: true, locksMax: 100, nowMs: 0, rules, lockMs: 100, wallMs: 0 }
  const extents = [
    { first: 3, last: 4 },
    { first: 8, last: 8 },
  ]
  const taken = box.machine.take({ from: 0, next: 12, extents }, options)
  assert.deepEqual(
    taken.map(({ first, last }) => [first, last]),
    [
      [3, 4],
      [8, 8],
    ],
  )
  assert.equal(box.machine.start, 3)
  assert.equal(box.machine.open, 3)
  box.settled('a', 3, 4, 'accept')
  assert.equal(box.machine.start, 8)
  box.settled('a', 8, 8, 'accept')
  assert.equal(box.machine.start, 12)
})
test('what retention takes is over, whoever holds it', () => {
  const box = new Box()
  box.take('a', 5)
  const change = box.settle('a', 1, 2, 'release')
  box.machine.trim(3)
  assert.equal(box.machine.start, 3)
  box.machine.undo(change, 0)
  assert.equal(box.machine.start, 3)
  box.settled('a', 0, 4, 'accept')
  assert.equal(box.machine.start, 5)
})
test('of a delivery that is under way nothing is stored; what ended is, with its count', () => {
  const box = new Box()
  box.take('a', 4)
  box.settled('a', 1, 1, 'accept')
  box.settled('a', 2, 2, 'release')
  const again = box.restarted()
  assert.deepEqual(again.take('b', 9, { logEnd: 4 }), [
    [0, 0, 1],
    [2, 2, 2],
    [3, 3, 1],
  ])
})
test('a state holds what is on its way to the disk before it, and nothing else that is not there', () => {
  const box = new Box()
  box.take('a', 3)
  const queued = box.settle('a', 0, 0, 'accept')
  queued.queued = true
  box.settle('a', 1, 1, 'accept')
  const again = box.restarted()
  assert.equal(again.machine.start, 1)
  assert.deepEqual(again.take('b', 9, { logEnd: 2 }), [[1, 1, 1]])
})

test('against a list of records, whatever is done: the same is given out, held and over', () => {
  const step = fc.oneof(
    fc.record({
      kind: fc.constant('take' as const),
      member: fc.constantFrom('a', 'b'),
      count: fc.integer({ min: 1, max: 15 }),
    }),
    fc.record({
      kind: fc.constant('settle' as const),
      member: fc.constantFrom('a', 'b'),
      first: fc.nat(30),
      count: fc.integer({ min: 1, max: 6 }),
      outcome: fc.constantFrom<Outcome>('accept', 'release', 'reject', 'gap'),
      fails: fc.boolean(),
    }),
    fc.record({ kind: fc.constant('wait' as const), ms: fc.nat(150) }),
    fc.record({ kind: fc.constant('release' as const), member: fc.constantFrom('a', 'b') }),
    fc.record({ kind: fc.constant('restart' as const) }),
  )
  const logEnd = 40
  fc.assert(
    fc.property(fc.array(step, { maxLength: 40 }), (steps) => {
      let box = new Box()
      const list = Array.from({ length: logEnd }, () => ({ state: 'free', count: 0, member: '', untilMs: 0 }))
      const free = (i: number): void => {
        const one = list[i]!
        one.state = one.count >= rules.deliveriesMax ? 'over' : 'free'
      }
      const expire = (): void => {
        const change = box.machine.expire(rules, box.nowMs)
        box.machine.settled(change)
        list.forEach((one, i) => {
          if (one.state === 'held' && one.untilMs <= box.nowMs) free(i)
        })
      }
      for (const one of steps) {
        if (one.kind === 'take') {
          const given = box.take(one.member, one.count, { logEnd })
          const expected: number[] = []
          for (let i = 0; i < logEnd && expected.length < one.count; i++) {
            const record = list[i]!
            if (record.state !== 'free') continue
            const isLast = record.count + 1 >= rules.deliveriesMax
            if (isLast && expected.length > 0) break
            expected.push(i)
            if (isLast) break
          }
          const offsets = given.flatMap(([first, last]) =>
            Array.from({ length: last! - first! + 1 }, (_, i) => first! + i),
          )
          assert.deepEqual(offsets, expected)
          for (const i of expected) {
            const record = list[i]!
            Object.assign(record, { state: 'held', count: record.count + 1, member: one.member })
            record.untilMs = box.nowMs + rules.lockMs
          }
        } else if (one.kind === 'settle') {
          const last = one.first + one.count - 1
          const start = box.machine.start!
          const range = list.slice(Math.max(one.first, start), last + 1)
          const isHeld = range.every(({ state, member }) => state === 'held' && member === one.member)
          const isKnown = last < box.machine.end || last < start
          if (!isHeld || !isKnown) {
            assert.throws(() => box.settle(one.member, one.first, last, one.outcome), Fault)
            continue
          }
          const change = box.settle(one.member, one.first, last, one.outcome)
          if (one.fails) {
            box.machine.undo(change, box.nowMs)
            for (const record of range) record.untilMs = Math.max(record.untilMs, box.nowMs + 1_000)
            continue
          }
          box.machine.settled(change)
          range.forEach((record, i) => {
            if (one.outcome === 'release') free(Math.max(one.first, start) + i)
            else record.state = 'over'
          })
        } else if (one.kind === 'wait') {
          box.nowMs += one.ms
          expire()
        } else if (one.kind === 'release') {
          box.machine.settled(box.machine.release(one.member, rules, box.nowMs))
          list.forEach((record, i) => {
            if (record.state === 'held' && record.member === one.member) free(i)
          })
        } else {
          const { nowMs } = box
          box = box.restarted()
          box.nowMs = nowMs
          // Nobody holds anything any more, and those deliveries do not count.
          for (const record of list)
            if (record.state === 'held') Object.assign(record, { state: 'free', count: record.count - 1 })
        }
        const firstOpen = list.findIndex(({ state }) => state !== 'over')
        const start = firstOpen < 0 ? logEnd : firstOpen
        assert.equal(box.machine.start, start)
        const open = list.slice(0, box.machine.end).filter(({ state }) => state !== 'over').length
        assert.equal(box.machine.open, open)
      }
    }),
    { numRuns: 500 },
  )
})
