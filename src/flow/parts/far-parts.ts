/**
 * Parts of a view's steps that other threads hold, as the view's graph has them. What is asked goes out at once and is waited for
 * where the answer is wanted: between the two the asking thread does its own part. Nothing is taken before the answers
 * of all are there, so whatever one of them throws, all are at the same place.
 */
import { receiveFault } from '../../lib/line.ts'
import { handOver } from '../../log/batch.ts'
import type { Batch } from '../batch.ts'
import { type StepTime, TickAgain } from '../operator.ts'
import type { Plan } from '../plan.ts'
import type { FarStep } from '../spread.ts'
import { stepsInOrder } from '../step-state.ts'
import {
  type ChangesAsk,
  type ChangesFound,
  type PartAnswer,
  type PartAsk,
  type PartStatus,
  freshStatus,
  readStatus,
} from './asks.ts'
import type { HeldOptions } from './held-parts.ts'
import { Packer, Sheet, SheetReader, type Unpacker } from './wire.ts'

/** A thread that holds parts. */
export interface PartLink {
  /**
   * What it gives waits for the answer, and lets nothing else happen here meanwhile. It throws Fault flow.thread-ended.
   * `name`: the view's.
   */
  ask(name: string, ask: PartAsk, buffers: readonly ArrayBuffer[]): Later<PartAnswer>
  /** Nothing is answered. */
  tell(ask: PartAsk): void
  nextView(): number
}
/** What a view is given to spread over other threads. */
export interface PartLinks {
  readonly links: readonly PartLink[]
  /** As it can be sent. */
  readonly plan: Plan
  readonly name: string
  readonly viewNumber: number
}
interface Answer {
  /** Behind what became of the steps. */
  readonly input: Unpacker
  readonly changes: readonly ChangesFound[]
}
type WithoutView<A> = A extends unknown ? Omit<A, 'view'> : never
/** Waits for it; once. */
export type Later<T> = () => T

interface Entry {
  readonly key: Uint8Array
  readonly value: Uint8Array | null
  readonly timeMs: number | undefined
}

/** Parts of a view on other threads: the first is always here, the others go round. */
export function farParts(
  plan: Plan,
  exchanges: ReadonlyMap<Plan, unknown>,
  { far, parallelism = 1, ttlMs = null, memory }: FarOptions,
): FarParts[] {
  if (far === undefined || exchanges.size === 0) return []
  const links = far.links.slice(0, parallelism - 1)
  const steps = stepsInOrder(plan).flatMap((step, i) => (exchanges.has(step) ? [i + 1] : []))
  return links.map((link, i) => {
    const all = Array.from({ length: parallelism }, (_, part) => part)
    const parts = all.filter((part) => part % (links.length + 1) === i + 1)
    // Below the folder of the view, which is emptied when its graph is made.
    const own = memory === undefined ? null : { bytes: memory.bytes, folder: `${memory.folder}/part${i + 1}` }
    return new FarParts(link, far, { plan: far.plan, parts, parallelism, steps, ttlMs, memory: own })
  })
}
interface FarOptions {
  readonly far?: PartLinks
  readonly parallelism?: number
  readonly ttlMs?: number | null
  readonly memory?: { readonly bytes: number; readonly folder: string }
}
/** Those of one step. */
export class FarNode implements FarStep {
  private readonly far: FarParts
  private readonly id: number
  private readonly forgetAtMs: () => number | null

  constructor(far: FarParts, id: number, forgetAtMs: () => number | null) {
    this.far = far
    this.id = id
    this.forgetAtMs = forgetAtMs
  }
  get parts(): readonly number[] {
    return this.far.parts
  }
  get status(): PartStatus {
    return this.far.statusOf(this.id)
  }
  step(time: StepTime, inputs: number, write: (out: Packer, part: number) => void): Later<Batch[]> {
    return this.far.step(this.id, time, { forgetAtMs: this.forgetAtMs(), inputs, write })
  }
  content(): Later<Batch[]> {
    return this.far.content(this.id)
  }
  evict(bytes: number): Later<unknown> {
    return this.far.ask({ ask: 'evict', step: this.id, bytes })
  }
  empty(): Later<unknown> {
    return this.far.ask({ ask: 'empty', step: this.id })
  }
}

/** The parts of one thread. */
export class FarParts {
  readonly parts: readonly number[]
  /** In files of that thread. */
  spilledBytes = 0
  private readonly link: PartLink
  private readonly view: number
  private readonly name: string
  private readonly statuses = new Map<number, PartStatus>()

  constructor(link: PartLink, { name, viewNumber }: Pick<PartLinks, 'name' | 'viewNumber'>, options: HeldOptions) {
    this.link = link
    this.name = name
    this.view = link.nextView()
    this.parts = options.parts
    this.opening = this.ask({ ask: 'open', options, name, viewNumber })
  }
  private opening: Later<unknown> | null
  /** The thread may still be on its way: it is waited for when it is needed. */
  private opened(): void {
    const { opening } = this
    this.opening = null
    opening?.()
  }
  statusOf(step: number): PartStatus {
    return this.statuses.get(step) ?? freshStatus
  }
  ask(ask: WithoutView<PartAsk>, buffers: readonly ArrayBuffer[] = []): Later<Answer> {
    if (ask.ask !== 'open') this.opened()
    this.settleRestore()
    const answer = this.link.ask(this.name, { ...ask, view: this.view } as PartAsk, buffers)
    return () => this.taken(answer())
  }
  closeFiles(): void {
    this.link.tell({ ask: 'close-files', view: this.view })
  }
  /** Nothing is asked any more. */
  close(): void {
    this.link.tell({ ask: 'close', view: this.view })
  }
  private taken(answer: PartAnswer): Answer {
    if ('fault' in answer) throw receiveFault(answer.fault)
    if ('again' in answer) throw new TickAgain()
    const input = this.answers.read(answer.packed)
    this.spilledBytes = input.number()
    for (let left = input.number(); left > 0; left--) this.statuses.set(input.number(), readStatus(input))
    const { changes = [] } = answer
    for (const { batch } of changes) handOver(batch)
    return { input, changes }
  }

  step(
    step: number,
    { nowUs, before, watermark, due }: StepTime,
    {
      forgetAtMs,
      inputs,
      write,
    }: {
      readonly forgetAtMs: number | null
      readonly inputs: number
      readonly write: (out: Packer, part: number) => void
    },
  ): Later<Batch[]> {
    // Nothing else is on its way that was written there.
    this.settleRestore()
    const out = new Packer(this.sheet)
    for (const number of [nowUs, before, watermark, due, inputs]) out.number(number)
    for (const part of this.parts) write(out, part)
    const answer = this.ask({ ask: 'step', step, forgetAtMs, packed: out.done() })
    return () => this.batches(answer())
  }
  private readonly sheet = new Sheet()
  private readonly answers = new SheetReader()
  content(step: number): Later<Batch[]> {
    const answer = this.ask({ ask: 'content', step })
    return () => this.batches(answer())
  }
  /** They hold until something else is asked: whoever keeps them copies them. */
  private batches({ input }: Answer): Batch[] {
    return this.parts.map(() => input.given())
  }
  changes(ask: Omit<ChangesAsk, 'ask'>): Later<readonly ChangesFound[]> {
    const answer = this.ask({ ask: 'changes', ...ask })
    return () => answer().changes
  }

  // Restoring: entries go in bundles, one ahead of what has been answered.

  private bundle: Packer | null = null
  private entries = 0
  private bundleAnswer: Later<unknown> | null = null
  restore(
    { step, part, table }: { readonly step: number; readonly part: number; readonly table: number },
    { key, value, timeMs = -Infinity }: Entry,
    all: boolean,
  ): void {
    const out = (this.bundle ??= new Packer(bundleBytes))
    for (const number of [step, part, table, timeMs]) out.number(number)
    out.number(key.length)
    out.raw(key.length).set(key)
    out.number(value?.length ?? -1)
    if (value !== null) out.raw(value.length).set(value)
    this.entries++
    this.restoresAll = all
    if (out.bytes >= bundleBytes) this.sendBundle()
  }
  private restoresAll = false
  private sendBundle(): void {
    const { bundle, entries } = this
    if (bundle === null) return
    this.opened()
    this.bundleAnswer?.()
    this.bundle = null
    this.entries = 0
    const packed = bundle.done()
    this.bundleAnswer = null
    this.bundleAnswer = this.ask({ ask: 'restore', entries, all: this.restoresAll, packed }, [
      packed.buffer as ArrayBuffer,
    ])
  }
  /** Before anything else is asked. */
  private settleRestore(): void {
    if (this.bundle !== null) this.sendBundle()
    const answer = this.bundleAnswer
    this.bundleAnswer = null
    answer?.()
  }
}
const bundleBytes = 256 * 1024

/** Does its own while others do theirs. Throws when all are done, what it threw itself first. */
export function together<T, O>(far: readonly Later<T>[], own: () => O): { readonly own: O; readonly far: T[] } {
  let thrown: { readonly error: unknown } | null = null
  const guarded = <R>(act: () => R): R | null => {
    try {
      return act()
    } catch (error) {
      thrown ??= { error }
      return null
    }
  }
  const mine = guarded(own)
  const theirs = far.map((answer) => guarded(answer))
  if (thrown !== null) throw (thrown as { readonly error: unknown }).error
  return { own: mine as O, far: theirs as T[] }
}
