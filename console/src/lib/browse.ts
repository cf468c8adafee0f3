/**
 * Reading a topic for people: a page from a place onwards, or the newest records. It says at every moment how far it is,
 * it can be stopped, and it goes on from where it stopped; it never ends in silence.
 *
 * Forwards: one request after the other from `next` until enough is found or the end is reached. Newest first with a
 * filter: the log is read in stretches, each before the last one and twice its length, so that a match near the end costs
 * little and a rare one is still found. A stretch is read to its end before the one before it begins.
 */
import type { RecordJson, RecordPage, TopicDetail } from '../../../src/gateway/http/api.ts'

/** Partition to the next offset. */
export type Positions = ReadonlyMap<number, number>
export type Start =
  | { readonly at: 'newest' }
  | { readonly at: 'earliest' }
  | { readonly at: 'offset'; readonly offset: number }
  | { readonly at: 'time'; readonly iso: string }
  | { readonly at: 'positions'; readonly positions: Positions }

export interface Search {
  readonly topic: string
  readonly partition: number | null
  readonly start: Start
  readonly where: string
  /** How many records to show at once. */
  readonly limit: number
}
export interface Progress {
  readonly records: readonly RecordJson[]
  readonly scanned: number
  /** Records between here and where the search would end; null when unknown. */
  readonly remaining: number | null
  /** Where a search onwards begins. */
  readonly next: Positions
  /** Newest first: where the stretch read first begins, for a search further back. */
  readonly first: Positions
  readonly done: 'no' | 'enough' | 'end'
}
export type ReadPage = (query: Readonly<Record<string, string>>) => Promise<RecordPage>
type Bounds = TopicDetail['partitionDetails'][number]

export const formatPositions = (positions: Positions): string =>
  [...positions].map(([p, offset]) => `${p}:${offset}`).join(',')

/** `0:12,1:40`; null for anything else. */
export function readPositions(text: string): Positions | null {
  const pairs = text.split(',').map((pair) => /^(\d+):(\d+)$/.exec(pair))
  return pairs.every((pair) => pair !== null) ? new Map(pairs.map((pair) => [Number(pair[1]), Number(pair[2])])) : null
}

/** A start as an address says it: newest, earliest, an offset, positions, a time. */
export function readStart(text: string): Start {
  if (text === '' || text === 'newest') return { at: 'newest' }
  if (text === 'earliest') return { at: 'earliest' }
  if (/^\d{1,16}$/.test(text)) return { at: 'offset', offset: Number(text) }
  const positions = readPositions(text)
  if (positions !== null) return { at: 'positions', positions }
  return Number.isNaN(Date.parse(text)) ? { at: 'newest' } : { at: 'time', iso: text }
}

export async function* search(asked: Search, partitions: readonly Bounds[], read: ReadPage): AsyncGenerator<Progress> {
  const chosen = partitions.filter((p) => asked.partition === null || p.partition === asked.partition)
  if (asked.start.at === 'newest') yield* backwards(asked, chosen, read)
  else yield* forwards(asked, chosen, read)
}

async function* forwards(asked: Search, bounds: readonly Bounds[], read: ReadPage): AsyncGenerator<Progress> {
  const { start } = asked
  const known = start.at === 'time' ? null : positionsOf(start, bounds)
  let first: Positions = known ?? new Map()
  let from = start.at === 'time' ? start.iso : formatPositions(known!)
  let records: RecordJson[] = []
  let scanned = 0
  if (bounds.length === 0) return
  for (;;) {
    const page = await read(pageQuery(asked, { from, limit: String(asked.limit - records.length) }))
    scanned += page.scanned
    records = [...records, ...page.records]
    const next = nextOf(page)
    if (first.size === 0) first = firstOf(page, next)
    const done = records.length >= asked.limit ? 'enough' : page.atEnd ? 'end' : 'no'
    yield {
      records: inTimeOrder(records),
      scanned,
      remaining: page.atEnd ? 0 : distance(next, bounds),
      next,
      first,
      done,
    }
    if (done !== 'no') return
    if (formatPositions(next) === from) throw new Error(`the search stands still at ${from}`)
    from = formatPositions(next)
  }
}

async function* backwards(asked: Search, bounds: readonly Bounds[], read: ReadPage): AsyncGenerator<Progress> {
  const end: Positions = new Map(bounds.map((b) => [b.partition, b.stable]))
  let until = end
  // Without a filter the first stretch holds all that is asked; with one it begins small.
  let stretch = asked.where === '' ? Math.ceil(asked.limit / Math.max(1, bounds.length)) : 2_000
  let records: RecordJson[] = []
  let scanned = 0
  if (bounds.length === 0) return
  for (;;) {
    const from = back(until, stretch, bounds)
    for await (const part of stretchOf(asked, from, until, read)) {
      scanned += part.scanned
      records = [...part.records, ...records]
      const remaining = distance(part.next, untilBounds(bounds, until)) + distanceFromStart(from, bounds)
      if (!part.last)
        yield { records: newestFirst(records, asked.limit), scanned, remaining, next: end, first: from, done: 'no' }
    }
    const exhausted = distanceFromStart(from, bounds) === 0
    const done = records.length >= asked.limit ? 'enough' : exhausted ? 'end' : 'no'
    const shown = newestFirst(records, asked.limit)
    const first = done === 'enough' ? oldestShown(shown, records, from) : from
    yield { records: shown, scanned, remaining: distanceFromStart(from, bounds), next: end, first, done }
    if (done !== 'no') return
    until = from
    stretch *= 2
  }
}

interface StretchPart {
  readonly records: readonly RecordJson[]
  readonly scanned: number
  readonly next: Positions
  readonly last: boolean
}

async function* stretchOf(
  asked: Search,
  from: Positions,
  until: Positions,
  read: ReadPage,
): AsyncGenerator<StretchPart> {
  let at = from
  for (;;) {
    if (passed(at, until)) {
      yield { records: [], scanned: 0, next: until, last: true }
      return
    }
    const query = { from: formatPositions(at), until: formatPositions(until), limit: '1000' }
    const page = await read(pageQuery(asked, query))
    const next = new Map([...at, ...nextOf(page)])
    const records = page.records.filter((r) => r.offset < (until.get(r.partition) ?? 0))
    const last = page.atEnd || passed(next, until)
    yield { records, scanned: page.scanned, next, last }
    if (last) return
    if (formatPositions(next) === formatPositions(at))
      throw new Error(`the search stands still at ${formatPositions(at)}`)
    at = next
  }
}

function pageQuery(asked: Search, rest: Record<string, string>): Record<string, string> {
  const query = { ...rest }
  if (asked.partition !== null) query['partition'] = String(asked.partition)
  if (asked.where !== '') query['where'] = asked.where
  return query
}

function positionsOf(start: Exclude<Start, { at: 'time' }>, bounds: readonly Bounds[]): Positions {
  const clamp = (b: Bounds, offset: number): number => Math.min(Math.max(offset, b.start), b.stable)
  return new Map(
    bounds.map((b) => {
      if (start.at === 'earliest') return [b.partition, b.start]
      if (start.at === 'offset') return [b.partition, clamp(b, start.offset)]
      if (start.at === 'positions') return [b.partition, clamp(b, start.positions.get(b.partition) ?? b.start)]
      return [b.partition, b.stable]
    }),
  )
}

const nextOf = (page: RecordPage): Positions => new Map(page.next.map((n) => [n.partition, n.offset]))

/** Where a page that began at a time began: its first record of each partition. */
function firstOf(page: RecordPage, next: Positions): Positions {
  const first = new Map(next)
  for (const r of page.records) first.set(r.partition, Math.min(first.get(r.partition) ?? r.offset, r.offset))
  return first
}

const back = (until: Positions, stretch: number, bounds: readonly Bounds[]): Positions =>
  new Map(bounds.map((b) => [b.partition, Math.max(b.start, (until.get(b.partition) ?? b.stable) - stretch)]))

const passed = (at: Positions, until: Positions): boolean =>
  [...until].every(([p, offset]) => (at.get(p) ?? 0) >= offset)

const distance = (at: Positions, bounds: readonly Bounds[]): number =>
  bounds.reduce((sum, b) => sum + Math.max(0, b.stable - (at.get(b.partition) ?? b.stable)), 0)

const distanceFromStart = (at: Positions, bounds: readonly Bounds[]): number =>
  bounds.reduce((sum, b) => sum + Math.max(0, (at.get(b.partition) ?? b.start) - b.start), 0)

const untilBounds = (bounds: readonly Bounds[], until: Positions): Bounds[] =>
  bounds.map((b) => ({ ...b, stable: until.get(b.partition) ?? b.stable }))

const byTime = (a: RecordJson, b: RecordJson): number =>
  a.partition === b.partition
    ? a.offset - b.offset
    : a.timestamp < b.timestamp
      ? -1
      : a.timestamp > b.timestamp
        ? 1
        : a.partition - b.partition

const inTimeOrder = (records: readonly RecordJson[]): RecordJson[] => mergeByTime(records)

const newestFirst = (records: readonly RecordJson[], limit: number): RecordJson[] =>
  mergeByTime(records).reverse().slice(0, limit)

/** By time, a partition's own order kept: a partition whose times run backwards is not torn apart. */
function mergeByTime(records: readonly RecordJson[]): RecordJson[] {
  const lanes = Map.groupBy(records, (r) => r.partition)
  if (lanes.size < 2) return [...records].sort((a, b) => a.offset - b.offset)
  const queues = [...lanes.values()].map((lane) => [...lane].sort((a, b) => a.offset - b.offset))
  const heads = queues.map(() => 0)
  const merged: RecordJson[] = []
  while (merged.length < records.length) {
    let best = -1
    for (let i = 0; i < queues.length; i++) {
      const head = queues[i]![heads[i]!]
      if (head !== undefined && (best < 0 || byTime(head, queues[best]![heads[best]!]!) < 0)) best = i
    }
    merged.push(queues[best]![heads[best]!++]!)
  }
  return merged
}

/**
 * Where a search further back ends, for each partition: before its oldest record shown; where it has matches and none was
 * shown, behind them; where it had none, before what was looked at.
 */
function oldestShown(shown: readonly RecordJson[], found: readonly RecordJson[], from: Positions): Positions {
  const first = new Map(from)
  for (const r of found) first.set(r.partition, Math.max(first.get(r.partition) ?? 0, r.offset + 1))
  for (const r of shown) first.set(r.partition, Math.min(first.get(r.partition) ?? r.offset, r.offset))
  return first
}
