/** What may be wrong with registered consumers. Who reads with GetRecords keeps its place itself: nothing is known of it here. */
import { limits } from '../../lib/limits.ts'
import type { Diagnosis } from '../../query/engine.ts'
import type { Service } from './call.ts'

export interface ConsumerFacts {
  readonly stream: string
  readonly consumer: string
  /** Shards that it is subscribed to now. */
  readonly shards: number
}

export function consumerFacts({ streams, subscriptions }: Pick<Service, 'streams' | 'subscriptions'>): ConsumerFacts[] {
  const all = streams.names().flatMap((stream) => {
    const { consumers, topicId } = streams.get(stream)
    return Object.keys(consumers).map((consumer) => ({ stream, consumer, topicId }))
  })
  return all
    .slice(0, limits.shownReaders)
    .map(({ stream, consumer, topicId }) => ({ stream, consumer, shards: subscriptions.open(topicId, consumer) }))
}

export const diagnose = (facts: readonly ConsumerFacts[]): Diagnosis[] =>
  facts
    .filter(({ shards }) => shards === 0)
    .map(({ stream, consumer }) => ({
      code: 'nobody-subscribed',
      sure: 'likely',
      node: null,
      says: `The consumer ${consumer} of the stream ${stream} is registered, and nobody is subscribed with it.`,
      evidence: ['where it stands its client alone knows, as with all readers of Kinesis'],
      remedy: 'Start what reads with it (SubscribeToShard). If nobody needs it any more, deregister it.',
    }))
