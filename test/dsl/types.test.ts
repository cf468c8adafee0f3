/** What does not fit does not type-check: a wrong use of each call. The compiler is the test; nothing here runs. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { z } from 'zod'
import {
  avg,
  call,
  count,
  defineSqlFunction,
  defineTopic,
  defineView,
  desc,
  every,
  listState,
  mapState,
  max,
  min,
  some,
  stddev,
  sum,
  valueState,
  when,
} from '../../src/dsl/index.ts'

const bids = defineTopic('bids', {
  schema: z.object({
    bidder: z.string(),
    kind: z.enum(['ask', 'bid']),
    item: z.int(),
    price: z.number(),
    note: z.string().optional(),
    at: z.iso.datetime(),
  }),
  eventTime: 'at',
  key: 'item',
})
const b = bids.stream()
const table = bids.table()
const timed = z.object({ done: z.boolean(), at: z.iso.datetime() })
const twice = defineSqlFunction('twice', { args: ['double'], returns: 'double' }, (x) => x * 2)

/** Equal types. */
type Same<A, B> = (<T>() => T extends A ? 1 : 2) extends <T>() => T extends B ? 1 : 2 ? true : false
const same = <A, B>(is: Same<A, B>): unknown => is

test('wrong uses do not type-check, and rows have the types of what made them', () => {
  const wrong = (): void => {
    // @ts-expect-error there is no such column
    b.where((row) => row.colour.eq('red'))
    // @ts-expect-error a condition is boolean
    b.where((row) => row.price)
    // @ts-expect-error a number is not compared with a text
    b.where((row) => row.price.gt('10'))
    // @ts-expect-error nor a text with a number
    b.where((row) => row.bidder.eq(1))
    // @ts-expect-error it is neither of the words
    b.where((row) => row.kind.eq('sell'))
    // @ts-expect-error nothing equals null
    b.where((row) => row.note.eq(null))
    // @ts-expect-error a text has no sum
    b.select((row) => ({ x: row.bidder.plus(1) }))
    // @ts-expect-error a number is like nothing
    b.where((row) => row.price.like('1%'))
    // @ts-expect-error a number is no condition
    b.where((row) => row.price.and(row.price.gt(1)))
    // @ts-expect-error one of a list of texts
    b.where((row) => row.item.in(['1']))
    // @ts-expect-error a selection is made of expressions
    b.select((row) => ({ x: 1, y: row.item }))
    // @ts-expect-error nor is what is beside
    b.extend(() => ({ x: 'text' }))
    // @ts-expect-error a branch is a condition
    b.branch({ some: (row) => row.item })
    // @ts-expect-error there is no such branch
    void b.branch({ some: (row) => row.price.gt(1) }).other
    // @ts-expect-error rows of another form
    b.merge(b.select((row) => ({ item: row.item })))
    // @ts-expect-error there is no such column
    b.selectKey('colour')
    b.join(
      table,
      // @ts-expect-error sides of other types
      (l, r) => l.bidder.eq(r.item),
      (l) => ({ item: l.item }),
    )
    b.leftJoin(
      table,
      (l, r) => l.item.eq(r.item),
      // @ts-expect-error there is no such column on the right
      (l, r) => ({ x: r.colour }),
    )
    b.join(
      b,
      (l, r) => l.item.eq(r.item),
      (l) => ({ item: l.item }),
      // @ts-expect-error both bounds are said
      { within: { before: '1s' } },
    )
    b.outerJoin(
      table,
      // @ts-expect-error no such side
      (l, r, _x) => l.item.eq(r.item),
      (l) => ({ item: l.item }),
    )
    // @ts-expect-error a condition
    b.semiJoin(table, (l) => l.item)
    // @ts-expect-error a condition
    b.antiJoin(table, (_, r) => r.bidder)
    b.asOf(
      table,
      // @ts-expect-error sides of other types
      (l, r) => l.item.eq(r.bidder),
      (l) => ({ item: l.item }),
    )
    b.leftAsOf(
      table,
      (l, r) => l.item.eq(r.item),
      // @ts-expect-error a selection
      (l) => l.item,
    )
    b.lookup(
      table,
      (l, r) => l.item.eq(r.item),
      // @ts-expect-error there is no such column
      (_, r) => ({ x: r.colour }),
    )
    b.leftLookup(
      // @ts-expect-error a table is needed
      'items',
      () => call<boolean>('holds'),
      () => ({}),
    )
    // @ts-expect-error an order is asc or desc of something
    b.top(3, { order: (row) => row.price })
    // @ts-expect-error there is no such column
    b.top(3, { order: (row) => desc(row.price), by: 'colour' })
    // @ts-expect-error there is no such column
    b.dedupe({ by: 'colour' })
    // @ts-expect-error first or last
    b.dedupe({ by: 'item', keep: 'best' })
    // @ts-expect-error there is no such column
    b.toTable('colour')
    // @ts-expect-error an aggregate
    b.over({ by: 'item' }, (row) => ({ x: row.price }))
    // @ts-expect-error there is no such column
    b.over({ by: 'colour' }, () => ({ n: count() }))
    // @ts-expect-error there is no such window
    b.window({ rolling: '1m' })
    // @ts-expect-error a hop says how often
    b.window({ hopping: '1m' })
    // @ts-expect-error a cumulating window says how often
    b.window({ cumulating: '1m' })
    // @ts-expect-error a gap is a duration
    b.window({ session: 10 })
    // @ts-expect-error a size is a duration
    b.window({ sliding: 10 })
    // @ts-expect-error a count is a number
    b.window({ count: '10' })
    // @ts-expect-error so are the rows between two results
    b.window({ count: 10, every: '1m' })
    // @ts-expect-error a global window says what it keeps
    b.window({ global: { count: 3 } })
    // @ts-expect-error there is no such trigger
    b.window({ global: { delta: 3 }, keep: 'none' })
    // @ts-expect-error a condition is boolean
    b.window({ global: { when: (row) => row.price }, keep: 'none' })
    // @ts-expect-error rows, or a time
    b.window({ global: { count: 3 }, keep: { first: 3 } })
    const counted = b.window({ count: 10 })
    // @ts-expect-error there is no such column
    counted.groupBy('colour')
    const tens = counted.groupBy('item')
    // @ts-expect-error it fires, and does not close
    tens.aggregate({ n: count() }, { emit: 'close' })
    // @ts-expect-error nor is it grouped together with others
    tens.cogroup(() => ({ n: count() }))
    // @ts-expect-error text has no sum
    tens.aggregate((row) => ({ x: sum(row.bidder) }))
    // @ts-expect-error there is no such column
    b.groupBy('colour')
    const grouped = b.groupBy('item')
    // @ts-expect-error text has no sum
    grouped.aggregate((row) => ({ x: sum(row.bidder) }))
    // @ts-expect-error nor a mean
    grouped.aggregate((row) => ({ x: avg(row.bidder) }))
    // @ts-expect-error nor a deviation
    grouped.aggregate((row) => ({ x: stddev(row.bidder) }))
    // @ts-expect-error of conditions alone
    grouped.aggregate((row) => ({ x: every(row.price) }))
    // @ts-expect-error of conditions alone
    grouped.aggregate((row) => ({ x: some(row.bidder) }))
    // @ts-expect-error a filter is a condition
    grouped.aggregate((row) => ({ x: count().filter(row.price) }))
    // @ts-expect-error an expression is no aggregate
    grouped.aggregate((row) => ({ x: row.price }))
    // @ts-expect-error updates or at the close
    grouped.aggregate({ n: count() }, { emit: 'sometimes' })
    // @ts-expect-error keys of other types
    grouped.cogroup(() => ({ n: count() })).and(b.groupBy('bidder'), () => ({ m: count() }))
    // @ts-expect-error a text where a number is asked for
    b.select((row) => ({ x: call(twice, row.bidder) }))
    // @ts-expect-error one argument
    b.select((row) => ({ x: call(twice, row.price, row.price) }))
    // @ts-expect-error there is no such type
    b.select((row) => ({ x: row.price.cast('money') }))
    // @ts-expect-error a condition
    b.select((row) => ({ x: when(row.price, 1, 2) }))
    b.process({
      key: 'bidder',
      output: z.object({ item: z.int() }),
      broadcast: {
        input: table,
        state: { floors: mapState<number, number>(), names: listState<string>(), last: valueState<number>() },
        onEvent(bid, { state }) {
          state.floors.set(bid.item, bid.price)
          // @ts-expect-error a floor is a number
          state.floors.set(bid.item, bid.bidder)
          // @ts-expect-error there is no such state
          state.ceilings.clear()
        },
      },
      onEvent({ item }, { broadcast }) {
        same<typeof broadcast.names.length, number>(true)
        same<ReturnType<typeof broadcast.floors.get>, number | undefined>(true)
        // @ts-expect-error it is written by the broadcast alone
        broadcast.floors.set(item, 1)
        // @ts-expect-error a list too
        broadcast.names.push('x')
        // @ts-expect-error and a value
        broadcast.last.clear()
        // @ts-expect-error there is no such state
        void broadcast.ceilings
      },
    })
    // @ts-expect-error nothing is broadcast
    b.process({ key: 'bidder', output: z.object({}), onEvent: (_, { broadcast }) => broadcast.floors })
    // @ts-expect-error a watermark is a time
    defineTopic('t', { schema: timed, eventTime: 'at', watermark: (event) => event.done })
    // @ts-expect-error the row has another form
    const row: { readonly n: string } = rowOf(grouped.aggregate({ n: count() }))
    void row
  }
  assert.equal(typeof wrong, 'function')
  const right = (): void => {
    same<Row<typeof b>['note'], string | undefined>(true)
    const selected = b.select((row) => ({
      x: row.price.times(2),
      y: row.note,
      z: row.note.isNull(),
      u: row.price.gt(1),
      w: row.note.eq('a'),
      c: call(twice, row.price),
      s: when(row.price.gt(1), 'a', 2),
      o: when(row.price.gt(1), 'a'),
    }))
    same<
      Row<typeof selected>,
      {
        readonly x: number
        readonly y: string | null
        readonly z: boolean
        readonly u: boolean
        readonly w: boolean | null
        readonly c: number | null
        readonly s: string | number
        readonly o: string | null
      }
    >(true)
    const outer = b.leftJoin(
      table,
      (l, r) => l.item.eq(r.item),
      (l, r) => ({ a: l.bidder, b: r.bidder, c: r.bidder.orElse('nobody') }),
    )
    same<Row<typeof outer>, { readonly a: string; readonly b: string | null; readonly c: string }>(true)
    const grouped = b
      .window({ session: '1m' })
      .groupBy('kind')
      .aggregate((row) => ({
        n: count(),
        low: min(row.note),
        high: max(row.price),
        some: sum(row.price).filter(row.price.gt(3)),
      }))
    same<
      Row<typeof grouped>,
      {
        readonly window_start: string
        readonly window_end: string
        readonly kind: 'ask' | 'bid'
        readonly n: number
        readonly low: string | null
        readonly high: number
        readonly some: number | null
      }
    >(true)
    const fired = b
      .window({ global: { count: 3, after: '1m', when: (row) => row.price.gt(1) }, keep: { last: 3 } })
      .groupBy('kind')
      .aggregate((row) => ({ n: count(), high: max(row.price) }))
    same<Row<typeof fired>, { readonly kind: 'ask' | 'bid'; readonly n: number; readonly high: number }>(true)
    const both = b
      .groupBy('item')
      .cogroup((row) => ({ n: count(), total: sum(row.price) }))
      .and(table.groupBy('item'), () => ({ m: count() }))
      .aggregate()
    same<
      Row<typeof both>,
      { readonly item: number; readonly n: number; readonly total: number | null; readonly m: number }
    >(true)
    const ranked = b.top(3, { order: (row) => desc(row.price), rank: 'place' })
    same<Row<typeof ranked>['place'], number>(true)
    const view = defineView('v', both)
    view.toStream().where((row) => row.total.gt(3))
  }
  assert.equal(typeof right, 'function')
})
type Row<S> = S extends { readonly row: (value: infer T) => unknown } ? T : never
declare function rowOf<T>(stream: { readonly row: (value: T) => T }): T
