/**
 * JavaScript that users write, run by QuickJS in WebAssembly. It has no way to the outside: no files, no network, no clock of
 * ours, its own memory with a limit, and so much time for each message. Some of QuickJS's own functions do not look at the
 * time (`[].indexOf` of an array of four billion): who runs this must be able to end the thread that it is on.
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

export interface Udf {
  readonly functionName: string
  readonly code: string
}
/** A message, and what is known of it beside. */
export interface UdfMessage {
  readonly data: Uint8Array
  readonly attributes: readonly (readonly [name: string, value: string])[]
  readonly metadata: Readonly<Record<string, string>>
}
export interface UdfReturned {
  readonly data: Uint8Array
  readonly attributes: readonly (readonly [name: string, value: string])[]
}
/** `why`: what the function is refused for, or has failed with. */
export type UdfAnswer = { readonly message: UdfReturned | null } | { readonly why: string }

export class UserFunctions {
  readonly #clock: Clock
  #module: QuickJSWASMModule | null = null
  readonly #functions = new Map<string, UserFunction>()

  constructor(clock: Clock) {
    this.#clock = clock
  }
  async #load(): Promise<QuickJSWASMModule> {
    if (this.#module !== null) return this.#module
    const [{ newQuickJSWASMModuleFromVariant }, variant] = await Promise.all([
      import('quickjs-emscripten-core'),
      import('@jitl/quickjs-wasmfile-release-sync'),
    ])
    // Its types are those of CommonJS; as a module it is what it exports by default.
    return (this.#module = await newQuickJSWASMModuleFromVariant(variant.default as unknown as QuickJSSyncVariant))
  }
  /** null: it is a function. */
  async check(udf: Udf): Promise<string | null> {
    const answer = await this.#guarded((module) => {
      this.#functionOf(module, udf)
      return null
    })
    return 'why' in answer ? answer.why : null
  }
  run(udf: Udf, message: UdfMessage): Promise<UdfAnswer> {
    return this.#guarded((module) => this.#functionOf(module, udf).run(message))
  }
  async #guarded(work: (module: QuickJSWASMModule) => UdfReturned | null): Promise<UdfAnswer> {
    const module = await this.#load()
    try {
      const message = work(module)
      // All functions share one memory, which grows and never shrinks.
      if (module.getWasmMemory().buffer.byteLength > limits.pubsubUdfsMemoryBytes) this.#drop()
      return { message }
    } catch (error) {
      if (error instanceof UdfFault) return { why: error.message }
      // What left the machine some other way (a stack that overflowed) has left it as it must not be.
      this.#drop()
      return { why: `it broke its machine: ${(error as Error).message}`.slice(0, 500) }
    }
  }
  /** The next function gets another machine; the old one goes as a whole. */
  #drop(): void {
    this.#functions.clear()
    this.#module = null
  }
  #functionOf(module: QuickJSWASMModule, udf: Udf): UserFunction {
    const key = `${udf.functionName}\n${udf.code}`
    let found = this.#functions.get(key)
    if (found === undefined) {
      found = new UserFunction(module, this.#clock, udf)
      for (const [oldest, one] of this.#functions) {
        if (this.#functions.size < limits.pubsubUdfs) break
        this.#functions.delete(oldest)
        one.close()
      }
      this.#functions.set(key, found)
    }
    return found
  }
}

/** What the user is told. */
class UdfFault extends Error {}

/** One runtime for each function: nothing of one can be seen by another. */
class UserFunction {
  readonly #clock: Clock
  readonly #runtime: QuickJSRuntime
  readonly #context: QuickJSContext
  #call: QuickJSHandle | null = null
  readonly #name: string
  #untilMs = 0

  /** Throws UdfFault. */
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
      if (type !== 'function') throw new UdfFault(`Invalid JavaScript UDF: ${functionName} is no function.`)
      this.#call = this.#evaluate(
        `((call) => (text, metadata) => { const result = call(JSON.parse(text), JSON.parse(metadata)); return result == null ? '' : JSON.stringify(result) })(${functionName})`,
      )
    } catch (error) {
      if (error instanceof UdfFault) this.close()
      throw error
    }
  }
  #evaluate(code: string): QuickJSHandle {
    this.#untilMs = this.#clock.monotonic() + limits.pubsubUdfMs
    const result = this.#context.evalCode(code, 'udf.js')
    if (result.error !== undefined) throw this.#thrown('Invalid JavaScript UDF', result.error)
    return result.value
  }
  /** Throws UdfFault. */
  run({ data, attributes, metadata }: UdfMessage): UdfReturned | null {
    if (!isUtf8(data)) throw new UdfFault('A JavaScript UDF takes data that is UTF-8.')
    const given = { data: Buffer.from(data).toString('utf8'), attributes: Object.fromEntries(attributes) }
    const text = this.#called(JSON.stringify(given), JSON.stringify(metadata))
    return text === '' ? null : this.#returned(text)
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
  #returned(text: string): UdfReturned {
    const wrong = (what: string): UdfFault => new UdfFault(`The JavaScript UDF ${this.#name} returned ${what}.`)
    const returned = parsed(text)
    if (typeof returned !== 'object' || returned === null || Array.isArray(returned)) throw wrong('no message')
    const { data, attributes = {} } = returned as { data?: unknown; attributes?: unknown }
    if (typeof data !== 'string') throw wrong('data that is no text')
    if (typeof attributes !== 'object' || attributes === null) throw wrong('attributes that are no object')
    const entries = Object.entries(attributes)
    const odd = entries.find(([, value]) => typeof value !== 'string')
    if (odd !== undefined) throw wrong(`an attribute that is no text (${odd[0].slice(0, 100)})`)
    return { data: new TextEncoder().encode(data), attributes: entries as [string, string][] }
  }
  #thrown(what: string, error: QuickJSHandle): UdfFault {
    const said: unknown = this.#context.dump(error)
    error.dispose()
    const { name, message } = typeof said === 'object' && said !== null ? (said as Record<string, unknown>) : {}
    const isLate = message === 'interrupted'
    const text = typeof message === 'string' && message !== '' ? message : textOf(said)
    const why = isLate
      ? `it took more than ${limits.pubsubUdfMs} ms`
      : `${typeof name === 'string' ? name : ''}: ${text}`
    return new UdfFault(`${what}: ${why.slice(0, 500)}`)
  }
  close(): void {
    this.#call?.dispose()
    this.#context.dispose()
    this.#runtime.dispose()
  }
}
/** What is no text of JSON becomes undefined: a function may have put another JSON.stringify in place. */
function parsed(text: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    return undefined
  }
}
/** Of whatever was thrown, also of what has a `toString` of its own that is none. */
const textOf = (said: unknown): string =>
  typeof said === 'object' && said !== null ? JSON.stringify(said) : String(said)
