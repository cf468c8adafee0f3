/**
 * Shards of a stream: shard n is partition n of its topic. Each covers a range of hash keys, 0 to 2^128 − 1; those that are
 * open cover all of them, once. A partition never ends, a shard does: it is closed when it is split or merged, and its
 * children, on new partitions, take its range over.
 */
export interface Shard {
  /** First and last hash key, in decimal. */
  readonly from: string
  readonly to: string
  readonly createdMs: number
  readonly parent?: number
  readonly adjacent?: number
  readonly closedMs?: number
  /** When it was closed, the next offset: what comes from there on was written by others than Kinesis. */
  readonly end?: number
}
/** Of partitions that no change of shards made; also of topics. It is part of sequence numbers, so it is the same for ever. */
export const foreignMs = Date.parse('2020-01-01T00:00:00Z')
export const hashKeys = 2n ** 128n
/**
 * When a shard begins, for its sequence numbers alone: they are told apart by this second first, so it is one after its parents'
 * own, however soon these are split or merged again and whatever the clock does.
 */
export const bornMs = (parents: readonly Shard[], nowMs: number): number =>
  Math.max(nowMs, ...parents.map(({ createdMs }) => createdMs)) + 1_000

/** Kinesis puts records there. */
export const isOpen = ({ closedMs }: Shard): boolean => closedMs === undefined
/** It ends, and its children go on. Partitions that Kafka has added are not open, and end never. */
export const hasEnd = ({ closedMs }: Shard): boolean => closedMs !== undefined && closedMs !== foreignMs
export const shardId = (shard: number): string =>
  shard < 0 ? `shardId--${String(-shard).padStart(11, '0')}` : `shardId-${String(shard).padStart(12, '0')}`
/** The number behind the first hyphen, or all of it; null: it is none. */
export function shardNumber(id: string): number | null {
  const digits = id.split('-')[1] || id
  const number = /^\d{1,20}$/.test(digits) ? Number(digits) : Number.NaN
  return number <= 2_147_483_647 ? number : null
}

/** Ranges of the same size, as far as that goes: the last has what is left. */
export function evenShards(count: number, createdMs: number): Shard[] {
  const size = hashKeys / BigInt(count)
  return Array.from({ length: count }, (_, i): Shard => ({
    from: String(size * BigInt(i)),
    to: String((i === count - 1 ? hashKeys : size * BigInt(i + 1)) - 1n),
    createdMs,
  }))
}

/** The shard's second child begins with the hash key `at`. */
export function split(shards: readonly Shard[], shard: number, at: bigint, nowMs: number): Shard[] {
  const parent = shards[shard]!
  const born = { createdMs: bornMs([parent], nowMs), parent: shard }
  return [
    ...closed(shards, [shard], nowMs),
    { ...born, from: parent.from, to: String(at - 1n) },
    { ...born, from: String(at), to: parent.to },
  ]
}
/** `adjacent` begins where `shard` ends. */
export function merge(shards: readonly Shard[], shard: number, adjacent: number, nowMs: number): Shard[] {
  return [
    ...closed(shards, [shard, adjacent], nowMs),
    {
      from: shards[shard]!.from,
      to: shards[adjacent]!.to,
      createdMs: bornMs([shards[shard]!, shards[adjacent]!], nowMs),
      parent: shard,
      adjacent,
    },
  ]
}
const closed = (shards: readonly Shard[], which: readonly number[], nowMs: number): Shard[] =>
  shards.map((shard, i) => (which.includes(i) ? { ...shard, closedMs: nowMs } : shard))
export const areAdjacent = (first: Shard, second: Shard): boolean => BigInt(first.to) + 1n === BigInt(second.from)

/**
 * As many open shards of the same size, by splits and merges: every open shard is split where a new range begins inside of it,
 * then what lies in one new range is merged. What lies right already stays.
 */
export function scaled(shards: readonly Shard[], count: number, nowMs: number): Shard[] {
  const all = [...shards]
  const size = hashKeys / BigInt(count)
  const last = BigInt(count - 1)
  const rangeOf = (shard: number): bigint => {
    const range = BigInt(all[shard]!.from) / size
    return range < last ? range : last
  }
  const endOf = (range: bigint): bigint => (range === last ? hashKeys : size * (range + 1n))
  const born = (child: Omit<Shard, 'createdMs'>): number =>
    all.push({ ...child, createdMs: bornMs(parentsOf(all, child), nowMs) }) - 1
  const close = (shard: number): void => void (all[shard] = { ...all[shard]!, closedMs: nowMs })
  const pieces: number[] = []
  for (let shard of openInOrder(shards)) {
    const { to } = all[shard]!
    for (let end = endOf(rangeOf(shard)); end <= BigInt(to); end = endOf(rangeOf(shard))) {
      close(shard)
      pieces.push(born({ from: all[shard]!.from, to: String(end - 1n), parent: shard }))
      shard = born({ from: String(end), to, parent: shard })
    }
    pieces.push(shard)
  }
  let before: number | null = null
  for (const piece of pieces) {
    if (before === null || rangeOf(before) !== rangeOf(piece)) {
      before = piece
      continue
    }
    close(before)
    close(piece)
    before = born({ from: all[before]!.from, to: all[piece]!.to, parent: before, adjacent: piece })
  }
  return all
}
/** Numbers of the open shards, by their ranges. */
export const openInOrder = (shards: readonly Shard[]): number[] =>
  shards
    .flatMap((shard, i) => (isOpen(shard) ? [i] : []))
    .toSorted((a, b) => (BigInt(shards[a]!.from) < BigInt(shards[b]!.from) ? -1 : 1))
export const parentsOf = (shards: readonly Shard[], { parent, adjacent }: Omit<Shard, 'createdMs'>): Shard[] =>
  [parent, adjacent].flatMap((one) => (one === undefined ? [] : [shards[one]!]))
/** When it was opened, by the clock. */
export const openedMs = (shards: readonly Shard[], shard: number): number => {
  const parents = parentsOf(shards, shards[shard]!)
  return parents.length === 0 ? shards[shard]!.createdMs : Math.max(...parents.map(({ closedMs = 0 }) => closedMs))
}
/** Closed shards, each with an open one that came of it. */
export function successors(shards: readonly Shard[]): [closed: number, open: number][] {
  const firstChild = new Map<number, number>()
  shards.forEach(({ parent, adjacent }, i) => {
    for (const one of [parent, adjacent]) if (one !== undefined && !firstChild.has(one)) firstChild.set(one, i)
  })
  return shards.flatMap((shard, i) => {
    if (isOpen(shard)) return []
    let open = i
    for (let next = firstChild.get(open); next !== undefined; next = firstChild.get(open)) open = next
    return open === i ? [] : [[i, open]]
  })
}
export const childrenOf = (shards: readonly Shard[], shard: number): number[] =>
  shards.flatMap((one, i) => (one.parent === shard || one.adjacent === shard ? [i] : []))

/** Finds the open shard of a hash key. */
export class ShardFinder {
  readonly #ends: readonly bigint[]
  readonly #numbers: readonly number[]

  constructor(shards: readonly Shard[]) {
    this.#numbers = openInOrder(shards)
    this.#ends = this.#numbers.map((i) => BigInt(shards[i]!.to))
  }
  at(hashKey: bigint): number {
    let [low, high] = [0, this.#ends.length - 1]
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.#ends[middle]! < hashKey) low = middle + 1
      else high = middle
    }
    return this.#numbers[low]!
  }
  /** The open shard with this place in their order, round and round. */
  nth(place: number): number {
    return this.#numbers[place % this.#numbers.length]!
  }
}
