/** MurmurHash2 as Kafka's Java client hashes keys, so that our writers choose the partitions it would. */
export function murmur2(bytes: Uint8Array, from = 0, to = bytes.length): number {
  const m = 0x5bd1e995
  const length = to - from
  const tail = from + (length & ~3)
  let h = 0x9747b28c ^ length
  for (let at = from; at < tail; at += 4) {
    let k = bytes[at]! | (bytes[at + 1]! << 8) | (bytes[at + 2]! << 16) | (bytes[at + 3]! << 24)
    k = Math.imul(k, m)
    k ^= k >>> 24
    h = Math.imul(h, m) ^ Math.imul(k, m)
  }
  const left = length & 3
  if (left === 3) h ^= bytes[tail + 2]! << 16
  if (left >= 2) h ^= bytes[tail + 1]! << 8
  if (left >= 1) h = Math.imul(h ^ bytes[tail]!, m)
  h ^= h >>> 13
  h = Math.imul(h, m)
  return h ^ (h >>> 15)
}

export const keyPartition = (key: Uint8Array, partitions: number, from = 0, to = key.length): number =>
  (murmur2(key, from, to) & 0x7fffffff) % partitions
