/** A plan as text: a step a line, what it reads below it, with what bounds its state. */
import { describeOver, shownAggregate, shownOrder } from './explain-over.ts'
import { expressionText } from '../../flow/expression-text.ts'
import { inputsOf, triggerText, userFunctionsOf, windowLabel } from '../../flow/plan-facts.ts'
import { spillOf } from '../../flow/operator-of.ts'
import type { Plan, SourcePlan, ViewPlan } from '../../flow/plan.ts'
import { slicedSteps } from '../../flow/slices.ts'
import { exchangesOf } from '../../flow/spread.ts'
import { isoText } from '../../flow/time-text.ts'
import { durationText } from '../../lib/duration.ts'
import { type Columns, typeName } from '../../schema/types.ts'
import { quoteIfNeeded } from '../bind/scope.ts'

function startsFrom({ start }: ViewPlan): string[] {
  if (start === undefined) return []
  return [`  starts from ${start.from === 'now' ? 'now' : isoText(start.timeMs * 1000)}, tables from their beginning`]
}
/** What becomes of a step's state where memory has no room for it. */
const beyondMemory = {
  all: '; on disk where memory has no room',
  some: '; some of it on disk where memory has no room',
  none: '; in memory alone',
}
/** `note`: a last line for a step, where it has one. `inView`: its state is that of a view, which has so much memory and no more. */
export function explainPlan(
  plan: Plan,
  note: (plan: Plan) => string | null = () => null,
  { inView = false }: { readonly inView?: boolean } = {},
): string[] {
  const lines: string[] = []
  const sliced = slicedSteps(plan)
  const { groups } = sliced
  const sliceNote = (step: Plan): readonly string[] => {
    const slices = groups.get(step)
    return slices === undefined
      ? []
      : [`counted in slices of ${durationText(slices.times.step / 1000)}, added up by window`]
  }
  const bounded = (step: Plan, details: readonly string[]): readonly string[] => {
    const spill = inView ? spillOf(step, sliced) : null
    return spill === null
      ? details
      : details.map((detail) => (detail.startsWith(stateLine) ? detail + beyondMemory[spill] : detail))
  }
  describe(plan, 0, lines, (step) => {
    const [head, ...details] = describeStep(step)
    const noted = note(step)
    return [head!, ...bounded(step, details), ...sliceNote(step), ...(noted === null ? [] : [noted])]
  })
  const called = [...userFunctionsOf(plan)].map(([signature, { version }]) => `${signature} version ${version}`)
  return called.length === 0 ? lines : [...lines, `calls in TypeScript: ${called.join(', ')}`]
}
export function explainView(view: ViewPlan): string[] {
  const key = view.key?.map((i) => view.plan.columns[i]!.name).join(', ') ?? null
  const changes = view.appendOnly
    ? `rows are only ever added${key === null ? '' : `, one per key (${key})`}`
    : key === null
      ? 'rows are added and withdrawn, with weights'
      : key === ''
        ? 'one row'
        : `newest row per key (${key})`
  const parts = view.parallelism ?? 1
  const cut = parts === 1 ? new Map<Plan, unknown>() : exchangesOf(view.plan)
  const note = (plan: Plan): string | null => (cut.has(plan) ? `in ${parts} parts, by key` : null)
  return [
    `View ${quoteIfNeeded(view.name)}: ${changes}`,
    ...startsFrom(view),
    ...(view.ttlMs === undefined
      ? []
      : [
          `  state of joins, groups and first rows without windows goes ${durationText(view.ttlMs)} after it was written`,
        ]),
    ...(view.memoryBytes === undefined ? [] : [`  memory for state: ${view.memoryBytes} bytes`]),
    ...explainPlan(view.plan, note, { inView: true }).map((line) => `  ${line}`),
  ]
}

const stateLine = 'state: '
function describe(plan: Plan, depth: number, lines: string[], texts: (plan: Plan) => readonly string[]): void {
  const indent = '  '.repeat(depth)
  const [head, ...details] = texts(plan)
  lines.push(`${indent}${depth === 0 ? '' : '-> '}${head}`)
  for (const detail of details) lines.push(`${indent}${depth === 0 ? '' : '   '}     ${detail}`)
  for (const input of inputsOf(plan)) describe(input, depth + 1, lines, texts)
}
function describeStep(plan: Plan): string[] {
  const names = (positions: readonly number[], columns: Columns): string =>
    positions.map((i) => columns[i]!.name).join(', ')
  switch (plan.op) {
    case 'source':
      return describeSource(plan)
    case 'filter':
      return ['Filter', `where ${expressionText(plan.where, plan.input.columns)}`]
    case 'project':
      return [
        'Project',
        plan.expressions
          .map((expr, i) => aliased(expressionText(expr, plan.input.columns), plan.columns[i]!.name))
          .join(', '),
      ]
    case 'expire':
      return [
        'Filter by the clock',
        ...(plan.from === null ? [] : [`from ${expressionText(plan.from, plan.input.columns)} on`]),
        ...(plan.until === null ? [] : [`until ${expressionText(plan.until, plan.input.columns)}`]),
        'state: the rows that are still to come or to go',
      ]
    case 'union':
      return ['Union all']
    case 'window':
      return [`Window over ${plan.columns[plan.time]!.name}: ${windowLabel(plan.window)}`]
    case 'sliding-window':
      return [
        `Sliding windows by ${names(plan.keys, plan.input.columns)} over ${plan.columns[plan.time]!.name}, ${durationText(plan.sizeMs)}`,
        'state: the rows of the windows still open',
      ]
    case 'aggregate':
      return [
        plan.keys.length === 0 ? 'Aggregate over all rows' : `Aggregate by ${names(plan.keys, plan.input.columns)}`,
        ...(plan.aggregates.length === 0
          ? []
          : [plan.aggregates.map((a) => shownAggregate(a, plan.input.columns)).join(', ')]),
        plan.emit === 'close'
          ? 'emits once, when the watermark has passed the window'
          : 'emits whenever a result changes',
        `state: ${stateOfAggregate(plan)}`,
      ]
    case 'session':
      return [
        `Sessions by ${names(plan.keys, plan.input.columns)} over ${plan.input.columns[plan.time]!.name}, gap ${durationText(plan.gapMs)}`,
        ...(plan.aggregates.length === 0
          ? []
          : [plan.aggregates.map((a) => shownAggregate(a, plan.input.columns)).join(', ')]),
        plan.emit === 'close'
          ? 'emits once, when the watermark has passed the session'
          : 'emits whenever a session changes',
        'state: the open sessions and their rows',
      ]
    case 'global-window':
      return [
        plan.keys.length === 0
          ? 'Global window over all rows'
          : `Global window by ${names(plan.keys, plan.input.columns)}`,
        plan.aggregates.map((a) => shownAggregate(a, plan.input.columns)).join(', '),
        `emits ${triggerText(plan)}`,
        `state: ${stateOfGlobalWindow(plan)}`,
      ]
    case 'temporal-join':
      return [
        `Temporal ${plan.kind === 'left' ? 'left join' : 'join'} as of ${plan.left.columns[plan.leftTime]!.name}`,
        `on ${plan.leftKeys.map((key, i) => `${expressionText(key, plan.left.columns)} = ${plan.right.columns[plan.rightKeys[i]!]!.name}`).join(' and ')}`,
        ...(plan.where === null
          ? []
          : [`where ${expressionText(plan.where, [...plan.left.columns, ...plan.right.columns])}`]),
        'state: one row per key of the table and its versions since the watermark; rows that wait for the watermark',
      ]
    case 'lookup':
      return [
        `Lookup ${plan.kind === 'left' ? 'left join' : 'join'} as of now`,
        `on ${plan.leftKeys.map((key, i) => `${expressionText(key, plan.left.columns)} = ${plan.right.columns[plan.rightKeys[i]!]!.name}`).join(' and ')}`,
        ...(plan.where === null
          ? []
          : [`where ${expressionText(plan.where, [...plan.left.columns, ...plan.right.columns])}`]),
        'state: one row per key of the table',
      ]
    case 'join':
      return describeJoin(plan)
    case 'over':
      return describeOver(plan)
    case 'top':
      return [
        `First ${plan.limit}${plan.partitionBy.length === 0 ? '' : ` of each ${names(plan.partitionBy, plan.input.columns)}`}${plan.rank ? ', numbered' : ''}`,
        `by ${shownOrder(plan.order, plan.input.columns)}`,
        'state: the first rows of each partition, and all of its rows where the input may withdraw some',
      ]
    case 'conflict':
      return [
        `One row per ${names(plan.key, plan.columns)}`,
        { nothing: 'the first that came', error: 'a second one cannot be', deduplicate: 'the last that changed' }[
          plan.policy
        ],
        'state: all rows of each key',
      ]
    case 'from-changelog':
      return [
        `Rows come and go by ${plan.input.columns[plan.code]!.name}`,
        Object.entries(plan.kinds)
          .map(([code, kind]) => `${code} = ${kind}`)
          .join(', '),
        plan.skips ? 'leaves out rows with other codes' : 'cannot compute rows with other codes',
        ...(plan.key === null ? [] : [`state: the newest row per ${names(plan.key, plan.columns)}`]),
      ]
    case 'to-changelog':
      return [
        'Changes as rows that stay',
        Object.entries(plan.codes)
          .map(([kind, code]) => `${kind} = ${code}`)
          .join(', '),
        ...(plan.key.length === 0 ? [] : [`updates are of ${names(plan.key, plan.input.columns)}`]),
      ]
    case 'process':
      return [
        `Function in TypeScript by ${names(plan.key, plan.input.columns)}`,
        ...(plan.keyed === undefined
          ? ['state: what the function keeps, one entry per key']
          : [
              `state: ${[...plan.keyed.states.map(({ name, kind }) => `${name} (${kind})`), 'timers'].join(', ')} per key, ${plan.keyed.ttlMs === undefined ? 'until the function clears it' : `gone when untouched for ${durationText(plan.keyed.ttlMs)}`}`,
              ...(plan.keyed.broadcast === undefined
                ? []
                : [`broadcast state: ${plan.keyed.broadcast.map(({ name, kind }) => `${name} (${kind})`).join(', ')}`]),
            ]),
      ]
  }
}
const shiftText = (us: number): string => `${us < 0 ? '-' : '+'}${durationText(Math.abs(us) / 1000)}`
function describeJoin(plan: Extract<Plan, { op: 'join' }>): string[] {
  const { interval } = plan
  const keys = plan.leftKeys.map(
    (key, i) => `${plan.left.columns[key]!.name} = ${plan.right.columns[plan.rightKeys[i]!]!.name}`,
  )
  return [
    `${plan.kind[0]!.toUpperCase()}${plan.kind.slice(1)} join`,
    ...(keys.length === 0 ? ['of all pairs'] : [`on ${keys.join(' and ')}`]),
    ...(plan.where === null
      ? []
      : [`where ${expressionText(plan.where, [...plan.left.columns, ...plan.right.columns])}`]),
    ...(interval === undefined
      ? []
      : [
          `${plan.right.columns[interval.rightTime]!.name} from ${shiftText(interval.lowUs)} to ${shiftText(interval.highUs)} of ${plan.left.columns[interval.leftTime]!.name}`,
          'gives a pair once, and a row without partner when none can come any more',
        ]),
    interval !== undefined
      ? `state: the rows of both sides, for ${durationText((interval.highUs - interval.lowUs) / 1000)}`
      : plan.windowEnd === null
        ? 'state: the rows of both sides'
        : 'state: the rows of both sides, until their window closes',
  ]
}
function stateOfAggregate(plan: Extract<Plan, { op: 'aggregate' }>): string {
  if (plan.windowEnd !== null)
    return plan.emit === 'close' ? 'one entry per group of the windows still open' : 'one entry per group and window'
  return plan.keys.length === 0 ? 'one entry' : 'one entry per group, for as long as the view lives'
}
function stateOfGlobalWindow({ keep }: Extract<Plan, { op: 'global-window' }>): string {
  switch (keep.of) {
    case 'none':
      return 'one entry per key whose window has rows and has not fired'
    case 'all':
      return 'one entry per key, for as long as the view lives'
    case 'last':
      return `the last ${keep.rows} rows of each key`
    case 'within':
      return `the rows of each key that lie less than ${durationText(keep.ms)} before its newest`
  }
}
function describeSource(plan: SourcePlan): string[] {
  const fields = plan.columns
    .flatMap((field, i) => (i === plan.watermark ? [] : [`${field.name} ${typeName(field.type)}`]))
    .join(', ')
  const kind =
    plan.mode === 'append'
      ? 'Events'
      : plan.mode === 'upsert'
        ? `Newest rows per ${plan.key.map((i) => plan.columns[i]!.name).join(', ')}`
        : 'Weighted changes'
  if (plan.rows !== undefined) return [`Rows of the text: ${plan.rows.length}`, `reads ${fields}`]
  const said = plan.watermark === undefined ? undefined : plan.fields[plan.watermark]
  const time =
    said?.from === 'computed'
      ? expressionText(said.expression, plan.columns)
      : plan.time === null
        ? 'record timestamp'
        : `${plan.columns[plan.time.column]!.name}${plan.time.delayMs === 0 ? '' : ` - ${plan.time.delayMs} ms`}`
  const envelope = plan.envelope === undefined ? [] : ['rows lie in change events of Debezium']
  return [
    `${kind} of ${quoteIfNeeded(plan.name)}${plan.topic === plan.name ? '' : ` (topic ${plan.topic})`}`,
    `reads ${fields}`,
    ...envelope,
    `watermark: ${time}${plan.latenessMs === undefined ? '' : `, and ${durationText(plan.latenessMs)} of allowed lateness`}`,
    ...(plan.mode === 'upsert' ? [`${stateLine}one row per key`] : []),
  ]
}

const aliased = (text: string, name: string): string => (text === name ? text : `${text} as ${name}`)
