/**
 * Who reads a partition in a consumer group (owner levels). A receiver with an epoch is the only one: a newer one with the
 * same epoch or a higher one takes its place, one with a lower epoch or none is refused. Without epochs there may be a few.
 * An epoch is remembered, over a restart too, until its receiver is closed, or for a while when it was lost.
 */
import { limits } from '../../lib/limits.ts'
import type { Clock } from '../../lib/world.ts'
import type { KeptMap } from '../../log/kept-map.ts'
import { type Refusal, Refused, condition } from './conditions.ts'

export interface Receiver {
  /** null: it asked for none. */
  readonly epoch: number | null
  /** As it calls itself. */
  readonly receiver: string
  /** What is before it has been sent. */
  readonly position: number
  /** It has given credit. */
  readonly wantsMore: boolean
  /** Another one has taken its place. */
  stolen(refusal: Refusal): void
}
/** A receiver, and what it reads. */
export interface Placed {
  readonly topicId: string
  readonly group: string
  readonly index: number
  readonly receiver: Receiver
}
interface Readers {
  /** Those without an epoch, or the one with. */
  readonly receivers: Set<Receiver>
}
interface KeptEpoch {
  readonly epoch: number
  /** Its receiver was lost then, by the wall clock; absent: it is there, or was when the process ended. */
  readonly lostMs?: number
}
/** So long after its receiver was lost does an epoch stand. */
const lostMs = 30_000

export class Epochs {
  readonly #kept: KeptMap
  readonly #clock: Clock
  readonly #byPlace = new Map<string, Readers>()
  readonly #startedMs: number

  constructor(kept: KeptMap, clock: Clock) {
    this.#kept = kept
    this.#clock = clock
    this.#startedMs = clock.now()
  }
  /** Of one hub, or of all; not more than a list shows. */
  receivers(topicId: string | null): readonly Placed[] {
    const found: Placed[] = []
    for (const [place, { receivers }] of this.#byPlace) {
      const [, ofTopic = '', group = '', index = ''] = /^([^/]*)\/(.*)\/(\d+)$/.exec(place) ?? []
      if (topicId !== null && ofTopic !== topicId) continue
      for (const receiver of receivers) {
        if (found.length === limits.shownReaders) return found
        found.push({ topicId: ofTopic, group, index: Number(index), receiver })
      }
    }
    return found
  }
  /** Resolves when the epoch is durable; the receivers it takes the place of have been told. Throws Refused. */
  join(place: string, receiver: Receiver): Promise<void> {
    return this.#kept.turn(keyOf(place), () => this.#join(place, receiver))
  }
  async #join(place: string, receiver: Receiver): Promise<void> {
    const readers = this.#byPlace.get(place)?.receivers ?? new Set<Receiver>()
    const { epoch, receiver: name } = receiver
    const owner = [...readers].find((one) => one.epoch !== null)
    const standing = owner?.epoch ?? this.#remembered(place)
    if (standing !== null && (epoch === null || epoch < standing))
      throw refused(receiver, standing, owner?.receiver ?? '')
    if (epoch === null) {
      if (readers.size >= limits.amqpReceivers)
        throw new Refused(
          condition.resourceLimit,
          `Exceeded the maximum number of allowed receivers per partition in a consumer group which is ${limits.amqpReceivers}.`,
        )
      readers.add(receiver)
    } else {
      if (epoch !== standing || owner === undefined) await this.#keep(place, { epoch })
      for (const one of [...readers]) {
        readers.delete(one)
        one.stolen({
          condition: condition.stolen,
          description: `New receiver '${name}' with higher epoch of '${epoch}' is created hence current receiver '${one.receiver}' with epoch '${one.epoch ?? ''}' is getting disconnected. If you are recreating the receiver, make sure a higher epoch is used.`,
        })
      }
      readers.add(receiver)
    }
    this.#byPlace.set(place, { receivers: readers })
  }
  /** `isClosed`: by its client; else the connection was lost. */
  async leave(place: string, receiver: Receiver, isClosed: boolean): Promise<void> {
    const readers = this.#byPlace.get(place)?.receivers
    if (readers === undefined || !readers.delete(receiver)) return
    if (readers.size === 0) this.#byPlace.delete(place)
    const { epoch } = receiver
    if (epoch === null) return
    await this.#kept.turn(keyOf(place), async () => {
      // Somebody has come meanwhile.
      if (this.#byPlace.has(place)) return
      await this.#keep(place, isClosed ? null : { epoch, lostMs: this.#clock.now() })
    })
  }
  #remembered(place: string): number | null {
    const bytes = this.#kept.get(keyOf(place))
    if (bytes === null) return null
    const { epoch, lostMs: since = this.#startedMs } = JSON.parse(Buffer.from(bytes).toString()) as KeptEpoch
    return this.#clock.now() - since < lostMs ? epoch : null
  }
  #keep(place: string, kept: KeptEpoch | null): Promise<void> {
    const value = kept === null ? null : Buffer.from(JSON.stringify(kept))
    return this.#kept.change([{ key: keyOf(place), value }])
  }
}
export const placeOf = (topicId: string, group: string, partition: number): string => `${topicId}/${group}/${partition}`
const keyOf = (place: string): string => `epoch/${place}`
const refused = ({ receiver: name, epoch }: Receiver, standing: number, owner: string): Refused =>
  new Refused(
    condition.stolen,
    `Receiver '${owner}' with a higher epoch of '${standing}' already exists. Receiver '${name}' with epoch ${epoch ?? "''"} cannot be created. Make sure you are creating receiver with increasing epoch value to ensure connectivity, or ensure all old epoch receivers are closed or disconnected.`,
  )
