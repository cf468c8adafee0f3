/**
 * Savepoints: a view's state, its rows and its input positions as of one moment between two ticks, under a name, in a topic of
 * their own. Partition 0 holds what the savepoint says of itself, 1 the entries of state, 2 the rows as they lie in the view's
 * topic. The last record of partition 0 makes it one: without that it is rubbish, which the next savepoint of the view removes.
 *
 * It is copied while the view goes on: its changelog and its topic are read up to their ends until little is left, then the
 * rest between two ticks. Only the view writes there, so what compaction takes away before it was read has a newer value before
 * that moment, which is read.
 */
import { offset as asOffset } from '../../lib/brand.ts'
import { Fault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import type { Clock } from '../../lib/world.ts'
import { type LogRecord, type RecordInput, decodeBatch, encodeBatch } from '../../log/batch.ts'
import type { At, Claim, Log, Partition, TopicInfo } from '../../log/log.ts'
import { timeDefaults } from '../clock.ts'
import { Graph } from '../graph.ts'
import type { Plan, ViewPlan } from '../plan.ts'
import { type ViewRows, viewRowsOf } from '../plan-change.ts'
import { type SavedMarks, keyOfChangelog } from '../state-marks.ts'
import { ensureState, largeRecords, sourceTopics, stateTopic, topicInfo, viewGroup } from './names.ts'
import { committedRecords } from './saved-state.ts'

const prefix = '_millrace_savepoint.'
export const savepointTopic = (name: string): string => `${prefix}${name}`
const manifestPart = 0
const statePart = 1
const rowsPart = 2

export interface Savepoint {
  readonly version: 1
  readonly name: string
  readonly view: string
  readonly atMs: number
  /** What its state says of itself. */
  readonly marks: SavedMarks
  readonly rows: ViewRows
  readonly positions: readonly {
    readonly topic: string
    readonly topicId: string
    readonly partition: number
    readonly offset: number
  }[]
  /** Rows null: the view did not run. */
  readonly operators: readonly {
    readonly number: number
    readonly kind: string
    readonly label: string
    readonly rows: number | null
  }[]
  readonly stateBytes: number
  readonly rowBytes: number
}
/** A view between two ticks. */
export interface Halted {
  /** null: it runs nowhere. */
  readonly claim: Claim | null
  readonly positions: readonly At[]
  readonly marks: SavedMarks | null
  /** By the number of their operator; null: not known. */
  readonly counts: ReadonlyMap<number, number> | null
}
/** Runs the work while the view stands still. */
export type Halt = (work: (halted: Halted) => Promise<void>) => Promise<void>
interface Place {
  readonly log: Log
  readonly clock: Clock
}

/** Throws Fault flow.savepoint-exists, and whatever prevents it; nothing is left of it then. */
export async function makeSavepoint(place: Place, name: string, view: ViewPlan, halt: Halt): Promise<Savepoint> {
  const { log, clock } = place
  const topic = savepointTopic(name)
  if ((await log.topics.get(topic)) !== null) {
    if ((await readSavepoint(log, name)) !== null) throw new Fault('flow.savepoint-exists', { savepoint: name })
    await removeTopic(log, topic)
  }
  await removeUnfinished(log, view.name)
  const [fault] = await log.topics.create([{ name: topic, partitions: 3, config: largeRecords }])
  if (fault instanceof Fault) throw fault
  try {
    await append(log, { topic, index: manifestPart }, [said({ making: view.name }, clock.now())])
    const savepoint = await copied(place, name, view, halt)
    await append(log, { topic, index: manifestPart }, [said(savepoint, clock.now())])
    return savepoint
  } catch (error) {
    await removeTopic(log, topic).catch(() => undefined)
    throw error
  }
}
const roundsMax = 8
/** Left to be read while the view stands still. */
const restRecords = 2_000

async function copied({ log, clock }: Place, name: string, view: ViewPlan, halt: Halt): Promise<Savepoint> {
  const topic = savepointTopic(name)
  const { partitions } = await topicInfo(log, stateTopic(view.name))
  const state = Array.from({ length: partitions }, (_, index) => {
    const from = { topic: stateTopic(view.name), index }
    return new Copy(log, from, { topic, index: statePart })
  })
  const rows = new Copy(log, { topic: view.name, index: 0 }, { topic, index: rowsPart })
  const all = [...state, rows]
  for (let round = 0; round < roundsMax; round++) {
    let left = 0
    for (const copy of all) await copy.catchUp()
    for (const copy of all) left += await copy.left()
    if (left <= restRecords) break
  }
  let made: Savepoint | null = null
  await halt(async ({ claim, positions, marks, counts }) => {
    for (const copy of all) await copy.finish(claim)
    const ids = new Map<string, string>()
    for (const source of sourceTopics(view.plan)) ids.set(source, (await topicInfo(log, source)).id)
    const said = marks ?? new Graph(view.plan, timeDefaults).marks.saved
    made = {
      version: 1,
      name,
      view: view.name,
      atMs: clock.now(),
      marks: said,
      rows: viewRowsOf(view),
      positions: positions.map(({ partition, offset }) => ({
        topic: partition.topic,
        topicId: ids.get(partition.topic) ?? '',
        partition: partition.index,
        offset,
      })),
      operators: said.operators.map(({ number, kind, label }) => ({
        number,
        kind,
        label,
        rows: counts === null ? null : (counts.get(number) ?? 0),
      })),
      stateBytes: state.reduce((sum, { bytes }) => sum + bytes, 0),
      rowBytes: rows.bytes,
    }
  })
  return made!
}
/** Of one partition, record by record, from its start on. */
class Copy {
  bytes = 0
  private readonly log: Log
  private readonly from: Partition
  private readonly to: Writing
  private at = 0

  constructor(log: Log, from: Partition, to: Partition) {
    this.log = log
    this.from = from
    this.to = new Writing(log, () => to)
  }
  /** How many offsets, about, are left. */
  async left(): Promise<number> {
    const [bounds] = await this.log.bounds([this.from])
    return Math.max(0, bounds!.stable - this.at)
  }
  async catchUp(): Promise<void> {
    const [bounds] = await this.log.bounds([this.from])
    const { stable } = bounds!
    for await (const record of committedRecords(this.log, this.from, this.at, stable)) await this.take(record)
    this.at = Math.max(this.at, stable)
    await this.to.flush()
  }
  /** What its only writer, who waits, has committed. */
  async finish(claim: Claim | null): Promise<void> {
    if (claim === null) return this.catchUp()
    for await (const chunk of this.log.reader().restore(this.from, claim, asOffset(this.at))) {
      if ('fault' in chunk) throw chunk.fault
      for (const batch of chunk.batches)
        for (const record of decodeBatch(batch)) if (record.offset >= this.at) await this.take(record)
      this.at = Math.max(this.at, chunk.next)
    }
    await this.to.flush()
  }
  private async take(record: LogRecord): Promise<void> {
    this.bytes += (record.key?.length ?? 0) + (record.value?.length ?? 0)
    await this.to.add(record)
  }
}
/** Records into partitions, a piece at a time. */
class Writing {
  private readonly log: Log
  private readonly target: (record: RecordInput) => Partition
  private open: { partition: Partition; record: RecordInput }[] = []
  private bytes = 0

  constructor(log: Log, target: (record: RecordInput) => Partition) {
    this.log = log
    this.target = target
  }
  async add({ key, value, headers, timeMs }: RecordInput): Promise<void> {
    const record = { key, value, timeMs, ...(headers === undefined ? {} : { headers }) }
    this.open.push({ partition: this.target(record), record })
    this.bytes += (key?.length ?? 0) + (value?.length ?? 0)
    if (this.bytes >= pieceBytes || this.open.length >= pieceRecords) await this.flush()
  }
  async flush(): Promise<void> {
    const parts = Map.groupBy(this.open.splice(0), ({ partition }) => partition.index)
    this.bytes = 0
    for (const part of parts.values())
      await append(
        this.log,
        part[0]!.partition,
        part.map(({ record }) => record),
      )
  }
}
const pieceBytes = Math.min(limits.batchBytes, 262_144)
const pieceRecords = 5_000

async function append(log: Log, partition: Partition, records: readonly RecordInput[]): Promise<void> {
  const [done] = await log.writer().append([{ partition, batch: encodeBatch(records) }])
  if (done !== undefined && 'fault' in done) throw done.fault
}
const said = (value: object, timeMs: number): RecordInput => ({
  key: null,
  value: Buffer.from(JSON.stringify(value)),
  timeMs,
})

/** null: there is none of that name, or none that is whole. */
/** What is being made: of a view one at a time, and of a name. */
export class SavepointsUnderWay {
  private readonly names = new Set<string>()

  /** Throws Fault flow.savepoint-busy. */
  async run<T>(view: string, savepoint: string, work: () => Promise<T>): Promise<T> {
    const marks = [view, savepointTopic(savepoint)]
    if (marks.some((mark) => this.names.has(mark))) throw new Fault('flow.savepoint-busy', { view })
    for (const mark of marks) this.names.add(mark)
    try {
      return await work()
    } finally {
      for (const mark of marks) this.names.delete(mark)
    }
  }
}

export async function readSavepoint(log: Log, name: string): Promise<Savepoint | null> {
  const read = await readManifest(log, name)
  return read !== null && 'version' in read ? read : null
}
async function readManifest(log: Log, name: string): Promise<Savepoint | { readonly making: string } | null> {
  const topic = savepointTopic(name)
  if ((await log.topics.get(topic)) === null) return null
  let last: string | null = null
  for await (const { value } of committedRecords(log, { topic, index: manifestPart }))
    if (value !== null) last = Buffer.from(value).toString()
  return last === null ? null : (JSON.parse(last) as Savepoint | { readonly making: string })
}
/** All that are whole, by name. */
export async function savepoints(log: Log): Promise<readonly Savepoint[]> {
  const found: Savepoint[] = []
  for (const name of await namesOf(log)) {
    const one = await readSavepoint(log, name)
    if (one !== null) found.push(one)
  }
  return found
}
const namesOf = async (log: Log): Promise<string[]> =>
  (await log.topics.list())
    .flatMap(({ name }) => (name.startsWith(prefix) ? [name.slice(prefix.length)] : []))
    .toSorted()
/** Of a making that was broken off: of one view, one is made at a time, by who holds the view. */
async function removeUnfinished(log: Log, view: string): Promise<void> {
  for (const name of await namesOf(log)) {
    const read = await readManifest(log, name)
    if (read !== null && 'making' in read && read.making === view) await removeTopic(log, savepointTopic(name))
  }
}
/** False: there was none. */
export async function dropSavepoint(log: Log, name: string): Promise<boolean> {
  if ((await log.topics.get(savepointTopic(name))) === null) return false
  await removeTopic(log, savepointTopic(name))
  return true
}
async function removeTopic(log: Log, topic: string): Promise<void> {
  const [fault] = await log.topics.remove([topic])
  if (fault instanceof Fault && fault.code !== 'log.unknown-topic') throw fault
}

/** Throws Fault flow.savepoint-input-gone where the plan would read on from events that are not there any more. */
export async function checkInputs(log: Log, savepoint: Savepoint, plan: Plan): Promise<void> {
  const topics = new Map<string, TopicInfo>()
  for (const topic of sourceTopics(plan)) topics.set(topic, await topicInfo(log, topic))
  const held = savepoint.positions.filter(({ topic }) => topics.has(topic))
  const refuse = ({ topic, partition, offset }: (typeof held)[number], what: string): never => {
    throw new Fault('flow.savepoint-input-gone', {
      savepoint: savepoint.name,
      topic,
      partition,
      position: offset,
      what,
    })
  }
  for (const one of held) {
    const info = topics.get(one.topic)!
    if (info.id !== one.topicId) refuse(one, 'the topic was deleted and made again')
    if (one.partition >= info.partitions) refuse(one, 'the partition is not there')
    const [bounds] = await log.bounds([{ topic: one.topic, index: one.partition }])
    if (one.offset < bounds!.start) refuse(one, `events before ${bounds!.start} were deleted`)
    if (one.offset > bounds!.end) refuse(one, `it ends at ${bounds!.end}`)
  }
}
/** Into a view that has nothing yet: its topic is there and empty, nobody runs it. `rows`: also what its topic held. */
export async function loadSavepoint(log: Log, savepoint: Savepoint, view: ViewPlan, rows: boolean): Promise<void> {
  await checkInputs(log, savepoint, view.plan)
  const topic = savepointTopic(savepoint.name)
  const sources = sourceTopics(view.plan)
  let widest = 1
  for (const source of sources) widest = Math.max(widest, (await topicInfo(log, source)).partitions)
  const state = await ensureState(log, view, widest)
  // The second byte of a key is its slot.
  const slots = new Writing(log, ({ key }) => ({ topic: state.name, index: key![1]! % state.partitions }))
  for await (const record of committedRecords(log, { topic, index: statePart }))
    if (record.key !== null && keyOfChangelog(record.key).operator !== null) await slots.add(record)
  await slots.flush()
  const output = new Writing(log, () => ({ topic: view.name, index: 0 }))
  if (rows) for await (const record of committedRecords(log, { topic, index: rowsPart })) await output.add(record)
  await output.flush()
  const to = savepoint.positions
    .filter((one) => sources.includes(one.topic))
    .map(({ topic: of, partition, offset }) => ({
      partition: { topic: of, index: partition },
      offset: asOffset(offset),
    }))
  await log.groups.reset(viewGroup(view.name), to)
}
