/**
 * Message transforms: users' functions, on a thread of their own, one call after another. Most that take too long are
 * stopped there; a thread that does not answer is ended, and what it was running is not run again for a while.
 */
import { Fault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import { Line } from '../../lib/line.ts'
import type { Thread, World } from '../../lib/world.ts'
import { timestamp, secondsOf } from '../../wire/protobuf/well-known.ts'
import { toJson } from '../../wire/protobuf/json.ts'
import type { MessageTransform } from '../../wire/pubsub/messages.ts'
import type { Carried } from './carried.ts'
import { invalid } from './errors.ts'
import type { UdfThread } from './udf-thread.ts'
import type { Udf, UdfAnswer, UdfMessage } from './user-functions.ts'

/** null: the message is dropped. Throws RpcError INVALID_ARGUMENT with what the function threw. */
export type Transform = (message: Carried) => Promise<Carried | null>

interface Running {
  readonly thread: Thread
  readonly line: Line<UdfThread>
}

const threadModule = new URL(import.meta.url.replace(/[^/]*(\.[jt]s)$/, 'udf-thread$1'))
const tooLong = `it took more than ${limits.pubsubUdfMs} ms`

export class Transforms {
  readonly #world: Pick<World, 'clock' | 'threads'>
  #running: Running | null = null
  #turn: Promise<unknown> = Promise.resolve()
  /** Functions that a thread was ended for, and until when they are not run. */
  readonly #stopped = new Map<string, number>()
  readonly #known = new WeakMap<readonly MessageTransform[], Transform>()
  #isClosed = false

  constructor(world: Pick<World, 'clock' | 'threads'>) {
    this.#world = world
  }
  /** Throws RpcError INVALID_ARGUMENT. */
  async check(udf: Udf): Promise<void> {
    const { functionName, code } = udf
    if (!/^[A-Za-z_$][\w$]{0,254}$/.test(functionName))
      throw invalid(`Invalid function name given (function_name=${functionName.slice(0, 100)}).`)
    if (Buffer.byteLength(code) > limits.pubsubUdfBytes)
      throw invalid(`The code of a JavaScript UDF has at most ${limits.pubsubUdfBytes} bytes.`)
    const why = await this.#ask(udf, (line) => line.call('check', [{ functionName, code }]))
    if (why !== null) throw invalid(why)
  }
  /** null: nothing is to be done. */
  of(all: readonly MessageTransform[]): Transform | null {
    if (all.length === 0) return null
    let known = this.#known.get(all)
    if (known === undefined) {
      const active = all.flatMap(({ disabled, javascriptUdf }) =>
        disabled || javascriptUdf === null ? [] : [javascriptUdf],
      )
      known = async (message) => {
        let now: Carried | null = message
        for (const udf of active) if (now !== null) now = await this.#run(udf, now)
        return now
      }
      this.#known.set(all, known)
    }
    return known
  }
  async #run(udf: Udf, carried: Carried): Promise<Carried | null> {
    const { functionName, code } = udf
    const message = sentOf(carried)
    const answer = await this.#ask<UdfAnswer>(udf, (line) => line.call('run', [{ functionName, code }, message]))
    if ('why' in answer) throw invalid(answer.why)
    if (answer.message === null) return null
    const { data, attributes } = answer.message
    return { ...carried, data, attributes: new Map(attributes) }
  }

  /** When all that was asked before is answered. Throws RpcError where the function is one that did not answer. */
  #ask<T>(udf: Udf, call: (line: Line<UdfThread>) => Promise<T>): Promise<T> {
    const key = `${udf.functionName}\n${udf.code}`
    const answer = this.#turn.then(async () => {
      this.#refuseStopped(key)
      const { thread, line } = this.#running ?? this.#start()
      // Not part of the function's time: the thread begins, and loads what runs it.
      await line.call('ready', [])
      const cancel = this.#world.clock.after(limits.pubsubUdfSilentMs, () => {
        this.#stop(key)
        void thread.end()
      })
      try {
        return await call(line)
      } catch (error) {
        this.#refuseStopped(key)
        throw error
      } finally {
        cancel()
      }
    })
    this.#turn = answer.catch(() => undefined)
    return answer
  }
  #start(): Running {
    const { threads } = this.#world
    if (threads === undefined || this.#isClosed) throw new Fault('log.closed', { what: 'the thread of transforms' })
    const thread = threads.start(threadModule, null)
    const line = new Line<UdfThread>(thread.port, {}, { holds: true })
    const running = { thread, line }
    this.#running = running
    void thread.ended.then(() => {
      if (this.#running === running) this.#running = null
      line.end(new Fault('log.closed', { what: 'the thread of transforms' }))
    })
    return running
  }
  #stop(key: string): void {
    for (const oldest of this.#stopped.keys()) {
      if (this.#stopped.size < limits.pubsubUdfs) break
      this.#stopped.delete(oldest)
    }
    this.#stopped.set(key, this.#world.clock.monotonic() + limits.pubsubUdfStoppedMs)
    this.#running = null
  }
  #refuseStopped(key: string): void {
    const untilMs = this.#stopped.get(key) ?? 0
    if (untilMs > this.#world.clock.monotonic())
      throw invalid(
        `The JavaScript UDF ${key.slice(0, key.indexOf('\n'))} failed: ${tooLong}, and could not be stopped.`,
      )
    this.#stopped.delete(key)
  }
  close(): void {
    this.#isClosed = true
    void this.#running?.thread.end()
  }
}
function sentOf({ data, attributes, messageId, publishMs, orderingKey }: Carried): UdfMessage {
  const metadata = {
    ...(messageId === '' ? {} : { message_id: messageId }),
    publish_time: String(toJson(timestamp, secondsOf(publishMs))),
    ...(orderingKey === '' ? {} : { ordering_key: orderingKey }),
  }
  // A copy: what goes to a thread takes the whole of the bytes that it is a view of.
  return { data: Uint8Array.from(data), attributes: [...attributes], metadata }
}
