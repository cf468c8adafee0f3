/** The state machine of a transactional id, against the tables of KIP-890 and the cases of KIP-360. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from '../../../src/lib/fault.ts'
import { type Status, status } from '../../../src/log/local/transactions/state-format.ts'
import {
  type Ending,
  type IdState,
  begun,
  checkProducer,
  endVerdict,
  ended,
  initialised,
  newState,
  rotated,
} from '../../../src/log/local/transactions/transactional-id.ts'

const id = 'tx'
const stateAt = (at: Status, more: Partial<IdState> = {}): IdState => ({
  ...newState(7, 1000, 5),
  epoch: 5,
  status: at,
  ...more,
})
/** The answer, or the code of the fault. */
function said<T>(call: () => T): T | string {
  try {
    return call()
  } catch (error) {
    if (error instanceof Fault) return error.code.replace('log.', '')
    throw error
  }
}
const [PF, ITS, CT] = ['producer-fenced', 'invalid-transaction', 'concurrent-transactions']

test('what an end is, by state, outcome and epoch', () => {
  const { empty, ongoing, prepareCommit, prepareAbort, completeCommit, completeAbort } = status
  // Columns: abort again, abort, commit again, commit.
  const tables: Record<string, [bumps: boolean, [Status, string, string, string, string][]]> = {
    bumping: [
      true,
      [
        [empty, PF, 'end', PF, ITS],
        [ongoing, PF, 'end', PF, 'end'],
        [prepareCommit, ITS, PF, CT, PF],
        [prepareAbort, CT, PF, ITS, PF],
        [completeAbort, 'done', 'end', ITS, ITS],
        [completeCommit, ITS, 'end', 'done', ITS],
      ],
    ],
    plain: [
      false,
      [
        [empty, PF, ITS, PF, ITS],
        [ongoing, PF, 'end', PF, 'end'],
        [prepareCommit, PF, ITS, PF, CT],
        [prepareAbort, PF, CT, PF, ITS],
        [completeAbort, PF, 'done', PF, ITS],
        [completeCommit, PF, ITS, PF, 'done'],
      ],
    ],
  }
  for (const [name, [bumps, rows]] of Object.entries(tables))
    for (const [at, ...expected] of rows) {
      const found = [false, true].flatMap((commit) =>
        [4, 5].map((epoch) =>
          said(() => endVerdict(stateAt(at), { transactionalId: id, producerId: 7, epoch }, { commit, bumps }, false)),
        ),
      )
      assert.deepEqual(found, expected, `${name}, state ${at}`)
    }
})
test('while it is being changed, who is its producer is told to come again, and others that they are not', () => {
  for (const bumps of [true, false])
    for (const [producer, expected] of [
      [{ transactionalId: id, producerId: 7, epoch: 5 }, CT],
      [{ transactionalId: id, producerId: 7, epoch: 3 }, PF],
      [{ transactionalId: id, producerId: 8, epoch: 5 }, 'invalid-producer-mapping'],
    ] as const) {
      const state = stateAt(status.ongoing)
      assert.equal(
        said(() => endVerdict(state, producer, { commit: true, bumps }, true)),
        expected,
      )
      assert.equal(
        said(() => checkProducer(state, producer, true)),
        expected,
      )
    }
})
test('a beginning: the next epoch, the same again for who asks again, another id when epochs are used up', () => {
  const init = (state: IdState, expected: { producerId: number; epoch: number } | null = null): unknown =>
    said(() => {
      const next = initialised(state, { transactionalId: id, timeoutMs: 9, expected, nowMs: 6 })
      return typeof next === 'string' ? next : [next.producerId, next.epoch, next.lastEpoch, next.status]
    })
  assert.deepEqual(init(newState(7, 1000, 5)), [7, 0, -1, 0])
  assert.deepEqual(init(newState(7, 1000, 5), { producerId: 3, epoch: 9 }), [7, 0, -1, 0])
  for (const at of [status.empty, status.completeAbort, status.completeCommit]) {
    assert.deepEqual(init(stateAt(at)), [7, 6, -1, 0])
    assert.deepEqual(init(stateAt(at), { producerId: 7, epoch: 5 }), [7, 6, 5, 0])
    assert.deepEqual(init(stateAt(at, { lastEpoch: 4 }), { producerId: 7, epoch: 4 }), [7, 5, 4, 0])
    assert.equal(init(stateAt(at), { producerId: 7, epoch: 4 }), PF)
    assert.equal(init(stateAt(at), { producerId: 8, epoch: 5 }), PF)
    assert.equal(init(stateAt(at, { epoch: 32_766 })), 'rotate')
    assert.equal(init(stateAt(at, { epoch: 32_766 }), { producerId: 7, epoch: 32_766 }), 'rotate')
  }
  assert.equal(init(stateAt(status.ongoing)), 'fence')
  assert.equal(init(stateAt(status.ongoing), { producerId: 8, epoch: 5 }), PF)
  for (const at of [status.prepareAbort, status.prepareCommit]) assert.equal(init(stateAt(at)), CT)
  const asked = { transactionalId: id, timeoutMs: 9, expected: { producerId: 7, epoch: 32_766 }, nowMs: 6 }
  const next = rotated(stateAt(status.empty, { epoch: 32_766 }), asked, 8)
  assert.deepEqual([next.producerId, next.epoch, next.lastEpoch, next.previousProducerId], [8, 0, 32_766, 7])
  // The answer was lost, and the producer asks with what it had.
  assert.deepEqual(init(next, asked.expected), [8, 0, 32_766, 0])
})
test('an end: epochs, markers, and the producer id that follows', () => {
  const open = begun(stateAt(status.empty), true, 10)
  assert.deepEqual([open.status, open.startedMs, open.bumps], [status.ongoing, 10, true])
  assert.equal(begun(open, true, 12).startedMs, 10)
  const of = (ending: Ending, state = open): unknown => {
    const { prepared, completed, nextProducerId, markerEpoch } = ended(state, ending, 20)
    const one = ({ producerId, epoch, lastEpoch, status: at }: IdState): number[] => [producerId, epoch, lastEpoch, at]
    return [one(prepared), one(completed), nextProducerId, markerEpoch]
  }
  assert.deepEqual(of({ kind: 'plain', commit: true }), [[7, 5, -1, 2], [7, 5, -1, 4], -1, 5])
  assert.deepEqual(of({ kind: 'plain', commit: false }), [[7, 5, -1, 3], [7, 5, -1, 5], -1, 5])
  const bumping = { kind: 'bumping', commit: true, nextProducerId: null } as const
  assert.deepEqual(of(bumping), [[7, 6, 5, 2], [7, 6, 5, 4], -1, 6])
  assert.deepEqual(of({ kind: 'fence' }), [[7, 6, 5, 3], [7, 6, 5, 5], -1, 6])
  const worn = { ...open, epoch: 32_766 }
  assert.deepEqual(of({ ...bumping, nextProducerId: 9 }, worn), [[7, 32_767, 32_766, 2], [9, 0, 32_766, 4], 9, 32_767])
  assert.deepEqual(of({ kind: 'fence' }, worn), [[7, 32_767, 32_766, 3], [7, 32_767, 32_766, 5], -1, 32_767])
})
