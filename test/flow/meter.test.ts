/** What a graph says of itself: rows a second between its nodes, and the share of time that each is at work. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { timeMs } from '../../src/lib/brand.ts'
import type { Clock } from '../../src/lib/world.ts'
import { Graph } from '../../src/flow/graph.ts'
import type { Plan } from '../../src/flow/plan.ts'
import { memoryWorld, openHouse, until } from './house.ts'
import { column, field, random, raw, record, source, t } from './plans.ts'

const columns = [field('k', t.text), field('n', t.int)]
/** A clock that only moves when it is told to. */
function handClock() {
  let atMs = 0
  const clock: Clock = { ...memoryWorld().clock, now: () => timeMs(atMs), monotonic: () => atMs }
  return { clock, pass: (ms: number) => void (atMs += ms) }
}

test('a node is as busy as its work takes of the last seconds, and its rate does not fall between ticks', () => {
  const { clock, pass } = handClock()
  let workMs = 0
  const slow: Plan = {
    op: 'process',
    input: source('s', columns),
    key: [0],
    fn: (event, _, emit) => {
      pass(workMs)
      emit(event)
      return null
    },
    columns,
  }
  const plan: Plan = { op: 'project', input: slow, expressions: [column(columns, 'n')], columns: [columns[1]!] }
  const graph = new Graph(plan, { idleMs: 30_000, maxFutureMs: 1e15, clock })
  graph.open(() => [{ partition: 0, unread: true }], 0)
  const [from] = graph.sources
  let offset = 0
  const tick = (rows: number): void => {
    const records = Array.from({ length: rows }, () =>
      record({ topic: 's', partition: 0, value: { k: 'a', n: 1 } }, offset++),
    )
    const { batch } = graph.measured(from!.node, () => {
      pass(rows)
      return from!.decoder.decode([{ partition: 0, records: raw(records) }], from!.clock, 0)
    })
    graph.step(new Map([[0, batch]]), 0)
    graph.save(0)
    graph.commit()
  }
  const busy = (): number[] => graph.nodes.map(({ meter }) => Math.round(meter!.busyMs.perSecond()) / 1000)
  const rates = (): number[] => graph.nodes.map(({ meter }) => meter!.rowsOut.perSecond())
  // Ten rows a second: ten ms of reading, 30 ms of work each; the rest of the second nothing.
  workMs = 30
  for (let second = 0; second < 10; second++) {
    tick(10)
    for (let rest = 0; rest < 10; rest++) {
      pass(69)
      if (second < 6) continue
      assert.deepEqual(busy(), [0.01, 0.3, 0])
      assert.deepEqual(rates(), [10, 10, 10])
    }
  }
  pass(10_000)
  assert.deepEqual(
    [busy(), rates()],
    [
      [0, 0, 0],
      [0, 0, 0],
    ],
  )
  // Work that is undone was work, but nothing has come out of it.
  tick(0)
  const records = [record({ topic: 's', partition: 0, value: { k: 'a', n: 1 } }, offset)]
  workMs = 500
  graph.step(new Map([[0, from!.decoder.decode([{ partition: 0, records: raw(records) }], from!.clock, 0).batch]]), 0)
  graph.undo()
  pass(1_000)
  assert.deepEqual(
    [busy(), rates()],
    [
      [0, 0.1, 0],
      [0, 0, 0],
    ],
  )
})
test('a running view measures itself by the clock of its world', async () => {
  const next = random(1)
  await using house = await openHouse()
  await house.topic('s')
  const plan: Plan = {
    op: 'process',
    input: source('s', columns),
    key: [],
    fn: (event, _, emit) => {
      for (const end = performance.now() + 20; performance.now() < end;) next()
      emit(event)
      return null
    },
    columns,
  }
  const view = { name: 'v', plan, key: null, appendOnly: true, lateTopic: null, idleMs: 30_000, maxFutureMs: 1e15 }
  await house.flow.start({ ...view, onError: 'stop' })
  await house.send(
    's',
    Array.from({ length: 20 }, (_, n) => ({ k: 'a', n })),
  )
  await until(() => house.flow.view('v').rowsIn === 20, 'all taken')
  await until(async () => (await house.flow.graph('v')).nodes.at(-1)!.busy >= 0.4 / 6, 'the work shows')
  // Rows count when their tick has committed: that may be in the next second.
  await until(async () => (await house.flow.graph('v')).nodes.at(-1)!.rowsOutPerSecond > 0, 'the rows show')
  const [read, work] = (await house.flow.graph('v')).nodes
  assert.ok(work!.busy <= 1 && read!.busy < work!.busy, `${read!.busy} ${work!.busy}`)
})
