/** Short ways to write rows whose code is one call of a helper. */
import type { DataType } from '../../schema/types.ts'
import type { ArgumentKind, FunctionRow } from './table.ts'

export const type = {
  boolean: { kind: 'boolean' },
  int: { kind: 'int' },
  bigint: { kind: 'bigint' },
  double: { kind: 'double' },
  numeric: { kind: 'numeric', precision: null, scale: null },
  text: { kind: 'text' },
  bytea: { kind: 'bytea' },
  date: { kind: 'date' },
  time: { kind: 'time' },
  timestamp: { kind: 'timestamp' },
  timestamptz: { kind: 'timestamptz' },
  interval: { kind: 'interval' },
  json: { kind: 'json' },
  jsonb: { kind: 'jsonb' },
  texts: { kind: 'array', of: { kind: 'text' } },
} as const satisfies Record<string, DataType>

/** What most rows without a twin say. */
export const chosen = 'compared with DuckDB or PostgreSQL for chosen arguments in test/sql/functions.test.ts'

/** A row that calls `fn` with the arguments as they are. Without a twin, `duckdb` is null. */
export function row(
  name: string,
  args: readonly ArgumentKind[],
  returns: FunctionRow['returns'],
  fn: (...args: never[]) => unknown,
  about: string,
  more: Partial<FunctionRow> = {},
): FunctionRow {
  return {
    name,
    args,
    returns,
    code: (c) => `${c.use(fn)}(${c.args.join(', ')})`,
    duckdb: null,
    ...(more.duckdb === undefined ? { why: chosen } : {}),
    about,
    ...more,
  }
}
/** As `row`, with the SQL that DuckDB has for it. */
export const twin = (
  name: string,
  args: readonly ArgumentKind[],
  returns: FunctionRow['returns'],
  fn: (...args: never[]) => unknown,
  duckdb: string,
  about: string,
  more: Partial<FunctionRow> = {},
): FunctionRow => row(name, args, returns, fn, about, { ...more, duckdb })
