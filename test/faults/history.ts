/**
 * What a run promised and showed, and the check of a log against it.
 *
 * A history notes, per partition: what was acknowledged (offset → record), what a consumer was given (offset → record),
 * and the highest watermark that anybody was told. `LogCheck` is then fed the log's records in order and tells each way
 * in which the log breaks the history:
 *
 *   lost         acknowledged, and not (or no longer) in the log
 *   gone         a consumer was given it at this offset, and another record or none stands there now
 *   doubled      in the log twice, though it was sent by an idempotent producer or sent only once
 *   reordered    records of one producer not in the order sent
 *   hole         an idempotent producer's record is missing between two that are there
 *   gap          offsets are not consecutive
 *   changed      not byte for byte what was sent
 *   foreign      never sent to this partition
 *   receded      the log ends below a watermark that was told
 */
import { damaged, producerOf, type ReadRecord, type RecordId, recordId, sequenceOf } from './records.ts'

export type ViolationKind =
  | 'lost'
  | 'gone'
  | 'doubled'
  | 'reordered'
  | 'hole'
  | 'gap'
  | 'changed'
  | 'foreign'
  | 'receded'
export interface Violation {
  readonly kind: ViolationKind
  readonly partition: string
  readonly offset: number
  readonly says: string
}

/** A growing table offset → record id; 0 = nothing noted (ids are kept plus one). */
class OffsetTable {
  #ids = new Float64Array(1024)
  end = 0
  count = 0

  get(offset: number): RecordId | null {
    const kept = this.#ids[offset] ?? 0
    return kept === 0 ? null : kept - 1
  }
  set(offset: number, id: RecordId): void {
    if (offset >= this.#ids.length) {
      const bigger = new Float64Array(Math.max(offset + 1, this.#ids.length * 2))
      bigger.set(this.#ids)
      this.#ids = bigger
    }
    if (this.#ids[offset] === 0) this.count++
    this.#ids[offset] = id + 1
    if (offset >= this.end) this.end = offset + 1
  }
}

/** Sequence numbers as merged ranges [from, to), ascending; nearly always one range per producer. */
class Ranges {
  readonly #ranges: { from: number; to: number }[] = []

  add(from: number, to: number): void {
    const last = this.#ranges.at(-1)
    if (last === undefined || from > last.to) this.#ranges.push({ from, to })
    else last.to = Math.max(last.to, to)
  }
  get all(): readonly { readonly from: number; readonly to: number }[] {
    return this.#ranges
  }
}

interface Sender {
  readonly partition: string
  readonly idempotent: boolean
  /** Sequence numbers below this one were sent. */
  sent: number
  /** Acknowledged without an offset (the answer to a repeated batch that the broker had taken already). */
  readonly acknowledged: Ranges
}

export class History {
  readonly senders = new Map<number, Sender>()
  readonly #promised = new Map<string, OffsetTable>()
  readonly #seen = new Map<string, OffsetTable>()
  readonly #watermarks = new Map<string, number>()
  /** What the observers themselves found: a record that came twice at one offset with other bytes, and the like. */
  readonly violations: Violation[] = []

  sender(producer: number, partition: string, idempotent: boolean): void {
    this.senders.set(producer, { partition, idempotent, sent: 0, acknowledged: new Ranges() })
  }
  sent(first: RecordId, count: number): void {
    const sender = this.#senderOf(first)
    sender.sent = Math.max(sender.sent, sequenceOf(first) + count)
  }
  /** `offset` null: acknowledged as a repetition, the place is not told. */
  acknowledged(first: RecordId, count: number, offset: number | null): void {
    const sender = this.#senderOf(first)
    sender.acknowledged.add(sequenceOf(first), sequenceOf(first) + count)
    if (offset === null) return
    const promised = table(this.#promised, sender.partition)
    for (let i = 0; i < count; i++) {
      const before = promised.get(offset + i)
      if (before !== null && before !== first + i)
        this.#violates(
          'lost',
          sender.partition,
          offset + i,
          `acknowledged as ${nameOf(before)} and as ${nameOf(first + i)}`,
        )
      promised.set(offset + i, first + i)
    }
  }
  seen(partition: string, record: ReadRecord): void {
    const seen = table(this.#seen, partition)
    const before = seen.get(record.offset)
    if (record.id === damaged) this.#violates('changed', partition, record.offset, 'a consumer was given other bytes')
    else if (before !== null && before !== record.id)
      this.#violates('gone', partition, record.offset, `was ${nameOf(before)}, is ${nameOf(record.id)}`)
    else seen.set(record.offset, record.id)
  }
  watermark(partition: string, told: number): void {
    this.#watermarks.set(partition, Math.max(told, this.#watermarks.get(partition) ?? 0))
  }

  promisedAt = (partition: string, offset: number): RecordId | null =>
    this.#promised.get(partition)?.get(offset) ?? null
  seenAt = (partition: string, offset: number): RecordId | null => this.#seen.get(partition)?.get(offset) ?? null
  /** The end that the log of a partition cannot be below. */
  owedEnd(partition: string): { promised: number; seen: number; watermark: number } {
    return {
      promised: this.#promised.get(partition)?.end ?? 0,
      seen: this.#seen.get(partition)?.end ?? 0,
      watermark: this.#watermarks.get(partition) ?? 0,
    }
  }
  get counts(): { acknowledged: number; seen: number } {
    const sum = (tables: Map<string, OffsetTable>): number => [...tables.values()].reduce((n, t) => n + t.count, 0)
    return { acknowledged: sum(this.#promised), seen: sum(this.#seen) }
  }

  #senderOf(id: RecordId): Sender {
    const sender = this.senders.get(producerOf(id))
    if (sender === undefined) throw new Error(`${nameOf(id)} is of no known producer`)
    return sender
  }
  #violates(kind: ViolationKind, partition: string, offset: number, says: string): void {
    this.violations.push({ kind, partition, offset, says })
  }
}

/**
 * The check of one partition. Feed it records in offset order, in as many pieces as there are, then `end`. It may be kept
 * over a run and fed only what is new: what lies below was checked, and a second check from the start sees whether it
 * stayed.
 */
export class LogCheck {
  readonly partition: string
  readonly violations: Violation[] = []
  next: number
  readonly #history: History
  /** Per producer: the sequences in the log, bit by bit. */
  readonly #present = new Map<number, Bits>()
  readonly #last = new Map<number, number>()
  /** Sequences below these were found complete, and acknowledged ones found present. */
  readonly #complete = new Map<number, number>()
  readonly #acknowledged = new Map<number, number>()

  constructor(history: History, partition: string, start = 0) {
    this.#history = history
    this.partition = partition
    this.next = start
  }

  record({ offset, id }: ReadRecord): void {
    if (offset !== this.next) this.#violates('gap', this.next, `the record after it is at ${offset}`)
    this.next = offset + 1
    if (id === damaged) this.#violates('changed', offset, 'not what any producer sent')
    this.#keepsPromises(offset, id)
    if (id !== damaged) this.#comesInOrder(offset, id)
  }

  /** `end` is the high watermark that the log now tells. */
  end(end: number): void {
    const owed = this.#history.owedEnd(this.partition)
    if (end !== this.next) this.#violates('gap', this.next, `the log says it ends at ${end}`)
    if (owed.watermark > end) this.#violates('receded', end, `the watermark was ${owed.watermark}`)
    for (let offset = end; offset < owed.promised; offset++) {
      const id = this.#history.promisedAt(this.partition, offset)
      if (id !== null) this.#violates('lost', offset, `${nameOf(id)} was acknowledged; the log ends at ${end}`)
    }
    for (let offset = end; offset < owed.seen; offset++) {
      const id = this.#history.seenAt(this.partition, offset)
      if (id !== null) this.#violates('gone', offset, `${nameOf(id)} was seen; the log ends at ${end}`)
    }
    for (const [producer, sender] of this.#history.senders)
      if (sender.partition === this.partition) this.#isComplete(producer, sender)
  }

  #keepsPromises(offset: number, id: RecordId | typeof damaged): void {
    const is = id === damaged ? 'damaged' : nameOf(id)
    const promised = this.#history.promisedAt(this.partition, offset)
    if (promised !== null && promised !== id)
      this.#violates('lost', offset, `acknowledged ${nameOf(promised)}, is ${is}`)
    const seen = this.#history.seenAt(this.partition, offset)
    if (seen !== null && seen !== id) this.#violates('gone', offset, `seen as ${nameOf(seen)}, is ${is}`)
  }

  #comesInOrder(offset: number, id: RecordId): void {
    const producer = producerOf(id)
    const sequence = sequenceOf(id)
    const sender = this.#history.senders.get(producer)
    if (sender === undefined || sender.partition !== this.partition || sequence >= sender.sent)
      return this.#violates('foreign', offset, `${nameOf(id)} was not sent here`)
    const present = bits(this.#present, producer)
    const last = this.#last.get(producer) ?? -1
    if (present.has(sequence)) this.#violates('doubled', offset, `${nameOf(id)} is in the log before`)
    else if (sequence < last) this.#violates('reordered', offset, `${nameOf(id)} comes after sequence ${last}`)
    present.add(sequence)
    this.#last.set(producer, Math.max(last, sequence))
  }

  /** Goes on where the last call ended, so that a long run is not walked again after each of its cycles. */
  #isComplete(producer: number, sender: Sender): void {
    const present = bits(this.#present, producer)
    const name = (sequence: number): string => nameOf(recordId(producer, sequence))
    const last = sender.idempotent ? (this.#last.get(producer) ?? -1) : -1
    let sequence = this.#complete.get(producer) ?? 0
    for (; sequence <= last; sequence++)
      if (!present.has(sequence)) this.#violates('hole', this.next, `${name(sequence)} is missing`)
    this.#complete.set(producer, sequence)
    let checked = this.#acknowledged.get(producer) ?? 0
    for (const { from, to } of sender.acknowledged.all)
      for (checked = Math.max(from, checked); checked < to; checked++)
        if (!present.has(checked)) this.#violates('lost', this.next, `${name(checked)} was acknowledged`)
    this.#acknowledged.set(producer, checked)
  }

  #violates(kind: ViolationKind, offset: number, says: string): void {
    this.violations.push({ kind, partition: this.partition, offset, says })
  }
}

class Bits {
  #words = new Uint32Array(64)

  has(at: number): boolean {
    return ((this.#words[at >>> 5] ?? 0) & (1 << (at & 31))) !== 0
  }
  add(at: number): void {
    const word = at >>> 5
    if (word >= this.#words.length) {
      const bigger = new Uint32Array(Math.max(word + 1, this.#words.length * 2))
      bigger.set(this.#words)
      this.#words = bigger
    }
    this.#words[word]! |= 1 << (at & 31)
  }
}

function table(of: Map<string, OffsetTable>, partition: string): OffsetTable {
  let found = of.get(partition)
  if (found === undefined) of.set(partition, (found = new OffsetTable()))
  return found
}
function bits(of: Map<number, Bits>, producer: number): Bits {
  let found = of.get(producer)
  if (found === undefined) of.set(producer, (found = new Bits()))
  return found
}
const nameOf = (id: RecordId): string => `${producerOf(id)}:${sequenceOf(id)}`
