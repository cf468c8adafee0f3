/**
 * A running view. It joins the group of its inputs, restores its state from the changelog, and then ticks: takes what is
 * there, steps the graph, and commits output, changes of state and input positions in one tick of the log. Under load a
 * tick collects for `commitMs`; when everything there is has been taken, it commits at once. Without input it does
 * nothing, unless time alone would change its output.
 *
 * What can go wrong, and what then happens:
 * - a row that cannot be computed is left out by its operator and goes by the view's `onError`: kept in quarantine or
 *   counted; or, 'stop', the tick is undone and the view ends before the event;
 * - an operator cannot finish the tick as it began it: undone, and again at once;
 * - the commit did not happen: everything back to the last commit, and again after a pause;
 * - the claim was lost to another member: the state is dropped and restored once the claim is there again;
 * - anything else ends the view with its fault. Neighbours never notice.
 *
 * Long because claims, restoring, ticks and commits are one life, in which each step may fall back to any before it.
 */
import { AgeClock } from '../../lib/age-clock.ts'
import { type Offset, offset as asOffset } from '../../lib/brand.ts'
import { assert } from '../../lib/assert.ts'
import { Fault, asFault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import type { Clock, Disk } from '../../lib/world.ts'
import { decodeBatch } from '../../log/batch.ts'
import type { Commits } from '../../log/commits.ts'
import type { At, Bounds, Claim, Log, Membership, Partition, TopicInfo, Writer } from '../../log/log.ts'
import { giveBack } from '../../log/remote/reader.ts'
import { schemasOf } from '../../schema/formats/registry.ts'
import { type Batch, partitionOf } from '../batch.ts'
import { Graph, type GraphOptions, sizesOf } from '../graph.ts'
import { storageOf } from '../memory.ts'
import { TickAgain } from '../operator.ts'
import type { PartLinks } from '../parts/far-parts.ts'
import type { SourcePlan, Start, ViewPlan } from '../plan.ts'
import { lookupTopics, sourcesOf } from '../plan-facts.ts'
import type { SavedMarks } from '../state-marks.ts'
import { type Adoption, adopted, adoption, readAnew } from './adopt.ts'
import { Input, type Slice } from './input.ts'
import { ensureOutput, ensureState, ensureTopic, sourceTopics, stateTopic, topicInfo, viewGroup } from './names.ts'
import type { Halted } from './savepoints.ts'
import type { QuarantineUse } from './quarantine.ts'
import { type OutputRecord, batchesFor, savedState } from './records.ts'
import { type Sink, type TickFacts, noSink } from './sink.ts'
import { Standby } from './standby.ts'
import { Stepper } from './stepper.ts'
import { type TickContext, badRecords, lateRecords } from './tick-records.ts'
import { viewSink } from './view-sink.ts'

export interface TaskHost {
  readonly log: Log
  readonly commits: Pick<Commits, 'put'>
  readonly clock: Clock
  readonly quarantine: QuarantineUse
  readonly commitMs: number
  readonly keepsOutput: (view: string) => boolean
  /** Where rows of state go that memory has no room for; null: nowhere. */
  readonly spill: { readonly disk: Disk; readonly folder: string } | null
  /** Told of what nobody waits for. */
  readonly onFault: (view: string, fault: Fault) => void
  /** Told before the view works on something in one go. */
  readonly onWork: (view: string) => void
  /** Other threads for parts of its steps; null: there are none. */
  readonly far: (view: ViewPlan) => PartLinks | null
}
export type TaskStatus = 'restoring' | 'running' | 'idle' | 'paused' | 'failed' | 'stopped'

/** What a committed tick changed in a view. */
export interface Committed {
  readonly nowMs: number
  /** −Infinity before the first event. */
  readonly watermarkMs: number
  /** Where reading the view's topic goes on after this tick; null: the tick wrote nothing to it. */
  readonly next: At | null
}
export interface Counters {
  rowsIn: number
  rowsOut: number
  invalid: number
  failed: number
  ticks: number
}
/** Records of one step. How many depends on what the last one took: a step should take some ms, whatever the view does. */
const stepRecords = { least: 64, most: 4_096, aligned: 256 }
const stepMs = { short: 3, long: 8 }
const largeReadBytes = 1 << 20
/** Rows that a tick makes before it commits, whatever the time: several views share a transaction of the log. */
const tickRows = 20_000
/** Without a yield to others. */
const sliceMs = 10
const waitMaxMs = 60_000
const moveMs = 1_000
const backoffMs = { first: 50, most: 5_000 }

const memoryOf = ({ name, memoryBytes }: ViewPlan, { spill }: TaskHost): Pick<GraphOptions, 'memory'> =>
  spill === null
    ? {}
    : {
        memory: {
          bytes: memoryBytes ?? limits.viewMemoryBytes,
          disk: spill.disk,
          folder: `${spill.folder}/${name}`,
        },
      }

export class ViewTask {
  readonly view: ViewPlan
  graph: Graph
  readonly counters: Counters = { rowsIn: 0, rowsOut: 0, invalid: 0, failed: 0, ticks: 0 }
  private now: TaskStatus = 'restoring'
  private stepSize = 512
  error: Fault | null = null
  /** Called within the turn in which a tick has become durable. */
  onCommitted: (deltas: readonly Batch[], tick: Committed) => void = () => {}
  onEnded: (fault: Fault | null) => void = () => {}
  onStatus: () => void = () => {}
  private readonly host: TaskHost
  private readonly sink: Sink
  private readonly writer: Writer
  private readonly input: Input
  private stepper: Stepper
  private standby: Standby
  private readonly topics = new Map<string, TopicInfo>()
  private output: TopicInfo | null = null
  private state: TopicInfo | null = null
  private membership: Membership | null = null
  private claim: Claim | null = null
  private stopping = new AbortController()
  private paused: { readonly until: Promise<void>; readonly end: () => void } | null = null
  private readonly ages: AgeClock
  private running: Promise<void> | null = null
  /** Work that wants the view between two ticks. */
  private between: (() => Promise<void>)[] = []
  private wake = new AbortController()
  private started = Promise.withResolvers<void>()

  constructor(view: ViewPlan, host: TaskHost) {
    this.view = view
    this.host = host
    this.ages = new AgeClock(host.clock)
    this.graph = this.newGraph()
    this.sink = host.keepsOutput(view.name) ? viewSink(view) : noSink
    this.input = new Input(host.log.reader())
    this.writer = host.log.writer()
    this.stepper = new Stepper(this.graph)
    this.standby = new Standby(host.log, host.clock, this.graph)
    this.givesBack = sourcesOf(view.plan).every(isPlain)
    this.started.promise.catch(() => {})
  }

  private newGraph(): Graph {
    const { view, host } = this
    const { idleMs, maxFutureMs } = view
    const steadyMs = (): number => this.ages.steady()
    const far = host.far(view)
    return new Graph(view.plan, {
      ...{ idleMs, maxFutureMs, steadyMs },
      clock: host.clock,
      schemas: schemasOf(host.log, host.clock),
      ...memoryOf(view, host),
      ...(view.ttlMs === undefined ? {} : { ttlMs: view.ttlMs }),
      parallelism: view.parallelism ?? 1,
      ...(far === null ? {} : { far }),
    })
  }

  /** Resolves when the state is restored and ticks begin, or another process runs the view. Throws the Fault that prevents it. */
  async start(): Promise<void> {
    assert(this.running === null, 'a task that does not run')
    this.stopping = new AbortController()
    this.error = null
    this.status = 'restoring'
    this.started = Promise.withResolvers<void>()
    this.started.promise.catch(() => {})
    this.running = this.run().finally(() => (this.running = null))
    await this.started.promise
  }
  /** By this fault, between two ticks. */
  end(fault: Fault): void {
    if (this.running === null) return
    this.between.push(() => Promise.reject(fault))
    this.wake.abort()
  }
  /** A failed one starts again from its last commit, paused where it was. */
  async restart(): Promise<void> {
    await this.running
    if (this.status === 'failed') await this.start()
  }
  get status(): TaskStatus {
    return this.now
  }
  private set status(status: TaskStatus) {
    this.now = status
    this.onStatus()
  }
  /** It has its state, and between two ticks everything it did is committed. */
  get isServing(): boolean {
    return this.claim !== null && (this.status === 'running' || this.status === 'paused') && this.adoption === null
  }
  /** For work between two ticks. Throws Fault flow.not-running where it has just lost its state. */
  halted(): Halted {
    if (!this.isServing) throw new Fault('flow.runs-elsewhere', { view: this.view.name })
    const counts = this.graph.nodes.flatMap((node) => {
      const mark = this.graph.marks.operators.get(node)
      return mark === undefined ? [] : [[mark.number, sizesOf(node).rows] as const]
    })
    return { claim: this.claim, positions: this.positions, marks: this.graph.committed, counts: new Map(counts) }
  }
  /** What its committed state says of itself; null: it has none; undefined: that is to be read. */
  get saved(): SavedMarks | null | undefined {
    return this.isServing ? this.graph.committed : undefined
  }
  /** The claim that its ticks stand on; null while it does not run. */
  get held(): Claim | null {
    return this.claim
  }
  /** After the tick that is on its way. */
  async stop(): Promise<void> {
    this.stopping.abort()
    this.wake.abort()
    this.paused?.end()
    await this.running
    if (this.status !== 'failed') this.status = 'stopped'
  }
  /** Ends of what its readers may see now. */
  async inputEnds(): Promise<readonly At[]> {
    const { log } = this.host
    const partitions: Partition[] = []
    for (const topic of sourceTopics(this.view.plan)) {
      const info = await topicInfo(log, topic)
      for (let index = 0; index < info.partitions; index++) partitions.push({ topic, index })
    }
    return (await log.bounds(partitions)).map(({ stable }, i) => ({ partition: partitions[i]!, offset: stable }))
  }
  /** It runs, or is about to: what is there for it will be taken in. */
  get goesOn(): boolean {
    return this.status === 'running' || this.status === 'restoring'
  }
  /** Everything before these offsets is in what it has committed. */
  get positions(): readonly At[] {
    return this.input.committed()
  }
  /** All up to there is in what it has committed, and so is the row that it gives of nothing, and what a changed query restates. */
  isBeyond(ends: readonly At[]): boolean {
    return this.status !== 'restoring' && !this.owesFirst && ends.every((end) => this.input.hasReached(end))
  }
  /** Behind the rows that it has committed in its topic. */
  async rowsEnd(): Promise<number> {
    return this.wroteTo ?? (await this.ownBounds()).end
  }
  /**
   * All before `end` can be read in its topic: `Log` may show a tick a little later, and much later where the disk fails. Throws the
   * Fault of a topic that cannot be read.
   */
  async shows(end: number): Promise<boolean> {
    const bounds = await this.ownBounds()
    // Markers behind the rows may be cut away.
    if (bounds.stable >= Math.min(end, bounds.end)) return true
    const [chunk] = await this.host.log.reader().read([{ partition: bounds.partition, offset: bounds.stable }])
    if (chunk !== undefined && 'fault' in chunk) throw chunk.fault
    return false
  }
  private async ownBounds(): Promise<Bounds> {
    const [bounds] = await this.host.log.bounds([this.ownRows])
    return bounds!
  }
  /** Where its last rows ended; null: it has written none since it has its state. */
  private wroteTo: number | null = null
  private owesFirst = true
  private readonly givesBack: boolean
  pause(): void {
    if (this.paused !== null) return
    const { promise, resolve } = Promise.withResolvers<void>()
    this.paused = { until: promise, end: resolve }
    if (this.status === 'running' || this.status === 'idle') this.status = 'paused'
    this.wake.abort()
  }
  resume(): void {
    const { paused } = this
    this.paused = null
    paused?.end()
  }
  /** Runs `work` between two ticks, when everything committed has been told and nothing else is on its way. */
  betweenTicks(work: () => Promise<void>): Promise<void> {
    if (this.running === null || this.stopping.signal.aborted) return work()
    const done = Promise.withResolvers<void>()
    this.between.push(() => work().then(done.resolve, done.reject))
    this.wake.abort()
    return done.promise
  }

  private async run(): Promise<void> {
    const { signal } = this.stopping
    try {
      await this.prepare()
      this.membership = this.host.log.join(viewGroup(this.view.name), {
        topics: sourceTopics(this.view.plan),
        warm: () => [],
        name: this.view.name,
        // Its state is one: who has a part of its input could not go on.
        whole: true,
        standbys: this.view.standbys ?? 0,
      })
      await this.follow(this.membership, signal)
    } catch (error) {
      if (!signal.aborted) this.fail(asFault(error))
    } finally {
      await this.standby.end()
      await this.membership?.leave().catch(() => undefined)
      this.membership = null
      for (const work of this.between.splice(0)) await work().catch(() => undefined)
      this.claim = null
      this.graph.closeFiles()
      if (this.error !== null) this.letGo()
      this.onEnded(this.error)
      this.started.reject(this.error ?? new Fault('log.closed', { what: `view ${this.view.name}` }))
    }
  }
  /** What has failed takes no memory any more. What went through its steps stays known, and parts on other threads are theirs. */
  private letGo(): void {
    const { graph } = this
    if (this.host.far(this.view) !== null) return
    this.graph = this.newGraph()
    for (const [i, { counts }] of graph.nodes.entries()) Object.assign(this.graph.nodes[i]!.counts, counts)
    this.stepper = new Stepper(this.graph)
    this.standby = new Standby(this.host.log, this.host.clock, this.graph)
    graph.release()
  }
  private fail(fault: Fault): void {
    this.error = fault
    this.status = 'failed'
    this.host.onFault(this.view.name, fault)
  }
  private async prepare(): Promise<void> {
    let widest = 1
    for (const topic of sourceTopics(this.view.plan)) {
      const info = await topicInfo(this.host.log, topic)
      this.topics.set(topic, info)
      widest = Math.max(widest, info.partitions)
    }
    this.output = await ensureOutput(this.host.log, this.view)
    this.state = await ensureState(this.host.log, this.view, widest)
    await this.prepareLateTopic()
  }
  private async prepareLateTopic(): Promise<void> {
    const { lateTopic } = this.view
    if (lateTopic !== null)
      this.topics.set(lateTopic, await ensureTopic(this.host.log, lateTopic, 1, { 'retention.ms': '-1' }))
  }

  // Claims.

  /** Serves one claim after another; each until the next is offered. */
  private async follow(membership: Membership, signal: AbortSignal): Promise<void> {
    const changes = membership.changes()[Symbol.asyncIterator]()
    let offered = changes.next()
    while (!signal.aborted) {
      this.wake = new AbortController()
      for (const work of this.between.splice(0)) await this.standby.aside(this.changelog, work)
      const change = await Promise.race([offered, aborted(AbortSignal.any([signal, this.wake.signal]))])
      if (change === undefined) continue
      if (change.done === true) return
      const moved = new AbortController()
      offered = changes.next()
      void offered.then(
        () => {
          moved.abort()
          this.wake.abort()
        },
        () => moved.abort(),
      )
      const { claim, active, standby, accept } = change.value
      this.claim = claim
      accept.call(change.value)
      await this.serve(claim, { active, standby }, AbortSignal.any([signal, moved.signal]))
    }
  }
  private holdsAll(active: readonly Partition[]): boolean {
    const held = new Set(active.map((p) => `${p.topic}/${p.index}`))
    return sourceTopics(this.view.plan).every((topic) =>
      Array.from({ length: this.topics.get(topic)!.partitions }).every((_, index) => held.has(`${topic}/${index}`)),
    )
  }
  /** Restores and ticks until the signal; again whenever the claim turns out to be lost. */
  private async serve(
    claim: Claim,
    { active, standby }: { readonly active: readonly Partition[]; readonly standby: readonly Partition[] },
    signal: AbortSignal,
  ): Promise<void> {
    for (const topic of sourceTopics(this.view.plan)) this.topics.set(topic, await topicInfo(this.host.log, topic))
    if (!this.holdsAll(active)) {
      // Another process has the rest: it, or nobody yet, runs this view.
      this.status = 'idle'
      this.started.resolve()
      // A changed query finds its state by what all of it says of itself.
      if (standby.length > 0 && this.holdsAll(standby) && this.view.adopts === undefined)
        this.standby.begin(this.changelog)
      else await this.standby.end()
      return
    }
    this.status = 'restoring'
    try {
      await this.restore(claim, active)
      await this.adopt(signal)
      this.status = this.paused === null ? 'running' : 'paused'
      this.started.resolve()
      while (!signal.aborted) await this.turn(signal)
    } catch (error) {
      const fault = error instanceof Fault ? error : null
      if (signal.aborted && fault === null) return
      if (fault?.code !== 'log.claim-lost') throw error
      // Somebody else goes on from here; the next claim restores what they leave.
      this.graph.clear()
    }
  }
  private get changelog(): readonly Partition[] {
    const topic = stateTopic(this.view.name)
    return Array.from({ length: this.state?.partitions ?? 0 }, (_, index) => ({ topic, index }))
  }
  private get ownRows(): Partition {
    return { topic: this.view.name, index: 0 }
  }
  private async restore(claim: Claim, active: readonly Partition[]): Promise<void> {
    const { log, clock } = this.host
    this.wroteTo = null
    assert(this.membership !== null && this.state !== null, 'a joined task')
    const positions = await this.membership.positions(claim, active)
    const bounds = await log.bounds(active)
    const from = active.map((partition, i): At => {
      const position = positions[i] ?? null
      const { start, end } = bounds[i]!
      if (position !== null && (position > end || position < start))
        throw new Fault('flow.position-lost', {
          view: this.view.name,
          topic: partition.topic,
          partition: partition.index,
          position,
          first: start,
          next: end,
        })
      return { partition, offset: position ?? start }
    })
    const isFirst = positions.every((position) => position === null)
    if (isFirst && this.view.start !== undefined) await this.startAt(this.view.start, claim, from, bounds)
    const known = await this.standby.end()
    if (known === null) this.graph.clear()
    this.graph.restoresAll = this.view.adopts !== undefined
    this.stepper.clear()
    for (const [i, partition] of this.changelog.entries())
      for await (const chunk of log.reader().restore(partition, claim, known?.[i])) {
        if ('fault' in chunk) throw chunk.fault
        this.host.onWork(this.view.name)
        for (const batch of chunk.batches)
          for (const record of decodeBatch(batch))
            if (record.key !== null) this.graph.restore(record.key, record.value, record.timeMs)
      }
    this.graph.commit()
    const saved = this.graph.restored(this.view.name, this.view.adopts?.into)
    this.adoption = saved === null ? null : adoption(this.graph, this.view, saved)
    if (this.adoption !== null) readAnew(this.adoption, from, bounds)
    else this.makeRoom()
    const unread = new Map(
      from.map((at, i) => [`${at.partition.topic}/${at.partition.index}`, bounds[i]!.stable > at.offset]),
    )
    this.graph.open(
      (topic) =>
        active
          .filter((p) => p.topic === topic)
          .map((p) => ({ partition: p.index, unread: unread.get(`${topic}/${p.index}`)! })),
      clock.now(),
    )
    this.owesFirst = this.graph.owesFirst
    const first = lookupTopics(this.view.plan)
    const ends = new Map(active.map(({ topic, index }, i) => [`${topic}/${index}`, bounds[i]!.stable as number]))
    this.input.open(from, ({ topic, index }) => (first.has(topic) ? (ends.get(`${topic}/${index}`) ?? -1) : -1))
  }

  private adoption: Adoption | null = null
  /** The first tick of a plan on the state of another. */
  private async adopt(signal: AbortSignal): Promise<void> {
    const { adoption: asked, graph, stepper, host, view, claim } = this
    if (asked === null) return
    await this.tick(signal, async (nowMs) => {
      for await (const result of adopted(graph, asked, { log: host.log, view, claim, nowMs })) stepper.take(result)
      this.checkFailures()
    })
    if (!signal.aborted) this.adoption = null
  }
  /** Moves the streams' places to where the view is to start, and keeps them: a restart must not choose anew. */
  private async startAt(start: Start, claim: Claim, from: At[], bounds: readonly Bounds[]): Promise<void> {
    const whole = lookupTopics(this.view.plan)
    const streams = new Set(
      sourcesOf(this.view.plan).flatMap(({ topic, mode }) => (mode === 'append' && !whole.has(topic) ? [topic] : [])),
    )
    const found =
      start.from === 'time'
        ? await this.host.log.findTime(
            from.map((at) => at.partition),
            start.timeMs,
          )
        : []
    from.forEach(({ partition }, i) => {
      if (streams.has(partition.topic)) from[i] = { partition, offset: found[i]?.offset ?? bounds[i]!.stable }
    })
    await this.host.commits.put([], [{ claim, positions: from }])
  }

  // Ticks.

  private async turn(signal: AbortSignal): Promise<void> {
    this.wake = new AbortController()
    for (const work of this.between.splice(0)) await work()
    if (this.paused !== null) {
      this.status = 'paused'
      await Promise.race([this.paused.until, aborted(AbortSignal.any([signal, this.wake.signal]))])
      if (this.paused === null) this.status = 'running'
      return
    }
    this.align()
    const hadMoved = this.input.hasMoved
    if (!this.input.hasRecords) {
      const limitMs = this.input.hasMoved ? moveMs : waitMaxMs
      const waitMs = this.graph.owesFirst ? 0 : Math.min(limitMs, this.timerMs())
      try {
        await this.input.fill(Math.max(0, waitMs), AbortSignal.any([signal, this.wake.signal]))
      } catch (error) {
        if (signal.aborted || this.wake.signal.aborted) return
        throw error
      }
    }
    if (this.input.hasRecords || this.timerMs() <= 0 || this.graph.owesFirst) await this.tick(signal)
    else if (hadMoved) await this.commitMoves()
  }
  /** Where sources are aligned, those that are far ahead wait. */
  private align(): void {
    if (this.graph.isAligned) this.input.holdBack(this.graph.heldBack())
  }
  /** Until time alone may change the output. */
  private timerMs(): number {
    const { graph, host, ages } = this
    return Math.min(graph.nextTimerMs() - ages.steady(), graph.nextDueMs() - host.clock.now())
  }
  /** Positions that moved over markers alone; so that nobody sees a lag that is none. */
  private async commitMoves(): Promise<void> {
    const { claim } = this
    assert(claim !== null, 'a task with a claim')
    const positions = this.input.positions()
    await this.host.commits.put([], [{ claim, positions }])
    this.input.settled()
  }
  private async tick(
    signal: AbortSignal,
    collect = (nowMs: number): Promise<void> => this.collect(nowMs, signal),
  ): Promise<void> {
    const nowMs = this.host.clock.now()
    let pauseMs = backoffMs.first
    for (;;) {
      try {
        await collect(nowMs)
      } catch (error) {
        if (!(error instanceof TickAgain)) throw error
        this.undo()
        continue
      }
      try {
        await this.commit(nowMs)
        return
      } catch (error) {
        this.undo()
        if (error instanceof TickAgain) continue
        const fault = asFault(error)
        if (!fault.retry || fault.code === 'log.claim-lost' || fault.code === 'log.closed') throw fault
        this.host.onFault(this.view.name, fault)
        if (signal.aborted) return
        await this.host.clock.sleep(pauseMs, signal).catch(() => undefined)
        pauseMs = Math.min(pauseMs * 2, backoffMs.most)
      }
    }
  }
  /** Steps until the interval is over or nothing more is there. */
  private async collect(nowMs: number, signal: AbortSignal): Promise<void> {
    const { clock } = this.host
    const startedMs = clock.monotonic()
    let yieldedMs = startedMs
    this.graph.markIdle(nowMs)
    for (let first = true; ; first = false) {
      this.align()
      if (first || this.input.hasRecords) {
        const slices = this.input.take(Math.min(this.stepSize, this.graph.isAligned ? stepRecords.aligned : Infinity))
        // Seldom: a schema that nobody has seen before.
        const wait = this.stepper.prepare(slices, signal)
        if (wait !== null) await wait
        this.step(slices, nowMs)
      }
      this.checkFailures()
      const elapsed = clock.monotonic() - startedMs
      if (elapsed >= this.host.commitMs || this.stepper.result.rowsOut >= tickRows || signal.aborted) return
      if (this.graph.isCrowded) return
      if (clock.monotonic() - yieldedMs >= sliceMs) {
        await new Promise<void>((resolve) => clock.soon(resolve))
        yieldedMs = clock.monotonic()
      }
      // Partitions that were used up are asked again, also while others still have records.
      await this.input.fill(0, signal)
      if (!this.input.hasRecords) return
    }
  }
  private step(slices: readonly Slice[], nowMs: number): void {
    const { clock } = this.host
    const startedMs = clock.monotonic()
    const readBefore = this.graph.readFromFilesBytes
    this.host.onWork(this.view.name)
    this.stepper.step(slices, nowMs)
    const elapsed = clock.monotonic() - startedMs
    // What comes back of a large key comes for each step, however small that is.
    if (this.graph.readFromFilesBytes - readBefore > largeReadBytes) return
    if (elapsed > stepMs.long) this.stepSize = Math.max(stepRecords.least, this.stepSize / 2)
    else if (elapsed < stepMs.short) this.stepSize = Math.min(stepRecords.most, this.stepSize * 2)
  }
  /** By `onError`, an event that cannot be processed ends the view; the tick is not committed. */
  private checkFailures(): void {
    if (this.view.onError !== 'stop') return
    const [first] = this.stepper.result.failed
    if (first === undefined) return
    const { place, node, fault } = first
    const at = place === null ? node.label : `${place.topic}:${place.partition}:${place.offset}`
    this.undo()
    throw new Fault('flow.step-failed', { view: this.view.name, at, what: fault.message }, fault)
  }
  /** Everything as the last commit left it. */
  private undo(): void {
    this.graph.undo()
    this.input.giveBack()
    this.stepper.clear()
  }

  // Commits.

  private async commit(nowMs: number): Promise<void> {
    assert(this.claim !== null && this.output !== null && this.state !== null, 'a task with a claim')
    const { claim, output } = this
    const positions = this.adoption === null ? this.input.positions() : this.input.committed()
    this.host.onWork(this.view.name)
    const bytesMax = Math.min(this.host.log.limits.batchBytes, limits.batchBytes)
    const state = savedState(this.graph, this.state, { nowMs, bytesMax })
    const context = this.context(nowMs)
    const { result } = this.stepper
    const { deltas } = result
    const bad = badRecords(context, result)
    // Somebody may have deleted it.
    if (result.late.size > 0) await this.prepareLateTopic()
    const rows = this.sink.records(deltas, this.facts(nowMs))
    const records = [
      ...rows.map((record): OutputRecord => ({ topic: output.name, partition: 0, record })),
      ...lateRecords(context, result),
    ]
    const own = batchesFor(records, bytesMax)
    const { commits, quarantine } = this.host
    const { name } = this.view
    try {
      const quarantined = bad.length === 0 ? [] : batchesFor(await quarantine.records(bad, name), bytesMax)
      const entries = [...own, ...state, ...quarantined]
      const ahead = this.view.delivery === 'at least once' ? await this.append(own) : []
      const places = [...ahead, ...(await commits.put(entries.slice(ahead.length), [{ claim, positions }]))]
      if (bad.length > 0) await quarantine.settled(bad, name, 'committed')
      // The last batch of the output holds what is left after the full ones.
      const last = entries.findLastIndex(({ partition }) => partition.topic === output.name)
      this.settled(nowMs, deltas, last < 0 ? null : asOffset(places[last]!.offset + countOf(entries[last]!.batch)))
    } catch (error) {
      if (bad.length > 0) await quarantine.settled(bad, name, 'failed')
      throw error
    }
  }
  /** Rows that do not wait for their tick. Where that then comes to nothing, they come again. */
  private async append(entries: Parameters<Writer['append']>[0]): Promise<{ readonly offset: Offset }[]> {
    if (entries.length === 0) return []
    const answers = await this.writer.append(entries)
    return answers.map((answer) => {
      if ('fault' in answer) throw answer.fault
      return answer
    })
  }
  private settled(nowMs: number, deltas: readonly Batch[], next: Offset | null): void {
    const { counters } = this
    const { rowsOut, invalid, failed } = this.stepper.result
    counters.rowsIn += this.input.pendingCount
    counters.rowsOut += rowsOut
    counters.invalid += invalid.length
    counters.failed += failed.length
    counters.ticks++
    this.graph.commit()
    const memory = this.input.settled()
    this.owesFirst = false
    this.wroteTo = next ?? this.wroteTo
    this.stepper.clear()
    this.onCommitted(deltas, {
      nowMs,
      watermarkMs: this.graph.watermark,
      next: next === null ? null : { partition: this.ownRows, offset: next },
    })
    if (this.givesBack) {
      // Texts of rows that were given out lie in the input.
      for (const one of arenasOf(deltas)) memory.delete(one)
      for (const one of memory) giveBack(one)
    }
    this.makeRoom()
  }
  /** Throws Fault flow.over-memory where a budget was given that the state does not keep to. */
  private makeRoom(): void {
    const { graph, view } = this
    graph.makeRoom()
    const bytesMax = view.memoryBytes
    if (bytesMax !== undefined && graph.usedBytes > bytesMax)
      throw new Fault('flow.over-memory', { view: view.name, bytes: graph.usedBytes, bytesMax })
  }
  private facts(nowMs: number): TickFacts {
    return {
      nowMs,
      place: (source) => {
        const topic = this.graph.topicOf(source)
        return { topic, topicId: this.topics.get(topic)!.id, partition: partitionOf(source) }
      },
    }
  }
  private context(nowMs: number): TickContext {
    return {
      view: this.view,
      nowMs,
      topic: (name) => this.topics.get(name)!,
      record: (topic, partition, offset) => this.input.record(topic, partition, offset),
    }
  }
}
/** Nothing that is made of its input lies in the input's memory, but texts in columns. */
const isPlain = ({ format, columns }: SourcePlan): boolean =>
  format === 'json' && columns.every(({ type }) => type.kind !== 'bytea' && storageOf(type) !== 'value')
function* arenasOf(batches: readonly Batch[]): IterableIterator<ArrayBufferLike> {
  for (const { columns } of batches)
    for (const column of columns) if (column.kind === 'bytes') yield column.arena.buffer
}
const aborted = (signal: AbortSignal): Promise<void> =>
  new Promise((resolve) => {
    if (signal.aborted) resolve()
    else signal.addEventListener('abort', () => resolve(), { once: true })
  })
/** Records of a batch, from its header. */
function countOf(batch: Uint8Array): number {
  return Buffer.from(batch.buffer, batch.byteOffset, batch.byteLength).readInt32BE(57)
}
