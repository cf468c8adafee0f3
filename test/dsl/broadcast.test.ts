/** Broadcast state of `process`: one input writes it, the calls of every key read it; against a plain loop, and through crashes. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import { defineTopic, defineView, listState, mapState, valueState } from '../../src/dsl/index.ts'
import { testMillrace } from '../../src/testing.ts'
import { openHouse, textOf, until } from '../flow/house.ts'
import { Bench, cuts, type Input, random } from '../flow/plans.ts'

const payments = defineTopic('payments', {
  schema: z.object({ card: z.string(), amount: z.int(), at: z.iso.datetime() }),
  eventTime: 'at',
  lateness: '2s',
})
const rules = defineTopic('rules', {
  schema: z.object({ name: z.string(), limit: z.int(), note: z.string().optional() }),
})
const Said = z.object({ card: z.string(), text: z.string() })

const checked = payments.stream().process({
  key: 'card',
  output: Said,
  state: { spent: valueState<number>() },
  broadcast: {
    input: rules.stream(),
    state: { limits: mapState<string, number>(), last: valueState<string>(), all: listState<number>() },
    onEvent(rule, { state, nowMs }) {
      assert.ok(nowMs > 0)
      assert.ok(!('note' in rule) || typeof rule.note === 'string')
      const { name, limit } = rule
      if (limit < 0) state.limits.delete(name)
      else state.limits.set(name, limit)
      state.last.set(`${name} ${limit}`)
      state.all.push(limit)
      if (state.all.length > 5) state.all.set(state.all.get().slice(-2))
      if (limit % 13 === 12) throw new Error('unlucky rule')
    },
  },
  onEvent({ card, amount }, { state, broadcast, emit, timers, timeMs }) {
    const spent = (state.spent.get() ?? 0) + amount
    state.spent.set(spent)
    timers.event(timeMs + 3_000, 'later')
    if (amount === 7) throw new Error('unlucky payment')
    const over = broadcast.limits.entries().filter(([, limit]) => spent > limit)
    emit({ card, text: JSON.stringify([spent, over, broadcast.last.get(), broadcast.all.get(), broadcast.all.length]) })
  },
  onTimer(_, { key, broadcast, emit }) {
    emit({ card: String(key[0]), text: JSON.stringify(broadcast.limits.keys()) })
  },
})

interface Payment {
  readonly card: string
  readonly amount: number
  readonly at: string
}
interface Rule {
  readonly name: string
  readonly limit: number
}
type Event = Payment | Rule
const start = Date.UTC(2026, 0, 1)
/** One event after the other. */
class Loop {
  readonly said: string[] = []
  failed = 0
  private limits = new Map<string, number>()
  private last: string | undefined
  private all: number[] = []
  private watermark = -Infinity
  private readonly spent = new Map<string, number>()
  private readonly timers = new Map<string, number>()

  rule({ name, limit }: Rule): void {
    if (limit % 13 === 12) return void this.failed++
    if (limit < 0) this.limits.delete(name)
    else this.limits.set(name, limit)
    this.last = `${name} ${limit}`
    this.all.push(limit)
    if (this.all.length > 5) this.all = this.all.slice(-2)
  }
  payment({ card, amount, at }: Payment): void {
    this.fire()
    const ms = new Date(at).getTime()
    if (amount === 7) this.failed++
    else {
      const spent = (this.spent.get(card) ?? 0) + amount
      this.spent.set(card, spent)
      this.timers.set(card, ms + 3_000)
      const over = this.names().flatMap((name) =>
        spent > this.limits.get(name)! ? [[name, this.limits.get(name)]] : [],
      )
      this.said.push(`${card} ${JSON.stringify([spent, over, this.last, this.all, this.all.length])}`)
    }
    this.watermark = Math.max(this.watermark, ms - 2_000)
  }
  fire(): void {
    const due = [...this.timers].filter(([, at]) => at <= this.watermark)
    for (const [card] of due.toSorted(([a, x], [b, y]) => x - y || (a < b ? -1 : 1))) {
      this.timers.delete(card)
      this.said.push(`${card} ${JSON.stringify(this.names())}`)
    }
  }
  private names(): string[] {
    return [...this.limits.keys()].toSorted()
  }
}
function eventsOf(next: () => number, count: number): Event[] {
  return Array.from({ length: count }, (_, i): Event => {
    if (next() < 0.3) return { name: 'xyz'[Math.floor(next() * 3)]!, limit: Math.floor(next() * 60) - 10 }
    const at = new Date(start + i * 400 - Math.floor(next() * 1_500)).toISOString()
    return { card: 'abc'[Math.floor(next() * 3)]!, amount: Math.floor(next() * 12), at }
  })
}
const isRule = (event: Event): event is Rule => 'limit' in event
const input = (event: Event): Input => ({
  topic: isRule(event) ? 'rules' : 'payments',
  partition: 0,
  value: event,
  ...(isRule(event) ? {} : { timeMs: new Date(event.at).getTime() }),
})

test('all keys read what the broadcast events have written, over cuts, undone steps and restarts', () => {
  const { plan } = defineView('checked', checked).plan()!
  let rows = 0
  for (let seed = 1; seed <= 12; seed++)
    for (const [longest, parallelism] of [
      [1, 1],
      [9, 3],
      [60, 1],
    ] as const) {
      const next = random(seed)
      const events = eventsOf(next, 120)
      const loop = new Loop()
      const bench = new Bench(plan, {}, { parallelism })
      for (const piece of cuts(events, next, longest)) {
        for (const event of piece) if (isRule(event)) loop.rule(event)
        for (const event of piece) if (!isRule(event)) loop.payment(event)
        loop.fire()
        bench.step(piece.map(input))
        if (next() > 0.5) continue
        bench.commit()
        if (next() < 0.4) bench.tryOut(() => void bench.step(eventsOf(next, 20).map(input)))
        if (next() < 0.4) bench.restart()
      }
      assert.deepEqual(
        bench.deltas.flat().map(({ values }) => values.join(' ')),
        loop.said,
        `seed ${seed}, batches up to ${longest}`,
      )
      assert.equal(bench.failed.length, loop.failed)
      rows += loop.said.length
    }
  assert.ok(rows > 2_000)
})

test('what is broadcast is durable, whole before the first event, and survives crashes', async (context) => {
  let crashes = 0
  for (let seed = 1; seed <= 5; seed++) {
    const next = random(seed)
    const view = defineView('checked', checked, { onError: 'skip' })
    await using millrace = await testMillrace({ seed, topics: [payments, rules], views: [view] })
    const loop = new Loop()
    for (let round = 0; round < 8; round++) {
      const events = eventsOf(next, 15).map((event) =>
        isRule(event) ? event : { ...event, at: new Date(new Date(event.at).getTime() + round * 6_000).toISOString() },
      )
      const [first, then] = [events.filter(isRule), events.filter((event): event is Payment => !isRule(event))]
      if (first.length > 0) await millrace.topic(rules).send(first)
      await millrace.sql('FLUSH')
      if (then.length > 0) await millrace.topic(payments).send(then)
      for (const rule of first) loop.rule(rule)
      for (const payment of then) loop.payment(payment)
      if (next() < 0.5) {
        await millrace.crash(next() < 0.5 ? 'kill' : 'power')
        crashes++
      }
      await millrace.sql('FLUSH')
      loop.fire()
    }
    const said = await millrace.sql<{ card: string; text: string }>('SELECT card, text FROM checked ORDER BY _offset')
    assert.deepEqual(
      said.map(({ card, text }) => `${card} ${text}`),
      loop.said,
      `seed ${seed}`,
    )
  }
  context.diagnostic(`${crashes} crashes`)
  assert.ok(crashes > 5)
})

test('rules that are there when a view is made come before the events, also where it begins with what comes now', async () => {
  const seen = payments.stream().process({
    key: 'card',
    output: z.object({ card: z.string(), rules: z.int() }),
    broadcast: {
      input: rules.stream(),
      state: { names: mapState<string, boolean>() },
      onEvent: (rule, { state }) => state.names.set(rule.name, true),
    },
    onEvent: ({ card }, { broadcast, emit }) => emit({ card, rules: broadcast.names.keys().length }),
  })
  await using house = await openHouse()
  for (const topic of ['payments', 'rules']) await house.topic(topic)
  const payment = { card: 'a', amount: 1, at: new Date(start).toISOString() }
  await house.send(
    'payments',
    Array.from({ length: 50 }, () => payment),
  )
  await house.send(
    'rules',
    Array.from({ length: 3_000 }, (_, i) => ({ name: `r${i}`, limit: 0 })),
  )
  for (const startFrom of ['beginning', 'now'] as const)
    await house.flow.start(defineView(startFrom, seen, { startFrom }).plan()!)
  await house.send('payments', [payment])
  for (const [view, count] of [
    ['beginning', 51],
    ['now', 1],
  ] as const) {
    await until(async () => (await house.read(view)).length === count, view)
    for (const { value } of await house.read(view))
      assert.deepEqual(JSON.parse(textOf(value)!), { card: 'a', rules: 3_000 })
  }
})

test('what is read cannot be written, and an event that tries fails', async () => {
  const writing = payments.stream().process({
    key: 'card',
    output: Said,
    broadcast: {
      input: rules.stream(),
      state: { limits: mapState<string, number>() },
      onEvent: ({ name, limit }, { state }) => state.limits.set(name, limit),
    },
    onEvent({ card }, { broadcast, emit }) {
      emit({ card, text: 'before' })
      ;(broadcast.limits as unknown as { set(name: string, limit: number): void }).set('mine', 1)
    },
  })
  await using house = await openHouse()
  for (const topic of ['payments', 'rules']) await house.topic(topic)
  await house.flow.start(defineView('writing', writing, { onError: 'stop' }).plan()!)
  await house.send('payments', [{ card: 'a', amount: 1, at: new Date(start).toISOString() }])
  await until(() => house.faults.length > 0, 'it stops')
  assert.match(house.faults[0]!.message, /payments:0:0.*written by the events of the broadcast input alone/)
})

test('a broadcast event that fails goes by its own place', async () => {
  await using house = await openHouse()
  for (const topic of ['payments', 'rules']) await house.topic(topic)
  await house.flow.start(defineView('checked', checked, { onError: 'stop' }).plan()!)
  await house.send('rules', [
    { name: 'x', limit: 1 },
    { name: 'y', limit: 12 },
  ])
  await until(() => house.faults.length > 0, 'it stops')
  assert.match(house.faults[0]!.message, /rules:0:1.*unlucky rule/)
})

test('what may be withdrawn is not broadcast', () => {
  const keyed = defineTopic('keyed', { schema: z.object({ k: z.string() }), key: 'k' })
  const options = { key: 'card', output: Said, onEvent: () => {} } as const
  const broadcast = { input: keyed.table(), state: {}, onEvent: () => {} }
  assert.throws(() => payments.stream().process({ ...options, broadcast }), /withdrawn/)
})
