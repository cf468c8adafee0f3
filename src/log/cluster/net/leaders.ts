/** One question about many partitions, put to the leader of each, again where a leader has moved. */
import { Fault, asFault } from '../../../lib/fault.ts'
import type { Partition } from '../../log.ts'
import { faultOf, isPassing } from '../errors.ts'
import type { Broker } from './broker.ts'
import type { Metadata } from './metadata.ts'
import { type Network, disconnection } from './network.ts'

/** What one partition got: a value, or Kafka's error number. */
export type Answer<T> = { readonly value: T } | { readonly error: number; readonly message?: string | null }
export interface Asked<I> {
  readonly item: I
  readonly epoch: number
}
interface Open<I> {
  readonly item: I
  readonly place: number
  epoch: number
}

/** Answers in the order of `items`; a Fault where asking again would not help. */
export async function askLeaders<I extends { readonly partition: Partition }, T>(
  on: { readonly network: Network; readonly metadata: Metadata },
  what: string,
  items: readonly I[],
  ask: (broker: Broker, items: readonly Asked<I>[]) => Promise<readonly Answer<T>[]>,
): Promise<(T | Fault)[]> {
  const answers: (T | Fault)[] = []
  let open: Open<I>[] = items.map((item, place) => ({ item, place, epoch: -1 }))
  const patience = on.network.patience()
  let why = ''
  for (;;) {
    const again: Open<I>[] = []
    const byBroker = await routed(on.metadata, open, again, answers)
    await Promise.all(
      Array.from(byBroker, async ([broker, asked]) => {
        try {
          const got = await ask(broker, asked)
          asked.forEach((one, i) => {
            const answer = got[i]!
            if ('value' in answer) answers[one.place] = answer.value
            else if (isPassing(answer.error)) {
              why = `error ${answer.error}`
              again.push(one)
            } else {
              const { topic } = one.item.partition
              answers[one.place] = faultOf(answer.error, { what, topic }, answer.message)
            }
          })
        } catch (error) {
          why = disconnection(error)
          again.push(...asked)
        }
      }),
    )
    if (again.length === 0) return answers
    if (!(await patience.wait())) {
      for (const { place } of again) answers[place] = new Fault('cluster.unavailable', { what, why })
      return answers
    }
    await on.metadata.refresh([...new Set(again.map(({ item }) => item.partition.topic))])
    open = again
  }
}
async function routed<I extends { readonly partition: Partition }, T>(
  metadata: Metadata,
  open: readonly Open<I>[],
  again: Open<I>[],
  answers: (T | Fault)[],
): Promise<Map<Broker, Open<I>[]>> {
  const byBroker = new Map<Broker, Open<I>[]>()
  await Promise.all(
    open.map(async (one) => {
      try {
        const route = await metadata.route(one.item.partition)
        if (route === null) return void again.push(one)
        one.epoch = route.epoch
        const asked = byBroker.get(route.broker)
        if (asked === undefined) byBroker.set(route.broker, [one])
        else asked.push(one)
      } catch (error) {
        answers[one.place] = asFault(error)
      }
    }),
  )
  return byBroker
}
/** Items by topic, as Kafka's requests have them. */
export function byTopic<I extends { readonly partition: Partition }>(
  items: readonly I[],
): { readonly topic: string; readonly items: readonly I[] }[] {
  const topics = Map.groupBy(items, ({ partition }) => partition.topic)
  return Array.from(topics, ([topic, of]) => ({ topic, items: of }))
}
/** The value for each; the first Fault is thrown. */
export function orThrow<T>(answers: readonly (T | Fault)[]): T[] {
  return answers.map((answer) => {
    if (answer instanceof Fault) throw answer
    return answer
  })
}
