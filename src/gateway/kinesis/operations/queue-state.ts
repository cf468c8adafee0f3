/** Queues that were made by Kinesis: which streams each shares out, and how. What became of records is the log's (`log/queues`). */
import type { Streams } from '../streams.ts'

export interface KeptQueue {
  readonly name: string
  readonly createdMs: number
  readonly streams: readonly { readonly name: string; readonly topicId: string }[]
  readonly visibilitySeconds: number
  /** Receives after which a record is a dead letter; null: it is given up then, and not kept. */
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

/** Of the log's queues. */
export const groupOf = ({ name }: Pick<KeptQueue, 'name'>): string => `kinesis.${name}`
export const deadGroupOf = ({ name }: Pick<KeptQueue, 'name'>): string => `kinesis.${name}.dead`
export const deadTopicOf = ({ name }: Pick<KeptQueue, 'name'>): string => `dlq.kinesis.${name}`
