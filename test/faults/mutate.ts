/** Frames made wrong: bits, numbers at the edges, lost and doubled pieces, lying lengths, other versions, two frames in one. */
type Random = () => number
const below = (random: Random, end: number): number => Math.floor(random() * end)

const edges = [0, 1, -1, 2, 0x7f, 0x80, 0xff, 0x7fff, -0x8000, 0xffff, 0x10000, 0x7fffffff, -0x80000000, 1 << 24]
const hugeVarint = Buffer.from([0xff, 0xff, 0xff, 0xff, 0x0f])

type Mutation = (frame: Buffer, random: Random, other: Buffer) => Buffer
const splice = (frame: Buffer, at: number, drop: number, put: Buffer): Buffer =>
  Buffer.concat([frame.subarray(0, at), put, frame.subarray(Math.min(frame.length, at + drop))])
/** Length, API key, version, correlation: a change there is refused at once, so it is made seldom. */
const headBytes = 12
/** A place to change: one in ten may lie in the head. */
function inBody(frame: Buffer, random: Random): number {
  const from = random() < 0.1 ? 4 : Math.min(headBytes, frame.length - 1)
  return from + below(random, Math.max(1, frame.length - from))
}

/** Values change, the structure mostly stays: these reach furthest. */
const gentle: readonly Mutation[] = [
  function flipBit(frame, random) {
    const changed = Buffer.from(frame)
    const at = inBody(frame, random)
    if (at < changed.length) changed[at]! ^= 1 << below(random, 8)
    return changed
  },
  function edgeByte(frame, random) {
    const changed = Buffer.from(frame)
    const at = inBody(frame, random)
    if (at < changed.length) changed[at] = edges[below(random, edges.length)]! & 0xff
    return changed
  },
  function edgeNumber(frame, random) {
    const bytes = [2, 4, 8][below(random, 3)]!
    if (frame.length < 4 + bytes) return frame
    const changed = Buffer.from(frame)
    const at = Math.min(inBody(frame, random), frame.length - bytes)
    const edge = edges[below(random, edges.length)]!
    if (bytes === 2) changed.writeInt16BE((edge << 16) >> 16, at)
    else if (bytes === 4) changed.writeInt32BE(edge | 0, at)
    else changed.writeBigInt64BE(BigInt(edge) << BigInt(below(random, 33)), at)
    return changed
  },
]
const rough: readonly Mutation[] = [
  (frame, random) => splice(frame, inBody(frame, random), 1 + below(random, 16), Buffer.alloc(0)),
  (frame, random) => {
    const at = inBody(frame, random)
    return splice(frame, at, 0, frame.subarray(at, at + 1 + below(random, 64)))
  },
  (frame, random) =>
    splice(
      frame,
      inBody(frame, random),
      0,
      Buffer.from(Array.from({ length: 1 + below(random, 16) }, () => below(random, 256))),
    ),
  (frame, random) => frame.subarray(0, inBody(frame, random)),
  (frame, random) => splice(frame, inBody(frame, random), hugeVarint.length, hugeVarint),
  function otherVersion(frame, random) {
    if (frame.length < 8) return frame
    const changed = Buffer.from(frame)
    changed.writeInt16BE(random() < 0.5 ? below(random, 20) : edges[below(random, 8)]!, 6)
    return changed
  },
  function otherApi(frame, random) {
    if (frame.length < 8) return frame
    const changed = Buffer.from(frame)
    changed.writeInt16BE(below(random, 100), 4)
    return changed
  },
  (frame, random, other) =>
    Buffer.concat([frame.subarray(0, inBody(frame, random)), other.subarray(inBody(other, random))]),
]

/** One to three changes, two of three gentle; nine in ten get a right length again, the others lie. */
export function mutate(frame: Buffer, other: Buffer, random: Random): Buffer {
  let changed = frame
  for (let left = random() < 0.7 ? 1 : 2 + below(random, 2); left > 0; left--) {
    const mutations = random() < 2 / 3 ? gentle : rough
    changed = mutations[below(random, mutations.length)]!(changed, random, other)
  }
  changed = Buffer.from(changed)
  if (changed.length < 4) return Buffer.concat([changed, Buffer.alloc(4 - changed.length)])
  if (random() < 0.9) changed.writeInt32BE(changed.length - 4, 0)
  else if (random() < 0.5) changed.writeInt32BE(edges[below(random, edges.length)]! | 0, 0)
  return changed
}
