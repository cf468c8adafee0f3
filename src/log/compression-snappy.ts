/**
 * Snappy as Kafka's clients write it: raw blocks (librdkafka), or xerial's stream (the Java client): a 16-byte header,
 * then blocks, each after its length. A raw block begins with its decompressed length, which is checked against the
 * bound and against what so many bytes can at most become (a copy of 3 bytes yields 64), before it is allocated.
 *
 * Written is xerial's stream: every reader must take what the Java client sends.
 */
import { compressSync, uncompressSync } from 'snappy'
import { Fault } from '../lib/fault.ts'
import { free } from '../lib/free.ts'

const magic = Buffer.from([0x82, 0x53, 0x4e, 0x41, 0x50, 0x50, 0x59, 0x00])
const streamHeaderBytes = 16
/** The block size of xerial's writer; some readers keep a buffer of that size. */
const blockBytes = 32 * 1024
const expansionMax = 22
/** Each block is a call into the codec; real writers need one for 32 KB. */
const blocksMax = 65_536
const header = Buffer.concat([magic, Buffer.from([0, 0, 0, 1, 0, 0, 0, 1])])
const magicNumber = magic.readInt32BE(0)

const corrupt = (what: string): Fault => new Fault('log.corrupt-batch', { what: `snappy: ${what}` })

export function writeSnappy(bytes: Uint8Array): Uint8Array {
  const parts: Uint8Array[] = [header]
  for (let at = 0; at < bytes.length; at += blockBytes) {
    const block = compressSync(bytes.subarray(at, at + blockBytes))
    const length = Buffer.allocUnsafe(4)
    length.writeInt32BE(block.length)
    parts.push(length, block)
  }
  return Buffer.concat(parts)
}

export function readSnappy(bytes: Buffer, bytesMax: number): Uint8Array {
  return isStream(bytes) ? readStream(bytes, bytesMax) : readBlock(bytes, bytesMax)
}
const isStream = (bytes: Buffer): boolean =>
  bytes.length >= streamHeaderBytes && bytes.subarray(0, magic.length).equals(magic)

/** First the blocks' declared lengths are added up, then they are decompressed into one buffer. */
function readStream(bytes: Buffer, bytesMax: number): Uint8Array {
  let total = 0
  let count = 0
  eachBlock(bytes, (block) => {
    total += checkedBytes(block, bytesMax - total)
    if (++count > blocksMax) throw corrupt(`more than ${blocksMax} blocks`)
  })
  const out = Buffer.allocUnsafeSlow(total)
  let at = 0
  eachBlock(bytes, (block) => {
    const plain = uncompressSync(block, { asBuffer: true }) as Buffer
    out.set(plain, at)
    at += plain.length
    free(plain)
  })
  return out
}

/** Blocks that `readSnappy` would read one by one. */
export function snappyBlocks(bytes: Buffer): number {
  if (!isStream(bytes)) return 1
  let count = 0
  eachBlock(bytes, () => void count++)
  return count
}

function eachBlock(bytes: Buffer, visit: (block: Buffer) => void): void {
  let at = streamHeaderBytes
  while (at < bytes.length) {
    if (bytes.length - at < 4) throw corrupt('a block without its length')
    const length = bytes.readInt32BE(at)
    // Streams may be joined end to end: the next one's header stands where a length would.
    if (length === magicNumber && bytes.length - at >= streamHeaderBytes) {
      at += streamHeaderBytes
      continue
    }
    at += 4
    if (length < 0 || length > bytes.length - at) throw corrupt(`a block of ${length} bytes, ${bytes.length - at} left`)
    visit(bytes.subarray(at, at + length))
    at += length
  }
}

function readBlock(block: Buffer, bytesMax: number): Uint8Array {
  checkedBytes(block, bytesMax)
  return uncompressSync(block, { asBuffer: true }) as Buffer
}

/** What the block says it becomes, if that can be. */
function checkedBytes(block: Buffer, bytesMax: number): number {
  const declared = declaredBytes(block)
  if (declared > block.length * expansionMax) throw corrupt(`${block.length} bytes cannot become ${declared}`)
  if (declared > bytesMax) throw new Fault('wire.too-large', { what: 'a snappy batch', bytes: declared, bytesMax })
  return declared
}

function declaredBytes(block: Buffer): number {
  let value = 0
  for (let i = 0; i < 5; i++) {
    const byte = block[i]
    if (byte === undefined) throw corrupt('no length')
    value += (byte & 0x7f) * 2 ** (7 * i)
    if (byte < 0x80) return value
  }
  throw corrupt('a length beyond 32 bits')
}
