/** Arrays: positions are counted from 1, as PostgreSQL does. */
import { assert } from '../../lib/assert.ts'
import type { DataType } from '../../schema/types.ts'
import type { Value } from '../expression.ts'
import { row, type } from './rows.ts'
import type { FunctionRow } from './table.ts'

type Items = readonly Value[]
function elementType([array]: readonly DataType[]): DataType {
  assert(array?.kind === 'array', 'an array')
  return array.of
}
const nullable = { mayBeNull: true } as const

export const arrays: readonly FunctionRow[] = [
  row(
    'array-element',
    ['array', 'int'],
    elementType,
    (items: Items, at: number) => items[at - 1] ?? null,
    'The element at a position, from 1; NULL where there is none',
    nullable,
  ),
  row(
    'array-slice',
    ['array', 'int', 'int'],
    ([array]) => array!,
    (items: Items, from: number, to: number) => items.slice(Math.max(0, from - 1), Math.max(0, to)),
    'The elements from one position to another',
  ),
  {
    name: 'array-of',
    args: ['any'],
    variadic: true,
    returns: ([of]) => ({ kind: 'array', of: of! }),
    nulls: 'called',
    code: ({ args }) => `[${args.join(', ')}]`,
    duckdb: null,
    why: 'DuckDB has its own type for lists',
    about: 'An array of these',
  },
  row('cardinality', ['array'], type.int, (items: Items) => items.length, 'How many elements an array has'),
  row(
    'array_length',
    ['array', 'int'],
    type.int,
    (items: Items, dimension: number) => (dimension === 1 && items.length > 0 ? items.length : null),
    'How many elements an array has in a dimension; NULL for none',
    nullable,
  ),
]
