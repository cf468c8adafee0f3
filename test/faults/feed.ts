/** Known records, sent to one partition by an idempotent producer that comes back after every loss. */
import { encodeBatch } from '../../src/log/batch.ts'
import { ownBatch } from '../../src/store/batch-header.ts'
import { ConnectionLost, initProducer, kafkaError, produce, Wire } from './wire.ts'

export interface FedRecord {
  readonly key: Buffer | null
  readonly value: Buffer
  readonly timeMs: number
}

/** One batch at a time, again until it is acknowledged. */
export async function feed(
  addressNow: () => string,
  to: { readonly topic: string; readonly partition: number },
  records: readonly FedRecord[],
  { batchRecords, pause }: { readonly batchRecords: number; readonly pause: () => Promise<void> },
): Promise<void> {
  let owner: { producerId: number; epoch: number } | null = null
  let wire: Wire | null = null
  for (let at = 0; at < records.length;) {
    try {
      wire ??= await Wire.open(addressNow())
      owner ??= await ownerFrom(wire)
      const part = records.slice(at, at + batchRecords)
      const batch = Buffer.from(encodeBatch(part))
      ownBatch(batch, {
        producerId: owner.producerId,
        producerEpoch: owner.epoch,
        baseSequence: at,
        transactional: false,
      })
      const { error } = await produce(wire, to, batch, -1)
      if (error === kafkaError.none || error === kafkaError.duplicateSequence) at += part.length
      else if (error === kafkaError.outOfOrderSequence)
        throw new Error(`${to.topic}-${to.partition}: the sequence was lost at ${at}`)
    } catch (error) {
      if (!(error instanceof ConnectionLost)) throw error
      wire = null
    }
    await pause()
  }
  wire?.close()
}

async function ownerFrom(wire: Wire): Promise<{ producerId: number; epoch: number }> {
  const { error, producerId, epoch } = await initProducer(wire)
  if (error !== kafkaError.none) throw new ConnectionLost(`no producer id: error ${error}`)
  return { producerId, epoch }
}
