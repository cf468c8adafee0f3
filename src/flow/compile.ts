/**
 * Typed expressions to JavaScript functions over columns. The text of the generated code is made of the typed tree's
 * shape and of the function table's rows alone; every literal that is not a plain number, and every helper, is handed in
 * as a constant. NULL is a flag beside the value, so that numbers stay unboxed.
 *
 * A value that cannot be computed (division by zero, overflow …) is a Fault; loops over rows collect these and go on.
 */
import { assert, unreachable } from '../lib/assert.ts'
import { Fault } from '../lib/fault.ts'
import { type DataType, typeName } from '../schema/types.ts'
import { type Column, type RowFailure, valueAt } from './batch.ts'
import type { ColumnBuilder } from './columns.ts'
import type { Expression, Value } from './expression.ts'
import { functions } from './functions/index.ts'
import { fused } from './fused.ts'
import { type Form, formOf } from './memory.ts'
import { Repeated } from './repeated.ts'

/** Writes the rows that pass into `out`, returns their count. Rows that cannot be computed do not pass; they are added to `failures`. */
export type FilterFunction = (
  columns: readonly Column[],
  count: number,
  nowUs: number,
  out: Int32Array,
  failures: RowFailure[],
) => number
/** Appends one value to each builder per row that can be computed; the others are added to `failures`. */
export type ProjectFunction = (
  columns: readonly Column[],
  count: number,
  nowUs: number,
  builders: readonly ColumnBuilder[],
  failures: RowFailure[],
) => void
/** What a row's computation threw, as its failure; what is no value's fault is thrown on. */
function failure(row: number, error: unknown): RowFailure {
  if (error instanceof Fault) return { row, fault: error }
  throw error
}
/** Over one row of values in memory form. */
export type ScalarFunction = (row: readonly Value[], nowUs: number) => Value

export function compileFilter(where: Expression): FilterFunction {
  assert(where.type.kind === 'boolean', 'a filter is boolean')
  const code = new Code('columns', [where])
  const loop = new Body()
  const { value, isNull } = code.emit(where, loop)
  loop.line(`if (!${isNull} && ${value}) out[kept++] = i`)
  return code.build<FilterFunction>('columns, count, nowUs, out, failures', [
    'let kept = 0',
    rowLoop(code, loop, ''),
    'return kept',
  ])
}
export function compileProject(expressions: readonly Expression[]): ProjectFunction {
  const code = new Code('columns', expressions)
  const loop = new Body()
  for (let e = 0; e < expressions.length; e++) {
    const { value, isNull } = code.emit(expressions[e]!, loop)
    const push = pushCode(`b${e}`, value, formOf(expressions[e]!.type))
    loop.line(isNull === 'false' ? push : `if (${isNull}) b${e}.pushNull(); else ${push}`)
  }
  // What a failing row has pushed before it failed is taken back.
  const takeBack = expressions.map((_, e) => `b${e}.truncate(start${e} + i - (failures.length - failed))`).join('; ')
  return code.build<ProjectFunction>('columns, count, nowUs, builders, failures', [
    ...expressions.map((_, e) => `const b${e} = builders[${e}], start${e} = b${e}.count`),
    'const failed = failures.length',
    rowLoop(code, loop, takeBack),
  ])
}
/** Over all rows; goes on behind one that fails. */
const rowLoop = (code: Code, loop: Body, onFailure: string): string =>
  `let i = 0
for (;;) {
  try {
    for (; i < count; i++) {
${code.rowHead}
${loop.text()} }
    break
  } catch (error) {
    const one = ${code.use(failure)}(i, error)
    ${onFailure}
    failures.push(one)
    i++
  }
}`
export function compileScalar(expression: Expression): ScalarFunction {
  const code = new Code('row')
  const body = new Body()
  const { value, isNull } = code.emit(expression, body)
  return code.build<ScalarFunction>('row, nowUs', [body.text(), `return ${isNull} ? null : ${value}`])
}

function pushCode(builder: string, value: string, form: Form): string {
  switch (form) {
    case 'num':
      return `${builder}.pushNumber(${value})`
    case 'bool':
      return `${builder}.pushNumber(${value} ? 1 : 0)`
    case 'int':
      return `${builder}.pushInt(${value})`
    case 'text':
      return `${builder}.pushText(${value})`
    case 'bytes':
      return `${builder}.pushBytes(${value})`
    case 'decimal':
    case 'value':
      return `${builder}.push(${value})`
  }
}
/** What a variable of the form holds before it is set: of the right kind, so that the engine keeps it unboxed. */
function initial(form: Form): string {
  switch (form) {
    case 'num':
    case 'int':
      return '0'
    case 'bool':
      return 'false'
    case 'text':
      return "''"
    case 'bytes':
    case 'decimal':
    case 'value':
      return 'null'
  }
}

class Body {
  private readonly lines: string[] = []
  line(text: string): void {
    this.lines.push(text)
  }
  text(): string {
    return this.lines.join('\n')
  }
}
/** `isNull` is 'false', 'true' or the name of a flag; `value` is a name or a number. */
interface Emitted {
  readonly value: string
  readonly isNull: string
}

class Code {
  private readonly source: 'columns' | 'row'
  private readonly constants: unknown[] = []
  private readonly names = new Map<unknown, string>()
  private readonly loaded = new Set<number>()
  private readonly preamble: string[] = []
  private variables = 0

  /** What is computed once a row, and what of it has its variables. */
  private readonly repeated: Repeated
  private readonly shared = new Map<number, Emitted & { readonly isDone: string }>()
  private readonly ofRow: string[] = []

  constructor(source: 'columns' | 'row', expressions: readonly Expression[] = []) {
    this.source = source
    this.repeated = new Repeated(expressions)
  }
  /** What stands before all that was emitted, in a loop over rows. */
  get rowHead(): string {
    return this.ofRow.join('\n')
  }
  use(constant: unknown): string {
    const known = this.names.get(constant)
    if (known !== undefined) return known
    const name = `k${this.constants.length}`
    this.constants.push(constant)
    this.names.set(constant, name)
    return name
  }
  build<T>(parameters: string, lines: readonly string[]): T {
    const text = [
      "'use strict'",
      ...this.constants.map((_, i) => `const k${i} = k[${i}]`),
      `return function (${parameters}) {`,
      ...this.preamble,
      ...lines,
      '}',
    ].join('\n')
    // The one place where code is generated; its text holds nothing that a user wrote (see the header).
    const make = new Function('k', text) as (constants: readonly unknown[]) => T
    return make(this.constants)
  }
  private name(prefix: string): string {
    return `${prefix}${this.variables++}`
  }

  emit(expression: Expression, body: Body): Emitted {
    const repeated = this.repeated.of(expression)
    return repeated === null ? this.emitOne(expression, body) : this.once(repeated, expression, body)
  }
  /** Computed where it is first asked for: whether that is at this place is known when it runs. */
  private once(number: number, expression: Expression, body: Body): Emitted {
    const shared = this.shared.get(number) ?? this.share(number, formOf(expression.type))
    body.line(`if (!${shared.isDone}) {`)
    const { value, isNull } = this.emitOne(expression, body)
    body.line(`${shared.value} = ${value}; ${shared.isNull} = ${isNull}; ${shared.isDone} = true }`)
    return shared
  }
  private share(number: number, form: Form): Emitted & { readonly isDone: string } {
    const shared = { value: this.name('v'), isNull: this.name('n'), isDone: this.name('o') }
    this.ofRow.push(`let ${shared.value} = ${initial(form)}, ${shared.isNull} = false, ${shared.isDone} = false`)
    this.shared.set(number, shared)
    return shared
  }
  private emitOne(expression: Expression, body: Body): Emitted {
    switch (expression.kind) {
      case 'column':
        return this.column(expression.index, expression.type, body)
      case 'literal':
        return this.literal(expression.value, expression.type)
      case 'call':
        return this.call(expression, body)
      case 'case':
        return this.branches(expression, body)
      case 'and':
      case 'or':
        return this.logic(expression, body)
      case 'not': {
        const arg = this.emit(expression.arg, body)
        return { value: `(!${arg.value})`, isNull: arg.isNull }
      }
      case 'is-null':
        return { value: this.emit(expression.arg, body).isNull, isNull: 'false' }
      case 'field':
        return this.field(expression, body)
      case 'now':
        return { value: 'nowUs', isNull: 'false' }
      default:
        return unreachable(expression)
    }
  }

  private column(index: number, type: DataType, body: Body): Emitted {
    assert(Number.isInteger(index) && index >= 0, 'a column position')
    const value = this.name('v')
    const isNull = this.name('n')
    if (this.source === 'row') {
      body.line(`const ${value} = row[${index}], ${isNull} = ${value} === null`)
      return { value, isNull }
    }
    const form = formOf(type)
    if (!this.loaded.has(index)) {
      this.loaded.add(index)
      this.preamble.push(`const c${index} = columns[${index}], d${index} = c${index}.data, m${index} = c${index}.valid`)
      if (form === 'int') this.preamble.push(`const f${index} = c${index}.kind === 'f64'`)
    }
    body.line(`const ${isNull} = m${index} !== null && m${index}[i] === 0`)
    body.line(`const ${value} = ${this.load(index, type, form)}`)
    return { value, isNull }
  }
  private load(index: number, type: DataType, form: Form): string {
    switch (form) {
      case 'num':
        return `d${index}[i]`
      case 'bool':
        return `d${index}[i] !== 0`
      case 'int':
        return `f${index} ? d${index}[i] : ${this.use(valueAt)}(c${index}, i, ${this.use(type)})`
      case 'text':
        return `c${index}.arena.toString('utf8', c${index}.from[i], c${index}.to[i])`
      case 'bytes':
        return `c${index}.arena.subarray(c${index}.from[i], c${index}.to[i])`
      case 'decimal':
      case 'value':
        return `d${index}[i]`
    }
  }

  private literal(value: Value, type: DataType): Emitted {
    if (value === null) return { value: initial(formOf(type)), isNull: 'true' }
    if (typeof value === 'boolean') return { value: value ? 'true' : 'false', isNull: 'false' }
    if (typeof value === 'number' && Number.isFinite(value) && !Object.is(value, -0))
      return { value: value < 0 ? `(${value})` : String(value), isNull: 'false' }
    return { value: this.use(value), isNull: 'false' }
  }

  private call(asked: Expression & { kind: 'call' }, body: Body): Emitted {
    const call = fused(asked)
    const types = call.args.map((a) => a.type)
    const row = call.user?.fn ?? functions.find(call.name, types, call.name === 'cast' ? call.type.kind : undefined)
    if (row === null)
      throw new Fault('flow.unsupported', {
        what: `there is no function ${call.name}(${types.map(typeName).join(', ')})`,
      })
    const args = call.args.map((arg) => this.emit(arg, body))
    const site = (values: readonly string[]): string =>
      row.code({
        args: values,
        types,
        type: call.type,
        use: (constant) => this.use(constant),
        literal: (n) => {
          const arg = call.args[n]
          return arg !== undefined && arg.kind === 'literal' ? { value: arg.value } : null
        },
      })
    const value = this.name('v')
    if (row.nulls === 'called') {
      const isNull = this.name('n')
      const values = args.map((a) => (a.isNull === 'false' ? a.value : `(${a.isNull} ? null : ${a.value})`))
      body.line(`const ${value} = ${site(values)}, ${isNull} = ${value} === null`)
      return { value, isNull }
    }
    const nulls = args.map((a) => a.isNull).filter((n) => n !== 'false')
    const code = site(args.map((a) => a.value))
    if (nulls.length === 0 && row.mayBeNull !== true) {
      body.line(`const ${value} = ${code}`)
      return { value, isNull: 'false' }
    }
    const isNull = this.name('n')
    const start = initial(formOf(call.type))
    body.line(`let ${value} = ${start}, ${isNull} = ${nulls.length === 0 ? 'false' : nulls.join(' || ')}`)
    body.line(`if (!${isNull}) { ${value} = ${code}`)
    if (row.mayBeNull === true) body.line(`if (${value} === null) { ${isNull} = true; ${value} = ${start} }`)
    body.line('}')
    return { value, isNull }
  }

  private field(expression: Expression & { kind: 'field' }, body: Body): Emitted {
    const arg = this.emit(expression.arg, body)
    const value = this.name('v')
    const isNull = this.name('n')
    const held = this.name('h')
    body.line(`let ${value} = ${initial(formOf(expression.type))}, ${isNull} = ${arg.isNull}`)
    body.line(`if (!${isNull}) {`)
    body.line(`const ${held} = ${arg.value}[${this.use(expression.name)}]`)
    body.line(`if (${held} === null || ${held} === undefined) ${isNull} = true; else ${value} = ${held} }`)
    return { value, isNull }
  }

  private branches(expression: Expression & { kind: 'case' }, body: Body): Emitted {
    const value = this.name('v')
    const isNull = this.name('n')
    const label = this.name('l')
    body.line(`let ${value} = ${initial(formOf(expression.type))}, ${isNull} = true`)
    body.line(`${label}: {`)
    const set = (of: Expression): void => {
      const result = this.emit(of, body)
      body.line(`${isNull} = ${result.isNull}; ${value} = ${result.value}`)
    }
    for (const branch of expression.branches) {
      const when = this.emit(branch.when, body)
      body.line(`if (!${when.isNull} && ${when.value}) {`)
      set(branch.then)
      body.line(`break ${label} }`)
    }
    if (expression.otherwise !== null) set(expression.otherwise)
    body.line('}')
    return { value, isNull }
  }

  /** `and`: false as soon as one is false, else NULL if one is NULL, else true. `or` the other way round. */
  private logic(expression: Expression & { kind: 'and' | 'or' }, body: Body): Emitted {
    const value = this.name('v')
    const isNull = this.name('n')
    const label = this.name('l')
    const neutral = expression.kind === 'and'
    body.line(`let ${value} = ${neutral}, ${isNull} = false`)
    body.line(`${label}: {`)
    for (const part of expression.args) {
      const arg = this.emit(part, body)
      const decides = neutral ? `!${arg.value}` : arg.value
      if (arg.isNull === 'false')
        body.line(`if (${decides}) { ${value} = ${!neutral}; ${isNull} = false; break ${label} }`)
      else {
        body.line(`if (${arg.isNull}) ${isNull} = true`)
        body.line(`else if (${decides}) { ${value} = ${!neutral}; ${isNull} = false; break ${label} }`)
      }
    }
    body.line('}')
    return { value, isNull }
  }
}
