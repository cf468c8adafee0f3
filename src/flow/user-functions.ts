/**
 * Scalar functions that a program gives to SQL. A definition is inert, as those of topics and views are: name, types and a
 * closure. In a plan it is a row of the function table that only this call knows, so every place that can compute an
 * expression can call it.
 *
 * A plan's text, and so a view's fingerprint, holds the function's name, types and version, not its code. What a function
 * gives for a row must be given again when the row is withdrawn; that is held by three things: a function whose results
 * may differ says so (`volatile`) and is refused where rows can be withdrawn (`sql/plan/volatile.ts`); another version
 * never meets the state of the one before; and of the others the first calls, and a few later ones, are made twice and
 * compared, which finds clocks and dice that nobody has declared.
 */
import { Fault, messageOf } from '../lib/fault.ts'
import { limits } from '../lib/limits.ts'
import { type DataType, typeName } from '../schema/types.ts'
import type { UserFunction, Value } from './expression.ts'
import { fromJs, jsonWriter, toJson } from './json-value.ts'

interface ScalarTypes {
  readonly boolean: boolean
  readonly smallint: number
  readonly int: number
  readonly bigint: bigint
  /** As decimal text, without loss; a function over `double` takes numerics too. */
  readonly numeric: string
  readonly real: number
  readonly double: number
  readonly text: string
  readonly uuid: string
  readonly bytea: Uint8Array
  readonly json: unknown
  readonly jsonb: unknown
  /** ISO 8601, times in UTC; of an interval PostgreSQL's text. */
  readonly date: string
  readonly time: string
  readonly timestamp: string
  readonly timestamptz: string
  readonly interval: string
}
type ScalarType = keyof ScalarTypes
/** A type of SQL: `int`, `timestamptz`, `text[]`. */
export type SqlType = ScalarType | `${ScalarType}[]`
/** What JavaScript holds for it. */
export type JsOf<T extends SqlType> = T extends `${infer Of extends ScalarType}[]`
  ? readonly (ScalarTypes[Of] | null)[]
  : T extends ScalarType
    ? ScalarTypes[T]
    : never
/** What may be given back for it: what it holds, and what is read as that without doubt. */
type ResultOf<T extends SqlType> =
  | JsOf<T>
  | null
  | (T extends 'bigint'
      ? number
      : T extends 'numeric'
        ? number | bigint
        : T extends 'timestamp' | 'timestamptz'
          ? Date
          : never)
type ArgumentsOf<A extends readonly SqlType[], Strict> = {
  -readonly [I in keyof A]: Strict extends false ? JsOf<A[I]> | null : JsOf<A[I]>
}

export interface SqlFunctionOptions<A extends readonly SqlType[], R extends SqlType, Strict extends boolean> {
  readonly args: A
  readonly returns: R
  /** With a NULL argument it is not called and gives NULL. Default true. */
  readonly strict?: Strict
  /** It may give another value for the same arguments. Default false: it never does, also not in another process. */
  readonly volatile?: boolean
  /** Another one for code that gives other results: views that call it are made anew then. Default `1`. */
  readonly version?: string | number
  /** One line for SHOW FUNCTIONS. */
  readonly about?: string
}

const kind: unique symbol = Symbol('millrace.function')

export class SqlFunctionDefinition<A extends readonly SqlType[] = readonly SqlType[], R extends SqlType = SqlType> {
  /** Only for the types. */
  declare readonly takes: A
  declare readonly gives: R
  readonly [kind] = 'function' as const
  readonly name: string
  readonly args: readonly DataType[]
  readonly returns: DataType
  readonly user: UserFunction

  constructor(name: string, options: SqlFunctionOptions<readonly SqlType[], SqlType, boolean>, fn: AnyFunction) {
    const { strict = true, volatile = false, version = '1', about } = options
    this.name = name
    checkName(name)
    if (options.args.length > argumentsMax)
      throw new Fault('config.invalid', {
        setting: 'function',
        value: name,
        why: `more than ${argumentsMax} arguments`,
      })
    this.args = options.args.map((type) => typeOf(name, type))
    this.returns = typeOf(name, options.returns)
    const call: Call = { name, fn, returns: this.returns, volatile }
    this.user = {
      version: String(version),
      volatile,
      fn: {
        name,
        args: this.args.map((type) => type.kind),
        returns: this.returns,
        nulls: strict ? 'strict' : 'called',
        mayBeNull: true,
        code: (c) => `${c.use(caller(call, c.types))}(${c.args.join(', ')})`,
        duckdb: null,
        why: 'a function of a program',
        about: about ?? 'A function in TypeScript',
      },
    }
  }
  /** name(int, text): no two functions of an engine have the same. */
  get signature(): string {
    return `${this.name}(${this.args.map(typeName).join(', ')})`
  }
}
export const isSqlFunction = (value: unknown): value is SqlFunctionDefinition => value instanceof SqlFunctionDefinition

/**
 * A scalar function in TypeScript, to be called in any expression of SQL. Several of one name may differ in their
 * arguments. A call that throws, or gives what is not of type `returns`, is a row that cannot be computed.
 */
export function defineSqlFunction<
  const A extends readonly SqlType[],
  R extends SqlType,
  const Strict extends boolean = true,
>(
  name: string,
  options: SqlFunctionOptions<A, R, Strict>,
  fn: (...args: ArgumentsOf<A, Strict>) => ResultOf<R>,
): SqlFunctionDefinition<A, R> {
  return new SqlFunctionDefinition<A, R>(name, options, fn as AnyFunction)
}

const argumentsMax = 100
function checkName(name: string): void {
  if (/^[a-z_][a-z0-9_]{0,62}$/.test(name)) return
  throw new Fault('config.invalid', {
    setting: 'function',
    value: name,
    why: 'the name of a function is lower-case letters, digits and _, 63 at most',
  })
}
const scalars: Readonly<Record<ScalarType, DataType>> = {
  boolean: { kind: 'boolean' },
  smallint: { kind: 'smallint' },
  int: { kind: 'int' },
  bigint: { kind: 'bigint' },
  numeric: { kind: 'numeric', precision: null, scale: null },
  real: { kind: 'real' },
  double: { kind: 'double' },
  text: { kind: 'text' },
  uuid: { kind: 'uuid' },
  bytea: { kind: 'bytea' },
  json: { kind: 'json' },
  jsonb: { kind: 'jsonb' },
  date: { kind: 'date' },
  time: { kind: 'time' },
  timestamp: { kind: 'timestamp' },
  timestamptz: { kind: 'timestamptz' },
  interval: { kind: 'interval' },
}
function typeOf(name: string, type: string): DataType {
  const scalar = type.endsWith('[]') ? type.slice(0, -2) : type
  if (!Object.hasOwn(scalars, scalar))
    throw new Fault('config.invalid', {
      setting: `function ${name}`,
      value: type,
      why: `types are ${Object.keys(scalars).join(', ')} and arrays of them (text[])`,
    })
  const of = scalars[scalar as ScalarType]
  return scalar === type ? of : { kind: 'array', of }
}

type AnyFunction = (...args: readonly unknown[]) => unknown
interface Call {
  readonly name: string
  readonly fn: AnyFunction
  readonly returns: DataType
  readonly volatile: boolean
}
/** How many calls are made twice at first, and then one in how many. */
const checkedFirst = 8
const checkedEvery = 256

/** For arguments of these types, in memory form. */
function caller(
  { name, fn, returns, volatile }: Call,
  types: readonly DataType[],
): (...args: readonly Value[]) => Value {
  const give = types.map(giver)
  const take = taker(returns)
  const failed = (what: string, cause?: unknown): Fault =>
    new Fault('flow.function-failed', { what: `${name}() ${what}` }, cause)
  const once = (args: readonly Value[]): Value => {
    let result: unknown
    try {
      result = fn(...args.map((value, i) => (value === null ? null : give[i]!(value))))
    } catch (error) {
      throw failed(`threw: ${messageOf(error)}`, error)
    }
    if (result === null) return null
    try {
      return take(result)
    } catch (error) {
      throw failed(`gave what ${messageOf(error)}`, error)
    }
  }
  if (volatile) return (...args) => once(args)
  let calls = 0
  return (...args) => {
    const value = once(args)
    calls++
    if ((calls <= checkedFirst || calls % checkedEvery === 0) && !isSame(value, once(args), returns))
      throw failed('gave two results for the same arguments: that is for functions that are declared as volatile')
    return value
  }
}
const isSame = (a: Value, b: Value, type: DataType): boolean =>
  Object.is(a, b) ||
  (typeof a === 'object' && a !== null && b !== null && textOf(toJson(a, type)) === textOf(toJson(b, type)))
const textOf = (value: unknown): string =>
  JSON.stringify(value, (_, part: unknown) => (typeof part === 'bigint' ? `${part}n` : part))

/** Memory form to what JavaScript holds, of values that are present. */
function giver(type: DataType): (value: Value) => unknown {
  switch (type.kind) {
    case 'bigint':
      return (value) => BigInt(value as number | bigint)
    case 'numeric':
      return jsonWriter(type)
    // A copy: the bytes are those of the event.
    case 'bytea':
      return (value) => Uint8Array.from(value as Uint8Array)
    case 'array': {
      const item = giver(type.of)
      return (value) => (value as readonly Value[]).map((one) => (one === null ? null : item(one)))
    }
    default:
      return (value) => toJson(value, type)
  }
}

/** What the function gave, NULL aside, to memory form. Throws what begins with a verb. */
function taker(type: DataType): (result: unknown) => Value {
  const read = fromJs(type)
  const plain = plainTypes[type.kind]
  return (result) => {
    if (typeof result === plain && plain !== 'string') return result as number | boolean
    if (typeof result === 'string') {
      if (!result.isWellFormed()) throw new Error('is text with half a surrogate pair')
      if (result.length > limits.textBytes) throw new Error(`is text of more than ${limits.textBytes} characters`)
      if (plain === 'string') return result
    }
    if (result instanceof Promise) throw new Error('is a promise: a function must not be asynchronous')
    if (result === undefined || typeof result === 'function' || typeof result === 'symbol')
      throw new Error(`is ${typeof result}, expected ${typeName(type)}`)
    return read(result)
  }
}
/** What is in memory as JavaScript gives it. */
const plainTypes: { readonly [K in DataType['kind']]?: 'boolean' | 'number' | 'string' } = {
  boolean: 'boolean',
  double: 'number',
  text: 'string',
}
