/** FROM_CHANGELOG and TO_CHANGELOG in FROM, as Flink has them: named arguments, or in this order. */
import { type RowKind, rowKinds } from '../../flow/plan.ts'
import type { Columns, Field } from '../../schema/types.ts'
import { column } from '../bind/bound.ts'
import { matchesName } from '../bind/scope.ts'
import { SqlFault } from '../fault.ts'
import type { Alias, Name, QualifiedName, TableArgument, TableFunction } from '../syntax/ast.ts'
import type { PlanContext } from './context.ts'
import { type Rel, columnsToScope, projectRel } from './relation.ts'

type Named = (ctx: PlanContext, name: QualifiedName, alias: Alias | null) => Rel
interface Arguments {
  readonly ctx: PlanContext
  readonly ref: TableFunction
  readonly name: string
  readonly input: Rel
  /** Positions of the input's visible columns, and which of them PARTITION BY names. */
  readonly visible: readonly number[]
  readonly partitionBy: readonly number[]
  readonly op: Name | null
  readonly mapping: (TableArgument & { readonly kind: 'map' }) | null
  readonly errors: 'FAIL' | 'SKIP'
}
export const changelogFunctions: ReadonlySet<string> = new Set(['from_changelog', 'to_changelog'])
const examples: Readonly<Record<string, string>> = {
  FROM_CHANGELOG:
    "FROM_CHANGELOG(input => TABLE changes PARTITION BY id, op => DESCRIPTOR(op), op_mapping => MAP['c, r', 'INSERT', 'u', 'UPDATE_AFTER', 'd', 'DELETE'])",
  TO_CHANGELOG: 'TO_CHANGELOG(input => TABLE totals, op => DESCRIPTOR(op))',
}

export function planChangelog(ctx: PlanContext, ref: TableFunction, named: Named): Rel {
  const args = argumentsOf(ctx, ref, named)
  return args.name === 'FROM_CHANGELOG' ? from(args) : to(args)
}
function argumentsOf(ctx: PlanContext, ref: TableFunction, named: Named): Arguments {
  const name = ref.name.parts.at(-1)!.text.toUpperCase()
  const takes =
    name === 'FROM_CHANGELOG' ? ['input', 'op', 'op_mapping', 'error_handling'] : ['input', 'op', 'op_mapping']
  const wrong = (message: string, at: number): never => {
    throw new SqlFault('sql.syntax', message, ctx.text, at, { hint: `For example ${examples[name]!}.` })
  }
  const given = new Map<string, TableArgument>()
  for (const [i, argument] of ref.args.entries()) {
    const label = argument.name === null ? takes[i] : argument.name.text.toLowerCase()
    if (label === undefined || !takes.includes(label)) return wrong(`${name} takes ${takes.join(', ')}`, argument.at)
    if (given.has(label)) wrong(`${name} is given ${label} twice`, argument.at)
    given.set(label, argument)
  }
  const [data, op, mapping, errors] = ['input', 'op', 'op_mapping', 'error_handling'].map((label) => given.get(label))
  if (data === undefined || data.kind !== 'table')
    return wrong(`the input of ${name} is TABLE and the name of a stream, table or view`, data?.at ?? ref.at)
  if (op !== undefined && (op.kind !== 'descriptor' || op.columns.length !== 1))
    return wrong(`op is DESCRIPTOR(column)`, op.at)
  if (mapping !== undefined && mapping.kind !== 'map') return wrong("op_mapping is MAP['…', '…']", mapping.at)
  const handling =
    errors === undefined
      ? 'FAIL'
      : errors.kind === 'value' && errors.value.kind === 'string'
        ? errors.value.value.toUpperCase()
        : ''
  if (handling !== 'FAIL' && handling !== 'SKIP') return wrong("error_handling is 'FAIL' or 'SKIP'", errors!.at)
  const input = named(ctx, data.table, null)
  const columns = input.scope.flatMap((relation) => relation.columns).filter(({ hidden }) => !hidden)
  const partitionBy = data.partitionBy.map((wanted) => {
    const found = columns.filter((one) => matchesName(wanted, one.name))
    if (found.length === 1) return found[0]!.index
    throw new SqlFault(
      'sql.unknown-column',
      `column "${wanted.text}" is not among those of the input`,
      ctx.text,
      wanted.at,
    )
  })
  return {
    ctx,
    ref,
    name,
    input,
    visible: columns.map(({ index }) => index),
    partitionBy,
    op: op === undefined ? null : op.columns[0]!,
    mapping: mapping ?? null,
    errors: handling,
  }
}
/** Those of PARTITION BY first. */
const ordered = ({ visible, partitionBy }: Arguments): number[] => [
  ...partitionBy,
  ...visible.filter((index) => !partitionBy.includes(index)),
]
/** What each operation is called, by its code, or by its name: `'c, r', 'INSERT'`. */
function pairs({ ctx, mapping, name }: Arguments, operations: 'keys' | 'values'): Map<string, RowKind> | null {
  if (mapping === null) return null
  const found = new Map<string, RowKind>()
  const wrong = (message: string): never => {
    throw new SqlFault('sql.invalid-value', `op_mapping of ${name}: ${message}`, ctx.text, mapping.at, {
      hint: `For example ${examples[name]!}.`,
    })
  }
  if (mapping.entries.length === 0) wrong('it is empty')
  const used = new Set<RowKind>()
  for (const [key, value] of mapping.entries) {
    const listed = key.split(',').map((one) => one.trim())
    const kinds = (operations === 'keys' ? listed : [value]).map((kind): RowKind => {
      if (!rowKinds.includes(kind as RowKind)) return wrong(`${JSON.stringify(kind)} is none of ${rowKinds.join(', ')}`)
      if (used.has(kind as RowKind)) return wrong(`${kind} is there twice`)
      used.add(kind as RowKind)
      return kind as RowKind
    })
    for (const code of operations === 'keys' ? [value] : listed) {
      if (operations === 'values' && found.has(code)) wrong(`the code ${JSON.stringify(code)} is there twice`)
      if (operations === 'values') found.set(code, kinds[0]!)
      else for (const kind of kinds) found.set(`${kind}=${code}`, kind)
    }
  }
  return found
}

function from(args: Arguments): Rel {
  const { ctx, ref, input, partitionBy, op, errors } = args
  if (!input.appendOnly)
    throw new SqlFault('sql.unsupported', 'FROM_CHANGELOG takes rows that are only ever added', ctx.text, ref.at, {
      hint: 'Its input already says by itself which rows come and go.',
    })
  const columns = input.plan.columns
  const wanted: Name = op ?? { text: 'op', quoted: false, at: ref.at, end: ref.end }
  const code = args.visible.find((index) => matchesName(wanted, columns[index]!.name))
  if (code === undefined)
    throw new SqlFault(
      'sql.unknown-column',
      `column "${wanted.text}" is not among those of the input`,
      ctx.text,
      wanted.at,
      {
        hint: 'op => DESCRIPTOR(column) names the column of the operation codes.',
      },
    )
  if (columns[code]!.type.kind !== 'text' && columns[code]!.type.kind !== 'varchar')
    throw new SqlFault(
      'sql.type-mismatch',
      `the column of operation codes is a text, "${columns[code]!.name}" is none`,
      ctx.text,
      wanted.at,
    )
  const kinds = Object.fromEntries(pairs(args, 'values') ?? rowKinds.map((kind) => [kind, kind] as const))
  const has = (kind: RowKind): boolean => Object.values(kinds).includes(kind)
  // Rows after an update alone take the place of the one that their key had.
  const isByKey = has('UPDATE_AFTER') && !has('UPDATE_BEFORE')
  if (isByKey && partitionBy.length === 0)
    throw new SqlFault('sql.invalid-definition', 'updates without the row before them need a key', ctx.text, ref.at, {
      hint: 'Name it: input => TABLE t PARTITION BY id; or map the rows before updates to UPDATE_BEFORE.',
    })
  // What is read of a row has to be the same when it comes and when it goes: its columns, not where it lies.
  const kept = ordered(args)
  const narrowed = projectRel(
    input,
    kept.map((index) => column(index, columns[index]!.type)),
    kept.map((index) => columns[index]!),
  )
  const at = kept.indexOf(code)
  const out: Columns = narrowed.plan.columns.filter((_, c) => c !== at)
  const key = isByKey ? partitionBy.map((_, i) => (i < at ? i : i - 1)) : null
  return {
    plan: { op: 'from-changelog', input: narrowed.plan, code: at, kinds, skips: errors === 'SKIP', key, columns: out },
    scope: columnsToScope(null, out),
    key: key?.map((position) => [position]) ?? null,
    appendOnly: false,
    time: null,
    windows: [],
  }
}
function to(args: Arguments): Rel {
  const { ctx, ref, input, partitionBy, op } = args
  const columns = input.plan.columns
  const kept = ordered(args)
  const name = op?.text ?? 'op'
  if (kept.some((index) => columns[index]!.name === name))
    throw new SqlFault('sql.duplicate-column', `the input has a column "${name}" already`, ctx.text, op?.at ?? ref.at, {
      hint: 'Give the column of operation codes another name: op => DESCRIPTOR(operation).',
    })
  const given = pairs(args, 'keys')
  const codes = Object.fromEntries(
    given === null
      ? rowKinds.map((kind) => [kind, kind])
      : [...given].map(([pair, kind]) => [kind, pair.slice(kind.length + 1)]),
  ) as Partial<Record<RowKind, string>>
  const narrowed = projectRel(
    input,
    kept.map((index) => column(index, columns[index]!.type)),
    kept.map((index) => columns[index]!),
  )
  // What takes whose place is known by the columns of PARTITION BY, else by the key of the rows.
  const key = partitionBy.length > 0 ? partitionBy.map((_, i) => i) : (narrowed.key?.map((part) => part[0]!) ?? [])
  const code: Field = { name, type: { kind: 'text' }, nullable: false }
  const made: Columns = [code, ...narrowed.plan.columns]
  const rel: Rel = {
    plan: { op: 'to-changelog', input: narrowed.plan, key, codes, columns: made },
    scope: columnsToScope(null, made),
    key: null,
    appendOnly: true,
    time: null,
    windows: [],
  }
  if (partitionBy.length === 0) return rel
  // [keys, op, the rest].
  const order = [...partitionBy.map((_, i) => i + 1), 0, ...made.map((_, i) => i).slice(partitionBy.length + 1)]
  return projectRel(
    rel,
    order.map((index) => column(index, made[index]!.type)),
    order.map((index) => made[index]!),
  )
}
