import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compressFrameSync, decompressFrameSync } from 'lz4-napi'
import { withDecompressed } from '../../src/log/compression.ts'
import { lendLz4 } from '../../src/log/compression-lz4.ts'

const mebibyte = 1024 * 1024
const blockBytesMax = 64 * 1024
interface Sequence {
  readonly literals: Uint8Array
  /** Null in the last sequence of a block. */
  readonly match: { readonly distance: number; readonly length: number } | null
}

function extended(length: number): number[] {
  const out: number[] = []
  for (let rest = length - 15; rest >= 0; rest -= 255) out.push(Math.min(rest, 255))
  return out
}
function blockOf(sequences: readonly Sequence[]): Buffer {
  return Buffer.from(
    sequences.flatMap(({ literals, match }) => {
      const matched = match === null ? 0 : match.length - 4
      return [
        (Math.min(literals.length, 15) << 4) | Math.min(matched, 15),
        ...extended(literals.length),
        ...literals,
        ...(match === null ? [] : [match.distance & 255, match.distance >> 8, ...extended(matched)]),
      ]
    }),
  )
}
/** What the format says that they become, byte by byte; null where a match begins before the block. */
function meant(sequences: readonly Sequence[]): Buffer | null {
  const out: number[] = []
  for (const { literals, match } of sequences) {
    out.push(...literals)
    if (match === null) break
    if (match.distance === 0 || match.distance > out.length) return null
    for (let i = 0; i < match.length; i++) out.push(out.at(-match.distance)!)
  }
  return Buffer.from(out)
}
/** librdkafka's header: version 1, independent blocks of 64 KiB, no checksums. */
function frameOf(blocks: readonly Uint8Array[], stored = false): Buffer {
  const word = (value: number): Buffer => {
    const out = Buffer.alloc(4)
    out.writeUInt32LE(value)
    return out
  }
  const flag = stored ? 0x8000_0000 : 0
  const parts = blocks.flatMap((block) => [word(block.length + flag), block])
  return Buffer.concat([Buffer.from('04224d18604082', 'hex'), ...parts, word(0)])
}
const byLibrary = (frame: Buffer): Buffer | null => {
  try {
    return decompressFrameSync(frame)
  } catch {
    return null
  }
}
const lent = (frame: Buffer): Buffer | null => {
  try {
    const plain = lendLz4(frame, mebibyte)
    return plain === null ? null : Buffer.from(plain)
  } catch {
    return null
  }
}

const literals = fc.oneof(fc.uint8Array({ maxLength: 40 }), fc.uint8Array({ minLength: 250, maxLength: 600 }))
const match = fc.record({
  distance: fc.oneof(fc.integer({ min: 1, max: 40 }), fc.integer({ min: 0, max: 2000 })),
  length: fc.oneof(fc.integer({ min: 4, max: 40 }), fc.integer({ min: 250, max: 1200 })),
})
const last = fc
  .uint8Array({ minLength: 12, maxLength: 60 })
  .map((bytes): Sequence => ({ literals: bytes, match: null }))
/** Most distances are made to reach something; one in thirty stays what it is. */
const sequences = fc
  .tuple(fc.array(fc.record({ literals, match, stays: fc.nat(29) }), { maxLength: 12 }), last)
  .map(([body, end]): Sequence[] => {
    let there = 0
    const reaching = body.map(({ literals: bytes, match: { distance, length }, stays }): Sequence => {
      there += bytes.length
      const reached = stays === 0 || there === 0 ? distance : 1 + (distance % there)
      there += length
      return { literals: bytes, match: { distance: reached, length } }
    })
    return [...reaching, end]
  })

test('blocks of any sequences become what the format says', () => {
  let decoded = 0
  let refused = 0
  fc.assert(
    fc.property(fc.array(sequences, { minLength: 1, maxLength: 3 }), (blocks) => {
      const frame = frameOf(blocks.map(blockOf))
      const wanted = blocks.map(meant)
      const all = wanted.includes(null) ? null : Buffer.concat(wanted as Buffer[])
      if (all === null) refused++
      else decoded++
      assert.deepEqual(lent(frame), all)
      if (all !== null) assert.deepEqual(byLibrary(frame), all)
    }),
    { numRuns: 1500 },
  )
  assert.ok(decoded > 300 && refused > 100, `${decoded} decoded, ${refused} refused`)
})
test('every distance up to 40 at every length up to 100 repeats what it should', () => {
  for (let distance = 1; distance <= 40; distance++)
    for (let length = 4; length <= 100; length++) {
      const block: Sequence[] = [
        { literals: Uint8Array.from({ length: distance }, (_, i) => i * 7 + 1), match: { distance, length } },
        { literals: new Uint8Array(12), match: null },
      ]
      assert.deepEqual(lent(frameOf([blockOf(block)])), meant(block), `distance ${distance}, length ${length}`)
    }
})
test('nothing is taken that the library refuses, and nothing else made of it', () => {
  const text = fc
    .array(fc.tuple(fc.uint8Array({ minLength: 1, maxLength: 300 }), fc.integer({ min: 1, max: 40 })), {
      maxLength: 20,
    })
    .map((pieces) => Buffer.concat(pieces.flatMap(([piece, times]) => Array.from({ length: times }, () => piece))))
  const frames = fc.oneof(
    text.map((bytes) => compressFrameSync(bytes)),
    sequences.map((block) => frameOf([blockOf(block)])),
  )
  let taken = 0
  let refused = 0
  fc.assert(
    fc.property(frames, fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 3 }), (frame, flips) => {
      const bytes = Buffer.from(frame)
      // Behind the header: one with another header is not taken at all.
      for (const [at, value] of flips) bytes[7 + (at % (bytes.length - 7))] = value
      const ours = lent(bytes)
      if (ours === null) refused++
      else {
        taken++
        assert.deepEqual(ours, byLibrary(bytes))
      }
    }),
    { numRuns: 6000 },
  )
  assert.ok(taken > 1000 && refused > 1000, `${taken} taken, ${refused} refused`)
})
test('whatever the last bytes of a block are, it ends at its end', () => {
  const whole = blockOf([
    { literals: Buffer.from('abcdefgh'), match: { distance: 8, length: 300 } },
    { literals: Buffer.alloc(300, 'x'), match: null },
  ])
  for (let length = 0; length < whole.length; length++) {
    const frame = frameOf([whole.subarray(0, length)])
    const ours = lent(frame)
    if (ours !== null) assert.deepEqual(ours, byLibrary(frame), `cut to ${length}`)
  }
})
test('a block is no longer than its frame says, and a frame than the bound', () => {
  const block = (bytes: number): Sequence[] => [
    { literals: Buffer.from('a'), match: { distance: 1, length: bytes - 13 } },
    { literals: new Uint8Array(12), match: null },
  ]
  assert.equal(lent(frameOf([blockOf(block(blockBytesMax))]))?.length, blockBytesMax)
  assert.equal(lent(frameOf([blockOf(block(blockBytesMax + 1))])), null)
  const sixteen = Array.from({ length: 16 }, () => blockOf(block(blockBytesMax)))
  assert.equal(lent(frameOf(sixteen))?.length, mebibyte)
  assert.equal(lent(frameOf([...sixteen, blockOf(block(100))])), null)
  // Also where all of it would be stored.
  const stored = Array.from({ length: 16 }, () => Buffer.alloc(blockBytesMax, 's'))
  assert.equal(lent(frameOf(stored, true))?.length, mebibyte)
  assert.equal(lent(frameOf([...stored, Buffer.from('s')], true)), null)
})
test('frames with checksums, sizes or linked blocks, and wrong headers, are the library’s', () => {
  const text = Buffer.from('some text '.repeat(20_000))
  const plain = compressFrameSync(text)
  assert.deepEqual(lent(plain), text)
  for (const options of [{ contentChecksum: true }, { blockChecksums: true }])
    assert.equal(lent(compressFrameSync(text, options)), null)
  for (let at = 0; at < 7; at++)
    for (const bit of [1, 2, 4, 8, 16, 32, 64, 128]) {
      const wrong = Buffer.from(plain)
      wrong[at]! ^= bit
      assert.equal(lent(wrong), null, `byte ${at}, bit ${bit}`)
    }
})
test('who unpacks a batch while another is looked at disturbs nobody', () => {
  const [one, two] = ['one '.repeat(50_000), 'two '.repeat(60_000)].map((text) => Buffer.from(text)) as [Buffer, Buffer]
  withDecompressed('lz4', compressFrameSync(one), mebibyte, (first) => {
    withDecompressed('lz4', compressFrameSync(two), mebibyte, (second) => assert.ok(two.equals(second)))
    assert.ok(one.equals(first))
  })
})
test('memory does not grow with batches, nor for good with one that is large', () => {
  const small = compressFrameSync(Buffer.alloc(100_000, 'abc'))
  const large = compressFrameSync(Buffer.alloc(16 * mebibyte, 'abc'))
  assert.equal(lendLz4(large, 64 * mebibyte), null)
  const lengths = new Set<number>()
  for (let i = 0; i < 20; i++) lengths.add(lendLz4(small, mebibyte)!.buffer.byteLength)
  assert.equal(lengths.size, 1)
  assert.ok([...lengths][0]! <= 8 * mebibyte)
})
