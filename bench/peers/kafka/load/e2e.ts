// End-to-end latency with @platformatic/kafka: send one record, wait until the consumer has it, repeat; as Kafka's
// EndToEndLatency does, but in microseconds.
// node e2e.ts --bootstrap HOST:PORT --topic T --create 1 --acks 1|all --count 3000
import { Consumer, MessagesStreamModes, Producer } from '@platformatic/kafka'
import { createTopic, options, payloads, quantile } from './common.ts'

const given = options({ count: 3000 })
const warmUpRounds = 200
const connection = { clientId: 'e2e', bootstrapBrokers: given.bootstrap.split(',') }
const producer = new Producer({ ...connection, acks: given.acks, idempotent: false })
const consumer = new Consumer({ ...connection, groupId: `e2e-${process.pid}`, maxWaitTime: 500, minBytes: 1 })
const value = payloads(given.size)[0]!
const send = (): Promise<unknown> => producer.send({ messages: [{ topic: given.topic, value }] })

await createTopic(given)
await send()
const stream = await consumer.consume({ topics: [given.topic], mode: MessagesStreamModes.EARLIEST, autocommit: false })
const arrivals = stream[Symbol.asyncIterator]()
await arrivals.next()

const endToEndMs: number[] = []
const acknowledgedMs: number[] = []
for (let round = -warmUpRounds; round < given.count; round++) {
  const start = performance.now()
  const acknowledged = send().then(() => performance.now() - start)
  await arrivals.next()
  const arrived = performance.now() - start
  const acknowledgedAfter = await acknowledged
  if (round < 0) continue
  endToEndMs.push(arrived)
  acknowledgedMs.push(acknowledgedAfter)
}
const { acks, size, count } = given
const row = {
  client: '@platformatic/kafka e2e',
  acks,
  size,
  count,
  ...quantiles('e2e', endToEndMs),
  ...quantiles('ack', acknowledgedMs),
}
console.log(JSON.stringify(row))
process.exit(0)

function quantiles(name: string, valuesMs: readonly number[]): Record<string, number> {
  const sorted = valuesMs.toSorted((a, b) => a - b)
  const at = (q: number): number => Math.round(quantile(sorted, q) * 1000)
  return { [`${name}_us_p50`]: at(0.5), [`${name}_us_p99`]: at(0.99), [`${name}_us_p999`]: at(0.999) }
}
