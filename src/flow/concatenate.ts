/** Batches joined into one: columns of one kind array by array, others value by value. */
import { limits } from '../lib/limits.ts'
import type { Columns, DataType } from '../schema/types.ts'
import type { Batch, BytesColumn, Column, NumberColumn, Origins, Provenance } from './batch.ts'
import { columnBuilder } from './columns.ts'

/** Rows of all batches, one after the other. */
export function concatenate(batches: readonly Batch[], columns: Columns): Batch {
  const counts = batches.map(({ count }) => count)
  const count = counts.reduce((sum, n) => sum + n, 0)
  return {
    count,
    columns: columns.map(({ type }, c) =>
      joinColumns(
        batches.map((batch) => batch.columns[c]!),
        counts,
        count,
        type,
      ),
    ),
    weights: batches.every(({ weights }) => weights === null)
      ? null
      : joinDoubles(
          batches.map(({ weights }, b) => weights ?? new Float64Array(counts[b]!).fill(1)),
          counts,
          count,
        ),
    rows: joinProvenance(
      batches.map(({ rows }) => rows),
      counts,
      count,
    ),
    late: null,
    failed: null,
  }
}
function joinColumns(parts: readonly Column[], counts: readonly number[], count: number, type: DataType): Column {
  const numbers = parts.filter((part): part is NumberColumn => part.kind === 'f64')
  if (numbers.length === parts.length) {
    const data = numbers.map((part) => part.data)
    return { kind: 'f64', data: joinDoubles(data, counts, count), valid: joinValid(parts, counts, count) }
  }
  const texts = parts.filter((part): part is BytesColumn => part.kind === 'bytes')
  if (texts.length === parts.length) {
    const arenas = new Set(texts.map(({ arena }) => arena))
    if (arenas.size === 1 || mayBeCopied(texts, counts, arenas)) return joinTexts(texts, counts, count, [...arenas])
  }
  const builder = columnBuilder(type, count)
  for (let p = 0; p < parts.length; p++) for (let row = 0; row < counts[p]!; row++) builder.pushFrom(parts[p]!, row)
  return builder.done()
}
/** Copying whole arenas costs less than copying text by text, unless little of them is meant or they are too long. */
function mayBeCopied(parts: readonly BytesColumn[], counts: readonly number[], arenas: ReadonlySet<Buffer>): boolean {
  let used = 0
  for (let p = 0; p < parts.length; p++) {
    const { from, to } = parts[p]!
    for (let row = 0; row < counts[p]!; row++) used += to[row]! - from[row]!
  }
  let bytes = 0
  for (const arena of arenas) bytes += arena.length
  return bytes <= used * 4 && bytes <= limits.columnBytes
}
function joinTexts(
  parts: readonly BytesColumn[],
  counts: readonly number[],
  count: number,
  arenas: readonly Buffer[],
): BytesColumn {
  const starts = new Map<Buffer, number>()
  let bytes = 0
  for (const arena of arenas) {
    starts.set(arena, bytes)
    bytes += arena.length
  }
  const from = new Int32Array(count)
  const to = new Int32Array(count)
  for (let p = 0, at = 0; p < parts.length; p++) {
    const part = parts[p]!
    const start = starts.get(part.arena)!
    for (let row = 0; row < counts[p]!; row++, at++) {
      from[at] = part.from[row]! + start
      to[at] = part.to[row]! + start
    }
  }
  const arena = arenas.length === 1 ? arenas[0]! : Buffer.concat(arenas)
  return { kind: 'bytes', arena, from, to, valid: joinValid(parts, counts, count) }
}
function joinDoubles(parts: readonly Float64Array[], counts: readonly number[], count: number): Float64Array {
  const joined = new Float64Array(count)
  for (let p = 0, at = 0; p < parts.length; at += counts[p++]!) joined.set(parts[p]!.subarray(0, counts[p]), at)
  return joined
}
function joinValid(parts: readonly Column[], counts: readonly number[], count: number): Uint8Array | null {
  if (parts.every(({ valid }) => valid === null)) return null
  const joined = new Uint8Array(count).fill(1)
  for (let p = 0, at = 0; p < parts.length; at += counts[p++]!) {
    const { valid } = parts[p]!
    if (valid !== null) joined.set(valid.subarray(0, counts[p]), at)
  }
  return joined
}
function joinProvenance(parts: readonly Provenance[], counts: readonly number[], count: number): Provenance {
  const source = new Int32Array(count)
  for (let p = 0, at = 0; p < parts.length; at += counts[p++]!) source.set(parts[p]!.source.subarray(0, counts[p]), at)
  const of = (field: 'offset' | 'time' | 'watermark'): Float64Array =>
    joinDoubles(
      parts.map((part) => part[field]),
      counts,
      count,
    )
  return {
    source,
    offset: of('offset'),
    time: of('time'),
    watermark: of('watermark'),
    origins: joinOrigins(parts, counts, count),
  }
}
function joinOrigins(parts: readonly Provenance[], counts: readonly number[], count: number): Origins | null {
  if (parts.every(({ origins }) => origins === null)) return null
  let total = 0
  for (let p = 0; p < parts.length; p++) total += parts[p]!.origins?.at[counts[p]!] ?? counts[p]!
  const at = new Int32Array(count + 1)
  const ranges = new Float64Array(total * 3)
  let row = 0
  let range = 0
  for (let p = 0; p < parts.length; p++) {
    const { origins, source, offset } = parts[p]!
    for (let i = 0; i < counts[p]!; i++) {
      if (origins !== null)
        for (let r = origins.at[i]! * 3; r < origins.at[i + 1]! * 3; r++) ranges[range++] = origins.ranges[r]!
      // A row without ranges is from its own record.
      else if (source[i]! >= 0) {
        ranges[range++] = source[i]!
        ranges[range++] = offset[i]!
        ranges[range++] = offset[i]!
      }
      at[++row] = range / 3
    }
  }
  return { at, ranges, state: parts.some(({ origins }) => origins?.state === true) }
}
