/** Answers what threads of views ask about parts that this thread holds. Each has a port, and a bell that it waits at. */
import { asFault } from '../../lib/fault.ts'
import { sendFault } from '../../lib/line.ts'
import type { Disk } from '../../lib/world.ts'
import { TickAgain } from '../operator.ts'
import type { Plan } from '../plan.ts'
import { partSizes } from '../step-state.ts'
import { type ChangesFound, type PartAnswer, type PartAsk, writeStatus } from './asks.ts'
import { HeldParts, type HeldStep } from './held-parts.ts'
import { Packer, type Packed, Unpacker } from './wire.ts'

export interface PartHost {
  readonly disk: Disk
  /** Puts functions back into a plan that came from another thread. */
  readonly plan: (plan: Plan, view: string) => Plan
  /** Told before a view is worked on. */
  readonly onWork: (viewNumber: number) => void
}
export interface Answered {
  readonly answer: PartAnswer
  readonly buffers: readonly ArrayBuffer[]
}

/** The parts of all views of one thread. */
export class PartServer {
  private readonly host: PartHost
  private readonly views = new Map<number, { readonly held: HeldParts; readonly viewNumber: number }>()

  constructor(host: PartHost) {
    this.host = host
  }
  /** Nobody asks any more. */
  close(): void {
    for (const { held } of this.views.values()) held.close()
    this.views.clear()
  }
  answer(ask: PartAsk): Answered {
    try {
      return this.answered(ask)
    } catch (error) {
      const answer = error instanceof TickAgain ? { again: true as const } : { fault: sendFault(asFault(error)) }
      return { answer, buffers: [] }
    }
  }
  private answered(ask: PartAsk): Answered {
    const { host } = this
    if (ask.ask === 'open') {
      host.onWork(ask.viewNumber)
      const held = new HeldParts({ ...ask.options, plan: host.plan(ask.options.plan, ask.name) }, host.disk)
      this.views.set(ask.view, { held, viewNumber: ask.viewNumber })
      return told(held, held.steps)
    }
    const view = this.views.get(ask.view)
    // It could not be opened, or is closed.
    if (view === undefined) return { answer: { status: new Packer().done() }, buffers: [] }
    host.onWork(view.viewNumber)
    const { held } = view
    switch (ask.ask) {
      case 'step':
        return stepped(held, ask)
      case 'changes':
        if (ask.forgetAtMs !== null) held.forgetOld(held.steps, ask.forgetAtMs)
        return told(held, held.steps, null, held.changes(ask.numbers, ask))
      case 'commit':
        held.commit()
        break
      case 'undo':
        held.undo()
        break
      case 'clear':
        held.clear()
        break
      case 'restore':
        restore(held, ask.packed, ask.entries)
        if (!ask.all) held.makeRoomToRestore(ask.entries)
        break
      case 'restored':
        held.restored()
        break
      case 'close-files':
        held.closeFiles()
        break
      case 'close':
        held.close()
        this.views.delete(ask.view)
        break
      case 'evict':
        held.evict(ask.step, ask.bytes)
        break
      case 'empty':
        held.empty(ask.step)
        break
      case 'content': {
        const out = new Packer()
        for (const batch of held.content(ask.step)) out.given(batch)
        return told(held, held.steps, out.done())
      }
    }
    return told(held, held.steps)
  }
}

function stepped(held: HeldParts, { step, forgetAtMs, packed }: PartAsk & { ask: 'step' }): Answered {
  const one = held.at(step)
  if (forgetAtMs !== null) held.forgetOld([one], forgetAtMs)
  const input = new Unpacker(packed)
  const time = { nowUs: input.number(), before: input.number(), watermark: input.number(), due: input.number() }
  const inputs = input.number()
  const pieces = one.operators.map(() => Array.from({ length: inputs }, () => input.batch()))
  const given = held.step(step, pieces, time)
  const out = new Packer(packed.buffer.byteLength)
  for (const batch of given) out.given(batch)
  return told(held, [one], out.done())
}
function restore(held: HeldParts, packed: Packed, entries: number): void {
  const input = new Unpacker(packed)
  for (let n = 0; n < entries; n++) {
    const [step, part, table, timeMs] = [input.number(), input.number(), input.number(), input.number()]
    const key = input.raw(input.number())
    const length = input.number()
    held.restore(step, part, table, key, length < 0 ? null : input.raw(length), timeMs)
  }
}
function told(
  held: HeldParts,
  steps: readonly HeldStep[],
  packed: Packed | null = null,
  changes: readonly ChangesFound[] | null = null,
): Answered {
  const status = new Packer(256)
  status.number(held.spilledBytes)
  status.number(steps.length)
  for (const { id, operators, tables } of steps) {
    status.number(id)
    const waits = operators.some(({ operator, state }) => operator.waits(state))
    const due = operators.reduce(
      (least, { operator, state }) => Math.min(least, operator.due?.(state) ?? Infinity),
      Infinity,
    )
    writeStatus(status, { waits, due, ...partSizes(tables) })
  }
  const done = status.done()
  return {
    answer: { status: done, ...(packed === null ? {} : { packed }), ...(changes === null ? {} : { changes }) },
    buffers: [
      done.buffer,
      ...(packed === null ? [] : [packed.buffer]),
      ...(changes ?? []).map(({ batch }) => batch.buffer as ArrayBuffer),
    ],
  }
}
