/** The purchases file as events: what a shop's till would send. The rules are stated in the README. */
import { readFileSync } from 'node:fs'

export interface Purchase {
  readonly kind: 'purchase'
  /** Line of the file, from 1, the header not counted. */
  readonly line: number
  /** Place in the replay, from 1. */
  readonly seq: number
  readonly customer: number
  readonly items: readonly number[]
  readonly cds: number
  readonly amount: number
  /** ISO 8601 UTC. */
  readonly bought_at: string
}
/** Ends the replay: one day after the last purchase, so that every window closes. */
export interface Marker {
  readonly kind: 'marker'
  readonly seq: number
  readonly bought_at: string
}

const dayMs = 86_400_000

/** Every purchase, or those of the file's first lines, in the order (date, line), then the marker. */
export function history(lines = Infinity): (Purchase | Marker)[] {
  const file = new URL('../data/purchases.txt', import.meta.url)
  const rows = readFileSync(file, 'utf8')
    .split(/\r?\n/)
    .slice(1)
    .filter((text) => text.trim() !== '')
    .slice(0, lines)
    .map((text, index) => {
      const [customer = '', date = '', cds = '', amount = ''] = text.trim().split(/\s+/)
      return {
        line: index + 1,
        customer: Number(customer),
        dayStartMs: dayOf(date),
        cds: Number(cds),
        amount: Number(amount),
      }
    })
    .sort((a, b) => a.dayStartMs - b.dayStartMs || a.line - b.line)

  const perDay = new Map<number, number>()
  for (const { dayStartMs } of rows) perDay.set(dayStartMs, (perDay.get(dayStartMs) ?? 0) + 1)

  let day = Number.NaN
  let rank = 0
  const events: (Purchase | Marker)[] = rows.map((row, index) => {
    rank = row.dayStartMs === day ? rank + 1 : 0
    day = row.dayStartMs
    const timeMs = day + Math.floor((rank * dayMs) / perDay.get(day)!)
    return {
      kind: 'purchase',
      line: row.line,
      seq: index + 1,
      customer: row.customer,
      items: itemsOf(row.customer, row.line, row.cds),
      cds: row.cds,
      amount: row.amount,
      bought_at: new Date(timeMs).toISOString(),
    }
  })
  const last = Date.parse(events.at(-1)!.bought_at)
  events.push({ kind: 'marker', seq: events.length + 1, bought_at: new Date(last + dayMs).toISOString() })
  return events
}

/** YYYYMMDD → the start of that day. */
function dayOf(text: string): number {
  return Date.UTC(Number(text.slice(0, 4)), Number(text.slice(4, 6)) - 1, Number(text.slice(6, 8)))
}

/** Which CDs a line bought: one of the customer's favourite shelf of 25, one in five of all 300. */
export function itemsOf(customer: number, line: number, cds: number): number[] {
  const items: number[] = []
  for (let k = 1; k <= cds; k++) {
    const hash = fnv1a(`${line}:${k}`)
    const anywhere = Math.floor(hash / 25) % 5 === 0
    items.push(anywhere ? hash % 300 : (customer % 12) * 25 + (hash % 25))
  }
  return items
}

/** 32-bit FNV-1a of ASCII text (Fowler, Noll, Vo; draft-eastlake-fnv). */
export function fnv1a(text: string): number {
  let hash = 0x811c9dc5
  for (let i = 0; i < text.length; i++) hash = Math.imul(hash ^ text.charCodeAt(i), 0x01000193)
  return hash >>> 0
}
