/** The columns of events whose form a JSON Schema gives: an object's properties, in order. */
import { Fault } from '../lib/fault.ts'
import type { Columns, DataType } from '../schema/types.ts'

interface Node {
  readonly type?: string | readonly string[]
  readonly format?: string
  readonly properties?: Readonly<Record<string, Node>>
  readonly required?: readonly string[]
  readonly items?: Node
  readonly anyOf?: readonly Node[]
  readonly const?: unknown
  readonly enum?: readonly unknown[]
}

/** `eventTime` is a timestamptz whatever its schema says. */
export function columnsOfJsonSchema(name: string, schema: object, eventTime?: string): Columns {
  const node = schema as Node
  if (node.properties === undefined)
    throw new Fault('config.invalid', {
      setting: `schema of ${name}`,
      value: String(node.type),
      why: 'events are objects',
    })
  const required = new Set(node.required ?? [])
  return Object.entries(node.properties).map(([field, property]) => ({
    name: field,
    type: field === eventTime ? { kind: 'timestamptz' } : isAny(property) ? { kind: 'jsonb' } : typeOf(property),
    nullable: !required.has(field) || isAny(property) || mayBeNull(property),
  }))
}

/** `true` (or `false`) in place of a schema. */
const isAny = (node: Node | boolean): boolean => typeof node !== 'object' || node === null

/** Fields that may be missing and are never null: where the column is NULL, the event has no such field. */
export function optionalFields(schema: object): readonly string[] {
  const { properties = {}, required = [] } = schema as Node
  return Object.keys(properties).filter(
    (field) => !required.includes(field) && !isAny(properties[field]!) && !mayBeNull(properties[field]!),
  )
}

function typeOf(node: Node): DataType {
  const alternatives = node.anyOf?.filter((one) => one.type !== 'null')
  if (alternatives !== undefined) return alternatives.length === 1 ? typeOf(alternatives[0]!) : { kind: 'jsonb' }
  const types = (typeof node.type === 'string' ? [node.type] : (node.type ?? [])).filter((one) => one !== 'null')
  if (types.length !== 1) return literalType(node)
  switch (types[0]) {
    case 'string':
      return stringType(node.format)
    case 'integer':
      return { kind: 'bigint' }
    case 'number':
      return { kind: 'double' }
    case 'boolean':
      return { kind: 'boolean' }
    case 'array':
      return arrayType(node.items)
    default:
      return { kind: 'jsonb' }
  }
}
function stringType(format: string | undefined): DataType {
  if (format === 'date-time') return { kind: 'timestamptz' }
  if (format === 'date') return { kind: 'date' }
  if (format === 'uuid') return { kind: 'uuid' }
  return { kind: 'text' }
}
function arrayType(items: Node | undefined): DataType {
  const of = items === undefined ? null : typeOf(items)
  return of === null || of.kind === 'jsonb' || of.kind === 'array' ? { kind: 'jsonb' } : { kind: 'array', of }
}
/** `const` and `enum` without a type: text when every value is. */
function literalType(node: Node): DataType {
  const values = node.enum ?? ('const' in node ? [node.const] : [])
  return values.length > 0 && values.every((value) => typeof value === 'string') ? { kind: 'text' } : { kind: 'jsonb' }
}
function mayBeNull(node: Node): boolean {
  if (node.anyOf !== undefined) return node.anyOf.some(mayBeNull)
  return node.type === 'null' || (Array.isArray(node.type) && node.type.includes('null'))
}
