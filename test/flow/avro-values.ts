/** Random Avro schemas, values of them as avsc takes them, and what columns then hold. */
import avsc from 'avsc'
import { canonicalJsonb } from '../../src/flow/json-text.ts'
import { decimalText } from '../../src/flow/decimal.ts'
import { canonical } from '../../src/flow/memory.ts'
import { clockText, dateText, isoText } from '../../src/flow/time-text.ts'

/** As avsc takes it, as a column of the schema's own type holds it, and as JSON. */
export interface Made {
  readonly js: unknown
  readonly held: unknown
  readonly json: string
}
export interface Form {
  readonly schema: unknown
  /** Its column is jsonb. */
  readonly isJson: boolean
  make(next: () => number): Made
}
type Next = () => number
export const pick = <T>(list: readonly T[], next: Next): T => list[Math.floor(next() * list.length)]!
const whole = (next: Next, most: number): number => Math.floor((next() - 0.5) * 2 * most)

/** Longs as bigints: all 64 bits. */
const long = avsc.types.LongType.__with({
  fromBuffer: (b: Buffer) => b.readBigInt64LE(),
  toBuffer: (value: bigint) => {
    const b = Buffer.alloc(8)
    b.writeBigInt64LE(value)
    return b
  },
  fromJSON: BigInt as (value: unknown) => bigint,
  toJSON: Number,
  isValid: (value: unknown) => typeof value === 'bigint',
  compare: (a: bigint, b: bigint) => (a < b ? -1 : a > b ? 1 : 0),
})
export const avscType = (schema: unknown): avsc.Type =>
  avsc.Type.forSchema(schema as avsc.Schema, {
    typeHook: (one) => (one === 'long' || (one as { type?: unknown }).type === 'long' ? long : undefined),
    wrapUnions: 'always',
  })

export const texts = [
  '',
  'a',
  'plain text',
  'é',
  '日本😀',
  'quote " and \\',
  'tab\t\u0001',
  'a much longer text that goes on and on',
]
const scalar = (schema: unknown, make: (next: Next) => Made): Form => ({ schema, isJson: false, make })
const same = (value: unknown, json = String(value)): Made => ({ js: value, held: value, json })
const doubles = [0, -0, 0.1, 1e300, -5.5, NaN, Infinity, -Infinity, 2 ** 53, 1 / 3]
const doubleJson = (v: number): string => (Number.isFinite(v) ? (Object.is(v, -0) ? '-0' : String(v)) : `"${v}"`)
const longOf = (next: Next): bigint =>
  next() < 0.1
    ? pick([2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n, -(2n ** 53n) - 1n, 0n], next)
    : BigInt(whole(next, pick([100, 1e5, 1e12], next)))

let named = 0
const name = (): string => `N${named++}`
const instants = [
  ['timestamp-millis', 1000n, 'Z'],
  ['timestamp-micros', 1n, 'Z'],
  ['local-timestamp-millis', 1000n, ''],
  ['local-timestamp-micros', 1n, ''],
] as const
const scalars: readonly (() => Form)[] = [
  () => scalar('boolean', (next) => same(next() < 0.5)),
  () =>
    scalar('int', (next) =>
      same(next() < 0.1 ? pick([2147483647, -2147483648], next) : whole(next, pick([60, 1e4, 2e9], next))),
    ),
  () =>
    scalar('long', (next) => {
      const value = longOf(next)
      return { js: value, held: canonical(value), json: String(value) }
    }),
  () =>
    scalar('float', (next) => {
      const value = Math.fround(next() < 0.3 ? pick(doubles, next) : (next() - 0.5) * 1e6)
      return same(value, doubleJson(value))
    }),
  () =>
    scalar('double', (next) => {
      const value = next() < 0.3 ? pick(doubles, next) : (next() - 0.5) * 1e6
      return same(value, doubleJson(value))
    }),
  () =>
    scalar('string', (next) => {
      const value = pick(texts, next)
      return same(value, JSON.stringify(value))
    }),
  () =>
    scalar('bytes', (next) => {
      const value = Buffer.from(pick(texts, next))
      return same(value, `"${value.toString('base64')}"`)
    }),
  () =>
    scalar({ type: 'fixed', name: name(), size: 3 }, (next) => {
      const value = Buffer.from([next() * 256, 0, 255])
      return same(value, `"${value.toString('base64')}"`)
    }),
  () =>
    scalar({ type: 'enum', name: name(), symbols: ['RED', 'GREEN', 'BLUE'] }, (next) => {
      const value = pick(['RED', 'GREEN', 'BLUE'], next)
      return same(value, `"${value}"`)
    }),
  () =>
    scalar({ type: 'bytes', logicalType: 'decimal', precision: 12, scale: 3 }, (next) => {
      const value = BigInt(whole(next, pick([100, 1e6, 999_999_999_999], next)))
      return { js: twos(value, 1 + Math.floor(next() * 3)), held: Number(value), json: decimalText(value, 3) }
    }),
  () =>
    scalar({ type: 'fixed', name: name(), size: 8, logicalType: 'decimal', precision: 18, scale: 2 }, (next) => {
      const value = BigInt(whole(next, 1e15)) * 99n
      return { js: twos(value, 0, 8), held: canonical(value), json: decimalText(value, 2) }
    }),
  () =>
    scalar({ type: 'int', logicalType: 'date' }, (next) => {
      const value = whole(next, 30_000)
      return same(value, `"${dateText(value)}"`)
    }),
  () =>
    scalar({ type: 'int', logicalType: 'time-millis' }, (next) => {
      const value = Math.floor(next() * 86_400_000)
      return { js: value, held: value * 1000, json: `"${clockText(value * 1000)}"` }
    }),
  () =>
    scalar({ type: 'long', logicalType: 'time-micros' }, (next) => {
      const value = Math.floor(next() * 86_400_000_000)
      return { js: BigInt(value), held: value, json: `"${clockText(value)}"` }
    }),
  ...instants.map(
    ([logicalType, perUnit, zone]) =>
      () =>
        scalar({ type: 'long', logicalType }, (next) => {
          const value = BigInt(whole(next, 4e12))
          const micros = Number(value * perUnit)
          return { js: value, held: micros, json: `"${isoText(micros).replace('Z', zone)}"` }
        }),
  ),
  () =>
    scalar({ type: 'string', logicalType: 'uuid' }, (next) => {
      const value = `a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a1${Math.floor(next() * 10)}`
      return same(value, `"${value}"`)
    }),
  () =>
    scalar({ type: 'fixed', name: name(), size: 12, logicalType: 'duration' }, (next) => {
      const [months, days, ms] = [next() * 20, next() * 40, next() * 1e6].map(Math.floor) as [number, number, number]
      const js = Buffer.alloc(12)
      js.writeUInt32LE(months)
      js.writeUInt32LE(days, 4)
      js.writeUInt32LE(ms, 8)
      const json = `"${months} months ${days} days ${decimalText(BigInt(ms), 3)} seconds"`
      return { js, held: { months, days, micros: ms * 1000 }, json }
    }),
]
/** Big-endian two's complement, with bytes more than it needs, or of a fixed size. */
function twos(value: bigint, more: number, size = 0): Buffer {
  let length = 1
  while (BigInt.asIntN(length * 8, value) !== value) length++
  const bytes = size || length + more
  return Buffer.from(
    BigInt.asUintN(bytes * 8, value)
      .toString(16)
      .padStart(bytes * 2, '0'),
    'hex',
  )
}
const branchName = (schema: unknown): string =>
  typeof schema === 'string' ? schema : ((schema as { name?: string }).name ?? (schema as { type: string }).type)

export function formOf(next: Next, depth: number): Form {
  const kind = depth >= 3 ? 1 : next()
  if (kind > 0.45) return pick(scalars, next)()
  if (kind > 0.27) {
    const of = formOf(next, depth + 1)
    if (Array.isArray(of.schema)) return of
    const first = next() < 0.6
    const schema = first ? ['null', of.schema] : [of.schema, 'null']
    return {
      ...{ schema, isJson: of.isJson },
      make: (n) => {
        if (n() < 0.3) return { js: null, held: null, json: 'null' }
        const made = of.make(n)
        return { ...made, js: { [branchName(of.schema)]: made.js } }
      },
    }
  }
  if (kind > 0.2) {
    const of = formOf(next, depth + 1)
    const isJson = of.isJson || isArray(of.schema)
    return {
      ...{ schema: { type: 'array', items: of.schema }, isJson },
      make: (n) => {
        const items = Array.from({ length: n() * 4 }, () => of.make(n))
        return {
          js: items.map(({ js }) => js),
          held: items.map(({ held }) => held),
          json: `[${items.map(({ json }) => json).join(',')}]`,
        }
      },
    }
  }
  if (kind > 0.13) {
    const of = formOf(next, depth + 1)
    return {
      ...{ schema: { type: 'map', values: of.schema }, isJson: true },
      make: (n) => {
        const items = ['k', 'another key', 'é'].filter(() => n() < 0.6).map((key) => [key, of.make(n)] as const)
        return {
          js: Object.fromEntries(items.map(([key, { js }]) => [key, js])),
          held: null,
          json: `{${items.map(([key, { json }]) => `${JSON.stringify(key)}:${json}`).join(',')}}`,
        }
      },
    }
  }
  if (kind > 0.08) {
    const branches = [formOf(next, 3), scalar('null', () => same(null)), { ...recordOf(next, depth + 1) }]
    return {
      ...{ schema: branches.map(({ schema }) => schema), isJson: true },
      make: (n) => {
        const branch = pick(branches, n)
        const made = branch.make(n)
        return { ...made, js: made.js === null ? null : { [branchName(branch.schema)]: made.js } }
      },
    }
  }
  return recordOf(next, depth + 1)
}
const isArray = (schema: unknown): boolean =>
  (schema as { type?: string }).type === 'array' || (Array.isArray(schema) && schema.some(isArray))
export interface RecordForm extends Form {
  readonly fields: readonly { readonly name: string; readonly form: Form }[]
}
export function recordOf(next: Next, depth: number, most = 4): RecordForm {
  const fields = Array.from({ length: 1 + next() * most }, (_, i) => ({ name: `f${i}`, form: formOf(next, depth) }))
  return {
    schema: { type: 'record', name: name(), fields: fields.map(({ name, form }) => ({ name, type: form.schema })) },
    isJson: false,
    fields,
    make: (n) => {
      const made = fields.map(({ name, form }) => ({ name, form, ...form.make(n) }))
      return {
        js: Object.fromEntries(made.map(({ name, js }) => [name, js])),
        held: Object.fromEntries(made.map((one) => [one.name, heldIn(one.form, one)])),
        json: `{${made.map(({ name, json }) => `"${name}":${json}`).join(',')}}`,
      }
    },
  }
}
/** What a column of the form holds. */
export const heldIn = (form: Form, { held, json }: Made): unknown =>
  form.isJson ? (json === 'null' ? null : canonicalJsonb(json)) : held
