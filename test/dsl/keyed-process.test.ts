/** Functions with named states, timers and side outputs: under virtual time, through crashes, and against a plain model. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { count, defineTopic, defineView, listState, mapState, valueState } from '../../src/dsl/index.ts'
import { testMillrace } from '../../src/testing.ts'
import { random } from '../flow/plans.ts'

const clicks = defineTopic('clicks', {
  schema: z.object({ k: z.string(), n: z.int(), note: z.string().optional(), at: z.iso.datetime() }),
  eventTime: 'at',
  lateness: '2s',
})
const start = Date.UTC(2026, 0, 1)
const time = (second: number): string => new Date(start + second * 1000).toISOString()
const secondOf = (ms: number): number => (ms - start) / 1000

interface Click {
  readonly k: string
  readonly n: number
  readonly at: string
}
const Said = z.object({ k: z.string(), what: z.string(), text: z.string() })

/** Counts, remembers, and says so a while after the last click of a key, and at full minutes. */
const watched = clicks.stream().process({
  key: 'k',
  output: Said,
  state: { seen: valueState<{ count: number }>(), last: listState<number>(), by: mapState<number, number>() },
  onEvent({ k, n, at }, { state, timers, emit, timeMs, key }) {
    assert.deepEqual(key, [k])
    assert.equal(new Date(at).getTime(), timeMs)
    const seen = state.seen.get() ?? { count: 0 }
    state.seen.set({ count: seen.count + 1 })
    // What was given is a copy.
    seen.count = -1
    state.last.push(n)
    if (state.last.length > 4) state.last.set(state.last.get().slice(-2))
    state.by.set(n % 5, (state.by.get(n % 5) ?? 0) + 1)
    if (n % 11 === 0) state.by.delete(0)
    timers.event(timeMs + 7_000, 'quiet')
    timers.event(Math.ceil((timeMs + 1) / 60_000) * 60_000)
    if (n % 7 === 0) timers.delete('event', 'quiet')
    if (n % 9 === 0) timers.delete('event', Math.ceil((timeMs + 1) / 60_000) * 60_000)
    if (n % 13 === 0) throw new Error('unlucky')
    emit({ k, what: `click ${n}`, text: JSON.stringify([state.seen.get(), state.last.get(), state.by.entries()]) })
  },
  onTimer({ name, atMs, clock }, { state, timers, emit, key, watermarkMs }) {
    assert.ok(clock === 'event' && watermarkMs >= atMs)
    const text = JSON.stringify([state.seen.get(), state.last.get(), state.by.keys()])
    emit({ k: String(key[0]), what: `${name ?? 'minute'} ${secondOf(atMs)}`, text })
    if (name === 'quiet') timers.event(atMs + 20_000, 'gone')
    if (name === 'gone') for (const one of [state.seen, state.last, state.by]) one.clear()
  },
})

/** The same by hand, one event after another. */
function model(events: readonly Click[]): string[] {
  interface Key {
    seen: number | null
    last: number[]
    by: Map<number, number>
    timers: Map<string, number>
  }
  const keys = new Map<string, Key>()
  const said: string[] = []
  let watermark = -Infinity
  const fire = (): void => {
    for (;;) {
      const due = [...keys]
        .flatMap(([k, key]) => [...key.timers].map(([name, at]) => ({ k, key, name, at })))
        .filter(({ at }) => at <= watermark)
        // Of one time: by key, those without a name first.
        .toSorted(
          (a, b) =>
            a.at - b.at ||
            (a.k < b.k ? -1 : a.k > b.k ? 1 : order(a.name) - order(b.name) || (a.name < b.name ? -1 : 1)),
        )
      const [first] = due
      if (first === undefined) return
      const { k, key, name, at } = first
      key.timers.delete(name)
      const shown = name.startsWith('@') ? 'minute' : name
      const seen = key.seen === null ? null : { count: key.seen }
      said.push(
        `${k} ${shown} ${secondOf(at)} ${JSON.stringify([seen, key.last, [...key.by.keys()].toSorted((a, b) => a - b)])}`,
      )
      if (name === 'quiet') key.timers.set('gone', at + 20_000)
      if (name === 'gone') Object.assign(key, { seen: null, last: [] as number[], by: new Map<number, number>() })
    }
  }
  const order = (name: string): number => (name.startsWith('@') ? 0 : 1)
  for (const { k, n, at } of events) {
    fire()
    const ms = new Date(at).getTime()
    if (n % 13 !== 0) {
      const key: Key = keys.get(k) ?? { seen: null, last: [], by: new Map(), timers: new Map() }
      keys.set(k, key)
      key.seen = (key.seen ?? 0) + 1
      key.last.push(n)
      if (key.last.length > 4) key.last = key.last.slice(-2)
      key.by.set(n % 5, (key.by.get(n % 5) ?? 0) + 1)
      if (n % 11 === 0) key.by.delete(0)
      const minute = Math.ceil((ms + 1) / 60_000) * 60_000
      key.timers.set('quiet', ms + 7_000)
      key.timers.set(`@${minute}`, minute)
      if (n % 7 === 0) key.timers.delete('quiet')
      if (n % 9 === 0) key.timers.delete(`@${minute}`)
      said.push(
        `${k} click ${n} ${JSON.stringify([{ count: key.seen }, key.last, [...key.by].toSorted(([a], [b]) => a - b)])}`,
      )
    }
    watermark = Math.max(watermark, ms - 2_000)
  }
  fire()
  return said
}
function events(next: () => number, length: number): Click[] {
  let second = 0
  return Array.from({ length }, () => {
    second += Math.floor(next() * 9)
    return {
      k: 'abc'[Math.floor(next() * 3)]!,
      n: Math.floor(next() * 60) + 1,
      at: time(second - Math.floor(next() * 4)),
    }
  })
}
test('states and timers are those of a run without batches, kills and power cuts', async (context) => {
  const seeds = Number(process.env['SEEDS'] ?? 8)
  const first = Number(process.env['SEED'] ?? 1)
  let [rows, timers, crashes] = [0, 0, 0]
  for (let seed = first; seed < first + seeds; seed++) {
    const next = random(seed)
    const view = defineView('watched', watched, { onError: 'skip' })
    await using millrace = await testMillrace({ seed, topics: [clicks], views: [view] })
    const all = events(next, 60)
    for (let at = 0; at < all.length;) {
      const piece = all.slice(at, (at += 1 + Math.floor(next() * 12)))
      await millrace.topic(clicks).send(piece)
      const then = next()
      if (then < 0.5) await millrace.sql('FLUSH')
      else if (then < 0.75) await millrace.clock.advance(Math.floor(next() * 30))
      if (next() < 0.3) {
        await millrace.crash(next() < 0.5 ? 'kill' : 'power')
        crashes++
      }
    }
    const said = await millrace.sql<{ k: string; what: string; text: string }>(
      'SELECT k, what, text, _offset FROM watched ORDER BY _offset',
    )
    const expected = model(all)
    assert.deepEqual(
      said.map(({ k, what, text }) => `${k} ${what} ${text}`),
      expected,
      `seed ${seed}`,
    )
    rows += said.length
    timers += expected.filter((line) => !line.includes('click')).length
  }
  context.diagnostic(`${rows} rows, ${timers} of timers, ${crashes} crashes`)
  assert.ok(rows > seeds * 50 && timers > seeds * 10 && crashes > seeds)
})

test('timers of the clock fire when it comes to them, once, also after a crash', async () => {
  const reminded = clicks.stream().process({
    key: 'k',
    output: Said,
    state: { n: valueState<number>() },
    onEvent: ({ n }, { state, timers, nowMs }) => {
      state.n.set(n)
      timers.processing(nowMs + 60_000, 'remind')
      timers.processing(nowMs + 600_000)
      if (n < 0) timers.delete('processing', 'remind')
    },
    onTimer: ({ atMs, clock, name }, { state, emit, nowMs, key }) => {
      assert.ok(clock === 'processing' && nowMs >= atMs)
      emit({
        k: String(key[0]),
        what: name ?? 'later',
        text: `${state.n.get()} after ${Math.round((nowMs - atMs) / 1000)} s`,
      })
    },
  })
  const view = defineView('reminded', reminded)
  await using millrace = await testMillrace({ topics: [clicks], views: [view] })
  const rows = async () => (await millrace.view(view).rows()).map(({ k, what, text }) => `${k} ${what} ${text}`)
  await millrace.topic(clicks).send([
    { k: 'a', n: 1, at: time(0) },
    { k: 'b', n: 2, at: time(0) },
    { k: 'c', n: -3, at: time(0) },
  ])
  await millrace.sql('FLUSH')
  await millrace.clock.advance('50s')
  assert.deepEqual(await rows(), [])
  // The one of that name moves.
  await millrace.topic(clicks).send({ k: 'b', n: 4, at: time(1) })
  await millrace.sql('FLUSH')
  await millrace.clock.advance('11s')
  assert.deepEqual(await rows(), ['a remind 1 after 0 s'])
  await millrace.crash()
  await millrace.clock.advance('50s')
  assert.deepEqual((await rows()).toSorted(), ['a remind 1 after 0 s', 'b remind 4 after 0 s'])
  await millrace.crash('power')
  await millrace.clock.advance('1d')
  assert.deepEqual((await rows()).filter((row) => row.includes('later')).length, 4)
})

test('states of a key without calls for their time to live go, also through a crash; others stay', async () => {
  const counted = clicks.stream().process({
    key: 'k',
    output: Said,
    state: { n: valueState<number>(), all: listState<number>(), by: mapState<string, number>() },
    ttl: '1h',
    onEvent: ({ k, n }, { state, emit }) => {
      state.n.set((state.n.get() ?? 0) + 1)
      state.all.push(n)
      state.by.set(`n${n}`, n)
      emit({ k, what: String(state.n.get()), text: JSON.stringify([state.all.get(), state.by.keys()]) })
    },
  })
  const view = defineView('counted', counted)
  await using millrace = await testMillrace({ topics: [clicks], views: [view] })
  const send = async (k: string, n: number) => {
    await millrace.topic(clicks).send({ k, n, at: time(n) })
    return (await millrace.view(view).rows()).filter((row) => row.k === k).at(-1)
  }
  await send('a', 1)
  await send('b', 1)
  await millrace.clock.advance('40m')
  assert.equal((await send('a', 2))?.what, '2')
  await millrace.clock.advance('30m')
  // b is over; a had a call in between.
  assert.deepEqual(await send('b', 3), { k: 'b', what: '1', text: '[[3],["n3"]]' })
  assert.equal((await send('a', 3))?.what, '3')
  await millrace.crash('power')
  await millrace.clock.advance('59m')
  assert.deepEqual(await send('a', 4), { k: 'a', what: '4', text: '[[1,2,3,4],["n1","n2","n3","n4"]]' })
  await millrace.clock.advance('64m')
  assert.equal((await send('a', 5))?.what, '1')
})

test('rows go to the outputs that they are emitted to, each with its own event time', async () => {
  const split = clicks.stream().process({
    key: 'k',
    output: z.object({ k: z.string(), n: z.int(), at: z.iso.datetime() }),
    sides: {
      odd: { schema: z.object({ odd: z.int(), when: z.iso.datetime() }), eventTime: 'when' },
      noted: z.object({ note: z.string() }),
    },
    onEvent: ({ k, n, at, note }, { emit, side }) => {
      if (n % 2 === 1) side.odd({ odd: n, when: at })
      else emit({ k, n, at })
      if (note !== undefined) side.noted({ note })
    },
  })
  const even = defineView('even', split)
  const odd = defineView(
    'odd',
    split.side('odd').window({ tumbling: '1m' }).groupBy().aggregate({ n: count() }, { emit: 'close' }),
  )
  const noted = defineView('noted', split.side('noted'))
  const both = defineView(
    'both',
    split.select((row) => ({ n: row.n })).merge(split.side('odd').select((row) => ({ n: row.odd }))),
  )
  await using millrace = await testMillrace({ topics: [clicks], views: [even, odd, noted, both] })
  await millrace
    .topic(clicks)
    .send([1, 2, 3, 4, 5].map((n) => ({ k: 'a', n, at: time(n * 20), ...(n === 4 ? { note: 'four' } : {}) })))
  assert.deepEqual(
    (await millrace.view(even).rows()).map(({ n }) => n),
    [2, 4],
  )
  assert.deepEqual(
    (await millrace.view(odd).rows()).map(({ window_start, n }) => [window_start, n]),
    [['2026-01-01T00:00:00Z', 1]],
  )
  assert.deepEqual(await millrace.view(noted).rows(), [{ note: 'four' }])
  assert.deepEqual((await millrace.view(both).rows()).map(({ n }) => n).toSorted(), [1, 2, 3, 4, 5])
  // Both outputs of one view are of one function.
  const processes = (plan: object): number => JSON.stringify(plan).split('"op":"process"').length - 1
  const { plan } = both.plan()!
  assert.equal(processes(plan), 2)
  const found = new Set<object>()
  const walk = (step: { op?: string; input?: object; inputs?: readonly object[] }): void => {
    if (step.op === 'process') found.add(step)
    for (const input of step.inputs ?? (step.input === undefined ? [] : [step.input])) walk(input)
  }
  walk(plan)
  assert.equal(found.size, 1)
})

test('what a function may not do is said, and a timer that fails is its key’s failure', async () => {
  const bad = clicks.stream().process({
    key: 'k',
    output: Said,
    state: { box: valueState<unknown>(), map: mapState<string, number>() },
    onEvent: ({ n, k }, { state, timers, emit }) => {
      if (n === 1) state.box.set(() => 1)
      if (n === 2) timers.event(Number.NaN)
      if (n === 3) state.map.set(undefined as never, 1)
      if (n === 4) return Promise.resolve() as never
      if (n === 5) timers.event(start + 5_000)
      if (n === 6) emit({ k, what: 'six', text: 6 as never })
      if (n === 7) kept = emit
      if (n === 8) kept({ k, what: 'late', text: '' })
      emit({ k, what: `fine ${n}`, text: JSON.stringify([state.box.get(), state.map.keys()]) })
    },
    onTimer: ({ atMs }, { timers }) => timers.event(atMs),
  })
  let kept: (row: z.infer<typeof Said>) => void
  const view = defineView('bad', bad, { onError: 'skip' })
  await using millrace = await testMillrace({ topics: [clicks], views: [view] })
  await millrace.topic(clicks).send([1, 2, 3, 4, 5, 6, 7, 8, 9, 10].map((n) => ({ k: 'a', n, at: time(n) })))
  assert.deepEqual(
    (await millrace.view(view).rows()).map(({ what }) => what),
    ['fine 5', 'fine 7', 'fine 9', 'fine 10'],
  )
  const stops = defineView('stops', bad)
  await using other = await testMillrace({ topics: [clicks], views: [stops] })
  await other.topic(clicks).send([5, 9, 10].map((n) => ({ k: 'a', n, at: time(n) })))
  await other.clock.advance('1s')
  const [cause] = await other.doctor(stops).catch(() => [])
  assert.match(JSON.stringify(cause ?? (await other.sql('SHOW VIEWS'))), /sets the next one for later|failed/)
})

test('wrong uses do not type-check', () => {
  const wrong = (): void => {
    const output = z.object({ k: z.string() })
    const s = clicks.stream()
    const state = { n: valueState<number>(), l: listState<string>(), m: mapState<string, number>() }
    // @ts-expect-error there is no such key
    s.process({ key: 'colour', output, onEvent: () => {} })
    s.process({
      key: 'k',
      output,
      state,
      sides: { other: z.object({ x: z.number() }) },
      onEvent: (event, { state: { n, l, m }, emit, side, timers }) => {
        // @ts-expect-error the event has no such field
        void event.colour
        // @ts-expect-error a number is kept
        n.set('1')
        // @ts-expect-error there may be none
        const one: number = n.get()
        // @ts-expect-error texts are kept
        l.push(1)
        // @ts-expect-error keys are texts
        m.get(1)
        // @ts-expect-error values are numbers
        m.set('a', 'b')
        // @ts-expect-error k is a text
        emit({ k: 1 })
        // @ts-expect-error x is a number
        side.other({ x: 'a' })
        // @ts-expect-error there is no such side
        side.none({})
        // @ts-expect-error a time in ms
        timers.event('soon')
        // @ts-expect-error there are two clocks
        timers.delete('wall', 1)
        void one
      },
      // @ts-expect-error there is no such state
      onTimer: (_timer, context) => void context.state.none,
    })
    // @ts-expect-error there is no such side
    s.process({ key: 'k', output, sides: { other: output }, onEvent: () => {} }).side('none')
  }
  assert.equal(typeof wrong, 'function')
})
