/** What a tick writes beside the view's own rows: changes of state, late events, bad events. */
import type { LogRecord, RecordInput } from '../../log/batch.ts'
import type { TopicInfo } from '../../log/log.ts'
import { encodeOrigin, originHeader } from '../../log/origin.ts'
import type { ViewPlan } from '../plan.ts'
import type { BadRecord } from './quarantine.ts'
import type { OutputRecord } from './records.ts'
import type { TickResult } from './stepper.ts'

/** What these functions ask of the task. */
export interface TickContext {
  readonly view: ViewPlan
  readonly nowMs: number
  topic(name: string): TopicInfo
  /** A record that was taken in this tick. */
  record(topic: string, partition: number, offset: number): LogRecord | undefined
}

/** Late events as they came, with what was late about them. */
export function lateRecords(context: TickContext, { late }: TickResult): OutputRecord[] {
  const { lateTopic, name } = context.view
  if (lateTopic === null) return []
  const info = context.topic(lateTopic)
  return [...late.values()].flatMap(({ topic, partition, offset, node }) => {
    const record = context.record(topic, partition, offset)
    if (record === undefined) return []
    const ranges = [{ topicId: context.topic(topic).id, partition, first: offset, last: offset }]
    const headers: RecordInput['headers'] = [
      ...record.headers,
      ['mr-reason', Buffer.from('late')],
      ['mr-error', Buffer.from(`too late for ${node.label} of view ${name}`)],
      [originHeader, encodeOrigin({ ranges, state: false })],
    ]
    const { key, value } = record
    const output: RecordInput = { key, value, headers, timeMs: context.nowMs }
    return [{ topic: lateTopic, partition: partition % info.partitions, record: output }]
  })
}
/** Events for the quarantine of their topics: invalid ones, and, where the view says so, those that could not be computed. */
export function badRecords(context: TickContext, { invalid, failed }: TickResult): BadRecord[] {
  const bad = new Map<string, BadRecord>()
  const add = (one: BadRecord): void => {
    const place = `${one.topic}/${one.partition}/${one.offset}`
    if (!bad.has(place)) bad.set(place, one)
  }
  for (const { topic, partition, record, fault } of invalid)
    add({ topic, partition, offset: record.offset, record, fault, isInvalid: true })
  if (context.view.onError === 'quarantine')
    for (const { place, fault, row } of failed) {
      if (place === null) continue
      // The event itself, where it came in this tick; of one that waited in state, the row that was kept.
      const kept = { key: null, value: Buffer.from(row()), timeMs: context.nowMs }
      const record = context.record(place.topic, place.partition, place.offset) ?? kept
      add({ ...place, record, fault, isInvalid: false })
    }
  return [...bad.values()]
}
