/** Calls of the function table's rows that have a twin, for arguments that both sides take. */
import { functions } from '../../src/flow/functions/index.ts'
import type { FunctionRow } from '../../src/flow/functions/table.ts'
import type { Kind } from './node.ts'

export interface TableCall {
  readonly kind: Kind
  /** A kind, or the constants to choose from. */
  readonly args: readonly (Kind | readonly (string | number)[])[]
  readonly ours: string
  readonly theirs: string
}
const kinds: readonly Kind[] = ['boolean', 'text', 'bytea', 'date', 'time', 'timestamp', 'uuid']
/** Arguments that must be chosen, by name and position. */
const patterns = ['a%', '%b', '_', '%', 'A_c', '%ä%', '', 'a\\_%', '%本']
const chosen: Readonly<Record<string, Readonly<Record<number, readonly (string | number)[]>>>> = {
  like: { 1: patterns },
  'not-like': { 1: patterns },
  ilike: { 1: patterns },
  'not-ilike': { 1: patterns },
  substring: { 1: [-1, 0, 1, 2, 3], 2: [0, 1, 2, 5] },
  substr: { 1: [-1, 0, 1, 2, 3], 2: [0, 1, 2, 5] },
  left: { 1: [-2, -1, 0, 1, 2, 9] },
  right: { 1: [-2, -1, 0, 1, 2, 9] },
  repeat: { 1: [0, 1, 2, 3] },
  lpad: { 1: [0, 1, 3, 6], 2: ['x', 'äb'] },
  rpad: { 1: [0, 1, 3, 6], 2: ['x', 'äb'] },
  split_part: { 1: [',', 'a', ''], 2: [1, 2, -1] },
  translate: { 1: ['ab', 'aä'], 2: ['x', 'xy', ''] },
  replace: { 1: ['a', 'ab', ' '] },
}
/** Operators that are words, as they are written. */
const words: Readonly<Record<string, string>> = {
  like: 'LIKE',
  'not-like': 'NOT LIKE',
  ilike: 'ILIKE',
  'not-ilike': 'NOT ILIKE',
  'is-distinct': 'IS DISTINCT FROM',
  'is-not-distinct': 'IS NOT DISTINCT FROM',
}
/** `position` is written with IN; `make_date` and the arithmetic of numbers want bounds (`expressions.ts`). */
const leftOut = new Set(['position', 'make_date', 'cast', '-', '+', 'isfinite', 'greatest', 'least'])

function callOf(row: FunctionRow): TableCall | null {
  if (row.duckdb === null || row.variadic === true || leftOut.has(row.name) || row.args.length === 0) return null
  if (typeof row.returns === 'function') return null
  const kind = row.returns.kind as Kind
  if (kind !== 'int' && !kinds.includes(kind)) return null
  const args = row.args.map((arg, i) => chosen[row.name]?.[i] ?? (arg as Kind))
  if (!args.every((arg) => typeof arg !== 'string' || kinds.includes(arg as Kind))) return null
  const parts = args.map((_, i) => `$${i + 1}`)
  const infix = words[row.name] ?? (/^\w+$/.test(row.name) ? null : row.name)
  const ours = infix === null ? `${row.name}(${parts.join(', ')})` : `(${parts.join(` ${infix} `)})`
  return { kind, args, ours, theirs: `(${row.duckdb})` }
}
/** Casts, and functions whose rows have no twin of the same form. */
const written: readonly TableCall[] = [
  { kind: 'text', args: ['int'], ours: 'CAST($1 AS text)', theirs: 'CAST($1 AS VARCHAR)' },
  { kind: 'text', args: ['bigint'], ours: '$1::text', theirs: 'CAST($1 AS VARCHAR)' },
  { kind: 'text', args: ['boolean'], ours: 'CAST($1 AS text)', theirs: 'CAST($1 AS VARCHAR)' },
  { kind: 'text', args: ['date'], ours: 'CAST($1 AS text)', theirs: 'CAST($1 AS VARCHAR)' },
  { kind: 'text', args: ['uuid'], ours: 'CAST($1 AS text)', theirs: 'CAST($1 AS VARCHAR)' },
  { kind: 'text', args: ['timestamp'], ours: 'CAST($1 AS text)', theirs: 'CAST($1 AS VARCHAR)' },
  { kind: 'int', args: ['boolean'], ours: 'CAST($1 AS int)', theirs: 'CAST($1 AS INTEGER)' },
  { kind: 'text', args: ['text'], ours: 'CAST($1 AS varchar(2))', theirs: 'left($1, 2)' },
  {
    kind: 'text',
    args: ['numeric'],
    ours: 'CAST(CAST($1 AS numeric(38,2)) AS text)',
    theirs: 'CAST(CAST($1 AS DECIMAL(38,2)) AS VARCHAR)',
  },
  { kind: 'text', args: ['text', 'text'], ours: 'concat($1, $2)', theirs: 'concat($1, $2)' },
  {
    kind: 'text',
    args: ['text', 'int', 'text'],
    ours: "concat_ws(',', $1, $2, $3)",
    theirs: "concat_ws(',', $1, $2, $3)",
  },
  { kind: 'text', args: ['text', 'int'], ours: '($1 || $2)', theirs: '($1 || CAST($2 AS VARCHAR))' },
  { kind: 'text', args: ['bytea'], ours: "encode($1, 'hex')", theirs: 'lower(hex($1))' },
  { kind: 'text', args: ['bytea'], ours: "encode($1, 'base64')", theirs: 'base64($1)' },
  {
    kind: 'text',
    args: ['text'],
    ours: "regexp_replace($1, '[a-c]', '#')",
    theirs: "regexp_replace($1, '[a-c]', '#')",
  },
  {
    kind: 'text',
    args: ['text'],
    ours: "regexp_replace($1, '(.)b', '<\\1>', 'g')",
    theirs: "regexp_replace($1, '(.)b', '<\\1>', 'g')",
  },
  { kind: 'text', args: ['text'], ours: "(string_to_array($1, ','))[2]", theirs: "string_split($1, ',')[2]" },
  { kind: 'text', args: ['text'], ours: 'md5($1)', theirs: 'md5($1)' },
  { kind: 'boolean', args: ['text'], ours: "($1 ~ '^[a-b]+$')", theirs: "regexp_matches($1, '^[a-b]+$')" },
  { kind: 'boolean', args: ['text'], ours: "($1 !~* 'A')", theirs: "NOT regexp_matches($1, 'a', 'i')" },
  {
    kind: 'int',
    args: ['text'],
    ours: "regexp_count($1, '[ab]')",
    theirs: "CAST(len(regexp_extract_all($1, '[ab]')) AS INTEGER)",
  },
  {
    kind: 'int',
    args: ['double'],
    ours: 'CAST(round(greatest(least($1, 9), -9)) AS int)',
    theirs: 'CAST(round_even(greatest(least($1, 9), -9), 0) AS INTEGER)',
  },
  {
    kind: 'int',
    args: ['bigint'],
    ours: 'CAST(greatest(least($1, 9), -9) AS int)',
    theirs: 'CAST(greatest(least($1, 9), -9) AS INTEGER)',
  },
  {
    kind: 'bigint',
    args: ['timestamptz'],
    ours: 'CAST(extract(epoch FROM $1) AS bigint)',
    theirs: 'CAST(round(epoch_us($1)::DECIMAL(38,6) / 1000000) AS BIGINT)',
  },
  {
    kind: 'boolean',
    args: ['timestamptz', 'timestamptz'],
    ours: "(($1 - $2) < INTERVAL '7 minutes')",
    theirs: "(($1 - $2) < INTERVAL '7 minutes')",
  },
  {
    kind: 'timestamptz',
    args: ['timestamptz', 'int'],
    ours: "($1 + least($2, 99) * INTERVAL '1 minute')",
    theirs: "($1 + least($2, 99) * INTERVAL '1 minute')",
  },
  {
    kind: 'timestamp',
    args: ['timestamp'],
    ours: "date_bin(INTERVAL '15 minutes', $1, timestamp '2024-03-01')",
    theirs: "time_bucket(INTERVAL '15 minutes', $1, TIMESTAMP '2024-03-01')",
  },
  { kind: 'timestamp', args: ['date', 'time'], ours: '($1 + $2)', theirs: '($1 + $2)' },
  { kind: 'timestamp', args: ['timestamptz'], ours: "($1 AT TIME ZONE 'UTC')", theirs: '$1' },
  { kind: 'timestamptz', args: ['timestamp'], ours: "($1 AT TIME ZONE 'UTC')", theirs: '$1' },
]
export const tableCalls: readonly TableCall[] = [
  ...functions.rows.flatMap((row) => callOf(row) ?? []),
  ...written.map((c) => ({ ...c, theirs: `(${c.theirs})` })),
]
