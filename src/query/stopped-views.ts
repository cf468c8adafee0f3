/** A query answers from what views have written: where one of them does not go on, the answer says so. */
import { sourcesOf } from '../flow/plan-facts.ts'
import type { EngineParts } from './engine-parts.ts'

/** A line for each view among these topics, or behind one of them, that is paused or has stopped. */
export function stoppedViews({ definitions, runner, rights }: EngineParts, topics: readonly string[]): string[] {
  const found: string[] = []
  const seen = new Set<string>()
  const look = (topic: string): void => {
    const view = seen.has(topic) ? null : (definitions.get('view', topic)?.view ?? null)
    seen.add(topic)
    if (view === null || !rights.sees(topic)) return
    const state = runner.state(view.name)
    const why = state?.fault === null || state?.fault === undefined ? '' : ` (${state.fault.message})`
    if (state?.status === 'paused') found.push(`view ${view.name} is paused: its rows are those of before`)
    if (state?.status === 'failed' || state?.status === 'restarting')
      found.push(
        `view ${view.name} has stopped${state.status === 'failed' ? '' : ', and starts again by itself'}: its rows are those of before${why}`,
      )
    for (const source of sourcesOf(view.plan)) look(source.topic)
  }
  topics.forEach(look)
  return found
}
