/**
 * What one-off queries and rows kept in memory take: rows and state, up to a limit each, and up to one for all of the process
 * together, so that many at once do not end it. Sizes are about what values and what they stand in take.
 */
import { getHeapStatistics } from 'node:v8'
import type { Value } from '../flow/expression.ts'
import type { Graph } from '../flow/graph.ts'
import { Fault } from '../lib/fault.ts'
import { limits } from '../lib/limits.ts'
import type { Row } from './execute.ts'

/** Rows are on the heap, which has an end of its own. */
const bytesOfAll = Math.min(limits.queriesBytes, getHeapStatistics().heap_size_limit / 2)
let takenByAll = 0
/** Each gives up something that can be had again, where it has such; false: it has not. */
const givers = new Set<() => boolean>()
/** Asked where memory is full, until what is returned is called. */
export function givesUp(give: () => boolean): () => void {
  givers.add(give)
  return () => void givers.delete(give)
}
function isFull(): boolean {
  for (const give of givers) while (takenByAll > bytesOfAll && give());
  return takenByAll > bytesOfAll
}

/** Of one query, or of the rows of one relation. */
export class MemoryShare {
  private bytes = 0
  private readonly bytesMax: number

  constructor(bytesMax: number = limits.queryBytes) {
    this.bytesMax = bytesMax
  }
  /** Throws Fault query.too-large or query.memory-full, having taken it. */
  set(bytes: number): void {
    takenByAll += bytes - this.bytes
    const isMore = bytes > this.bytes
    this.bytes = bytes
    if (!isMore) return
    if (bytes > this.bytesMax) throw new Fault('query.too-large', { what: mebibytes(this.bytesMax) })
    if (isFull()) throw new Fault('query.memory-full', { what: mebibytes(bytesOfAll) })
  }
  add(bytes: number): void {
    this.set(this.bytes + bytes)
  }
  free(): void {
    this.set(0)
  }
}
const mebibytes = (bytes: number): string => `${Math.floor(bytes / 1024 ** 2)} MiB`

/** Rows that a query holds until it knows its result; each with a key that it is found or sorted by. */
export class Held {
  private rows = 0
  private readonly share = new MemoryShare()

  /** Throws Fault query.too-large or query.memory-full, having taken it. */
  add(row: Row, keyLength = 0): void {
    this.share.add(bytesOfRow(row) + keyLength)
    if (++this.rows > limits.queryRows) throw new Fault('query.too-large', { what: `${limits.queryRows} rows` })
  }
  remove(row: Row, keyLength = 0): void {
    this.share.add(-bytesOfRow(row) - keyLength)
    this.rows--
  }
  /** Nothing is held any more. */
  free(): void {
    this.rows = 0
    this.share.free()
  }
}
/** Throws Fault query.too-large or query.memory-full. */
export function demandState({ nodes }: Graph, share: MemoryShare): void {
  let bytes = 0
  for (const { tables } of nodes) for (const table of tables) bytes += table.bytes
  share.set(bytes)
}
/** Its place in a list or map, and the text of its key. */
const besideRow = 128
export const bytesOfRow = (row: Row): number => besideRow + bytesOf(row as Value)
/** About what a value takes. */
function bytesOf(value: Value): number {
  if (typeof value === 'string') return 24 + value.length
  if (value instanceof Uint8Array) return 96 + value.length
  if (typeof value !== 'object' || value === null) return 16
  let sum = 48
  for (const part of Object.values(value)) sum += bytesOf(part)
  return sum
}
