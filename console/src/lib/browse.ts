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
  readonly done: 'no' | 'enough' | 'end'
  /** From here a search that was stopped, or found enough, goes on. */
  readonly place: Place
}
export interface Place {
  /** Where a search onwards begins. */
  readonly next: Positions
  /** Newest first: what lies before was not looked at. */
  readonly first: Positions
  /** Newest first: what of the stretch at hand was not looked at. */
  readonly rest: Stretch | null
}
interface Stretch {
  readonly from: Positions
  readonly until: Positions
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
  // Date.parse takes "-50" for a year.
  return !/^\d{4}-/.test(text) || Number.isNaN(Date.parse(text)) ? { at: 'newest' } : { at: 'time', iso: text }
}

/**
 * What a search found, and what it found going on. One that was stopped inside a stretch finds records newer than those it
 * had, and, where it had more than it shows, some of them again.
 */
export function joinRecords(asked: Search, before: readonly RecordJson[], found: readonly RecordJson[]): RecordJson[] {
  if (asked.start.at !== 'newest') return [...before, ...found]
  const known = new Set(before.map((r) => `${r.partition}:${r.offset}`))
  return newestFirst([...before, ...found.filter((r) => !known.has(`${r.partition}:${r.offset}`))])
}

/** From the start that is asked, or on from the place where an earlier search came to. */
export async function* search(
  asked: Search,
  partitions: readonly Bounds[],
  read: ReadPage,
  place: Place | null = null,
): AsyncGenerator<Progress> {
  const chosen = partitions.filter((p) => asked.partition === null || p.partition === asked.partition)
  if (chosen.length === 0) return
  if (asked.start.at === 'newest') yield* backwards(asked, chosen, read, place)
  else if (place === null) yield* forwards(asked, chosen, read)
  else yield* forwards({ ...asked, start: { at: 'positions', positions: place.next } }, chosen, read)
}

async function* forwards(asked: Search, bounds: readonly Bounds[], read: ReadPage): AsyncGenerator<Progress> {
  const { start } = asked
  let from = start.at === 'time' ? start.iso : formatPositions(positionsOf(start, bounds))
  let records: RecordJson[] = []
  let scanned = 0
  for (;;) {
    const page = await read(pageQuery(asked, { from, limit: String(asked.limit - records.length) }))
    scanned += page.scanned
    records = [...records, ...page.records]
    const next = nextOf(page)
    const done = records.length >= asked.limit ? 'enough' : page.atEnd ? 'end' : 'no'
    const remaining = page.atEnd ? 0 : distance(next, bounds)
    yield { records: mergeByTime(records), scanned, remaining, done, place: { next, first: next, rest: null } }
    if (done !== 'no') return
    if (formatPositions(next) === from) throw new Error(`the search stands still at ${from}`)
    from = formatPositions(next)
  }
}

async function* backwards(
  asked: Search,
  bounds: readonly Bounds[],
  read: ReadPage,
  place: Place | null,
): AsyncGenerator<Progress> {
  const next = place?.next ?? stableOf(bounds)
  // What lies at `below` and behind has been looked at, or is in the stretch at hand.
  let below = place?.first ?? next
  let rest = place?.rest ?? null
  // Without a filter the first stretch holds all that is asked; with one it begins small.
  let size = asked.where === '' ? Math.ceil(asked.limit / bounds.length) : 2_000
  let scanned = 0
  const kept = new Newest(asked.limit)
  for (;;) {
    const stretch = rest ?? { from: back(below, size, bounds), until: below }
    if (rest === null) {
      below = stretch.from
      size *= 2
    }
    rest = null
    const before = distanceFromStart(below, bounds)
    const progress = (left: Stretch | null, done: Progress['done']): Progress => ({
      records: kept.records,
      scanned,
      remaining: before + between(left),
      done,
      place: { next, first: kept.above(below), rest: left },
    })
    for await (const part of readStretch(asked, stretch, read)) {
      scanned += part.scanned
      kept.add(part.records)
      if (part.rest !== null) yield progress(part.rest, 'no')
    }
    const done = kept.full ? 'enough' : before === 0 ? 'end' : 'no'
    yield progress(null, done)
    if (done !== 'no') return
  }
}

/**
 * The newest of the records found. What was found and is not among them lies, in each partition, before those that are: a
 * search further back begins behind it, and so finds it again.
 */
class Newest {
  records: readonly RecordJson[] = []
  readonly #limit: number
  readonly #hiddenEnd = new Map<number, number>()

  constructor(limit: number) {
    this.#limit = limit
  }

  get full(): boolean {
    return this.records.length >= this.#limit
  }

  add(found: readonly RecordJson[]): void {
    if (found.length === 0) return
    const all = newestFirst([...this.records, ...found])
    this.records = all.slice(0, this.#limit)
    for (const { partition, offset } of all.slice(this.#limit))
      this.#hiddenEnd.set(partition, Math.max(this.#hiddenEnd.get(partition) ?? 0, offset + 1))
  }

  above(below: Positions): Positions {
    return new Map([...below].map(([p, offset]) => [p, Math.max(offset, this.#hiddenEnd.get(p) ?? 0)]))
  }
}

interface StretchPart {
  readonly records: readonly RecordJson[]
  readonly scanned: number
  readonly rest: Stretch | null
}

async function* readStretch(asked: Search, { from, until }: Stretch, read: ReadPage): AsyncGenerator<StretchPart> {
  for (let at = from; !passed(at, until);) {
    const query = { from: formatPositions(at), until: formatPositions(until), limit: '1000' }
    const page = await read(pageQuery(asked, query))
    const next: Positions = new Map([...at, ...nextOf(page)])
    const records = page.records.filter((r) => r.offset < (until.get(r.partition) ?? 0))
    const last = page.atEnd || passed(next, until)
    yield { records, scanned: page.scanned, rest: last ? null : { from: next, until } }
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

const stableOf = (bounds: readonly Bounds[]): Positions => new Map(bounds.map((b) => [b.partition, b.stable]))

const back = (until: Positions, stretch: number, bounds: readonly Bounds[]): Positions =>
  new Map(bounds.map((b) => [b.partition, Math.max(b.start, (until.get(b.partition) ?? b.stable) - stretch)]))

const passed = (at: Positions, until: Positions): boolean =>
  [...until].every(([p, offset]) => (at.get(p) ?? 0) >= offset)

const distance = (at: Positions, bounds: readonly Bounds[]): number =>
  bounds.reduce((sum, b) => sum + Math.max(0, b.stable - (at.get(b.partition) ?? b.stable)), 0)

const distanceFromStart = (at: Positions, bounds: readonly Bounds[]): number =>
  bounds.reduce((sum, b) => sum + Math.max(0, (at.get(b.partition) ?? b.start) - b.start), 0)

const between = (stretch: Stretch | null): number =>
  stretch === null
    ? 0
    : [...stretch.until].reduce((sum, [p, offset]) => sum + Math.max(0, offset - (stretch.from.get(p) ?? offset)), 0)

const byTime = (a: RecordJson, b: RecordJson): number =>
  a.partition === b.partition
    ? a.offset - b.offset
    : a.timestamp < b.timestamp
      ? -1
      : a.timestamp > b.timestamp
        ? 1
        : a.partition - b.partition

const newestFirst = (records: readonly RecordJson[]): RecordJson[] => mergeByTime(records).reverse()

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
