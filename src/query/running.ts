/** What definitions need to be there and what runs for them; what reads them; what they leave. */
import { ensureOutput } from '../flow/runtime/names.ts'
import { Fault } from '../lib/fault.ts'
import type { Definition } from './definitions.ts'
import type { EngineParts } from './engine-parts.ts'

/** Makes what a definition needs: its topic, and what runs. Nothing that is there already is touched. */
export async function begin(parts: EngineParts, definition: Definition): Promise<void> {
  await ensureTopics(parts, definition)
  const { view, stored } = definition
  if (view === null) return
  await parts.runner.start(view, stored?.paused === true)
  const into = stored?.adopts?.into
  if (into !== undefined && (await parts.runner.saved(view.name))?.print === into)
    await parts.definitions.adopted(definition)
}
export async function ensureTopics({ log }: EngineParts, { topic, view, kind }: Definition): Promise<void> {
  if (topic === null || (await log.topics.get(topic.name)) !== null) return
  if (kind === 'view' && view !== null) {
    await ensureOutput(log, view)
    if (Object.keys(topic.config).length > 0) await log.topics.alter(topic.name, { config: topic.config })
    return
  }
  const config = { 'retention.ms': '-1', ...topic.config }
  const [fault] = await log.topics.create([{ name: topic.name, partitions: topic.partitions ?? 1, config }])
  if (fault instanceof Fault && fault.code !== 'log.topic-exists') throw fault
}

/** It and everything that reads it, what reads others last first. */
export function dependents(parts: EngineParts, definition: Definition): Definition[] {
  const order: Definition[] = []
  const visit = (one: Definition): void => {
    if (order.includes(one)) return
    if (one.relation !== null || one.plain !== null)
      for (const reader of parts.definitions.readers(one.name)) visit(reader)
    order.push(one)
  }
  visit(definition)
  return order
}
/** State, positions and changes of a view. */
export async function clearView(parts: EngineParts, name: string): Promise<void> {
  await parts.live.drop(name)
  await parts.runner.remove(name)
  await removeTopic(parts, name)
}
export async function removeTopic(parts: EngineParts, topic: string): Promise<void> {
  const [fault] = await parts.log.topics.remove([topic])
  if (fault instanceof Fault && fault.code !== 'log.unknown-topic') throw fault
}
