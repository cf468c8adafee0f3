/** Age under a wall clock that jumps: nothing looks older than it is. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VirtualClock } from '../../src/lib/sim/clock.ts'
import { AgeClock } from '../../src/lib/age-clock.ts'

const year = 365 * 24 * 3_600_000

test('without a jump both times are those of the wall clock', async () => {
  const clock = new VirtualClock(1_000_000)
  const ages = new AgeClock(clock)
  await clock.advance(10)
  assert.deepEqual([ages.now(), ages.stamp()], [1_000_010, 1_000_010])
})

test('whatever jumps happen between a stamp and a look, nothing is older than the time that has passed', async () => {
  for (const before of [-10 * year, -1, 0, 1, 10 * year])
    for (const after of [-20 * year, -1, 0, 1, 20 * year]) {
      const clock = new VirtualClock(50 * year)
      const ages = new AgeClock(clock)
      clock.jump(before)
      await clock.advance(7)
      const stamp = ages.stamp()
      clock.jump(after)
      await clock.advance(1_000)
      const age = ages.now() - stamp
      assert.ok(age <= 1_000, `by ${before}, then by ${after}: ${age} ms old`)
    }
})

test('a clock that was wrong when it began and is set right is taken as right', () => {
  const clock = new VirtualClock(0)
  const ages = new AgeClock(clock)
  clock.jump(50 * year)
  assert.equal(ages.stamp(), 50 * year)
})
