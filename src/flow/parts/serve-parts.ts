/** Answers what threads of views ask about parts that this thread holds. Each has a port, and a bell that it waits at. */
import { asFault } from '../../lib/fault.ts'
import { sendFault } from '../../lib/line.ts'
import type { Disk } from '../../lib/world.ts'
import type { Batch } from '../batch.ts'
import { TickAgain } from '../operator.ts'
import type { Plan } from '../plan.ts'
import { partSizes } from '../step-state.ts'
import { type PartAnswer, type PartAsk, writeStatus } from './asks.ts'
import { HeldParts, type HeldStep } from './held-parts.ts'
import { type Packed, Packer, Sheet, SheetReader, Unpacker } from './wire.ts'

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

interface View {
  readonly held: HeldParts
  readonly viewNumber: number
  readonly asked: SheetReader
  /** For answers. */
  readonly sheet: Sheet
}

/** The parts of all views of one thread. */
export class PartServer {
  private readonly host: PartHost
  private readonly views = new Map<number, View>()

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
      this.views.get(ask.view)?.sheet.untake()
      const answer = error instanceof TickAgain ? { again: true as const } : { fault: sendFault(asFault(error)) }
      return { answer, buffers: [] }
    }
  }
  private answered(ask: PartAsk): Answered {
    const { host } = this
    if (ask.ask === 'open') {
      host.onWork(ask.viewNumber)
      const held = new HeldParts({ ...ask.options, plan: host.plan(ask.options.plan, ask.name) }, host.disk)
      const view = { held, viewNumber: ask.viewNumber, asked: new SheetReader(), sheet: new Sheet() }
      this.views.set(ask.view, view)
      return told(view, held.steps)
    }
    const view = this.views.get(ask.view)
    // It could not be opened, or is closed.
    if (view === undefined) return { answer: { packed: new Packer(16).done() }, buffers: [] }
    host.onWork(view.viewNumber)
    const { held } = view
    switch (ask.ask) {
      case 'step':
        return stepped(view, ask)
      case 'changes':
        if (ask.forgetAtMs !== null) held.forgetOld(held.steps, ask.forgetAtMs)
        return changed(view, ask)
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
        const content = held.content(ask.step)
        return told(view, held.steps, content)
      }
    }
    return told(view, held.steps)
  }
}

function stepped(view: View, { step, forgetAtMs, packed }: PartAsk & { ask: 'step' }): Answered {
  const { held } = view
  const input = view.asked.read(packed)
  const one = held.at(step)
  if (forgetAtMs !== null) held.forgetOld([one], forgetAtMs)
  const time = { nowUs: input.number(), before: input.number(), watermark: input.number(), due: input.number() }
  const inputs = input.number()
  const pieces = one.operators.map(() => Array.from({ length: inputs }, (_, i) => input.batch(one.kept[i])))
  return told(view, [one], held.step(step, pieces, time))
}
function changed(view: View, ask: PartAsk & { ask: 'changes' }): Answered {
  const { held } = view
  if (ask.forgetAtMs !== null) held.forgetOld(held.steps, ask.forgetAtMs)
  const changes = held.changes(ask.numbers, ask)
  const { answer } = told(view, held.steps)
  return { answer: { ...answer, changes }, buffers: changes.map(({ batch }) => batch.buffer as ArrayBuffer) }
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
/** What became of these steps, and what was given. */
function told({ held, sheet }: View, steps: readonly HeldStep[], given: readonly Batch[] = []): Answered {
  const out = new Packer(sheet)
  out.number(held.spilledBytes)
  out.number(steps.length)
  for (const { id, operators, tables } of steps) {
    out.number(id)
    const waits = operators.some(({ operator, state }) => operator.waits(state))
    const due = operators.map(({ operator, state }) => operator.due?.(state) ?? Infinity)
    writeStatus(out, { waits, due: Math.min(...due), ...partSizes(tables) })
  }
  for (const batch of given) out.given(batch)
  return { answer: { packed: out.done() }, buffers: [] }
}
