/**
 * Generated decoders of Avro and Protobuf against the complete parsers: whatever the schema, the columns and the bytes, the
 * same rows, NULLs, faults and watermarks. SEED and ROUNDS (schemas) come from the environment; 100 cases a round.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { weightHeader } from '../../src/flow/decode.ts'
import type { SourcePlan } from '../../src/flow/plan.ts'
import type { LogRecord } from '../../src/log/batch.ts'
import { avroColumns, parseAvro } from '../../src/schema/formats/avro.ts'
import { messageNamed, parseProtobuf, protobufColumns } from '../../src/schema/formats/protobuf.ts'
import type { Columns, DataType, Field } from '../../src/schema/types.ts'
import { avscType, pick, recordOf } from './avro-values.ts'
import { Pair, pieces } from './decoder-pair.ts'
import { fileOf, messageOf, protobufType } from './protobuf-values.ts'
import { random, source, t } from './plans.ts'

const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 1e6))
const rounds = Number(process.env['ROUNDS'] ?? 25)
const casesPerRound = 100

type Next = () => number
/** Columns that somebody may declare over fields of another type. */
const others: readonly DataType[] = [
  ...([t.text, t.bigint, t.int, { kind: 'smallint' }, t.double, { kind: 'real' }, t.boolean, t.timestamptz] as const),
  ...([{ kind: 'timestamp' }, t.money, t.numeric, { kind: 'date' }, { kind: 'time' }, { kind: 'uuid' }] as const),
  ...([{ kind: 'json' }, { kind: 'jsonb' }, { kind: 'bytea' }, { kind: 'varchar', length: 5 }] as const),
  ...([{ kind: 'interval' }, { kind: 'array', of: t.int }, { kind: 'numeric', precision: 20, scale: 0 }] as const),
]
/** Such as mostly fit. */
const numbers: readonly DataType[] = [
  t.bigint,
  t.double,
  { kind: 'real' },
  { kind: 'numeric', precision: 20, scale: 2 },
  t.numeric,
]
const alike: Readonly<Record<string, readonly DataType[]>> = {
  int: [...numbers, { kind: 'smallint' }],
  bigint: [...numbers, t.int, t.timestamptz, { kind: 'numeric', precision: null, scale: 0 }],
  numeric: [{ kind: 'numeric', precision: 30, scale: 5 }, t.double, { kind: 'numeric', precision: 14, scale: 3 }],
  real: [t.double],
  double: [{ kind: 'real' }, t.numeric],
  text: [{ kind: 'varchar', length: 12 }, { kind: 'jsonb' }, { kind: 'bytea' }],
  uuid: [t.text],
  bytea: [t.text, { kind: 'jsonb' }],
  timestamptz: [{ kind: 'timestamp' }, t.bigint, t.text],
  timestamp: [t.timestamptz, t.bigint],
  date: [t.int, t.text],
  time: [t.bigint, t.text],
  jsonb: [{ kind: 'json' }],
  array: [{ kind: 'jsonb' }],
}
/** Fields, and fields of composites, by the way to them. */
function leaves(columns: Columns, above: readonly string[] = []): { path: string[]; field: Field }[] {
  return columns.flatMap((one) => {
    const path = [...above, one.name]
    const inside = one.type.kind === 'composite' ? leaves(one.type.fields, path) : []
    return [{ path, field: one }, ...inside]
  })
}
function randomPlan(derived: Columns, more: Partial<SourcePlan>, next: Next): SourcePlan {
  const all = leaves(derived)
  const chosen: typeof all = []
  for (const one of all.toSorted(() => next() - 0.5)) {
    const collides = chosen.some(({ path }) => {
      const short = Math.min(path.length, one.path.length)
      return path.slice(0, short).join('/') === one.path.slice(0, short).join('/')
    })
    if (!collides && next() < 0.7) chosen.push(one)
  }
  if (chosen.length === 0) chosen.push(all[0]!)
  if (next() < 0.2) chosen.push({ path: ['nowhere'], field: { name: 'nowhere', type: t.int, nullable: true } })
  const typeOf = (type: DataType): DataType => {
    const roll = next()
    return roll < 0.03 ? pick(others, next) : roll < 0.25 ? pick(alike[type.kind] ?? [type], next) : type
  }
  const columns = chosen.map(({ field: { type } }, i): Field => ({
    name: `c${i}`,
    type: typeOf(type),
    nullable: next() < 0.9,
  }))
  const fields: SourcePlan['fields'][number][] = chosen.map(({ path }) => ({ from: 'value', path }))
  const mode = pick(['append', 'append', 'append', 'upsert', 'weighted'] as const, next)
  const key = mode === 'upsert' ? [Math.floor(next() * columns.length)] : []
  // One that a key may have.
  const isKeyType = ({ type: { kind } }: Field): boolean => /^(text|int|bigint|double|uuid)$/.test(kind)
  for (const c of key)
    if (!isKeyType(columns[c]!)) columns[c] = { ...columns[c]!, type: pick([t.text, t.int, t.bigint], next) }
  const instants = columns.flatMap(({ type: { kind } }, c) => (kind.startsWith('timestamp') ? [c] : []))
  const time = instants.length > 0 && next() < 0.5 ? { column: instants[0]!, delayMs: 5 } : null
  if (next() < 0.2) {
    columns.push({ name: '_offset', type: t.bigint, nullable: true })
    fields.push({ from: 'offset' })
  }
  const onInvalid = pick(['quarantine', 'quarantine', 'reject', 'null'] as const, next)
  return source('s', columns, { ...more, fields, mode, key, time, onInvalid })
}
/** Bytes changed, put in and taken out. */
function mutated(value: Buffer, next: Next): Buffer {
  const bytes = [...value]
  for (let m = 0; m < 1 + next() * 2; m++) {
    const at = Math.floor(next() * (bytes.length + 1))
    const kind = next()
    const byte = next() < 0.5 ? pick([0, 1, 2, 4, 127, 128, 129, 254, 255], next) : Math.floor(next() * 256)
    if (kind < 0.6) bytes[at] = byte
    else if (kind < 0.8) bytes.splice(at, 0, byte)
    else bytes.splice(at, 1 + Math.floor(next() * 3))
  }
  return Buffer.from(bytes)
}
function records(values: readonly Buffer[], plan: SourcePlan, next: Next): LogRecord[] {
  return values.map((value, offset): LogRecord => ({
    offset,
    timeMs: 1_700_000_000_000 + Math.floor(next() * 1e6),
    key: plan.mode === 'upsert' && next() < 0.7 ? Buffer.from(pick(['5', '0', 'a', '-3', 'true'], next)) : null,
    value: next() < 0.01 ? null : next() < 0.12 ? mutated(value, next) : value,
    headers: next() < 0.03 ? [[weightHeader, Buffer.from(pick(['-1', '2', '0'], next))]] : [],
  }))
}
interface Kind {
  readonly more: Partial<SourcePlan>
  readonly derived: Columns
  make(next: Next): Buffer
}
function check(name: string, kindOf: (next: Next) => Kind): void {
  let fast = 0
  for (let round = 0; round < rounds; round++) {
    const next = random(seed * 1_000 + round)
    const kind = kindOf(next)
    const plan = randomPlan(kind.derived, kind.more, next)
    const pair = new Pair(plan)
    const values = Array.from({ length: casesPerRound }, () => kind.make(next))
    const what = `${name}, seed ${seed}, round ${round}: ${JSON.stringify(plan.columns)} ${plan.schema!.text!}`
    pair.check(pieces(records(values, plan, next), next), what)
    fast += pair.fast.stats.fast
  }
  if (process.env['SHOW'] === '1') console.log(name, fast, rounds * casesPerRound)
  assert.ok(fast > (rounds * casesPerRound) / 6, `${name}: only ${fast} rows were read by generated code`)
}
const inline = (text: string): Partial<SourcePlan>['schema'] => ({ framing: 'none', text, message: null, imports: {} })

test(`Avro: generated and complete agree (seed ${seed})`, () => {
  check('avro', (next) => {
    const form = recordOf(next, 0, 8)
    const text = JSON.stringify(form.schema)
    const type = avscType(form.schema)
    return {
      more: { format: 'avro', schema: inline(text)! },
      derived: avroColumns(parseAvro(text)),
      make: (n) => type.toBuffer(form.make(n).js),
    }
  })
})
test(`Protobuf: generated and complete agree (seed ${seed})`, () => {
  check('protobuf', (next) => {
    const isV2 = next() < 0.3
    const form = messageOf(next, 0, isV2, 8)
    const text = fileOf(form, isV2)
    const type = protobufType(text, form.type)
    const encoded = (n: Next): Buffer => Buffer.from(type.encode(type.fromObject(form.make(n).js as object)).finish())
    return {
      more: { format: 'protobuf', schema: inline(text)! },
      derived: protobufColumns(messageNamed(parseProtobuf(text), null)),
      // Two messages behind each other are one: fields come again, are merged, and take the place of others.
      make: (n) => (n() < 0.1 ? Buffer.concat([encoded(n), encoded(n)]) : encoded(n)),
    }
  })
})
