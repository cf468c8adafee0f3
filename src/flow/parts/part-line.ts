/**
 * The line between the thread of a view and one that holds parts: a port, and a bell, on which the asking thread waits. What holds parts
 * has an event loop as any other thread; whoever waits has none meanwhile. A hop there and back takes some 50 µs.
 *
 * The bell: how many answers have been given; and whether the other thread has ended, which the thread that started it says.
 */
import { type MessagePort, receiveMessageOnPort } from 'node:worker_threads'
import { Fault, asFault } from '../../lib/fault.ts'
import { sendFault } from '../../lib/line.ts'
import type { PartAnswer, PartAsk } from './asks.ts'
import type { Later, PartLink } from './far-parts.ts'
import type { Answered } from './serve-parts.ts'

export type Bell = Int32Array<SharedArrayBuffer>
export const newBell = (): Bell => new Int32Array(new SharedArrayBuffer(8))
const answers = 0
const ended = 1
/** Whoever waits at the bell will not be answered any more. */
export function ringEnd(bell: Bell): void {
  Atomics.store(bell, ended, 1)
  Atomics.notify(bell, answers)
}

export class PartLine implements PartLink {
  private readonly port: MessagePort
  private readonly bell: Bell
  private readonly onWait: (waits: boolean) => void
  private sent = 0
  private received = 0
  /** Answers that others wait for. */
  private readonly early = new Map<number, PartAnswer>()
  private views = 0

  /** Told when this thread begins to wait, and when it has waited. */
  constructor(port: MessagePort, bell: Bell, onWait: (waits: boolean) => void) {
    this.port = port
    this.bell = bell
    this.onWait = onWait
  }
  close(): void {
    this.port.close()
  }
  nextView(): number {
    return ++this.views
  }
  tell(ask: PartAsk): void {
    this.port.postMessage(ask)
  }
  ask(name: string, ask: PartAsk, buffers: readonly ArrayBuffer[]): Later<PartAnswer> {
    this.port.postMessage(ask, buffers)
    const number = ++this.sent
    return () => this.answerTo(name, number)
  }
  private answerTo(name: string, number: number): PartAnswer {
    for (;;) {
      const early = this.early.get(number)
      if (early !== undefined) {
        this.early.delete(number)
        return early
      }
      this.early.set(++this.received, this.next(name))
    }
  }
  private next(name: string): PartAnswer {
    for (let waits = false; ; waits = true) {
      const given = Atomics.load(this.bell, answers)
      const found = receiveMessageOnPort(this.port)
      if (found !== undefined) {
        if (waits) this.onWait(false)
        return found.message as PartAnswer
      }
      if (Atomics.load(this.bell, ended) === 1) {
        if (waits) this.onWait(false)
        throw new Fault('flow.thread-ended', { view: name, why: 'one with parts of its steps ended' })
      }
      if (!waits) this.onWait(true)
      Atomics.wait(this.bell, answers, given, lookMs)
    }
  }
}
/** The bell is rung whenever there is something; this is for what nobody has thought of. */
const lookMs = 1_000

/** The other end. */
export function answerParts(port: MessagePort, bell: Bell, answer: (ask: PartAsk) => Promise<Answered>): void {
  let before: Promise<void> = Promise.resolve()
  const failed = (error: unknown): Answered => ({ answer: { fault: sendFault(asFault(error)) }, buffers: [] })
  const one = async (ask: PartAsk): Promise<void> => {
    const { answer: said, buffers } = await answer(ask).catch(failed)
    if (ask.ask === 'close' || ask.ask === 'close-files') return
    try {
      port.postMessage(said, buffers)
    } catch (error) {
      // What cannot be cloned.
      port.postMessage(failed(error).answer)
    }
    Atomics.add(bell, answers, 1)
    Atomics.notify(bell, answers)
  }
  port.on('message', (ask: PartAsk) => (before = before.then(() => one(ask))))
}
