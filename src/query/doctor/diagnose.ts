/**
 * Why is there no output? Facts in, causes out, the likeliest first. Nothing is asked of a clock or a log here. A view
 * that does what it should has none. Long because each cause is a check of its own, of some twenty lines, and they read the
 * facts by the same few helpers.
 */
import { heldBack, laneOf } from '../../flow/alignment.ts'
import type { Expression, Value } from '../../flow/expression.ts'
import { inputsOf, sourcesOf } from '../../flow/plan-facts.ts'
import type { Plan, PlanOf } from '../../flow/plan.ts'
import type { ExaminedNode } from '../../flow/runtime/examine.ts'
import type { RestartInfo } from '../../flow/runtime/restarts.ts'
import { about, durationText } from '../../lib/duration.ts'
import type { Diagnosis } from '../engine.ts'
import { timeText } from '../engine-parts.ts'
import type { DoctorFacts, SourceFacts } from './facts.ts'
import { nearMiss, nearestField, shownValue } from './near.ts'

type Check = (facts: DoctorFacts) => Diagnosis[]

/** Best first: what stands above explains what stands below it. */
const checks: readonly Check[] = [
  stopped,
  upstreamStopped,
  misspeltField,
  wrongUnit,
  timeZone,
  invalidEvents,
  noEvents,
  nothingSince,
  missingTable,
  futureEvents,
  silentPartition,
  heldBackInput,
  nothingPasses,
  nothingNow,
  noPartner,
  timesApart,
  lateRows,
  openWindow,
  behind,
]
export function diagnose(facts: DoctorFacts): Diagnosis[] {
  return checks.flatMap((check) => check(facts))
}

function stopped({ name, state: { status, fault, restarts }, nodes }: DoctorFacts): Diagnosis[] {
  const node = nodes.at(-1)?.id ?? null
  if (status === 'restarting' && restarts !== null) return [restarting(name, restarts, node)]
  if (status === 'failed') {
    const says = `The view stopped: ${fault?.message ?? 'why is not known'}.`
    const evidence = fault === null ? [] : [fault.code, fault.hint]
    const tried = restarts === null || restarts.attempts === 0 ? [] : [attemptsText(restarts.attempts)]
    const remedy = `Mend the cause, then ALTER MATERIALIZED VIEW ${name} RESUME; or let it go past such events with on_error = 'quarantine'.`
    return [{ code: 'stopped', sure: 'yes', node, says, evidence: [...evidence, ...tried], remedy }]
  }
  if (status === 'paused')
    return [
      {
        code: 'paused',
        sure: 'yes',
        node,
        says: 'The view is paused.',
        evidence: [],
        remedy: `ALTER MATERIALIZED VIEW ${name} RESUME`,
      },
    ]
  if (status === 'restoring')
    return [
      {
        code: 'restoring',
        sure: 'yes',
        node,
        says: 'The view is reading its state after a start.',
        evidence: [],
        remedy: 'Wait; it goes on by itself.',
      },
    ]
  if (status === 'idle')
    return [
      {
        code: 'elsewhere',
        sure: 'yes',
        node,
        says: 'Another process runs this view.',
        evidence: [],
        remedy: 'Ask that process.',
      },
    ]
  return []
}
export function restarting(name: string, restarts: RestartInfo, node: string | null): Diagnosis {
  const { lastFault, lastFaultMs, attempts, nextMs } = restarts
  return {
    code: 'restarting',
    sure: 'yes',
    node,
    says: `The view stopped, and starts again by itself at ${timeText(nextMs ?? lastFaultMs)}: ${lastFault.message}.`,
    evidence: [lastFault.code, lastFault.hint, attemptsText(attempts)],
    remedy: `Mend the cause; it then goes on by itself, or at once with ALTER MATERIALIZED VIEW ${name} RESUME.`,
  }
}
const attemptsText = (count: number): string => `started again by itself: ${count} ${count === 1 ? 'time' : 'times'}`
function upstreamStopped({ upstream }: DoctorFacts): Diagnosis[] {
  return upstream
    .filter(({ status }) => status === 'failed' || status === 'restarting' || status === 'paused')
    .map(({ name, status, fault }) => ({
      code: 'input-stopped',
      sure: 'yes',
      node: null,
      says: `It reads the view ${name}, which ${status === 'paused' ? 'is paused' : 'stopped'}.`,
      evidence: fault === null ? [] : [fault.message],
      remedy: `Ask for the cause there: millrace doctor ${name}`,
    }))
}

// What the events are like.

function misspeltField({ sources }: DoctorFacts): Diagnosis[] {
  const found: Diagnosis[] = []
  for (const { plan, samples, node } of sources) {
    const payloads = samples.filter(({ fields }) => fields !== null)
    if (payloads.length === 0) continue
    const names = new Set(payloads.flatMap(({ fields }) => Object.keys(fields!)))
    const declared = new Set(plan.fields.flatMap((field) => (field.from === 'value' ? [field.path[0]!] : [])))
    plan.fields.forEach((field, c) => {
      if (field.from !== 'value' || names.has(field.path[0]!)) return
      const near = nearestField(
        field.path[0]!,
        [...names].filter((name) => !declared.has(name)),
      )
      if (near === null) return
      found.push({
        code: 'field-misspelt',
        sure: 'yes',
        node,
        says: `The column ${plan.columns[c]!.name} is read from the field "${field.path[0]}", which no event of topic ${plan.topic} has; they have "${near}".`,
        evidence: [`fields of ${payloads.length} events: ${[...names].slice(0, 12).join(', ')}`],
        remedy: `Name the column as the field is ("${near}", in quotes where it has capitals).`,
      })
    })
  }
  return found
}

const yearMs = 365.25 * 86_400_000
/** What event times would have to be multiplied by to lie near their arrival. */
const units: readonly { readonly factor: number; readonly is: string; readonly as: string; readonly remedy: string }[] =
  [
    {
      factor: 1_000,
      is: 'seconds',
      as: 'milliseconds',
      remedy: 'Multiply by 1000, or use to_timestamp(seconds) in a generated column.',
    },
    { factor: 1 / 1_000, is: 'microseconds', as: 'milliseconds', remedy: 'Divide by 1000 in a generated column.' },
    {
      factor: 1 / 1_000_000,
      is: 'nanoseconds',
      as: 'milliseconds',
      remedy: 'Divide by 1000000 in a generated column.',
    },
  ]
function wrongUnit({ sources }: DoctorFacts): Diagnosis[] {
  return sources.flatMap((source): Diagnosis[] => {
    const times = [...eventTimes(source), ...unreadableTimes(source)]
    if (times.length === 0) return []
    for (const { factor, is, as, remedy } of units) {
      const fits = times.filter(
        ({ eventMs, recordMs }) =>
          Math.abs(eventMs * factor - recordMs) < 5 * yearMs && Math.abs(eventMs - recordMs) > 10 * yearMs,
      )
      if (fits.length * 2 <= times.length) continue
      const [one] = fits
      return [
        {
          code: 'time-unit',
          sure: 'likely',
          node: source.node,
          says: `Event times of ${source.plan.name} are ${is} that are read as ${as}: they lie around the year ${new Date(Math.max(-8e15, Math.min(8e15, one!.eventMs))).getUTCFullYear()}.`,
          evidence: [
            `${fits.length} of ${times.length} events; one that arrived at ${timeText(one!.recordMs)} has the event time ${timeText(one!.eventMs) ?? `${one!.eventMs} ms`}`,
          ],
          remedy,
        },
      ]
    }
    return []
  })
}

const hourMs = 3_600_000
function timeZone({ sources, nodes }: DoctorFacts): Diagnosis[] {
  const matters =
    nodes.some(({ late, lateAfterIdle }) => late + lateAfterIdle > 0) ||
    sources.some(({ partitions }) => partitions.some(({ future }) => future > 0)) ||
    nodes.at(-1)?.rowsOut === 0
  if (!matters) return []
  return sources.flatMap((source): Diagnosis[] => {
    const times = eventTimes(source)
    if (times.length < 5) return []
    // Half an hour is the smallest step that most zones differ by.
    const zones = new Map<number, number>()
    for (const { eventMs, recordMs } of times) {
      const hours = Math.round((2 * (recordMs - eventMs)) / hourMs) / 2
      const isNear = Math.abs(recordMs - eventMs - hours * hourMs) <= 5 * 60_000
      if (isNear && Math.abs(hours) >= 0.5 && Math.abs(hours) <= 14) zones.set(hours, (zones.get(hours) ?? 0) + 1)
    }
    const [hours, near] = [...zones].sort((a, b) => b[1] - a[1])[0] ?? [0, 0]
    if (near < 5 || near < times.length * 0.3) return []
    return [
      {
        code: 'time-zone',
        sure: 'likely',
        node: source.node,
        says: `Event times of ${source.plan.name} are${near < times.length * 0.8 ? ', in part,' : ''} ${Math.abs(hours)} hours ${hours > 0 ? 'behind' : 'ahead of'} the arrival of their events: local times are taken for UTC.`,
        evidence: [`${near} of ${times.length} events are within 5 minutes of that`],
        remedy:
          'Write the offset into the times ("…+02:00"), or make them UTC in a generated column: at AT TIME ZONE \'…\'.',
      },
    ]
  })
}

function invalidEvents({ name, state: { stats }, sources }: DoctorFacts): Diagnosis[] {
  if (stats.invalid === 0 || stats.invalid * 2 < stats.rowsIn) return []
  const faulty = sources.flatMap(({ samples }) => samples.filter(({ fault }) => fault !== null))
  const reasons = tally(faulty.map(({ fault }) => fault!.message))
  return [
    {
      code: 'events-invalid',
      sure: 'yes',
      node: sources[0]?.node ?? null,
      says: `${stats.invalid === stats.rowsIn ? 'All' : `${stats.invalid} of`} ${stats.rowsIn} events could not be read and lie in quarantine.`,
      evidence: reasons.slice(0, 3).map(([reason, count]) => `${count} × ${reason}`),
      remedy: `Change the columns of the stream or what is sent; SELECT * FROM ${name} goes on with the next event that fits.`,
    },
  ]
}
function noEvents({ sources, nodes }: DoctorFacts): Diagnosis[] {
  if (nodes.at(-1)?.rowsOut !== 0) return []
  const joined = tableSides(nodes)
  return sources
    .filter(({ node, records }) => records === 0 && !joined.has(node))
    .map(({ plan, node }) => ({
      code: 'no-events',
      sure: 'yes',
      node,
      says: `The topic ${plan.topic} is empty.`,
      evidence: [],
      remedy: 'Send events to it, or name the topic that has them: WITH (topic = …).',
    }))
}

/** START FROM left out all that is there. */
function nothingSince({ start, sources, nodes }: DoctorFacts): Diagnosis[] {
  if (start === null || nodes.at(-1)?.rowsOut !== 0) return []
  const since = start.from === 'now' ? 'it was made' : timeText(start.timeMs)
  return sources
    .filter(({ node, plan, records, unread }) => {
      const rows = nodes.find(({ id }) => id === node)?.rowsOut ?? 0
      return plan.mode === 'append' && records > 0 && unread === 0 && rows === 0
    })
    .map(({ plan, node, records }) => ({
      code: 'no-events',
      sure: 'yes',
      node,
      says: `The view takes in what came to topic ${plan.topic} since ${since}, and nothing has.`,
      evidence: [`${records} records are there from before`],
      remedy: 'Send events, or take in what is there: CREATE OR REPLACE … START FROM BEGINNING.',
    }))
}

// Time.

function missingTable({ nodes, sources, idleMs }: DoctorFacts): Diagnosis[] {
  const found: Diagnosis[] = []
  for (const node of nodes) {
    const { plan } = node
    if (plan.op !== 'temporal-join' && plan.op !== 'lookup') continue
    for (const source of under(sources, plan.right)) {
      if (source.records === 0) {
        found.push({
          code: 'table-empty',
          sure: 'yes',
          node: node.id,
          says: `The table ${source.plan.name} (topic ${source.plan.topic}) is empty: rows of the stream find no partner.`,
          evidence: plan.op === 'lookup' ? [] : [`rows wait for it ${durationText(idleMs)}, then go without`],
          remedy: 'Fill the table first.',
        })
        continue
      }
      if (plan.op === 'lookup' || !node.waits || node.rowsOut > 0) continue
      const left = Math.max(-Infinity, ...under(sources, plan.left).flatMap(activeMax))
      const right = Math.max(-Infinity, ...activeMax(source))
      if (right < left)
        found.push({
          code: 'table-behind',
          sure: 'likely',
          node: node.id,
          says: `The table ${source.plan.name} has been seen up to ${timeText(right) ?? 'nothing'} only; rows of the stream up to ${timeText(left)} wait for it.`,
          evidence: [`a table that brings nothing is waited for ${durationText(idleMs)}`],
          remedy: 'Let its events have times that go on, or make the idle time of the view shorter.',
        })
    }
  }
  return found
}
function futureEvents({ sources, nodes, maxFutureMs }: DoctorFacts): Diagnosis[] {
  const late = nodes.some((node) => node.late + node.lateAfterIdle > 0)
  return sources.flatMap((source): Diagnosis[] => {
    const future = source.partitions.reduce((sum, one) => sum + one.future, 0)
    const newest = Math.max(-Infinity, ...source.partitions.map(({ maxTimeMs }) => maxTimeMs))
    const arrived = Math.max(-Infinity, ...source.samples.map(({ timeMs }) => timeMs))
    const typical = quantile(
      eventTimes(source).map(({ eventMs }) => eventMs),
      0.9,
    )
    const ahead = typical === null ? 0 : newest - typical
    if (future > 0)
      return [
        {
          code: 'event-from-future',
          sure: 'yes',
          node: source.node,
          says: `${future} events of ${source.plan.name} are more than ${durationText(maxFutureMs)} ahead of their arrival: they move no watermark, and what they are in stays open.`,
          evidence: [`the watermark's newest event time is ${timeText(newest) ?? 'none'}`],
          remedy: 'Mend the clock of whoever sends them. max_future says how far ahead is believed.',
        },
      ]
    if (late && newest > arrived && ahead > 60_000)
      return [
        {
          code: 'event-from-future',
          sure: 'likely',
          node: source.node,
          says: `One event of ${source.plan.name} ${source.plan.watermark === undefined ? 'has the time' : 'says the watermark'} ${timeText(newest)}, ${about(ahead)} ahead of the others: it moved the watermark, and the others are late since.`,
          evidence: [`nine of ten events are at or before ${timeText(typical!)}`],
          remedy: 'Mend the clock of whoever sent it, and set max_future lower than its error.',
        },
      ]
    return []
  })
}
/** Inputs that wait for others of their alignment group. */
function heldBackInput({ sources, idleMs }: DoctorFacts): Diagnosis[] {
  const reachedBy = ({ partitions }: SourceFacts): number | null => {
    const active = partitions.filter(({ idle, held }) => !idle && held).map(({ watermarkMs }) => watermarkMs)
    return active.length === 0 ? null : Math.min(...active)
  }
  const lanes = heldBack(
    sources.map((source) => ({
      plan: source.plan,
      clock: {
        reached: () => reachedBy(source),
        *beyond(limitMs) {
          for (const { partition, watermarkMs } of source.partitions) if (watermarkMs > limitMs) yield partition
        },
      },
    })),
  )
  return sources.flatMap(({ plan, node, partitions, unread }): Diagnosis[] => {
    const { alignment } = plan
    const waits = partitions.some(({ partition }) => lanes.has(laneOf(plan.topic, partition)))
    if (alignment === undefined || unread === 0 || !waits) return []
    const group = sources.filter((source) => source.plan.alignment?.group === alignment.group)
    const slowest = group.toSorted((a, b) => (reachedBy(a) ?? Infinity) - (reachedBy(b) ?? Infinity))[0]!
    return [
      {
        code: 'input-held-back',
        sure: 'yes',
        node,
        says: `${plan.name} is read no further for now: it is more than ${durationText(alignment.maxDriftMs)} ahead of ${slowest.plan.name}, the slowest of the alignment group ${alignment.group}.`,
        evidence: [
          `${slowest.plan.name} has come to ${timeText(reachedBy(slowest) ?? -Infinity) ?? 'no time yet'}`,
          `${unread} events of ${plan.name} wait`,
        ],
        remedy: `Let the slowest go on; if it has nothing, it is left out after ${durationText(idleMs)} (the idle time of the view).`,
      },
    ]
  })
}
/** So long has a partition to be silent, and so far behind, before it is told. */
const silentMsMin = 2_000

function silentPartition({ nodes, sources, idleMs }: DoctorFacts): Diagnosis[] {
  const found = new Map<string, Diagnosis>()
  for (const node of nodes) {
    if (!node.waits) continue
    const active = under(sources, node.plan).flatMap((source) =>
      source.partitions.filter(({ idle }) => !idle).map((partition) => ({ source, ...partition })),
    )
    const most = Math.max(-Infinity, ...active.map(({ watermarkMs }) => watermarkMs))
    for (const { source, partition, watermarkMs, silentMs, maxTimeMs } of active) {
      if (silentMs < silentMsMin || most - watermarkMs < silentMsMin) continue
      const place = `${source.plan.topic}:${partition}`
      found.set(place, {
        code: 'partition-silent',
        sure: 'yes',
        node: source.node,
        says: `Partition ${place} has brought nothing for ${about(silentMs)} and holds the watermark at ${timeText(watermarkMs) ?? 'the beginning'}; another has come to ${timeText(most)}.`,
        evidence: [`its newest event is of ${timeText(maxTimeMs) ?? 'no time'}; ${node.label} waits`],
        remedy: `It is left out when it has been silent for ${durationText(idleMs)} (the view's option idle); send to it, or let fewer partitions be.`,
      })
    }
  }
  return [...found.values()]
}
function lateRows({ nodes, sources }: DoctorFacts): Diagnosis[] {
  return nodes.flatMap((node): Diagnosis[] => {
    const late = node.late + node.lateAfterIdle
    if (late === 0 || late * 100 < node.rowsIn) return []
    const spans = under(sources, node.plan).flatMap(disorder)
    const worst = Math.max(0, ...spans)
    return [
      {
        code: 'rows-late',
        sure: 'yes',
        node: node.id,
        says: `${late} of ${node.rowsIn} rows came when their window was closed, and were left out of ${node.label}.`,
        evidence: [
          ...(node.lateAfterIdle > 0 ? [`${node.lateAfterIdle} of them after their partition had been silent`] : []),
          ...(worst > 0 ? [`among the newest events the latest is ${about(worst)} behind what came before it`] : []),
        ],
        remedy: 'Allow more disorder in WATERMARK FOR … - INTERVAL …, or route late rows to a topic with late_topic.',
      },
    ]
  })
}
function openWindow(facts: DoctorFacts): Diagnosis[] {
  const { nodes, sources } = facts
  return nodes.flatMap((node): Diagnosis[] => {
    const { plan } = node
    if ((plan.op !== 'aggregate' && plan.op !== 'session' && plan.op !== 'over') || plan.emit !== 'close') return []
    if (node.rowsOut > 0 || node.stateRows === 0) return []
    const feeding = under(sources, plan)
    if (feeding.some(({ unread }) => unread > 0)) return []
    const newest = Math.max(-Infinity, ...feeding.flatMap(activeMax))
    const delays = feeding.map(({ plan: source }) => source.time?.delayMs ?? 0)
    const delay = Math.max(0, ...delays)
    const slowest = slowestOf(feeding)
    if (slowest !== null && newest - delay - slowest.watermarkMs > silentMsMin)
      return [
        {
          code: 'window-open',
          sure: 'likely',
          node: node.id,
          says: `It emits when a window closes, and partition ${slowest.place} has come to ${timeText(slowest.maxTimeMs)} only: the newest event is of ${timeText(newest)}.`,
          evidence: [
            `${node.stateRows} groups are open; the watermark is ${timeText(node.watermarkMs) ?? 'at the beginning'}`,
          ],
          remedy: `Windows close as the slowest partition goes on; it is left out when it has been silent for ${durationText(facts.idleMs)} (the view's option idle).`,
        },
      ]
    return [
      {
        code: 'window-open',
        sure: 'likely',
        node: node.id,
        says: `It emits when a window closes, and no event after the end of the oldest open one has come: the newest is of ${timeText(newest) ?? 'no time'}.`,
        evidence: [
          `${node.stateRows} groups are open; the watermark is ${timeText(node.watermarkMs) ?? 'at the beginning'}`,
        ],
        remedy: `An event ${delay === 0 ? 'after' : `${durationText(delay)} after`} the window's end closes it. Without EMIT ON WINDOW CLOSE results come at once.`,
      },
    ]
  })
}
/** The partition that is not idle and has come least far. */
function slowestOf(
  sources: readonly SourceFacts[],
): { readonly place: string; readonly maxTimeMs: number; readonly watermarkMs: number } | null {
  const active = sources.flatMap(({ plan, partitions }) =>
    partitions
      .filter(({ idle, held }) => held && !idle)
      .map(({ partition, maxTimeMs, watermarkMs }) => ({
        place: `${plan.topic}:${partition}`,
        maxTimeMs,
        watermarkMs,
      })),
  )
  return active.toSorted((a, b) => a.watermarkMs - b.watermarkMs)[0] ?? null
}
function behind({ sources, nodes, state }: DoctorFacts): Diagnosis[] {
  if (nodes.at(-1)?.rowsOut !== 0 || state.status !== 'running') return []
  const unread = sources.reduce((sum, source) => sum + source.unread, 0)
  if (unread < 10_000) return []
  return [
    {
      code: 'behind',
      sure: 'likely',
      node: null,
      says: `${unread} events are still to be taken in.`,
      evidence: sources.map(({ plan, unread: left }) => `${plan.topic}: ${left}`),
      remedy: 'Wait; millrace view list shows how it goes on.',
    },
  ]
}

// What rows say.

function nothingPasses(facts: DoctorFacts): Diagnosis[] {
  return facts.nodes.flatMap((node): Diagnosis[] => {
    const { plan } = node
    if (plan.op !== 'filter' || node.rowsIn === 0 || node.rowsOut > 0) return []
    const rows = facts.rows(plan.input)
    const compared = comparisons(plan.where)
    const evidence = columnsOf(plan.where).map((column) => {
      const values = [...new Set(rows.map((row) => shownValue(row[column]!, plan.input.columns[column]!.type)))]
      return `${plan.input.columns[column]!.name} is ${values.slice(0, 5).join(', ') || 'in no sampled row'}${values.length > 5 ? `, … (${values.length} values)` : ''}`
    })
    const misses = compared.flatMap(({ column, literal }) => {
      const near = rows.map((row) => row[column]!).find((value) => nearMiss(value, literal))
      return near === undefined ? [] : [`${shownValue(literal)} is asked for, ${shownValue(near)} is there`]
    })
    return [
      {
        code: 'filter-passes-nothing',
        sure: 'yes',
        node: node.id,
        says: `None of ${node.rowsIn} rows passes: ${node.label}.`,
        evidence: [...misses, ...evidence],
        remedy:
          misses.length > 0
            ? 'Write the value as it is in the events, or compare with lower(), trim() or a cast.'
            : 'Compare the condition with the values that are there.',
      },
    ]
  })
}
/** A filter by the clock: rows have gone before they came, or are still to come. */
function nothingNow(facts: DoctorFacts): Diagnosis[] {
  return facts.nodes.flatMap((node): Diagnosis[] => {
    const { plan } = node
    if (plan.op !== 'expire' || node.rowsIn === 0 || node.rowsOut > 0) return []
    const bounds = [plan.from, plan.until].filter((bound) => bound !== null)
    const rows = facts.rows(plan.input)
    const evidence = [...new Set(bounds.flatMap(columnsOf))].map((column) => {
      const { name } = plan.input.columns[column]!
      const times = rows.map((row) => row[column]!).filter((value) => typeof value === 'number')
      if (times.length === 0) return `${name} is NULL`
      const [first, last] = [Math.min(...times), Math.max(...times)].map((micros) => timeText(micros / 1000))
      return `${name} is between ${first} and ${last} among the newest rows`
    })
    return [
      {
        code: 'filter-passes-nothing',
        sure: 'yes',
        node: node.id,
        says: `None of ${node.rowsIn} rows is there now, at ${timeText(facts.nowMs)}, by a condition on now(): ${node.label}.`,
        evidence,
        remedy:
          'Send newer events, or take a longer time: history has gone by then. A query of now, without the condition, shows it.',
      },
    ]
  })
}
/** Keys meet, and event times never do. */
function timesApart(facts: DoctorFacts): Diagnosis[] {
  return facts.nodes.flatMap((node): Diagnosis[] => {
    const { plan } = node
    const isWithin = plan.op === 'join' && plan.interval !== undefined
    if ((!isWithin && plan.op !== 'temporal-join') || node.rowsIn === 0 || partnersSeen(facts, node)) return []
    const [left, right] = [plan.left, plan.right].map((side) => under(facts.sources, side).flatMap(rowTimes))
    if (left!.length === 0 || right!.length === 0) return []
    const [leftMin, leftMax] = [Math.min(...left!), Math.max(...left!)]
    const [rightMin, rightMax] = [Math.min(...right!), Math.max(...right!)]
    const spans = [
      `left: ${timeText(leftMin)} to ${timeText(leftMax)}, among the newest events`,
      `right: ${timeText(rightMin)} to ${timeText(rightMax)}`,
    ]
    const at = { code: 'join-finds-nothing', sure: 'likely', node: node.id } as const
    if (plan.op === 'temporal-join') {
      if (rightMin <= leftMax) return []
      const isByRecord = under(facts.sources, plan.right).some(({ plan: source }) => source.time === null)
      const remedy = isByRecord
        ? 'Give the table an event time: WATERMARK FOR …. Or look rows up as they are now: FOR SYSTEM_TIME AS OF PROCTIME().'
        : 'Fill the table with rows of earlier times, or look rows up as they are now: FOR SYSTEM_TIME AS OF PROCTIME().'
      const why = isByRecord ? ', the times of their records,' : ''
      const says = `Rows of the table count from their times${why} on, and all of them are later than the rows of the stream.`
      return [{ ...at, says, evidence: spans, remedy }]
    }
    const { lowUs, highUs } = plan.interval!
    const isApart = rightMax - leftMin < lowUs / 1000 || rightMin - leftMax > highUs / 1000
    if (!isApart) return []
    const says = `No event of one side is within the interval of one of the other: ${node.label}.`
    return [
      { ...at, says, evidence: spans, remedy: 'Take a longer interval, or compare how both sides write their times.' },
    ]
  })
}
/** When sampled rows count from: their event times, else the times of their records. */
const rowTimes = (source: SourceFacts): number[] =>
  source.plan.time === null
    ? source.samples.flatMap(({ row, timeMs }) => (row === null ? [] : [timeMs]))
    : eventTimes(source).map(({ eventMs }) => eventMs)
function noPartner(facts: DoctorFacts): Diagnosis[] {
  return facts.nodes.flatMap((node): Diagnosis[] => {
    const { plan } = node
    if (plan.op !== 'join' && plan.op !== 'temporal-join' && plan.op !== 'lookup') return []
    if (plan.kind === 'anti' || node.rowsIn === 0 || partnersSeen(facts, node)) return []
    const left = keysOf(facts.rows(plan.left), plan.leftKeys)
    const right = keysOf(facts.rows(plan.right), plan.rightKeys)
    if (left.length === 0 || right.length === 0)
      return emptySide(facts, node, left.length === 0 ? plan.left : plan.right)
    const known = new Set(right.map((key) => key.map((value) => shownValue(value)).join()))
    if (left.some((key) => known.has(key.map((value) => shownValue(value)).join()))) return []
    const names = keyNames(plan)
    const near = left.flatMap((key) =>
      right
        .filter((other) => key.every((value, i) => value === other[i] || nearMiss(value, other[i]!)))
        .map((other) => ({ key, other })),
    )[0]
    const shown = (keys: readonly (readonly Value[])[]): string =>
      [...new Set(keys.map((key) => key.map((value) => shownValue(value)).join(' ')))].slice(0, 5).join(', ')
    return [
      {
        code: 'join-finds-nothing',
        sure: near === undefined ? 'likely' : 'yes',
        node: node.id,
        says: `No row of one side has met one of the other: ${names}.`,
        evidence: [
          ...(near === undefined
            ? []
            : [
                `${near.key.map((value) => shownValue(value)).join(' ')} and ${near.other.map((value) => shownValue(value)).join(' ')} differ in spelling alone`,
              ]),
          `left: ${shown(left)}`,
          `right: ${shown(right)}`,
        ],
        remedy:
          near === undefined
            ? 'Compare the keys of both sides; perhaps one is another kind of id.'
            : "Bring both keys into one form: lower(), trim(), ltrim(…, '0') or a cast.",
      },
    ]
  })
}
function emptySide({ sources, nodes }: DoctorFacts, node: ExaminedNode, side: Plan): Diagnosis[] {
  // A filter that lets nothing through, or invalid events, are told by themselves.
  const empty = under(sources, side).filter(({ records }) => records === 0)
  if (node.plan.op !== 'join' || nodes.at(-1)!.rowsOut > 0) return []
  return empty.map(({ plan }) => ({
    code: 'join-finds-nothing',
    sure: 'yes',
    node: node.id,
    says: `One side of the join is empty: topic ${plan.topic} has no events.`,
    evidence: [],
    remedy: 'Send events to it, or use a LEFT JOIN.',
  }))
}
/** An outer join gives rows without partners too: then the samples decide. */
const partnersSeen = (_: DoctorFacts, { plan, rowsOut }: ExaminedNode): boolean =>
  rowsOut > 0 &&
  (plan.op === 'join' || plan.op === 'temporal-join' || plan.op === 'lookup') &&
  (plan.kind === 'inner' || plan.kind === 'semi')

// Helpers.

function keysOf(rows: readonly (readonly Value[])[], keys: readonly (Expression | number)[]): (readonly Value[])[] {
  const columns = keys.map((key) => (typeof key === 'number' ? key : key.kind === 'column' ? key.index : null))
  if (columns.length === 0 || columns.includes(null)) return []
  return rows.map((row) => columns.map((column) => row[column!]!)).filter((key) => key.every((value) => value !== null))
}
function keyNames(plan: PlanOf<'join' | 'temporal-join' | 'lookup'>): string {
  return plan.leftKeys
    .map((key, i) => {
      const left =
        typeof key === 'number'
          ? plan.left.columns[key]!.name
          : key.kind === 'column'
            ? plan.left.columns[key.index]!.name
            : '…'
      return `${left} = ${plan.right.columns[plan.rightKeys[i]!]!.name}`
    })
    .join(' and ')
}
function columnsOf(expression: Expression): number[] {
  const found = new Set<number>()
  const visit = (part: Expression): void => {
    if (part.kind === 'column') found.add(part.index)
    for (const child of childrenOf(part)) visit(child)
  }
  visit(expression)
  return [...found]
}
/** `column = literal`, anywhere in it. */
function comparisons(expression: Expression): { column: number; literal: Value }[] {
  const found: { column: number; literal: Value }[] = []
  const visit = (part: Expression): void => {
    if (part.kind === 'call' && part.name === '=') {
      const column = part.args.find((arg) => arg.kind === 'column')
      const literal = part.args.find((arg) => arg.kind === 'literal')
      if (column !== undefined && literal !== undefined) found.push({ column: column.index, literal: literal.value })
    }
    for (const child of childrenOf(part)) visit(child)
  }
  visit(expression)
  return found
}
function childrenOf(part: Expression): readonly Expression[] {
  switch (part.kind) {
    case 'call':
    case 'and':
    case 'or':
      return part.args
    case 'not':
    case 'is-null':
    case 'field':
      return [part.arg]
    case 'case':
      return [
        ...part.branches.flatMap(({ when, then }) => [when, then]),
        ...(part.otherwise === null ? [] : [part.otherwise]),
      ]
    case 'column':
    case 'literal':
    case 'now':
      return []
  }
}
const under = (sources: readonly SourceFacts[], plan: Plan): SourceFacts[] => {
  const plans = new Set(sourcesOf(plan))
  return sources.filter((source) => plans.has(source.plan))
}
/** Sources that are looked up: a missing table has its own words. */
function tableSides(nodes: readonly ExaminedNode[]): Set<string> {
  const sides = new Set(
    nodes
      .flatMap(({ plan }) =>
        plan.op === 'temporal-join' || plan.op === 'lookup' || plan.op === 'join' ? inputsOf(plan) : [],
      )
      .flatMap(sourcesOf),
  )
  return new Set(nodes.filter(({ plan }) => plan.op === 'source' && sides.has(plan)).map(({ id }) => id))
}
const activeMax = ({ partitions }: SourceFacts): number[] =>
  partitions.filter(({ held }) => held).map(({ maxTimeMs }) => maxTimeMs)

function eventTimes({ plan, samples }: SourceFacts): { eventMs: number; recordMs: number }[] {
  const { time } = plan
  if (time === null) return []
  return samples.flatMap(({ row, timeMs }) => {
    const micros = row?.[time.column] ?? null
    return typeof micros === 'number' ? [{ eventMs: micros / 1000, recordMs: timeMs }] : []
  })
}
/** Of events whose time is out of range: numbers in them that would be times near their arrival in another unit. */
function unreadableTimes({ samples }: SourceFacts): { eventMs: number; recordMs: number }[] {
  return samples
    .filter(({ fault }) => fault !== null && /out of range for type timestamp/.test(fault.message))
    .flatMap(({ fields, timeMs }) => {
      const numbers = Object.values(fields ?? {}).filter((value) => typeof value === 'number')
      const eventMs = numbers.find((value) =>
        units.some(({ factor }) => Math.abs(value * factor - timeMs) < 5 * yearMs),
      )
      return eventMs === undefined ? [] : [{ eventMs, recordMs: timeMs }]
    })
}
/** How far each sampled event lies behind the newest before it in its partition, where it does. */
function disorder({ plan, samples }: SourceFacts): number[] {
  const { time } = plan
  if (time === null) return []
  const newest = new Map<number, number>()
  const spans: number[] = []
  for (const { partition, row } of samples) {
    const micros = row?.[time.column] ?? null
    if (typeof micros !== 'number') continue
    const before = newest.get(partition) ?? -Infinity
    if (micros < before) spans.push((before - micros) / 1000)
    newest.set(partition, Math.max(before, micros))
  }
  return spans
}
function quantile(values: readonly number[], share: number): number | null {
  return values.length === 0 ? null : values.toSorted((a, b) => a - b)[Math.floor((values.length - 1) * share)]!
}
function tally(texts: readonly string[]): [string, number][] {
  const counts = new Map<string, number>()
  for (const text of texts) counts.set(text, (counts.get(text) ?? 0) + 1)
  return [...counts].sort((a, b) => b[1] - a[1])
}
