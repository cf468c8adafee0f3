/** Whether two bags of rows are the same: exact columns by their texts, the others to 12 digits. */
import { numberOf } from './values.ts'

export type Rows = readonly (readonly string[])[]

/** null where they are the same, else what differs. `rough`: columns that are compared as numbers. */
export function difference(ours: Rows, theirs: Rows, rough: readonly boolean[]): string | null {
  const [a, b] = [ours, theirs].map((rows) => rows.map((row) => keyed(row, rough)).toSorted(byKey)) as [
    Keyed[],
    Keyed[],
  ]
  const missing: string[] = []
  const extra: string[] = []
  let i = 0
  let j = 0
  while (i < a.length || j < b.length) {
    const order = i >= a.length ? 1 : j >= b.length ? -1 : compareKeyed(a[i]!, b[j]!)
    if (order === 0) {
      i++
      j++
    } else if (order < 0) extra.push(a[i++]!.row.join(' | '))
    else missing.push(b[j++]!.row.join(' | '))
  }
  if (missing.length === 0 && extra.length === 0) return null
  const shown = (rows: readonly string[]): string =>
    rows
      .slice(0, 5)
      .map((row) => `\n    ${row}`)
      .join('') + (rows.length > 5 ? `\n    … ${rows.length} in all` : '')
  return [
    missing.length === 0 ? '' : `  missing:${shown(missing)}\n`,
    extra.length === 0 ? '' : `  too much:${shown(extra)}\n`,
  ].join('')
}
interface Keyed {
  readonly key: string
  readonly numbers: readonly number[]
  readonly row: readonly string[]
}
function keyed(row: readonly string[], rough: readonly boolean[]): Keyed {
  const key = row.map((text, i) =>
    rough[i] === true && text !== 'NULL' && Number.isFinite(numberOf(text)) ? '~' : text,
  )
  const numbers = row.flatMap((text, i) => (key[i] === '~' ? [numberOf(text)] : []))
  return { key: key.join('\u0001'), numbers, row }
}
const byKey = (a: Keyed, b: Keyed): number => {
  if (a.key !== b.key) return a.key < b.key ? -1 : 1
  for (const [i, x] of a.numbers.entries()) if (x !== b.numbers[i]) return x - b.numbers[i]!
  return 0
}
function compareKeyed(a: Keyed, b: Keyed): number {
  const close = a.key === b.key && a.numbers.every((x, i) => isClose(x, b.numbers[i]!))
  return close ? 0 : byKey(a, b)
}
const isClose = (a: number, b: number): boolean =>
  Math.abs(a - b) <= 1e-12 * Math.max(Math.abs(a), Math.abs(b)) || Math.abs(a - b) < 1e-11
