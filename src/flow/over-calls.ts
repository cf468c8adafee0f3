/**
 * What the calls of OVER give for rows of a partition, in their order. Frames only move forward, so an aggregate takes in
 * what comes into its frame and takes away what leaves it, however long the frame is: its sums, and which rows are in
 * them, lie in the partition's row of a state table and go on where they stopped. Rows that no later frame reaches are
 * dropped by whoever keeps them (`keptFrom`); places are counted from the first row that was not.
 */
import type { Columns } from '../schema/types.ts'
import { assert } from '../lib/assert.ts'
import { Fold } from './aggregates/fold.ts'
import type { Evaluated } from './evaluate.ts'
import type { Expression, Value } from './expression.ts'
import type { State } from './operator.ts'
import { frameEdges, type PartitionRows, Peers, RangeAxis } from './over-frames.ts'
import type { FrameEnd, Order, OverCall, OverFrame } from './plan.ts'
import type { StateTable, TableSpec } from './state.ts'

const rankings = new Set(['row_number', 'rank', 'dense_rank', 'percent_rank', 'cume_dist', 'ntile'])
const whole = new Set(['percent_rank', 'cume_dist', 'ntile'])
const moves = new Set(['lag', 'lead'])
const ends = new Set(['first_value', 'last_value'])
const isFold = ({ name }: OverCall): boolean => !rankings.has(name) && !moves.has(name) && !ends.has(name)

/** How far rows look: `all`, or some rows, or along the order. */
export interface Reach {
  readonly all: boolean
  readonly rows: number
  /** null: not even to its peers. */
  readonly range: number | null
}
const nowhere: Reach = { all: false, rows: 0, range: null }
const everywhere: Reach = { all: true, rows: 0, range: null }
const further = (a: Reach, b: Reach): Reach => ({
  all: a.all || b.all,
  rows: Math.max(a.rows, b.rows),
  range: a.range === null ? b.range : b.range === null ? a.range : Math.max(a.range, b.range),
})
function reachOfEnd(end: FrameEnd, at: 'preceding' | 'following', { unit }: OverFrame): Reach {
  if (end.at === 'unbounded') return everywhere
  const by = end.at === at ? end.value : 0
  // Rows whose order is NULL reach to their peers whatever the range.
  return unit === 'rows' ? { ...nowhere, rows: by } : { ...nowhere, range: by }
}
function reachOf(call: OverCall, at: 'preceding' | 'following'): Reach {
  if (whole.has(call.name)) return everywhere
  if (rankings.has(call.name)) return at === 'preceding' ? everywhere : nowhere
  if (moves.has(call.name))
    return (call.name === 'lag') === (at === 'preceding') ? { ...nowhere, rows: offsetOf(call) } : nowhere
  return reachOfEnd(at === 'preceding' ? call.frame.from : call.frame.to, at, call.frame)
}
/** How far the calls look back, or ahead. */
export const reach = (calls: readonly OverCall[], at: 'preceding' | 'following'): Reach =>
  calls.map((call) => reachOf(call, at)).reduce(further, nowhere)
/** True where a row waits for what comes behind it, and those equal in order. */
export function looksAhead(calls: readonly OverCall[]): boolean {
  const { all, rows, range } = reach(calls, 'following')
  return all || rows > 0 || (range ?? 0) > 0
}
/** True where a row's values are never final. */
export const looksAtAll = (calls: readonly OverCall[]): boolean => reach(calls, 'following').all

const offsetOf = ({ args }: OverCall): number => (args[1]?.kind === 'literal' ? (args[1].value as number) : 1)

// Fields of a partition's row: rows dropped so far, the dense rank of the last row given; of each fold how many of all its
// rows came into the frame and how many left it.
const droppedAt = 0
const denseAt = 1
const foldsAt = 2
interface FoldGroup {
  readonly fold: Fold
  readonly frame: OverFrame
  /** Positions among the calls. */
  readonly calls: readonly number[]
  readonly leftAt: number
  readonly members: number
}

export class OverCalls {
  /** The partition's row, then members of folds. */
  readonly tables: readonly TableSpec[]
  /** After `evaluate`: rows before this one are looked at no more. */
  keptFrom = 0
  private readonly calls: readonly OverCall[]
  private readonly axis: RangeAxis | null
  private readonly isOrdered: boolean
  private readonly folds: readonly FoldGroup[]
  /** first_value() of what began with the partition, as it is kept: by call, the place of its value. */
  private readonly firsts = new Map<number, number>()

  constructor(calls: readonly OverCall[], order: readonly Order[], input: Columns) {
    this.calls = calls
    this.isOrdered = order.length > 0
    this.axis = order[0] === undefined ? null : new RangeAxis(order[0], input[order[0].column]!.type)
    for (const [i, call] of calls.entries())
      if (call.name === 'first_value' && call.frame.from.at === 'unbounded') this.firsts.set(i, this.firsts.size)
    const byFrame = Map.groupBy(
      calls.flatMap((call, i) => (isFold(call) ? [i] : [])),
      (i) => JSON.stringify(calls[i]!.frame),
    )
    let numbers = foldsAt + byFrame.size * 2
    let values = this.firsts.size
    let members = 1
    this.folds = [...byFrame.values()].map((list, n) => {
      const { frame } = calls[list[0]!]!
      const fold = new Fold(
        list.map((i) => calls[i]!),
        frame.from.at === 'unbounded',
        numbers,
        values,
      )
      numbers = fold.numbers
      values = fold.values
      return {
        fold,
        frame,
        calls: list,
        leftAt: foldsAt + n * 2,
        members: fold.members === null ? -1 : members++,
      }
    })
    this.tables = [
      { name: 'partitions', numbers, values },
      ...this.folds.flatMap(({ fold, members: n }) =>
        fold.members === null ? [] : [{ ...fold.members.spec, name: n === 1 ? 'members' : `members_${n}` }],
      ),
    ]
  }
  rebuild(state: State): void {
    for (const { fold, members } of this.folds) fold.members?.rebuild(state[members]!, (key) => state[0]!.findKey(key))
  }

  /**
   * The values of the rows from `from` to `to`, the rows before `from` having had theirs. The partition's row must have
   * been touched. `fresh`: nothing is known of the rows before, which are all there.
   */
  evaluate(
    state: State,
    partition: number,
    rows: PartitionRows,
    { from, to, fresh }: { from: number; to: number; fresh: boolean },
  ): Value[][] {
    const out: Value[][] = Array.from({ length: to - from }, () => [])
    this.keptFrom = to
    if (from >= to) return out
    const peers = new Peers(rows, this.isOrdered)
    const place: Place = { table: state[0]!, id: partition, rows, peers, from, to, fresh, out }
    for (const group of this.folds) this.fold(group, state, place)
    for (const [i, call] of this.calls.entries()) {
      if (rankings.has(call.name)) this.rank(call.name, i, place)
      else if (moves.has(call.name)) this.move(i, place)
      else if (ends.has(call.name)) this.end(i, place)
    }
    return out
  }
  /** How many of the rows have no more than this rank. */
  rowsWithin(call: number, limit: number, rows: PartitionRows): number {
    const { name } = this.calls[call]!
    if (name === 'row_number') return Math.min(rows.count, limit)
    const peers = new Peers(rows, this.isOrdered)
    let row = 0
    for (let group = 1; row < rows.count && (name === 'rank' ? row + 1 : group) <= limit; group++) row = peers.end(row)
    return row
  }
  /** Drops so many of the first rows from the count of places. */
  drop({ numbers, spec }: StateTable, partition: number, count: number): void {
    numbers[partition * spec.numbers + droppedAt]! += count
  }
  /** Removes what is kept of a partition. */
  forget(state: State, partition: number): void {
    for (const { fold, members } of this.folds) fold.members?.drop(state[0]!, state[members]!, partition)
    state[0]!.remove(partition)
  }

  private fold(group: FoldGroup, state: State, place: Place): void {
    const { fold, frame, calls, leftAt } = group
    const { table, id, rows, peers, from, to, fresh, out } = place
    const members = group.members < 0 ? undefined : state[group.members]
    const at = id * table.spec.numbers
    const dropped = table.numbers[at + droppedAt]!
    const isOpen = frame.from.at === 'unbounded'
    const known = (field: number): number => (fresh ? 0 : Math.max(0, table.numbers[at + field]! - dropped))
    const edges = frameEdges(frame, this.axis, rows, {
      from,
      to,
      peers,
      startAt: known(leftAt),
      endAt: known(leftAt + 1),
    })
    let left = isOpen ? 0 : fresh ? edges.starts[0]! : known(leftAt)
    let come = fresh ? left : known(leftAt + 1)
    const [firstLeft, firstCome] = [left, come]
    const lastLeft = isOpen ? 0 : edges.starts.at(-1)!
    const coming = prepared(fold, rows, come, Math.max(edges.ends.at(-1)!, lastLeft))
    const leaving = prepared(fold, rows, left, lastLeft)
    let results: Value[] | null = null
    for (let i = 0; i < out.length; i++) {
      const start = isOpen ? 0 : edges.starts[i]!
      // A frame that ends before it begins is empty: what lies between comes and goes.
      const end = Math.max(edges.ends[i]!, start)
      if (results === null || come < end || left < start) {
        if (come < end) fold.resume(coming!)
        for (; come < end; come++) fold.add(table, id, members, come - firstCome, 1)
        if (left < start) fold.resume(leaving!)
        for (; left < start; left++) fold.add(table, id, members, left - firstLeft, -1)
        results = []
        fold.results(table, id, members, results, 0)
      }
      for (let c = 0; c < calls.length; c++) out[i]![calls[c]!] = results[c]!
    }
    table.numbers[at + leftAt] = left + dropped
    table.numbers[at + leftAt + 1] = come + dropped
    this.keep(isOpen ? come : left)
  }
  private keep(from: number): void {
    this.keptFrom = Math.max(0, Math.min(this.keptFrom, from))
  }
  private rank(name: string, call: number, { table, id, rows, peers, from, to, fresh, out }: Place): void {
    const at = id * table.spec.numbers
    const dropped = table.numbers[at + droppedAt]!
    const set = (value: (row: number) => Value): void => {
      for (let row = from; row < to; row++) out[row - from]![call] = value(row)
    }
    switch (name) {
      case 'row_number':
        return set((row) => dropped + row + 1)
      case 'rank':
        set((row) => dropped + peers.start(row) + 1)
        return this.keep(peers.start(to - 1))
      case 'dense_rank': {
        let dense = fresh ? 0 : table.numbers[at + denseAt]!
        if (fresh) for (let row = 0; row < from; row = peers.end(row)) dense++
        const isNext = (row: number): boolean => row === 0 || (this.isOrdered && !rows.isPeer(row - 1, row))
        set((row) => (isNext(row) ? ++dense : dense))
        table.numbers[at + denseAt] = dense
        return this.keep(to - 1)
      }
      case 'percent_rank':
        return set((row) => (rows.count < 2 ? 0 : peers.start(row) / (rows.count - 1)))
      case 'cume_dist':
        return set((row) => peers.end(row) / rows.count)
      default:
        return set((row) => bucketOf(row, rows.count, this.calls[call]!.args[0]!))
    }
  }
  private move(call: number, { rows, from, to, out }: Place): void {
    const { name, args } = this.calls[call]!
    const offset = offsetOf(this.calls[call]!)
    for (let row = from; row < to; row++) {
      const other = name === 'lag' ? row - offset : row + offset
      const isThere = other >= 0 && other < rows.count
      out[row - from]![call] = isThere
        ? argument(args[0]!, rows, other)
        : args[2] === undefined
          ? null
          : argument(args[2], rows, row)
    }
    if (name === 'lag') this.keep(to - offset)
  }
  private end(call: number, { table, id, rows, peers, from, to, fresh, out }: Place): void {
    const { name, args, frame } = this.calls[call]!
    const dropped = table.numbers[id * table.spec.numbers + droppedAt]!
    const edges = frameEdges(frame, this.axis, rows, { from, to, peers, startAt: 0, endAt: 0 })
    const isOpen = frame.from.at === 'unbounded'
    const kept = this.firsts.get(call)
    const first = kept === undefined ? null : this.first({ table, id, rows }, kept, args[0]!, fresh || dropped === 0)
    for (let i = 0; i < out.length; i++) {
      const start = edges.starts[i]!
      const end = edges.ends[i]!
      const isEmpty = isOpen ? dropped + end === 0 : start >= end
      if (isEmpty) out[i]![call] = null
      else if (name === 'last_value') out[i]![call] = argument(args[0]!, rows, end - 1)
      else out[i]![call] = kept === undefined ? argument(args[0]!, rows, start) : first
    }
    const end = edges.ends.at(-1)!
    this.keep(name === 'last_value' ? end - 1 : end)
    // Where the frame begins is looked for anew.
    if (!isOpen) this.keep(edges.starts.at(-1)!)
  }
  /** The value of the partition's first row, kept from when that row is there. */
  private first(
    { table, id, rows }: Pick<Place, 'table' | 'id' | 'rows'>,
    kept: number,
    arg: Expression,
    isThere: boolean,
  ): Value {
    const place = id * table.spec.values + kept
    if (isThere) table.values[place] = argument(arg, rows, 0)
    return table.values[place]!
  }
}
interface Place {
  readonly table: StateTable
  readonly id: number
  readonly rows: PartitionRows
  readonly peers: Peers
  readonly from: number
  readonly to: number
  readonly fresh: boolean
  readonly out: Value[][]
}

function prepared(fold: Fold, rows: PartitionRows, from: number, to: number): Evaluated | null {
  if (from >= to) return null
  const evaluated = fold.prepare(rows.batch(from, to), 0)
  assert(evaluated.failed === null, 'arguments are columns')
  return evaluated
}
function argument(expr: Expression, rows: PartitionRows, row: number): Value {
  if (expr.kind === 'column') return rows.value(row, expr.index)
  assert(expr.kind === 'literal', 'an argument is a column or a literal')
  return expr.value
}
/** The first buckets are one row longer where the rows do not divide evenly. */
function bucketOf(row: number, count: number, arg: Expression): number {
  const buckets = arg.kind === 'literal' ? (arg.value as number) : 1
  const size = Math.floor(count / buckets)
  const longer = count % buckets
  const inLonger = longer * (size + 1)
  return row < inLonger ? Math.floor(row / (size + 1)) + 1 : longer + Math.floor((row - inLonger) / size) + 1
}
