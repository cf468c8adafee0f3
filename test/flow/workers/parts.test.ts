/** Parts of a view's steps on threads of their own: same rows, whatever happens to the view or to such a thread. */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { realThreads } from '../../../src/lib/real/threads.ts'
import type { Thread, Threads } from '../../../src/lib/world.ts'
import type { Flow } from '../../../src/flow/runtime/flow.ts'
import { openFlowOnThreads } from '../../../src/flow/workers/pool.ts'
import type { Plan, ViewPlan } from '../../../src/flow/plan.ts'
import { type House, memoryWorld, newest, openHouseWith, until } from '../house.ts'
import { aggregate, call, column, field, literal, overCall, overPlan, source, t } from '../plans.ts'

const columns = [field('k', t.text), field('n', t.int)]
const events = source('events', columns)
const sums = (input: Plan): Plan => ({
  op: 'aggregate',
  input,
  keys: [0],
  aggregates: [
    aggregate('count', t.bigint),
    aggregate('sum', t.bigint, [column(columns, 'n')]),
    aggregate('count', t.bigint, [column(columns, 'n')], { distinct: true }),
  ],
  windowEnd: null,
  emit: 'update',
  columns: [field('k', t.text), field('count', t.bigint), field('sum', t.bigint), field('different', t.bigint)],
})
const view = (name: string, more: Partial<ViewPlan> = {}): ViewPlan => ({
  name,
  plan: sums(events),
  key: [0],
  appendOnly: false,
  lateTopic: null,
  idleMs: 30_000,
  maxFutureMs: 3_600_000,
  onError: 'stop',
  parallelism: 4,
  ...more,
})
type Role = { readonly holds: 'views' | 'parts' }
function breakable(): Threads & { readonly started: { readonly holds: Role['holds']; readonly thread: Thread }[] } {
  const started: { holds: Role['holds']; thread: Thread }[] = []
  return {
    started,
    start: (module, data) => {
      const thread = realThreads.start(module, data)
      started.push({ holds: (data as Role).holds, thread })
      return thread
    },
  }
}
const module = new URL('./breakable-thread.ts', import.meta.url)
interface Opened {
  readonly threads?: Threads
  readonly count?: number
  readonly folder?: string
  /** By default longer than a thread takes to start on a busy machine. */
  readonly silentMs?: number
}
const open = (
  { threads = realThreads, count = 3, folder, silentMs = 20_000 }: Opened = {},
  world = memoryWorld(),
): Promise<House<Flow>> =>
  openHouseWith(world, 'data', (options) =>
    openFlowOnThreads({
      ...options,
      ...{ threads, count, module, silentMs },
      ...(folder === undefined ? {} : { spill: { disk: world.disk, folder } }),
    }),
  )
const rowsOf = async (house: House<Flow>, name: string): Promise<Record<string, unknown>> =>
  Object.fromEntries(newest(await house.read(name)))
const someEvents = (count: number, from = 0): { k: string; n: number }[] =>
  Array.from({ length: count }, (_, i) => ({ k: `key ${(from + i) % 97}`, n: (from + i) % 13 }))
function wanted(values: readonly { readonly k: string; readonly n: number }[]): Record<string, unknown> {
  const groups = Map.groupBy(values, ({ k }) => k)
  return Object.fromEntries(
    [...groups].map(([k, of]) => {
      const numbers = of.map(({ n }) => n)
      const sum = numbers.reduce((all, n) => all + n, 0)
      return [k, { k, count: of.length, sum, different: new Set(numbers).size }]
    }),
  )
}

test('a view in four parts takes a thread and two more, and gives what one thread gives; started with other numbers it goes on', async () => {
  const world = memoryWorld()
  const all: { k: string; n: number }[] = []
  for (const [count, parallelism] of [
    [3, 4],
    [1, 4],
    [2, 7],
    [3, 1],
    [4, 4],
  ] as const) {
    const threads = breakable()
    await using house = await open({ threads, count }, world)
    if (all.length === 0) await house.topic('events')
    await house.flow.start(view('v', { parallelism }))
    const more = someEvents(500, all.length)
    all.push(...more)
    await house.send('events', more)
    await house.flow.flush()
    assert.deepEqual(await rowsOf(house, 'v'), wanted(all), `${parallelism} parts, ${count} threads`)
    const { nodes } = await house.flow.graph('v')
    const group = nodes.find(({ kind }) => kind === 'aggregate')!
    assert.equal(group.stateRows, 97 + new Set(all.map(({ k, n }) => `${k} ${n}`)).size, 'rows of state of all parts')
    assert.equal(threads.started.filter(({ holds }) => holds === 'parts').length, Math.min(count, parallelism) - 1)
    assert.deepEqual(house.faults, [])
  }
})

for (const [how, message, why] of [
  ['ends', { crash: true }, /broken by a test/],
  ['works for ever', { hang: true }, /no sign of life/],
] as const)
  test(`a thread with parts that ${how} in the middle of it takes the view it worked on with it; others with parts there start again`, async () => {
    const threads = breakable()
    await using house = await open({ threads, count: 2, silentMs: 2_000 })
    await house.topic('events')
    await house.topic('others')
    await house.flow.start(view('guilty', { parallelism: 2 }))
    await house.flow.start(view('other', { parallelism: 2, plan: sums(source('others', columns)) }))
    await house.flow.start(view('whole', { parallelism: 1 }))
    const held = threads.started.filter(({ holds }) => holds === 'parts')
    assert.equal(held.length, 1)
    await house.send('others', someEvents(300))
    await house.flow.flush()
    await house.send('events', someEvents(300))
    await house.flow.flush()
    const begun = new Int32Array(new SharedArrayBuffer(4))
    held[0]!.thread.port.post({ ...message, begun }, [])
    await until(() => begun[0] === 1, 'it is at it')
    // Until it is found out they wait for it, and nothing of that is committed.
    await house.send('events', someEvents(300, 300))
    await house.send('others', someEvents(300, 300))
    await until(() => house.flow.view('guilty').status === 'failed', 'the guilty one has failed')
    const { error } = house.flow.view('guilty')
    assert.equal(error?.code, 'flow.thread-ended')
    assert.match(error.message, why)
    await until(() => house.flow.view('other').status === 'running', 'the other one runs again')
    await house.flow.flush()
    assert.deepEqual(
      house.faults.map(({ code }) => code),
      ['flow.thread-ended'],
    )
    assert.deepEqual(await rowsOf(house, 'other'), wanted(someEvents(600)))
    assert.deepEqual(await rowsOf(house, 'whole'), wanted(someEvents(600)))
    assert.deepEqual(await rowsOf(house, 'guilty'), wanted(someEvents(300)))
    await house.flow.resume('guilty')
    await house.flow.flush()
    assert.deepEqual(await rowsOf(house, 'guilty'), wanted(someEvents(600)))
  })

test('the thread of a view that ends leaves nothing of it on threads with its parts: it starts again there', async () => {
  const threads = breakable()
  await using house = await open({ threads, count: 2 })
  await house.topic('events')
  await house.flow.start(view('v', { parallelism: 2 }))
  await house.send('events', someEvents(200))
  await house.flow.flush()
  threads.started.find(({ holds }) => holds === 'views')!.thread.port.post({ crash: true }, [])
  await until(() => house.flow.view('v').status === 'failed', 'it has failed')
  await house.send('events', someEvents(200, 200))
  await house.flow.resume('v')
  await house.flow.flush()
  assert.deepEqual(await rowsOf(house, 'v'), wanted(someEvents(400)))
})

test('a row that cannot be computed names its record, whichever thread it was computed on', async () => {
  const places = async (count: number, parallelism: number): Promise<unknown> => {
    await using house = await open({ count })
    await house.topic('events')
    const inverse = call('/', t.int, literal(100, t.int), column(columns, 'n'))
    const plan = {
      ...sums(events),
      aggregates: [aggregate('sum', t.bigint, [inverse], { distinct: true })],
      columns,
    } as Plan
    await house.flow.start(view('v', { plan, onError: 'quarantine', parallelism }))
    await house.send('events', someEvents(260))
    await house.flow.flush()
    const bad = await house.read('events.quarantine')
    const { failed } = house.flow.view('v')
    return { failed, bad: bad.map(({ value }) => value!.toString()), rows: await rowsOf(house, 'v') }
  }
  const alone = (await places(1, 1)) as { failed: number }
  assert.equal(alone.failed, 20)
  assert.deepEqual(await places(3, 3), alone)
})

test('state that its budget has no room for, on all threads together, ends the view', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'millrace-parts-'))
  try {
    await using house = await open({ folder, count: 2 })
    await house.topic('events')
    // Rows that wait for event time cannot go to files.
    const timed = source('events', [...columns, field('at', t.timestamptz)], { time: { column: 2, delayMs: 1e9 } })
    const counted = overCall(aggregate('count', t.bigint))
    const plan = overPlan(timed, [0], 2, [[counted, t.bigint]])
    await house.flow.start(view('small', { plan, key: null, parallelism: 2, memoryBytes: 100_000 }))
    await house.flow.start(view('large', { parallelism: 2, memoryBytes: 1_000_000 }))
    await house.send(
      'events',
      someEvents(97 * 13).map((event, i) => ({ ...event, at: new Date(1e12 + i).toISOString() })),
    )
    await until(() => house.flow.view('small').status === 'failed', 'the budget is known')
    assert.equal(house.flow.view('small').error?.code, 'flow.over-memory')
    await house.flow.flush()
    assert.deepEqual(await rowsOf(house, 'large'), wanted(someEvents(97 * 13)))
    const { nodes } = await house.flow.graph('large')
    const bytes = nodes.find(({ kind }) => kind === 'aggregate')!.stateBytes
    assert.ok(bytes > 100_000, `bytes of both threads: ${bytes}`)
  } finally {
    rmSync(folder, { recursive: true, force: true })
  }
})

test('under load a view in parts is paused, goes on, is dropped and made again', async () => {
  await using house = await open({ count: 3 })
  await house.topic('events')
  await house.flow.start(view('v'))
  let sent = 0
  const load = async (times: number): Promise<void> => {
    for (let n = 0; n < times; n++, sent += 400) await house.send('events', someEvents(400, sent))
  }
  await load(5)
  await house.flow.pause('v')
  assert.equal(house.flow.view('v').status, 'paused')
  const before = await rowsOf(house, 'v')
  await load(5)
  assert.deepEqual(await rowsOf(house, 'v'), before)
  await house.flow.resume('v')
  const dropped = load(5).then(() => house.flow.drop('v'))
  await dropped
  await house.flow.start(view('v'))
  await load(5)
  await house.flow.flush()
  assert.deepEqual(await rowsOf(house, 'v'), wanted(someEvents(sent)))
  assert.deepEqual(house.faults, [])
})
