// Produce with kafkajs: node kafkajs.ts --bootstrap HOST:PORT --topic T --create N [--acks 1|all] [--compression gzip] …
import { CompressionTypes, Kafka, logLevel, Partitioners } from 'kafkajs'
import { createTopic, Meter, options, pump } from './common.ts'

const given = options({})
if (given.compression !== 'none' && given.compression !== 'gzip') {
  console.error('kafkajs has gzip only without a codec package')
  process.exit(2)
}
const kafka = new Kafka({ clientId: 'load', brokers: given.bootstrap.split(','), logLevel: logLevel.ERROR })
await createTopic(given)
const producer = kafka.producer({
  createPartitioner: Partitioners.DefaultPartitioner,
  maxInFlightRequests: 5,
  idempotent: false,
})
await producer.connect()
const compression = given.compression === 'gzip' ? CompressionTypes.GZIP : CompressionTypes.None
const meter = new Meter(given)
await pump(
  given,
  meter,
  (value) => ({ value, partition: 0 }),
  (messages, partition) => {
    for (const message of messages) message.partition = partition
    return producer.send({ topic: given.topic, messages, acks: given.acks, compression })
  },
)
meter.report('kafkajs')
await producer.disconnect()
process.exit(0)
