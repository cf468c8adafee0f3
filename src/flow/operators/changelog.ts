/**
 * FROM_CHANGELOG and TO_CHANGELOG: rows that say in a column what happens to them, into rows that come and go, and back.
 *
 * From: a code is that of a row that comes or of one that goes; a row with another, or none, cannot be computed (or is left
 * out). Without a key rows then add up, and nothing is kept. By a key each row takes the place of the one that its key
 * had: then the newest row per key is state.
 *
 * To: each row that comes or goes is a row that stays, with its code. Where a key's rows go and come in one step, those are an
 * update, else an insertion or a deletion. Nothing is kept, so what happens within a step is told as the step gives it.
 */
import { Fault } from '../../lib/fault.ts'
import type { DataType } from '../../schema/types.ts'
import {
  type Batch,
  type Column,
  type NumberColumn,
  type RowFailure,
  emptyBatch,
  gatherBatch,
  valueAt,
  withoutRows,
} from '../batch.ts'
import { KeyWriter, keyEncoder } from '../key.ts'
import { type Operator, stateless } from '../operator.ts'
import type { PlanOf, RowKind } from '../plan.ts'
import { Output } from '../row-store.ts'
import { upsert } from './upsert.ts'

const text: DataType = { kind: 'text' }

export function fromChangelog(plan: PlanOf<'from-changelog'>): Operator {
  if (plan.key === null)
    return { kind: 'from-changelog', ...stateless, step: (_, [batch = emptyBatch]) => coded(plan, batch) }
  const newest = upsert(plan.columns, plan.key, plan.columns.length)
  return {
    kind: 'from-changelog',
    tables: newest.tables,
    step(state, [batch = emptyBatch], time) {
      const { failed, ...rows } = coded(plan, batch)
      return { ...newest.step(state, [byKey(rows)], time), failed }
    },
    rebuild: (state) => newest.rebuild(state),
    evict: (state, bytes) => newest.evict!(state, bytes),
    content: (state) => newest.content!(state),
    waits: (state) => newest.waits(state),
  }
}
/** Rows with weights, without their codes. */
function coded({ code, kinds, skips }: PlanOf<'from-changelog'>, input: Batch): Batch {
  if (input.count === 0) return emptyBatch
  const codes = input.columns[code]!
  const weights = new Float64Array(input.count)
  const failures: RowFailure[] = []
  const known = new Int32Array(input.count)
  let count = 0
  for (let row = 0; row < input.count; row++) {
    const value = valueAt(codes, row, text)
    const kind = typeof value === 'string' && Object.hasOwn(kinds, value) ? kinds[value] : undefined
    if (kind === undefined) {
      const what =
        value === null
          ? 'the operation code is NULL'
          : `the operation code ${JSON.stringify(value)} is not in the mapping`
      if (!skips)
        failures.push({ row, fault: new Fault('value.invalid-argument', { what: `FROM_CHANGELOG: ${what}` }) })
      continue
    }
    weights[row] = kind === 'INSERT' || kind === 'UPDATE_AFTER' ? 1 : -1
    known[count++] = row
  }
  const { failed } = withoutRows(input, failures)
  const batch = count === input.count ? { ...input, weights } : gatherBatch({ ...input, weights }, known, count)
  return { ...batch, columns: batch.columns.filter((_, c) => c !== code), late: input.late, failed }
}
/** As records of a table are: that a row goes is said in a column behind the others. */
function byKey(batch: Omit<Batch, 'failed'>): Batch {
  const { count, weights } = batch
  const data = new Float64Array(count)
  if (weights !== null) for (let row = 0; row < count; row++) data[row] = weights[row]! < 0 ? 1 : 0
  const deleted: NumberColumn = { kind: 'f64', data, valid: null }
  return { ...batch, columns: [...batch.columns, deleted], weights: null, failed: null }
}

export function toChangelog(plan: PlanOf<'to-changelog'>): Operator {
  const { columns } = plan.input
  const encode = plan.key.length === 0 ? null : keyEncoder(plan.key.map((k) => ({ column: k, type: columns[k]!.type })))
  return {
    kind: 'to-changelog',
    ...stateless,
    step(_, [batch = emptyBatch]) {
      if (batch.count === 0) return emptyBatch
      const updated = encode === null || batch.weights === null ? noKeys : updatedKeys(batch, encode)
      const out = new Output(plan.columns)
      const [codes, ...values] = out.builders
      for (let row = 0; row < batch.count; row++) {
        const weight = batch.weights === null ? 1 : batch.weights[row]!
        const isUpdate = updated.size > 0 && updated.has(keyText(batch, row, encode!))
        const kind: RowKind =
          weight > 0 ? (isUpdate ? 'UPDATE_AFTER' : 'INSERT') : isUpdate ? 'UPDATE_BEFORE' : 'DELETE'
        const code = plan.codes[kind]
        if (code === undefined) continue
        for (let n = Math.abs(weight); n > 0; n--) {
          codes!.push(code)
          for (const [c, builder] of values.entries()) builder.pushFrom(batch.columns[c]!, row)
          out.endFrom(1, batch.rows, row)
        }
      }
      return out.done(batch.late, batch.failed)
    },
  }
}
const noKeys: ReadonlySet<string> = new Set()
type Encode = ReturnType<typeof keyEncoder>
const writer = new KeyWriter()
function keyText(batch: { readonly columns: readonly Column[] }, row: number, encode: Encode): string {
  writer.length = 0
  encode(writer, batch, row)
  return Buffer.from(writer.done()).toString('latin1')
}
/** Keys of which rows go and come. */
function updatedKeys(batch: Batch, encode: Encode): ReadonlySet<string> {
  const seen = new Map<string, number>()
  for (let row = 0; row < batch.count; row++) {
    const key = keyText(batch, row, encode)
    seen.set(key, (seen.get(key) ?? 0) | (batch.weights![row]! > 0 ? 1 : 2))
  }
  return new Set([...seen].flatMap(([key, both]) => (both === 3 ? [key] : [])))
}
