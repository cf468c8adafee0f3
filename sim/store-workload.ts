/**
 * A store under random work and random deaths, against a model of it that is a list in memory. A run is a few lives of
 * one data folder; each ends in a power cut, a kill or a clean stop at a random call of the disk, also while opening.
 *
 * Held after each: what was durable is there, byte for byte; what is there was appended, in order, without a gap; a
 * trim that was answered stays; a snapshot that was answered is there; nothing is called damaged; the log takes more.
 */
import { BufferPool } from '../src/lib/buffer-pool.ts'
import { Fault } from '../src/lib/fault.ts'
import type { Offset } from '../src/lib/brand.ts'
import { readBatchHeader } from '../src/store/batch-header.ts'
import { openStore } from '../src/store/open.ts'
import type { PartitionConfig, PartitionLog, Store } from '../src/store/store.ts'
import { anyBatch, sameBatch } from './batches.ts'
import type { DiskCall, DiskFailure } from '../src/lib/sim/disk.ts'
import { SeededRandom } from '../src/lib/sim/random.ts'
import { type Simulation, simulate } from '../src/lib/sim/world.ts'

export interface StoreRun {
  readonly lives: number
  readonly appended: number
  readonly acknowledged: number
  readonly torn: number
  readonly faults: readonly string[]
  readonly trace: string
}
export interface StoreRunOptions {
  /** Disk calls fail now and then. */
  readonly failures?: boolean
}

interface Modelled {
  readonly dir: string
  /** What was appended and not known to be gone, in order. */
  batches: Appended[]
  /** What was taken back after a failed write. Some of it may have reached the disk: it may be back after a death. */
  ghosts: Appended[]
  end: number
  /** What somebody was told to be durable. */
  durable: number
  /** Trims and retention that were answered, and that were asked for. */
  start: number
  startAsked: number
  snapshotAt: number
  snapshots: Map<number, string>
}

interface Appended {
  readonly base: number
  readonly end: number
  readonly bytes: Buffer
}

const partitionCount = 3
/** More than the steps of a life can take. */
const lifeMsMax = 2_000_000

export async function runStore(seed: number, options: StoreRunOptions = {}): Promise<StoreRun> {
  const machine = simulate(seed)
  const run = new Run(machine, options)
  const lives = machine.random.between(2, 6)
  for (let life = 0; life < lives; life++) await run.live(life === lives - 1)
  return { lives, ...run.report(), trace: machine.trace() }
}

class Violation extends Error {}
function hold(condition: boolean, what: string): void {
  if (!condition) throw new Violation(what)
}

class Run {
  readonly #machine: Simulation
  /** Shows who still looks at bytes that were given back. */
  readonly #pool = new BufferPool(1_000_000, { wipes: true })
  readonly #random: SeededRandom
  readonly #options: StoreRunOptions
  readonly #models: Modelled[]
  readonly #faults: string[] = []
  #appended = 0
  #acknowledged = 0
  #torn = 0

  constructor(machine: Simulation, options: StoreRunOptions) {
    this.#machine = machine
    this.#random = new SeededRandom(machine.seed, 'work')
    this.#options = options
    this.#models = Array.from({ length: partitionCount }, (_, i) => ({
      dir: `topic~${i}/0`,
      batches: [],
      ghosts: [],
      end: 0,
      durable: 0,
      start: 0,
      startAsked: 0,
      snapshotAt: -1,
      snapshots: new Map<number, string>(),
    }))
  }
  report(): Omit<StoreRun, 'lives' | 'trace'> {
    return { appended: this.#appended, acknowledged: this.#acknowledged, torn: this.#torn, faults: this.#faults }
  }
  async live(isLast: boolean): Promise<void> {
    const machine = this.#machine
    const random = this.#random
    const death = isLast ? 'stop' : random.pick(['power', 'power', 'power', 'kill', 'stop'] as const)
    const deathAt = machine.disk.calls + random.between(1, random.pick([30, 300, 1500]))
    machine.disk.plan = (call) => this.#fail(call, death === 'power' || death === 'kill' ? deathAt : Number.MAX_VALUE)
    const life = this.#work(death === 'stop').catch((error: unknown) => {
      if (error instanceof Violation) throw error
      // The disk is off, or failed to open: the process ends here.
      if (!(error instanceof Fault) && (error as { code?: string }).code === undefined) throw error
    })
    await this.#untilDead(life, deathAt, death !== 'stop')
    machine.disk.plan = null
    if (death === 'power') machine.powerCut()
    else machine.kill()
  }
  /** Lets the work go on until it ends or the disk is dead. */
  async #untilDead(life: Promise<void>, deathAt: number, dies: boolean): Promise<void> {
    const endMs = this.#machine.clock.monotonic() + lifeMsMax
    let isOver = false
    let failed: unknown = null
    life.then(
      () => (isOver = true),
      (error: unknown) => {
        isOver = true
        failed = error
      },
    )
    while (!isOver && !(dies && this.#machine.disk.calls > deathAt + 200)) {
      const before = this.#machine.disk.calls
      await this.#machine.advance(5)
      hold(this.#machine.clock.monotonic() < endMs, 'nothing goes on')
      if (dies && before > deathAt && before === this.#machine.disk.calls) break
    }
    if (failed !== null) throw failed
  }
  #fail(call: DiskCall, deathAt: number): DiskFailure | null {
    if (call.number >= deathAt) return { code: 'power', written: this.#random.between(0, 5000) }
    if (this.#options.failures !== true || !this.#random.chance(0.01)) return null
    switch (call.operation) {
      case 'write':
        return { code: this.#random.pick(['ENOSPC', 'EIO']), written: this.#random.between(0, 5000) }
      case 'datasync':
      case 'syncDirectory':
      case 'rename':
      case 'truncate':
      case 'readLater':
      case 'read':
      case 'open':
      case 'makeDirectory':
        return { code: 'EIO' }
      default:
        return null
    }
  }
  async #work(stops: boolean): Promise<void> {
    const store = await openStore({
      world: this.#machine,
      dir: '/data',
      hotBytes: this.#random.pick([1000, 20_000, 1_000_000]),
      pool: this.#pool,
      handlesMax: this.#random.pick([2, 4, 100]),
      onFault: (fault) => this.#faults.push(fault.message),
    })
    this.#torn += store.recovery.torn.length
    for (const fault of store.recovery.damaged) {
      hold(fault.code === 'store.failed' && this.#options.failures === true, `called damaged: ${fault.message}`)
      throw fault
    }
    const logs = this.#models.map((model) => store.partition(model.dir, this.#config()))
    for (const [i, log] of logs.entries()) {
      await this.#adopt(log, this.#models[i]!)
      await this.#check(log, this.#models[i]!)
    }
    for (const [i, log] of logs.entries()) this.#follow(log, this.#models[i]!)
    const steps = this.#random.between(5, 60)
    for (let step = 0; step < steps; step++) {
      const i = this.#random.between(0, partitionCount - 1)
      await this.#step(logs[i]!, this.#models[i]!)
    }
    for (const [i, log] of logs.entries()) await this.#check(log, this.#models[i]!)
    if (stops) await this.#stop(store, logs)
  }
  async #stop(store: Store, logs: readonly PartitionLog[]): Promise<void> {
    await store.close()
    for (const [i, log] of logs.entries()) {
      const model = this.#models[i]!
      if (this.#options.failures !== true)
        hold(log.durable === model.end, `a clean stop left ${log.durable} of ${model.end} durable`)
      model.durable = Math.max(model.durable, log.durable)
    }
  }
  #config(): PartitionConfig {
    const random = this.#random
    return {
      segmentBytes: random.pick([2_000, 10_000, 1_000_000]),
      segmentMs: random.pick([50, 1e9, 1e9]),
      retentionBytes: random.pick([-1, -1, 20_000]),
      retentionMs: random.pick([-1, -1, 20_000]),
      flushMs: random.pick([1, 10, 10, 100]),
      timestampType: random.pick(['create-time', 'create-time', 'log-append-time']),
      indexIntervalBytes: random.pick([1, 500, 4096]),
    }
  }
  #follow(log: PartitionLog, model: Modelled): void {
    log.onDurable(() => {
      hold(log.durable >= model.durable, `durable went back to ${log.durable} from ${model.durable}`)
      model.durable = log.durable
    })
    log.onCut((end) => {
      hold(end >= model.durable, `cut to ${end} below ${model.durable}`)
      this.#cut(model, end)
    })
  }
  #cut(model: Modelled, end: number): void {
    while (model.batches.length > 0 && model.batches.at(-1)!.end > end) model.ghosts.push(model.batches.pop()!)
    model.end = end
  }
  /** After a death: above what was durable the log may hold any of what was ever appended there, without a gap. */
  async #adopt(log: PartitionLog, model: Modelled): Promise<void> {
    const known = [...model.batches, ...model.ghosts]
    hold(log.durable >= model.durable, `${model.dir}: ${model.durable} was durable, ${log.durable} is there`)
    this.#cut(model, Math.max(model.durable, log.start))
    model.end = Math.max(model.durable, log.start)
    while (model.end < log.end) {
      const [bytes] = await log.read(model.end as Offset, 1, log.end)
      const at = model.end
      const found = known.find((each) => each.base <= at && at < each.end && sameBatch(each.bytes, bytes!))
      hold(found !== undefined, `${model.dir}: at ${model.end} lies what was never appended`)
      model.batches.push(found!)
      model.end = found!.end
    }
    model.ghosts = []
  }
  async #step(log: PartitionLog, model: Modelled): Promise<void> {
    const random = this.#random
    const kind = random.fraction()
    try {
      if (kind < 0.6) await this.#append(log, model)
      else if (kind < 0.75) await this.#machine.clock.sleep(random.fraction() * 20)
      else if (kind < 0.8) await this.#machine.clock.sleep(11_000)
      else if (kind < 0.85) await this.#trim(log, model)
      else if (kind < 0.9) await this.#snapshot(log, model)
      else if (kind < 0.92) log.configure(this.#config())
      else if (kind < 0.95) await this.#compact(log)
      else await this.#check(log, model)
    } catch (error) {
      if (!(error instanceof Fault) || (error.code !== 'store.failed' && error.code !== 'store.full')) throw error
      const isExpected =
        this.#options.failures === true || this.#isDead() || error.message.includes('trimmed meanwhile')
      hold(isExpected, `a fault without a failure: ${error.message}`)
    }
  }
  #isDead(): boolean {
    return this.#machine.disk.isOff
  }
  async #append(log: PartitionLog, model: Modelled): Promise<void> {
    const count = this.#random.between(1, 12)
    let end = 0
    for (let i = 0; i < count; i++) {
      const batch = anyBatch(this.#random, this.#machine.clock.now())
      const lease = this.#pool.take(batch.length)
      const bytes = lease.bytes.subarray(0, batch.length)
      bytes.set(batch)
      const base = log.append(bytes, lease).baseOffset
      hold(base === model.end, `offset ${base} given where ${model.end} is next`)
      end = log.end
      model.batches.push({ base, end, bytes: Buffer.from(bytes) })
      // From here on the store alone knows how long it needs them.
      lease.release()
      model.end = end
      this.#appended++
    }
    if (this.#random.chance(0.5)) {
      await log.whenDurable(end as Offset)
      hold(log.durable >= end, `answered durable up to ${end}, which is at ${log.durable}`)
      this.#acknowledged += count
      return
    }
    const waits = this.#random.chance(0.3)
    if (waits) await log.whenWritten(end as Offset)
    else if (this.#random.chance(0.3)) log.wantDurable()
  }
  async #trim(log: PartitionLog, model: Modelled): Promise<void> {
    if (log.durable === log.start) return
    const to = this.#random.between(log.start, log.durable)
    model.startAsked = Math.max(model.startAsked, to)
    await log.trim(to as Offset)
    model.start = Math.max(model.start, to)
  }
  async #snapshot(log: PartitionLog, model: Modelled): Promise<void> {
    const at = log.end
    const text = `${at} ${this.#random.uuid()}`
    model.snapshots.set(at, text)
    await log.saveSnapshot('state', at, Buffer.from(text))
    model.snapshotAt = Math.max(model.snapshotAt, at)
    model.durable = Math.max(model.durable, at)
  }
  /** Some neighbouring segments become one, with the same batches. */
  async #compact(log: PartitionLog): Promise<void> {
    const all = log.sealed(log.durable)
    if (all.length === 0) return
    const from = this.#random.between(0, all.length - 1)
    const some = all.slice(from, this.#random.between(from, all.length - 1) + 1)
    await log.replaceSealed(some, copies(log, some[0]!.base, some.at(-1)!.end))
  }
  async #check(log: PartitionLog, model: Modelled): Promise<void> {
    hold(log.damage === null, `called damaged: ${log.damage?.fault.message}`)
    hold(log.durable >= model.durable, `${model.dir}: ${model.durable} was durable, ${log.durable} is there`)
    hold(log.end === model.end, `${model.dir}: ends at ${log.end}, ${model.end} was appended`)
    hold(log.start >= model.start, `${model.dir}: trimmed to ${model.start}, starts at ${log.start}`)
    // Retention moves the start too, and that stays, but where the sync of the note of it failed: nobody was told of it.
    if (this.#options.failures !== true) model.start = log.start
    await this.#checkBatches(log, model)
    this.#checkTimes(log, model)
    const faultCount = this.#faults.length
    const snapshot = log.loadSnapshot('state')
    // Unreadable for now, and said so.
    if (this.#faults.length > faultCount && (this.#isDead() || this.#options.failures === true)) return
    hold(snapshot !== null || model.snapshotAt < 0, `${model.dir}: the snapshot is gone`)
    if (snapshot === null) return
    hold(snapshot.at >= model.snapshotAt, `${model.dir}: an older snapshot is back`)
    const text = Buffer.from(snapshot.bytes).toString()
    hold(model.snapshots.get(snapshot.at) === text || text.startsWith(`${snapshot.at} `), 'another snapshot')
  }
  async #checkBatches(log: PartitionLog, model: Modelled): Promise<void> {
    const upTo = log.durable
    const from = log.start
    let at: number = from
    const expected = model.batches.filter((batch) => batch.end > at && batch.base < upTo)
    let next = 0
    while (at < upTo) {
      const found = await log.lend(at as Offset, this.#random.between(1, 5000), upTo)
      if (log.start > at) return
      if (this.#random.chance(0.2)) await this.#machine.clock.sleep(this.#random.fraction() * 5)
      if (log.start > at) return
      hold(found.buffers.length > 0, `${model.dir}: nothing at ${at} of ${log.start}..${upTo}`)
      for (const bytes of found.buffers) {
        const batch = expected[next++]
        hold(batch !== undefined && sameBatch(batch.bytes, bytes), `${model.dir}: other bytes at ${at}`)
        at = batch!.end
      }
      found.release()
    }
    hold(at === upTo || upTo <= from, `${model.dir}: read on to ${at} past ${upTo}`)
    // What follows is asked in one turn: retention may have moved the start since.
    if (log.start > from) return
    let count = 0
    for (const header of log.headers(from as Offset)) {
      const batch = expected[count++]
      if (batch === undefined) break
      hold(readBatchHeader(header).baseOffset === batch.base, `${model.dir}: another header at ${batch.base}`)
    }
    hold(count >= expected.length, `${model.dir}: ${count} headers for ${expected.length} batches`)
  }
  #checkTimes(log: PartitionLog, model: Modelled): void {
    const kept = model.batches.filter((batch) => batch.end > log.start && batch.base < log.durable)
    const some = kept.length === 0 ? null : this.#random.pick(kept)
    if (some === null) return
    const timeMs = readBatchHeader(some.bytes).maxTimeMs + this.#random.between(-1, 1)
    const expected = kept.find((batch) => readBatchHeader(batch.bytes).maxTimeMs >= timeMs)?.base ?? null
    const found = log.findTime(timeMs)
    hold(found === expected, `${model.dir}: time ${timeMs} found at ${found}, not ${expected}`)
  }
}

/** Nothing when retention takes them meanwhile: then the segments have changed, and are not replaced. */
async function* copies(log: PartitionLog, from: number, end: number): AsyncGenerator<Uint8Array> {
  for (let at = from; at < end;) {
    const [bytes] = await log.read(Math.max(at, log.start) as Offset, 1, end as Offset)
    const copy = Buffer.from(bytes ?? [])
    if (bytes === undefined || readBatchHeader(copy).baseOffset !== at)
      throw new Fault('store.failed', { what: 'trimmed meanwhile', path: log.dir })
    const { baseOffset, lastOffsetDelta } = readBatchHeader(copy)
    yield copy
    at = baseOffset + lastOffsetDelta + 1
  }
}
