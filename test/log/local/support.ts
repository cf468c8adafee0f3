import assert from 'node:assert/strict'
import type { Offset } from '../../../src/lib/brand.ts'
import { memoryDisk } from '../../../src/lib/real/memory-disk.ts'
import { realWorld } from '../../../src/lib/real/world.ts'
import type { World } from '../../../src/lib/world.ts'
import { ownBatch, readBatchHeader, sealBatch, writeBatchHeader } from '../../../src/store/batch-header.ts'
import { decodeBatch, encodeBatch } from '../../../src/log/batch.ts'
import type { ProduceAnswer } from '../../../src/log/broker.ts'
import { type LocalLogOptions, openLocalLog } from '../../../src/log/local/open.ts'
import type { LocalLog } from '../../../src/log/local/local-log.ts'
import type { Partition } from '../../../src/log/log.ts'

export const off = (n: number): Offset => n as Offset
export const at = (topic: string, index = 0): Partition => ({ topic, index })
export const memoryWorld = (): World => ({ ...realWorld(), disk: memoryDisk() })

export async function memoryLog(options: Partial<LocalLogOptions> = {}): Promise<LocalLog> {
  return openLocalLog({ world: memoryWorld(), dir: '/data', initialRebalanceDelayMs: 5, ...options })
}
export async function withTopic(
  log: LocalLog,
  name = 't',
  config: Record<string, string> = {},
  partitions = 1,
): Promise<Partition> {
  const [fault] = await log.topics.create([{ name, partitions, config }])
  if (fault != null) throw fault
  return at(name)
}
export interface BatchFields {
  readonly producerId?: number
  readonly epoch?: number
  readonly sequence?: number
  readonly transactional?: boolean
  readonly timeMs?: number
  readonly keys?: boolean
}
export function batch(values: readonly string[], fields: BatchFields = {}): Uint8Array {
  const timeMs = fields.timeMs ?? Date.now()
  const key = fields.keys === false ? null : Buffer.from('k')
  const bytes = encodeBatch(values.map((value) => ({ key, value: Buffer.from(value), timeMs })))
  if (fields.producerId !== undefined)
    ownBatch(bytes, {
      producerId: fields.producerId,
      producerEpoch: fields.epoch ?? 0,
      baseSequence: fields.sequence ?? 0,
      transactional: fields.transactional ?? false,
    })
  return bytes
}
/** The batch with some header fields changed and its checksum made right again. */
export function withHeader(bytes: Uint8Array, change: Partial<ReturnType<typeof readBatchHeader>>): Uint8Array {
  const copy = Buffer.from(bytes)
  writeBatchHeader(copy, { ...readBatchHeader(copy), ...change })
  sealBatch(copy)
  return copy
}
export async function produceOne(
  log: LocalLog,
  partition: Partition,
  records: Uint8Array,
  acks: 'all' | 'leader' | 'none' = 'all',
): Promise<ProduceAnswer> {
  const [answer] = await log.produce({ acks, transactionalId: null, entries: [{ partition, records }] })
  return answer!
}
/** 'ok' with the base offset, or the code of the fault. */
export const said = (answer: ProduceAnswer): number | string =>
  'fault' in answer ? answer.fault.code : answer.baseOffset
/** The values of everything before the stable end as it is now. */
export async function textsBeforeStable(log: LocalLog, partition: Partition): Promise<string[]> {
  const [bounds] = await log.bounds([partition])
  const found: string[] = []
  for (let offset = bounds!.start; offset < bounds!.stable;) {
    const [chunk] = await log.reader().read([{ partition, offset }])
    assert.ok(chunk !== undefined && 'batches' in chunk)
    for (const one of chunk.batches) found.push(...decodeBatch(one).map(({ value }) => Buffer.from(value!).toString()))
    offset = chunk.next
  }
  return found
}
