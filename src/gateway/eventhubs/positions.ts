/**
 * Consumer groups of Event Hubs among all others: what a processor keeps in a blob as its checkpoint is, besides, the position
 * of the group `eventhubs.GROUP`. So groups are in every list, with how far they are behind; and one that is removed there
 * begins anew.
 */
import { asFault } from '../../lib/fault.ts'
import type { Blobs, Metadata } from './blobs.ts'
import { Refused } from './conditions.ts'
import type { Hubs } from './hubs.ts'

const prefix = 'eventhubs.'
interface Place {
  readonly hub: string
  /** As it is called in lists. */
  readonly group: string
  readonly kind: 'checkpoint' | 'ownership'
  readonly partition: number
}
/** Of `NAMESPACE/HUB/GROUP/checkpoint/N`; null: the blob is another one. */
function placeOf(name: string): Place | null {
  const [, hub, group, kind, partition, ...more] = name.split('/')
  if (hub === undefined || group === undefined || partition === undefined || more.length > 0) return null
  if ((kind !== 'checkpoint' && kind !== 'ownership') || !/^\d{1,9}$/.test(partition)) return null
  const shown = group === '$default' ? '$Default' : group
  return { hub, group: `${prefix}${shown}`, kind, partition: Number(partition) }
}

export class Positions {
  readonly #hubs: Hubs
  readonly #blobs: Blobs

  constructor(hubs: Hubs, blobs: Blobs) {
    this.#hubs = hubs
    this.#blobs = blobs
    hubs.parts.log.coordinator.removed.add(this.#removed)
  }
  close(): void {
    this.#hubs.parts.log.coordinator.removed.delete(this.#removed)
  }
  /** The checkpoint counts, and is kept by now: that this fails is no reason to refuse it. */
  note(name: string, metadata: Metadata): void {
    const place = placeOf(name)
    // Names of metadata have no case; clients write either.
    const [, text = ''] = Object.entries(metadata).find(([key]) => key.toLowerCase() === 'sequencenumber') ?? []
    if (place?.kind !== 'checkpoint' || !/^\d{1,15}$/.test(text)) return
    this.#commit(place, Number(text) + 1).catch((error: unknown) => this.#complain(error))
  }
  async #commit({ hub, group, partition: index }: Place, offset: number): Promise<void> {
    let topic: string
    try {
      topic = this.#hubs.topic(hub).name
    } catch (error) {
      if (error instanceof Refused) return
      throw error
    }
    const position = { partition: { topic, index }, offset, leaderEpoch: -1, metadata: null }
    const [fault] = await this.#hubs.parts.log.coordinator.commit({
      ...{ group, generation: -1, memberId: '', instanceId: null },
      offsets: [position],
    })
    if (fault != null && fault.code !== 'log.unknown-topic' && fault.code !== 'log.unknown-partition') throw fault
  }
  #removed = (group: string): void => {
    if (!group.startsWith(prefix)) return
    this.#blobs.removeWhere((name) => placeOf(name)?.group === group).catch((error: unknown) => this.#complain(error))
  }
  #complain(error: unknown): void {
    const fault = asFault(error)
    if (fault.code === 'log.closed') return
    this.#hubs.parts.logger.warn('eventhubs: the position of a group was not noted', { error: fault })
  }
}
