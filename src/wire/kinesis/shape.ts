/**
 * Shapes of what requests say: what kind each member is and what limits it has. Two passes read a request by its shape, as
 * the service does: first every member is brought to its kind (what cannot be is a SerializationException), then limits are
 * looked at, all together (a ValidationException that lists up to ten).
 */

export interface Limited {
  readonly min?: number
  readonly max?: number
}
export interface TextShape extends Limited {
  readonly kind: 'String'
  readonly pattern?: string
  readonly matches?: RegExp
  readonly values?: readonly string[]
}
export interface WholeShape extends Limited {
  readonly kind: 'Integer' | 'Long'
}
export interface BlobShape extends Limited {
  readonly kind: 'Blob'
}
export interface ListShape<M extends Shape = Shape> extends Limited {
  readonly kind: 'List'
  readonly member: M
}
export interface MapShape extends Limited {
  readonly kind: 'Map'
  readonly key: TextShape
  readonly value: TextShape
}
type Members = Readonly<Record<string, Shape | Needed>>
export interface StructureShape<M extends Members = Members> {
  readonly kind: 'Structure'
  readonly members: M
}
export type Shape =
  | TextShape
  | WholeShape
  | BlobShape
  | ListShape
  | MapShape
  | StructureShape
  | { readonly kind: 'Boolean' }
  | { readonly kind: 'Timestamp' }
  | { readonly kind: 'Any' }
export interface Needed<S extends Shape = Shape> {
  readonly kind: 'Needed'
  readonly of: S
}

/** What a value of the shape is in the program. Times are as they came: seconds in JSON, milliseconds in CBOR. */
export type ValueOf<S> = S extends { kind: 'String' }
  ? string
  : S extends { kind: 'Integer' | 'Long' | 'Timestamp' }
    ? number
    : S extends { kind: 'Boolean' }
      ? boolean
      : S extends { kind: 'Blob' }
        ? Uint8Array
        : S extends { kind: 'Map' }
          ? ReadonlyMap<string, string>
          : S extends ListShape<infer M>
            ? readonly ValueOf<M>[]
            : S extends StructureShape<infer M>
              ? StructureOf<M>
              : unknown
type StructureOf<M extends Members> = {
  readonly [K in keyof M as M[K] extends Needed ? K : never]: M[K] extends Needed<infer S> ? ValueOf<S> : never
} & { readonly [K in keyof M as M[K] extends Needed ? never : K]?: ValueOf<M[K]> }

type TextLimits = Omit<TextShape, 'kind' | 'matches'>
export const text = (limits: TextLimits): TextShape => ({
  kind: 'String',
  ...limits,
  ...(limits.pattern === undefined ? {} : { matches: new RegExp(`^(?:${limits.pattern})$`) }),
})
export const whole = (kind: WholeShape['kind'], limits: Limited): WholeShape => ({ kind, ...limits })
export const blob = (limits: Limited): BlobShape => ({ kind: 'Blob', ...limits })
export const list = <M extends Shape>(member: M, limits: Limited): ListShape<M> => ({ kind: 'List', member, ...limits })
export const map = (key: TextShape, value: TextShape, limits: Limited): MapShape => ({
  kind: 'Map',
  key,
  value,
  ...limits,
})
export const structure = <M extends Members>(members: M): StructureShape<M> => ({ kind: 'Structure', members })
export const needed = <S extends Shape>(of: S): Needed<S> => ({ kind: 'Needed', of })
export const truth = { kind: 'Boolean' } as const
export const timestamp = { kind: 'Timestamp' } as const
export const anything = { kind: 'Any' } as const

const shapeOf = (member: Shape | Needed): Shape => (member.kind === 'Needed' ? member.of : member)

/** What cannot be brought to its kind. */
export class NotOfKind extends Error {}

const number = 'class com.amazon.coral.value.json.numbers.TruncatingBigNumber'
const structureFound = 'Start of structure or map found where not expected.'
const listFound = 'Start of list found where not expected'
const integerMax = 2_147_483_647
const depthMax = 16
/** Of a map: more than any may have, and more than a complaint shows. */
const entriesMax = 20_000

/** The members that the shape has, each of its kind. Throws NotOfKind. */
export function read(shape: StructureShape, value: object): Record<string, unknown> {
  return structureFrom(shape, value, 0)
}
function structureFrom({ members }: StructureShape, value: object, depth: number): Record<string, unknown> {
  const found: Record<string, unknown> = {}
  for (const name in members) {
    const given = (value as Record<string, unknown>)[name]
    if (given === undefined || given === null || !Object.hasOwn(value, name)) continue
    found[name] = convert(shapeOf(members[name]!), given, depth + 1)
  }
  return found
}
function convert(shape: Shape, value: unknown, depth: number): unknown {
  if (depth > depthMax) throw new NotOfKind(structureFound)
  switch (shape.kind) {
    case 'String':
      return plain(value, 'an String', (one) => (typeof one === 'string' ? one : null))
    case 'Integer':
    case 'Long':
      return plain(value, `an ${shape.kind}`, (one) => wholeFrom(shape, one))
    case 'Boolean':
      return plain(value, 'an Boolean', (one) => (typeof one === 'boolean' ? one : null))
    case 'Timestamp':
      return plain(value, 'milliseconds since epoch', (one) => (typeof one === 'number' ? one : null))
    case 'Blob':
      return blobFrom(value)
    case 'List':
      return listFrom(shape, value, depth)
    case 'Map':
      return mapFrom(shape, value, depth)
    case 'Structure':
      if (typeof value !== 'object') throw new NotOfKind('Expected null')
      if (Array.isArray(value)) throw new NotOfKind(listFound)
      return structureFrom(shape, value!, depth)
    case 'Any':
      return value
  }
}
function wholeFrom({ kind }: WholeShape, value: unknown): number | null {
  if (typeof value !== 'number') return null
  const floor = Math.floor(value)
  return kind === 'Integer' ? Math.min(floor, integerMax) : floor
}
/** What is no list and no structure; `take` gives null for another kind. */
function plain<T>(value: unknown, what: string, take: (value: unknown) => T | null): T {
  const taken = take(value)
  if (taken !== null) return taken
  if (Array.isArray(value)) throw new NotOfKind(listFound)
  if (typeof value === 'object') throw new NotOfKind(structureFound)
  if (typeof value === 'string' && what === 'an Boolean')
    throw new NotOfKind(`'${value.slice(0, 1_000).toUpperCase()}' can not be converted to an Boolean`)
  const found = typeof value === 'string' ? 'class java.lang.String' : javaClass(value)
  throw new NotOfKind(`${found} can not be converted to ${what}`)
}
const javaClass = (value: unknown): string => (typeof value === 'boolean' ? 'class java.lang.Boolean' : number)

/** Text is base64; CBOR brings the bytes themselves. */
function blobFrom(value: unknown): Uint8Array {
  if (value instanceof Uint8Array) return value
  if (typeof value !== 'string') {
    if (Array.isArray(value)) throw new NotOfKind(listFound)
    if (typeof value === 'object') throw new NotOfKind(structureFound)
    throw new NotOfKind(`${javaClass(value)} can not be converted to a Blob`)
  }
  const wrong = (why: string): NotOfKind =>
    new NotOfKind(`'${value.slice(0, 1_000)}' can not be converted to a Blob: ${why}`)
  if (value.length % 4 !== 0)
    throw wrong(`Base64 encoded length is expected a multiple of 4 bytes but found: ${value.length}`)
  const bytes = Buffer.from(value, 'base64')
  const padding = value.endsWith('==') ? 2 : value.endsWith('=') ? 1 : 0
  if (bytes.length !== (value.length / 4) * 3 - padding) {
    const [odd = '='] = /[^a-zA-Z0-9+/=]|=(?!=?$)/.exec(value) ?? []
    throw wrong(`Invalid Base64 character: '${odd[0]}'`)
  }
  // Node's decoder also takes the letters of base64url, which are no Base64 here.
  const [odd] = /[-_]/.exec(value) ?? []
  if (odd !== undefined) throw wrong(`Invalid Base64 character: '${odd}'`)
  const last = value.slice(-4)
  if (padding > 0 && Buffer.from(last, 'base64').toString('base64') !== last)
    throw wrong('Invalid last non-pad Base64 character dectected')
  return bytes
}
function listFrom({ member }: ListShape, value: unknown, depth: number): unknown[] {
  if (typeof value !== 'object') throw new NotOfKind('Expected list or null')
  if (!Array.isArray(value)) throw new NotOfKind(structureFound)
  return value.map((one: unknown) => (one === null || one === undefined ? null : convert(member, one, depth + 1)))
}
function mapFrom({ value: of }: MapShape, value: unknown, depth: number): Map<string, unknown> {
  if (typeof value !== 'object') throw new NotOfKind('Expected map or null')
  if (Array.isArray(value)) throw new NotOfKind(listFound)
  const found = new Map<string, unknown>()
  for (const key of Object.keys(value!)) {
    // It is refused for its size, whatever else it holds.
    if (found.size >= entriesMax) break
    const one = (value as Record<string, unknown>)[key]
    if (one !== null) found.set(key, convert(of, one, depth + 1))
  }
  return found
}

// --- limits

const complaintsMax = 10
/** What is said in place of a structure in a list. */
const entryName = 'com.amazonaws.kinesis.v20131202.PutRecordsRequestEntry@c965e310'
const shownMax = 100_000

/** What shapes do not say. */
export interface Circumstances {
  /** Members that are needed although the shape does not say so. */
  readonly needed: ReadonlySet<string>
  /** Of the member `Data`. */
  readonly dataBytesMax: number
}

/** What is wrong, as the service says it; null = nothing. */
export function complaint(shape: StructureShape, value: Record<string, unknown>, of: Circumstances): string | null {
  const found: string[] = []
  checkMembers(shape, value, '', of, found)
  if (found.length === 0) return null
  return `${found.length} validation error${found.length > 1 ? 's' : ''} detected: ${found.join('; ')}`
}
function checkMembers(
  { members }: StructureShape,
  value: Record<string, unknown>,
  path: string,
  of: Circumstances,
  found: string[],
): void {
  for (const name in members) {
    const member = members[name]!
    const given = value[name]
    const at = path + name[0]!.toLowerCase() + name.slice(1)
    if (given !== undefined) {
      const shape = shapeOf(member)
      check(name === 'Data' && shape.kind === 'Blob' ? { ...shape, max: of.dataBytesMax } : shape, given, at, of, found)
    } else if (member.kind === 'Needed' || of.needed.has(name)) complain(found, 'null', at, 'Member must not be null')
  }
}
function complain(found: string[], value: string, at: string, why: string): void {
  if (found.length < complaintsMax) found.push(`Value ${value} at '${at}' failed to satisfy constraint: ${why}`)
}
function check(shape: Shape, value: unknown, at: string, of: Circumstances, found: string[]): void {
  switch (shape.kind) {
    case 'String':
      return checkText(shape, value as string, at, found)
    case 'Integer':
    case 'Long':
      return checkRange(shape, value as number, 'value', `'${value as number}'`, at, found)
    case 'Blob': {
      const { length } = value as Uint8Array
      const shown = `'java.nio.HeapByteBuffer[pos=0 lim=${length} cap=${length}]'`
      return checkRange(shape, length, 'length', shown, at, found)
    }
    case 'List':
      return checkList(shape, value as readonly unknown[], at, of, found)
    case 'Map':
      return checkMap(shape, value as ReadonlyMap<string, string>, at, found)
    case 'Structure':
      return checkMembers(shape, value as Record<string, unknown>, `${at}.`, of, found)
    case 'Boolean':
    case 'Timestamp':
    case 'Any':
  }
}
function checkText(shape: TextShape, value: string, at: string, found: string[]): void {
  const shown = `'${value.slice(0, shownMax)}'`
  const { matches, pattern, values, max = Infinity } = shape
  if (matches !== undefined && value.length <= Math.max(max, 512) && !matches.test(value))
    complain(found, shown, at, `Member must satisfy regular expression pattern: ${pattern}`)
  checkRange(shape, value.length, 'length', shown, at, found)
  if (values !== undefined && !values.includes(value))
    complain(found, shown, at, `Member must satisfy enum value set: [${values.join(', ')}]`)
}
function checkRange(
  { min, max }: Limited,
  size: number,
  what: 'value' | 'length',
  shown: string,
  at: string,
  found: string[],
): void {
  if (min !== undefined && !(size >= min))
    complain(found, shown, at, `Member must have ${what} greater than or equal to ${min}`)
  if (max !== undefined && !(size <= max))
    complain(found, shown, at, `Member must have ${what} less than or equal to ${max}`)
}
const lengths = ({ min = 0, max }: TextShape): string =>
  `[Member must have length less than or equal to ${max}, Member must have length greater than or equal to ${min}]`
const fits = ({ min = 0, max = Infinity }: TextShape, value: string): boolean =>
  value.length >= min && value.length <= max

function checkList(shape: ListShape, value: readonly unknown[], at: string, of: Circumstances, found: string[]): void {
  const { member } = shape
  const shown = (): string => `'[${cut(value, (one) => (member.kind === 'Structure' ? entryName : String(one)))}]'`
  const { min = 0, max = Infinity } = shape
  if (value.length < min || value.length > max) checkRange(shape, value.length, 'length', shown(), at, found)
  if (member.kind === 'String' && member.values === undefined && member.pattern === undefined) {
    if (member.max !== undefined && !value.every((one) => fits(member, (one as string | null) ?? '')))
      complain(found, shown(), at, `Member must satisfy constraint: ${lengths(member)}`)
    return
  }
  for (const [i, one] of value.entries()) {
    if (found.length >= complaintsMax) return
    if (one === null) complain(found, 'null', `${at}.${i + 1}.member`, 'Member must not be null')
    else check(member, one, `${at}.${i + 1}.member`, of, found)
  }
}
function checkMap(shape: MapShape, value: ReadonlyMap<string, string>, at: string, found: string[]): void {
  const { key, value: of, min = 0, max = Infinity } = shape
  const wrong: string[] = []
  if (!value.keys().every((one) => fits(key, one))) wrong.push(`Map keys must satisfy constraint: ${lengths(key)}`)
  if (!value.values().every((one) => fits(of, one))) wrong.push(`Map value must satisfy constraint: ${lengths(of)}`)
  const hasSize = value.size >= min && value.size <= max
  if (hasSize && wrong.length === 0) return
  const shown = `'{${cut(value, ([name, one]) => `${name}=${one}`)}}'`
  checkRange(shape, value.size, 'length', shown, at, found)
  for (const why of wrong) complain(found, shown, at, why)
}
/** Together, as much of it as is shown: the rest is not written out. */
function cut<T>(values: Iterable<T>, text: (one: T) => string): string {
  const parts: string[] = []
  let length = 0
  for (const one of values) {
    if (length > shownMax) break
    const part = text(one)
    parts.push(part)
    length += part.length + 2
  }
  return parts.join(', ').slice(0, shownMax)
}
