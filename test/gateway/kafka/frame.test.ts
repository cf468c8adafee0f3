import assert from 'node:assert/strict'
import { test } from 'node:test'
import { SeededRandom } from '../../../src/lib/sim/random.ts'
import { FrameReader } from '../../../src/gateway/kafka/frame.ts'
import { BufferPool } from '../../../src/lib/buffer-pool.ts'

function framed(bytes: Buffer): Buffer {
  const length = Buffer.alloc(4)
  length.writeInt32BE(bytes.length)
  return Buffer.concat([length, bytes])
}

/** Gives `stream` to a reader as a socket does: into its room where it has some, else in a buffer that is used again. */
function readAll(stream: Buffer, pieceOf: () => number): { frames: Buffer[]; inRoom: number } {
  const pool = new BufferPool(1 << 24, { wipes: true })
  const reader = new FrameReader(pool)
  reader.trust()
  const shared = Buffer.alloc(64 * 1024)
  const frames: Buffer[] = []
  let inRoom = 0
  for (let at = 0; at < stream.length;) {
    const { room } = reader
    const target = room ?? shared
    const count = Math.min(pieceOf(), target.length, stream.length - at)
    target.set(stream.subarray(at, at + count))
    reader.push(target.subarray(0, count), ({ bytes, lease }) => {
      frames.push(Buffer.from(bytes))
      lease.release()
    })
    shared.fill(0xdb)
    at += count
    if (room !== null) inRoom += count
  }
  assert.ok(!reader.partial)
  return { frames, inRoom }
}

test('frames of any size come out as they went in, however they are cut', () => {
  const seed = Number(process.env['MILLRACE_SEED'] ?? Math.floor(Math.random() * 1e9))
  const random = new SeededRandom(seed)
  for (let run = 0; run < 20; run++) {
    const sent = Array.from({ length: 30 }, () =>
      Buffer.from(random.bytes(random.pick([1, 50, 3000, 20_000, 70_000, 1_000_000]))),
    )
    const pieceMax = random.pick([1500, 70_000, 3_000_000])
    const { frames } = readAll(Buffer.concat(sent.map(framed)), () => random.between(1, pieceMax))
    assert.deepEqual(
      frames.map((frame) => frame.length),
      sent.map((frame) => frame.length),
      `MILLRACE_SEED=${seed}`,
    )
    for (const [i, frame] of frames.entries()) assert.ok(frame.equals(sent[i]!), `MILLRACE_SEED=${seed}`)
  }
})

test('most of a large frame is read right into it, also while its buffer grows', () => {
  const sent = Buffer.alloc(10_000_000, 'abc')
  const { frames, inRoom } = readAll(framed(sent), () => 200_000)
  assert.ok(frames[0]!.equals(sent))
  assert.ok(inRoom > 0.9 * sent.length, `${inRoom} of ${sent.length}`)
})

test('a frame that is dropped gives its room to nobody', () => {
  const pool = new BufferPool(1 << 24)
  const reader = new FrameReader(pool)
  reader.trust()
  reader.push(framed(Buffer.alloc(1_000_000)).subarray(0, 100), () => assert.fail('not whole'))
  assert.ok(reader.room !== null)
  reader.drop()
  assert.equal(reader.room, null)
  assert.equal(pool.idleBytes, 0)
})
