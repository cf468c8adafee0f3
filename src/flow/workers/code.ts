/**
 * Functions in plans, for other threads. A function cannot be sent, but both threads may have it: from the same modules, loaded
 * in each. What they have is listed in the same order on both sides (`codeOf`), and a plan is sent with places of that list in
 * place of functions.
 */
import { Fault } from '../../lib/fault.ts'
import { inputsOf } from '../plan-facts.ts'
import type { Plan, ViewPlan } from '../plan.ts'
import { isSqlFunction } from '../user-functions.ts'

/** What a program or a project defines, as far as it brings code. */
export interface CodeBearing {
  readonly plan?: () => ViewPlan | null
}
/** The code of definitions: of SQL functions, and of the `process` steps of views. */
export function codeOf(definitions: readonly (CodeBearing | object)[]): readonly unknown[] {
  return definitions.flatMap((definition) => {
    if (isSqlFunction(definition)) return [definition.user]
    const { plan } = definition as CodeBearing
    if (typeof plan !== 'function') return []
    try {
      const view = plan.call(definition)
      return view === null ? [] : codeOfPlan(view.plan)
    } catch {
      // What is wrong with it is said where it is to run.
      return []
    }
  })
}
const codeOfPlan = (plan: Plan): unknown[] => [
  ...(plan.op === 'process' ? [plan.keyed ?? plan.fn] : []),
  ...inputsOf(plan).flatMap(codeOfPlan),
]

interface Place {
  readonly code: number
}
const mark = 'code of millrace'

/** null: it has a function that is not in the list. */
export function packed<T>(value: T, code: readonly unknown[]): T | null {
  const places = new Map(code.map((one, i) => [one, { [mark]: true, code: i }]))
  try {
    return structuredClone(replaced(value, (one) => places.get(one))) as T
  } catch (error) {
    // A function that is in no list.
    if (error instanceof DOMException && error.name === 'DataCloneError') return null
    throw error
  }
}
export const unpacked = (view: ViewPlan, code: readonly unknown[]): ViewPlan => withCode(view, code, view.name)
/** The same for what belongs to a view. */
export function withCode<T>(packed: T, code: readonly unknown[], view: string): T {
  return replaced(packed, (value) => {
    if (typeof value !== 'object' || value === null || !(mark in value)) return undefined
    const found = code[(value as unknown as Place).code]
    if (found === undefined) throw new Fault('internal', { what: `the code of view ${view} is not there` })
    return found
  }) as T
}
/** The value with others in place of parts of it; what is shared stays shared. */
function replaced(value: unknown, by: (value: unknown) => unknown): unknown {
  const known = new Map<unknown, unknown>()
  const visit = (one: unknown): unknown => {
    const other = by(one)
    if (other !== undefined) return other
    if (typeof one !== 'object' || one === null || ArrayBuffer.isView(one)) return one
    const seen = known.get(one)
    if (seen !== undefined) return seen
    const copy = Array.isArray(one)
      ? one.map(visit)
      : Object.fromEntries(Object.entries(one).map(([name, part]) => [name, visit(part)]))
    known.set(one, copy)
    return copy
  }
  return visit(value)
}
