/**
 * Generated decoders of Avro and Protobuf against the complete parsers: whatever the schema, the columns and the bytes, the
 * same rows, NULLs, faults and watermarks. SEED and ROUNDS (schemas) come from the environment; 100 cases a round.
 */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { weightHeader } from '../../src/flow/decode.ts'
import { Fault } from '../../src/lib/fault.ts'
import type { SourcePlan } from '../../src/flow/plan.ts'
import type { LogRecord } from '../../src/log/batch.ts'
import { avroColumns, parseAvro } from '../../src/schema/formats/avro.ts'
import { messageNamed, parseProtobuf, protobufColumns } from '../../src/schema/formats/protobuf.ts'
import type { Schemas } from '../../src/schema/formats/registry.ts'
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
  readonly schemas?: Schemas
  readonly more: Partial<SourcePlan>
  readonly derived: Columns
  make(next: Next): Buffer
}
/** `least`: this share of the rows at least must be read by generated code. */
function check(name: string, kindOf: (next: Next) => Kind, least = 1 / 6): void {
  let fast = 0
  for (let round = 0; round < rounds; round++) {
    const next = random(seed * 1_000 + round)
    const kind = kindOf(next)
    const plan = randomPlan(kind.derived, kind.more, next)
    const pair = new Pair(plan, { schemas: kind.schemas ?? null })
    const values = Array.from({ length: casesPerRound }, () => kind.make(next))
    const what = `${name}, seed ${seed}, round ${round}: ${JSON.stringify(plan.columns)} ${plan.schema!.text ?? 'registered'}`
    pair.check(pieces(records(values, plan, next), next), what)
    fast += pair.fast.stats.fast
  }
  if (process.env['SHOW'] === '1') console.log(name, fast, rounds * casesPerRound)
  assert.ok(fast > rounds * casesPerRound * least, `${name}: only ${fast} rows were read by generated code`)
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

/** As Confluent's framing has it before a value. */
const header = (id: number, indexes: readonly number[] = []): Buffer => {
  const bytes = Buffer.alloc(5)
  bytes.writeInt32BE(id, 1)
  return Buffer.concat([bytes, Buffer.from(indexes.map((index) => index * 2))])
}
test(`Avro of several schemas, by ids, also read by one of another version (seed ${seed})`, () => {
  check(
    'avro by ids',
    (next) => {
      const form = recordOf(next, 0, 8)
      const { name } = form.schema as { name: string }
      // What others wrote: fields in another order, some of them left out, and one that nobody else has.
      const versions = Array.from({ length: 3 }, (_, id) => {
        const kept = form.fields.filter(() => next() < 0.85).toSorted(() => (id === 0 ? 0 : next() - 0.5))
        const fields = kept.map((one) => ({ name: one.name, type: one.form.schema }))
        return { type: 'record', name, fields: next() < 0.5 ? fields : [{ name: 'own', type: 'string' }, ...fields] }
      })
      const types = versions.map((schema) => avscType(schema))
      const parsed = versions.map((schema) => parseAvro(JSON.stringify(schema)))
      const schemas = {
        isSettled: () => true,
        avro(id: number) {
          if (parsed[id] === undefined) throw new Fault('schema.unknown-id', { id })
          return parsed[id]
        },
      } as unknown as Schemas
      const withDefaults = {
        ...(form.schema as object),
        fields: [
          ...(form.schema as { fields: object[] }).fields,
          { name: 'more', type: 'string', default: 'é' },
          { name: 'many', type: { type: 'array', items: 'int' }, default: [1, 2] },
          { name: 'none', type: ['null', 'long'], default: null },
        ],
      }
      const text = JSON.stringify(withDefaults)
      return {
        schemas,
        more: {
          format: 'avro',
          schema: { framing: 'confluent', text: next() < 0.5 ? text : null, message: null, imports: {} },
        },
        derived: avroColumns(parseAvro(text)),
        make(n) {
          const id = Math.floor(n() * 3)
          const value = { ...(form.make(n).js as object), own: 'x' }
          return Buffer.concat([header(n() < 0.02 ? 9 : id), types[id]!.toBuffer(value)])
        },
      }
      // Fields that a version does not have are often those that may not be missing.
    },
    1 / 25,
  )
})
test(`Protobuf by its place in the file (seed ${seed})`, () => {
  check('protobuf by place', (next) => {
    const form = messageOf(next, 0, false, 8)
    const text = `${fileOf(form, false)}\nmessage Other { string f0 = 1; int64 f1 = 3; }`
    const [type, other] = [form.type, 'Other'].map((name) => protobufType(text, name))
    const schema = { framing: 'confluent', text, message: next() < 0.5 ? form.type : null, imports: {} } as const
    return {
      more: { format: 'protobuf', schema },
      derived: protobufColumns(messageNamed(parseProtobuf(text), form.type)),
      make(n) {
        if (n() < 0.1) return Buffer.concat([header(1, [1, 1]), other!.encode({ f0: 'x', f1: 5 }).finish()])
        const value = type!.encode(type!.fromObject(form.make(n).js as object)).finish()
        return Buffer.concat([header(pick([1, 2], n), n() < 0.8 ? [0] : [1, 0]), value])
      },
    }
  })
})
