/** Rows of many topics: made and written to, each once; then the broker is started again. */
import { batchOf, recordId } from '../../test/faults/records.ts'
import { createTopics, kafkaError, produce } from '../../test/faults/wire.ts'
import type { Running } from '../lib/sides.ts'
import { type Work, dropTopic, inTurns, settle } from './pair.ts'

const topicsPerRequest = 100
const connections = 8
const create = 'topics: create 1,000, then produce to all'
const open = 'topics: open 1,000 after a restart, to an acknowledged record'

/** Last of a pair: it starts the brokers again. */
export const topicsWork: Work = {
  rows: [
    { row: create, unit: 'ms', better: 'lower', goal: 3 },
    { row: open, unit: 'ms', better: 'lower', goal: 1_000, alone: true },
  ],
  async run(pair) {
    const { plan, report } = pair
    const last = Math.min(plan.runs, 3)
    await inTurns(
      pair,
      async (broker, turn) => {
        const names = Array.from({ length: plan.topics }, (_, i) => `many-${turn}-${i}`)
        try {
          const ms = await createAndProduce(broker, names)
          console.error(`${create} ${broker.side}: ${Math.round(ms)} ms`)
          report.sample(create, broker.side, ms * (1_000 / plan.topics))
          if (turn < last) return await dropAll(broker, names)
          report.sample(open, broker.side, await broker.restart(names.at(-1)!))
        } catch (error) {
          report.failed(`${create}, ${broker.side}`, error)
        }
      },
      last,
    )
  },
}

async function createAndProduce(broker: Running, names: readonly string[]): Promise<number> {
  const wires = await Promise.all(Array.from({ length: connections }, () => broker.wire()))
  const startedAt = performance.now()
  for (let i = 0; i < names.length; i += topicsPerRequest)
    await createTopics(wires[0]!, names.slice(i, i + topicsPerRequest), 1)
  const batch = batchOf(recordId(0, 0), 1, null)
  let next = 0
  await Promise.all(
    wires.map(async (wire) => {
      while (next < names.length) await untilTaken(wire, names[next++]!, batch)
    }),
  )
  const ms = performance.now() - startedAt
  for (const wire of wires) wire.close()
  return ms
}
/** Kafka answers that a topic was made a moment before its broker knows that it leads it. */
async function untilTaken(wire: Awaited<ReturnType<Running['wire']>>, topic: string, batch: Buffer): Promise<void> {
  for (;;) {
    const { error } = await produce(wire, { topic, partition: 0 }, batch, -1)
    if (error === kafkaError.none) return
    if (error !== kafkaError.unknownTopicOrPartition && error !== kafkaError.notLeader)
      throw new Error(`producing to ${topic}: error ${error}`)
  }
}
async function dropAll(broker: Running, names: readonly string[]): Promise<void> {
  for (const name of names) await dropTopic(broker, name)
  await settle()
}
