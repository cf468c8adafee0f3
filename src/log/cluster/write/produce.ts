/** A produce request and its answers: one batch per partition, which is all that Kafka takes. */
import { ownBatch, placeBatch } from '../../../store/batch-header.ts'
import { produceApi } from '../../../wire/kafka/messages/00-produce.ts'
import type { Batch, Partition } from '../../log.ts'
import { code } from '../errors.ts'
import type { Broker, Purpose } from '../net/broker.ts'
import { byTopic } from '../net/leaders.ts'

const timeoutMs = 30_000

export interface Sent {
  readonly partition: Partition
  readonly batch: Batch
}
export interface Produced {
  readonly error: number
  readonly message: string | null
  readonly offset: number
  /** −1 where the record's own time stands. */
  readonly timeMs: number
}
const unanswered: Produced = { error: code.unknownServerError, message: 'no answer', offset: -1, timeMs: -1 }

/** In the order of `items`. Throws Disconnected: then nobody knows. */
export async function askProduce(
  broker: Broker,
  purpose: Purpose,
  of: { readonly transactionalId: string | null; readonly acks: -1 | 1; readonly items: readonly Sent[] },
): Promise<readonly Produced[]> {
  const { responses } = await broker.ask(purpose, produceApi, {
    transactionalId: of.transactionalId,
    acks: of.acks,
    timeoutMs,
    topicData: byTopic(of.items).map(({ topic, items }) => ({
      topicId: '00000000-0000-0000-0000-000000000000',
      name: topic,
      partitionData: items.map(({ partition, batch }) => ({ index: partition.index, records: [batch] })),
    })),
  })
  const answers = new Map(
    responses.flatMap(({ name, partitionResponses }) =>
      partitionResponses.map((one) => [`${name}/${one.index}`, one] as const),
    ),
  )
  return of.items.map(({ partition: { topic, index } }) => {
    const answer = answers.get(`${topic}/${index}`)
    if (answer === undefined) return unanswered
    const { errorCode, errorMessage, recordErrors, baseOffset, logAppendTimeMs } = answer
    const message = recordErrors[0]?.batchIndexErrorMessage ?? errorMessage
    return { error: errorCode, message, offset: baseOffset, timeMs: logAppendTimeMs }
  })
}

export interface Identity {
  readonly producerId: number
  readonly epoch: number
}
/**
 * The batch as a producer sends it: base offset 0, no leader epoch, and the producer's place in its sequence. Changed in
 * place; the records stay untouched.
 */
export function stampFor(batch: Batch, identity: Identity, baseSequence: number, transactional: boolean): void {
  placeBatch(batch, 0, -1)
  ownBatch(batch, { producerId: identity.producerId, producerEpoch: identity.epoch, baseSequence, transactional })
}
/** Sequences are 31 bits and begin again at 0. */
export const sequenceAfter = (sequence: number, records: number): number => (sequence + records) % 2 ** 31
