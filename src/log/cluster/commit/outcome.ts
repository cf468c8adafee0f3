/** What became of a transaction that somebody else may have ended: its marker in a partition that it wrote to says so. */
import { offset as asOffset } from '../../../lib/brand.ts'
import { attribute, readBatchHeader } from '../../../store/batch-header.ts'
import { outcomeOf as markerOutcome } from '../../local/control-batch.ts'
import type { At } from '../../log.ts'
import { code, faultOf, isPassing } from '../errors.ts'
import type { Metadata } from '../net/metadata.ts'
import { type Network, disconnection } from '../net/network.ts'
import { askFetch } from '../read/fetch.ts'
import { wholeBatches } from '../read/records.ts'

const wishes = { committedOnly: false, waitMs: 500, bytesMin: 1, bytesMax: 1024 * 1024 } as const

/** `first`: where its first batch lies. Waits until the marker is there. Throws Fault log.closed, log.unknown-topic. */
export async function outcomeOf(
  { network, metadata }: { readonly network: Network; readonly metadata: Metadata },
  producerId: number,
  first: At,
): Promise<'committed' | 'aborted'> {
  const { partition } = first
  const patience = network.patience(Infinity)
  for (let at: number = first.offset; ;) {
    try {
      const route = await metadata.route(partition)
      if (route !== null) {
        const lane = await route.broker.lane()
        try {
          const [fetched] = await askFetch(lane, [{ partition, offset: asOffset(at), epoch: route.epoch }], wishes)
          if (fetched !== undefined && fetched.error !== code.none && !isPassing(fetched.error))
            throw faultOf(fetched.error, { what: 'looking for the end of a transaction', topic: partition.topic })
          const before = at
          for (const batch of wholeBatches(fetched?.records ?? new Uint8Array(0))) {
            const header = readBatchHeader(batch)
            at = Math.max(at, header.baseOffset + header.lastOffsetDelta + 1)
            if (header.producerId !== producerId || (header.attributes & attribute.control) === 0) continue
            if (header.baseOffset <= first.offset) continue
            const says = markerOutcome(batch)
            if (says !== null) return says === 'commit' ? 'committed' : 'aborted'
          }
          if (at > before) continue
        } finally {
          lane.release()
        }
      }
    } catch (error) {
      disconnection(error)
    }
    await patience.wait()
    await metadata.refresh([partition.topic])
  }
}
