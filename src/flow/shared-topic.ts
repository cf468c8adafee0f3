/**
 * Sources of one plan that are mentions of one relation: its records are read once, for all the fields that any of them
 * wants. Each then has its own columns of what was read, computes and keeps its own clock. A record that does not fit what
 * one of them wants is invalid for all.
 */
import { planText } from './plan-facts.ts'
import type { Schemas } from '../schema/formats/registry.ts'
import { type Decoder, type PartitionRecords, type ReadRecords, createDecoder } from './decode.ts'
import type { SourcePlan } from './plan.ts'
import { fastReaderOf } from './schema-reader.ts'

interface Mention {
  readonly plan: SourcePlan
  readonly decoder: Decoder
}
export interface SharedTopic<S extends Mention = Mention> {
  readonly topic: string
  readonly sources: readonly S[]
  /** As `Decoder.prepare`. */
  prepare(input: readonly PartitionRecords[], signal?: AbortSignal): Promise<void> | null
  /** For each of the sources. */
  read(input: readonly PartitionRecords[]): readonly ReadRecords[]
}

export function sharedTopics<S extends Mention>(
  sources: readonly S[],
  schemas: Schemas | null = null,
): SharedTopic<S>[] {
  const groups = Map.groupBy(sources, ({ plan }) => relationOf(plan))
  return [...groups.values()].flatMap((mentions) => {
    const shared = mentions.length > 1 ? together(mentions, schemas) : null
    return shared === null ? mentions.map(alone) : [shared]
  })
}
/** Whatever decides how a record is read, but for which of its fields. */
export function relationOf(plan: SourcePlan): string {
  if (plan.rows !== undefined) return planText(plan)
  const { name, topic, mode, format, envelope, schema, onInvalid, columns, fields, key, time } = plan
  const at = (c: number): unknown => [columns[c], fields[c]]
  const isRead = time !== null && fields[time.column]!.from !== 'computed'
  const event = isRead ? at(time.column) : null
  return JSON.stringify([name, topic, mode, format, envelope, schema, onInvalid, key.map(at), event])
}
const alone = <S extends Mention>(source: S): SharedTopic<S> => ({
  topic: source.plan.topic,
  sources: [source],
  prepare: (input, signal) => source.decoder.prepare(input, signal),
  read: (input) => [source.decoder.read(input)],
})
/** null: it would be read slower together. */
function together<S extends Mention>(sources: readonly S[], schemas: Schemas | null): SharedTopic<S> | null {
  const plans = sources.map(({ plan }) => plan)
  const { union, picks } = unionOf(plans)
  if (union.columns.length === 0) return null
  const isFast = (plan: SourcePlan): boolean => fastReaderOf(plan, schemas) !== null
  if (!isFast(union) && plans.some(isFast)) return null
  const decoder = createDecoder(union, 0, { schemas })
  return {
    topic: union.topic,
    sources,
    prepare: (input, signal) => decoder.prepare(input, signal),
    read(input) {
      const read = decoder.read(input)
      return picks.map((pick) => ({ ...read, columns: pick.map((c) => read.columns[c]!) }))
    },
  }
}
/** A source with what any of the plans reads, and where each has its columns in it; those it computes are the first. */
export function unionOf(plans: readonly SourcePlan[]): { union: SourcePlan; picks: number[][] } {
  const columns: SourcePlan['columns'][number][] = []
  const fields: SourcePlan['fields'][number][] = []
  const known = new Map<string, number>()
  const picks = plans.map((plan) =>
    plan.columns.map((column, c) => {
      const field = plan.fields[c]!
      // Each source makes it of its own columns.
      if (field.from === 'computed') return 0
      const text = JSON.stringify([column, field])
      let at = known.get(text)
      if (at === undefined) {
        at = columns.push(column) - 1
        fields.push(field)
        known.set(text, at)
      }
      return at
    }),
  )
  const [first] = plans
  const pick = picks[0]!
  const { key, time } = first!
  const isRead = time !== null && first!.fields[time.column]!.from !== 'computed'
  const union: SourcePlan = {
    ...first!,
    columns,
    fields,
    key: key.map((c) => pick[c]!),
    time: isRead ? { ...time, column: pick[time.column]! } : null,
  }
  return { union, picks }
}
