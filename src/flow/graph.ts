/**
 * A plan as operators that run: nodes in an order in which inputs come before those who use them; a step that stands at
 * several places of the plan as the same object is one node. One step takes new rows
 * of the sources through all of them; watermarks travel along: a node's is the smallest of its inputs' (one whose source
 * is idle holds nothing back) and never goes back; that of an operator which leads with its first input never passes that
 * input's, idle or not. All state, the clocks' included, lies in tables that are committed,
 * undone, saved and restored together.
 *
 * Long because nodes, ticks and state are one object: apart, each would reach into the others.
 */
import { Fault } from '../lib/fault.ts'
import type { Clock } from '../lib/world.ts'
import type { Schemas } from '../schema/formats/registry.ts'
import type { Columns } from '../schema/types.ts'
import { heldBack } from './alignment.ts'
import { type Batch, type FailedRows, type LateRows, emptyBatch, sourceOf } from './batch.ts'
import { type ClockOptions, SourceClock, clockTable, saveWatermark, savedWatermark } from './clock.ts'
import { type Decoder, createDecoder } from './decode.ts'
import { KeyWriter } from './key.ts'
import type { Operator, Room, StepTime } from './operator.ts'
import { operatorOf } from './operator-of.ts'
import { upsert } from './operators/upsert.ts'
import { inPieces, Pass } from './pieces.ts'
import type { Plan, SourcePlan } from './plan.ts'
import { inputsOf, label } from './plan-facts.ts'
import { type ChangesFound } from './parts/asks.ts'
import { FarNode, type FarParts, type Later, type PartLinks, farParts, together } from './parts/far-parts.ts'
import { type SlicedSteps, slicedSteps } from './slices.ts'
import { type Exchange, exchangesOf, isHeavy, partOfSlot, spread } from './spread.ts'
import { SpillFiles, type SpillOptions } from './spill.ts'
import { spillTo } from './spill-runs.ts'
import { RowAges } from './state-ages.ts'
import { ChangeList, type ChangesTo, type StateChange, StateTable } from './state.ts'
import { type StateSizes, addSizes, partSizes, crowdedFrom, roomFrom, roomTo } from './step-state.ts'
import {
  Left,
  type Marks,
  type SavedMarks,
  changelogPrefix,
  keyOfChangelog,
  marksOf,
  missing,
  readMarks,
  stateVersion,
} from './state-marks.ts'
import { Rate } from '../telemetry/rate.ts'

export interface GraphOptions {
  readonly idleMs: number
  readonly maxFutureMs: number
  /** As in `ClockOptions`. */
  readonly steadyMs?: () => number
  /** Watermarks stand still until `finish`: nothing is late. */
  readonly standing?: boolean
  /** Steps whose state can be cut by slots are so many. Default: 1. */
  readonly parallelism?: number
  /** Where schemas are that ids before values name. */
  readonly schemas?: Schemas
  /** Above so many bytes rows of state go to files in `folder`, where operators can do without them. */
  readonly memory?: SpillOptions & { readonly bytes: number }
  /** State that was not written for so long goes, of operators that let it (`Operator.forgetOld`). */
  readonly ttlMs?: number
  /** Measures what passes through the nodes, and how long they are at work. */
  readonly clock?: Clock
  /** Threads that parts of its steps may be on; all but the first part, where there are enough. */
  readonly far?: PartLinks
}
/** Index, decoder and clock are those that the state was kept with, from `restored` on. */
export interface Source {
  index: number
  readonly node: Node
  readonly plan: SourcePlan
  decoder: Decoder
  clock: SourceClock
}
export interface Node {
  readonly id: number
  readonly kind: string
  readonly plan: Plan
  readonly label: string
  readonly columns: Columns
  readonly inputs: readonly Node[]
  /** null: a source without state. */
  readonly operator: Operator | null
  /** Of the parts that are here. */
  readonly tables: readonly StateTable[]
  /** Its other parts. */
  readonly far: readonly FarNode[]
  source: Source | null
  watermark: number
  /** Its sources are all idle: it holds nothing back. */
  idle: boolean
  /** Committed. */
  counts: Counts
  /** Of the tick that is on its way. */
  pending: Counts
  /** Over the last seconds; null: not measured. */
  readonly meter: { readonly rowsOut: Rate; readonly busyMs: Rate } | null
}
export interface Counts {
  rowsIn: number
  rowsOut: number
  late: number
  lateAfterIdle: number
  failed: number
}
const zero = (): Counts => ({ rowsIn: 0, rowsOut: 0, late: 0, lateAfterIdle: 0, failed: 0 })
export interface StepResult {
  readonly out: Batch
  readonly late: readonly { readonly node: Node; readonly rows: LateRows }[]
  readonly failed: readonly { readonly node: Node; readonly rows: FailedRows }[]
}

/** The graph's own tables in the state: its clocks are the first. */
export const metaNumber = 1
export const metaTable = { name: 'meta', numbers: 0, values: 1 }
/** Operator 0 of the state is the graph itself: its clocks and its meta data. */
export const graphOperator = 0

export class Graph {
  readonly nodes: Node[] = []
  readonly sources: Source[] = []
  private readonly options: GraphOptions
  private readonly clocks = new StateTable(clockTable)
  private readonly meta = new StateTable(metaTable)
  private readonly output: Node
  private readonly byPlan = new Map<Plan, Node>()
  private known: Marks | null = null
  /** Of operators that the plan does not have: told as gone with the next changes. */
  private readonly left = new Left()

  private readonly spill: SpillFiles | null
  /** Of the steps that are cut. */
  private readonly exchanges: ReadonlyMap<Plan, Exchange>
  private readonly sliced: SlicedSteps
  /** Parts on other threads, a thread each. */
  private readonly far: readonly FarParts[]

  constructor(plan: Plan, options: GraphOptions) {
    this.options = options
    const { memory } = options
    this.spill = memory === undefined ? null : new SpillFiles(memory)
    const hasThreads = (options.far?.links.length ?? 0) > 0
    const cut = this.parallelism === 1 ? [] : [...exchangesOf(plan)].filter(([step]) => !hasThreads || isHeavy(step))
    this.exchanges = new Map(cut)
    this.far = farParts(plan, this.exchanges, options)
    this.sliced = slicedSteps(plan)
    this.output = this.build(plan)
    this.rebuild()
  }
  /** Of a row's provenance. */
  topicOf(sourcePartition: number): string {
    const index = sourceOf(sourcePartition)
    return this.sources.find((source) => source.index === index)?.plan.topic ?? this.marks.topicOf(index)!
  }
  /** What names its operators and sources in the state. */
  get marks(): Marks {
    return (this.known ??= marksOf(this))
  }

  /** null: sources have none. */
  get schemas(): Schemas | null {
    return this.options.schemas ?? null
  }

  get parallelism(): number {
    return this.options.parallelism ?? 1
  }

  // Building.

  private build(plan: Plan): Node {
    return this.byPlan.get(plan) ?? this.buildNew(plan)
  }
  private buildNew(plan: Plan): Node {
    if (plan.op === 'source') return this.buildSource(plan)
    const inputs = inputsOf(plan).map((input) => this.build(input))
    return this.add(
      plan,
      inputs,
      this.spread(plan, () => operatorOf(plan, this.options.standing === true, this.sliced)),
    )
  }
  private spread(plan: Plan, make: () => Operator): Operator {
    const exchange = this.exchanges.get(plan)
    if (exchange === undefined) return make()
    const far = this.farNodes(plan)
    return spread(plan, make, { exchange, parts: this.parallelism, far })
  }
  /** Of the step that is about to be added. */
  private farNodes(plan: Plan): FarNode[] {
    const step = this.nodes.length + 1
    return this.exchanges.has(plan) ? this.far.map((parts) => new FarNode(parts, step, () => this.forgetAtMs)) : []
  }
  /** When state that is old went in this tick. */
  private forgetAtMs: number | null = null
  private buildSource(plan: SourcePlan): Node {
    const isKeyed = plan.mode === 'upsert'
    const operator = isKeyed ? this.spread(plan, () => upsert(plan.columns, plan.key, plan.columns.length)) : null
    const node = this.add(plan, [], operator)
    node.source = { node, plan, ...this.reading(plan, this.sources.length) }
    this.sources.push(node.source)
    return node
  }
  private reading(plan: SourcePlan, index: number): Pick<Source, 'index' | 'decoder' | 'clock'> {
    const delayMs = this.options.standing === true ? Infinity : (plan.time?.delayMs ?? 1) + (plan.latenessMs ?? 0)
    const { idleMs, maxFutureMs, steadyMs } = this.options
    const options: ClockOptions = { idleMs, maxFutureMs, delayMs, ...(steadyMs === undefined ? {} : { steadyMs }) }
    return {
      index,
      decoder: createDecoder(plan, index, { schemas: this.schemas }),
      clock: new SourceClock(index, options, this.clocks),
    }
  }
  private add(plan: Plan, inputs: readonly Node[], operator: Operator | null): Node {
    const { clock } = this.options
    const node: Node = {
      id: this.nodes.length + 1,
      kind: plan.op,
      plan,
      label: label(plan),
      columns: plan.columns,
      inputs,
      operator,
      tables: (operator?.tables ?? []).map((spec) => new StateTable(spec)),
      far: operator === null ? [] : this.farNodes(plan),
      source: null,
      watermark: -Infinity,
      idle: false,
      counts: zero(),
      pending: zero(),
      meter: clock === undefined ? null : { rowsOut: new Rate(clock), busyMs: new Rate(clock) },
    }
    if (this.spill !== null) for (const table of node.tables) spillTo(this.spill, table)
    const { ttlMs } = this.options
    if (ttlMs !== undefined && operator?.forgetOld !== undefined)
      for (const table of node.tables) table.ages = new RowAges(ttlMs)
    this.nodes.push(node)
    this.byPlan.set(plan, node)
    return node
  }

  // Running.

  /** Tells the sources which partitions they have; after `restore`. */
  open(partitions: (topic: string) => readonly { partition: number; unread: boolean }[], nowMs: number): void {
    for (const source of this.sources) source.clock.open(partitions(source.plan.topic), nowMs)
    for (const source of this.waitedFor(this.nodes)) source.clock.expect()
    this.loadWatermarks()
  }
  /** One step with new rows of the sources, by index. */
  step(rows: ReadonlyMap<number, Batch>, nowMs: number): StepResult {
    const pass = new Pass(rows)
    for (const node of this.nodes) {
      const batches = pass.inputsOf(node)
      const time = this.advance(node, nowMs)
      pass.gave(node, batches, this.run(node, batches, time))
      node.idle = this.isIdle(node)
    }
    return pass.result(this.output)
  }
  /** The same in pieces, where a step may make very many rows of few: only all of them together are a step. */
  pieces(rows: ReadonlyMap<number, Batch>, nowMs: number, room: Room): Iterable<StepResult> {
    if (!this.nodes.some(({ operator }) => operator?.pieces !== undefined)) return [this.step(rows, nowMs)]
    return inPieces(new Pass(rows), {
      nodes: this.nodes,
      output: this.output,
      advance: (node) => this.advance(node, nowMs),
      standing: ({ watermark }) => ({ nowUs: nowMs * 1000, before: watermark, watermark, due: watermark }),
      run: (node, batches, time) => this.run(node, batches, time),
      begin: ({ operator, tables }, batches, time) => operator!.pieces!(tables, batches, time, room),
      measured: (node, work) => this.measured(node, work),
      settle: (node) => (node.idle = this.isIdle(node)),
    })
  }
  /** Moves the node's watermark. */
  private advance(node: Node, nowMs: number): StepTime {
    const before = node.watermark
    if (this.options.ttlMs !== undefined) this.forgetOld(node, nowMs)
    const due = this.moveWatermark(node)
    return { nowUs: nowMs * 1000, before, watermark: node.watermark, due }
  }
  private forgetOld({ operator, tables }: Node, nowMs: number): void {
    this.forgetAtMs = nowMs
    for (const { ages } of tables) if (ages !== null) ages.nowMs = nowMs
    operator?.forgetOld?.(tables)
  }
  private run(node: Node, batches: readonly Batch[], time: StepTime): Batch {
    const { operator } = node
    if (operator === null) return batches[0]!
    if (batches.every((b) => b.count === 0) && !operator.waits(node.tables)) return emptyBatch
    return this.measured(node, () => operator.step(node.tables, batches, time))
  }
  /** Does what is the node's work. */
  measured<T>({ meter }: Node, work: () => T): T {
    const { clock } = this.options
    if (clock === undefined || meter === null) return work()
    const startedMs = clock.monotonic()
    try {
      return work()
    } finally {
      meter.busyMs.add(clock.monotonic() - startedMs)
    }
  }
  /** Gives how far rows may go that only wait (`StepTime.due`). */
  private moveWatermark(node: Node): number {
    if (node.source !== null) {
      const least = this.finished ? Infinity : node.source.clock.watermark()
      if (least !== null) node.watermark = Math.max(node.watermark, least)
      return node.watermark
    }
    const leads = node.operator?.leads === true
    const active = heldBy(node).filter((input) => !input.idle)
    const held = leads && node.inputs[0]!.idle ? [node.inputs[0]!, ...active] : active
    const delayMs = node.operator?.delayMs ?? 0
    if (held.length > 0) node.watermark = Math.max(node.watermark, leastOf(held) - delayMs)
    return Math.max(leastOf(active) - delayMs, node.watermark)
  }
  private isIdle({ source, operator, inputs, tables }: Node): boolean {
    if (source !== null) return !this.finished && source.clock.watermark() === null
    // What waits for another input is still to come.
    if (operator?.leads === true) return inputs[0]!.idle && !operator.waits(tables)
    return heldBy({ operator, inputs }).every((input) => input.idle)
  }
  /** Sources of the inputs that these nodes wait for. */
  private *waitedFor(nodes: readonly Node[]): IterableIterator<Source> {
    for (const { operator, inputs } of nodes)
      if (operator?.leads === true) for (const input of inputs.slice(1)) yield* sourcesUnder(input)
  }
  private finished = false
  /** The input has ended: every window closes, nothing waits any more. */
  finish(nowMs: number): StepResult {
    this.finished = true
    return this.step(new Map(), nowMs)
  }
  finishInPieces(nowMs: number, room: Room): Iterable<StepResult> {
    this.finished = true
    return this.pieces(new Map(), nowMs, room)
  }
  /** Leaves silent partitions out; call before a tick's first step. */
  markIdle(nowMs: number): void {
    // A table that has never held anything is waited for from the first row that asks for it.
    const without = this.nodes.filter(({ operator, tables }) => operator !== null && !operator.waits(tables))
    for (const { clock } of this.waitedFor(without)) clock.notMissed(nowMs)
    const held = this.heldBack()
    for (const { clock, plan } of this.sources) {
      for (const lane of held)
        if (lane.startsWith(`${plan.topic}/`)) clock.notSilent(Number(lane.slice(plan.topic.length + 1)), nowMs)
      clock.markIdle(nowMs)
    }
  }
  /** Some of its sources are aligned with others. */
  get isAligned(): boolean {
    return this.sources.some(({ plan }) => plan.alignment !== undefined)
  }
  /** Lanes of its input that are read no further for now (`alignment.ts`). */
  heldBack(): ReadonlySet<string> {
    return this.isAligned ? heldBack(this.sources) : none
  }
  /** When time alone may change the output; Infinity = not before a record comes. */
  nextTimerMs(): number {
    if (!this.waits() && this.heldBack().size === 0) return Infinity
    return Math.min(...this.sources.map(({ clock }) => clock.nextIdleMs()))
  }
  /** When the clock (`nowMs`) brings rows or takes them away; Infinity = never. */
  nextDueMs(): number {
    return Math.min(...this.nodes.map(({ operator, tables }) => operator?.due?.(tables) ?? Infinity))
  }
  /** True where a later watermark, or the first step, may bring rows. */
  waits(): boolean {
    return this.nodes.some((n) => n.operator !== null && n.operator.waits(n.tables))
  }
  /** True before the first tick of a plan whose result over nothing is a row. */
  get owesFirst(): boolean {
    return this.meta.count === 0 && this.waits()
  }
  get watermark(): number {
    return this.output.watermark
  }
  get stateBytes(): number {
    return sumOf(this.nodes, (node) => sizesOf(node).bytes)
  }

  // Memory.

  /** Between ticks: where state has more than its half of the memory, what was not used lately goes to files. */
  makeRoom(): void {
    const { memory } = this.options
    if (memory === undefined) return
    this.leastBytes = this.usedBytes
    if (this.leastBytes <= memory.bytes * roomFrom) return
    const spilling = this.nodes.filter(({ operator }) => operator?.evict !== undefined)
    const here = sumOf(spilling, usedOf)
    if (here === 0) return
    const part = Math.min(1, (this.usedBytes - memory.bytes * roomTo) / here)
    for (const node of spilling)
      this.measured(node, () => node.operator!.evict!(node.tables, Math.ceil(usedOf(node) * part)))
    this.spill!.compact()
    this.leastBytes = this.usedBytes
  }
  /** What `makeRoom` left. */
  private leastBytes = 0
  /** The tick on its way has taken so much of the memory that it had better end; not where the rest of it is what cannot go. */
  get isCrowded(): boolean {
    const { memory } = this.options
    if (memory === undefined) return false
    const { usedBytes } = this
    return usedBytes > memory.bytes * crowdedFrom && usedBytes > this.leastBytes * 2
  }
  /** Of the rows in memory, without what the arrays that they lie in could still take. */
  get usedBytes(): number {
    return sumOf(this.nodes, usedOf)
  }
  /** In files. */
  get spilledBytes(): number {
    return this.far.reduce((sum, { spilledBytes }) => sum + spilledBytes, this.spill?.bytes ?? 0)
  }
  /** That came back from them so far, to this thread. */
  get readFromFilesBytes(): number {
    return this.spill?.readBytes ?? 0
  }
  /** Until the next `clear`, nothing is asked for. */
  closeFiles(): void {
    this.spill?.clear()
    for (const parts of this.far) parts.closeFiles()
  }
  /** It is not used any more. */
  close(): void {
    for (const parts of this.far) parts.close()
  }
  /** The same; its memory goes back at once. */
  release(): void {
    this.close()
    for (const table of this.allTables()) table.giveBack()
  }
  /** While state is restored what operators keep beside their tables is not there yet. */
  private makeRoomToRestore(): void {
    const { memory } = this.options
    if (memory === undefined || this.restoresAll || ++this.restoredEntries % roomEveryEntries !== 0) return
    if (this.usedBytes <= memory.bytes * roomFrom) return
    for (const { operator, tables } of this.nodes) if (operator?.evict !== undefined) operator.rebuild(tables)
    this.makeRoom()
  }
  private restoredEntries = 0
  /** What is restored stays in memory, until `makeRoom`: all of it is about to be read. */
  restoresAll = false

  // State.

  /** Puts clocks, watermarks and what operators hold into their tables: the last act of a tick before `changes`. */
  save(nowMs: number): void {
    for (const node of this.nodes)
      if (node.operator?.save !== undefined) this.measured(node, () => node.operator!.save!(node.tables))
    for (const { clock } of this.sources) clock.save()
    for (const node of this.nodes) {
      const number = this.marks.watermarks.get(node)
      if (number !== undefined && node.watermark > -Infinity) saveWatermark(this.clocks, number, node.watermark)
    }
    this.remember('now', nowMs)
    this.remember('marks', this.marks.text)
  }
  /** A node with one input has its watermark: only those of sources, of joins and of what knows more by them are saved. */
  private loadWatermarks(): void {
    const { clocks } = this
    for (const node of this.nodes) {
      const [only, other] = node.inputs
      const follows = only !== undefined && other === undefined && node.operator?.keepsWatermark !== true
      if (follows) node.watermark = only.watermark
      // A graph that nothing was saved of needs no names for it.
      else node.watermark = clocks.count === 0 ? -Infinity : savedWatermark(clocks, this.marks.watermarks.get(node)!)
    }
  }
  private remember(name: string, value: number | string): void {
    const key = metaKey(name)
    let row = this.meta.find(key)
    if (row >= 0 && this.meta.values[row] === value) return
    if (row >= 0) this.meta.touch(row)
    else row = this.meta.add(key)
    this.meta.values[row] = value
  }
  /** What differs from the last commit; see `StateTable.tellChanges`. */
  tellChanges(to: ChangesTo): void {
    tellAll(graphOperator, [this.clocks, this.meta], to)
    for (const [node, { number }] of this.marks.operators) tellAll(number, node.tables, to, tablesOfPart(node))
    this.left.tell(to)
  }
  /**
   * What of it is on other threads, as batches of the state topic. They work on it from now until it is asked for: after `save`, which
   * is done meanwhile, whether that throws or not.
   */
  farChanges(to: {
    readonly nowMs: number
    readonly partitions: number
    readonly bytesMax: number
  }): Later<ChangesFound[]> {
    const numbers = new Map([...this.marks.operators].map(([node, { number }]) => [node.id, number]))
    const { forgetAtMs } = this
    const asked = this.far.map((parts) => parts.changes({ ...to, numbers, forgetAtMs }))
    return () => together(asked, () => {}).far.flat()
  }
  /** Each thread with parts does it, while `own` is done here. */
  private allFar(ask: 'commit' | 'undo' | 'clear' | 'restored', own: () => void): void {
    together(
      this.far.map((parts) => parts.ask({ ask })),
      own,
    )
  }
  /** The same as values. */
  changes(): StateChange[] {
    const list = new ChangeList()
    this.tellChanges(list)
    return list.changes
  }
  commit(): void {
    this.left.commit()
    this.forgetAtMs = null
    this.allFar('commit', () => {
      for (const table of this.allTables()) table.commit()
    })
    for (const node of this.nodes) {
      for (const name of countNames) node.counts[name] += node.pending[name]
      node.meter?.rowsOut.add(node.pending.rowsOut)
      node.pending = zero()
    }
  }
  /** Back to the last commit, rows and clocks and all that is derived from them. */
  undo(): void {
    this.forgetAtMs = null
    this.allFar('undo', () => {
      for (const table of this.allTables()) table.undo()
      for (const { clock } of this.sources) clock.reload()
      for (const node of this.nodes) node.pending = zero()
      this.loadWatermarks()
      this.rebuild()
    })
  }
  clear(): void {
    this.unreadable = null
    this.otherVersion = null
    this.left.clear()
    this.allFar('clear', () => {
      for (const table of this.allTables()) table.clear()
      this.rebuild()
    })
  }
  /** Takes an entry of the changelog. */
  restore(key: Uint8Array, value: Uint8Array | null, timeMs?: number): void {
    const { version, slot, operator, table: number, rest } = keyOfChangelog(key)
    if (operator === null) {
      this.otherVersion = version
      return
    }
    const place = operator === graphOperator ? [this.clocks, this.meta] : this.placeOf(operator, slot)
    if (place === undefined) return this.left.take(key, value)
    if ('parts' in place)
      return place.parts.restore({ ...place, table: number }, { key: rest, value, timeMs }, this.restoresAll)
    try {
      const table = place[number]
      if (table === undefined)
        throw new Fault('wire.malformed', { what: `state of operator ${operator}, table ${number}` })
      table.restore(rest, value, timeMs)
      this.makeRoomToRestore()
    } catch (error) {
      // Whether it is damage or the state of another plan is known when all of it is there.
      this.unreadable ??= error
    }
  }
  /** Tables of the part that holds the slot, or who has them. */
  private placeOf(operator: number, slot: number): readonly StateTable[] | FarPlace | undefined {
    const node = this.marks.byNumber.get(operator)
    if (node === undefined || partsOf(node) === 1) return node?.tables
    const part = partOfSlot(slot, partsOf(node))
    const index = node.operator!.here!.indexOf(part)
    if (index < 0) return { parts: this.far.find(({ parts }) => parts.includes(part))!, step: node.id, part }
    const count = tablesOfPart(node)
    return node.tables.slice(index * count, index * count + count)
  }
  private unreadable: unknown = null
  private otherVersion: number | null = null
  /**
   * After the last `restore`. Gives what the state says of itself where this plan is to go on with it though it is of another
   * (`into`: the print of this one); null: it is of this plan. Throws Fault flow.state-mismatch where an operator does not find
   * its state in what was saved, because another plan saved it.
   */
  restored(view: string, into: string | null = null): SavedMarks | null {
    if (this.otherVersion !== null)
      throw new Fault('flow.state-mismatch', {
        view,
        what: `it has format ${this.otherVersion}, this program's is ${stateVersion}`,
      })
    const saved = this.saved
    const adopts = saved !== null && into === this.marks.print && saved.print !== into
    if (saved !== null) {
      const others = adopts ? [] : missing(this.marks, saved)
      if (others.length > 0)
        throw new Fault('flow.state-mismatch', { view, what: `there is none of ${others.join(', ')}` })
      this.known = this.marks.after(saved)
      for (const source of this.sources) {
        const index = this.marks.index(source)
        if (index !== source.index) Object.assign(source, this.reading(source.plan, index))
      }
    }
    this.allFar('restored', () => {
      if (this.unreadable !== null) throw this.unreadable
      this.rebuild()
      for (const table of this.allTables()) table.settle()
    })
    return adopts ? saved : null
  }
  /** What the state that was committed last says of itself, and of this plan at that; null: there is none. */
  get committed(): SavedMarks | null {
    return this.saved === null ? null : this.marks.saved
  }
  /** What the state that was restored says of itself; null: there is none. */
  private get saved(): SavedMarks | null {
    const row = this.meta.find(metaKey('marks'))
    return row < 0 ? null : readMarks(this.meta.values[row])
  }
  private rebuild(): void {
    for (const node of this.nodes) node.operator?.rebuild(node.tables)
  }
  private *allTables(): IterableIterator<StateTable> {
    yield this.clocks
    yield this.meta
    for (const node of this.nodes) yield* node.tables
  }
}

const none: ReadonlySet<string> = new Set()
const roomEveryEntries = 4_096
/** Of all parts. */
export function sizesOf({ tables, far }: Pick<Node, 'tables' | 'far'>): StateSizes {
  const here = partSizes(tables)
  if (far.length === 0) return here
  return addSizes([here, ...far.map(({ status }) => status)])
}
const usedOf = (node: Node): number => sizesOf(node).usedBytes
const sumOf = (nodes: readonly Node[], of: (node: Node) => number): number =>
  nodes.reduce((sum, node) => sum + of(node), 0)

const countNames = ['rowsIn', 'rowsOut', 'late', 'lateAfterIdle', 'failed'] as const
/** How many hold its state; 1: it is not cut. */
export const partsOf = ({ operator }: Pick<Node, 'operator'>): number => operator?.parts ?? 1
export const tablesOfPart = ({ operator, tables }: Pick<Node, 'operator' | 'tables'>): number =>
  tables.length / (operator?.here?.length ?? 1)
interface FarPlace {
  readonly parts: FarParts
  readonly step: number
  readonly part: number
}
/** Inputs whose watermarks are a node's. */
const heldBy = ({ operator, inputs }: Pick<Node, 'operator' | 'inputs'>): readonly Node[] =>
  operator?.alone === true ? inputs.slice(0, 1) : inputs
const leastOf = (nodes: readonly Node[]): number => Math.min(...nodes.map((node) => node.watermark))
function* sourcesUnder(node: Node): IterableIterator<Source> {
  if (node.source !== null) yield node.source
  for (const input of node.inputs) yield* sourcesUnder(input)
}
export function metaKey(name: string): KeyWriter {
  const key = new KeyWriter()
  key.text(name)
  return key
}

/** `ofPart`: how many of the tables are those of one part; to the changelog the parts' tables are one. */
function tellAll(operator: number, tables: readonly StateTable[], to: ChangesTo, ofPart = tables.length): void {
  for (let t = 0; t < tables.length; t++)
    if (tables[t]!.changed) tables[t]!.tellChanges(changelogPrefix(operator, t % ofPart), to)
}
