/**
 * What a message is, as data: types, codec, documentation and fuzzers are derived from it. Every builder returns a Shape;
 * a field of a struct is a Shape that also says in which versions it is there. `D` is what decoding gives, `E` what
 * encoding takes, `O` whether encoding may leave the field out.
 */
export type Primitive =
  | 'bool'
  | 'int8'
  | 'int16'
  | 'uint16'
  | 'int32'
  | 'int64'
  | 'float64'
  | 'uuid'
  | 'string'
  | 'bytes'
  | 'records'
export type Node =
  | { readonly kind: Primitive }
  | { readonly kind: 'array'; readonly item: AnyShape }
  | { readonly kind: 'struct'; readonly fields: readonly NamedShape[] }
export interface NamedShape {
  readonly name: string
  readonly shape: AnyShape
}
export interface Shape<D, E = D, O extends boolean = false> {
  readonly node: Node
  /** First and last version that has the field. */
  readonly since: number
  readonly until: number
  /** Number of a tagged field: written only where it differs from its fallback (KIP-482). */
  readonly tag: number | null
  /** First version in which null is allowed. */
  readonly nullableSince: number
  /** What decoding gives where the field is not on the wire; undefined = the zero of its kind. */
  readonly fallback: unknown
  readonly optional: O
  /** Types only. */
  readonly types?: { readonly decoded: D; readonly encoded: E }
}
export type AnyShape = Shape<unknown, unknown, boolean>
export type Decoded<S> = S extends Shape<infer D, infer _E, infer _O> ? D : never
export type Encoded<S> = S extends Shape<infer _D, infer E, infer _O> ? E : never

const never = Number.POSITIVE_INFINITY
function shape<D, E = D>(node: Node): Shape<D, E> {
  return { node, since: 0, until: never, tag: null, nullableSince: never, fallback: undefined, optional: false }
}

export const bool = shape<boolean>({ kind: 'bool' })
export const int8 = shape<number>({ kind: 'int8' })
export const int16 = shape<number>({ kind: 'int16' })
export const uint16 = shape<number>({ kind: 'uint16' })
export const int32 = shape<number>({ kind: 'int32' })
/** A number; beyond ±(2^53 − 1), where no offset or time of ours lies, it is read as that bound. */
export const int64 = shape<number>({ kind: 'int64' })
export const float64 = shape<number>({ kind: 'float64' })
/** Text of 36 characters. */
export const uuid = shape<string>({ kind: 'uuid' })
export const string = shape<string>({ kind: 'string' })
/** Decoded as a view of the frame. */
export const bytes = shape<Uint8Array>({ kind: 'bytes' })
/** Record batches: decoded as a view of the frame; encoded from a list of buffers that go out without a copy. */
export const records = shape<Uint8Array, readonly Uint8Array[]>({ kind: 'records' })

export const array = <D, E, O extends boolean>(item: Shape<D, E, O>): Shape<D[], readonly E[]> =>
  shape({ kind: 'array', item })

type Spec = Readonly<Record<string, AnyShape>>
type DecodedFields<S extends Spec> = { readonly [K in keyof S]: Decoded<S[K]> }
type OptionalKeys<S extends Spec> = {
  [K in keyof S]: S[K] extends Shape<infer _D, infer _E, true> ? K : never
}[keyof S]
type EncodedFields<S extends Spec> = { readonly [K in Exclude<keyof S, OptionalKeys<S>>]: Encoded<S[K]> } & {
  readonly [K in OptionalKeys<S>]?: Encoded<S[K]>
}
export function struct<const S extends Spec>(spec: S): Shape<DecodedFields<S>, EncodedFields<S>> {
  return shape({ kind: 'struct', fields: Object.entries(spec).map(([name, field]) => ({ name, shape: field })) })
}

export const since = <D, E, O extends boolean>(version: number, of: Shape<D, E, O>): Shape<D, E, O> => ({
  ...of,
  since: version,
})
export const until = <D, E, O extends boolean>(version: number, of: Shape<D, E, O>): Shape<D, E, O> => ({
  ...of,
  until: version,
})
/** Null is allowed, from that version on. */
export const nullable = <D, E, O extends boolean>(
  of: Shape<D, E, O>,
  nullableSince = 0,
): Shape<D | null, E | null, O> => ({ ...of, nullableSince }) as Shape<D | null, E | null, O>
/** What stands in where a version does not have the field, or the writer gives nothing. */
export const or = <D, E>(fallback: D & E, of: Shape<D, E, boolean>): Shape<D, E, true> => ({
  ...of,
  fallback,
  optional: true,
})
export const tagged = <D, E, O extends boolean>(tag: number, of: Shape<D, E, O>): Shape<D, E, true> => ({
  ...of,
  tag,
  optional: true,
})

/** One API: request and response, the versions its fields are declared for, and the first flexible one. */
export interface Api<Q extends AnyShape = AnyShape, A extends AnyShape = AnyShape> {
  readonly key: number
  readonly name: string
  readonly versions: readonly [first: number, last: number]
  /** From this version on: compact lengths and tagged fields (KIP-482). */
  readonly flexible: number
  readonly request: Q
  readonly response: A
}
export const api = <Q extends AnyShape, A extends AnyShape>(of: Api<Q, A>): Api<Q, A> => of

export const nullUuid = '00000000-0000-0000-0000-000000000000'

/** The value of a field that is not on the wire. */
export function fallbackOf(of: AnyShape): unknown {
  if (of.fallback !== undefined) return of.fallback
  switch (of.node.kind) {
    case 'bool':
      return false
    case 'string':
      return ''
    case 'uuid':
      return nullUuid
    case 'bytes':
    case 'records':
      return of.nullableSince === never ? new Uint8Array(0) : null
    case 'array':
      return []
    case 'struct':
      return Object.fromEntries(of.node.fields.map((field) => [field.name, fallbackOf(field.shape)]))
    default:
      return 0
  }
}
