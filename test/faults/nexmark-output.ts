/**
 * What the views of Nexmark queries hold, gave and keep, and how that may not differ:
 * - from the plain loops: the rows in the end; of views that restate, the rows at each commit are those of some prefix of
 *   the events (twenty commits of each view are looked at);
 * - from a run that was not disturbed: the records of views that only grow, in the same order per key, and the entries of
 *   state.
 */
import { closingEvent } from '../../bench/nexmark/queries.ts'
import type { Payload, RecordJson } from '../../src/gateway/http/api.ts'
import { decodeOrigin, originHeader } from '../../src/log/origin.ts'
import type { Millrace } from '../interop/setup/index.ts'
import { type Lines, reference } from '../nexmark/reference.ts'
import { recordsOf } from './flow-output.ts'

export interface Found {
  readonly query: string
  /** Its windows close: it says nothing before. */
  readonly closes: boolean
  readonly records: readonly RecordJson[]
  /** Key → value, of all operators but the clocks. */
  readonly state: ReadonlyMap<string, string>
}
const instantsOfView = 20
/** Rows that a tick put in and took out again are not written: a commit may stand on some events more than it says. */
const furtherMax = 60

export async function outputsOf(
  product: Millrace,
  names: Readonly<Record<string, boolean>>,
): Promise<readonly Found[]> {
  const found: Found[] = []
  for (const [query, closes] of Object.entries(names))
    found.push({
      query,
      closes,
      records: await recordsOf(product, query),
      state: stateOf(await recordsOf(product, `_millrace_state.${query}`)),
    })
  return found
}

function stateOf(records: readonly RecordJson[]): Map<string, string> {
  const state = new Map<string, string>()
  for (const { key, value } of records) {
    const bytes = bytesOf(key)
    // Format version, slot, operator: 0 is the graph itself, with what depends on when it was run.
    if (bytes === null || bytes[2] === 0) continue
    const name = bytes.toString('latin1')
    const entry = bytesOf(value)
    if (entry === null) state.delete(name)
    else state.set(name, entry.toString('latin1'))
  }
  return state
}
function bytesOf(payload: Payload): Buffer | null {
  if (payload === null) return null
  if ('base64' in payload) return Buffer.from(payload.base64, 'base64')
  return Buffer.from('text' in payload ? payload.text : JSON.stringify(payload.json))
}

export function againstLoops(
  views: readonly Found[],
  events: readonly string[],
  random: () => number,
): { readonly problems: readonly string[]; readonly instants: number } {
  const problems: string[] = []
  const known = new Map<number, Lines>()
  const after = (count: number): Lines => {
    let lines = known.get(count)
    if (lines === undefined)
      known.set(count, (lines = reference(events.slice(0, count).filter((event) => event !== closingEvent))))
    return lines
  }
  let instants = 0
  for (const { query, closes, records } of views) {
    const different = differences(rowsAt(records, records.length), after(events.length)[query]!)
    if (different !== null) problems.push(`${query}: ${different}`)
    if (closes) continue
    const commits = commitsOf(records)
    for (let i = 0; i < instantsOfView && commits.length > 0; i++) {
      const [{ count, until }] = commits.splice(Math.floor(random() * commits.length), 1) as [Commit]
      const rows = rowsAt(records, count)
      let further = 0
      while (further < furtherMax && differences(rows, after(until + further)[query]!) !== null) further++
      if (further === furtherMax)
        problems.push(
          `${query}: after ${count} records it was of no prefix: ${differences(rows, after(until)[query]!)}`,
        )
      instants++
    }
  }
  return { problems, instants }
}

interface Commit {
  /** Records of the view up to it. */
  readonly count: number
  /** Events that it stands on, by what the records say they came from. */
  readonly until: number
}
/** A tick's records are followed by a marker, which leaves a gap in the offsets. */
function commitsOf(records: readonly RecordJson[]): Commit[] {
  const commits: Commit[] = []
  let until = 0
  for (const [i, record] of records.entries()) {
    const origin = record.headers.find(({ name }) => name === originHeader)
    if (origin === undefined) throw new Error(`record ${record.offset} has no origin`)
    for (const { last } of decodeOrigin(bytesOf(origin.value)!).ranges) until = Math.max(until, last + 1)
    if (records[i + 1]?.offset !== record.offset + 1) commits.push({ count: i + 1, until })
  }
  return commits
}

/** Rows that the first records sum up to, as the reference writes them. */
function rowsAt(records: readonly RecordJson[], count: number): string[] {
  const byKey = new Map<string, string>()
  const weights = new Map<string, number>()
  for (const { key, value, headers } of records.slice(0, count)) {
    const weight = headers.find(({ name }) => name === 'mr-weight')
    const line = value === null ? null : lineOf(value)
    if (key !== null && weight === undefined) {
      const name = JSON.stringify(key)
      if (line === null) byKey.delete(name)
      else byKey.set(name, line)
    } else if (line !== null)
      weights.set(line, (weights.get(line) ?? 0) + (weight === undefined ? 1 : Number(bytesOf(weight.value))))
  }
  const repeated = [...weights].flatMap(([line, times]) => {
    if (times < 0) throw new Error(`withdrawn before it came: ${line}`)
    return Array.from({ length: times }, () => line)
  })
  return [...byKey.values(), ...repeated]
}
const isTime = (name: string): boolean => /dateTime|expires|^wstart|^wend|starttime|endtime/i.test(name)
function lineOf(value: NonNullable<Payload>): string {
  if (!('json' in value)) throw new Error(`a view's record is not JSON: ${JSON.stringify(value)}`)
  const fields = Object.entries(value.json as Record<string, unknown>)
  return JSON.stringify(
    Object.fromEntries(fields.map(([name, field]) => [name, isTime(name) ? timeText(String(field)) : field])),
  )
}
const timeText = (text: string): string =>
  new Date(`${text.replace(' ', 'T').replace(/Z$/, '')}Z`).toISOString().replace('T', ' ').slice(0, 23)

export function againstUndisturbed(views: readonly Found[], undisturbed: readonly Found[]): string[] {
  const problems: string[] = []
  for (const [i, { query, closes, records, state }] of views.entries()) {
    const other = undisturbed[i]!
    const grows = closes || query === 'q3' || query === 'q20'
    if (grows) {
      const inOrder = differences([...byKey(records)], [...byKey(other.records)])
      if (inOrder !== null) problems.push(`${query}: beside the undisturbed run, per key: ${inOrder}`)
    }
    const entries = ([key, value]: [string, string]): string => Buffer.from(`${key} ${value}`, 'latin1').toString('hex')
    const different = differences(Array.from(state, entries), Array.from(other.state, entries))
    if (different !== null) problems.push(`${query}: its state is not that of the undisturbed run: ${different}`)
  }
  return problems
}
/** A line for each key: its records in order. Without keys, a line for each record. */
function* byKey(records: readonly RecordJson[]): IterableIterator<string> {
  const lines = new Map<string, string[]>()
  for (const { key, value } of records) {
    const line = value === null ? 'gone' : lineOf(value)
    if (key === null) yield line
    else {
      const name = JSON.stringify(key)
      lines.set(name, [...(lines.get(name) ?? []), line])
    }
  }
  for (const [key, of] of lines) yield `${key}: ${of.join(' ')}`
}

/** As bags; null: none. */
function differences(found: readonly string[], expected: readonly string[]): string | null {
  const counts = new Map<string, number>()
  for (const line of expected) counts.set(line, (counts.get(line) ?? 0) + 1)
  for (const line of found) counts.set(line, (counts.get(line) ?? 0) - 1)
  const missing = [...counts].filter(([, count]) => count > 0).map(([line]) => line)
  const extra = [...counts].filter(([, count]) => count < 0).map(([line]) => line)
  if (missing.length === 0 && extra.length === 0) return null
  return `${missing.length} missing, as ${missing[0] ?? '—'}; ${extra.length} too much, as ${extra[0] ?? '—'}`
}
