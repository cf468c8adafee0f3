/** User code with a state by key: what it sees is what the JSON of its state gives, whatever a tick holds. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { isPlainJson } from '../../src/flow/plain-json.ts'
import type { Plan, ProcessFunction, ViewPlan } from '../../src/flow/plan.ts'
import { openHouse, textOf, until } from './house.ts'
import { Bench, type Input, cuts, field, random, show, source, t } from './plans.ts'

const columns = [field('k', t.text), field('n', t.int)]
const output = [field('k', t.text), field('seen', t.text)]
const processing = (fn: ProcessFunction): Plan => ({
  op: 'process',
  input: source('s', columns),
  key: [0],
  fn,
  columns: output,
})
const input = (k: string, n: number): Input => ({ topic: 's', partition: 0, value: { k, n } })
const rowsOf = (bench: Bench): string[] => bench.deltas.flat().map((d) => show(d.values))

/** Says what it was given, then changes it: in place, into things that are no JSON, or before it throws. */
const wild: ProcessFunction = (event, state, emit) => {
  const [k, n] = [event['k'], event['n'] as number]
  emit({ k, seen: describe(state) })
  const box = (state ?? { list: [], more: {} }) as { list: unknown[]; more: Record<string, unknown> }
  if (n >= 50 && n < 75) return { list: [...box.list, n].slice(-5), more: { ...box.more } }
  box.list.push(n)
  if (box.list.length > 5) box.list.length = 2
  const what = n < 50 ? Math.floor(n / 5) : 'plain'
  if (what === 0) return undefined
  if (what === 1) throw new Error(`no ${n}`)
  if (what === 2) box.more['at'] = new Date(n)
  if (what === 3) box.more[`x${n}`] = undefined
  if (what === 4) box.more['zero'] = -0
  if (what === 5) box.more['twice'] = box.list
  if (what === 6) emit({ k, seen: { toJSON: () => assert.fail('this row cannot be made') } })
  if (what === 7) box.more['self'] = box
  if (what === 8) Object.assign(box.list, { name: 'x' })
  if (what === 9) return Object.assign(box, { more: { get n() { return box.list.length } } }) // oxfmt-ignore
  return box
}
const describe = (value: unknown): string =>
  JSON.stringify(value, (_, v: unknown) => (Object.is(v, -0) ? '-0' : v)) +
  (value === undefined
    ? ''
    : Object.values(value as object)
        .map((part) => Reflect.ownKeys(part as object).join())
        .join())

/** What the function means: after every event its state is text. */
function reference(inputs: readonly Input[]): string[] {
  const states = new Map<string, string>()
  const rows: string[] = []
  for (const { value } of inputs) {
    const { k, n } = value as { k: string; n: number }
    const text = states.get(k)
    const emitted: unknown[][] = []
    try {
      const state = wild(
        { k, n },
        text === undefined ? undefined : JSON.parse(text),
        (row) => void emitted.push([k, typeof row['seen'] === 'string' ? row['seen'] : JSON.stringify(row['seen'])]),
        { timeMs: 0, watermarkMs: 0, key: [k] },
      )
      const after = state === undefined ? undefined : JSON.stringify(state)
      if (after === undefined) states.delete(k)
      else states.set(k, after)
      rows.push(...emitted.map(show))
    } catch {
      // The event changes nothing.
    }
  }
  return rows
}

test('what a function sees does not depend on ticks, undone ones and restarts', () => {
  let again = 0
  for (let seed = 1; seed <= 60; seed++) {
    const next = random(seed)
    // Some runs have nothing that needs care, others little or much.
    const from = seed % 3 === 0 ? 0 : seed % 3 === 1 ? 50 : 15
    const inputs = Array.from({ length: 200 }, () =>
      input(
        'ab'[Math.floor(next() * 2)]!,
        seed % 6 !== 1 && next() < 0.05 ? Math.floor(next() * 50) : from + Math.floor(next() * 80),
      ),
    )
    const wanted = reference(inputs)
    const bench = new Bench(processing(wild))
    const pieces = cuts(inputs, next, 30)
    pieces.forEach((piece, i) => {
      bench.step(piece)
      if (next() < 0.5) return
      bench.commit()
      if (next() < 0.3) bench.restart()
      if (next() < 0.3 && seed % 3 === 1) bench.tryOut(() => pieces.slice(i, i + 2).forEach((p) => bench.step(p)))
    })
    bench.commit()
    assert.deepEqual(rowsOf(bench), wanted, `seed ${seed}`)
    again += bench.again
  }
  assert.ok(again > 50, `${again} ticks were done again`)
})
test('a state is made text at most twice in a tick, however often its key is called for', (context) => {
  const stringify = context.mock.method(JSON, 'stringify')
  const bench = new Bench(
    processing((event, state) => ({
      sum: ((state as { sum: number } | undefined)?.sum ?? 0) + (event['n'] as number),
    })),
  )
  const inputs = Array.from({ length: 100 }, (_, n) => input('ab'[n % 2]!, n + 1))
  assert.ok(bench.graph.marks.text.length > 0, 'what names the state is made text once, before')
  for (let tick = 0; tick < 3; tick++) {
    const before = stringify.mock.callCount()
    bench.step(inputs)
    bench.commit()
    // The inputs themselves are made of JSON.
    assert.equal(stringify.mock.callCount() - before - inputs.length, 4)
  }
})
test('an event that fails in the middle of a tick leaves the state as it was, and the tick is committed', async () => {
  await using house = await openHouse()
  await house.topic('s')
  const view: ViewPlan = {
    name: 'sums',
    plan: processing((event, state, emit) => {
      const box = (state ?? { sum: 0 }) as { sum: number }
      box.sum += event['n'] as number
      if (event['n'] === 13) throw new Error('unlucky')
      emit({ k: event['k'], seen: String(box.sum) })
      return box
    }),
    key: null,
    appendOnly: true,
    lateTopic: null,
    idleMs: 30_000,
    maxFutureMs: 3_600_000,
    onError: 'skip',
  }
  await house.flow.start(view)
  for (let round = 0; round < 2; round++)
    await house.send(
      's',
      [1, 2, 13, 4, 13, 13, 5].map((n) => ({ k: 'a', n })),
    )
  await until(() => house.flow.view('sums').rowsIn === 14, 'all taken')
  assert.deepEqual(
    (await house.read('sums')).map((r) => (JSON.parse(textOf(r.value)!) as { seen: string }).seen),
    ['1', '3', '7', '12', '13', '15', '19', '24'],
  )
  const { failed, status } = house.flow.view('sums')
  assert.deepEqual([failed, status], [6, 'running'])
})

test('plain is what its own JSON gives back', () => {
  const plain = [0, 1.5, '', 'x', true, null, [], {}, [1, 'a', [null]], { a: { b: [1, { c: null }] } }]
  for (const value of plain) assert.ok(isPlainJson(value, new Set()), show([value]))
  const array = Object.assign([1], { name: 'x' })
  const twice = [1]
  class Point {
    x = 1
  }
  const loop: unknown[] = []
  loop.push(loop)
  let deep: unknown = 1
  for (let i = 0; i < 100_000; i++) deep = [deep]
  const not: Readonly<Record<string, unknown>> = {
    undefined,
    NaN,
    'minus zero': { a: -0 },
    bigint: 1n,
    date: [new Date(0)],
    'undefined inside': { a: undefined },
    hole: [1, , 2], // oxlint-disable-line
    'a named property of an array': array,
    'an object met twice': { a: twice, b: twice },
    class: new Point(),
    'no prototype': Object.create(null),
    map: new Map(),
    symbol: { [Symbol('s')]: 1 },
    getter: {
      get a() {
        return 1
      },
    },
    hidden: Object.defineProperty({}, 'a', { value: 1 }),
    toJSON: { toJSON: () => 1 },
    loop,
    deep,
    'a typed array': new Uint8Array(1),
  }
  for (const [name, value] of Object.entries(not)) assert.ok(!isPlainJson(value, new Set()), name)
  const seen = new Set<object>()
  assert.ok(isPlainJson({ a: twice }, seen))
  assert.ok(!isPlainJson({ b: twice }, seen), 'shared by two values')
})
