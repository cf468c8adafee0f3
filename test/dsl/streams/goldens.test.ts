/**
 * Operator by operator, what Kafka Streams makes of the same events: `goldens.tsv` is what `Goldens.java` printed for `events.tsv`
 * (the interop test `suite-streams` runs it again). Each case is one view of ours.
 */
import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { after, before, test } from 'node:test'
import { z } from 'zod'
import {
  type AnyView,
  type Expr,
  type Stream,
  call,
  count,
  defineTopic,
  defineView,
  max,
  sum,
  when,
} from '../../../src/dsl/index.ts'
import { silent } from '../../../src/lib/logger.ts'
import { memoryDisk } from '../../../src/lib/real/memory-disk.ts'
import { realWorld } from '../../../src/lib/real/world.ts'
import { encodeBatch } from '../../../src/log/batch.ts'
import { resolveConfig } from '../../../src/node/config.ts'
import { type Running, startMillrace } from '../../../src/node/millrace.ts'

const file = (name: string): string[][] =>
  readFileSync(join(import.meta.dirname, name), 'utf8')
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => line.split('\t'))
/** Case → lines of `key = value`, sorted. */
const goldens = new Map<string, string[]>()
for (const [name, key, value] of file('goldens.tsv'))
  goldens.set(name!, [...(goldens.get(name!) ?? []), `${key} = ${value}`].toSorted())

interface Event {
  readonly key: string
  readonly n: number
  readonly at: string
}
/** The grace period of Kafka Streams is the lateness of the topic. */
const topic = (name: string) =>
  defineTopic(name, {
    schema: z.object({ key: z.string(), n: z.int(), at: z.iso.datetime() }),
    key: 'key',
    eventTime: 'at',
    lateness: '2s',
  })
const topics = { a: topic('a'), b: topic('b'), c: topic('c'), d: topic('d'), t: topic('t'), u: topic('u') }
const [a, b, c, d] = [topics.a.stream(), topics.b.stream(), topics.c.stream(), topics.d.stream()]
const [t, u] = [topics.t.table(), topics.u.table()]

type Row = { readonly [name: string]: unknown }
const ms = (text: unknown): number => Date.parse(String(text))
const keyed = ({ key, n }: Row): string => `${String(key)} = ${String(n)}`
const paired = ({ key, x, y }: Row): string => `${String(key)} = ${String(x)},${String(y)}`
/** `endMs`: how far the end of our window lies behind the one that Kafka Streams shows. */
const windowed =
  (endMs = 0) =>
  ({ key, n, window_start: from, window_end: to }: Row): string =>
    `${String(key)}@${ms(from)}..${ms(to) - endMs} = ${String(n)}`
interface Case {
  readonly view: AnyView
  readonly line: (row: Row) => string
}
const cases = new Map<string, Case>()
function is<T>(name: string, stream: Stream<T>, line: (row: Row) => string = keyed): void {
  cases.set(name, { view: defineView(`v_${name}`, stream, { allowUnboundedState: true }), line })
}

is(
  'filter',
  a.where(({ n }) => n.modulo(2).eq(0)),
)
is(
  'filterNot',
  a.where(({ n }) => n.modulo(2).eq(0).not()),
)
is(
  'map',
  a.select(({ key, n }) => ({ key: key.concat('!'), n: n.times(2) })),
)
is(
  'mapValues',
  a.select(({ key, n }) => ({ key, n: key.concat(':').concat(n.plus(1).cast('text')) })),
)
is(
  'flatMapValues',
  a.flatMap(z.object({ key: z.string(), n: z.int() }), ({ key, n }, emit) => {
    if (n < 0) return
    emit({ key, n })
    emit({ key, n: n === 0 ? 0 : -n })
  }),
)
is('merge', a.merge(b))
const { high, low, none } = a.branch({
  high: ({ n }) => n.gt(5),
  low: ({ n }) => n.gt(0),
  none: ({ key }) => key.isNotNull(),
})
is(
  'branch',
  high
    .select(({ n }) => ({ key: when(n.isNotNull(), 'high', 'high'), n }))
    .merge(
      low.select(({ n }) => ({ key: when(n.isNotNull(), 'low', 'low'), n })),
      none.select(({ n }) => ({ key: when(n.isNotNull(), 'none', 'none'), n })),
    ),
)
is('table', t)
is(
  'tableFilter',
  t.where(({ n }) => n.gt(3)),
)
is(
  'tableMapValues',
  t.select(({ key, n }) => ({ key, n: n.times(10) })),
)
const parity = t.select(({ n }) => ({ key: when(n.modulo(2).eq(0), 'even', 'odd'), n }))
is('tableGroupBy', parity.groupBy('key').aggregate({ n: count() }))
is('tableReduce', parity.groupBy('key').aggregate({ n: sum('n') }))
is('count', a.groupBy('key').aggregate({ n: count() }))
is('reduce', a.groupBy('key').aggregate({ n: max('n') }))
is('aggregate', a.groupBy('key').aggregate({ n: sum('n') }))
is(
  'groupBy',
  a
    .select(({ n }) => ({ key: when(n.gt(0), 'positive', 'other') }))
    .groupBy('key')
    .aggregate({ n: count() }),
)
is(
  'cogroup',
  a
    .groupBy('key')
    .cogroup(({ n }) => ({ x: sum(n) }))
    .and(b.groupBy('key'), ({ n }) => ({ y: sum(n) }))
    .aggregate()
    .select(({ key, x, y }) => ({ key, n: x.orElse(0).plus(y.orElse(0).times(100)) })),
)
const windows = {
  tumbling: a.window({ tumbling: '10s' }).groupBy('key'),
  hopping: a.window({ hopping: '10s', every: '5s' }).groupBy('key'),
  session: a.window({ session: '3s' }).groupBy('key'),
  sliding: a.window({ sliding: '4s' }).groupBy('key'),
}
is('tumbling', windows.tumbling.aggregate({ n: count() }), windowed())
is('hopping', windows.hopping.aggregate({ n: sum('n') }), windowed())
is('session', windows.session.aggregate({ n: count() }), windowed(3_000))
is('sliding', windows.sliding.aggregate({ n: count() }), windowed(1))
is('suppress', windows.tumbling.aggregate({ n: count() }, { emit: 'close' }), windowed())
const sameKey = (l: { key: Expr<string> }, r: { key: Expr<string> }) => l.key.eq(r.key)
const pair = <X, Y>(l: { key: Expr<string>; n: X }, r: { n: Y }) => ({ key: l.key, x: l.n, y: r.n })
is('joinStreams', c.join(d, sameKey, pair, { within: '2s' }), paired)
is('joinBeforeAfter', c.join(d, sameKey, pair, { within: { before: '0s', after: '5s' } }), paired)
is('joinTables', t.join(u, sameKey, pair), paired)
is('leftJoinTables', t.leftJoin(u, sameKey, pair), paired)
is(
  'outerJoinTables',
  t.outerJoin(u, sameKey, (l, r) => ({ key: l.key.orElse(r.key), x: l.n, y: r.n })),
  paired,
)
const foreign = (l: { n: Expr<number> }, r: { key: Expr<string> }) =>
  r.key.eq(call('concat', 'k', l.n.modulo(6).plus(6).modulo(6)).cast('text'))
is('foreignKeyJoin', t.join(u, foreign, pair), paired)
is('foreignKeyLeftJoin', t.leftJoin(u, foreign, pair), paired)
is('joinTable', a.lookup(t, sameKey, pair), paired)
is('leftJoinTable', a.leftLookup(t, sameKey, pair), paired)

let running: Running
before(async () => {
  const { config } = resolveConfig({ data: 'data', listen: ['http=off', 'kafka=off', 'peer=off'] }, {}, {})
  running = await startMillrace({
    config,
    world: { ...realWorld(), disk: memoryDisk() },
    logger: silent,
    definitions: { sql: [], definitions: [...Object.values(topics), ...[...cases.values()].map(({ view }) => view)] },
  })
  // Which row of a table an event meets is decided by what came before it, there as here.
  const writer = running.log.writer()
  let last = ''
  for (const [name, key, n, at] of file('events.tsv')) {
    if ((last === 't') !== (name === 't')) await running.engine.run('FLUSH')
    last = name!
    const event: Event = { key: key!, n: Number(n), at: new Date(Number(at)).toISOString() }
    const value = n === '' ? null : Buffer.from(JSON.stringify(event))
    const record = { key: Buffer.from(key!), value, timeMs: Number(at) }
    const [answer] = await writer.append([{ partition: { topic: name!, index: 0 }, batch: encodeBatch([record]) }])
    if (answer !== undefined && 'fault' in answer) throw answer.fault
  }
  await running.engine.run('FLUSH')
})
after(() => running.close())

for (const [name, { view, line }] of cases)
  test(`${name} is what Kafka Streams makes of it`, async () => {
    const { columns, rows } = await running.engine.run(`SELECT * FROM "${view.name}"`)
    const lines: string[] = []
    for await (const row of rows) lines.push(line(Object.fromEntries(columns.map((c, i) => [c.name, row[i]]))))
    assert.deepEqual(lines.toSorted(), goldens.get(name))
  })
test('every golden has its case', () => {
  assert.deepEqual([...goldens.keys()].toSorted(), [...cases.keys()].toSorted())
})
