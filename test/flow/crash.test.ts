/**
 * Views over the real log in the simulated machine, killed and cut from power at random moments: every output topic adds
 * up to what a run without a crash gives, nothing is written twice, and the state goes on exactly.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Plan, ViewPlan } from '../../src/flow/plan.ts'
import { SeededRandom } from '../../src/lib/sim/random.ts'
import { type Simulation, simulate } from '../../src/lib/sim/world.ts'
import { type House, newest, openHouse, textOf } from './house.ts'
import { aggregate, call, column, field, literal, overCall, overPlan, source, t } from './plans.ts'

const columns = [field('id', t.int), field('k', t.text), field('n', t.int), field('at', t.timestamptz)]
const stream = source('events', columns, { time: { column: 3, delayMs: 0 } })
const counts: Plan = {
  op: 'aggregate',
  input: stream,
  keys: [1],
  aggregates: [aggregate('count', t.bigint), aggregate('sum', t.bigint, [column(columns, 'n')])],
  windowEnd: null,
  emit: 'update',
  columns: [field('k', t.text), field('count', t.bigint), field('sum', t.bigint)],
}
const odd: Plan = {
  op: 'filter',
  input: stream,
  where: call('=', t.boolean, call('%', t.int, column(columns, 'n'), literal(2, t.int)), literal(1, t.int)),
  columns,
}
const totals: Plan = {
  op: 'aggregate',
  input: source('odd', columns),
  keys: [],
  aggregates: [aggregate('count', t.bigint), aggregate('sum', t.bigint, [column(columns, 'n')])],
  windowEnd: null,
  emit: 'update',
  columns: [field('count', t.bigint), field('sum', t.bigint)],
}
const total = overCall(aggregate('sum', t.bigint, [column(columns, 'n')]), 'rows', '..', 0)
const running: Plan = overPlan(stream, [1], 3, [[total, t.bigint]], { columns: [...columns, field('total', t.bigint)] })
const view = (name: string, plan: Plan, more: Partial<ViewPlan> = {}): ViewPlan => ({
  name,
  plan,
  key: null,
  appendOnly: true,
  lateTopic: null,
  idleMs: 30_000,
  maxFutureMs: 1e15,
  onError: 'quarantine',
  ...more,
})
const views = [
  view('counts', counts, { key: [0], appendOnly: false }),
  view('odd', odd),
  view('totals', totals, { appendOnly: false }),
  view('running', running),
]
interface Event {
  readonly id: number
  readonly k: string
  readonly n: number | string
  readonly at: number
}
const startMs = 1_700_000_000_000
function eventsOf(random: SeededRandom, count: number): Event[] {
  return Array.from({ length: count }, (_, id) => ({
    id,
    k: 'abc'[Math.floor(random.fraction() * 3)]!,
    // Now and then one that does not fit.
    n: random.fraction() < 0.05 ? 'bad' : Math.floor(random.fraction() * 100),
    at: startMs + id * 10,
  }))
}
async function open(machine: Simulation, first: boolean): Promise<House> {
  const house = await openHouse(machine, '/data')
  if (first) await house.topic('events')
  for (const one of views) await house.flow.start(one)
  return house
}
/** Sends what is not in the topic yet, in pieces, and lets time pass. */
async function life(machine: Simulation, house: House, events: readonly Event[], random: SeededRandom): Promise<void> {
  const stored = (await house.read('events')).length
  for (let at = stored; at < events.length;) {
    const piece = events.slice(at, at + 1 + Math.floor(random.fraction() * 40))
    await house.send('events', piece)
    at += piece.length
    await machine.clock.sleep(random.fraction() * 40)
  }
}
async function settle(machine: Simulation, house: House, events: number): Promise<void> {
  for (let i = 0; i < 400; i++) {
    const done = house.flow.views().every((v) => v.status === 'running')
    const positions = await house.log.groups.positions('_millrace_view.counts')
    if (done && (positions[0]?.offset ?? 0) >= events && i > 100) return
    await machine.clock.sleep(20)
  }
  throw new Error(`not settled: ${JSON.stringify(house.flow.views())}`)
}
async function check(house: House, events: readonly Event[]): Promise<void> {
  const good = events.filter((e): e is Event & { n: number } => typeof e.n === 'number')
  const sums = (of: readonly { n: number }[]): { count: number; sum: number | null } => ({
    count: of.length,
    sum: of.length === 0 ? null : of.reduce((sum, e) => sum + e.n, 0),
  })
  const byKey = Map.groupBy(good, (e) => e.k)
  assert.deepEqual(
    newest(await house.read('counts')),
    new Map([...byKey].map(([k, of]) => [k, { k, ...sums(of) }])),
    'counts',
  )
  const odds = good.filter((e) => e.n % 2 === 1)
  const ids = async (topic: string): Promise<number[]> =>
    (await house.read(topic)).map((r) => (JSON.parse(textOf(r.value)!) as Event).id)
  assert.deepEqual(
    await ids('odd'),
    odds.map((e) => e.id),
    'each odd event once, in order',
  )
  const weights = new Map<string, number>()
  for (const { value, headers } of await house.read('totals')) {
    const text = textOf(value)!
    const weight = Number(textOf(headers.find(([h]) => h === 'mr-weight')![1]))
    weights.set(text, (weights.get(text) ?? 0) + weight)
  }
  assert.deepEqual(
    [...weights].filter(([, w]) => w !== 0),
    [[JSON.stringify(sums(odds)), 1]],
    'weights add up to one row',
  )
  assert.deepEqual(
    // Of two views that read it one may be ahead and bring a later one first.
    (await house.read('events.quarantine'))
      .map((r) => (JSON.parse(textOf(r.value)!) as Event).id)
      .toSorted((a, b) => a - b),
    events.filter((e) => e.n === 'bad').map((e) => e.id),
    'each bad event once',
  )
  const soFar = new Map<string, number>()
  const lines = good.slice(0, -1).map((e) => {
    soFar.set(e.k, (soFar.get(e.k) ?? 0) + e.n)
    return [e.id, soFar.get(e.k)]
  })
  const seen = (await house.read('running')).map((r) => JSON.parse(textOf(r.value)!) as { id: number; total: number })
  assert.deepEqual(
    seen.slice(0, lines.length).map((r) => [r.id, r.total]),
    lines,
    'running totals, each row once',
  )
}

const seeds = Number(process.env['SEEDS'] ?? 12)
const firstSeed = Number(process.env['SEED'] ?? 1)
async function run(seed: number, failing: boolean): Promise<{ lives: number; trace: string }> {
  const machine = simulate(seed, { syncMsMax: 3, startMs })
  const random = new SeededRandom(seed, 'test')
  const events = eventsOf(random, 300)
  let house = await machine.run(() => open(machine, true))
  const lives = 1 + Math.floor(random.fraction() * 4)
  for (let n = 0; n < lives; n++) {
    if (failing)
      machine.disk.plan = ({ operation }) =>
        (operation === 'datasync' || operation === 'write') && random.fraction() < 0.02
          ? { code: operation === 'write' ? 'ENOSPC' : 'EIO' }
          : null
    const work = life(machine, house, events, random)
    work.catch(() => {})
    await machine.advance(random.fraction() * 300)
    machine.disk.plan = null
    if (random.fraction() < 0.5) machine.kill()
    else machine.powerCut()
    house = await machine.run(() => open(machine, false))
  }
  await machine.run(async () => {
    await life(machine, house, events, random)
    await settle(machine, house, events.length)
    await check(house, events)
    await house.close()
  })
  return { lives, trace: machine.trace() }
}
for (const failing of [false, true])
  test(`killed and cut from power at random moments${failing ? ', on a disk that fails now and then' : ''}: outputs as of one run without`, async () => {
    let crashes = 0
    for (let seed = firstSeed; seed < firstSeed + seeds; seed++)
      try {
        crashes += (await run(seed, failing)).lives
      } catch (error) {
        throw new Error(`seed ${seed}`, { cause: error })
      }
    assert.ok(crashes >= seeds)
  })
test('a seed replays a run event for event', async () => {
  const [first, second] = [await run(firstSeed + 2, true), await run(firstSeed + 2, true)]
  assert.equal(second.trace, first.trace)
})
test('a claim taken away: what was not committed is undone, and the view goes on from its changelog', async () => {
  const machine = simulate(5, { syncMsMax: 3, startMs })
  const random = new SeededRandom(5, 'test')
  const events = eventsOf(random, 300)
  await machine.run(async () => {
    const house = await open(machine, true)
    const work = life(machine, house, events, random)
    let taken = 0
    for (let i = 0; i < 12; i++) {
      await machine.clock.sleep(random.fraction() * 30)
      for (const { group, members } of await house.log.groups.list())
        for (const { id } of members) {
          await house.log.groups.evict(group, id)
          taken++
        }
    }
    await work
    assert.ok(taken > 20, `${taken} claims were taken away`)
    await settle(machine, house, events.length)
    await check(house, events)
    await house.close()
  })
})
