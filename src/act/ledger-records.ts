/**
 * What `_millrace_alerts` holds: one record per alert that fired (key: its id), and one per change of a delivery (key:
 * id/number of the destination). The newest of a key counts.
 */
import type { Header, LogRecord, RecordInput } from '../log/batch.ts'
import { originHeader } from '../log/origin.ts'
import { parseJson } from '../schema/json-text.ts'
import type { FiredAlert } from './alerts.ts'

export const alertsTopic = '_millrace_alerts'

export type DeliveryStatus = FiredAlert['deliveries'][number]['status']
/** `row` is JSON text as the view wrote it: no digit is lost. */
export interface Fired {
  readonly id: string
  readonly alert: string
  readonly key: string
  readonly row: string
  readonly message: string
  readonly firedAtMs: number
  readonly origin: readonly string[]
  /** As people see them; a webhook by its URL. */
  readonly destinations: readonly string[]
  /** `mr-origin` of the row, for the dead letter. */
  readonly originBytes: Uint8Array | null
}
export interface DeliveryChange {
  readonly id: string
  readonly destination: number
  readonly status: DeliveryStatus
  readonly attempts: number
  readonly error: string | null
  /** When a pending one is tried again. */
  readonly nextMs: number
}

export function firedRecord(fired: Fired): RecordInput {
  const { id, row, firedAtMs, originBytes, ...rest } = fired
  const head = JSON.stringify({ version: 1, id, ...rest, firedAtMs })
  const headers: Header[] = originBytes === null ? [] : [[originHeader, originBytes]]
  return { key: Buffer.from(id), value: Buffer.from(`${head.slice(0, -1)},"row":${row}}`), headers, timeMs: firedAtMs }
}
export function deliveryRecord(change: DeliveryChange, timeMs: number): RecordInput {
  const { id, destination, ...rest } = change
  const value = JSON.stringify({ version: 1, destination, ...rest })
  return { key: Buffer.from(`${id}/${destination}`), value: Buffer.from(value), timeMs }
}

/** null: not one of these (a newer version's, perhaps). */
export function readRecord(record: LogRecord): Fired | DeliveryChange | null {
  if (record.key === null || record.value === null) return null
  const key = Buffer.from(record.key).toString('utf8')
  const value = parseJson(record.value) as Readonly<Record<string, unknown>>
  if (value['version'] !== 1) return null
  const cut = key.indexOf('/')
  return cut < 0 ? readFired(key, value, record) : readDelivery(key.slice(0, cut), value)
}
function readFired(id: string, value: Readonly<Record<string, unknown>>, record: LogRecord): Fired {
  return {
    id,
    alert: String(value['alert']),
    key: String(value['key']),
    row: rowText(record.value!),
    message: String(value['message']),
    firedAtMs: Number(value['firedAtMs']),
    origin: texts(value['origin']),
    destinations: texts(value['destinations']),
    originBytes: record.headers.find(([name]) => name === originHeader)?.[1] ?? null,
  }
}
function readDelivery(id: string, value: Readonly<Record<string, unknown>>): DeliveryChange {
  const status = value['status']
  return {
    id,
    destination: Number(value['destination']),
    status: status === 'delivered' || status === 'dead' ? status : 'pending',
    attempts: Number(value['attempts']),
    error: typeof value['error'] === 'string' ? value['error'] : null,
    nextMs: Number(value['nextMs']),
  }
}
const texts = (value: unknown): readonly string[] => (Array.isArray(value) ? value.map(String) : [])
/** The row is written last, as it stands. */
function rowText(value: Uint8Array): string {
  const text = Buffer.from(value).toString('utf8')
  return text.slice(text.indexOf(',"row":') + 7, -1)
}
