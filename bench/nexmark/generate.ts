/**
 * Nexmark events, written from the benchmark's public definition: event i is a function of the seed and i alone, 1 person
 * to 3 auctions to 46 bids, some 333 bytes of JSON each.
 *
 *   node bench/nexmark/generate.ts --events 100000 --seed 1 --rate 1000 --out events.ndjson
 *
 * Event time begins at 2015-07-15 and goes on by 1/rate seconds an event. `--ooo-group G` permutes time within groups of G
 * events; with `--delay-prob P --delay-max-ms M` a part P of the events is emitted up to M ms of event time later.
 */
import { createHash } from 'node:crypto'
import { closeSync, openSync, writeSync } from 'node:fs'
import { parseArgs } from 'node:util'

export interface NexmarkOptions {
  readonly events: number
  readonly seed: number
  /** Events a second of event time. */
  readonly rate: number
  /** 1: in order. */
  readonly outOfOrderGroup?: number
  readonly delayProbability?: number
  readonly delayMaxMs?: number
}

const baseMs = 1_436_918_400_000
/** 1 person, 3 auctions, 46 bids. */
const period = 50
const auctionsOfPeriod = 3
const people = { first: 1_000, active: 1_000, ahead: 10 }
const auctions = { first: 1_000, inFlight: 100, ahead: 10 }
const hotStep = 100
const channels = 10_000
const letters = 'abcdefghijklmnopqrstuvwxyz'
const poolSize = 1 << 20
const states = ['AZ', 'CA', 'ID', 'OR', 'WA', 'WY']
const cities = [
  ...['Phoenix', 'Los Angeles', 'San Francisco', 'Boise', 'Portland', 'Bend', 'Redmond', 'Seattle', 'Kent', 'Cheyenne'],
]
const firstNames = ['Peter', 'Paul', 'Luke', 'John', 'Saul', 'Vicky', 'Kate', 'Julie', 'Sarah', 'Deiter', 'Walter']
const lastNames = ['Shultz', 'Abrams', 'Spencer', 'White', 'Bartels', 'Walton', 'Smith', 'Jones', 'Noris']
const hotChannels = ['Google', 'Facebook', 'Baidu', 'Apple']
/** Streams of random numbers beside those of the events. */
const streams = { pool: -1, urls: -2, delays: 0x40000000 }

/** Lines without their newline, in the order in which they are emitted. */
export function* nexmarkEvents(options: NexmarkOptions): Generator<string> {
  const make = new NexmarkEvents(options)
  for (const i of emissionOrder(options, make)) yield make.event(i)
}

function emissionOrder(options: NexmarkOptions, make: NexmarkEvents): Iterable<number> {
  const { events, rate, delayProbability = 0, delayMaxMs = 0 } = options
  if (delayProbability === 0) return new Int32Array(events).map((_, i) => i)
  const at = new Float64Array(events)
  for (let i = 0; i < events; i++) at[i] = (i * 1000) / rate + make.delay(i, delayProbability, delayMaxMs)
  return Array.from(at.keys()).sort((a, b) => at[a]! - at[b]! || a - b)
}

/** mulberry32 over a state that is hashed (murmur3's last mix) from the seed and the number of a stream. */
class RandomStream {
  #state = 0
  readonly #seed: number

  constructor(seed: number) {
    this.#seed = seed | 0
  }
  begin(stream: number): void {
    this.#state = mixed((this.#seed ^ mixed((stream + 0x9e3779b9) | 0)) | 0)
  }
  uint32(): number {
    this.#state = (this.#state + 0x6d2b79f5) | 0
    const state = this.#state
    let z = Math.imul(state ^ (state >>> 15), 1 | state)
    z = (z + Math.imul(z ^ (z >>> 7), 61 | z)) ^ z
    return (z ^ (z >>> 14)) >>> 0
  }
  fraction(): number {
    return this.uint32() / 4294967296
  }
  below(limit: number): number {
    return Math.floor((this.uint32() * limit) / 4294967296)
  }
  pick(list: readonly string[]): string {
    return list[this.below(list.length)]!
  }
}
function mixed(hash: number): number {
  let h = hash ^ (hash >>> 16)
  h = Math.imul(h, 0x85ebca6b)
  h ^= h >>> 13
  h = Math.imul(h, 0xc2b2ae35)
  return (h ^ (h >>> 16)) | 0
}
function reversedBits(value: number): number {
  let reversed = 0
  let left = value
  for (let i = 0; i < 32; i++) {
    reversed = (reversed << 1) | (left & 1)
    left >>>= 1
  }
  return reversed | 0
}

class NexmarkEvents {
  readonly #random: RandomStream
  readonly #rate: number
  readonly #group: number
  readonly #pool: string
  readonly #hotUrls: readonly string[]
  readonly #urls: readonly string[]
  #second = -1
  #secondText = ''

  constructor({ seed, rate, outOfOrderGroup = 1 }: NexmarkOptions) {
    const random = new RandomStream(seed)
    this.#random = random
    this.#rate = rate
    this.#group = outOfOrderGroup
    random.begin(streams.pool)
    this.#pool = Array.from({ length: poolSize }, () => letters[random.below(letters.length)]).join('')
    random.begin(streams.urls)
    this.#hotUrls = hotChannels.map(() => this.#url())
    this.#urls = Array.from({ length: channels }, (_, i) => {
      const url = this.#url()
      return random.below(10) > 0 ? `${url}&channel_id=${Math.abs(reversedBits(i))}` : url
    })
  }
  #url(): string {
    const part = (): string => this.#text(5, '_')
    return `https://www.nexmark.com/${part()}/${part()}/${part()}/item.htm?query=1`
  }
  /** Up to `most` letters, one in thirteen the special one. */
  #text(most: number, special: string): string {
    const random = this.#random
    let text = ''
    for (let left = 3 + random.below(most - 3); left > 0; left--)
      text += random.below(13) === 0 ? special : letters[random.below(letters.length)]
    return text.trim()
  }
  /** Fills an event up to an average size. */
  #extra(size: number, average: number): string {
    if (size > average) return ''
    const wanted = average - size
    const spread = Math.round(wanted * 0.2)
    const length = wanted - spread + (spread === 0 ? 0 : this.#random.below(2 * spread))
    const from = this.#random.below(poolSize - length)
    return this.#pool.slice(from, from + length)
  }
  #price(): number {
    return Math.round(10 ** (this.#random.fraction() * 6) * 100)
  }
  #timeOf(n: number): number {
    return baseMs + Math.floor(Math.floor(n * (1_000_000 / this.#rate)) / 1_000)
  }
  #shown(ms: number): string {
    const second = Math.floor(ms / 1_000)
    if (second !== this.#second) {
      this.#second = second
      this.#secondText = new Date(second * 1_000).toISOString().slice(0, 19).replace('T', ' ')
    }
    return `${this.#secondText}.${String(ms - second * 1_000).padStart(3, '0')}`
  }
  #nextPerson(n: number): number {
    const count = lastPerson(n) + 1
    const active = Math.min(count, people.active)
    return count - active + this.#random.below(active + people.ahead)
  }
  #nextAuction(n: number): number {
    const last = lastAuction(n)
    const least = Math.max(last - auctions.inFlight, 0)
    return least + this.#random.below(last - least + 1 + auctions.ahead)
  }

  delay(i: number, probability: number, mostMs: number): number {
    this.#random.begin(streams.delays + i)
    return this.#random.fraction() < probability ? this.#random.below(mostMs + 1) : 0
  }
  event(i: number): string {
    // Id and time go by this number: another event of the same group.
    const group = this.#group
    const n = group > 1 ? Math.floor(i / group) * group + ((i * 953) % group) : i
    this.#random.begin(n)
    const kind = n % period
    if (kind < 1) return this.#person(n)
    return kind < 1 + auctionsOfPeriod ? this.#auction(n) : this.#bid(n)
  }
  #person(n: number): string {
    const random = this.#random
    const id = lastPerson(n) + people.first
    const name = `${random.pick(firstNames)} ${random.pick(lastNames)}`
    const emailAddress = `${this.#text(7, ' ')}@${this.#text(5, ' ')}.com`
    const creditCard = Array.from({ length: 4 }, () => String(10_000 + random.below(10_000)).slice(1)).join(' ')
    const city = random.pick(cities)
    const state = random.pick(states)
    const texts = [name, emailAddress, creditCard, city, state]
    const extra = this.#extra(8 + texts.reduce((sum, text) => sum + text.length, 0), 200)
    const dateTime = this.#shown(this.#timeOf(n))
    const person = { id, name, emailAddress, creditCard, city, state, dateTime, extra }
    return JSON.stringify({ event_type: 0, person, auction: null, bid: null })
  }
  #auction(n: number): string {
    const random = this.#random
    const timeMs = this.#timeOf(n)
    const id = lastAuction(n) + auctions.first
    const hot = Math.floor(lastPerson(n) / hotStep) * hotStep
    const seller = (random.below(4) > 0 ? hot : this.#nextPerson(n)) + people.first
    const category = 10 + random.below(5)
    const initialBid = this.#price()
    // As long as it takes until so many more auctions are open.
    const horizonMs = this.#timeOf(n + Math.floor((auctions.inFlight * period) / auctionsOfPeriod)) - timeMs
    const expires = this.#shown(timeMs + 1 + random.below(Math.max(horizonMs * 2, 1)))
    const itemName = this.#text(20, ' ')
    const description = this.#text(100, ' ')
    const reserve = initialBid + this.#price()
    const extra = this.#extra(8 + itemName.length + description.length + 40, 500)
    const dateTime = this.#shown(timeMs)
    const rest = { reserve, dateTime, expires, seller, category, extra }
    const auction = { id, itemName, description, initialBid, ...rest }
    return JSON.stringify({ event_type: 1, person: null, auction, bid: null })
  }
  #bid(n: number): string {
    const random = this.#random
    const hotAuction = Math.floor(lastAuction(n) / hotStep) * hotStep
    const auction = (random.below(2) > 0 ? hotAuction : this.#nextAuction(n)) + auctions.first
    const hotBidder = Math.floor(lastPerson(n) / hotStep) * hotStep + 1
    const bidder = (random.below(4) > 0 ? hotBidder : this.#nextPerson(n)) + people.first
    const price = this.#price()
    const isHot = random.below(2) > 0
    const k = random.below(isHot ? hotChannels.length : channels)
    const channel = isHot ? hotChannels[k]! : `channel-${k}`
    const url = isHot ? this.#hotUrls[k]! : this.#urls[k]!
    const extra = this.#extra(32, 100)
    const bid = { auction, bidder, price, channel, url, dateTime: this.#shown(this.#timeOf(n)), extra }
    return JSON.stringify({ event_type: 2, person: null, auction: null, bid })
  }
}
const lastPerson = (n: number): number => Math.floor(n / period)
function lastAuction(n: number): number {
  const epoch = Math.floor(n / period)
  const place = n % period
  if (place < 1) return (epoch - 1) * auctionsOfPeriod + auctionsOfPeriod - 1
  return epoch * auctionsOfPeriod + Math.min(place, auctionsOfPeriod) - 1
}

/** Writes them to a file, a line each. Returns its SHA-256. */
export function writeNexmark(file: string, options: NexmarkOptions): string {
  const hash = createHash('sha256')
  const handle = openSync(file, 'w')
  const write = (lines: readonly string[]): void => {
    const bytes = Buffer.from(lines.map((line) => `${line}\n`).join(''), 'latin1')
    hash.update(bytes)
    for (let at = 0; at < bytes.length;) at += writeSync(handle, bytes, at)
  }
  let lines: string[] = []
  for (const line of nexmarkEvents(options)) {
    lines.push(line)
    if (lines.length < 4_096) continue
    write(lines)
    lines = []
  }
  write(lines)
  closeSync(handle)
  return hash.digest('hex')
}

function main(): void {
  const text = { type: 'string' } as const
  const { values } = parseArgs({
    options: {
      ...{ events: text, seed: text, rate: text, out: text },
      ...{ 'ooo-group': text, 'delay-prob': text, 'delay-max-ms': text },
    },
  })
  const out = values.out ?? 'events.ndjson'
  const sha256 = writeNexmark(out, {
    events: Number(values.events ?? 100_000),
    seed: Number(values.seed ?? 1),
    rate: Number(values.rate ?? 10_000),
    outOfOrderGroup: Number(values['ooo-group'] ?? 1),
    delayProbability: Number(values['delay-prob'] ?? 0),
    delayMaxMs: Number(values['delay-max-ms'] ?? 0),
  })
  process.stdout.write(`${JSON.stringify({ file: out, sha256 })}\n`)
}
if (import.meta.main) main()
