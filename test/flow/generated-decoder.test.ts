/**
 * Generated decoders against the complete parser: whatever the schema and the bytes, the same rows, NULLs, faults and
 * watermarks. SEED and ROUNDS (schemas) come from the environment.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { weightHeader } from '../../src/flow/decode.ts'
import type { SourcePlan } from '../../src/flow/plan.ts'
import type { LogRecord } from '../../src/log/batch.ts'
import type { Columns, DataType, Field } from '../../src/schema/types.ts'
import { nexmarkEvents } from '../../bench/nexmark/generate.ts'
import { Pair, pieces } from './decoder-pair.ts'
import { mutated } from './mutate.ts'
import { call, column, field, random, raw, source, t } from './plans.ts'

const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 1e6))
const rounds = Number(process.env['ROUNDS'] ?? 60)

const pick = <T>(list: readonly T[], next: () => number): T => list[Math.floor(next() * list.length)]!
const types: readonly DataType[] = [
  ...[t.text, t.text, t.bigint, t.int, { kind: 'smallint' }, t.double, { kind: 'real' }, t.boolean, t.timestamptz],
  ...[{ kind: 'timestamp' }, t.money, t.numeric, { kind: 'numeric', precision: null, scale: 3 }, { kind: 'date' }],
  ...[{ kind: 'time' }, { kind: 'uuid' }, { kind: 'json' }, { kind: 'jsonb' }, { kind: 'bytea' }],
  ...[{ kind: 'varchar', length: 5 }, { kind: 'interval' }, { kind: 'array', of: t.int }],
  { kind: 'composite', fields: [field('x', t.int), field('y', t.text)] },
] as readonly DataType[]
const names = ['a', 'b', 'c', 'id', 'price', 'url', 'channel', 'a longer name', 'é', '__proto__', 'toString', '日本']
/** Such are never read by generated code. */
const oddNames = ['x"y', '', 'n'.repeat(70)]

function randomPlan(next: () => number): SourcePlan {
  const columns: Field[] = []
  const fields: SourcePlan['fields'][number][] = []
  const used = new Set<string>()
  for (let c = 0; c < 1 + next() * 9; c++) {
    const path = Array.from({ length: next() < 0.7 ? 1 : 2 + Math.floor(next() * 2) }, () =>
      pick(next() < 0.01 ? oddNames : names, next),
    )
    if (used.has(path.join('/'))) continue
    used.add(path.join('/'))
    columns.push(field(`c${c}`, pick(types, next), next() < 0.8))
    fields.push({ from: 'value', path })
  }
  const mode = pick(['append', 'append', 'upsert', 'weighted'] as const, next)
  const key = mode === 'upsert' ? [0] : []
  if (mode === 'upsert')
    columns[0] = field('c0', pick([t.text, t.int, t.bigint, t.text, t.double, { kind: 'uuid' }], next), false)
  const instants = columns.flatMap(({ type }, c) =>
    type.kind === 'timestamp' || type.kind === 'timestamptz' ? [c] : [],
  )
  const time = instants.length > 0 && next() < 0.7 ? { column: instants[0]!, delayMs: 5 } : null
  for (const from of ['offset', 'timestamp', 'key', 'headers', 'partition', 'topic'] as const) {
    if (next() > 0.1) continue
    columns.push(
      field(
        `_${from}`,
        from === 'offset' || from === 'partition' ? t.bigint : from === 'timestamp' ? t.timestamptz : t.text,
      ),
    )
    fields.push({ from })
  }
  if (next() < 0.3) {
    const number = columns.findIndex(({ type }) => type.kind === 'int')
    if (number >= 0) {
      // Fails where it is 0.
      const expression = call(
        '/',
        t.int,
        { kind: 'literal', value: 10, type: t.int },
        column(columns, columns[number]!.name),
      )
      columns.push(field('computed', t.int))
      fields.push({ from: 'computed', expression })
    }
  }
  const onInvalid = pick(['quarantine', 'quarantine', 'reject', 'null'] as const, next)
  return source('s', columns as Columns, { fields, mode, key, time, onInvalid })
}

const odd = (next: () => number): string =>
  pick(
    [
      ...[
        'null',
        'true',
        '0',
        '-0',
        '-0.0',
        '1e3',
        '1.5E-2',
        '9007199254740993',
        '123456789012345',
        '1234567890123456',
      ],
      ...[
        '9223372036854775808',
        '1e400',
        '0.1',
        '0.30000000000000004',
        '-12.345',
        '"NaN"',
        '"12"',
        '1.10',
        '00',
        '1.',
        '-',
      ],
      ...[
        '"2026-01-31T12:00:00.25Z"',
        '"2026-01-31 12:00:00"',
        '"2026-01-31T12:00:00+01:00"',
        '1700000000123',
        '1700000000123.5',
      ],
      ...[
        '"2026-02-30T00:00:00Z"',
        '"infinity"',
        '"2026-01-31"',
        '"12:30"',
        '"q\\"uote"',
        '"tab\\t"',
        '"\\u00e9"',
        '"é日本😀"',
      ],
      ...[
        '""',
        '"a much longer text that goes on for a while, with nothing in it"',
        '"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11"',
      ],
      ...[
        '"A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11"',
        '"\\\\x00ff"',
        '"AP8="',
        '"1 day"',
        '[1,null,3]',
        '[]',
        '[[[{"a":[]}]]]',
      ],
      ...[
        '{}',
        '{"x":1,"y":"z"}',
        '{"x":"bad"}',
        '{"a":{"b":1},"é":2}',
        '999999999999',
        '32768',
        '2147483648',
        '-2147483648',
      ],
    ],
    next,
  )
/** At the edges of what a number's type holds and JSON allows. */
const edges = [
  ...[
    '2147483647',
    '2147483648',
    '-2147483648',
    '-2147483649',
    '32767',
    '32768',
    '-32768',
    '-32769',
    '-0',
    '0',
    '00',
    '01',
  ],
  ...[
    '999999999999999',
    '1000000000000000',
    '9007199254740991',
    '9007199254740993',
    '9223372036854775807',
    '-9223372036854775808',
  ],
  ...[
    '9223372036854775808',
    '9999999999.99',
    '10000000000.00',
    '1.005',
    '0.10',
    '1.',
    '.5',
    '1.5e2',
    '1e-7',
    '1E400',
    '-',
    '-1.',
    '+1',
  ],
  ...[
    '0.1234567890123456',
    '123456789012345.6',
    '0.000000000000001',
    '1e200000',
    '1e4000000000',
    'null',
    '"5"',
    '5 ',
    '5x',
    '3.4e39',
  ],
]
function fitting(type: DataType, next: () => number): string {
  const isNumber = /int|real|double|numeric|timestamp/.test(type.kind)
  if (next() < 0.04) return isNumber ? pick(edges, next) : odd(next)
  const ms = 1_700_000_000_000 + Math.floor(next() * 1e9)
  switch (type.kind) {
    case 'boolean':
      return next() < 0.5 ? 'true' : 'false'
    case 'smallint':
    case 'int':
    case 'bigint':
      return String(Math.floor((next() - 0.3) * 30_000))
    case 'real':
    case 'double':
    case 'numeric':
      return ((next() - 0.3) * 1000).toFixed(Math.floor(next() * 4))
    case 'timestamp':
    case 'timestamptz':
      return next() < 0.3 ? String(ms) : `"${new Date(ms).toISOString().replace('T', next() < 0.5 ? ' ' : 'T')}"`
    case 'text':
    case 'varchar':
      return JSON.stringify('abcdefghijklmnop'.slice(0, Math.floor(next() * (type.kind === 'text' ? 16 : 5))))
    case 'date':
      return '"2026-01-31"'
    case 'time':
      return '"12:30:01.5"'
    case 'uuid':
      return `"a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1${Math.floor(next() * 10)}"`
    case 'bytea':
      return '"AP8="'
    case 'interval':
      return '"1 day"'
    case 'array':
      return '[1, null,3]'
    case 'composite':
      return '{"x":1, "y":"z"}'
    case 'json':
    case 'jsonb':
      return odd(next).replace(/^(00|1\.|-)$/, '{"a": [1.0, "é"]}')
  }
}
/** How a payload is written, and what it has: mostly as its topic's others. */
interface Writer {
  readonly tree: Tree
  readonly spaces: readonly [comma: string, colon: string]
  readonly plainness: number
}
interface Tree {
  readonly [name: string]: DataType | Tree
}
const isType = (value: DataType | Tree): value is DataType => typeof value['kind'] === 'string'
function treeOf(plan: SourcePlan): Tree {
  const root: Record<string, unknown> = Object.create(null) as Record<string, unknown>
  for (const [c, f] of plan.fields.entries()) {
    if (f.from !== 'value') continue
    let at = root
    for (const name of f.path.slice(0, -1)) {
      if (at[name] === undefined || isType(at[name] as Tree)) at[name] = Object.create(null)
      at = at[name] as Record<string, unknown>
    }
    at[f.path.at(-1)!] ??= plan.columns[c]!.type
  }
  for (const name of ['more', 'other']) root[name] = t.text
  return root as Tree
}
function payload(tree: Tree, { spaces: [comma, colon], plainness }: Writer, next: () => number): string {
  const isPlain = (): boolean => next() < plainness
  let names = Object.keys(tree).filter(() => next() < 0.85)
  if (!isPlain()) names = names.toSorted(() => next() - 0.5)
  if (!isPlain()) names = [...names, pick(['zz', 'a', ...names], next)]
  const parts = names.map((name) => {
    const inside = tree[name] ?? t.text
    const value = !isPlain()
      ? odd(next)
      : isType(inside)
        ? next() < 0.1
          ? 'null'
          : fitting(inside, next)
        : next() < 0.3
          ? 'null'
          : payload(inside, { tree: inside, spaces: [comma, colon], plainness }, next)
    const key = isPlain() ? JSON.stringify(name) : `"\\u00${name.charCodeAt(0).toString(16).padStart(2, '0')}"`
    return `${key}${isPlain() ? colon : ' : '}${value}`
  })
  return isPlain() ? `{${parts.join(comma)}}` : ` {\n${parts.join(` ${comma}`)} } `
}

test(`any bytes: generated and complete agree (seed ${seed})`, () => {
  let fast = 0
  for (let round = 0; round < rounds; round++) {
    const next = random(seed * 1_000 + round)
    const plan = randomPlan(next)
    const pair = new Pair(plan)
    const spaces = pick(
      [
        [',', ':'],
        [', ', ': '],
        [',\n', ':'],
      ] as const,
      next,
    )
    const writer: Writer = { tree: treeOf(plan), spaces, plainness: pick([1, 0.998, 0.99, 0.97], next) }
    for (let step = 0; step < 3; step++) {
      const records = Array.from({ length: 250 }, (_, i): LogRecord => {
        const text = Buffer.from(payload(writer.tree, writer, next))
        const isMutated = next() < 0.2
        const value = next() < 0.02 ? null : isMutated ? mutated(text, next) : text
        const keyed = /"[^"]*":\s*"?([^",}]*)/.exec(text.toString())?.[1] ?? '5'
        const key = plan.mode === 'upsert' && next() < 0.8 ? Buffer.from(next() < 0.9 ? keyed : '7') : null
        const headers: LogRecord['headers'] =
          next() < 0.1
            ? [
                [weightHeader, Buffer.from(pick(['-1', '2', '0', 'x'], next))],
                ['é', null],
              ]
            : []
        return { offset: i, timeMs: 1_700_000_000_000 + Math.floor(next() * 1e6), key, value, headers }
      })
      pair.check(pieces(records, next), `seed ${seed}, round ${round}`)
    }
    fast += pair.fast.stats.fast
  }
  assert.ok(fast > rounds * 100, `only ${fast} rows were read by generated code`)
})

const bid = { auction: t.bigint, bidder: t.bigint, price: t.bigint, channel: t.text, url: t.text, extra: t.text }
const events = source(
  'events',
  [
    field('event_type', t.int),
    ...Object.entries(bid).map(([name, type]) => field(name, type)),
    field('seller', t.bigint),
  ],
  {
    fields: [
      { from: 'value', path: ['event_type'] },
      ...Object.keys(bid).map((name) => ({ from: 'value', path: ['bid', name] }) as const),
      { from: 'value', path: ['auction', 'seller'] },
    ],
  },
)
test('events of several types, optional fields, and text beyond ASCII are read by generated code', () => {
  const lines = [...nexmarkEvents({ events: 4_000, seed: 1, rate: 1_000 })]
  const shapes: Record<string, (line: string, i: number) => string> = {
    'as they are': (line) => line,
    'with spaces': (line) => line.replaceAll(/([,:])"/g, '$1 "'),
    'with fields left out': (line, i) =>
      line.replace(i % 3 === 0 ? /"bidder":\d+,/ : i % 3 === 1 ? /,"extra":"[^"]*"/ : /$/, ''),
    'beyond ASCII': (line) => line.replace('"extra":"', '"extra":"é日本😀'),
    'with escapes': (line) => line.replace('"extra":"', '"extra":"a\\"b\\u00e9\\n'),
    'with large numbers': (line) => line.replace('"price":', '"price":9007199254'),
    pretty: (line) => JSON.stringify(JSON.parse(line), null, 2),
  }
  for (const [name, change] of Object.entries(shapes)) {
    const pair = new Pair(events)
    const records = lines.map((line, i): LogRecord => {
      return { offset: i, timeMs: 5, key: null, value: Buffer.from(change(line, i)), headers: [] }
    })
    pair.check([raw(records)], name)
    const { fast, slow } = pair.fast.stats
    assert.equal(fast + slow, lines.length)
    assert.ok(fast >= 0.95 * lines.length, `${name}: ${slow} of ${lines.length} were left to the complete parser`)
  }
})
test('two orders of fields in one topic: the rare one costs nobody else, a new one is learnt', () => {
  const plan = source('s', [field('a', t.int), field('b', t.text)])
  const order = (isOther: boolean): string => (isOther ? '{"b":"x","a":1}' : '{"a":1,"b":"x"}')
  const pair = new Pair(plan)
  const feed = (other: (i: number) => boolean): number => {
    const before = pair.fast.stats.fast
    const records = Array.from({ length: 1_000 }, (_, i): LogRecord => {
      return { offset: i, timeMs: 5, key: null, value: Buffer.from(order(other(i))), headers: [] }
    })
    pair.check([raw(records)], 'orders')
    return pair.fast.stats.fast - before
  }
  assert.ok(feed((i) => i % 50 === 1) > 900)
  assert.ok(feed(() => true) > 900)
})
test('nothing is learnt from a row of NULLs whose payload is no text', () => {
  const pair = new Pair(source('s', [field('a', t.int)], { onInvalid: 'null' }))
  const good = Buffer.from('{"a":1}')
  const bad = Buffer.concat([Buffer.from('{"a":1,"'), Buffer.from([0xff]), Buffer.from('":2}')])
  const records = Array.from({ length: 300 }, (_, i): LogRecord => {
    return { offset: i, timeMs: 5, key: null, value: i % 3 === 0 ? bad : good, headers: [] }
  })
  pair.check([raw(records)], 'a name that is not UTF-8')
  assert.ok(pair.fast.stats.fast > 100)
})
