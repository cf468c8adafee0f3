/**
 * A history of operations as clients saw them, and the check of the log against it. Times are those of the machine's
 * monotonic clock, so they can be compared across processes; an operation takes effect somewhere between its two.
 *
 * For an append-only log that tells offsets this needs no search: an offset says where its append took effect, so the
 * order of the log and the order of time can be held against one another directly. The anomalies:
 *
 *   conflict        two records were seen or acknowledged at one offset, or one record at two
 *   lost            acknowledged, and not in the log
 *   duplicate       in the log twice
 *   reordered       records of one ordered producer not in the order sent
 *   stale           an append that began after another had ended stands before it, or before an end that was told before
 *   receded         the end that was told lies below what was acknowledged, read or told before
 *   backwards       a reader was given an offset again or an earlier one
 *   skipped         a reader was not given a record between two that it was given
 *   foreign         read, and never sent, or before it was sent
 *   dirty read      a committed reader was given a record before its transaction was asked to commit
 *   aborted read    a committed reader was given a record of a transaction that did not commit
 *   torn            a transaction is there in parts
 *   late end        a transaction that nobody asked to commit is there
 *   uncommitted     a commit was answered, and its records are not there
 *   position lost   a committed position reads as none, or as one that was overwritten
 *   copied twice    an input record was worked on twice, exactly once
 *   not copied      the committed position of the work lies behind an input record that has no output
 *   copied early    an output is there, and its input lies behind the committed position
 */
export type Outcome = 'ok' | 'fail' | 'unknown'
interface Timed {
  readonly startMs: number
  readonly endMs: number
}
export interface Append extends Timed {
  readonly kind: 'append'
  readonly partition: string
  readonly producer: string
  readonly id: string
  /** 'fail': it was never sent, or refused for good. */
  readonly outcome: Outcome
  /** Null when it was not told, as for a repetition. */
  readonly offset: number | null
  readonly transaction: string | null
  /** Of a producer that keeps its order whatever happens. */
  readonly ordered: boolean
}
export interface End extends Timed {
  readonly kind: 'end'
  readonly transaction: string
  readonly commits: boolean
  readonly outcome: Outcome
}
export interface Poll extends Timed {
  readonly kind: 'poll'
  /** Who reads one partition from its start on, over every disturbance. */
  readonly reader: string
  readonly committed: boolean
  readonly partition: string
  readonly records: readonly Seen[]
}
export type Seen = readonly [offset: number, id: string]
export interface Bounds extends Timed {
  readonly kind: 'bounds'
  readonly partition: string
  readonly end: number
}
/** Positions of a group with one committer: a write and a read. */
export interface Commit extends Timed {
  readonly kind: 'commit'
  readonly group: string
  readonly partition: string
  readonly offset: number
  readonly outcome: Outcome
}
export interface Committed extends Timed {
  readonly kind: 'committed'
  readonly group: string
  readonly partition: string
  readonly offset: number | null
}
export type Operation = Append | End | Poll | Bounds | Commit | Committed

/** A partition as it stands when all is over. */
export interface FinalLog {
  readonly partition: string
  readonly end: number
  readonly records: readonly Seen[]
  /** Of these, what a committed reader is given. */
  readonly committed: readonly Seen[]
}
/** Work that reads committed records and writes `copyId` of each, with its position, in transactions. */
export interface Copies {
  readonly from: FinalLog
  readonly to: readonly FinalLog[]
  readonly position: number
}
export const copyId = (partition: string, offset: number): string => `copy of ${partition} ${offset}`

export interface Anomaly {
  readonly kind:
    | 'conflict'
    | 'lost'
    | 'duplicate'
    | 'reordered'
    | 'stale'
    | 'receded'
    | 'backwards'
    | 'skipped'
    | 'foreign'
    | 'dirty read'
    | 'aborted read'
    | 'torn'
    | 'late end'
    | 'uncommitted'
    | 'position lost'
    | 'copied twice'
    | 'not copied'
    | 'copied early'
  readonly says: string
}
type Report = (kind: Anomaly['kind'], says: string) => void

/** A commit of a position that was not answered may still be in a queue of a process that stood still. */
const lateCommitMs = 30_000

export function anomalies(
  operations: readonly Operation[],
  logs: readonly FinalLog[],
  copies: readonly Copies[] = [],
): Anomaly[] {
  const found: Anomaly[] = []
  const report: Report = (kind, says) => void found.push({ kind, says })
  const of = <K extends Operation['kind']>(kind: K): Extract<Operation, { kind: K }>[] =>
    operations.filter((one): one is Extract<Operation, { kind: K }> => one.kind === kind)
  const appends = of('append')
  const byId = new Map(appends.map((append) => [append.id, append]))
  const ends = new Map(of('end').map((end) => [end.transaction, end]))
  for (const log of logs) {
    const polls = of('poll').filter(({ partition }) => partition === log.partition)
    const mine = appends.filter(({ partition }) => partition === log.partition)
    const bounds = of('bounds').filter(({ partition }) => partition === log.partition)
    const placed = placesOf({ log, appends: mine, polls }, report)
    checkContents({ log, byId, placed }, report)
    checkPromises({ appends: mine, ends, placed }, report)
    checkOrder({ log, byId }, report)
    checkTime({ log, appends: mine, bounds, polls }, report)
    for (const isCommitted of [false, true])
      checkReaders({ log, polls: polls.filter(({ committed }) => committed === isCommitted), isCommitted }, report)
    checkCommittedReads({ log, polls, byId, ends }, report)
  }
  checkWholeness({ logs, appends, ends }, report)
  checkPositions(of('commit'), of('committed'), report)
  for (const one of copies) checkCopies(one, report)
  return found
}

/** What stands at each offset, of the log and of all who were told; what contradicts is an anomaly. */
function placesOf(
  { log, appends, polls }: { log: FinalLog; appends: readonly Append[]; polls: readonly Poll[] },
  report: Report,
): Map<number, string> {
  const placed = new Map(log.records)
  const isAt = (offset: number, id: string, who: string): void => {
    const is = placed.get(offset)
    if (is !== id && is !== undefined)
      report('conflict', `${log.partition} ${offset} is ${is}, and was ${id} for ${who}`)
  }
  for (const { offset, id, producer } of appends) if (offset !== null) isAt(offset, id, producer)
  for (const { reader, records } of polls)
    for (const [offset, id] of records) {
      isAt(offset, id, reader)
      if (!placed.has(offset)) report('lost', `${log.partition} ${offset} was ${id} for ${reader}, and is not there`)
    }
  return placed
}
function checkContents(
  { log, byId, placed }: { log: FinalLog; byId: ReadonlyMap<string, Append>; placed: ReadonlyMap<number, string> },
  report: Report,
): void {
  const at = new Map<string, number>()
  for (const [offset, id] of placed) {
    const before = at.get(id)
    if (before !== undefined) report('duplicate', `${log.partition}: ${id} stands at ${before} and at ${offset}`)
    at.set(id, offset)
    const append = byId.get(id)
    if (append === undefined || append.partition !== log.partition)
      report('foreign', `${log.partition} ${offset}: ${id} was never sent here`)
    else if (append.outcome === 'fail' && append.transaction === null)
      report('foreign', `${log.partition} ${offset}: ${id} was refused`)
  }
  for (const [offset, id] of log.committed)
    if (placed.get(offset) !== id)
      report('conflict', `${log.partition} ${offset} is ${placed.get(offset)}, for committed readers ${id}`)
  if (log.records.some(([offset]) => offset >= log.end))
    report('receded', `${log.partition} has records behind its end ${log.end}`)
}
function checkPromises(
  of: { appends: readonly Append[]; ends: ReadonlyMap<string, End>; placed: ReadonlyMap<number, string> },
  report: Report,
): void {
  const there = new Set(of.placed.values())
  for (const { id, outcome, offset, transaction, partition } of of.appends) {
    if (outcome !== 'ok') continue
    // What was not committed may be compacted or never shown; a commit is held to its records in `checkWholeness`.
    if (transaction !== null && !isAnswered(of.ends.get(transaction), true)) continue
    if (offset === null ? !there.has(id) : of.placed.get(offset) !== id)
      report('lost', `${partition}: ${id} was acknowledged at ${offset ?? 'a place not told'}`)
  }
}
const isAnswered = (end: End | undefined, commits: boolean): boolean =>
  end !== undefined && end.commits === commits && end.outcome === 'ok'

function checkOrder({ log, byId }: { log: FinalLog; byId: ReadonlyMap<string, Append> }, report: Report): void {
  const last = new Map<string, Append>()
  for (const [offset, id] of log.records) {
    const append = byId.get(id)
    if (append === undefined || !append.ordered) continue
    const before = last.get(append.producer)
    if (before !== undefined && before.startMs > append.startMs)
      report('reordered', `${log.partition} ${offset}: ${id} comes after ${before.id}, which was sent later`)
    last.set(append.producer, append)
  }
}

/**
 * What had ended before something began must lie before it: a sweep over beginnings and ends in the order of time, with
 * the highest end that was known so far.
 */
function checkTime(
  of: {
    log: FinalLog
    appends: readonly Append[]
    bounds: readonly Bounds[]
    polls: readonly Poll[]
  },
  report: Report,
): void {
  const { partition } = of.log
  const events: { atMs: number; happens: (known: number) => number }[] = []
  for (const { id, offset, outcome, startMs, endMs } of of.appends) {
    if (outcome !== 'ok' || offset === null) continue
    const isKnown = { end: 0 }
    events.push({ atMs: startMs, happens: (known) => (isKnown.end = known) })
    events.push({
      atMs: endMs,
      happens: (known) => {
        if (offset < isKnown.end)
          report('stale', `${partition}: ${id} stands at ${offset}, and the end was ${isKnown.end} when it was sent`)
        return Math.max(known, offset + 1)
      },
    })
  }
  for (const { end, startMs, endMs } of of.bounds) {
    const isKnown = { end: 0 }
    events.push({ atMs: startMs, happens: (known) => (isKnown.end = known) })
    events.push({
      atMs: endMs,
      happens: (known) => {
        if (end < isKnown.end) report('receded', `${partition} was told to end at ${end}, after ${isKnown.end}`)
        return Math.max(known, end)
      },
    })
  }
  for (const { records, endMs } of of.polls) {
    const end = (records.at(-1)?.[0] ?? -1) + 1
    events.push({ atMs: endMs, happens: (known) => Math.max(known, end) })
  }
  events.sort((a, b) => a.atMs - b.atMs)
  let known = 0
  for (const event of events) known = event.happens(known)
  if (of.log.end < known) report('receded', `${partition} ends at ${of.log.end}, after ${known}`)
}

/** Every reader is given every record that readers of its kind are given, once and in order. */
function checkReaders(
  { log, polls, isCommitted }: { log: FinalLog; polls: readonly Poll[]; isCommitted: boolean },
  report: Report,
): void {
  const given = (isCommitted ? log.committed : log.records).map(([offset]) => offset)
  const indexOf = new Map(given.map((offset, i) => [offset, i]))
  const next = new Map<string, number>()
  for (const { reader, records } of polls)
    for (const [offset, id] of records) {
      const index = indexOf.get(offset)
      // Something else stands there: that is an anomaly of its own.
      if (index === undefined) continue
      const expected = next.get(reader) ?? 0
      if (index < expected) report('backwards', `${reader} was given ${log.partition} ${offset} (${id}) again`)
      if (index > expected) report('skipped', `${reader} was not given ${log.partition} ${given[expected]}`)
      next.set(reader, Math.max(expected, index + 1))
    }
}

function checkCommittedReads(
  of: {
    log: FinalLog
    polls: readonly Poll[]
    byId: ReadonlyMap<string, Append>
    ends: ReadonlyMap<string, End>
  },
  report: Report,
): void {
  const visible = new Set(of.log.committed.map(([, id]) => id))
  for (const { reader, committed, records, endMs } of of.polls)
    for (const [offset, id] of records) {
      const append = of.byId.get(id)
      if (append === undefined) continue
      if (append.startMs > endMs) report('foreign', `${reader} was given ${id} before it was sent`)
      if (!committed || append.transaction === null) continue
      const end = of.ends.get(append.transaction)
      const where = `${of.log.partition} ${offset}: ${reader} was given ${id} of ${append.transaction}`
      if (!visible.has(id) || isAnswered(end, false)) report('aborted read', `${where}, which did not commit`)
      else if (end !== undefined && end.startMs > endMs) report('dirty read', `${where} before it was asked to commit`)
    }
}

function checkWholeness(
  of: { logs: readonly FinalLog[]; appends: readonly Append[]; ends: ReadonlyMap<string, End> },
  report: Report,
): void {
  const visible = new Set(of.logs.flatMap(({ committed }) => committed.map(([, id]) => id)))
  const byTransaction = Map.groupBy(
    of.appends.filter(({ transaction }) => transaction !== null),
    ({ transaction }) => transaction!,
  )
  for (const [transaction, appends] of byTransaction) {
    const end = of.ends.get(transaction)
    const there = appends.filter(({ id }) => visible.has(id))
    const acknowledged = appends.filter(({ outcome }) => outcome === 'ok')
    const asked = end !== undefined && end.commits && end.outcome !== 'fail'
    if (there.length > 0 && isAnswered(end, false))
      report('aborted read', `${transaction} was aborted, and ${there[0]!.id} is there`)
    else if (there.length > 0 && !asked)
      report('late end', `nobody asked ${transaction} to commit, and ${there[0]!.id} is there`)
    if (there.length === 0) {
      if (isAnswered(end, true) && acknowledged.length > 0)
        report('uncommitted', `${transaction} was committed, and nothing of it is there`)
    } else if (acknowledged.some(({ id }) => !visible.has(id)))
      report('torn', `${transaction}: ${there.length} records of ${acknowledged.length} are there`)
  }
}

/** One committer: what is read is what was committed last, or something unanswered that may have come after it. */
function checkPositions(commits: readonly Commit[], reads: readonly Committed[], report: Report): void {
  const nameOf = (one: Commit | Committed): string => `${one.group} ${one.partition}`
  const committers = Map.groupBy(commits, nameOf)
  for (const read of reads) {
    const before = (committers.get(nameOf(read)) ?? []).filter(({ startMs }) => startMs <= read.endMs)
    const answered = before.findLastIndex(({ outcome, endMs }) => outcome === 'ok' && endMs <= read.startMs)
    const possible = new Set<number | null>(answered < 0 ? [null] : [])
    for (const [i, one] of before.entries()) {
      const isLate = one.outcome === 'unknown' && one.endMs + lateCommitMs > read.startMs
      if (i >= answered ? one.outcome !== 'fail' : isLate) possible.add(one.offset)
    }
    if (!possible.has(read.offset))
      report('position lost', `${nameOf(read)} reads ${read.offset}, not ${[...possible].join(' or ')}`)
  }
}

function checkCopies({ from, to, position }: Copies, report: Report): void {
  const copied = new Map<string, number>()
  for (const { committed } of to) for (const [, id] of committed) copied.set(id, (copied.get(id) ?? 0) + 1)
  for (const [offset, id] of from.committed) {
    const count = copied.get(copyId(from.partition, offset)) ?? 0
    const which = `${from.partition} ${offset} (${id})`
    if (count > 1) report('copied twice', `${which} has ${count} outputs`)
    if (count === 0 && offset < position) report('not copied', `${which}, and the position is ${position}`)
    if (count > 0 && offset >= position) report('copied early', `${which}, and the position is ${position}`)
  }
}
