// Many topics and many producers with @platformatic/kafka: creates the topics (in batches, then 50 one by one), then the
// producers take turns over them. node many.ts --bootstrap HOST:PORT --topics 1000 --producers 1 --createbatch 100
import { Admin, Producer } from '@platformatic/kafka'
import { Meter, options, payloads } from './common.ts'

const given = options({ topics: 1000, producers: 1, createbatch: 100 })
const connection = {
  clientId: 'load',
  bootstrapBrokers: given.bootstrap.split(','),
  timeout: 30_000,
  requestTimeout: 60_000,
}
const names = Array.from({ length: given.topics }, (_, i) => `${given.topic}-${i}`)
const admin = new Admin(connection)

async function perSecond(count: number, work: () => Promise<void>): Promise<number> {
  const start = performance.now()
  await work()
  return Math.round(count / ((performance.now() - start) / 1000))
}
const createdInBatches = await perSecond(names.length, async () => {
  for (let i = 0; i < names.length; i += given.createbatch) {
    const topics = names.slice(i, i + given.createbatch)
    await admin.createTopics({ topics, partitions: given.partitions, replicas: 1 })
  }
})
const oneByOne = Math.min(50, given.topics)
const createdOneByOne = await perSecond(oneByOne, async () => {
  for (let i = 0; i < oneByOne; i++)
    await admin.createTopics({ topics: [`${given.topic}-one-${i}`], partitions: 1, replicas: 1 })
})

const bodies = payloads(given.size)
const producers = Array.from(
  { length: given.producers },
  () => new Producer({ ...connection, acks: given.acks, idempotent: false }),
)
const nameAt = (i: number): string => names[i % names.length]!
const warmUp = { value: bodies[0]!, partition: 0 }
await Promise.all(producers.map((producer, i) => producer.send({ messages: [{ topic: nameAt(i), ...warmUp }] })))

const meter = new Meter(given)
const loopsEach = Math.max(1, Math.round(given.inflight / given.producers))
let turn = 0
meter.start()
await Promise.all(producers.flatMap((producer) => Array.from({ length: loopsEach }, () => keepSending(producer))))
meter.report('@platformatic/kafka many', {
  topics: given.topics,
  producers: given.producers,
  create_topics_s: createdInBatches,
  create_one_by_one_s: createdOneByOne,
})
process.exit(0)

async function keepSending(producer: (typeof producers)[number]): Promise<void> {
  while (!meter.stopped) {
    const topic = nameAt(turn++)
    const partition = turn % given.partitions
    const messages = Array.from({ length: given.batch }, (_, i) => ({ topic, partition, value: bodies[i & 63]! }))
    const sentAtMs = performance.now()
    try {
      await producer.send({ messages })
      meter.acknowledged(messages.length, sentAtMs)
    } catch (error) {
      meter.failed(error)
    }
  }
}
