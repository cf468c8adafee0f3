/** Whether the data of a message fits a schema: Avro or Protocol Buffers, as JSON or binary. */
import { isUtf8 } from 'node:buffer'
import { Fault } from '../../lib/fault.ts'
import { type AvroNode, type AvroSchema, nodeOf, parseAvro, resolve } from '../../schema/formats/avro.ts'
import { type ProtoField, type ProtoMessage, messageNamed, parseProtobuf } from '../../schema/formats/protobuf.ts'
import { protoFields } from '../../wire/otlp/protobuf.ts'
import type { Encoding } from '../../wire/pubsub/messages.ts'
import type { SchemaMessage } from '../../wire/pubsub/schema-messages.ts'
import { checkAvro } from './avro-check.ts'

/** What is wrong; null: it fits. */
export type Check = (data: Uint8Array, encoding: Encoding) => string | null
const depthMax = 64

/** Throws Fault schema.invalid-schema. */
export function checkOf({ type, definition }: Pick<SchemaMessage, 'type' | 'definition'>): Check {
  return type === 'AVRO'
    ? avroCheck(parseAvro(definition))
    : protobufCheck(messageNamed(parseProtobuf(definition), null))
}
const textOf = (data: Uint8Array): string => Buffer.from(data.buffer, data.byteOffset, data.length).toString('utf8')
const said = (error: unknown): string => (error instanceof Error ? error.message : String(error)).slice(0, 300)

function avroCheck(schema: AvroSchema): Check {
  const { type } = schema
  const node = nodeOf(schema)
  return (data, encoding) => {
    try {
      if (encoding === 'BINARY') checkAvro(node, data)
      else type.fromString(textOf(data))
      return null
    } catch (error) {
      return said(error)
    }
  }
}
function protobufCheck(message: ProtoMessage): Check {
  return (data, encoding) => {
    try {
      if (encoding === 'BINARY') checkBinary(message, data, 0)
      else checkJson(message, JSON.parse(textOf(data)) as unknown, '', 0)
      return null
    } catch (error) {
      return said(error)
    }
  }
}
const wrong = (what: string): Fault => new Fault('wire.malformed', { what })

// --- binary

const varints = new Set(['bool', 'enum', 'int32', 'sint32', 'uint32', 'int64', 'sint64', 'uint64'])
const fixed = new Set(['double', 'float', 'fixed32', 'sfixed32', 'fixed64', 'sfixed64'])
function checkBinary(message: ProtoMessage, data: Uint8Array, depth: number): void {
  if (depth > depthMax) throw wrong('messages are nested too deeply')
  const seen = new Set<number>()
  for (const { number, value } of protoFields(data)) {
    seen.add(number)
    const field = message.byNumber.get(number)
    if (field === undefined) throw wrong(`there is no field ${number} in ${message.name}`)
    const isNumber = varints.has(field.kind) || fixed.has(field.kind)
    if (typeof value === 'bigint') {
      if (!isNumber) throw wrong(`a number in the field ${field.name}`)
      continue
    }
    if (isNumber && field.form !== 'repeated') throw wrong(`bytes in the field ${field.name}`)
    if (field.kind === 'string' && field.form !== 'map' && !isUtf8(value)) throw wrong(`${field.name} is not UTF-8`)
    if (field.kind === 'message' && field.form !== 'map' && field.message !== null)
      checkBinary(field.message, value, depth + 1)
  }
  checkRequired(message, (field) => seen.has(field.number))
}
function checkRequired({ name, fields }: ProtoMessage, has: (field: ProtoField) => boolean): void {
  for (const field of fields)
    if (field.presence === 'required' && !has(field)) throw wrong(`${name} has no ${field.name}`)
}

// --- JSON

type JsonObject = Readonly<Record<string, unknown>>
const isObject = (json: unknown): json is JsonObject =>
  typeof json === 'object' && json !== null && !Array.isArray(json)
const camel = (name: string): string => name.replaceAll(/_([a-z0-9])/g, (_, letter: string) => letter.toUpperCase())

function checkJson(message: ProtoMessage, json: unknown, path: string, depth: number): void {
  if (depth > depthMax) throw wrong('messages are nested too deeply')
  if (message.known !== null) return checkKnown(message, json, path, depth)
  if (!isObject(json)) throw wrong(`${path === '' ? 'the message' : path} is no object`)
  const seen = new Set<string>()
  for (const [key, value] of Object.entries(json)) {
    const field = message.fields.find(({ name }) => name === key || camel(name) === key)
    const at = path === '' ? key : `${path}.${key}`
    if (field === undefined) throw wrong(`there is no field ${at}`)
    if (seen.has(field.name)) throw wrong(`the field ${at} is there twice`)
    seen.add(field.name)
    if (value !== null) checkField(field, value, at, depth)
  }
  checkRequired(message, ({ name }) => seen.has(name))
}
function checkField(field: ProtoField, value: unknown, at: string, depth: number): void {
  if (field.form === 'one') return checkValue(field, value, at, depth)
  if (field.form === 'repeated') {
    if (!Array.isArray(value)) throw wrong(`${at} is no list`)
    return value.forEach((item: unknown, i) => checkValue(field, item, `${at}[${i}]`, depth))
  }
  if (!isObject(value)) throw wrong(`${at} is no object`)
  for (const [key, item] of Object.entries(value)) checkEntry(field, item, `${at}.${key}`, depth)
}
/** A map is a list of entries of two fields. */
function checkEntry({ message }: ProtoField, value: unknown, at: string, depth: number): void {
  const held = message?.byNumber.get(2)
  if (held !== undefined) checkValue(held, value, at, depth)
}
function checkValue({ kind, message, values }: ProtoField, value: unknown, at: string, depth: number): void {
  switch (kind) {
    case 'message':
      return message === null ? undefined : checkJson(message, value, at, depth + 1)
    case 'bool':
      if (typeof value !== 'boolean') throw wrong(`${at} is neither true nor false`)
      return
    case 'string':
      if (typeof value !== 'string') throw wrong(`${at} is no text`)
      return
    case 'bytes':
      if (typeof value !== 'string' || !/^[A-Za-z0-9+/_-]*={0,2}$/.test(value)) throw wrong(`${at} is no base64`)
      return
    case 'enum': {
      const names = new Set(values?.byNumber.values())
      if (typeof value === 'string' ? !names.has(value) : !Number.isInteger(value))
        throw wrong(`${at} is none of ${[...names].join(', ').slice(0, 200)}`)
      return
    }
    case 'double':
    case 'float':
      if (!isNumberText(value) && value !== 'NaN' && value !== 'Infinity' && value !== '-Infinity')
        throw wrong(`${at} is no number`)
      return
    default:
      if (!isNumberText(value) || !Number.isInteger(Number(value)) || !fits(kind, value))
        throw wrong(`${at} is no ${kind}`)
  }
}
const isNumberText = (value: unknown): value is number | string =>
  typeof value === 'number' || (typeof value === 'string' && value.trim() !== '' && !Number.isNaN(Number(value)))
function fits(kind: ProtoField['kind'], value: number | string): boolean {
  const number = typeof value === 'number' || /^-?\d+$/.test(value) ? BigInt(value) : BigInt(Number(value))
  const bits = kind.endsWith('64') ? 64 : 32
  return (kind.startsWith('uint') || kind.startsWith('fixed') ? BigInt.asUintN : BigInt.asIntN)(bits, number) === number
}
function checkKnown(message: ProtoMessage, json: unknown, path: string, depth: number): void {
  switch (message.known) {
    case 'timestamp':
      if (typeof json !== 'string' || Number.isNaN(Date.parse(json))) throw wrong(`${path} is no time`)
      return
    case 'duration':
      if (typeof json !== 'string' || !/^-?\d+(\.\d{1,9})?s$/.test(json)) throw wrong(`${path} is no duration`)
      return
    case 'wrapper': {
      const held = message.byNumber.get(1)
      if (held !== undefined) checkValue(held, json, path, depth + 1)
      return
    }
    case 'struct':
      if (!isObject(json)) throw wrong(`${path} is no object`)
      return
    case 'list':
      if (!Array.isArray(json)) throw wrong(`${path} is no list`)
      return
    case 'value':
    case null:
  }
}

// --- revisions

/** Why readers and writers of the one cannot do with the other; null: they can. As the service asks of a new revision. */
export function incompatible(old: SchemaMessage, next: SchemaMessage): string | null {
  if (old.type !== next.type) return `its type is ${next.type}, not ${old.type}`
  return next.type === 'AVRO' ? avroIncompatible(old, next) : protobufIncompatible(old, next)
}
function avroIncompatible(old: SchemaMessage, next: SchemaMessage): string | null {
  const [before, after] = [parseAvro(old.definition), parseAvro(next.definition)]
  return unreadableIn(resolve(before, after), new Set()) ?? unreadableIn(resolve(after, before), new Set())
}
/** Why not every value can be read; null: each can. */
function unreadableIn(node: AvroNode, seen: Set<AvroNode>): string | null {
  if (seen.has(node)) return null
  seen.add(node)
  const first = (nodes: readonly AvroNode[]): string | null => {
    for (const one of nodes) {
      const why = unreadableIn(one, seen)
      if (why !== null) return why
    }
    return null
  }
  switch (node.kind) {
    case 'unreadable':
      return `a value ${node.why}`
    case 'enum':
      return node.symbols.includes(null) ? 'it lacks a symbol that the other has, and has no default' : null
    case 'array':
      return first([node.items])
    case 'map':
      return first([node.values])
    case 'union':
      return first(node.branches)
    case 'record': {
      const named = [...node.fields, ...node.defaults].filter(({ name }) => name !== null)
      for (const { name, node: field } of named) {
        const why = unreadableIn(field, seen)
        if (why !== null) return `${name}: ${why}`
      }
      return null
    }
    default:
      return null
  }
}
function protobufIncompatible(old: SchemaMessage, next: SchemaMessage): string | null {
  const [before, after] = [old, next].map(({ definition }) => messageNamed(parseProtobuf(definition), null))
  return fieldsIncompatible(before!, after!, new Map())
}
/** `seen`: pairs that were looked at, or are: messages may hold one another, many times over. */
function fieldsIncompatible(
  before: ProtoMessage,
  after: ProtoMessage,
  seen: Map<ProtoMessage, Set<ProtoMessage>>,
): string | null {
  const others = seen.get(before) ?? new Set()
  if (others.has(after)) return null
  seen.set(before, others.add(after))
  for (const field of after.fields) {
    const old = before.byNumber.get(field.number)
    if (old === undefined && field.presence === 'required') return `the field ${field.name} is new and required`
    if (old === undefined) continue
    if (old.kind !== field.kind || old.form !== field.form || old.name !== field.name)
      return `the field ${field.number} was ${old.form} ${old.kind} ${old.name}`
    const inner = old.message !== null && field.message !== null && old.message.known === null
    const why = inner ? fieldsIncompatible(old.message!, field.message!, seen) : null
    if (why !== null) return why
  }
  for (const field of before.fields)
    if (field.presence === 'required' && !after.byNumber.has(field.number))
      return `the required field ${field.name} is gone`
  return null
}
