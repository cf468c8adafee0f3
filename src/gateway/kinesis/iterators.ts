/**
 * Shard iterators: where somebody goes on to read, sealed so that nobody can make one up, good for five minutes. They need no
 * memory here, and outlive the process.
 *
 *   version (8) | issued, ms (8) | shard (4) | offset (8) | topic's id (16) | length of the name (1) | name | zeros | seal (16)
 */
import { createHmac, timingSafeEqual } from 'node:crypto'
import type { Clock } from '../../lib/world.ts'
import { ServiceError, invalid } from './errors.ts'

export interface Iterator {
  readonly stream: string
  readonly topicId: string
  readonly shard: number
  readonly offset: number
}
const goodForMs = 300_000
const sealBytes = 16
const fixedBytes = 8 + 8 + 4 + 8 + 16 + 1
/** As long as the service's, about: 152 bytes, and more by 16. */
const [bytesMin, bytesStep, bytesMax] = [152, 16, 384]

export class Iterators {
  readonly #secret: Uint8Array
  readonly #clock: Clock

  constructor(secret: Uint8Array, clock: Clock) {
    this.#secret = secret
    this.#clock = clock
  }
  text({ stream, topicId, shard, offset }: Iterator): string {
    const needed = fixedBytes + stream.length + sealBytes
    const length = bytesMin + Math.max(0, Math.ceil((needed - bytesMin) / bytesStep)) * bytesStep
    const out = Buffer.alloc(length)
    out.writeUInt32BE(1, 4)
    out.writeDoubleBE(this.#clock.now(), 8)
    out.writeInt32BE(shard, 16)
    out.writeBigInt64BE(BigInt(offset), 20)
    out.write(topicId.replaceAll('-', ''), 28, 'hex')
    out[44] = stream.length
    out.write(stream, 45, 'latin1')
    this.#seal(out).copy(out, length - sealBytes)
    return out.toString('base64')
  }
  /** Throws ServiceError InvalidArgumentException, ExpiredIteratorException. */
  read(text: string): Iterator {
    const bytes = Buffer.from(text, 'base64')
    if (bytes.length < bytesMin || bytes.length > bytesMax || bytes.toString('base64') !== text) throw wrong()
    if (!timingSafeEqual(this.#seal(bytes), bytes.subarray(bytes.length - sealBytes))) throw wrong()
    const issuedMs = bytes.readDoubleBE(8)
    const nowMs = this.#clock.now()
    if (nowMs - issuedMs >= goodForMs)
      throw new ServiceError(
        'ExpiredIteratorException',
        `Iterator expired. The iterator was created at time ${dateText(issuedMs)} while right now it is ` +
          `${dateText(nowMs)} which is further in the future than the tolerated delay of ${goodForMs} milliseconds.`,
      )
    const id = bytes.toString('hex', 28, 44)
    return {
      stream: bytes.toString('latin1', 45, 45 + bytes[44]!),
      topicId: [id.slice(0, 8), id.slice(8, 12), id.slice(12, 16), id.slice(16, 20), id.slice(20)].join('-'),
      shard: bytes.readInt32BE(16),
      offset: Number(bytes.readBigInt64BE(20)),
    }
  }
  #seal(bytes: Buffer): Buffer {
    const sealed = bytes.subarray(0, bytes.length - sealBytes)
    return createHmac('sha256', this.#secret).update(sealed).digest().subarray(0, sealBytes)
  }
}
const wrong = (): ServiceError => invalid('Invalid ShardIterator.')

/** `Thu Jan 22 01:22:02 UTC 2015` */
function dateText(ms: number): string {
  const [day, date, month, year, time] = new Date(ms).toUTCString().replace(',', '').split(' ')
  return `${day} ${month} ${date} ${time} UTC ${year}`
}
