/**
 * Encoder and decoder of a shape at one version, as JavaScript source made from the shape alone and compiled once:
 * one function per struct, straight through its fields, so that objects keep one layout. (Measured on a produce request: as
 * fast as the same reads written by hand; closures per field take half as long again.)
 */
import { type AnyShape, type Decoded, type Encoded, fallbackOf } from './shape.ts'
import { type WireReader, WireWriter, totalBytes } from './wire.ts'

export interface Codec<D, E> {
  encode(value: E, out: WireWriter): void
  decode(input: WireReader): D
}

const cache = new WeakMap<AnyShape, Map<number, Codec<unknown, unknown>>>()

/** `version` and `flexible` as the API declares them for this shape. */
export function codecOf<S extends AnyShape>(
  shape: S,
  version: number,
  flexible: boolean,
): Codec<Decoded<S>, Encoded<S>> {
  let versions = cache.get(shape)
  if (versions === undefined) cache.set(shape, (versions = new Map()))
  const known = versions.get(version)
  if (known !== undefined) return known as Codec<Decoded<S>, Encoded<S>>
  const codec = compile(shape, version, flexible)
  versions.set(version, codec)
  return codec as Codec<Decoded<S>, Encoded<S>>
}

const empty = new Uint8Array(0)

function compile(shape: AnyShape, version: number, flexible: boolean): Codec<unknown, unknown> {
  const source = new Source(version, flexible)
  const encode = source.encoderOf(shape)
  const decode = source.decoderOf(shape)
  const text = `'use strict'\n${source.functions.join('\n')}\nreturn { encode: ${encode}, decode: ${decode} }`
  const make = new Function('WireWriter', 'totalBytes', 'empty', text) as (
    ...parts: unknown[]
  ) => Codec<unknown, unknown>
  return make(WireWriter, totalBytes, empty)
}

class Source {
  readonly functions: string[] = []
  private names = 0
  private readonly version: number
  private readonly flexible: boolean

  constructor(version: number, flexible: boolean) {
    this.version = version
    this.flexible = flexible
  }
  private name(stem: string): string {
    return `${stem}${this.names++}`
  }
  private isLive(shape: AnyShape): boolean {
    return this.version >= shape.since && this.version <= shape.until
  }
  private isNullable(shape: AnyShape): boolean {
    return this.version >= shape.nullableSince
  }

  /** Name of a function (value, w) for a struct. */
  encoderOf(struct: AnyShape): string {
    if (struct.node.kind !== 'struct') throw new TypeError('a message is a struct')
    const name = this.name('encode')
    const live = struct.node.fields.filter((field) => this.isLive(field.shape))
    const body: string[] = []
    for (const field of live) if (field.shape.tag === null) body.push(this.encodeField(field.name, field.shape))
    if (this.flexible) {
      const tags = live.filter((field) => field.shape.tag !== null).toSorted((a, b) => a.shape.tag! - b.shape.tag!)
      body.push(this.encodeTagged(tags))
    }
    this.functions.push(`function ${name}(x, w) {\n${body.join('\n')}\n}`)
    return name
  }
  private encodeField(field: string, shape: AnyShape): string {
    const v = this.name('v')
    const given = shape.optional
      ? `x.${field} === undefined ? ${literal(fallbackOf(shape))} : x.${field}`
      : `x.${field}`
    return `const ${v} = ${given}; ${this.encodeValue(v, shape)}`
  }
  private encodeTagged(tags: readonly { name: string; shape: AnyShape }[]): string {
    if (tags.length === 0) return 'w.uvarint(0)'
    const lines = ['let tags = 0']
    const flags: string[] = []
    for (const { name, shape } of tags) {
      const flag = this.name('t')
      flags.push(flag)
      lines.push(`const ${flag} = ${differs(`x.${name}`, shape)}; if (${flag}) tags++`)
    }
    lines.push('w.uvarint(tags)')
    tags.forEach(({ name, shape }, i) => {
      lines.push(
        `if (${flags[i]}) { const outer = w; const v = x.${name}; { const w = new WireWriter(256); ${this.encodeValue('v', shape)};
        const pieces = w.take(); outer.uvarint(${shape.tag}); outer.uvarint(totalBytes(pieces)); outer.splice(pieces) } }`,
      )
    })
    return lines.join('\n')
  }
  private encodeValue(v: string, shape: AnyShape): string {
    const nullable = this.isNullable(shape)
    const flexible = this.flexible
    const orNull = (nothing: string, write: string): string =>
      nullable ? `if (${v} === null) { ${nothing} } else { ${write} }` : write
    const { node } = shape
    switch (node.kind) {
      case 'string':
        return flexible ? orNull('w.uvarint(0)', `w.compactText(${v})`) : orNull('w.int16(-1)', `w.text(${v})`)
      case 'bytes':
        return flexible
          ? orNull('w.uvarint(0)', `w.uvarint(${v}.length + 1); w.raw(${v})`)
          : orNull('w.int32(-1)', `w.int32(${v}.length); w.raw(${v})`)
      case 'records':
        return flexible
          ? orNull('w.uvarint(0)', `w.uvarint(totalBytes(${v}) + 1); w.splice(${v})`)
          : orNull('w.int32(-1)', `w.int32(totalBytes(${v})); w.splice(${v})`)
      case 'array': {
        const item = this.name('e')
        const loop = `for (const ${item} of ${v}) { ${this.encodeValue(item, node.item)} }`
        return flexible
          ? orNull('w.uvarint(0)', `w.uvarint(${v}.length + 1); ${loop}`)
          : orNull('w.int32(-1)', `w.int32(${v}.length); ${loop}`)
      }
      case 'struct': {
        const write = `${this.encoderOf(shape)}(${v}, w)`
        return nullable ? `if (${v} === null) { w.int8(-1) } else { w.int8(1); ${write} }` : write
      }
      case 'int64':
        return `w.longInt(${v})`
      default:
        return `w.${node.kind}(${v})`
    }
  }

  /** Name of a function (r) that gives a struct. */
  decoderOf(struct: AnyShape): string {
    if (struct.node.kind !== 'struct') throw new TypeError('a message is a struct')
    const name = this.name('decode')
    const { fields } = struct.node
    const lines: string[] = []
    const tags: string[] = []
    const parts: string[] = []
    for (const { name: field, shape } of fields) {
      const v = this.name('f')
      parts.push(`${field}: ${v}`)
      const fallback = literal(fallbackOf(shape))
      if (!this.isLive(shape) || (shape.tag !== null && !this.flexible)) lines.push(`const ${v} = ${fallback}`)
      else if (shape.tag !== null) {
        lines.push(`let ${v} = ${fallback}`)
        tags.push(`case ${shape.tag}: { ${v} = ${this.decodeValue(shape)}; break }`)
      } else lines.push(`const ${v} = ${this.decodeValue(shape)}`)
    }
    if (this.flexible)
      lines.push(`for (let n = r.count(r.uvarint(), 2); n > 0; n--) {
        const tag = r.uvarint(); const end = r.taggedEnd(r.uvarint())
        switch (tag) { ${tags.join(' ')} default: r.at = end }
        r.taggedDone(end)
      }`)
    this.functions.push(`function ${name}(r) {\n${lines.join('\n')}\nreturn { ${parts.join(', ')} }\n}`)
    return name
  }
  /** An expression that reads the value. */
  private decodeValue(shape: AnyShape): string {
    const nullable = this.isNullable(shape)
    const { node } = shape
    switch (node.kind) {
      case 'string':
        return this.decodeSized(this.flexible ? 'r.uvarint() - 1' : 'r.int16()', 'r.text(n)', nullable)
      case 'bytes':
      case 'records':
        return this.decodeSized(this.flexible ? 'r.uvarint() - 1' : 'r.int32()', 'r.raw(n)', nullable)
      case 'array': {
        const name = this.name('array')
        const count = this.flexible ? 'r.uvarint() - 1' : 'r.int32()'
        this.functions.push(`function ${name}(r, n) {
          const out = new Array(r.count(n, ${this.leastBytes(node.item)}))
          for (let i = 0; i < n; i++) out[i] = ${this.decodeValue(node.item)}
          return out
        }`)
        return this.decodeSized(count, `${name}(r, n)`, nullable)
      }
      case 'struct': {
        const read = `${this.decoderOf(shape)}(r)`
        return nullable ? `(r.nullFlag() ? null : ${read})` : read
      }
      case 'int64':
        return 'r.longInt()'
      default:
        return `r.${node.kind}()`
    }
  }
  private decodeSized(length: string, read: string, nullable: boolean): string {
    const name = this.name('sized')
    this.functions.push(
      nullable
        ? `function ${name}(r) { const n = r.nullableLength(${length}); return n < 0 ? null : ${read} }`
        : `function ${name}(r) { const n = r.length(${length}); return ${read} }`,
    )
    return `${name}(r)`
  }
  /** The fewest bytes that a value takes: what counts are checked with. */
  private leastBytes(shape: AnyShape): number {
    const { node } = shape
    switch (node.kind) {
      case 'bool':
      case 'int8':
        return 1
      case 'int16':
      case 'uint16':
        return 2
      case 'int32':
        return 4
      case 'int64':
      case 'float64':
        return 8
      case 'uuid':
        return 16
      case 'string':
        return this.flexible ? 1 : 2
      case 'bytes':
      case 'records':
      case 'array':
        return this.flexible ? 1 : 4
      case 'struct': {
        if (this.isNullable(shape)) return 1
        let sum = this.flexible ? 1 : 0
        for (const field of node.fields)
          if (this.isLive(field.shape) && field.shape.tag === null) sum += this.leastBytes(field.shape)
        return Math.max(1, sum)
      }
    }
  }
}

/** Whether a tagged field has to be written. A struct is written where it is given. */
function differs(x: string, shape: AnyShape): string {
  const fallback = fallbackOf(shape)
  if (shape.node.kind === 'struct') return `${x} !== undefined && ${x} !== null`
  if (fallback === null) return `${x} !== undefined && ${x} !== null`
  if (shape.node.kind === 'array') return `${x} !== undefined && (${x} === null || ${x}.length !== 0)`
  return `${x} !== undefined && ${x} !== ${literal(fallback)}`
}

function literal(value: unknown): string {
  if (value instanceof Uint8Array) return 'empty'
  if (Array.isArray(value)) return `[${value.map(literal).join(', ')}]`
  if (typeof value === 'object' && value !== null)
    return `({ ${Object.entries(value)
      .map(([name, part]) => `${name}: ${literal(part)}`)
      .join(', ')} })`
  return JSON.stringify(value)
}
