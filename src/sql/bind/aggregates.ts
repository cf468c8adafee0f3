/** Aggregates: what they take and give, as PostgreSQL says. */
import type { DataType } from '../../schema/types.ts'
import { SqlFault } from '../fault.ts'
import type { Bound } from './bound.ts'
import { coerce } from './coerce.ts'
import { noSuchFunction } from './functions.ts'
import { category } from './types.ts'

const aliases: Readonly<Record<string, string>> = { stddev: 'stddev_samp', variance: 'var_samp', every: 'bool_and' }
const statistics = new Set(['stddev_samp', 'stddev_pop', 'var_samp', 'var_pop'])
const executed = new Set(['count', 'sum', 'avg', 'min', 'max', 'bool_and', 'bool_or', ...statistics])
/** They keep every row that they have seen. */
const historical = new Set([
  'array_agg',
  'string_agg',
  'json_agg',
  'jsonb_agg',
  'json_object_agg',
  'jsonb_object_agg',
  'percentile_cont',
  'percentile_disc',
  'mode',
])
const later = new Set([
  'bit_and',
  'bit_or',
  'bit_xor',
  'corr',
  'covar_pop',
  'covar_samp',
  'regr_slope',
  'regr_intercept',
  'any_value',
  'approx_count_distinct',
])
const instead: Readonly<Record<string, string>> = {
  approx_count_distinct: 'Write count(DISTINCT k), which is exact.',
  any_value: 'Write min(k), or max(k).',
}
/** Only with OVER. */
export const rankings = new Set([
  'row_number',
  'rank',
  'dense_rank',
  'ntile',
  'lag',
  'lead',
  'first_value',
  'last_value',
  'nth_value',
  'percent_rank',
  'cume_dist',
])

export const aggregateNames: readonly string[] = [...executed, ...Object.keys(aliases)]
export const isAggregate = (name: string): boolean =>
  executed.has(name) || Object.hasOwn(aliases, name) || historical.has(name) || later.has(name)

export interface AggregateCall {
  readonly name: string
  readonly args: readonly Bound[]
  readonly type: DataType
}

/** The aggregate that a call means, its argument cast. Throws SqlFault. */
export function resolveAggregate(
  written: string,
  star: boolean,
  args: readonly Bound[],
  text: string,
  at: number,
): AggregateCall {
  const name = aliases[written] ?? written
  if (historical.has(name)) {
    throw new SqlFault('sql.unbounded-state', `${written} keeps every row that it has seen`, text, at, {
      hint: 'It is not supported yet. Aggregate to a value (count, sum, max …), or read the rows with SELECT.',
    })
  }
  if (!executed.has(name))
    throw new SqlFault(
      'sql.unsupported',
      `the aggregate ${written} is not supported yet`,
      text,
      at,
      Object.hasOwn(instead, written) ? { hint: instead[written]! } : {},
    )
  if (name === 'count') return count(star, args, text, at)
  const [arg] = args
  if (star || arg === undefined || args.length > 1) throw noSuchAggregate(written, star ? [] : args, text, at)
  const [cast, type] = argumentOf(name, arg, text) ?? []
  if (cast === undefined || type === undefined) throw noSuchAggregate(written, args, text, at)
  return { name, args: [cast], type }
}
function count(star: boolean, args: readonly Bound[], text: string, at: number): AggregateCall {
  const type: DataType = { kind: 'bigint' }
  if (star) return { name: 'count', args: [], type }
  if (args.length !== 1) throw noSuchAggregate('count', args, text, at)
  return {
    name: 'count',
    args: [coerce(args[0]!, args[0]!.unknown ? { kind: 'text' } : args[0]!.expr.type, 'implicit', text)!],
    type,
  }
}

function noSuchAggregate(written: string, args: readonly Bound[], text: string, at: number): SqlFault {
  const { message } = noSuchFunction(written, args, text, at).facts
  return new SqlFault('sql.unknown-function', message, text, at, { hint: whatItTakes(written, args) })
}
function whatItTakes(written: string, [arg, more]: readonly Bound[]): string {
  const kind = arg?.expr.type.kind
  if (written === 'count') return 'It is count(*), count(x) or count(DISTINCT x).'
  if (arg === undefined || more !== undefined) return `It takes one argument: ${written}(x).`
  if (written === 'min' || written === 'max') {
    if (kind === 'boolean') return `Of booleans there are bool_and(x) and bool_or(x).`
    return `It takes numbers, texts, dates, times and intervals. Cast to one of them: ${written}(x::text).`
  }
  if (written === 'every' || written.startsWith('bool')) return 'It takes a boolean, as x > 0.'
  if (kind === 'interval') return `It takes numbers: ${written}(extract(epoch FROM x)) is in seconds.`
  if (kind === 'jsonb') return `It takes numbers. Cast to one: ${written}(x::numeric).`
  return `It takes numbers. Cast to one: ${written}(x::double precision).`
}

function argumentOf(name: string, arg: Bound, text: string): readonly [Bound, DataType] | null {
  if (name === 'bool_and' || name === 'bool_or') {
    const cast = coerce(arg, { kind: 'boolean' }, 'implicit', text)
    return cast === null ? null : [cast, cast.expr.type]
  }
  const typed = arg.unknown
    ? coerce(arg, { kind: name === 'min' || name === 'max' ? 'text' : 'double' }, 'implicit', text)!
    : arg
  const { type } = typed.expr
  if (name === 'min' || name === 'max')
    return isOrdered(type) ? [typed, type.kind === 'varchar' ? { kind: 'text' } : type] : null
  if (category(type.kind) !== 'number') return null
  if (name === 'sum') return [typed, sumType(type)]
  return [
    typed,
    type.kind === 'real' || type.kind === 'double'
      ? { kind: 'double' }
      : { kind: 'numeric', precision: null, scale: null },
  ]
}
const isOrdered = (type: DataType): boolean =>
  !['json', 'jsonb', 'array', 'composite', 'boolean', 'uuid', 'bytea'].includes(type.kind)
function sumType(type: DataType): DataType {
  switch (type.kind) {
    case 'smallint':
    case 'int':
      return { kind: 'bigint' }
    case 'bigint':
      return { kind: 'numeric', precision: null, scale: 0 }
    case 'numeric':
      return { kind: 'numeric', precision: null, scale: type.scale }
    default:
      return type
  }
}
