/** Alerts over a local log on a simulated machine; rows are written as a view writes them. */
import { type AlertsOptions, openAlerts } from '../../src/act/open.ts'
import { offset } from '../../src/lib/brand.ts'
import { silent } from '../../src/lib/logger.ts'
import type { World } from '../../src/lib/world.ts'
import { type Header, type LogRecord, decodeBatch, encodeBatch, isControl } from '../../src/log/batch.ts'
import { openCommits } from '../../src/log/commits.ts'
import { openLocalLog } from '../../src/log/local/open.ts'
import type { Log } from '../../src/log/log.ts'
import { encodeOrigin, originHeader } from '../../src/log/origin.ts'
import type { AlertRules } from '../../src/query/engine.ts'
import { type AlertDestination, type AlertRule, type PlannedAlert, alertViewName } from '../../src/sql/alert.ts'

export const secret = 'whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw'

export function planned(
  name: string,
  destinations: readonly AlertDestination[],
  rule: Partial<AlertRule> = {},
): PlannedAlert {
  return {
    ifNotExists: false,
    rule: {
      name,
      sql: `CREATE ALERT ${name} … SECRET '${secret}'`,
      destinations,
      key: ['item'],
      everyMs: null,
      message: null,
      ...rule,
    },
    view: {
      name: alertViewName(name),
      key: [0],
      appendOnly: false,
      lateTopic: null,
      idleMs: 30_000,
      maxFutureMs: 3_600_000,
      onError: 'stop',
      plan: {
        op: 'union',
        inputs: [],
        columns: [
          { name: 'item', type: { kind: 'text' }, nullable: false },
          { name: 'stock', type: { kind: 'bigint' }, nullable: true },
        ],
      },
    },
  }
}

/** Rules that a test may change. */
export class Rules implements AlertRules {
  current: PlannedAlert[]
  readonly #calls = new Set<() => void>()

  constructor(...current: PlannedAlert[]) {
    this.current = current
  }
  all(): ReturnType<AlertRules['all']> {
    return this.current.map((one) => ({ name: one.rule.name, sql: one.rule.sql, status: 'running', planned: one }))
  }
  onChange(call: () => void): () => void {
    this.#calls.add(call)
    return () => this.#calls.delete(call)
  }
  set(...current: PlannedAlert[]): void {
    this.current = current
    for (const call of this.#calls) call()
  }
}

export async function start(world: World, rules: Rules, options: Partial<AlertsOptions> = {}) {
  const log = await openLocalLog({ world, dir: '/data' })
  const commits = openCommits(await log.owner(), world.clock)
  const alerts = openAlerts({ world, log, commits, rules, logger: silent, ...options })
  await alerts.ready
  const close = async (): Promise<void> => {
    await alerts.close()
    await commits.close()
    await log.close()
  }
  return { log, commits, alerts, close }
}
export type Started = Awaited<ReturnType<typeof start>>

export async function makeViewTopic(log: Log, alert: string): Promise<void> {
  await log.topics.create([{ name: alertViewName(alert), partitions: 1, config: { 'cleanup.policy': 'compact' } }])
}
export interface RowChange {
  readonly item: string
  /** JSON text of the row; null: withdrawn. */
  readonly row: string | null
  readonly weight?: number
}
/** One batch, as a view's tick would. False when the machine died. */
export async function writeRows(log: Log, alert: string, timeMs: number, rows: readonly RowChange[]): Promise<boolean> {
  const batch = encodeBatch(
    rows.map(({ item, row, weight }) => {
      const headers: Header[] = [[originHeader, encodeOrigin({ ranges: [], state: true })]]
      if (weight !== undefined) headers.push(['mr-weight', Buffer.from(weight > 0 ? `+${weight}` : String(weight))])
      return { key: Buffer.from(item), value: row === null ? null : Buffer.from(row), headers, timeMs }
    }),
  )
  const [appended] = await log.writer().append([{ partition: { topic: alertViewName(alert), index: 0 }, batch }])
  return appended !== undefined && 'offset' in appended
}
export const row = (item: string, stock: number | bigint): RowChange => ({
  item,
  row: `{"item":"${item}","stock":${stock}}`,
})

export async function readAll(log: Log, topic: string): Promise<LogRecord[]> {
  if ((await log.topics.get(topic)) === null) return []
  const out: LogRecord[] = []
  const [bounds] = await log.bounds([{ topic, index: 0 }])
  const reader = log.reader()
  for (let at = bounds!.start; at < bounds!.stable;) {
    const [chunk] = await reader.read([{ partition: { topic, index: 0 }, offset: offset(at) }])
    if (chunk === undefined || 'fault' in chunk) throw new Error('cannot read')
    for (const batch of chunk.batches)
      if (!isControl(batch)) for (const record of decodeBatch(batch)) if (record.offset >= at) out.push(record)
    at = chunk.next
  }
  return out
}
export const text = (bytes: Uint8Array | null | undefined): string => Buffer.from(bytes ?? []).toString()
