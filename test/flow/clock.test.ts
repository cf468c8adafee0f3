/** Event time of a source under a wall clock that is set. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VirtualClock } from '../../src/lib/sim/clock.ts'
import { SourceClock, clockTable } from '../../src/flow/clock.ts'
import { StateTable } from '../../src/flow/state.ts'
import { AgeClock } from '../../src/lib/age-clock.ts'

test('a wall clock that is set makes no partition idle; time that passes does', async () => {
  const wall = new VirtualClock(1_000_000_000_000)
  const ages = new AgeClock(wall)
  const options = { delayMs: 0, idleMs: 30_000, maxFutureMs: 1e15, steadyMs: () => ages.steady() }
  const source = new SourceClock(0, options, new StateTable(clockTable))
  const known = [0, 1].map((partition) => ({ partition, unread: true }))
  source.open(known, wall.now())
  const bring = (index: number, timeMs: number): void => {
    const partition = source.partition(index, wall.now())
    source.woke(partition, wall.now())
    source.saw(partition, timeMs, -1)
  }
  bring(0, 50)
  for (const jump of [1e11, -1e11, -1e11, 1e11]) {
    wall.jump(jump)
    await wall.advance(1_000)
    bring(1, 9_000)
    source.markIdle(wall.now())
    assert.equal(source.watermark(), 50, 'the slow partition holds back')
  }
  await wall.advance(30_000)
  bring(1, 9_000)
  source.markIdle(wall.now())
  assert.equal(source.watermark(), 9_000)
})
