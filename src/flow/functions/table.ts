/**
 * The form of the function table. A row gives a scalar function, operator or cast for certain argument types: its result
 * type, the JavaScript expression that computes it, and the same thing in DuckDB's SQL, against which every row is tested
 * with random arguments. Rows live beside this file, a file a subject; `index.ts` joins them.
 *
 * Arguments and result are in memory form (`../memory.ts`). By default a function is strict: with a NULL argument it is
 * not called and gives NULL. Generated code is built from rows alone; nothing a user wrote is ever part of its text.
 */
import type { DataType } from '../../schema/types.ts'

export type Kind = DataType['kind']
/** 'any' takes every type; text takes varchar too. */
export type ArgumentKind = Kind | 'any'

export interface FunctionRow {
  /** Lower case; an operator is its symbol (`+`, `=`, `||`, `like`), unary minus is `neg`, a cast is `cast` (see `to`). */
  readonly name: string
  readonly args: readonly ArgumentKind[]
  /** The last argument may come any number of times, also never. */
  readonly variadic?: boolean
  /** For casts: the kind cast to. */
  readonly to?: Kind
  readonly returns: DataType | ((args: readonly DataType[]) => DataType)
  /** 'called': null arguments are passed as JavaScript null and the result may be null. Default 'strict'. */
  readonly nulls?: 'strict' | 'called'
  /** A strict function that may still give NULL (as JavaScript null). */
  readonly mayBeNull?: boolean
  /** A JavaScript expression. Each argument is the name of a local variable or a literal: it may stand several times. */
  readonly code: (call: CallSite) => string
  /** DuckDB's SQL with $1, $2 … for the arguments; null = no twin, and `why` says so. */
  readonly duckdb: string | null
  readonly why?: string
  /** One line for the reference. */
  readonly about: string
}
export interface CallSite {
  readonly args: readonly string[]
  readonly types: readonly DataType[]
  readonly type: DataType
  /** Makes a constant of this module's own code (a helper, a precomputed table) reachable; gives the name to write. */
  use(constant: unknown): string
  /** The value of an argument that is a literal, so that a pattern or a unit can be prepared once. */
  literal(argument: number): { readonly value: import('../expression.ts').Value } | null
}

const accepts = (wanted: ArgumentKind, kind: Kind): boolean =>
  wanted === 'any' || wanted === kind || (wanted === 'text' && kind === 'varchar')

/** True where the row takes arguments of these types as they are (implicit casts are the binder's). */
export function matches(row: FunctionRow, types: readonly DataType[]): boolean {
  if (row.variadic === true) {
    if (types.length < row.args.length - 1) return false
  } else if (types.length !== row.args.length) return false
  return types.every((type, i) => accepts(row.args[Math.min(i, row.args.length - 1)]!, type.kind))
}
export function returnType(row: FunctionRow, types: readonly DataType[]): DataType {
  return typeof row.returns === 'function' ? row.returns(types) : row.returns
}

export class FunctionTable {
  private readonly byName = new Map<string, FunctionRow[]>()
  readonly rows: readonly FunctionRow[]

  constructor(rows: readonly FunctionRow[]) {
    this.rows = rows
    for (const row of rows) {
      const known = this.byName.get(row.name)
      if (known === undefined) this.byName.set(row.name, [row])
      else known.push(row)
    }
  }
  /** Every row of a name, for overload resolution and suggestions. */
  named(name: string): readonly FunctionRow[] {
    return this.byName.get(name) ?? []
  }
  names(): IterableIterator<string> {
    return this.byName.keys()
  }
  /** The row for exactly these types: the one with the fewest 'any'. For casts `to` is the kind cast to. */
  find(name: string, types: readonly DataType[], to?: Kind): FunctionRow | null {
    let best: FunctionRow | null = null
    let bestAny = Infinity
    for (const row of this.named(name)) {
      if (name === 'cast' && row.to !== to) continue
      if (!matches(row, types)) continue
      const any = row.args.filter((a) => a === 'any').length
      if (any < bestAny) {
        best = row
        bestAny = any
      }
    }
    return best
  }
}
