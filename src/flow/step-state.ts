/** What is asked of a step's state wherever its parts are, and how steps of a plan are numbered: the same on every thread. */
import type { Plan } from './plan.ts'
import { inputsOf } from './plan-facts.ts'
import type { StateTable } from './state.ts'

export interface StateSizes {
  /** In memory. */
  readonly count: number
  /** Those in files too. */
  readonly rows: number
  readonly bytes: number
  /** Of the rows in memory, without what the arrays that they lie in could still take. */
  readonly usedBytes: number
}
export const partSizes = (tables: readonly StateTable[]): StateSizes => addSizes(tables)
export function addSizes(all: readonly StateSizes[]): StateSizes {
  const sizes = { count: 0, rows: 0, bytes: 0, usedBytes: 0 }
  for (const { count, rows, bytes, usedBytes } of all) {
    sizes.count += count
    sizes.rows += rows
    sizes.bytes += bytes
    sizes.usedBytes += usedBytes
  }
  return sizes
}
// Arrays are up to twice as long as what is in them: rows may fill half of the memory.
export const roomFrom = 0.5
export const roomTo = 0.4
/** Of rows that a tick makes or takes back; room is made between ticks. */
export const crowdedFrom = 0.75

/** Steps of a plan, inputs before those who use them, each object once: the n-th is the graph's node n + 1. */
export function stepsInOrder(plan: Plan): Plan[] {
  const steps = new Set<Plan>()
  const visit = (step: Plan): void => {
    if (steps.has(step)) return
    for (const input of inputsOf(step)) visit(input)
    steps.add(step)
  }
  visit(plan)
  return [...steps]
}
