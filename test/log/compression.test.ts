import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { setImmediate as nextTurn } from 'node:timers/promises'
import { constants, gzipSync, zstdCompressSync } from 'node:zlib'
import fc from 'fast-check'
import { compressFrameSync } from 'lz4-napi'
import { compressSync as snappyBlock } from 'snappy'
import { Fault } from '../../src/lib/fault.ts'
import { type Compression, compress, decompress, withDecompressed } from '../../src/log/compression.ts'
import { decodeBatch } from '../../src/log/batch.ts'
import { readBatchHeader } from '../../src/store/batch-header.ts'

const codecs: readonly Compression[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd']
const mebibyte = 1024 * 1024
const faultOf = (call: () => unknown): string => {
  try {
    call()
  } catch (error) {
    assert.ok(error instanceof Fault, String(error))
    return error.code
  }
  return 'none'
}

for (const codec of codecs) {
  test(`${codec}: what is compressed comes back`, () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 5000 }), fc.integer({ min: 1, max: 60 }), (piece, times) => {
        const bytes = Buffer.concat(Array.from({ length: times }, () => piece))
        assert.deepEqual(Buffer.from(decompress(codec, compress(codec, bytes), mebibyte)), bytes)
      }),
      { numRuns: 60 },
    )
  })
  test(`${codec}: a view with an offset into a larger buffer is read at its own bounds`, () => {
    const packed = compress(codec, Buffer.from('seven seas'.repeat(20)))
    const around = Buffer.concat([Buffer.from('junk'), packed, Buffer.from('junk')])
    const view = new Uint8Array(around.buffer, around.byteOffset + 4, packed.length)
    assert.equal(Buffer.from(decompress(codec, view, mebibyte)).toString(), 'seven seas'.repeat(20))
  })
}

const fixture = JSON.parse(readFileSync(new URL('fixtures/compressed-segments.json', import.meta.url), 'utf8')) as {
  records: [string, string][]
  segments: { writer: string; codec: Compression; base64: string }[]
}
for (const { writer, codec, base64 } of fixture.segments) {
  test(`${codec}: batches written by ${writer} are read`, () => {
    const segment = Buffer.from(base64, 'base64')
    const found: [string, string][] = []
    for (let at = 0; at < segment.length;) {
      const { bytes } = readBatchHeader(segment, at)
      for (const { key, value } of decodeBatch(segment.subarray(at, at + bytes)))
        found.push([Buffer.from(key!).toString(), Buffer.from(value!).toString()])
      at += bytes
    }
    assert.deepEqual(found, fixture.records)
  })
}

test('snappy: a raw block is read as well as a stream, and streams joined end to end', () => {
  const text = Buffer.from('raw or framed '.repeat(5000))
  assert.deepEqual(Buffer.from(decompress('snappy', snappyBlock(text), mebibyte)), text)
  const stream = compress('snappy', text)
  assert.deepEqual(
    Buffer.from(decompress('snappy', Buffer.concat([stream, stream]), mebibyte)),
    Buffer.concat([text, text]),
  )
})
test('gzip: members joined end to end are all read', () => {
  const two = Buffer.concat([gzipSync('one '), gzipSync('two')])
  assert.equal(Buffer.from(decompress('gzip', two, 100)).toString(), 'one two')
})
test('zstd: frames joined end to end are all read, skippable ones left out', () => {
  const skippable = Buffer.from([0x53, 0x2a, 0x4d, 0x18, 3, 0, 0, 0, 1, 2, 3])
  const three = Buffer.concat([zstdCompressSync(Buffer.from('one ')), skippable, zstdCompressSync(Buffer.from('two'))])
  assert.equal(Buffer.from(decompress('zstd', three, 100)).toString(), 'one two')
})
test('lz4: a wrong content checksum is corrupt', () => {
  const frame = compressFrameSync(Buffer.alloc(1000, 'x'), { contentChecksum: true, blockChecksums: true })
  assert.equal(decompress('lz4', frame, mebibyte).length, 1000)
  frame[frame.length - 1]! ^= 1
  assert.equal(
    faultOf(() => decompress('lz4', frame, mebibyte)),
    'log.corrupt-batch',
  )
})

for (const codec of codecs.slice(1)) {
  test(`${codec}: exactly the bound passes, one byte more is too large`, () => {
    const packed = compress(codec, Buffer.alloc(300_000, 'abc'))
    assert.equal(decompress(codec, packed, 300_000).length, 300_000)
    assert.equal(
      faultOf(() => decompress(codec, packed, 299_999)),
      'wire.too-large',
    )
  })
  test(`${codec}: a bomb is refused soon and without its size in memory`, () => {
    const bomb = compress(codec, Buffer.alloc(256 * mebibyte))
    const before = process.memoryUsage().rss
    const from = performance.now()
    assert.equal(
      faultOf(() => decompress(codec, bomb, 4 * mebibyte)),
      'wire.too-large',
    )
    assert.ok(performance.now() - from < 1000)
    assert.ok(process.memoryUsage().rss - before < 32 * mebibyte, `${process.memoryUsage().rss - before} bytes`)
  })
  test(`${codec}: any cut, flip or noise is a Fault or other bytes, never more than the bound`, () => {
    const packed = Buffer.from(
      compress(codec, Buffer.from('some text that repeats, some text that repeats '.repeat(50))),
    )
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.nat(packed.length - 1), fc.nat(255)), { maxLength: 4 }),
        fc.nat(packed.length),
        (flips, length) => {
          const bytes = Buffer.from(packed.subarray(0, length))
          for (const [at, value] of flips) if (at < length) bytes[at] = value
          try {
            assert.ok(decompress(codec, bytes, 64 * 1024).length <= 64 * 1024)
          } catch (error) {
            assert.ok(error instanceof Fault, String(error))
          }
        },
      ),
      { numRuns: 3000 },
    )
  })
}

test('declared lengths are not believed', () => {
  // Snappy: 4 GiB declared by 6 bytes. LZ4: a content size of 2^60. Zstd: 2^40 declared, one small block behind it.
  assert.equal(
    faultOf(() => decompress('snappy', Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f, 0]), mebibyte)),
    'log.corrupt-batch',
  )
  const lz4 = Buffer.alloc(19)
  lz4.writeUInt32LE(0x184d2204)
  lz4.set([0x68, 0x40], 4)
  lz4.writeBigUInt64LE(1n << 60n, 6)
  assert.equal(
    faultOf(() => decompress('lz4', lz4, mebibyte)),
    'wire.too-large',
  )
  const zstd = Buffer.concat([Buffer.from([0x28, 0xb5, 0x2f, 0xfd, 0xe0]), Buffer.alloc(8), Buffer.from([1, 0, 0])])
  zstd.writeBigUInt64LE(1n << 40n, 5)
  assert.equal(
    faultOf(() => decompress('zstd', zstd, mebibyte)),
    'log.corrupt-batch',
  )
})

test('crowds of empty blocks and frames are refused or cost nothing', () => {
  const header = compress('snappy', new Uint8Array(0))
  const crowd = Buffer.alloc(5 * 2_000_000)
  for (let at = 0; at < crowd.length; at += 5) crowd[at + 3] = 1
  const zstdFrame = zstdCompressSync(new Uint8Array(0))
  const lz4Blocks = Buffer.alloc(7 + 4 * 2_000_000 + 4)
  compressFrameSync(Buffer.from('x')).copy(lz4Blocks, 0, 0, 7)
  for (let at = 7; at < lz4Blocks.length - 4; at += 4) lz4Blocks[at + 3] = 0x80
  const before = process.memoryUsage().rss
  const from = performance.now()
  assert.equal(
    faultOf(() => decompress('snappy', Buffer.concat([header, crowd]), mebibyte)),
    'log.corrupt-batch',
  )
  const frames = Buffer.concat(Array.from({ length: 50_000 }, () => zstdFrame))
  assert.equal(
    faultOf(() => decompress('zstd', frames, mebibyte)),
    'log.corrupt-batch',
  )
  faultOf(() => decompress('lz4', lz4Blocks, mebibyte))
  assert.ok(performance.now() - from < 3000)
  assert.ok(process.memoryUsage().rss - before < 100 * mebibyte)
})

/** A batch of text that packs to about half, like what clients send. */
const letters = (bytes: number): Buffer =>
  Buffer.from(Array.from({ length: bytes }, (_, i) => 65 + ((Math.imul(i, 2_654_435_761) >>> 13) % 26)))
/** As librdkafka writes: the frame does not say what it becomes. */
const zstdUndeclared = (bytes: Buffer): Buffer =>
  zstdCompressSync(bytes, { params: { [constants.ZSTD_c_contentSizeFlag]: 0 } })

/** A frame of LZ4 with a checksum is always the library's. */
const packers: Partial<Record<Compression, (bytes: Buffer) => Uint8Array>> = {
  zstd: zstdUndeclared,
  lz4: (bytes) => compressFrameSync(bytes, { contentChecksum: true }),
}

for (const codec of codecs.slice(1)) {
  for (const bytes of [16 * 1024, mebibyte])
    test(`${codec}: ${bytes} bytes unpacked for a look are freed behind it, also when the look throws`, async () => {
      const text = letters(bytes)
      const packed = packers[codec]?.(text) ?? compress(codec, text)
      let seen: Uint8Array | null = null
      const equal = withDecompressed(codec, packed, 2 * bytes, (plain) => {
        seen = plain
        return text.equals(plain)
      })
      assert.ok(equal)
      assert.equal(seen!.length, 0)
      assert.throws(
        () =>
          withDecompressed(codec, packed, 2 * bytes, (plain) => {
            seen = plain
            throw new RangeError('seen')
          }),
        RangeError,
      )
      assert.equal(seen!.length, 0)
      const before = process.memoryUsage().arrayBuffers
      // Others in the process take some, too: fifty times as much as was unpacked is more.
      const most = Math.max(4 * bytes, 256 * 1024)
      for (let i = 0; i < 50; i++) {
        withDecompressed(codec, packed, 2 * bytes, (plain) => assert.equal(plain.length, bytes))
        await nextTurn()
        const grown = process.memoryUsage().arrayBuffers - before
        assert.ok(grown < most, `${grown} bytes after ${i + 1} batches`)
      }
    })
  test(`${codec}: what is kept holds no more memory than a quarter beyond it`, () => {
    for (const bytes of [100_000, mebibyte, mebibyte + 1]) {
      const text = letters(bytes)
      const packed = packers[codec]?.(text) ?? compress(codec, text)
      const plain = decompress(codec, packed, 4 * mebibyte)
      assert.ok(text.equals(plain))
      assert.ok(plain.buffer.byteLength <= 1.25 * bytes, `${plain.buffer.byteLength} bytes for ${bytes}`)
    }
  })
}
test('what a small batch, one without bytes, or none at all lies in is never freed', () => {
  for (const codec of codecs) {
    const around = Buffer.alloc(mebibyte, 'x')
    const nothing = around.subarray(500, 500)
    withDecompressed(codec, nothing, mebibyte, (plain) => assert.equal(plain.length, 0))
    assert.equal(decompress(codec, nothing, mebibyte).length, 0)
    const packed = compress(codec, Buffer.from('few'))
    packed.forEach((byte, i) => (around[i] = byte))
    const view = around.subarray(0, packed.length)
    // From the pool that Node cuts small buffers from, as what zlib makes of these may be.
    const neighbour = Buffer.from('neighbour')
    withDecompressed(codec, view, mebibyte, (plain) => assert.equal(Buffer.from(plain).toString(), 'few'))
    assert.equal(around.length, mebibyte)
    assert.equal(neighbour.toString(), 'neighbour')
  }
})
test('gzip: a trailer that lies about the length is corrupt, whatever it says; of several members it is the last', () => {
  const text = letters(300_000)
  for (const said of [0, 1, 299_999, 300_001, 2 ** 31, 2 ** 32 - 1]) {
    const packed = gzipSync(text)
    packed.writeUInt32LE(said, packed.length - 4)
    const before = process.memoryUsage().rss
    assert.equal(
      faultOf(() => decompress('gzip', packed, 64 * mebibyte)),
      'log.corrupt-batch',
    )
    assert.ok(process.memoryUsage().rss - before < 16 * mebibyte)
  }
  for (const members of [
    [text, Buffer.from('end')],
    [Buffer.from('begin'), text],
  ])
    assert.deepEqual(
      Buffer.from(decompress('gzip', Buffer.concat(members.map((member) => gzipSync(member))), mebibyte)),
      Buffer.concat(members),
    )
})
test('zstd: undeclared frames joined end to end are all read, and claim little', () => {
  const text = letters(200_000)
  const joined = Buffer.concat([text, Buffer.from('x'), text].map(zstdUndeclared))
  assert.deepEqual(Buffer.from(decompress('zstd', joined, mebibyte)), Buffer.concat([text, Buffer.from('x'), text]))
  // Each of these may become 128 KiB, by its block headers.
  const frame = zstdUndeclared(Buffer.from('small'))
  const before = process.memoryUsage().arrayBuffers
  const many = Buffer.concat(Array.from({ length: 500 }, () => frame))
  assert.equal(Buffer.from(decompress('zstd', many, 64 * mebibyte)).toString(), 'small'.repeat(500))
  assert.ok(process.memoryUsage().arrayBuffers - before < 64 * mebibyte)
})
