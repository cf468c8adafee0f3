import type { ViewPlan } from './plan.ts'

/** How a view's changes lie in its topic. */
export type OutputMode = 'upsert' | 'append' | 'weighted'
export function outputMode(view: Pick<ViewPlan, 'key' | 'appendOnly'>): OutputMode {
  if (view.appendOnly) return 'append'
  return view.key === null ? 'weighted' : 'upsert'
}
