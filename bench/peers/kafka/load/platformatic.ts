// Produce with @platformatic/kafka: node platformatic.ts --bootstrap HOST:PORT --topic T --create N [--acks 1|all] …
import { Producer } from '@platformatic/kafka'
import { createTopic, Meter, options, pump } from './common.ts'

const given = options({})
const connection = { clientId: 'load', bootstrapBrokers: given.bootstrap.split(',') }
await createTopic(given)
const compression = given.compression as 'none' | 'gzip' | 'snappy' | 'lz4' | 'zstd'
const producer = new Producer({ ...connection, acks: given.acks, compression, idempotent: false })
const meter = new Meter(given)
await pump(
  given,
  meter,
  (value) => ({ topic: given.topic, value, partition: 0 }),
  (messages, partition) => {
    for (const message of messages) message.partition = partition
    return producer.send({ messages })
  },
)
meter.report('@platformatic/kafka')
await producer.close(true)
process.exit(0)
