import assert from 'node:assert/strict'
import { test } from 'node:test'
import { offset } from '../../src/lib/brand.ts'
import { Fault } from '../../src/lib/fault.ts'
import { encodeBatch } from '../../src/log/batch.ts'
import { openCommits } from '../../src/log/commits.ts'
import type { Claim, Owner, Tick } from '../../src/log/log.ts'
import { simulate } from '../../src/lib/sim/world.ts'

type Outcome = Awaited<ReturnType<Tick['commit']>>
const entry = (topic: string) => [
  { partition: { topic, index: 0 }, batch: encodeBatch([{ key: null, value: null, timeMs: 0 }]) },
]

/** An owner whose ticks end as the test says; `ticks` holds what each committed, null = aborted. */
function fakeOwner(
  outcomes: (Outcome | Error)[] = [],
): Owner & { readonly ticks: (string[] | null)[]; closed: boolean } {
  const ticks: (string[] | null)[] = []
  let open = false
  return {
    ticks,
    closed: false,
    begin() {
      assert.equal(open, false, 'one tick at a time')
      open = true
      const topics: string[] = []
      return {
        async append(entries) {
          for (const { partition } of entries) {
            if (partition.topic === 'rolled-back' && ticks.length < 2)
              throw new Fault('log.rolled-back', { why: 'the test' })
            if (partition.topic === 'bad') throw new Fault('log.unknown-topic', { topic: 'bad' })
            topics.push(partition.topic)
          }
          await Promise.resolve()
          return entries.map(() => ({ offset: offset(topics.length), timeMs: -1 }))
        },
        async commit() {
          await Promise.resolve()
          open = false
          const outcome = outcomes.shift() ?? 'committed'
          if (outcome instanceof Error) throw outcome
          ticks.push(outcome === 'committed' ? topics : null)
          return outcome
        },
        async abort() {
          await Promise.resolve()
          open = false
          ticks.push(null)
        },
      }
    },
    async close() {
      await Promise.resolve()
      this.closed = true
    },
  }
}
const claim = (): Claim => ({}) as Claim
const append = (topic: string, held?: Claim) => async (put: Tick['append']) => {
  await put(entry(topic))
  return { parts: held === undefined ? [] : [{ claim: held, positions: [] }], result: topic }
}

test('what comes in one turn shares a tick; what comes meanwhile shares the next', async () => {
  const owner = fakeOwner()
  const commits = openCommits(owner)
  const first = [commits.run(append('a')), commits.run(append('b'))]
  await Promise.resolve()
  await Promise.resolve()
  const second = [commits.run(append('c')), commits.run(append('d'))]
  assert.deepEqual(await Promise.all([...first, ...second]), ['a', 'b', 'c', 'd'])
  assert.deepEqual(owner.ticks, [
    ['a', 'b'],
    ['c', 'd'],
  ])
})

test('one that fails takes nobody with it', async () => {
  const owner = fakeOwner()
  const commits = openCommits(owner)
  const asked = ['a', 'bad', 'c'].map((topic) => commits.run(append(topic)))
  const ends = await Promise.allSettled(asked)
  assert.deepEqual(
    ends.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  )
  assert.deepEqual(owner.ticks, [null, ['a', 'c']])
})

test('a tick that is rolled back at an append is tried again, with everybody in it', async () => {
  const owner = fakeOwner()
  const commits = openCommits(owner)
  const asked = ['a', 'rolled-back', 'c'].map((topic) => commits.run(append(topic)))
  assert.deepEqual(await Promise.all(asked), ['a', 'rolled-back', 'c'])
  assert.deepEqual(owner.ticks, [null, null, ['a', 'rolled-back', 'c']])
})

test('a lost claim ends those that stand on it, the others are committed anew', async () => {
  const [mine, lost] = [claim(), claim()]
  const owner = fakeOwner([{ lost: [lost] }])
  const commits = openCommits(owner)
  const ends = await Promise.allSettled([
    commits.run(append('a', mine)),
    commits.run(append('b', lost)),
    commits.run(append('c')),
  ])
  assert.deepEqual(
    ends.map(({ status }) => status),
    ['fulfilled', 'rejected', 'fulfilled'],
  )
  assert.equal(((ends[1] as PromiseRejectedResult).reason as Fault).code, 'log.claim-lost')
  assert.deepEqual(owner.ticks, [null, ['a', 'c']])
})

test('a tick that is rolled back is tried again after longer and longer waits, and not for ever', async () => {
  const machine = simulate(1)
  await machine.run(async () => {
    const owner = fakeOwner(['retry', 'retry'])
    assert.equal(await openCommits(owner, machine.clock).run(append('a')), 'a')
    assert.deepEqual(owner.ticks, [null, null, ['a']])
    const never = fakeOwner(Array<Outcome>(50).fill('retry'))
    const startMs = machine.clock.now()
    await assert.rejects(
      openCommits(never, machine.clock).run(append('a')),
      (error: unknown) => error instanceof Fault && error.code === 'store.failed' && error.retry,
    )
    assert.equal(never.ticks.length, 11)
    assert.ok(machine.clock.now() - startMs >= 1_000)
  })
})

test('a commit that throws is told to all who were in it, and the next one goes on', async () => {
  const owner = fakeOwner([new Fault('log.closed', { what: 'the log' })])
  const commits = openCommits(owner)
  const ends = await Promise.allSettled([commits.run(append('a')), commits.run(append('b'))])
  assert.deepEqual(
    ends.map(({ status }) => status),
    ['rejected', 'rejected'],
  )
  assert.equal(await commits.run(append('c')), 'c')
  await commits.close()
  assert.equal(owner.closed, true)
  await assert.rejects(commits.run(append('d')), Fault)
})
