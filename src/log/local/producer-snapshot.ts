/** What a partition knows of producers and transactions, as the bytes of a snapshot. Checksummed by the store. */
import type { Offset } from '../../lib/brand.ts'
import { ByteReader, ByteWriter } from '../../lib/bytes.ts'
import { Fault } from '../../lib/fault.ts'
import { AbortedTransactions } from './aborted.ts'
import { ProducerTable, type StoredBatch } from './producers.ts'

/** Version 1 does not say who has been marked. */
const version = 2

export function encodeProducers(table: ProducerTable, aborted: AbortedTransactions): Uint8Array {
  const out = new ByteWriter(64 + table.producers.size * 64)
  out.int16(version)
  out.int32(table.producers.size)
  for (const [id, producer] of table.producers) {
    out.int64(id)
    out.int16(producer.epoch)
    out.int64(producer.lastSeenMs)
    out.int8(producer.isMarked ? 1 : 0)
    out.int8(producer.batches.length)
    for (const batch of producer.batches) encodeStored(out, batch)
  }
  out.int32(table.openTransactions.size)
  for (const [id, open] of table.openTransactions) {
    out.int64(id)
    out.int16(open.epoch)
    out.int64(open.firstOffset)
  }
  out.int32(aborted.all.length)
  for (const one of aborted.all) {
    out.int64(one.producerId)
    out.int64(one.first)
    out.int64(one.last)
  }
  return out.done()
}
function encodeStored(out: ByteWriter, batch: StoredBatch): void {
  out.int32(batch.firstSequence)
  out.int32(batch.lastSequence)
  out.int64(batch.baseOffset)
  out.int64(batch.lastOffset)
  out.int64(batch.appendTimeMs)
}

/** Null for bytes of another version: the caller rebuilds from the log. */
export function decodeProducers(bytes: Uint8Array): { table: ProducerTable; aborted: AbortedTransactions } | null {
  const table = new ProducerTable()
  const aborted = new AbortedTransactions()
  const input = new ByteReader(bytes)
  try {
    const found = input.int16()
    if (found < 1 || found > version) return null
    for (let left = input.int32(); left > 0; left--) {
      const id = input.int64()
      const epoch = input.int16()
      const lastSeenMs = input.int64()
      const isMarked = found > 1 && input.int8() !== 0
      const batches: StoredBatch[] = []
      for (let more = input.int8(); more > 0; more--) batches.push(decodeStored(input))
      table.producers.set(id, { epoch, batches, lastSeenMs, isMarked })
    }
    for (let left = input.int32(); left > 0; left--) {
      const id = input.int64()
      const epoch = input.int16()
      table.openTransactions.set(id, { epoch, firstOffset: input.int64() as Offset })
    }
    for (let left = input.int32(); left > 0; left--) {
      const producerId = input.int64()
      const first = input.int64() as Offset
      aborted.add({ producerId, first, last: input.int64() as Offset })
    }
    return { table, aborted }
  } catch (error) {
    if (error instanceof Fault) return null
    throw error
  }
}
function decodeStored(input: ByteReader): StoredBatch {
  return {
    firstSequence: input.int32(),
    lastSequence: input.int32(),
    baseOffset: input.int64() as Offset,
    lastOffset: input.int64() as Offset,
    appendTimeMs: input.int64(),
  }
}
