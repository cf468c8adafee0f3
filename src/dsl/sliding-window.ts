/** Sliding windows, as Kafka Streams has them: a step that SQL has no words for. */
import { parseDuration } from '../lib/duration.ts'
import { Fault } from '../lib/fault.ts'
import type { Field } from '../schema/types.ts'
import { type Rel, columnsToScope } from '../sql/plan/relation.ts'

export function slidingSize(text: string): number {
  const ms = parseDuration('sliding', text)
  if (ms < 1) throw invalid('sliding', text, 'it is no time')
  return ms
}
/** The rows of `input` in the windows of these keys, with window_start and window_end. */
export function slidingRel(input: Rel, keys: readonly string[], sizeMs: number): Rel {
  const { plan, time, appendOnly } = input
  if (!appendOnly)
    throw invalid('sliding', 'a table', 'its rows may be withdrawn, and windows slide with rows that stay')
  if (time === null) throw invalid('sliding', 'event time', 'the stream has no event-time column')
  const { columns } = plan
  const clash = columns.find(({ name }) => name === 'window_start' || name === 'window_end')
  if (clash !== undefined)
    throw invalid('sliding', clash.name, 'the stream has such a column: select it under another name')
  const bound = (name: string): Field => ({ name, type: columns[time.column]!.type, nullable: false })
  const all = [...columns, bound('window_start'), bound('window_end')]
  return {
    ...input,
    plan: {
      op: 'sliding-window',
      input: plan,
      keys: keys.map((key) => columns.findIndex(({ name }) => name === key)),
      time: time.column,
      sizeMs,
      columns: all,
    },
    scope: columnsToScope(null, all),
    key: null,
    windows: [...input.windows, { start: columns.length, end: columns.length + 1, isPaired: true }],
  }
}
const invalid = (setting: string, value: string, why: string): Fault =>
  new Fault('config.invalid', { setting, value, why })
