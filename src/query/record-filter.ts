/**
 * A WHERE over the records of a topic, for browsing: pseudo-columns, and the fields of JSON values. A field that a stream
 * or table over the topic declares has that type; any other takes the type that the text compares it with. What is
 * missing or does not fit is NULL. The text is parsed and bound; nothing of it is ever run as code.
 */
import { compileScalar } from '../flow/compile.ts'
import { valueReader } from '../flow/decode-value.ts'
import type { Value } from '../flow/expression.ts'
import type { Clock } from '../lib/world.ts'
import { isJsonNull, isJsonObject, jsonMembers, trimJson } from '../schema/json-text.ts'
import type { DataType } from '../schema/types.ts'
import { bindBoolean } from '../sql/bind/expressions.ts'
import { matchesName, type ScopeColumn } from '../sql/bind/scope.ts'
import { resolveType } from '../sql/bind/types.ts'
import { pseudoColumns, type Relation } from '../sql/plan/relation.ts'
import type { Expr, Name } from '../sql/syntax/ast.ts'
import { parseLoneExpression } from '../sql/syntax/parse.ts'
import { fieldTypes } from './field-types.ts'
import type { RecordView } from './engine.ts'

interface FieldColumn {
  readonly path: readonly string[]
  readonly type: DataType
}

/** Throws SqlFault. `relations`: those over this topic. */
export function recordFilter(
  where: string,
  relations: readonly Relation[],
  clock: Clock,
): (record: RecordView) => boolean {
  const tree = parseLoneExpression(where)
  const declared = relations.flatMap((relation) => relation.source.columns.slice(0, relation.declared))
  const fields: FieldColumn[] = []
  const columns: ScopeColumn[] = pseudoColumns.map(({ field }, index) => ({ ...field, index, hidden: false }))
  const wanted = fieldTypes(tree, (type) => resolveType(type, where))
  const flat = replaceNames(tree, (parts) => {
    if (parts.length === 1 && pseudoColumns.some(({ field }) => matchesName(parts[0]!, field.name))) return null
    const known = parts.length === 1 ? declared.find((field) => matchesName(parts[0]!, field.name)) : undefined
    const path = known === undefined ? parts.map((part) => part.text) : [known.name]
    const type = known?.type ?? wanted.get(path.join('.')) ?? { kind: 'text' }
    const index = pseudoColumns.length + (fields.push({ path, type }) - 1)
    const name = `field ${index}`
    columns.push({ name, type, nullable: true, index, hidden: false })
    return name
  })
  const scope = [{ name: null, schema: null, columns }]
  const context = {
    text: where,
    parameters: null,
    scope,
    clause: 'WHERE',
    aggregate: null,
    window: null,
    places: new Map(),
  }
  const test = compileScalar(bindBoolean(context, flat, 'WHERE').expr)
  const readers = fields.map(({ path, type }) => ({ path, read: reader(type) }))
  return (record) => {
    const value = fields.length === 0 ? null : objectOf(record.value)
    const row: Value[] = [...pseudoValues(record), ...readers.map(({ path, read }) => read(at(value, path)))]
    try {
      return test(row, clock.now() * 1000) === true
    } catch {
      // A value that the expression cannot take (division by zero, text that is no number) does not match.
      return false
    }
  }
}

function pseudoValues(record: RecordView): Value[] {
  const text = (bytes: Uint8Array | null): string | null =>
    bytes === null ? null : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
  const headers = Object.fromEntries(record.headers.map(([name, bytes]) => [name, text(bytes)]))
  return [
    record.topic,
    record.partition,
    record.offset,
    record.timeMs * 1000,
    text(record.key),
    JSON.stringify(headers),
  ]
}
/** The value's bytes, if they are a JSON object. */
function objectOf(bytes: Uint8Array | null): Uint8Array | null {
  if (bytes === null) return null
  const trimmed = trimJson(bytes)
  if (!isJsonObject(trimmed)) return null
  try {
    JSON.parse(Buffer.from(trimmed.buffer, trimmed.byteOffset, trimmed.byteLength).toString('utf8'))
    return trimmed
  } catch {
    return null
  }
}
/** The bytes of a field; null = missing. An exact name, else the one that differs in case only. */
function at(object: Uint8Array | null, path: readonly string[]): Uint8Array | null {
  let here = object
  for (const name of path) {
    if (here === null || !isJsonObject(here)) return null
    const members = jsonMembers(here)
    const exact = members.findLast((member) => member.name === name)
    here = (exact ?? members.find((member) => member.name.toLowerCase() === name.toLowerCase()))?.value ?? null
  }
  return here
}
/** From the bytes, so that no digit is lost. */
function reader(type: DataType): (bytes: Uint8Array | null) => Value {
  const read = valueReader(type)
  const isText = type.kind === 'text' || type.kind === 'varchar'
  return (bytes) => {
    if (bytes === null || isJsonNull(bytes)) return null
    const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength)
    try {
      // As a text, anything but a string is its JSON.
      if (isText && buffer[0] !== 0x22) return buffer.toString('utf8')
      return read(buffer, 0, buffer.length)
    } catch {
      return null
    }
  }
}

/** The tree with dotted names turned into plain ones of the scope. */
function replaceNames(expr: Expr, rename: (parts: readonly Name[]) => string | null): Expr {
  const visit = (part: unknown): unknown => {
    if (Array.isArray(part)) return part.map(visit)
    if (part === null || typeof part !== 'object') return part
    const node = part as Expr
    if (node.kind === 'name') {
      const name = rename(node.parts)
      return name === null ? node : { ...node, parts: [{ text: name, quoted: true, at: node.at, end: node.end }] }
    }
    return Object.fromEntries(Object.entries(part).map(([key, value]) => [key, visit(value)]))
  }
  return visit(expr) as Expr
}
