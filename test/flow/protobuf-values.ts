/** Random Protobuf files, messages of them as protobufjs takes them, and what columns then hold. */
import protobuf from 'protobufjs'
import { canonicalJsonb } from '../../src/flow/json-text.ts'
import { canonical } from '../../src/flow/memory.ts'
import { isoText } from '../../src/flow/time-text.ts'
import { decimalText } from '../../src/flow/decimal.ts'
import { pick, texts } from './avro-values.ts'

type Next = () => number
/** As protobufjs takes it, as a column holds it, as JSON; null where it is not written. */
interface Made {
  readonly js: unknown
  readonly held: unknown
  readonly json: string
}
interface Kind {
  readonly type: string
  readonly zero: Made
  /** Its column holds JSON. */
  readonly isJson: boolean
  make(next: Next): Made
}
const whole = (next: Next, most: number): number => Math.floor((next() - 0.5) * 2 * most)
const doubles = [0, -0, 0.1, 1e300, -5.5, NaN, Infinity, -Infinity, 1 / 3]
const doubleJson = (v: number): string => (Number.isFinite(v) ? (Object.is(v, -0) ? '-0' : String(v)) : `"${v}"`)
const same = (value: unknown, json = String(value)): Made => ({ js: value, held: value, json })
const wide = (value: bigint): Made => ({
  js: String(value),
  held: canonical(value),
  json: String(value),
})
const kind = (type: string, zero: Made, make: (next: Next) => Made): Kind => ({ type, zero, make, isJson: false })
const number = (type: string, make: (next: Next) => number): Kind =>
  kind(type, same(0), (next) => same(next() < 0.1 ? 0 : make(next)))
const wides = (type: string, unsigned: boolean, edges: readonly bigint[]): Kind =>
  kind(type, wide(0n), (next) =>
    wide(
      next() < 0.2
        ? pick(edges, next)
        : BigInt(Math.abs(whole(next, pick([100, 1e6, 1e14], next)))) * (unsigned || next() < 0.5 ? 1n : -1n),
    ),
  )
const signed = [2n ** 63n - 1n, -(2n ** 63n), 2n ** 53n, -1n]
const small = (next: Next): number => whole(next, pick([60, 1e5, 2e9], next))
const text = (value: string): Made => same(value, JSON.stringify(value))
const bytes = (value: Buffer): Made => same(value, `"${value.toString('base64')}"`)
const scalars: readonly Kind[] = [
  ...['int32', 'sint32', 'sfixed32'].map((type) => number(type, small)),
  ...['uint32', 'fixed32'].map((type) => number(type, (next) => Math.floor(next() * 2 ** 32))),
  ...['int64', 'sint64', 'sfixed64'].map((type) => wides(type, false, signed)),
  ...['uint64', 'fixed64'].map((type) => wides(type, true, [2n ** 64n - 1n, 2n ** 53n, 2n ** 63n])),
  kind('bool', same(false), (next) => same(next() < 0.5)),
  kind('float', same(0), (next) => {
    const v = Math.fround(next() < 0.3 ? pick(doubles, next) : (next() - 0.5) * 1e5)
    return same(v, doubleJson(v))
  }),
  kind('double', same(0), (next) => {
    const v = next() < 0.3 ? pick(doubles, next) : (next() - 0.5) * 1e5
    return same(v, doubleJson(v))
  }),
  kind('string', text(''), (next) => text(pick(texts, next))),
  kind('string', text(''), (next) => text(pick(texts, next))),
  kind('bytes', bytes(Buffer.alloc(0)), (next) => bytes(Buffer.from(pick(texts, next)))),
]
/** Of proto3 an enum is open: it holds numbers that it does not name. */
const colour = (isV2: boolean): Kind =>
  kind('Colour', { js: 0, held: 'NONE', json: '"NONE"' }, (next) => {
    const [js, name] = pick([[0, 'NONE'], [1, 'RED'], [-1, 'BLUE'], isV2 ? [1, 'RED'] : [77, '77']] as const, next)
    return { js, held: name, json: `"${name}"` }
  })
const knowns: readonly Kind[] = [
  kind('google.protobuf.Timestamp', { js: {}, held: 0, json: '"1970-01-01T00:00:00Z"' }, (next) => {
    const [seconds, micros] = [whole(next, 4e9), Math.floor(next() * 1e6)]
    const held = seconds * 1e6 + micros
    return { js: { seconds: String(seconds), nanos: micros * 1000 + 7 }, held, json: `"${isoText(held)}"` }
  }),
  kind(
    'google.protobuf.Duration',
    { js: {}, held: { months: 0, days: 0, micros: 0 }, json: '"0.000000 seconds"' },
    (next) => {
      const [seconds, micros] = [Math.floor(next() * 1e5), Math.floor(next() * 1e6)]
      const all = BigInt(seconds) * 1_000_000n + BigInt(micros)
      return {
        js: { seconds: String(seconds), nanos: micros * 1000 },
        held: { months: 0, days: 0, micros: Number(all) },
        json: `"${decimalText(all, 6)} seconds"`,
      }
    },
  ),
  kind('google.protobuf.StringValue', text(''), (next) => {
    const value = pick(texts, next)
    return { ...text(value), js: { value } }
  }),
  kind('google.protobuf.Int64Value', { ...wide(0n), js: {} }, (next) => {
    const made = wide(pick(signed, next))
    return { ...made, js: { value: made.js } }
  }),
  {
    ...kind('google.protobuf.Struct', { js: {}, held: null, json: '{}' }, () => ({
      js: {
        fields: {
          a: { numberValue: 1.5 },
          b: { listValue: { values: [{ nullValue: 0 }, { stringValue: 'é' }] } },
          c: { boolValue: true },
          d: { structValue: {} },
        },
      },
      ...{ held: null, json: '{"a":1.5,"b":[null,"é"],"c":true,"d":{}}' },
    })),
    isJson: true,
  },
]
interface FieldForm {
  readonly name: string
  readonly label: '' | 'optional' | 'repeated' | 'map' | 'oneof'
  readonly packed: boolean
  readonly kind: Kind
}
export interface MessageForm extends Kind {
  readonly text: string
  readonly fields: readonly FieldForm[]
}
let named = 0
/** `isV2`: a file of proto2, in which nothing is implicit. */
export function messageOf(next: Next, depth: number, isV2: boolean, most = 5): MessageForm {
  const type = `M${named++}`
  const inner: string[] = []
  const kindOf = (): Kind => {
    const roll = next()
    if (roll < 0.06) return colour(isV2)
    if (roll < 0.7) return pick(scalars, next)
    if (roll < 0.82 || depth >= 2) return pick(knowns, next)
    const message = messageOf(next, depth + 1, isV2, 3)
    inner.push(message.text)
    return message
  }
  const fields = Array.from({ length: 1 + next() * most }, (_, i): FieldForm => {
    const label = pick(['', '', '', 'optional', 'repeated', 'map', 'oneof', 'oneof'] as const, next)
    return { name: `f${i}`, label: isV2 && label === '' ? 'optional' : label, packed: next() < 0.5, kind: kindOf() }
  })
  let number = 1
  const id = (): number => (number += next() < 0.2 ? 1 + Math.floor(next() * 20) : 1)
  const line = ({ name, label, kind: { type: of }, packed }: FieldForm): string => {
    if (label === 'map') return `map<string, ${of}> ${name} = ${id()};`
    const isPackable = /^(u?int|s?fixed|sint|bool|float|double|Colour)/.test(of)
    const option = label === 'repeated' && isPackable ? ` [packed = ${packed}]` : ''
    return `${label === 'oneof' ? '' : label} ${of} ${name} = ${id()}${option};`
  }
  const plain = fields.filter(({ label }) => label !== 'oneof').map(line)
  const choice = fields.filter(({ label }) => label === 'oneof').map(line)
  const body = [...inner, ...plain, ...(choice.length > 0 ? [`oneof choice { ${choice.join(' ')} }`] : [])]
  const held = (made: ReadonlyMap<string, Made | null>): Record<string, unknown> =>
    Object.fromEntries(fields.map((one) => [one.name, heldIn(one, made.get(one.name) ?? null)]))
  const build = (made: ReadonlyMap<string, Made | null>): Made => {
    const written = fields.filter(({ name }) => made.get(name) !== null && made.get(name) !== undefined)
    const shown = fields.flatMap((one) => {
      const json = made.get(one.name)?.json ?? absentJson(one)
      return json === null ? [] : [`"${one.name}":${json}`]
    })
    return {
      js: Object.fromEntries(written.map(({ name }) => [name, made.get(name)!.js])),
      held: held(made),
      json: `{${shown.join(',')}}`,
    }
  }
  return {
    ...{ type, fields, isJson: false, text: `message ${type} { ${body.join('\n')} }` },
    zero: build(new Map()),
    make(n) {
      const chosen = pick(['', ...fields.filter(({ label }) => label === 'oneof').map(({ name }) => name)], n)
      return build(
        new Map(
          fields.map((one) => [
            one.name,
            (one.label === 'oneof' ? one.name === chosen : n() < 0.7) ? makeField(one, n) : null,
          ]),
        ),
      )
    },
  }
}
function makeField({ label, kind: of }: FieldForm, next: Next): Made {
  if (label === 'repeated') {
    const items = Array.from({ length: next() * 4 }, () => of.make(next))
    return {
      js: items.map(({ js }) => js),
      held: items.map(({ held }) => held),
      json: `[${items.map(({ json }) => json).join(',')}]`,
    }
  }
  if (label === 'map') {
    const items = ['k', 'another key', 'é'].filter(() => next() < 0.6).map((key) => [key, of.make(next)] as const)
    return {
      js: Object.fromEntries(items.map(([key, { js }]) => [key, js])),
      held: null,
      json: `{${items.map(([key, { json }]) => `${JSON.stringify(key)}:${json}`).join(',')}}`,
    }
  }
  return of.make(next)
}
const isMessage = ({ type }: Kind): boolean => type.startsWith('M') || type.startsWith('google')
const absentJson = ({ label, kind: of }: FieldForm): string | null => {
  if (label === 'repeated') return '[]'
  if (label === 'map') return '{}'
  return label === '' && !isMessage(of) ? of.zero.json : null
}
/** What the field's column holds. */
export function heldIn(one: FieldForm, made: Made | null): unknown {
  const isJson = one.label === 'map' || one.kind.isJson
  const json = made?.json ?? absentJson(one)
  if (json === null) return null
  if (isJson) return canonicalJsonb(json)
  if (made !== null) return made.held
  return one.label === 'repeated' ? [] : one.kind.zero.held
}
export function fileOf(message: MessageForm, isV2: boolean): string {
  const imports = ['timestamp', 'duration', 'wrappers', 'struct'].map(
    (name) => `import "google/protobuf/${name}.proto";`,
  )
  const colours = 'enum Colour { NONE = 0; RED = 1; BLUE = -1; }'
  return [`syntax = "proto${isV2 ? 2 : 3}";`, 'package test.events;', ...imports, colours, message.text].join('\n')
}
export function protobufType(file: string, name: string): protobuf.Type {
  const { root } = protobuf.parse(file, new protobuf.Root(), { keepCase: true })
  for (const one of ['timestamp', 'duration', 'wrappers', 'struct'])
    root.addJSON(protobuf.common.get(`google/protobuf/${one}.proto`)!.nested!)
  root.resolveAll()
  return root.lookupType(`test.events.${name}`)
}
