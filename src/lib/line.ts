/**
 * Calls between two threads over a port, in both directions: each side gives the other methods. A method answers with a
 * value, a promise, or an async iterable, of which the other side takes one item at a time. Faults arrive as Faults, bare, in
 * arrays, and as the `fault` of an object; everything else is cloned, or transferred where it is a `Transfer`.
 */
import type { MessagePort, Worker } from 'node:worker_threads'
import { type Facts, Fault, type FaultCode, asFault } from './fault.ts'

/** What threads, and the two ends of a channel, have in common. */
export interface Port {
  post(message: unknown, buffers: readonly Given[]): void
  /** Once. */
  hear(call: (message: unknown) => void): void
  /** Whether it keeps this thread alive. */
  hold(holds: boolean): void
}
/** What goes over instead of being copied. */
type Given = ArrayBuffer | MessagePort
export const portOf = (own: MessagePort | Worker): Port => ({
  post: (message, buffers) => own.postMessage(message, buffers),
  hear: (call) => void (own as MessagePort).on('message', call),
  hold: (holds) => (holds ? own.ref() : own.unref()),
})
type Method = (...args: never[]) => unknown
export type Methods = Readonly<Record<string, Method>>
/** An answer whose buffers go over instead of being copied: the sender has them no more. */
export class Transfer<T> {
  readonly value: T
  readonly buffers: readonly ArrayBuffer[]
  constructor(value: T, buffers: readonly ArrayBuffer[]) {
    this.value = value
    this.buffers = buffers
  }
}
type Bare<T> = T extends Transfer<infer V> ? V : T
type AnswerOf<M> = M extends (...args: never[]) => infer R ? Bare<Awaited<R>> : never
type ItemOf<M> = M extends (...args: never[]) => AsyncIterable<infer T> ? Bare<T> : never
/** A method may take a signal behind its other arguments. */
type ArgsOf<M> = M extends (...args: infer A) => unknown ? (A extends [...infer B, AbortSignal] ? B : A) : never

type Message =
  | { readonly id: number; readonly call: string; readonly args: readonly unknown[] }
  | { readonly id: number; readonly next: true }
  /** The caller wants no answer any more. */
  | { readonly id: number; readonly stop: true }
  | { readonly id: number; readonly value: unknown }
  | { readonly id: number; readonly fault: SentFault }
  /** Of an iterable: it is at its end, or there is one. */
  | { readonly id: number; readonly done: true }

export interface SentFault {
  readonly fault: typeof mark
  readonly code: FaultCode
  readonly facts: Facts<FaultCode>
}
const mark = 'fault of millrace'
export const sendFault = ({ code, facts }: Fault): SentFault => ({ fault: mark, code, facts })
const isSentFault = (value: object): value is SentFault => 'fault' in value && value.fault === mark
export const receiveFault = ({ code, facts }: SentFault): Fault => new Fault(code, facts)

const mapped = (value: unknown, change: (value: object) => unknown): unknown => {
  if (typeof value !== 'object' || value === null || ArrayBuffer.isView(value)) return value
  if (Array.isArray(value)) return value.some(isObject) ? value.map((one) => mapped(one, change)) : value
  const changed = change(value)
  if (changed !== value || !('fault' in value)) return changed
  return { ...value, fault: mapped(value.fault, change) }
}
const isObject = (value: unknown): boolean => typeof value === 'object' && value !== null
const sent = (value: unknown): unknown => mapped(value, (one) => (one instanceof Fault ? sendFault(one) : one))
const received = (value: unknown): unknown => mapped(value, (one) => (isSentFault(one) ? receiveFault(one) : one))

interface Waiting {
  readonly resolve: (value: unknown) => void
  readonly reject: (error: unknown) => void
}
interface Serving {
  readonly controller: AbortController
  items: AsyncIterator<unknown> | null
}
export interface LineOptions {
  /** A call that waits keeps this thread alive, and the port alone does not. Default: nothing is changed about the port. */
  readonly holds?: boolean
}
const nothing = Symbol('nothing')

export class Line<Theirs> {
  readonly #port: Port
  readonly #own: Methods
  readonly #holds: boolean
  readonly #waiting = new Map<number, Waiting>()
  readonly #serving = new Map<number, Serving>()
  #nextId = 1
  #ended: Fault | null = null

  constructor(port: Port, own: Methods, { holds = false }: LineOptions = {}) {
    this.#port = port
    this.#own = own
    this.#holds = holds
    port.hear((message) => this.#take(message as Message))
    if (holds) port.hold(false)
  }
  /** Throws what the method throws, or the signal's reason. */
  call<K extends keyof Theirs & string>(
    method: K,
    args: ArgsOf<Theirs[K]>,
    signal?: AbortSignal,
    buffers?: readonly Given[],
  ): Promise<AnswerOf<Theirs[K]>> {
    if (signal?.aborted === true) return Promise.reject(signal.reason)
    const id = this.#nextId++
    const answer = this.#wait(id, { id, call: method, args: sent(args) as readonly unknown[] }, buffers)
    if (signal === undefined) return answer as Promise<AnswerOf<Theirs[K]>>
    const aborted = (): void => {
      this.#settle(id)?.reject(signal.reason)
      this.#post({ id, stop: true })
    }
    signal.addEventListener('abort', aborted, { once: true })
    return answer.finally(() => signal.removeEventListener('abort', aborted)) as Promise<AnswerOf<Theirs[K]>>
  }
  /** Nobody waits for an answer; what is thrown is lost. */
  tell<K extends keyof Theirs & string>(method: K, args: ArgsOf<Theirs[K]>): void {
    if (this.#ended === null) this.#post({ id: 0, call: method, args: sent(args) as readonly unknown[] })
  }
  /** What the method's iterable gives; it begins when the first item is asked for, and ends with the signal. */
  async *items<K extends keyof Theirs & string>(
    method: K,
    args: ArgsOf<Theirs[K]>,
    signal?: AbortSignal,
  ): AsyncGenerator<ItemOf<Theirs[K]>, void> {
    if (signal?.aborted === true) return
    const id = this.#nextId++
    let isAborted = false
    const aborted = (): void => {
      isAborted = true
      this.#settle(id)?.resolve(nothing)
    }
    signal?.addEventListener('abort', aborted, { once: true })
    let isOver = false
    try {
      await this.#wait(id, { id, call: method, args: sent(args) as readonly unknown[] })
      while (!isAborted) {
        const item = await this.#wait(id, { id, next: true })
        isOver = item === nothing && !isAborted
        if (item === nothing) return
        yield item as ItemOf<Theirs[K]>
      }
    } finally {
      signal?.removeEventListener('abort', aborted)
      if (!isOver && this.#ended === null) this.#post({ id, stop: true })
    }
  }
  /** The other side is gone: whoever waits for it gets this fault, and what it asked for is given up. */
  end(fault: Fault): void {
    this.#ended ??= fault
    for (const id of [...this.#waiting.keys()]) this.#settle(id)?.reject(fault)
    for (const id of [...this.#serving.keys()]) this.#stop(id)
  }

  #wait(id: number, message: Message, buffers?: readonly Given[]): Promise<unknown> {
    if (this.#ended !== null) return Promise.reject(this.#ended)
    return new Promise((resolve, reject) => {
      if (this.#holds && this.#waiting.size === 0) this.#port.hold(true)
      this.#waiting.set(id, { resolve, reject })
      try {
        this.#post(message, buffers)
      } catch (error) {
        // What cannot be cloned.
        this.#settle(id)?.reject(asFault(error))
      }
    })
  }
  #settle(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    if (this.#holds && this.#waiting.size === 0) this.#port.hold(false)
    return waiting
  }
  #post(message: Message, buffers: readonly Given[] = []): void {
    this.#port.post(message, buffers)
  }
  #take(message: Message): void {
    const { id } = message
    if ('call' in message) void this.#serve(message.id, message.call, received(message.args) as readonly never[])
    else if ('next' in message) void this.#answer(id, this.#next(id))
    else if ('stop' in message) this.#stop(id)
    else if ('value' in message) this.#settle(id)?.resolve(received(message.value))
    else if ('fault' in message) this.#settle(id)?.reject(receiveFault(message.fault))
    else this.#settle(id)?.resolve(nothing)
  }
  async #serve(id: number, method: string, args: readonly never[]): Promise<void> {
    const serving: Serving = { controller: new AbortController(), items: null }
    this.#serving.set(id, serving)
    const run = async (): Promise<unknown> => {
      if (!Object.hasOwn(this.#own, method)) throw new Fault('internal', { what: `no method ${method}` })
      const answer = await (this.#own[method] as Method)(...args, serving.controller.signal as never)
      if (!isIterable(answer)) return answer
      serving.items = answer[Symbol.asyncIterator]()
      return nothing
    }
    await this.#answer(id, run())
    if (serving.items === null) this.#serving.delete(id)
  }
  async #next(id: number): Promise<unknown> {
    const step = await this.#serving.get(id)?.items?.next()
    if (step !== undefined && step.done !== true) return step.value
    this.#serving.delete(id)
    return nothing
  }
  async #answer(id: number, work: Promise<unknown>): Promise<void> {
    const post = (message: Message, buffers?: readonly ArrayBuffer[]): void => {
      if (id !== 0 && this.#ended === null) this.#post(message, buffers)
    }
    try {
      const answer = await work
      if (answer instanceof Transfer) post({ id, value: sent(answer.value) }, answer.buffers)
      else post(answer === nothing ? { id, done: true } : { id, value: sent(answer) })
    } catch (error) {
      this.#serving.delete(id)
      post({ id, fault: sendFault(asFault(error)) })
    }
  }
  #stop(id: number): void {
    const serving = this.#serving.get(id)
    this.#serving.delete(id)
    serving?.controller.abort()
    void serving?.items?.return?.()?.catch(() => undefined)
  }
}
const isIterable = (value: unknown): value is AsyncIterable<unknown> =>
  typeof value === 'object' && value !== null && Symbol.asyncIterator in value
