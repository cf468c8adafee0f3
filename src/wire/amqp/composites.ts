/**
 * AMQP 1.0's composite types (part 2.7, 3.2, 3.4, 5.3): each declared once, its TypeScript type and both codecs derived.
 * What is written has all of its fields, null where there is none: Microsoft's Python client looks for them by place.
 */
import { ByteWriter } from '../../lib/bytes.ts'
import { type Entries, type Value, ValueReader, malformed, nothing, writeCompound, writeValue } from './values.ts'

interface Kinds {
  readonly boolean: boolean
  readonly ubyte: number
  readonly ushort: number
  readonly uint: number
  readonly ulong: bigint
  readonly timestamp: bigint
  readonly string: string
  readonly symbol: string
  readonly binary: Uint8Array
  readonly symbols: readonly string[]
  readonly map: Entries
  readonly any: Value
}
type Kind = keyof Kinds
/** With `!` the field must be there. */
type Declared = Kind | `${Kind}!`
type FieldOf<D> = D extends `${infer K extends Kind}!` ? Kinds[K] : D extends Kind ? Kinds[D] | null : never
export type Shape = Readonly<Record<string, Declared>>
type Needed<S extends Shape> = { readonly [K in keyof S as S[K] extends `${string}!` ? K : never]: FieldOf<S[K]> }
type Optional<S extends Shape> = { readonly [K in keyof S as S[K] extends `${string}!` ? never : K]: FieldOf<S[K]> }
export type Fields<C> = C extends Composite<infer S> ? Needed<S> & Optional<S> : never
export type Given<C> = C extends Composite<infer S> ? Needed<S> & Partial<Optional<S>> : never

export interface Composite<S extends Shape = Shape> {
  readonly name: string
  readonly code: number
  readonly shape: S
  readonly fields: readonly (readonly [name: string, kind: Kind, isRequired: boolean])[]
}
function composite<const S extends Shape>(name: string, code: number, shape: S): Composite<S> {
  const fields = Object.entries(shape).map(
    ([field, declared]) => [field, declared.replace('!', '') as Kind, declared.endsWith('!')] as const,
  )
  return { name, code, shape, fields }
}

export const open = composite('amqp:open:list', 0x10, {
  containerId: 'string!',
  hostname: 'string',
  maxFrameSize: 'uint',
  channelMax: 'ushort',
  idleTimeOut: 'uint',
  outgoingLocales: 'symbols',
  incomingLocales: 'symbols',
  offeredCapabilities: 'symbols',
  desiredCapabilities: 'symbols',
  properties: 'map',
})
export const begin = composite('amqp:begin:list', 0x11, {
  remoteChannel: 'ushort',
  nextOutgoingId: 'uint!',
  incomingWindow: 'uint!',
  outgoingWindow: 'uint!',
  handleMax: 'uint',
  offeredCapabilities: 'symbols',
  desiredCapabilities: 'symbols',
  properties: 'map',
})
export const attach = composite('amqp:attach:list', 0x12, {
  name: 'string!',
  handle: 'uint!',
  role: 'boolean!',
  sndSettleMode: 'ubyte',
  rcvSettleMode: 'ubyte',
  source: 'any',
  target: 'any',
  unsettled: 'map',
  incompleteUnsettled: 'boolean',
  initialDeliveryCount: 'uint',
  maxMessageSize: 'ulong',
  offeredCapabilities: 'symbols',
  desiredCapabilities: 'symbols',
  properties: 'map',
})
export const flow = composite('amqp:flow:list', 0x13, {
  nextIncomingId: 'uint',
  incomingWindow: 'uint!',
  nextOutgoingId: 'uint!',
  outgoingWindow: 'uint!',
  handle: 'uint',
  deliveryCount: 'uint',
  linkCredit: 'uint',
  available: 'uint',
  drain: 'boolean',
  echo: 'boolean',
  properties: 'map',
})
export const transfer = composite('amqp:transfer:list', 0x14, {
  handle: 'uint!',
  deliveryId: 'uint',
  deliveryTag: 'binary',
  messageFormat: 'uint',
  settled: 'boolean',
  more: 'boolean',
  rcvSettleMode: 'ubyte',
  state: 'any',
  resume: 'boolean',
  aborted: 'boolean',
  batchable: 'boolean',
})
export const disposition = composite('amqp:disposition:list', 0x15, {
  role: 'boolean!',
  first: 'uint!',
  last: 'uint',
  settled: 'boolean',
  state: 'any',
  batchable: 'boolean',
})
export const detach = composite('amqp:detach:list', 0x16, { handle: 'uint!', closed: 'boolean', error: 'any' })
export const end = composite('amqp:end:list', 0x17, { error: 'any' })
export const close = composite('amqp:close:list', 0x18, { error: 'any' })

/** Of a transfer that belongs to a transaction (part 4.5.8). */
export const transactionalState = composite('amqp:transactional-state:list', 0x34, { txnId: 'binary!', outcome: 'any' })

export const error = composite('amqp:error:list', 0x1d, { condition: 'symbol!', description: 'string', info: 'map' })
export const source = composite('amqp:source:list', 0x28, {
  address: 'any',
  durable: 'uint',
  expiryPolicy: 'symbol',
  timeout: 'uint',
  dynamic: 'boolean',
  dynamicNodeProperties: 'map',
  distributionMode: 'symbol',
  filter: 'map',
  defaultOutcome: 'any',
  outcomes: 'symbols',
  capabilities: 'symbols',
})
export const target = composite('amqp:target:list', 0x29, {
  address: 'any',
  durable: 'uint',
  expiryPolicy: 'symbol',
  timeout: 'uint',
  dynamic: 'boolean',
  dynamicNodeProperties: 'map',
  capabilities: 'symbols',
})
export const accepted = composite('amqp:accepted:list', 0x24, {})
export const rejected = composite('amqp:rejected:list', 0x25, { error: 'any' })

export const header = composite('amqp:header:list', 0x70, {
  durable: 'boolean',
  priority: 'ubyte',
  ttl: 'uint',
  firstAcquirer: 'boolean',
  deliveryCount: 'uint',
})
export const properties = composite('amqp:properties:list', 0x73, {
  messageId: 'any',
  userId: 'binary',
  to: 'any',
  subject: 'string',
  replyTo: 'any',
  correlationId: 'any',
  contentType: 'symbol',
  contentEncoding: 'symbol',
  absoluteExpiryTime: 'timestamp',
  creationTime: 'timestamp',
  groupId: 'string',
  groupSequence: 'uint',
  replyToGroupId: 'string',
})

export const saslMechanisms = composite('amqp:sasl-mechanisms:list', 0x40, { mechanisms: 'symbols!' })
export const saslInit = composite('amqp:sasl-init:list', 0x41, {
  mechanism: 'symbol!',
  initialResponse: 'binary',
  hostname: 'string',
})
export const saslOutcome = composite('amqp:sasl-outcome:list', 0x44, { code: 'ubyte!', additionalData: 'binary' })

/** What the bytes of a frame, or a section, say they are: the code, or the name of it as a symbol. */
export function isOf(value: Value, { name, code }: Composite): boolean {
  if (value.type !== 'described') return false
  const { descriptor } = value
  return descriptor.type === 'ulong' ? descriptor.value === BigInt(code) : descriptor.value === name
}

/** Throws Fault wire.malformed. */
export function fieldsOf<S extends Shape>(value: Value, of: Composite<S>): Fields<Composite<S>> {
  if (value.type !== 'described') throw malformed(`${of.name} is a described list`)
  return listFields(value.value, of)
}
/** The same without its descriptor. */
export function listFields<S extends Shape>(value: Value, of: Composite<S>): Fields<Composite<S>> {
  if (value.type !== 'list') throw malformed(`${of.name} is a list, not a ${value.type}`)
  const list = value.value
  if (list.length > of.fields.length) throw malformed(`${of.name} has ${of.fields.length} fields, not ${list.length}`)
  const found: Record<string, unknown> = {}
  of.fields.forEach(([field, kind, isRequired], i) => {
    const given = list[i] ?? nothing
    if (given.type === 'null') {
      if (isRequired) throw malformed(`${of.name} without ${field}`)
      found[field] = null
    } else found[field] = plain(given, kind, `${field} of ${of.name}`)
  })
  return found as Fields<Composite<S>>
}
function plain(given: Value, kind: Kind, what: string): unknown {
  if (kind === 'any') return given
  if (kind === 'symbols') {
    if (given.type === 'symbol') return [given.value]
    if (given.type === 'array' && given.of === 'symbol') return given.value.map(({ value }) => value)
  } else if (given.type === kind) return given.value
  // Some clients say as text what the standard has as symbols, and the other way.
  if ((kind === 'symbol' && given.type === 'string') || (kind === 'string' && given.type === 'symbol'))
    return given.value
  throw malformed(`${what} is a ${given.type}`)
}
export function read<S extends Shape>(
  bytes: Buffer,
  of: Composite<S>,
  from = 0,
  to = bytes.length,
): Fields<Composite<S>> {
  return fieldsOf(new ValueReader(bytes, from, to).value(), of)
}

/** With its descriptor, and all its fields. */
export function write<S extends Shape>(out: ByteWriter, of: Composite<S>, given: Given<Composite<S>>): void {
  const fields = given as Readonly<Record<string, unknown>>
  out.reserve(3)
  out.buffer[out.at++] = 0
  out.buffer[out.at++] = 0x53
  out.buffer[out.at++] = of.code
  if (of.fields.length === 0) return writeValue(out, { type: 'list', value: [] })
  writeCompound(out, 0xc0, of.fields.length, () => {
    for (const [field, kind] of of.fields) writeValue(out, typed(fields[field], kind))
  })
}
function typed(value: unknown, kind: Kind): Value {
  if (value === null || value === undefined) return nothing
  if (kind === 'any') return value as Value
  if (kind === 'symbols') {
    const symbols = (value as readonly string[]).map((one): Value => ({ type: 'symbol', value: one }))
    return { type: 'array', of: 'symbol', descriptor: null, value: symbols }
  }
  return { type: kind, value } as Value
}
/** As a value, to stand in a field of another. */
export function valueOf<S extends Shape>(of: Composite<S>, given: Given<Composite<S>>): Value {
  const fields = given as Readonly<Record<string, unknown>>
  const list = of.fields.map(([field, kind]) => typed(fields[field], kind))
  return {
    type: 'described',
    descriptor: { type: 'ulong', value: BigInt(of.code) },
    value: { type: 'list', value: list },
  }
}
export function encoded<S extends Shape>(of: Composite<S>, given: Given<Composite<S>>): Buffer {
  const out = new ByteWriter(256)
  write(out, of, given)
  return out.done()
}
