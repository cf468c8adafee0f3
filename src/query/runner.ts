/** What the engine asks of the runtime of views (`flow/runtime`). */
import type { ViewPlan } from '../flow/plan.ts'
import type { Examination } from '../flow/runtime/examine.ts'
import type { RestartInfo } from '../flow/runtime/restarts.ts'
import type { Savepoint } from '../flow/runtime/savepoints.ts'
import type { SavedMarks } from '../flow/state-marks.ts'
import type { Fault } from '../lib/fault.ts'
import type { Graph, RelationInfo } from './engine.ts'

export interface ViewState {
  readonly status: RelationInfo['status']
  readonly fault: Fault | null
  /** null: it has not failed since somebody started it. */
  readonly restarts: RestartInfo | null
  readonly stats: RelationInfo['stats']
  /** −Infinity before the first event. */
  readonly watermarkMs: number
}
export interface Runner {
  /** Begins, or goes on where it stopped; resolves when its state is restored. Paused, it waits for `resume`. */
  start(view: ViewPlan, paused: boolean): Promise<void>
  /** Ends it and forgets its state, its positions, and what it wrote. */
  remove(name: string): Promise<void>
  /** Ends it here, and waits until it runs nowhere. */
  vacate(name: string): Promise<void>
  /** What the state that it has committed says of itself; null: there is none. */
  saved(name: string): Promise<SavedMarks | null>
  savepoint(view: ViewPlan, name: string): Promise<Savepoint>
  /** Into a view that has nothing and runs nowhere. */
  load(view: ViewPlan, savepoint: string, rows: boolean): Promise<void>
  /** Ends it here; others may run it, or remove it. */
  leave(name: string): Promise<void>
  pause(name: string): Promise<void>
  resume(name: string): Promise<void>
  /** Until every view that runs has committed what is there now. */
  flush(signal: AbortSignal): Promise<void>
  /** null: it does not run here. */
  state(name: string): ViewState | null
  graph(name: string): Promise<Graph | null>
  examine(name: string): Promise<Examination | null>
}
