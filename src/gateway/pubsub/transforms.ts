/**
 * Message transforms: JavaScript that users write, run by QuickJS in WebAssembly. It has no way to the outside: no files, no
 * network, no clock of ours, its own memory with a limit, and so much time for each message.
 */
import type {
  QuickJSContext,
  QuickJSHandle,
  QuickJSRuntime,
  QuickJSSyncVariant,
  QuickJSWASMModule,
} from 'quickjs-emscripten-core'
import { isUtf8 } from 'node:buffer'
import { limits } from '../../lib/limits.ts'
import type { Clock } from '../../lib/world.ts'
import { timestamp, secondsOf } from '../../wire/protobuf/well-known.ts'
import { toJson } from '../../wire/protobuf/json.ts'
import type { MessageTransform } from '../../wire/pubsub/messages.ts'
import type { Carried } from './carried.ts'
import { invalid } from './errors.ts'

/** null: the message is dropped. Throws RpcError INVALID_ARGUMENT with what the function threw. */
export type Transform = (message: Carried) => Carried | null
/** Before each message that a function is called for: it may take its time, and the rest of the program goes on in between. */
export const othersFirst = (clock: Clock): Promise<void> => new Promise((resolve) => clock.soon(resolve))
interface Udf {
  readonly functionName: string
  readonly code: string
}

export class Transforms {
  readonly #clock: Clock
  #module: QuickJSWASMModule | null = null
  readonly #functions = new Map<string, UserFunction>()
  readonly #known = new WeakMap<readonly MessageTransform[], Transform>()

  constructor(clock: Clock) {
    this.#clock = clock
  }
  /** Before the first one is used. */
  async load(): Promise<void> {
    if (this.#module !== null) return
    const [{ newQuickJSWASMModuleFromVariant }, variant] = await Promise.all([
      import('quickjs-emscripten-core'),
      import('@jitl/quickjs-wasmfile-release-sync'),
    ])
    // Its types are those of CommonJS; as a module it is what it exports by default.
    this.#module = await newQuickJSWASMModuleFromVariant(variant.default as unknown as QuickJSSyncVariant)
  }
  /** Throws RpcError INVALID_ARGUMENT. */
  async check({ functionName, code }: Udf): Promise<void> {
    if (!/^[A-Za-z_$][\w$]{0,254}$/.test(functionName))
      throw invalid(`Invalid function name given (function_name=${functionName.slice(0, 100)}).`)
    if (Buffer.byteLength(code) > limits.pubsubUdfBytes)
      throw invalid(`The code of a JavaScript UDF has at most ${limits.pubsubUdfBytes} bytes.`)
    await this.load()
    this.#functionOf({ functionName, code })
  }
  /** null: nothing is to be done. They are loaded. */
  of(all: readonly MessageTransform[]): Transform | null {
    if (all.length === 0) return null
    let known = this.#known.get(all)
    if (known === undefined) {
      const active = all.flatMap(({ disabled, javascriptUdf }) =>
        disabled || javascriptUdf === null ? [] : [javascriptUdf],
      )
      known = (message) =>
        active.reduce<Carried | null>((now, udf) => (now === null ? null : this.#functionOf(udf).run(now)), message)
      this.#known.set(all, known)
    }
    return known
  }
  #functionOf({ functionName, code }: Udf): UserFunction {
    const key = `${functionName}\n${code}`
    let found = this.#functions.get(key)
    if (found === undefined) {
      found = new UserFunction(this.#module!, this.#clock, { functionName, code })
      for (const [oldest, one] of this.#functions) {
        if (this.#functions.size < limits.pubsubUdfs) break
        this.#functions.delete(oldest)
        one.close()
      }
      this.#functions.set(key, found)
    }
    return found
  }
  close(): void {
    for (const one of this.#functions.values()) one.close()
    this.#functions.clear()
  }
}

/** One machine for each function: nothing of one can be seen by another. */
class UserFunction {
  readonly #clock: Clock
  readonly #runtime: QuickJSRuntime
  readonly #context: QuickJSContext
  #call: QuickJSHandle | null = null
  readonly #name: string
  #untilMs = 0

  /** Throws RpcError INVALID_ARGUMENT. */
  constructor(module: QuickJSWASMModule, clock: Clock, { functionName, code }: Udf) {
    this.#clock = clock
    this.#name = functionName
    this.#runtime = module.newRuntime()
    this.#runtime.setMemoryLimit(limits.pubsubUdfMemoryBytes)
    this.#runtime.setMaxStackSize(limits.pubsubUdfStackBytes)
    this.#runtime.setInterruptHandler(() => this.#clock.monotonic() > this.#untilMs)
    this.#context = this.#runtime.newContext()
    try {
      this.#evaluate(code).dispose()
      const found = this.#evaluate(`typeof ${functionName}`)
      const type = this.#context.getString(found)
      found.dispose()
      if (type !== 'function') throw invalid(`Invalid JavaScript UDF: ${functionName} is no function.`)
      this.#call = this.#evaluate(
        `((call) => (text, metadata) => { const result = call(JSON.parse(text), JSON.parse(metadata)); return result == null ? '' : JSON.stringify(result) })(${functionName})`,
      )
    } catch (error) {
      this.close()
      throw error
    }
  }
  #evaluate(code: string): QuickJSHandle {
    this.#untilMs = this.#clock.monotonic() + limits.pubsubUdfMs
    const result = this.#context.evalCode(code, 'udf.js')
    if (result.error !== undefined) throw this.#thrown('Invalid JavaScript UDF', result.error)
    return result.value
  }
  run(message: Carried): Carried | null {
    const { data, attributes, messageId, publishMs, orderingKey } = message
    if (!isUtf8(data)) throw invalid('A JavaScript UDF takes data that is UTF-8.')
    const given = { data: Buffer.from(data).toString('utf8'), attributes: Object.fromEntries(attributes) }
    const metadata = {
      ...(messageId === '' ? {} : { message_id: messageId }),
      publish_time: toJson(timestamp, secondsOf(publishMs)),
      ...(orderingKey === '' ? {} : { ordering_key: orderingKey }),
    }
    const text = this.#called(JSON.stringify(given), JSON.stringify(metadata))
    return text === '' ? null : { ...message, ...this.#returned(text) }
  }
  #called(message: string, metadata: string): string {
    const context = this.#context
    this.#untilMs = this.#clock.monotonic() + limits.pubsubUdfMs
    const [first, second] = [context.newString(message), context.newString(metadata)]
    const result = context.callFunction(this.#call!, context.undefined, first, second)
    first.dispose()
    second.dispose()
    if (result.error !== undefined) throw this.#thrown(`The JavaScript UDF ${this.#name} failed`, result.error)
    const text = context.getString(result.value)
    result.value.dispose()
    return text
  }
  #returned(text: string): Pick<Carried, 'data' | 'attributes'> {
    const returned: unknown = JSON.parse(text)
    const wrong = (what: string): Error => invalid(`The JavaScript UDF ${this.#name} returned ${what}.`)
    if (typeof returned !== 'object' || returned === null || Array.isArray(returned)) throw wrong('no message')
    const { data = '', attributes = {} } = returned as { data?: unknown; attributes?: unknown }
    if (typeof data !== 'string') throw wrong('data that is no text')
    if (typeof attributes !== 'object' || attributes === null) throw wrong('attributes that are no object')
    const entries = Object.entries(attributes)
    const odd = entries.find(([, value]) => typeof value !== 'string')
    if (odd !== undefined) throw wrong(`an attribute that is no text (${odd[0].slice(0, 100)})`)
    return { data: Buffer.from(data, 'utf8'), attributes: new Map(entries as [string, string][]) }
  }
  #thrown(what: string, error: QuickJSHandle): Error {
    const said: unknown = this.#context.dump(error)
    error.dispose()
    const { name = '', message = '' } =
      typeof said === 'object' && said !== null ? (said as Record<string, string>) : {}
    const isLate = message === 'interrupted'
    const why = isLate ? `it took more than ${limits.pubsubUdfMs} ms` : `${name}: ${message || String(said)}`
    return invalid(`${what}: ${why.slice(0, 500)}`)
  }
  close(): void {
    this.#call?.dispose()
    this.#context.dispose()
    this.#runtime.dispose()
  }
}
