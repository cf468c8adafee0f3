/**
 * Looks whether the machine has memory left. Where it has not, the view with the largest state fails, so that neither the
 * process nor its neighbours end with it: not all state goes to disk, and budgets may add up to more than there is.
 */
import { Fault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import type { Clock, Memory } from '../../lib/world.ts'
import type { Flow } from './flow.ts'

const lookMs = 500
/** Before it is looked again, once a view was ended: its memory comes back meanwhile. */
const afterMs = 5_000
/** Of what the process may take. */
const usedPartMax = 0.85
/** Of the same: what the machine is to have left where this process takes a good part of its memory. */
const freePartMin = 0.04
const goodPart = 0.3

export interface GuardOptions {
  readonly flow: Pick<Flow, 'views' | 'end'>
  readonly memory: Memory
  readonly clock: Clock
}
/** Until what it returns is called. */
export function guardMemory({ flow, memory, clock }: GuardOptions): () => void {
  let cancel = (): void => {}
  const look = (): void => {
    const bytes = isScarce(memory) ? endLargest(flow, memory) : 0
    cancel = clock.after(bytes > 0 ? afterMs : lookMs, look)
  }
  cancel = clock.after(lookMs, look)
  return () => cancel()
}
function isScarce({ used, limit, free }: Memory): boolean {
  const taken = used()
  return taken > limit * usedPartMax || (taken > limit * goodPart && free() < limit * freePartMin)
}
/** Gives how large it was; 0: there is none worth it. */
function endLargest(flow: GuardOptions['flow'], { used, limit }: Memory): number {
  const running = flow.views().filter(({ status }) => status !== 'failed' && status !== 'restarting')
  const [largest] = running.toSorted((a, b) => b.stateBytes - a.stateBytes)
  if (largest === undefined || largest.stateBytes < limits.guardedStateBytes) return 0
  const { name, stateBytes } = largest
  const fault = new Fault('flow.no-memory', { view: name, bytes: stateBytes, used: used(), limit })
  void flow.end(name, fault).catch(() => {})
  return stateBytes
}
