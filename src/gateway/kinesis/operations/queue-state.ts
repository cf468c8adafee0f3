/** Queues that were made by Kinesis: which streams each shares out, and how. What became of records is the log's (`log/queues`). */
import type { Broker } from '../../../log/broker.ts'
import type { Streams } from '../streams.ts'

/** Where in a stream it began. */
export interface QueueStart {
  readonly type: string
  readonly ms?: number
}
export interface KeptQueue {
  readonly name: string
  readonly createdMs: number
  readonly streams: readonly { readonly name: string; readonly topicId: string; readonly start?: QueueStart }[]
  readonly visibilitySeconds: number
  /** A record that was received `receivesMax` times is a dead letter; else it is received until it is acknowledged. */
  readonly deadLetters: boolean
  readonly receivesMax: number
  readonly tags: Readonly<Record<string, string>>
  readonly policy?: string | null
}
const prefix = 'queue/'

export function queueOf(streams: Streams, name: string): KeptQueue | null {
  return streams.kept.get(prefix + name) as KeptQueue | null
}
export function queuesOf(streams: Streams): KeptQueue[] {
  const found = [...streams.kept.entries()]
    .filter(([key]) => key.startsWith(prefix))
    .map(([, value]) => value as KeptQueue)
  return found.toSorted((a, b) => (a.name < b.name ? -1 : 1))
}
export const setQueue = (streams: Streams, queue: KeptQueue): Promise<void> =>
  streams.kept.set([[prefix + queue.name, queue]])
export const dropQueue = (streams: Streams, name: string): Promise<void> => streams.kept.set([[prefix + name, null]])

/** Of the log's queues. Names of queues have no colon: the dead letters of one are never another one. */
export const groupOf = ({ name }: Pick<KeptQueue, 'name'>): string => `kinesis.${name}`
export const deadGroupOf = ({ name }: Pick<KeptQueue, 'name'>): string => `kinesis.${name}:dead`
export const deadTopicOf = ({ name }: Pick<KeptQueue, 'name'>): string => `dlq.kinesis.${name}`

/** As many as are counted. */
const receivesUnlimited = 32_767
export const lockMsOf = (seconds: number): number => Math.max(1, seconds * 1_000)

/** Tells the log's queues how this one is, for as long as the process lives. */
export function applyQueue({ queues }: Broker, queue: KeptQueue): void {
  const all = {
    lockMs: lockMsOf(queue.visibilitySeconds),
    // Of shards that come later everything.
    reset: 'earliest',
    committedOnly: true,
    mayRenew: true,
    keepsLocks: true,
    keepsFirst: true,
  } as const
  queues.configure(groupOf(queue), {
    ...queues.settings(groupOf(queue)),
    ...all,
    deliveriesMax: queue.deadLetters ? queue.receivesMax : receivesUnlimited,
    deadLetter: queue.deadLetters ? { topic: deadTopicOf(queue), copiesRecord: true } : null,
  })
  queues.configure(deadGroupOf(queue), {
    ...queues.settings(deadGroupOf(queue)),
    ...all,
    deliveriesMax: receivesUnlimited,
    deadLetter: null,
  })
}
