/** The sections of a bare message with its annotations (part 3.2): where each lies, without looking into them. */
import { malformed, skipValue } from './values.ts'

/** Descriptors, as the small numbers that everybody writes. */
export const section = {
  header: 0x70,
  deliveryAnnotations: 0x71,
  messageAnnotations: 0x72,
  properties: 0x73,
  applicationProperties: 0x74,
  data: 0x75,
  sequence: 0x76,
  value: 0x77,
  footer: 0x78,
} as const
/** Microsoft's format of a transfer that carries messages as its data sections. */
export const batchFormat = 0x80013700

const first = section.header
const count = section.footer - first + 1
const symbols: readonly string[] = [
  'amqp:header:list',
  'amqp:delivery-annotations:map',
  'amqp:message-annotations:map',
  'amqp:properties:list',
  'amqp:application-properties:map',
  'amqp:data:binary',
  'amqp:amqp-sequence:list',
  'amqp:amqp-value:*',
  'amqp:footer:map',
]

/**
 * Places in the bytes of a message: of each section its value without the descriptor, −1 where there is none. One for all
 * messages: what was scanned last.
 */
export class Sections {
  readonly #from = new Int32Array(count).fill(-1)
  readonly #to = new Int32Array(count)
  /** The first byte of the body, with its descriptor, and behind its last one. */
  bodyFrom = -1
  bodyTo = -1
  /** How many sections the body has. */
  bodyCount = 0
  /** Of which kind they are. */
  bodyKind = 0

  from(of: number): number {
    return this.#from[of - first]!
  }
  to(of: number): number {
    return this.#to[of - first]!
  }
  has(of: number): boolean {
    return this.#from[of - first]! >= 0
  }
  /** Throws Fault wire.malformed. `data` is called for each data section with where its binary lies. */
  scan(bytes: Buffer, from: number, end: number, data?: (from: number, to: number) => void): void {
    this.#from.fill(-1)
    this.bodyFrom = this.bodyTo = -1
    this.bodyCount = this.bodyKind = 0
    let last = first - 1
    for (let at = from; at < end;) {
      const start = at
      let code: number
      // 00 53 code: the form that nearly all have.
      if (bytes[at] === 0 && bytes[at + 1] === 0x53 && at + 2 < end) {
        code = bytes[at + 2]!
        at += 3
      } else {
        if (bytes[at] !== 0) throw malformed('a section without a descriptor')
        const valueAt = skipValue(bytes, at + 1, end)
        code = descriptorOf(bytes, at + 1, valueAt)
        at = valueAt
      }
      if (code < first || code > section.footer) throw malformed(`there is no section 0x${code.toString(16)}`)
      const isBody = code >= section.data && code <= section.value
      const repeats = code === last && (code === section.data || code === section.sequence)
      if (code <= last && !repeats) throw malformed('sections of a message out of order')
      if (isBody && this.bodyCount > 0 && !repeats) throw malformed('a message with two kinds of body')
      const valueAt = at
      at = skipValue(bytes, at, end)
      last = code
      this.#from[code - first] = valueAt
      this.#to[code - first] = at
      if (!isBody) continue
      if (this.bodyCount === 0) this.bodyFrom = start
      this.bodyTo = at
      this.bodyCount++
      this.bodyKind = code
      if (code === section.data) {
        const skip = binaryHead(bytes, valueAt)
        data?.(valueAt + skip, at)
      }
    }
  }
}
/** How many bytes stand before the content of a binary. */
export function binaryHead(bytes: Buffer, at: number): number {
  const code = bytes[at]!
  if (code === 0xa0) return 2
  if (code === 0xb0) return 5
  throw malformed('a data section that is no binary')
}
function descriptorOf(bytes: Buffer, at: number, to: number): number {
  const code = bytes[at]!
  if (code === 0x80) {
    const high = bytes.readUInt32BE(at + 1)
    return high === 0 ? bytes.readUInt32BE(at + 5) : -1
  }
  if (code === 0x44) return 0
  if (code !== 0xa3 && code !== 0xb3) throw malformed('a section whose descriptor is no number and no symbol')
  const found = symbols.indexOf(bytes.toString('latin1', at + (code === 0xa3 ? 2 : 5), to))
  return found < 0 ? -1 : found + first
}
