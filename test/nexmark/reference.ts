/**
 * The Nexmark queries in plain loops, without any engine: equal to Flink 2.3's results on the files of `expected/`, late
 * events included. Watermarks are dateTime − 4 s after every event.
 */
export type Lines = Readonly<Record<string, readonly string[]>>

interface Timed {
  /** ms */
  readonly t: number
  /** Place in the file. */
  readonly n: number
  /** The watermark that stood before it, ms. */
  readonly before: number
}
interface Person extends Timed {
  readonly id: number
  readonly name: string
  readonly city: string
  readonly state: string
}
interface Auction extends Timed {
  readonly id: number
  readonly dateTime: string
  readonly expires: string
  readonly seller: number
  readonly category: number
  readonly [column: string]: unknown
}
interface Bid extends Timed {
  readonly auction: number
  readonly bidder: number
  readonly price: number
  readonly channel: string
  readonly url: string
  readonly dateTime: string
  readonly extra: string
  readonly [column: string]: unknown
}
type Row = Readonly<Record<string, unknown>>

const delayMs = 4_000
const toMs = (text: string): number => Date.parse(`${text.replace(' ', 'T')}Z`)
const toText = (ms: number): string => new Date(ms).toISOString().replace('T', ' ').slice(0, 23)
/** A window that ends there had closed by then. */
const isOver = (end: number, watermark: number): boolean => end - 1 <= watermark
const endOf = (t: number, size: number): number => Math.floor(t / size) * size + size
const pick = (row: Row, columns: string): Row => Object.fromEntries(columns.split(' ').map((name) => [name, row[name]]))
/** 0.908 times a price, three digits behind the point. */
const inEuros = (price: number): string =>
  `${Math.floor((price * 908) / 1_000)}.${String((price * 908) % 1_000).padStart(3, '0')}`
const rankOf = (price: number): number => (price < 10_000 ? 1 : price < 1_000_000 ? 2 : 3)
const rankNames = ['total', 'rank1', 'rank2', 'rank3']

export function reference(events: Iterable<string>): Lines {
  const people: Person[] = []
  const auctions: Auction[] = []
  const bids: Bid[] = []
  let watermark = -Infinity
  let n = 0
  for (const line of events) {
    if (line === '') continue
    const event = JSON.parse(line) as { event_type: number; person: never; auction: never; bid: never }
    const row = (event.person ?? event.auction ?? event.bid) as { dateTime: string }
    const t = toMs(row.dateTime)
    const timed = { ...row, t, n: n++, before: watermark }
    const list: unknown[] = [people, auctions, bids][event.event_type]!
    list.push(timed)
    watermark = Math.max(watermark, t - delayMs)
  }
  const rows = {
    ...ofBids(bids),
    ...ofWindows(people, auctions, bids),
    ...ofJoins(people, auctions, bids),
    ...ofStats(bids),
  }
  return Object.fromEntries(
    Object.entries(rows).map(([query, list]) => [
      query,
      list
        .map((row) => Buffer.from(JSON.stringify(row)))
        .sort(Buffer.compare)
        .map(String),
    ]),
  )
}

function ofBids(bids: readonly Bid[]): Record<string, Row[]> {
  const hot: Readonly<Record<string, string>> = { apple: '0', google: '1', facebook: '2', baidu: '3' }
  return {
    q0: bids.map((b) => pick(b, 'auction bidder price dateTime extra')),
    q1: bids.map((b) => ({ ...pick(b, 'auction bidder'), price: inEuros(b.price), ...pick(b, 'dateTime extra') })),
    q2: bids.filter((b) => b.auction % 123 === 0).map((b) => pick(b, 'auction price')),
    q13: bids.map((b) => ({ ...pick(b, 'auction bidder price dateTime'), value: String(b.auction % 10_000) })),
    q14: bids
      .filter((b) => b.price * 908 > 1e9 && b.price * 908 < 5e10)
      .map((b) => {
        const hour = new Date(b.t).getUTCHours()
        const bidTimeType = hour >= 8 && hour <= 18 ? 'dayTime' : hour <= 6 || hour >= 20 ? 'nightTime' : 'otherTime'
        const { auction, bidder, dateTime, extra } = b
        return {
          auction,
          bidder,
          price: inEuros(b.price),
          bidTimeType,
          dateTime,
          extra,
          c_counts: extra.split('c').length - 1,
        }
      }),
    q21: bids.flatMap((b) => {
      const channel_id = hot[b.channel.toLowerCase()] ?? /(?:&|^)channel_id=([^&]*)/.exec(b.url)?.[1]
      return channel_id === undefined ? [] : [{ ...pick(b, 'auction bidder price channel'), channel_id }]
    }),
    q22: bids.map((b) => {
      const parts = b.url.split('/')
      const [dir1, dir2, dir3] = [3, 4, 5].map((i) => parts[i] ?? null)
      return { ...pick(b, 'auction bidder price channel'), dir1, dir2, dir3 }
    }),
  }
}

function ofWindows(
  people: readonly Person[],
  auctions: readonly Auction[],
  bids: readonly Bid[],
): Record<string, Row[]> {
  const tenSeconds = 10_000
  const seen = <T extends Timed>(list: readonly T[], key: (row: T) => number): Map<string, T> => {
    const found = new Map<string, T>()
    for (const row of list) {
      const end = endOf(row.t, tenSeconds)
      if (!isOver(end, row.before)) found.set(`${key(row)}/${end}`, row)
    }
    return found
  }
  const sellers = seen(auctions, (a) => a.seller)
  return {
    q5: hotItems(bids),
    q7: highestBids(bids),
    q8: [...seen(people, (p) => p.id)]
      .filter(([key]) => sellers.has(key))
      .map(([key, { id, name }]) => ({ id, name, stime: toText(Number(key.split('/')[1]) - tenSeconds) })),
    q11: sessions(bids),
  }
}
/** Auctions with the most bids of ten seconds, every two. */
function hotItems(bids: readonly Bid[]): Row[] {
  const [step, size] = [2_000, 10_000]
  const windows = new Map<number, Map<number, number>>()
  for (const b of bids) {
    const first = endOf(b.t, step)
    for (let end = first; end < first + size; end += step) {
      if (isOver(end, b.before)) continue
      const counts = windows.get(end) ?? new Map<number, number>()
      counts.set(b.auction, (counts.get(b.auction) ?? 0) + 1)
      windows.set(end, counts)
    }
  }
  return [...windows].flatMap(([end, counts]) => {
    const most = Math.max(...counts.values())
    return [...counts]
      .filter(([, num]) => num === most)
      .map(([auction, num]) => ({ auction, num, wstart: toText(end - size), wend: toText(end) }))
  })
}
/** Bids as high as the highest of ten seconds, both ends included. */
function highestBids(bids: readonly Bid[]): Row[] {
  const size = 10_000
  const highest = new Map<number, number>()
  for (const b of bids) {
    const end = endOf(b.t, size)
    if (!isOver(end, b.before)) highest.set(end, Math.max(highest.get(end) ?? 0, b.price))
  }
  return [...highest].flatMap(([end, price]) =>
    bids
      .filter((b) => b.price === price && b.t >= end - size && b.t <= end)
      .map((b) => pick(b, 'auction bidder price dateTime extra')),
  )
}
function sessions(bids: readonly Bid[]): Row[] {
  interface Session {
    readonly from: number
    readonly to: number
    readonly count: number
  }
  const gap = 10_000
  const open = new Map<number, Session[]>()
  const over: [number, Session][] = []
  for (const { t, bidder, before } of bids) {
    let session: Session = { from: t, to: t + gap, count: 1 }
    const others: Session[] = []
    for (const one of open.get(bidder) ?? []) {
      if (isOver(one.to, before)) over.push([bidder, one])
      else if (one.from <= session.to && session.from <= one.to)
        session = {
          from: Math.min(session.from, one.from),
          to: Math.max(session.to, one.to),
          count: session.count + one.count,
        }
      else others.push(one)
    }
    open.set(bidder, isOver(session.to, before) ? others : [...others, session])
  }
  for (const [bidder, left] of open) for (const session of left) over.push([bidder, session])
  return over.map(([bidder, { from, to, count }]) => ({
    bidder,
    bid_count: count,
    starttime: toText(from),
    endtime: toText(to),
  }))
}

function ofJoins(people: readonly Person[], auctions: readonly Auction[], bids: readonly Bid[]): Record<string, Row[]> {
  const personOf = new Map(people.map((p) => [p.id, p]))
  const auctionOf = new Map(auctions.map((a) => [a.id, a]))
  /** The highest bid in time of each auction, the earliest of equal ones. */
  const winners = new Map<number, Bid>()
  for (const b of bids) {
    const a = auctionOf.get(b.auction)
    if (a === undefined || b.dateTime < a.dateTime || b.dateTime > a.expires) continue
    const best = winners.get(a.id)
    if (best === undefined || b.price > best.price || (b.price === best.price && b.t < best.t)) winners.set(a.id, b)
  }
  const categories = new Map<number, number[]>()
  for (const [id, b] of winners) {
    const { category } = auctionOf.get(id)!
    categories.set(category, [...(categories.get(category) ?? []), b.price])
  }
  return {
    q3: auctions.flatMap(({ id, category, seller }) => {
      const p = personOf.get(seller)
      if (category !== 10 || p === undefined || !['OR', 'ID', 'CA'].includes(p.state)) return []
      return [{ name: p.name, city: p.city, state: p.state, id }]
    }),
    q4: [...categories].map(([category, prices]) => ({
      category,
      final: Math.trunc(prices.reduce((sum, price) => sum + price, 0) / prices.length),
    })),
    q9: [...winners].map(([id, b]) => ({
      ...pick(auctionOf.get(id)!, 'id itemName description initialBid reserve dateTime expires seller category extra'),
      ...pick(b, 'auction bidder price'),
      bid_dateTime: b.dateTime,
      bid_extra: b.extra,
    })),
    q20: bids.flatMap((b) => {
      const a = auctionOf.get(b.auction)
      if (a?.category !== 10) return []
      return [
        {
          ...pick(b, 'auction bidder price channel url'),
          bid_dateTime: b.dateTime,
          bid_extra: b.extra,
          ...pick(a, 'itemName description initialBid reserve'),
          auction_dateTime: a.dateTime,
          ...pick(a, 'expires seller category'),
          auction_extra: a['extra'],
        },
      ]
    }),
  }
}

const grouped = (bids: readonly Bid[], key: (b: Bid) => string): Bid[][] => {
  const groups = new Map<string, Bid[]>()
  for (const b of bids) {
    const group = groups.get(key(b))
    if (group === undefined) groups.set(key(b), [b])
    else group.push(b)
  }
  return [...groups.values()]
}
const dayOf = (b: Bid): string => b.dateTime.slice(0, 10)
const minuteOf = (b: Bid): string => b.dateTime.slice(11, 16)
/** Of all, and of those of each rank. */
const byRank = (group: readonly Bid[], name: string, of: (bids: readonly Bid[]) => number): Row =>
  Object.fromEntries(
    rankNames.map((rank, i) => [`${rank}_${name}`, of(i === 0 ? group : group.filter((b) => rankOf(b.price) === i))]),
  )
const everyStat = (group: readonly Bid[]): Row => ({
  ...byRank(group, 'bids', (bids) => bids.length),
  ...byRank(group, 'bidders', (bids) => new Set(bids.map((b) => b.bidder)).size),
  ...byRank(group, 'auctions', (bids) => new Set(bids.map((b) => b.auction)).size),
})
function ofStats(bids: readonly Bid[]): Record<string, Row[]> {
  const columns = 'auction bidder price channel url dateTime extra'
  return {
    q15: grouped(bids, dayOf).map((group) => ({ day: dayOf(group[0]!), ...everyStat(group) })),
    q16: grouped(bids, (b) => `${b.channel}/${dayOf(b)}`).map((group) => ({
      channel: group[0]!.channel,
      day: dayOf(group[0]!),
      minute: group.map(minuteOf).reduce((a, b) => (a > b ? a : b)),
      ...everyStat(group),
    })),
    q17: grouped(bids, (b) => `${b.auction}/${dayOf(b)}`).map((group) => {
      const prices = group.map((b) => b.price)
      const sum = prices.reduce((all, price) => all + price, 0)
      return {
        auction: group[0]!.auction,
        day: dayOf(group[0]!),
        ...byRank(group, 'bids', (some) => some.length),
        min_price: Math.min(...prices),
        max_price: Math.max(...prices),
        avg_price: Math.trunc(sum / group.length),
        sum_price: sum,
      }
    }),
    q18: grouped(bids, (b) => `${b.bidder}/${b.auction}`).map((group) =>
      pick(
        group.reduce((best, b) => (b.t >= best.t ? b : best)),
        columns,
      ),
    ),
    q19: grouped(bids, (b) => String(b.auction)).flatMap((group) =>
      group
        .toSorted((a, b) => b.price - a.price || a.n - b.n)
        .slice(0, 10)
        .map((b, i) => ({ ...pick(b, columns), rank_number: i + 1 })),
    ),
  }
}
