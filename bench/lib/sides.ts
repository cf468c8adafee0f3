/** The two brokers of a comparison: started alike, asked alike, measured from outside. */
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { batchOf, recordId } from '../../test/faults/records.ts'
import { partitionsOf, produce, Wire } from '../../test/faults/wire.ts'
import { cacheDir, freePorts, startKafka, startMillrace } from '../../test/interop/setup/index.ts'

export type Side = 'ours' | 'theirs'
export const sides: readonly Side[] = ['ours', 'theirs']

export interface Running {
  readonly side: Side
  readonly address: string
  readonly pid: number
  /** From the start of its process (its data folder was formatted before) to a first acks=all record acknowledged. */
  readonly firstProduceMs: number
  stop(): Promise<void>
}

/** Starts a side in a folder that was used once before, and times its first acknowledged record. */
export async function startSide(side: Side): Promise<Running> {
  // Not the system's folder for temporary files: that may be memory.
  mkdirSync(cacheDir, { recursive: true })
  const folder = mkdtempSync(join(cacheDir, `bench-${side}-`))
  const [port, controllerPort] = await freePorts()
  const address = `127.0.0.1:${port}`
  const start = async (): Promise<{ pid: number; stop: () => Promise<void> }> => {
    if (side === 'ours') return startMillrace({ data: folder, kafka: address })
    // Deleted segments go at once on both sides; Kafka otherwise keeps them for a minute.
    return startKafka(folder, ['log.segment.delete.delay.ms=0'], [port, controllerPort])
  }
  const formatted = await start()
  await formatted.stop()
  const startedAt = performance.now()
  const [process, firstProduceMs] = await Promise.all([start(), firstAcknowledged(address, startedAt)])
  return {
    side,
    address,
    pid: process.pid,
    firstProduceMs,
    stop: async () => {
      await process.stop()
      rmSync(folder, { recursive: true, force: true })
    },
  }
}

const startWithinMs = 60_000
const askEveryMs = 10

/** Asks until a topic that is created on its first use has taken a record with acks=all. */
async function firstAcknowledged(address: string, startedAt: number): Promise<number> {
  const place = { topic: 'first', partition: 0 }
  while (performance.now() - startedAt < startWithinMs) {
    const wire = await Wire.open(address, 1_000).catch(() => null)
    try {
      if (wire !== null && (await partitionsOf(wire, place.topic, true)) === 1) {
        const { error } = await produce(wire, place, batchOf(recordId(0, 0), 1, null), -1)
        if (error === 0) return performance.now() - startedAt
      }
    } catch {
      // Not yet serving: ask again.
    } finally {
      wire?.close()
    }
    await sleep(askEveryMs)
  }
  throw new Error(`${address} acknowledged nothing within ${startWithinMs} ms`)
}
