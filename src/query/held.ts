/** What a one-off query holds in memory: rows and state, up to a limit each. */
import type { Value } from '../flow/expression.ts'
import type { Graph } from '../flow/graph.ts'
import { Fault } from '../lib/fault.ts'
import { limits } from '../lib/limits.ts'
import type { Row } from './execute.ts'

export class Held {
  private rows = 0
  private bytes = 0

  /** Throws Fault query.too-large, having taken it. */
  add(row: Row): void {
    this.bytes += bytesOf(row)
    if (++this.rows > limits.queryRows) throw new Fault('query.too-large', { what: `${limits.queryRows} rows` })
    demand(this.bytes)
  }
  remove(row: Row): void {
    this.bytes -= bytesOf(row)
    this.rows--
  }
  /** Only these are held any more. */
  keep(rows: Iterable<Row>): void {
    this.rows = 0
    this.bytes = 0
    for (const row of rows) this.add(row)
  }
}
/** Throws Fault query.too-large. */
export function demandState({ nodes }: Graph): void {
  let bytes = 0
  for (const { tables } of nodes) for (const table of tables) bytes += table.bytes
  demand(bytes)
}
function demand(bytes: number): void {
  if (bytes > limits.queryBytes) throw new Fault('query.too-large', { what: `${limits.queryBytes / 1024 ** 2} MiB` })
}
/** About what a value takes. */
function bytesOf(value: Value): number {
  if (typeof value === 'string') return 24 + value.length
  if (value instanceof Uint8Array) return 96 + value.length
  if (typeof value !== 'object' || value === null) return 16
  let sum = 48
  for (const part of Object.values(value)) sum += bytesOf(part)
  return sum
}
