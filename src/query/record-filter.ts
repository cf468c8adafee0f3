/**
 * A WHERE over the records of a topic, for browsing: pseudo-columns, and the fields of JSON values. A field that a stream
 * or table over the topic declares has that type; any other takes the type that the text compares it with. What is
 * missing or does not fit is NULL. A name that looks like a misspelt one of those that are declared (by a stream, a table
 * or the topic's contract), or that a closed contract does not know, is a fault; in quotes it is taken as it is. The text is parsed and bound; nothing of it is ever run as code.
 */
import { compileScalar } from '../flow/compile.ts'
import { Misfit, valueReader } from '../flow/decode-value.ts'
import type { Value } from '../flow/expression.ts'
import { JsonSyntax } from '../flow/json-scan.ts'
import { FieldLocator } from '../flow/payload.ts'
import { suggestion } from '../lib/suggestion.ts'
import type { Clock } from '../lib/world.ts'
import type { DeclaredFields } from '../schema/contracts.ts'
import { isJsonNull, isJsonObject, jsonMembers, trimJson } from '../schema/json-text.ts'
import type { DataType } from '../schema/types.ts'
import { bindBoolean } from '../sql/bind/expressions.ts'
import type { UserFunctions } from '../sql/bind/user-functions.ts'
import { matchesName, quoteIfNeeded, type ScopeColumn } from '../sql/bind/scope.ts'
import { SqlFault } from '../sql/fault.ts'
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

/** What is known of the topic: relations over it, and its contract. */
export interface Declared {
  readonly relations: readonly Relation[]
  readonly fields: DeclaredFields | null
  /** Those that a program gave. */
  readonly functions: UserFunctions
}

/** Throws SqlFault. */
export function recordFilter(
  where: string,
  { relations, fields: contract, functions }: Declared,
  clock: Clock,
): (record: RecordView) => boolean {
  const tree = parseLoneExpression(where)
  const declared = relations.flatMap((relation) => relation.source.columns.slice(0, relation.declared))
  const names = [...new Set([...declared.map(({ name }) => name), ...(contract?.names ?? [])])]
  const checkName = (name: Name): void => {
    if (name.quoted || names.some((other) => matchesName(name, other))) return
    const own = name.text.startsWith('_') ? pseudoColumns.map(({ field }) => field.name) : []
    const near = suggestion(name.text, [...names, ...own])
    if (near === null && contract?.isClosed !== true) return
    const meant = near === null ? `The fields are ${names.join(', ')}.` : `Perhaps you meant ${quoteIfNeeded(near)}.`
    throw new SqlFault('sql.unknown-column', `nothing declares a field "${name.text}" here`, where, name.at, {
      hint: `${meant} In double quotes a name is taken as it is.`,
    })
  }
  const fields: FieldColumn[] = []
  const columns: ScopeColumn[] = pseudoColumns.map(({ field }, index) => ({ ...field, index, hidden: false }))
  const used = new Set<string>()
  const wanted = fieldTypes(tree, (type) => resolveType(type, where))
  const flat = replaceNames(tree, (parts) => {
    const pseudo =
      parts.length === 1 ? pseudoColumns.find(({ field }) => matchesName(parts[0]!, field.name)) : undefined
    if (pseudo !== undefined) {
      used.add(pseudo.field.name)
      return null
    }
    checkName(parts[0]!)
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
    functions,
  }
  const test = compileScalar(bindBoolean(context, flat, 'WHERE').expr)
  const readFields = fieldReader(fields)
  return (record) => {
    const row = [...pseudoValues(record, used), ...readFields(record.value)]
    try {
      return test(row, clock.now() * 1000) === true
    } catch {
      // A value that the expression cannot take (division by zero, text that is no number) does not match.
      return false
    }
  }
}

/** The values of the fields, in their order. */
function fieldReader(fields: readonly FieldColumn[]): (value: Uint8Array | null) => Value[] {
  const readers = fields.map(({ type }) => reader(type))
  const locator = new FieldLocator(fields.map(({ path }) => path))
  const { from, to } = locator.places
  return (value) => {
    if (value === null || fields.length === 0) return readers.map(() => null)
    const bytes = Buffer.from(value.buffer, value.byteOffset, value.byteLength)
    locator.clear()
    try {
      locator.locate(bytes)
    } catch (error) {
      if (!(error instanceof JsonSyntax || error instanceof Misfit)) throw error
      // No JSON, or no object; or deeper than the scanner goes.
      locator.clear()
    }
    let object: Uint8Array | null | undefined
    return readers.map((read, i) => {
      if (from[i]! >= 0) return read(bytes.subarray(from[i]!, to[i]!))
      // Perhaps its name differs in case: that is looked for slowly.
      if (object === undefined) object = objectOf(value)
      return read(at(object, fields[i]!.path))
    })
  }
}

/** Those that the condition does not use are left out. */
function pseudoValues(record: RecordView, used: ReadonlySet<string>): Value[] {
  const text = (bytes: Uint8Array | null): string | null =>
    bytes === null ? null : Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength).toString('utf8')
  const headers = (): string =>
    JSON.stringify(Object.fromEntries(record.headers.map(([name, bytes]) => [name, text(bytes)])))
  return [
    record.topic,
    record.partition,
    record.offset,
    record.timeMs * 1000,
    used.has('_key') ? text(record.key) : null,
    used.has('_headers') ? headers() : null,
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
