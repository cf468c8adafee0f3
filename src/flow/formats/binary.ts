/** Numbers and lengths out of bytes that may lie: what the complete parsers of Avro and Protobuf read with. */
import { isUtf8 } from 'node:buffer'
import { limits } from '../../lib/limits.ts'
import { canonical } from '../memory.ts'
import { Malformed, Misfit } from '../decode-value.ts'

const bytesOfVarint = 10

export class BinaryReader {
  b: Buffer = Buffer.alloc(0)
  at = 0
  end = 0

  open(b: Buffer, at: number, end: number): this {
    this.b = b
    this.at = at
    this.end = end
    return this
  }
  fail(what: string): never {
    throw new Malformed(what, this.at)
  }
  /** Position before `bytes` more; goes behind them. */
  take(bytes: number): number {
    const { at } = this
    if (bytes > this.end - at) this.fail('it ends within a value')
    this.at = at + bytes
    return at
  }
  byte(): number {
    return this.b[this.take(1)]!
  }
  skipVarint(): void {
    for (let i = 0; i < bytesOfVarint; i++) if (this.byte() < 128) return
    this.fail('a number of more than 64 bits')
  }
  /** Of 64 bits, without a sign. */
  varint(): number | bigint {
    let low = 0
    for (let shift = 0; shift < 49; shift += 7) {
      const c = this.byte()
      low += (c & 127) * 2 ** shift
      if (c < 128) return low
    }
    let wide = BigInt(low)
    for (let shift = 49n; shift < 70n; shift += 7n) {
      const c = this.byte()
      wide |= BigInt(c & 127) << shift
      if (c < 128) return canonical(BigInt.asUintN(64, wide))
    }
    return this.fail('a number of more than 64 bits')
  }
  /** Small ones are 0, −1, 1, −2 … */
  zigzag(): number | bigint {
    const v = this.varint()
    if (typeof v === 'number') return v % 2 === 0 ? v / 2 : -(v + 1) / 2
    return canonical((v & 1n) === 0n ? v >> 1n : -((v + 1n) >> 1n))
  }
  float(): number {
    return this.b.readFloatLE(this.take(4))
  }
  double(): number {
    return this.b.readDoubleLE(this.take(8))
  }
}

/** JSON written piece by piece, no more of it than a text may be long: names come from the schema, for no byte at all. */
export class JsonOut {
  text = ''
  add(piece: string): void {
    this.text += piece
    if (this.text.length > limits.textBytes)
      throw new Misfit(`is more than ${limits.textBytes} characters when it is written as JSON`)
  }
  /** Bytes that are to be text. */
  addText(b: Buffer, from: number, to: number): void {
    const bytes = b.subarray(from, to)
    if (!isUtf8(bytes)) throw new Misfit('is not UTF-8')
    this.add(JSON.stringify(bytes.toString('utf8')))
  }
  addBytes(b: Buffer, from: number, to: number): void {
    this.add(`"${b.toString('base64', from, to)}"`)
  }
  addNumber(value: number | bigint): void {
    if (typeof value === 'number' && !Number.isFinite(value)) this.add(`"${value}"`)
    else this.add(Object.is(value, -0) ? '-0' : String(value))
  }
}

/** Which fields of a payload are wanted, by the names on the way to them. */
export interface Wants {
  /** Columns that are the value here as a whole. */
  readonly columns: readonly number[]
  readonly children: ReadonlyMap<string, Wants>
}
/** `paths`: by column; null = not of the payload. */
export function wantsOf(paths: readonly (readonly string[] | null)[]): Wants {
  interface Made {
    columns: number[]
    children: Map<string, Made>
  }
  const made = (): Made => ({ columns: [], children: new Map() })
  const root = made()
  paths.forEach((path, column) => {
    if (path === null) return
    let at = root
    for (const name of path) {
      const next = at.children.get(name) ?? made()
      at.children.set(name, next)
      at = next
    }
    at.columns.push(column)
  })
  return root
}
