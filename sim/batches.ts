/** Record batches for workloads: small, of any size, with times that do not only grow. */
import { encodeBatch, type RecordInput } from '../src/log/batch.ts'
import type { SeededRandom } from '../src/lib/sim/random.ts'

export function anyBatch(random: SeededRandom, nowMs: number): Buffer {
  const count = random.between(1, 5)
  const records: RecordInput[] = []
  for (let i = 0; i < count; i++)
    records.push({
      key: random.chance(0.3) ? null : random.bytes(4),
      value: random.bytes(random.pick([0, 10, 100, random.chance(0.05) ? 9000 : 50])),
      timeMs: nowMs - random.between(0, 1000),
    })
  return Buffer.from(encodeBatch(records))
}

/** Stored bytes are what was appended, up to nothing: the store has written offset and epoch into what it was given. */
export const sameBatch = (appended: Uint8Array, stored: Uint8Array): boolean => Buffer.compare(appended, stored) === 0
