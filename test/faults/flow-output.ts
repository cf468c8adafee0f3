/** The views over the input of `flow-input.ts`: how they are made, what they hold, and how that differs from what it must be. */
import { setTimeout as sleep } from 'node:timers/promises'
import type { RecordJson, RecordPage } from '../../src/gateway/http/api.ts'
import type { Millrace } from '../interop/setup/index.ts'
import {
  appendViews,
  type Click,
  clickPartitions,
  clicksTopic,
  expectedOutputs,
  open,
  upsertViews,
  viewStatements,
} from './flow-input.ts'
import { createTopic, Wire } from './wire.ts'

export type Outputs = Readonly<Record<string, readonly string[]>>
const settleWithinMs = 60_000

export async function defineViews(
  product: Millrace,
  input: readonly Click[][],
  config: Readonly<Record<string, string>> = {},
): Promise<void> {
  const wire = await Wire.open(product.kafka)
  // Of events of long ago, nothing is to go before a view has read it.
  await createTopic(wire, clicksTopic, clickPartitions, { 'retention.ms': '-1', ...config })
  await open(wire, input)
  wire.close()
  for (const statement of viewStatements) await sql(product, statement)
}

export async function sql(product: Millrace, text: string): Promise<void> {
  const answer = await fetch(`http://${product.http}/v1/sql`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ sql: text }),
  })
  if (!answer.ok) throw new Error(`${answer.status} for ${text}\n${await answer.text()}`)
  await answer.arrayBuffer()
}

/** Reads the outputs until they are as many as expected and stay so, or the time is up. */
export async function settledOutputs(product: Millrace, input: readonly Click[][]): Promise<Outputs> {
  const expected = expectedOutputs(input)
  const giveUpAt = performance.now() + settleWithinMs
  let outputs = await readOutputs(product)
  while (performance.now() < giveUpAt && compare(outputs, expected).length > 0) {
    await sleep(500)
    outputs = await readOutputs(product)
  }
  // What comes too much comes late: look once more.
  await sleep(1_000)
  return readOutputs(product)
}

async function readOutputs(product: Millrace): Promise<Outputs> {
  const outputs: Record<string, string[]> = {}
  for (const view of upsertViews) {
    const latest = new Map<string, string>()
    for (const record of await recordsOf(product, view)) {
      const key = JSON.stringify(record.key)
      const row = rowOf(record)
      if (row === null) latest.delete(key)
      else latest.set(key, lineOf(view, row))
    }
    outputs[view] = [...latest.values()].sort()
  }
  for (const view of appendViews) {
    const rows = (await recordsOf(product, view)).map(rowOf).filter((row) => row !== null)
    const isMarker = (row: Row): boolean => String(row['k']).startsWith('end')
    outputs[view] = rows
      .filter((row) => !isMarker(row))
      .map((row) => lineOf(view, row))
      .sort()
  }
  return outputs
}

type Row = Readonly<Record<string, unknown>>
function rowOf(record: RecordJson): Row | null {
  if (record.value === null) return null
  if (!('json' in record.value)) throw new Error(`offset ${record.offset} of a view's topic is not JSON`)
  return record.value.json as Row
}

/** As `expectedOutputs` writes it. */
function lineOf(view: string, row: Row): string {
  const ms = (value: unknown): number => Date.parse(String(value))
  switch (view) {
    case 'totals':
      return `${String(row['k'])} ${Number(row['c'])} ${Number(row['s'])}`
    case 'minutes':
      return `${ms(row['window_start'])} ${String(row['k'])} ${Number(row['c'])} ${Number(row['s'])}`
    case 'closed':
      return `${ms(row['window_start'])} ${String(row['k'])} ${Number(row['c'])} ${Number(row['s'])} ${Number(row['m'])}`
    default:
      return `${ms(row['at'])} ${String(row['k'])} ${Number(row['n'])} ${Number(row['total'])}`
  }
}

/** All of a topic that a committed reader sees, in order. */
export async function recordsOf(product: Millrace, topic: string): Promise<RecordJson[]> {
  const base = `http://${product.http}/v1/topics/${topic}`
  const detail = (await getJson(base)) as { partitions: number }
  const records: RecordJson[] = []
  for (let partition = 0; partition < detail.partitions; partition++) {
    let from: number | string = 'earliest'
    for (;;) {
      const url = `${base}/records?partition=${partition}&from=${from}&limit=1000`
      const page = (await getJson(url)) as RecordPage
      records.push(...page.records)
      const next = page.next.find((one) => one.partition === partition)?.offset
      if (page.atEnd || next === undefined || next === from) break
      from = next
    }
  }
  return records
}

async function getJson(url: string): Promise<unknown> {
  const answer = await fetch(url)
  if (!answer.ok) throw new Error(`${url} answers ${answer.status}: ${await answer.text()}`)
  return answer.json()
}

/** Every difference as a multiset, named by its first lines. */
export function compare(outputs: Outputs, expected: Outputs): string[] {
  const problems: string[] = []
  for (const [view, lines] of Object.entries(expected)) {
    const counts = new Map<string, number>()
    for (const line of lines) counts.set(line, (counts.get(line) ?? 0) + 1)
    for (const line of outputs[view] ?? []) counts.set(line, (counts.get(line) ?? 0) - 1)
    const missing = [...counts].filter(([, count]) => count > 0).map(([line]) => line)
    const extra = [...counts].filter(([, count]) => count < 0).map(([line]) => line)
    if (missing.length > 0)
      problems.push(`${view}: ${missing.length} rows missing, as ${missing.slice(0, 3).join('; ')}`)
    if (extra.length > 0) problems.push(`${view}: ${extra.length} rows too much, as ${extra.slice(0, 3).join('; ')}`)
  }
  return problems
}
