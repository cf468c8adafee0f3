// Produce with @confluentinc/kafka-javascript (librdkafka), which is built from source and not a dependency of ours:
// node confluent.ts --lib FOLDER_WITH_NODE_MODULES --bootstrap HOST:PORT --topic T …
// librdkafka batches by itself (--linger ms, --batchbytes); --batch × --inflight bounds what is outstanding.
import { createRequire } from 'node:module'
import { join, resolve } from 'node:path'
import { Meter, options, payloads } from './common.ts'

interface Confluent {
  readonly Producer: new (config: Record<string, string | number | boolean>) => {
    on(event: 'event.error', handler: (error: Error) => void): void
    on(event: 'delivery-report', handler: (error: Error | null, report: { opaque: number }) => void): void
    connect(options: object, done: (error: Error | null) => void): void
    disconnect(done: () => void): void
    setPollInterval(ms: number): void
    poll(): void
    produce(topic: string, partition: number, value: Buffer, key: null, timestamp: undefined, opaque: number): void
  }
}
const given = options({ linger: 5, batchbytes: 1_000_000, lib: '.' })
const load = createRequire(join(resolve(given.lib), 'any.js'))
const { Producer } = load('@confluentinc/kafka-javascript') as Confluent

const producer = new Producer({
  'bootstrap.servers': given.bootstrap,
  acks: given.acks,
  'linger.ms': given.linger,
  'batch.size': given.batchbytes,
  'compression.type': given.compression,
  'queue.buffering.max.messages': 1_000_000,
  dr_cb: true,
})
const meter = new Meter(given)
const bodies = payloads(given.size)
const outstandingMax = given.batch * given.inflight
const perTurnMax = 500
let outstanding = 0
let sent = 0
producer.on('event.error', (error) => meter.failed(error))
producer.on('delivery-report', (error, report) => {
  outstanding--
  if (error === null) meter.acknowledged(1, report.opaque)
  else meter.failed(error)
})
await new Promise<void>((done, fail) => producer.connect({}, (error) => (error === null ? done() : fail(error))))
producer.setPollInterval(1)
meter.start()
turn()

function turn(): void {
  if (meter.stopped) {
    if (outstanding > 0) return void setTimeout(turn, 5)
    meter.report('@confluentinc/kafka-javascript')
    return producer.disconnect(() => process.exit(0))
  }
  const sentAtMs = performance.now()
  for (let n = 0; outstanding < outstandingMax && n < perTurnMax; n++) {
    const partition = Math.floor(sent / 100) % given.partitions
    producer.produce(given.topic, partition, bodies[sent++ & 63]!, null, undefined, sentAtMs)
    outstanding++
  }
  producer.poll()
  setImmediate(turn)
}
