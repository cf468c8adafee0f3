/**
 * What a client says to acknowledge a message: which delivery of which record, with a keyed hash (HMAC-SHA-256, shortened),
 * so that nobody can make one up. The hash is made once for the records that are handed out together.
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import { ByteReader, ByteWriter } from '../../lib/bytes.ts'

export interface HandedOut {
  readonly partition: number
  readonly epoch: number
  readonly deliveries: number
  readonly first: number
  readonly last: number
}
export interface AckId extends Pick<HandedOut, 'partition' | 'epoch' | 'deliveries'> {
  readonly offset: number
}
const hashBytes = 12
const form = /^([A-Za-z0-9_-]{20,120})\.([0-9a-z]{1,11})$/
/** Prefixes that were checked, kept until there are so many. */
const knownMax = 4_000

export class AckIds {
  readonly #key: Uint8Array
  readonly #known = new Map<string, HandedOut>()

  constructor(key: Uint8Array) {
    this.#key = key
  }
  /** What the ids of these records begin with. */
  prefix({ partition, epoch, deliveries, first, last }: HandedOut): string {
    const out = new ByteWriter(48)
    out.uvarint(partition)
    out.uvarint(epoch)
    out.uvarint(deliveries)
    out.varint(first)
    out.uvarint(last - first)
    const said = Buffer.from(out.done())
    return Buffer.concat([said, this.#hash(said)]).toString('base64url')
  }
  id(prefix: string, first: number, offset: number): string {
    return `${prefix}.${(offset - first).toString(36)}`
  }
  /** null: it is none of ours. */
  parse(id: string): AckId | null {
    const [, prefix = '', rest = ''] = form.exec(id) ?? []
    const handed = this.#known.get(prefix) ?? this.#read(prefix)
    if (handed === null) return null
    const offset = handed.first + Number.parseInt(rest, 36)
    const { partition, epoch, deliveries } = handed
    return offset <= handed.last ? { partition, epoch, deliveries, offset } : null
  }
  #read(prefix: string): HandedOut | null {
    const bytes = Buffer.from(prefix, 'base64url')
    if (bytes.length <= hashBytes) return null
    const said = bytes.subarray(0, -hashBytes)
    if (!timingSafeEqual(this.#hash(said), bytes.subarray(-hashBytes))) return null
    const from = new ByteReader(said)
    const [partition, epoch, deliveries] = [from.uvarint(), from.uvarint(), from.uvarint()]
    const first = from.varint()
    const handed = { partition, epoch, deliveries, first, last: first + from.uvarint() }
    if (this.#known.size >= knownMax) this.#known.clear()
    this.#known.set(prefix, handed)
    return handed
  }
  #hash(said: Uint8Array): Buffer {
    return createHmac('sha256', this.#key).update(said).digest().subarray(0, hashBytes)
  }
}
