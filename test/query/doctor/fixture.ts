/** The whole platform on a machine with a seed, fed record by record. */
import { encodeBatch } from '../../../src/log/batch.ts'
import { silent } from '../../../src/lib/logger.ts'
import { simulate } from '../../../src/lib/sim/world.ts'
import { environmentSettings, protocols, resolveConfig } from '../../../src/node/config.ts'
import { startMillrace } from '../../../src/node/millrace.ts'
import type { Diagnosis } from '../../../src/query/engine.ts'

export interface Sent {
  readonly partition?: number
  readonly key?: string
  /** JSON unless it is a text. */
  readonly value: unknown
  /** When it arrived; the clock's time unless given. */
  readonly timeMs?: number
}

export async function clinic(definitions: string) {
  const machine = simulate(1, { startMs: Date.UTC(2026, 0, 1) })
  const { config } = resolveConfig(
    { data: '/data', listen: protocols.map((protocol) => `${protocol}=off`) },
    environmentSettings({}),
    {},
  )
  const running = await machine.run(() =>
    startMillrace({ config, world: machine, logger: silent, definitions: { sql: [], definitions: [] } }),
  )
  const sql = async (text: string): Promise<unknown[][]> =>
    machine.run(async () => {
      const rows: unknown[][] = []
      for await (const row of (await running.engine.run(text)).rows) rows.push([...row])
      return rows
    })
  await sql(definitions)
  return {
    sql,
    now: (): number => machine.clock.now(),
    advance: (ms: number): Promise<void> => machine.advance(ms),
    async send(topic: string, records: readonly Sent[]): Promise<void> {
      await this.post(topic, records)
      await sql('FLUSH')
    },
    /** Without waiting for who takes them in. */
    async post(topic: string, records: readonly Sent[]): Promise<void> {
      for (const { partition = 0, key, value, timeMs = machine.clock.now() } of records) {
        const bytes = typeof value === 'string' ? value : JSON.stringify(value)
        const record = { key: key === undefined ? null : Buffer.from(key), value: Buffer.from(bytes), timeMs }
        await machine.run(() =>
          running.log.writer().append([{ partition: { topic, index: partition }, batch: encodeBatch([record]) }]),
        )
      }
    },
    doctor: (view: string): Promise<readonly Diagnosis[]> => machine.run(() => running.engine.doctor(view)),
    withoutSamples: (view: string): Promise<readonly Diagnosis[]> =>
      machine.run(() => running.engine.doctor(view, { samples: false })),
    close: (): Promise<void> => machine.run(() => running.close()),
  }
}
export type Clinic = Awaited<ReturnType<typeof clinic>>
