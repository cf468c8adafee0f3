/**
 * The JSON mapping of proto3: names in camel case (those of the proto file are read as well), bytes as base64, 64-bit
 * numbers as text, enums by name, defaults left out.
 */
import type { FieldType, Message, NamedField } from './message.ts'

export function toJson<T extends object>(type: Message<T>, value: T): unknown {
  if (type.json !== null) return type.json.to(value)
  const json: Record<string, unknown> = {}
  for (const { name, field } of type.fields) {
    const held = (value as Record<string, unknown>)[name]
    if (held === undefined || held === null) continue
    if (field.label === 'map') {
      const entries = held as ReadonlyMap<string, string>
      if (entries.size > 0) json[name] = Object.fromEntries(entries)
    } else if (field.label === 'list') {
      const items = held as readonly unknown[]
      if (items.length > 0) json[name] = items.map((item) => valueToJson(field.type, item))
    } else if (field.type.is === 'message' || !isDefault(field.type, held)) json[name] = valueToJson(field.type, held)
  }
  return json
}
function isDefault(type: FieldType, held: unknown): boolean {
  if (type.is === 'enum') return type.numbers.get(held as string) === 0
  return held instanceof Uint8Array ? held.length === 0 : held === '' || held === 0 || held === false
}
function valueToJson(type: FieldType, held: unknown): unknown {
  if (type.is === 'message') return toJson(type.message, held as object)
  if (held instanceof Uint8Array) return Buffer.from(held.buffer, held.byteOffset, held.length).toString('base64')
  return type.is === 'scalar' && type.scalar === 'int64' ? String(held) : held
}

const isObject = (json: unknown): json is Record<string, unknown> =>
  typeof json === 'object' && json !== null && !Array.isArray(json)

/** Throws TypeError that names what is wrong and where. An unknown name is wrong. */
export function fromJson<T extends object>(type: Message<T>, json: unknown, path = ''): T {
  if (type.json !== null) return type.json.from(json) as T
  if (!isObject(json)) throw new TypeError(`${path === '' ? 'the body' : path} is no object`)
  const value: Record<string, unknown> = {}
  for (const { name, field } of type.fields) value[name] = field.empty()
  for (const [key, held] of Object.entries(json)) {
    const known = type.fields.find(({ name, protoName }) => name === key || protoName === key)
    const at = path === '' ? key : `${path}.${key}`
    if (known === undefined) throw new TypeError(`Unknown name "${key}"${path === '' ? '' : ` at '${path}'`}`)
    if (held !== null) value[known.name] = fieldFromJson(known, held, at)
  }
  return value as T
}
function fieldFromJson({ field }: NamedField, held: unknown, at: string): unknown {
  if (field.label === 'one') return valueFromJson(field.type, held, at)
  if (field.label === 'list') {
    if (!Array.isArray(held)) throw new TypeError(`${at} is no list`)
    return held.map((item: unknown, i) => valueFromJson(field.type, item, `${at}[${i}]`))
  }
  if (!isObject(held)) throw new TypeError(`${at} is no object`)
  return new Map(Object.entries(held).map(([key, item]) => [key, textOf(item, `${at}.${key}`)]))
}
function textOf(held: unknown, at: string): string {
  if (typeof held !== 'string') throw new TypeError(`${at} is no text`)
  return held
}
const base64 = /^[A-Za-z0-9+/_-]*={0,2}$/
function valueFromJson(type: FieldType, held: unknown, at: string): unknown {
  if (type.is === 'message') return fromJson(type.message, held, at)
  if (type.is === 'enum') {
    if (typeof held === 'number') return type.names.get(held) ?? String(held)
    const name = textOf(held, at)
    if (!type.numbers.has(name)) throw new TypeError(`Invalid value at '${at}': "${name}"`)
    return name
  }
  switch (type.scalar) {
    case 'string':
      return textOf(held, at)
    case 'bytes': {
      const text = textOf(held, at)
      if (!base64.test(text)) throw new TypeError(`Invalid value at '${at}': Base64 decoding failed`)
      return Buffer.from(text, 'base64')
    }
    case 'bool':
      if (typeof held === 'boolean') return held
      if (held === 'true' || held === 'false') return held === 'true'
      throw new TypeError(`${at} is neither true nor false`)
    case 'int32':
    case 'int64': {
      const number = typeof held === 'string' && held.trim() !== '' ? Number(held) : held
      if (typeof number !== 'number' || !Number.isInteger(number)) throw new TypeError(`${at} is no whole number`)
      if (type.scalar === 'int32' && (number | 0) !== number) throw new TypeError(`${at} is beyond 32 bits`)
      return number
    }
  }
}
