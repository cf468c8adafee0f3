/** A source at work: its pieces become records, and what is to be remembered with them lies in the same tick. */
import { Fault } from '../lib/fault.ts'
import type { Claim, TopicInfo } from '../log/log.ts'
import type { Target } from '../log/placing.ts'
import { recordBytes } from '../log/producer.ts'
import type { Arriving, Piece, Source } from './kind.ts'
import { positionsEntry } from './positions.ts'
import type { RunHost } from './run.ts'

export interface Carried {
  readonly records: number
  readonly bytes: number
  readonly refused: number
}

export class SourceTask {
  readonly #host: RunHost
  readonly #claim: Claim
  readonly #carried: (carried: Carried) => void

  constructor(host: RunHost, claim: Claim, carried: (carried: Carried) => void) {
    this.#host = host
    this.#claim = claim
    this.#carried = carried
  }
  /** Ends by throwing, or when the signal aborts. */
  async run(source: Source, signal: AbortSignal): Promise<void> {
    const pieces = source.pieces(signal)[Symbol.asyncIterator]()
    // The next piece comes in while the last is written.
    const ask = (): Promise<IteratorResult<Piece>> => {
      const next = pieces.next()
      next.catch(() => {})
      return next
    }
    let next = ask()
    try {
      while (!signal.aborted) {
        const { done, value } = await next
        if (done === true) throw new Fault('internal', { what: 'a source came to its end' })
        next = ask()
        await this.#write(value)
        await value.settled?.()
      }
    } finally {
      await source.close()
      await next.catch(() => {})
    }
  }

  async #write({ records, positions }: Piece): Promise<void> {
    const { commits, placing, deadLetters, world, id } = this.#host
    const targets: Target[] = []
    const refused: Target[] = []
    const topics = new Map<string, TopicInfo>()
    let bytes = 0
    for (const arriving of records) {
      if (arriving.fault !== undefined) {
        refused.push(await deadLetters.target(arriving.record, arriving.topic, arriving.fault))
        continue
      }
      let topic = topics.get(arriving.topic)
      if (topic === undefined) topics.set(arriving.topic, (topic = await this.#topic(arriving.topic, records)))
      const target = { topic, partition: arriving.partition, record: arriving.record }
      const fault = this.#host.refuses(topic.name, arriving.record) ?? placing.refuses(target)
      if (fault === null) {
        targets.push(target)
        bytes += recordBytes(arriving.record)
      } else refused.push(await deadLetters.target(arriving.record, topic.name, fault))
    }
    const changes = positions.length === 0 ? null : positionsEntry(id, positions, world.clock.now())
    await commits.run(async (append) => {
      if (targets.length > 0) await placing.stage(targets, append)
      if (refused.length > 0) await placing.stage(refused, append)
      if (changes !== null) await append([changes])
      return { parts: [{ claim: this.#claim, positions: [] }], result: null }
    })
    this.#carried({ records: targets.length, bytes, refused: refused.length })
  }
  /** Somebody may have deleted it meanwhile: it is made anew, as the source has made it. */
  async #topic(name: string, records: readonly Arriving[]): Promise<TopicInfo> {
    const { log, ensureTopic } = this.#host
    const known = await log.topics.get(name)
    if (known !== null) return known
    const last = records.reduce(
      (max, { topic, partition }) => (topic === name ? Math.max(max, partition ?? 0) : max),
      0,
    )
    await ensureTopic(name, last + 1, false)
    const made = await log.topics.get(name)
    if (made === null) throw new Fault('log.unknown-topic', { topic: name })
    return made
  }
}
