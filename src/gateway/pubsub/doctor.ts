/** What may be wrong with subscriptions: facts in, causes out. One that gets what it should has none. */
import { about } from '../../lib/duration.ts'
import { limits } from '../../lib/limits.ts'
import { firstTimeMs } from '../../log/first-time.ts'
import type { Diagnosis } from '../../query/engine.ts'
import type { Service } from './service.ts'
import { type Subscription, topicOf } from './subscription.ts'

export interface SubscriptionFacts {
  readonly id: string
  /** null: it is pulled. */
  readonly pushTo: string | null
  /** Messages that are not acknowledged. */
  readonly lag: number
  /** Time of the oldest of them; null: it is not known. */
  readonly oldestMs: number | null
  /** When somebody asked for messages, or acknowledged one, last. */
  readonly activeMs: number
  readonly retentionMs: number
}
const oldMs = 10 * 60_000

export async function subscriptionFacts(service: Service): Promise<SubscriptionFacts[]> {
  const all = [...service.subscriptions.values()].filter(({ message }) => !message.detached)
  const found: SubscriptionFacts[] = []
  // One after another: each may have to read a batch for each partition.
  for (const one of all.slice(0, limits.shownReaders)) found.push(await factsOf(service, one))
  return found
}
async function factsOf({ parts: { log } }: Service, subscription: Subscription): Promise<SubscriptionFacts> {
  const { id, group, message, activeMs, keepsMs: retentionMs } = subscription
  const positions = await log.queues.positions(group)
  const behind = positions.flatMap(({ of, start, lag }) => (start === null || lag === 0 ? [] : [{ of, start, lag }]))
  const topic = topicOf(message)
  const known: number[] = []
  for (const { of, start } of behind) {
    const timeMs = await firstTimeMs(log, { topic, index: of.index }, start)
    if (timeMs !== null) known.push(timeMs)
  }
  return {
    id,
    pushTo: message.pushConfig?.pushEndpoint || null,
    lag: behind.reduce((sum, { lag }) => sum + (lag ?? 0), 0),
    oldestMs: known.length === 0 ? null : Math.min(...known),
    activeMs,
    retentionMs,
  }
}

export const diagnose = (facts: readonly SubscriptionFacts[], nowMs: number): Diagnosis[] =>
  facts.flatMap((one) => diagnoseOne(one, nowMs)).map((cause) => ({ sure: 'likely', node: null, ...cause }))

function diagnoseOne(facts: SubscriptionFacts, nowMs: number): Omit<Diagnosis, 'sure' | 'node'>[] {
  const { id, pushTo, lag, oldestMs, activeMs, retentionMs } = facts
  const ageMs = oldestMs === null ? 0 : nowMs - oldestMs
  if (lag === 0 || ageMs < oldMs) return []
  const waits = `${lag} ${lag === 1 ? 'message waits' : 'messages wait'}`
  const evidence = [`the oldest is ${about(ageMs)} old`, `they are kept for ${about(retentionMs)}`]
  if (pushTo !== null)
    return [
      {
        code: 'push-behind',
        says: `The subscription ${id} pushes to ${pushTo}, and ${waits} there without an acknowledgement.`,
        evidence,
        remedy: 'The endpoint has to answer 102, 200, 201, 202 or 204 within the deadline: look at its own log.',
      },
    ]
  if (nowMs - activeMs >= oldMs)
    return [
      {
        code: 'nobody-pulls',
        says: `Nobody has asked the subscription ${id} for messages for ${about(nowMs - activeMs)}, and ${waits}.`,
        evidence,
        remedy: `Start what reads it. If nobody needs it any more, delete the subscription: it keeps what it waits for.`,
      },
    ]
  return [
    {
      code: 'unacknowledged',
      says: `The subscription ${id} is read, and ${waits} without an acknowledgement.`,
      evidence,
      remedy:
        'What reads it takes longer than messages come, or does not acknowledge some: give it more readers, or the subscription a dead-letter policy.',
    },
  ]
}
