/** How a view's changes lie in its topic. */
import { outputMode } from '../output-mode.ts'
import type { ViewPlan } from '../plan.ts'
import { debeziumSink } from './debezium-sink.ts'
import { type Sink, rowSinks } from './sink.ts'

export const viewSink = (view: ViewPlan): Sink =>
  view.envelope === 'debezium' ? debeziumSink(view) : rowSinks[outputMode(view)](view)
