/** The gateway over the real local log, in memory, for the tests with whole clients. */
import type { TestContext } from 'node:test'
import { BufferPool } from '../../../src/lib/buffer-pool.ts'
import { limits } from '../../../src/lib/limits.ts'
import { openStore } from '../../../src/store/open.ts'
import { type KafkaListener, listenKafka } from '../../../src/gateway/kafka/index.ts'
import { memoryDisk } from '../../../src/lib/real/memory-disk.ts'
import { realWorld } from '../../../src/lib/real/world.ts'
import type { LocalLog } from '../../../src/log/local/local-log.ts'
import { openLocalLog } from '../../../src/log/local/open.ts'

export interface Gateway {
  readonly address: string
  readonly log: LocalLog
  readonly listener: KafkaListener
  readonly complaints: string[]
}

export async function startGateway(): Promise<Gateway & AsyncDisposable> {
  const world = { ...realWorld(), disk: memoryDisk() }
  // What a request or an answer has let go of is overwritten at once: whoever looks at it still gets a wrong checksum.
  const pool = new BufferPool(limits.poolIdleBytes, { wipes: true })
  const store = await openStore({ world, dir: 'data', pool, hotBytes: 100_000 })
  const log = await openLocalLog({ world, dir: 'data', store })
  const complaints: string[] = []
  const note = (message: string, facts?: Readonly<Record<string, unknown>>): void => {
    const error = facts?.['error']
    complaints.push(`${message} ${error instanceof Error ? error.stack : JSON.stringify(facts)}`)
  }
  const listener = await listenKafka({
    world,
    broker: log,
    pool,
    at: { host: '127.0.0.1', port: 0 },
    log: { info: note, warn: note, error: note },
  })
  return {
    address: `127.0.0.1:${listener.at.port}`,
    log,
    listener,
    complaints,
    async [Symbol.asyncDispose]() {
      await listener.close()
      await log.close()
    },
  }
}

/** One for the whole file. */
export function sharedGateway(hooks: {
  before(call: () => Promise<void>): void
  after(call: () => Promise<void>): void
}): () => Gateway {
  let gateway: (Gateway & AsyncDisposable) | null = null
  hooks.before(async () => {
    gateway = await startGateway()
  })
  hooks.after(async () => {
    await gateway?.[Symbol.asyncDispose]()
  })
  return () => gateway!
}

let names = 0
export const freshName = (t: TestContext): string => `${t.name.replaceAll(/[^a-z0-9]+/gi, '-').slice(0, 40)}-${names++}`

export async function until(what: string, holds: () => boolean | Promise<boolean>, withinMs = 15_000): Promise<void> {
  const giveUp = performance.now() + withinMs
  while (!(await holds())) {
    if (performance.now() > giveUp) throw new Error(`not within ${withinMs} ms: ${what}`)
    await new Promise((resolve) => setTimeout(resolve, 10))
  }
}
