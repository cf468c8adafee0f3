/**
 * A checker that cannot fail proves nothing: each anomaly is planted into a history that was right, and the check must
 * name it; and histories of real size are checked in no time.
 */
import assert from 'node:assert/strict'
import { describe, test } from 'node:test'
import { type Anomaly, anomalies, type Copies, copyId, type Operation, type Seen } from './operations.ts'

interface Log {
  readonly partition: string
  end: number
  records: Seen[]
  committed: Seen[]
}
interface Run {
  operations: Operation[]
  logs: Log[]
  copies: Copies[]
}

/**
 * Per round: an ordered producer and a plain one append to both partitions, a transaction writes to both and ends (every
 * third aborts), readers of both kinds poll, the end is asked for, a position is committed and read; work copies what is
 * committed. Takes a second of its own time each round; all in order, none at once.
 */
function rightRun(rounds: number): Run {
  const operations: Operation[] = []
  const logs = ['a', 'b', 'out'].map((partition): Log => ({ partition, end: 0, records: [], committed: [] }))
  const [a, b, out] = logs as [Log, Log, Log]
  let nowMs = 0
  const timed = (): { startMs: number; endMs: number } => ({ startMs: ++nowMs, endMs: ++nowMs })
  const put = (log: Log, id: string, of: { transaction?: string; isVisible?: boolean; ordered?: boolean }): void => {
    const { transaction = null, isVisible = true, ordered = true } = of
    const offset = log.end++
    log.records.push([offset, id])
    if (isVisible) log.committed.push([offset, id])
    const { partition } = log
    const producer = id.split(' ')[0]!
    const what = { partition, producer, id, outcome: 'ok', offset, transaction, ordered } as const
    operations.push({ kind: 'append', ...what, ...timed() })
  }
  const read = new Map<string, number>()
  const poll = (log: Log, committed: boolean): void => {
    const reader = `${committed ? 'committed' : 'any'} reader of ${log.partition}`
    const from = read.get(reader) ?? 0
    const all = committed ? log.committed : log.records
    read.set(reader, all.length)
    operations.push({ kind: 'poll', reader, committed, partition: log.partition, records: all.slice(from), ...timed() })
  }
  for (let round = 0; round < rounds; round++) {
    const transaction = `t${round}`
    const commits = round % 3 !== 2
    for (const log of [a, b]) {
      put(log, `ordered-${log.partition} ${round}`, {})
      put(log, `plain-${log.partition} ${round}`, { ordered: false })
      put(log, `${transaction} in ${log.partition}`, { transaction, isVisible: commits })
    }
    operations.push({ kind: 'end', transaction, commits, outcome: 'ok', ...timed() })
    // The marker.
    a.end++
    b.end++
    for (const log of [a, b]) {
      poll(log, false)
      poll(log, true)
      operations.push({ kind: 'bounds', partition: log.partition, end: log.end, ...timed() })
    }
    const place = { group: 'g', partition: 'a', offset: a.end }
    operations.push({ kind: 'commit', ...place, outcome: 'ok', ...timed() })
    operations.push({ kind: 'committed', ...place, ...timed() })
  }
  for (const [offset] of a.committed) {
    const transaction = `copies ${offset}`
    put(out, copyId('a', offset), { transaction })
    operations.push({ kind: 'end', transaction, commits: true, outcome: 'ok', ...timed() })
    out.end++
  }
  return { operations, logs, copies: [{ from: a, to: [out], position: a.end }] }
}

const check = ({ operations, logs, copies }: Run): Anomaly[] => anomalies(operations, logs, copies)
const kindsOf = (run: Run): Set<string> => new Set(check(run).map(({ kind }) => kind))

test('a right run passes', () => {
  assert.deepEqual(check(rightRun(10)), [])
})
test('what was not answered may be there or not, once', () => {
  const run = rightRun(4)
  const unanswered = (id: string) => change(run, 'append', (one) => one.id === id, { outcome: 'unknown', offset: null })
  unanswered('ordered-a 3')
  assert.deepEqual(check(run), [])
  // The last of an ordered producer, never read.
  run.operations.push({
    kind: 'append',
    partition: 'a',
    producer: 'ordered-a',
    id: 'ordered-a 4',
    outcome: 'unknown',
    offset: null,
    transaction: null,
    ordered: true,
    startMs: 1e6,
    endMs: 2e6,
  })
  change(run, 'end', (one) => one.transaction === 't3', { outcome: 'unknown' })
  assert.deepEqual(check(run), [])
})

type Kind = Operation['kind']
type Of<K extends Kind> = Extract<Operation, { kind: K }>
/** Changes the first operation that is meant; a test whose operation is not there must fail. */
function change<K extends Kind>(run: Run, kind: K, is: (one: Of<K>) => boolean, to: Partial<Of<K>>): void {
  const at = run.operations.findIndex((one) => one.kind === kind && is(one as Of<K>))
  assert.ok(at >= 0, `no such ${kind}`)
  run.operations[at] = { ...run.operations[at]!, ...to } as Operation
}
const logOf = (run: Run, partition: string): Log => run.logs.find((log) => log.partition === partition)!
const without = (seen: readonly Seen[], id: string): Seen[] => seen.filter((one) => one[1] !== id)
/** Takes a record from the log and from everybody who was given it. */
function forget(run: Run, partition: string, id: string): void {
  const log = logOf(run, partition)
  log.records = without(log.records, id)
  log.committed = without(log.committed, id)
  run.operations = run.operations.map((one) =>
    one.kind === 'poll' ? { ...one, records: without(one.records, id) } : one,
  )
}
/** A record more at the end of a log, which nobody was given. */
function append(run: Run, partition: string, id: string, isVisible = true): void {
  const log = logOf(run, partition)
  log.records.push([log.end, id])
  if (isVisible) log.committed.push([log.end, id])
  log.end++
}
const swapped = (seen: readonly Seen[], one: string, other: string): Seen[] =>
  seen.map(([offset, id]) => [offset, id === one ? other : id === other ? one : id])
const pollOf =
  (reader: string, id: string) =>
  (one: Of<'poll'>): boolean =>
    one.reader === reader && one.records.some((seen) => seen[1] === id)
const changePoll = (run: Run, reader: string, id: string, to: (records: readonly Seen[]) => readonly Seen[]): void => {
  const found = run.operations.find((one): one is Of<'poll'> => one.kind === 'poll' && pollOf(reader, id)(one))
  assert.ok(found !== undefined, `${reader} was not given ${id}`)
  run.operations[run.operations.indexOf(found)] = { ...found, records: to(found.records) }
}
const txnOf = (run: Run, transaction: string, to: Partial<Of<'end'>>): void =>
  change(run, 'end', (one) => one.transaction === transaction, to)

const bugs: readonly (readonly [says: string, kind: Anomaly['kind'], plant: (run: Run) => void])[] = [
  ['an acknowledged record is gone', 'lost', (run) => forget(run, 'a', 'ordered-a 3')],
  [
    'a record that a reader was given is gone',
    'lost',
    (run) => {
      logOf(run, 'a').records = without(logOf(run, 'a').records, 'plain-a 3')
    },
  ],
  [
    'a repetition was acknowledged, and the record is not there',
    'lost',
    (run) => {
      change(run, 'append', (one) => one.id === 'ordered-a 3', { offset: null })
      forget(run, 'a', 'ordered-a 3')
    },
  ],
  ['a record stands twice', 'duplicate', (run) => append(run, 'a', 'ordered-a 3')],
  ['a record sent once stands twice', 'duplicate', (run) => append(run, 'b', 'plain-b 1')],
  [
    'two acknowledged records have one offset',
    'conflict',
    (run) => change(run, 'append', (one) => one.id === 'plain-a 3', { offset: 0 }),
  ],
  [
    'an offset gives another record than before',
    'conflict',
    (run) => changePoll(run, 'any reader of a', 'plain-a 3', (seen) => swapped(seen, 'plain-a 3', 'ordered-a 3')),
  ],
  [
    'two records of an ordered producer are exchanged',
    'reordered',
    (run) => {
      const log = logOf(run, 'a')
      for (const id of ['ordered-a 3', 'ordered-a 4'])
        change(run, 'append', (one) => one.id === id, { outcome: 'unknown', offset: null })
      log.records = swapped(log.records, 'ordered-a 3', 'ordered-a 4')
      log.committed = swapped(log.committed, 'ordered-a 3', 'ordered-a 4')
    },
  ],
  [
    'an append takes a place before one that had ended',
    'stale',
    (run) => change(run, 'append', (one) => one.id === 'plain-a 0', { startMs: 1e6, endMs: 1e6 + 1 }),
  ],
  [
    'an append takes a place before an end that was told',
    'stale',
    (run) => change(run, 'bounds', (one) => one.partition === 'a', { startMs: 0, endMs: 0.5 }),
  ],
  [
    'the end that is told goes back',
    'receded',
    (run) => change(run, 'bounds', (one) => one.partition === 'a' && one.end > 10, { end: 5 }),
  ],
  [
    'the log ends before what was told',
    'receded',
    (run) => {
      run.operations.push({ kind: 'bounds', partition: 'a', end: 10_000, startMs: 1e6, endMs: 1e6 + 1 })
    },
  ],
  [
    'a reader is given records again',
    'backwards',
    (run) => changePoll(run, 'committed reader of a', 'plain-a 3', (seen) => [...seen, ...seen]),
  ],
  [
    'a reader goes back to an earlier record',
    'backwards',
    (run) => changePoll(run, 'any reader of a', 'plain-a 3', (seen) => [...seen, [0, 'ordered-a 0']]),
  ],
  [
    'a reader is not given a record',
    'skipped',
    (run) => changePoll(run, 'any reader of b', 'plain-b 3', (seen) => without(seen, 'plain-b 3')),
  ],
  [
    'a committed reader is not given what was committed',
    'skipped',
    (run) => changePoll(run, 'committed reader of b', 't3 in b', (seen) => without(seen, 't3 in b')),
  ],
  ['a record that nobody sent', 'foreign', (run) => append(run, 'a', 'nobody 1')],
  ['a record of another partition', 'foreign', (run) => append(run, 'a', 'ordered-b 3')],
  [
    'a record that was refused',
    'foreign',
    (run) => change(run, 'append', (one) => one.id === 'plain-a 3', { outcome: 'fail', offset: null }),
  ],
  [
    'a record is read before it is sent',
    'foreign',
    (run) => change(run, 'append', (one) => one.id === 'plain-a 3', { startMs: 1e6, endMs: 1e6 + 1 }),
  ],
  [
    'a committed reader is given what is not committed yet',
    'dirty read',
    (run) => txnOf(run, 't3', { startMs: 1e6, endMs: 1e6 + 1 }),
  ],
  [
    'a committed reader is given what was aborted',
    'aborted read',
    (run) => {
      const id = 't2 in a'
      const [offset] = logOf(run, 'a').records.find((one) => one[1] === id)!
      changePoll(run, 'committed reader of a', 'plain-a 2', (seen) => [...seen, [offset, id]])
    },
  ],
  ['what was aborted counts as committed', 'aborted read', (run) => txnOf(run, 't3', { commits: false })],
  [
    'one partition has the transaction, the other has not',
    'torn',
    (run) => {
      logOf(run, 'b').committed = without(logOf(run, 'b').committed, 't3 in b')
    },
  ],
  ['a late end commits the next transaction', 'late end', (run) => txnOf(run, 't3', { outcome: 'fail' })],
  [
    'a transaction whose end nobody sent is there',
    'late end',
    (run) => {
      run.operations = run.operations.filter((one) => one.kind !== 'end' || one.transaction !== 't3')
    },
  ],
  [
    'a commit that was answered has no effect',
    'uncommitted',
    (run) => {
      for (const log of ['a', 'b']) logOf(run, log).committed = without(logOf(run, log).committed, `t3 in ${log}`)
    },
  ],
  [
    'a position that was committed is gone',
    'position lost',
    (run) => change(run, 'committed', (one) => one.offset === 20, { offset: null }),
  ],
  [
    'a position goes back',
    'position lost',
    (run) => change(run, 'committed', (one) => one.offset === 20, { offset: 4 }),
  ],
  ['an input is worked on twice', 'copied twice', (run) => append(run, 'out', copyId('a', 4))],
  [
    'an input is left out',
    'not copied',
    (run) => {
      const out = logOf(run, 'out')
      out.committed = without(out.committed, copyId('a', 4))
    },
  ],
  [
    'the output is there without the position',
    'copied early',
    (run) => {
      run.copies = [{ ...run.copies[0]!, position: 3 }]
    },
  ],
]

describe('a planted bug is caught', () => {
  assert.ok(bugs.length >= 20)
  for (const [says, kind, plant] of bugs)
    test(`${kind}: ${says}`, () => {
      const run = rightRun(8)
      plant(run)
      const found = kindsOf(run)
      assert.ok(found.has(kind), `found ${[...found].join(', ') || 'nothing'}`)
    })
})

test('10,000 operations are checked within a second', (t) => {
  const run = rightRun(550)
  assert.ok(run.operations.length > 10_000)
  const start = process.cpuUsage()
  assert.deepEqual(check(run), [])
  // Of the processor: what else runs on the machine is not the check's.
  const ms = process.cpuUsage(start).user / 1000
  t.diagnostic(`${run.operations.length} operations: ${Math.round(ms)} ms`)
  assert.ok(ms < 1_000, `${ms} ms`)
})
