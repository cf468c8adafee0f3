import assert from 'node:assert/strict'
import { test } from 'node:test'
import { VirtualClock } from '../../src/lib/sim/clock.ts'

test('an hour of timers takes no time and keeps their order', async () => {
  const clock = new VirtualClock(1000)
  const seen: string[] = []
  clock.after(30, () => seen.push('c'))
  clock.after(10, () => seen.push('a'))
  clock.after(10, () => seen.push('b'))
  clock.after(10, () => clock.after(5, () => seen.push('between')))
  clock.after(3_600_001, () => seen.push('never'))
  await clock.advance(3_600_000)
  assert.deepEqual(seen, ['a', 'b', 'between', 'c'])
  assert.equal(clock.now(), 3_601_000)
  assert.equal(clock.monotonic(), 3_600_000)
})

test('a sleeper sees the time it was woken at', async () => {
  const clock = new VirtualClock(0)
  let rounds = 0
  void (async () => {
    for (;;) {
      await clock.sleep(60_000)
      rounds++
      assert.equal(clock.monotonic(), rounds * 60_000)
    }
  })()
  await clock.advance(600_000)
  assert.equal(rounds, 10)
})

test('promises settle before the next timer', async () => {
  const clock = new VirtualClock(0)
  const seen: string[] = []
  clock.after(1, () => {
    void Promise.resolve()
      .then(() => Promise.resolve())
      .then(() => seen.push('promise'))
  })
  clock.after(1, () => seen.push('timer'))
  await clock.advance(1)
  assert.deepEqual(seen, ['promise', 'timer'])
})

test('soon comes after what is there, in the same instant', async () => {
  const clock = new VirtualClock(0)
  const seen: string[] = []
  clock.soon(() => {
    seen.push('first')
    clock.soon(() => seen.push('third'))
  })
  clock.soon(() => seen.push('second'))
  await clock.advance(0)
  assert.deepEqual(seen, ['first', 'second', 'third'])
})

test('a cancelled timer and an aborted sleep do not come', async () => {
  const clock = new VirtualClock(0)
  const cancel = clock.after(5, () => assert.fail('cancelled'))
  cancel()
  const controller = new AbortController()
  const sleeping = clock.sleep(10, controller.signal)
  clock.after(5, () => controller.abort(new Error('enough')))
  void clock.advance(20)
  await assert.rejects(sleeping, /enough/)
  await assert.rejects(clock.sleep(1, controller.signal), /enough/)
})

test('until answers as the promise does, and says when nothing can settle it', async () => {
  const clock = new VirtualClock(0)
  assert.equal(await clock.until(clock.sleep(1e9).then(() => 7)), 7)
  assert.equal(clock.monotonic(), 1e9)
  await assert.rejects(clock.until(clock.sleep(5).then(() => Promise.reject(new Error('no')))), /^Error: no/)
  await assert.rejects(clock.until(new Promise(() => {})), /nothing is left/)
})

test('the wall clock jumps, the monotonic one does not', async () => {
  const clock = new VirtualClock(1_000_000)
  clock.jump(-500_000)
  await clock.advance(10)
  assert.equal(clock.now(), 500_010)
  assert.equal(clock.monotonic(), 10)
})

test('what an event has begun is done when `still` calls, also where somebody else lets time pass', async () => {
  const clock = new VirtualClock(0)
  let [begun, done] = [0, 0]
  const work = async (): Promise<void> => {
    for (let i = 0; i < 100; i++) {
      await clock.sleep(1)
      begun++
      for (let turns = 0; turns < 20; turns++) await Promise.resolve()
      done++
    }
  }
  const all = Promise.all([work(), clock.advance(200)])
  let midway = 0
  for (let i = 0; i < 50; i++) {
    await clock.still(() => {
      assert.equal(done, begun)
      if (begun > 0 && begun < 100) midway++
    })
    for (let turns = 0; turns < i; turns++) await Promise.resolve()
  }
  assert.ok(midway > 10, String(midway))
  await all
})
