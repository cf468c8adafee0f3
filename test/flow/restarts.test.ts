/** Views that have failed and start again: what the strategies decide, and what a view does by them under virtual time. */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import type { Plan, RestartStrategy, ViewPlan } from '../../src/flow/plan.ts'
import { type Failure, type RestartHistory, noRestarts, restartAfter, restartDefault } from '../../src/flow/restart.ts'
import { type LocalFlow, type ViewInfo, openFlow } from '../../src/flow/runtime/flow.ts'
import { Fault } from '../../src/lib/fault.ts'
import { SeededRandom } from '../../src/lib/sim/random.ts'
import { type Simulation, simulate } from '../../src/lib/sim/world.ts'
import type { Log } from '../../src/log/log.ts'
import { type House, newest, openHouseWith } from './house.ts'
import { call, column, field, literal, source, sumsOf, t } from './plans.ts'

const diskFailed = new Fault('store.failed', { what: 'EIO', path: '/data' })
const threadEnded = new Fault('flow.thread-ended', { view: 'v', why: 'out of memory' })
const poison = new Fault('flow.step-failed', { view: 'v', at: 'events:0:1', what: 'division by zero' })

/** Delays that a strategy gives to failures at these times, one after another; null = it stays failed, and what follows is not asked. */
function delays(
  strategy: RestartStrategy,
  failures: readonly (Partial<Failure> & { readonly nowMs: number })[],
): (number | null)[] {
  const given: (number | null)[] = []
  let history: RestartHistory = noRestarts
  for (const failure of failures) {
    const next = restartAfter(strategy, history, { fault: diskFailed, hasCommitted: false, chance: 0.5, ...failure })
    given.push(next?.delayMs ?? null)
    if (next === null) break
    history = next.history
  }
  return given
}
const at = (...times: readonly number[]) => times.map((nowMs) => ({ nowMs }))
const often = (count: number, more: Partial<Failure> = {}) =>
  Array.from({ length: count }, (_, i) => ({ nowMs: i * 120_000, ...more }))

describe('when a view starts again', () => {
  const exponential = { ...restartDefault, jitter: 0 } as RestartStrategy

  test('by no strategy: never', () => {
    assert.deepEqual(delays({ kind: 'none' }, at(0)), [null])
  })
  test('after a fixed delay, so many times', () => {
    assert.deepEqual(delays({ kind: 'fixed-delay', attempts: 2, delayMs: 500 }, at(0, 10_000, 90_000_000)), [
      500,
      500,
      null,
    ])
  })
  test('after delays that grow up to the longest, without an end', () => {
    const first = delays(exponential, at(0, 1, 2, 3))
    assert.deepEqual(first, [1000, 1500, 2250, 3375])
    assert.deepEqual(delays(exponential, often(200)).slice(-2), [60_000, 60_000])
  })
  test('from the beginning again once it has run for long enough', () => {
    assert.deepEqual(delays(exponential, at(0, 10_000, 20_000, 22_249 + 3_600_000)), [1000, 1500, 2250, 3375])
    assert.deepEqual(delays(exponential, at(0, 10_000, 20_000, 22_250 + 3_600_000)), [1000, 1500, 2250, 1000])
  })
  test('with jitter on both sides of the delay, and never later than the longest', () => {
    assert.deepEqual(delays(restartDefault, [{ nowMs: 0, chance: 0 }]), [900])
    assert.deepEqual(delays(restartDefault, [{ nowMs: 0, chance: 0.999999 }]), [1100])
    assert.equal(delays(restartDefault, often(40, { chance: 0.999 })).at(-1), 60_000)
  })
  test('so many times within an interval', () => {
    const rate: RestartStrategy = { kind: 'failure-rate', failures: 2, intervalMs: 10_000, delayMs: 100 }
    assert.deepEqual(delays(rate, at(0, 5_000, 10_000)), [100, 100, null])
    assert.deepEqual(delays(rate, at(0, 5_000, 10_001, 15_001)), [100, 100, 100, 100])
    // Oracle: any window of the interval holds no more than that many starts, and one is refused only where it would.
    const random = new SeededRandom(5, 'rate')
    for (let round = 0; round < 500; round++) {
      const times = Array.from({ length: 8 }, () => random.between(0, 40_000)).toSorted((a, b) => a - b)
      const started: number[] = []
      const expected: (number | null)[] = []
      for (const time of times) {
        const isRefused = started.filter((one) => time - one <= 10_000).length >= 2
        expected.push(isRefused ? null : 100)
        if (isRefused) break
        started.push(time)
      }
      assert.deepEqual(delays(rate, at(...times)), expected, JSON.stringify(times))
    }
  })
  test('never after an event that cannot be processed, or with a state of another plan', () => {
    const mismatch = new Fault('flow.state-mismatch', { view: 'v', what: 'another plan' })
    for (const fault of [poison, mismatch])
      for (const strategy of [exponential, { kind: 'fixed-delay', attempts: 9, delayMs: 1 } as const])
        assert.deepEqual(delays(strategy, [{ nowMs: 0, fault }]), [null])
  })
  test('after a fault of unknown cause ten times in a row in vain, with commits in between without an end', () => {
    assert.deepEqual(delays(exponential, often(20, { fault: threadEnded })).indexOf(null), 10)
    assert.equal(delays(exponential, often(60, { fault: threadEnded, hasCommitted: true })).indexOf(null), -1)
    const now = often(60, { fault: threadEnded }).map((one, i) => ({ ...one, hasCommitted: i % 9 === 0 }))
    assert.equal(delays(exponential, now).indexOf(null), -1)
  })
  test('after such a fault as often as the view says itself', () => {
    const said = { ...exponential, attempts: 15 } as RestartStrategy
    assert.deepEqual(delays(said, often(20, { fault: threadEnded })).indexOf(null), 15)
  })
})

const columns = [field('k', t.text), field('n', t.int)]
const sums = (name: string, more: Partial<ViewPlan> = {}): ViewPlan => ({ ...sumsOf('events', name), ...more })
const divides: Plan = {
  op: 'project',
  input: source('events', columns),
  expressions: [column(columns, 'k'), call('/', t.int, literal(100, t.int), column(columns, 'n'))],
  columns: [field('k', t.text), field('x', t.int)],
}

/** Readers of views in `away` find the disk failing. */
function failing(log: Log, away: { now: boolean; topic: string; reads: number }): Log {
  return new Proxy(log, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name)
      if (name !== 'reader') return typeof value === 'function' ? (value.bind(target) as unknown) : value
      return () => {
        const reader = target.reader()
        return {
          ...reader,
          restore: reader.restore.bind(reader),
          read: async (...[from, ...more]: Parameters<typeof reader.read>) => {
            const fails = (): boolean => away.now && from.some(({ partition }) => partition.topic === away.topic)
            const chunks = fails() ? [] : await reader.read(from, ...more)
            if (!fails()) return chunks
            away.reads++
            return from.map(({ partition }) => ({ partition, fault: diskFailed }))
          },
        }
      }
    },
  })
}
interface Scene {
  readonly machine: Simulation
  readonly house: House<LocalFlow>
  readonly away: { now: boolean; topic: string; reads: number }
  /** The last statuses of a view, each once. */
  statuses(name: string): string[]
}
async function scene(play: (scene: Scene) => Promise<void>): Promise<void> {
  const machine = simulate(11)
  const away = { now: false, topic: 'events', reads: 0 }
  const told: ViewInfo[] = []
  const house = await machine.run(() =>
    openHouseWith(machine, '/data', (options) =>
      openFlow({ ...options, log: failing(options.log, away), onInfo: (info) => told.push(info) }),
    ),
  )
  await machine.run(() => house.topic('events'))
  await machine.run(() => house.topic('others'))
  const statuses = (name: string): string[] => {
    const all = told.filter((info) => info.name === name).map(({ status }) => status)
    return all.filter((status, i) => status !== all[i - 1])
  }
  await play({ machine, house, away, statuses })
  await machine.run(() => house.close())
}
const rows = async ({ machine, house }: Scene, name: string): Promise<unknown> =>
  Object.fromEntries(newest(await machine.run(() => house.read(name))))
const sent = async ({ machine, house }: Scene, topic: string, n: number): Promise<void> => {
  await machine.run(() => house.send(topic, [{ k: 'x', n }]))
  await machine.advance(200)
}
const growing: RestartStrategy = { ...restartDefault, jitter: 0 } as RestartStrategy

describe('a view that fails', () => {
  test('comes back when the disk does, with rows as if nothing had been', async () =>
    scene(async (all) => {
      const { machine, house, away, statuses } = all
      await machine.run(() => house.flow.start(sums('v', { restart: growing })))
      await sent(all, 'events', 1)
      away.now = true
      await sent(all, 'events', 2)
      await machine.advance(100)
      const failed = house.flow.view('v')
      assert.equal(failed.status, 'restarting')
      assert.equal(failed.restarts?.attempts, 1)
      assert.equal(failed.restarts.lastFault.code, 'store.failed')
      assert.equal(failed.restarts.nextMs! - failed.restarts.lastFaultMs, 1000)
      await machine.advance(10_000)
      // After 1, 1.5, 2.25 and 3.375 s.
      assert.equal(house.flow.view('v').restarts?.attempts, 5)
      assert.equal(house.faults.length, 5)
      away.now = false
      await machine.advance(6_000)
      await sent(all, 'events', 4)
      const { status, error, restarts } = house.flow.view('v')
      assert.deepEqual([status, error, restarts?.attempts, restarts?.nextMs], ['running', null, 5, null])
      assert.deepEqual(await rows(all, 'v'), { x: { k: 'x', n: 7 } })
      assert.deepEqual(statuses('v').slice(0, 5), ['restoring', 'running', 'failed', 'restarting', 'restoring'])
    }))

  test('does not disturb its neighbours', async () =>
    scene(async (all) => {
      const { machine, house, away } = all
      const others = { ...sums('other'), plan: { ...sums('other').plan, input: source('others', columns) } as Plan }
      await machine.run(() => house.flow.start(sums('v', { restart: growing })))
      await machine.run(() => house.flow.start(others))
      away.now = true
      for (let n = 1; n <= 20; n++) {
        await sent(all, 'events', n)
        await sent(all, 'others', n)
        assert.equal(house.flow.view('other').rowsIn, n)
      }
      assert.equal(house.flow.view('v').rowsIn, 0)
      assert.equal(house.flow.view('other').status, 'running')
    }))

  test('at an event that it cannot process stays failed at once, and is not tried again', async () =>
    scene(async (all) => {
      const { machine, house } = all
      const plan = { name: 'd', plan: divides, key: null, appendOnly: true }
      await machine.run(() => house.flow.start({ ...sums('d'), ...plan, restart: growing }))
      await sent(all, 'events', 0)
      const { status, error, restarts } = house.flow.view('d')
      assert.deepEqual(
        [status, error?.code, restarts?.attempts, restarts?.nextMs],
        ['failed', 'flow.step-failed', 0, null],
      )
      await machine.advance(86_400_000)
      assert.equal(house.flow.view('d').status, 'failed')
      assert.equal(house.faults.length, 1)
    }))

  test('is failed when its attempts are used up, and has new ones once it was resumed', async () =>
    scene(async (all) => {
      const { machine, house, away } = all
      const restart = { kind: 'fixed-delay', attempts: 2, delayMs: 5_000 } as const
      await machine.run(() => house.flow.start(sums('v', { restart })))
      away.now = true
      await sent(all, 'events', 1)
      await machine.advance(4_000)
      assert.equal(house.faults.length, 1)
      await machine.advance(60_000)
      assert.equal(house.faults.length, 3)
      const { status, restarts } = house.flow.view('v')
      assert.deepEqual([status, restarts?.attempts, restarts?.nextMs], ['failed', 2, null])
      await machine.run(() => house.flow.resume('v'))
      await machine.advance(60_000)
      assert.equal(house.faults.length, 6)
      away.now = false
      await machine.run(() => house.flow.resume('v'))
      await machine.advance(200)
      assert.equal(house.flow.view('v').restarts, null)
      assert.deepEqual(await rows(all, 'v'), { x: { k: 'x', n: 1 } })
    }))

  test('is started at once by resume, and then by nothing else', async () =>
    scene(async (all) => {
      const { machine, house, away } = all
      const restart = { kind: 'fixed-delay', attempts: 5, delayMs: 60_000 } as const
      await machine.run(() => house.flow.start(sums('v', { restart })))
      away.now = true
      await sent(all, 'events', 1)
      assert.equal(house.flow.view('v').status, 'restarting')
      away.now = false
      await machine.run(() => house.flow.resume('v'))
      await machine.advance(200)
      const { ticks } = house.flow.view('v')
      await machine.advance(120_000)
      assert.deepEqual([house.flow.view('v').status, house.flow.view('v').ticks], ['running', ticks])
    }))

  test('is forgotten when it is stopped or dropped', async () =>
    scene(async (all) => {
      const { machine, house, away } = all
      for (const end of ['stop', 'drop'] as const) {
        away.now = false
        await machine.run(() => house.flow.start(sums('v', { restart: growing })))
        away.now = true
        await sent(all, 'events', 1)
        assert.equal(house.flow.view('v').status, 'restarting')
        await machine.run(() => house.flow[end]('v'))
        const { reads } = away
        await machine.advance(600_000)
        assert.deepEqual([house.flow.has('v'), away.reads], [false, reads])
      }
    }))

  test('while it is paused comes back paused', async () =>
    scene(async (all) => {
      const { machine, house, away } = all
      await machine.run(() => house.flow.start(sums('v', { restart: growing })))
      away.now = true
      await sent(all, 'events', 1)
      await machine.run(() => house.flow.pause('v'))
      away.now = false
      await machine.advance(5_000)
      assert.equal(house.flow.view('v').status, 'paused')
      assert.equal(house.flow.view('v').rowsIn, 0)
      await machine.run(() => house.flow.resume('v'))
      await machine.advance(200)
      assert.deepEqual(await rows(all, 'v'), { x: { k: 'x', n: 1 } })
    }))
})
