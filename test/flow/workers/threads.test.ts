/** What only threads have: one that ends, one that works for ever, views with functions, flushing across threads. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from '../../../src/lib/fault.ts'
import { realThreads } from '../../../src/lib/real/threads.ts'
import type { Thread, Threads } from '../../../src/lib/world.ts'
import { openFlowOnThreads } from '../../../src/flow/workers/pool.ts'
import type { Plan, ViewPlan } from '../../../src/flow/plan.ts'
import { memoryWorld, newest, openHouseWith, until } from '../house.ts'
import { aggregate, call, column, field, literal, source, t } from '../plans.ts'
import { openThreadHouse } from './house.ts'

const columns = [field('k', t.text), field('n', t.int)]
const sums = (from: string): Plan => ({
  op: 'aggregate',
  input: source(from, columns),
  keys: [0],
  aggregates: [aggregate('sum', t.bigint, [column(columns, 'n')])],
  windowEnd: null,
  emit: 'update',
  columns: [field('k', t.text), field('n', t.bigint)],
})
const view = (name: string, plan: Plan, more: Partial<ViewPlan> = {}): ViewPlan => ({
  name,
  plan,
  key: [0],
  appendOnly: false,
  lateTopic: null,
  idleMs: 30_000,
  maxFutureMs: 3_600_000,
  onError: 'stop',
  ...more,
})
const rowsOf = async (house: Awaited<ReturnType<typeof openThreadHouse>>, name: string): Promise<unknown> =>
  Object.fromEntries(newest(await house.read(name)))

/** Threads that a test can break. */
function breakable(): Threads & { readonly started: Thread[] } {
  const started: Thread[] = []
  return {
    started,
    start: (module, data) => {
      const thread = realThreads.start(module, data)
      started.push(thread)
      return thread
    },
  }
}
const module = new URL('./breakable-thread.ts', import.meta.url)
const openBreakable = (threads: Threads, count = 2): ReturnType<typeof openThreadHouse> =>
  openHouseWith(memoryWorld(), 'data', (options) =>
    openFlowOnThreads({ ...options, threads, count, module, silentMs: 2_000 }),
  )

test('views spread over threads; a flush waits for those that others read first', async () => {
  const threads = breakable()
  await using house = await openBreakable(threads)
  await house.topic('events')
  await house.flow.start(view('a', sums('events')))
  await house.flow.start(view('b', { ...sums('a'), input: source('a', columns, { mode: 'upsert', key: [0] }) } as Plan))
  assert.equal(threads.started.length, 2)
  for (let n = 1; n <= 20; n++) {
    await house.send('events', [{ k: 'x', n }])
    await house.flow.flush()
    const sum = (n * (n + 1)) / 2
    assert.deepEqual(await rowsOf(house, 'b'), { x: { k: 'x', n: sum } })
  }
})

test('a view with a function of the program runs on this thread', async () => {
  const threads = breakable()
  await using house = await openBreakable(threads)
  await house.topic('events')
  const plan: Plan = {
    op: 'process',
    input: source('events', columns),
    key: [0],
    fn: (event, state, emit) => {
      const n = ((state as number | undefined) ?? 0) + (event['n'] as number)
      emit({ k: event['k'], n })
      return n
    },
    columns: [field('k', t.text), field('n', t.int)],
  }
  await house.flow.start(view('v', plan, { key: null, appendOnly: true }))
  await house.send('events', [
    { k: 'x', n: 1 },
    { k: 'x', n: 2 },
  ])
  await house.flow.flush()
  assert.equal(threads.started.length, 0)
  assert.equal(house.flow.view('v').rowsOut, 2)
})

for (const [how, message, why] of [
  ['ends', { crash: true }, /broken by a test/],
  ['works for ever', { hang: true }, /no sign of life/],
] as const)
  test(`a thread that ${how} takes the view it worked on with it, the others go on elsewhere; resumed, so does that one`, async () => {
    const threads = breakable()
    await using house = await openBreakable(threads, 1)
    await house.topic('events')
    await house.topic('others')
    await house.flow.start(view('guilty', sums('events')))
    await house.flow.start(view('other', sums('others')))
    await house.send('others', [{ k: 'x', n: 1 }])
    await house.flow.flush()
    await house.send('events', [{ k: 'x', n: 1 }])
    await house.flow.flush()
    threads.started[0]!.port.post(message, [])
    await until(() => house.flow.view('guilty').status === 'failed', 'the guilty one has failed')
    const { error } = house.flow.view('guilty')
    assert.equal(error?.code, 'flow.thread-ended')
    assert.match(error.message, why)
    assert.deepEqual(
      house.faults.map(({ code }) => code),
      ['flow.thread-ended'],
    )
    await assert.rejects(house.flow.graph('guilty'), Fault)
    await until(() => house.flow.view('other').status === 'running', 'the other one runs again')
    await house.send('others', [{ k: 'x', n: 2 }])
    await house.send('events', [{ k: 'x', n: 2 }])
    await house.flow.flush()
    assert.deepEqual(await rowsOf(house, 'other'), { x: { k: 'x', n: 3 } })
    assert.deepEqual(await rowsOf(house, 'guilty'), { x: { k: 'x', n: 1 } })
    await house.flow.resume('guilty')
    await house.flow.flush()
    assert.deepEqual(await rowsOf(house, 'guilty'), { x: { k: 'x', n: 3 } })
    assert.equal(threads.started.length, 2)
  })

test('a view whose thread ended starts again by its strategy, on another one', async () => {
  const threads = breakable()
  await using house = await openBreakable(threads, 1)
  await house.topic('events')
  const restart = { kind: 'fixed-delay', attempts: 2, delayMs: 300 } as const
  await house.flow.start(view('v', sums('events'), { restart }))
  let sum = 0
  for (let attempt = 1; attempt <= 2; attempt++) {
    await house.send('events', [{ k: 'x', n: attempt }])
    await house.flow.flush()
    sum += attempt
    threads.started.at(-1)!.port.post({ crash: true }, [])
    await until(() => house.flow.view('v').status === 'restarting', 'it waits')
    const { restarts } = house.flow.view('v')
    assert.deepEqual([restarts?.attempts, restarts?.lastFault.code], [attempt, 'flow.thread-ended'])
    await until(() => house.flow.view('v').status === 'running', 'it runs again')
    await house.flow.flush()
    assert.deepEqual(await rowsOf(house, 'v'), { x: { k: 'x', n: sum } })
    assert.equal(threads.started.length, attempt + 1)
  }
  await house.send('events', [{ k: 'x', n: 1 }])
  await house.flow.flush()
  threads.started.at(-1)!.port.post({ crash: true }, [])
  await until(() => house.flow.view('v').status === 'failed', 'it has no attempt left')
  assert.equal(house.flow.view('v').restarts?.nextMs, null)
})

test('a view that fails on its thread starts again there, and stays failed at an event that it cannot process', async () => {
  const threads = breakable()
  await using house = await openBreakable(threads, 1)
  await house.topic('events')
  const restart = { kind: 'fixed-delay', attempts: 3, delayMs: 50 } as const
  const plan: Plan = {
    op: 'project',
    input: source('events', columns),
    expressions: [call('/', t.int, literal(100, t.int), column(columns, 'n'))],
    columns: [field('x', t.int)],
  }
  await house.flow.start(view('v', plan, { key: null, appendOnly: true, restart }))
  await house.send('events', [{ k: 'x', n: 0 }])
  await until(() => house.flow.view('v').status === 'failed', 'it has failed')
  const { error, restarts } = house.flow.view('v')
  assert.deepEqual([error?.code, restarts?.attempts, restarts?.nextMs], ['flow.step-failed', 0, null])
  await until(() => house.faults.length > 0, 'its fault is told')
  assert.equal(house.faults.length, 1)
})

test('a view that was paused is so on the next thread too, until it is resumed', async () => {
  const threads = breakable()
  await using house = await openBreakable(threads, 1)
  await house.topic('events')
  await house.topic('others')
  await house.flow.start(view('guilty', sums('events')))
  await house.flow.start(view('other', sums('others')))
  await house.flow.pause('other')
  await house.send('events', [{ k: 'x', n: 1 }])
  await until(() => house.flow.view('guilty').rowsOut === 1, 'the thread works on that view')
  threads.started[0]!.port.post({ crash: true }, [])
  await until(() => house.flow.view('guilty').status === 'failed', 'the guilty one has failed')
  await until(() => house.flow.view('other').status === 'paused', 'the other one is paused again')
  assert.equal(threads.started.length, 2)
  await house.send('others', [{ k: 'x', n: 1 }])
  await house.flow.resume('other')
  await house.flow.flush()
  assert.deepEqual(await rowsOf(house, 'other'), { x: { k: 'x', n: 1 } })
})
