// Read a topic from its start with @platformatic/kafka: node consume.ts --bootstrap HOST:PORT --topic T --count 500000
import { Consumer, MessagesStreamModes } from '@platformatic/kafka'
import { options } from './common.ts'

const given = options({ count: 500_000, maxbytes: 10_485_760 })
const consumer = new Consumer({
  clientId: 'load',
  groupId: `load-${process.pid}`,
  bootstrapBrokers: given.bootstrap.split(','),
  maxBytes: given.maxbytes,
})
const start = performance.now()
const stream = await consumer.consume({
  topics: [given.topic],
  mode: MessagesStreamModes.EARLIEST,
  autocommit: false,
  highWaterMark: 8192,
})
let messages = 0
let bytes = 0
let firstAt = 0
for await (const { value } of stream) {
  if (messages++ === 0) firstAt = performance.now()
  bytes += value?.length ?? 0
  if (messages >= given.count) break
}
const seconds = (performance.now() - firstAt) / 1000
const row = {
  client: '@platformatic/kafka consume',
  messages,
  join_ms: Math.round(firstAt - start),
  msgs_s: Math.round(messages / seconds),
  mb_s: Number((bytes / 2 ** 20 / seconds).toFixed(1)),
  client_rss_mb: Math.round(process.memoryUsage.rss() / 2 ** 20),
}
console.log(JSON.stringify(row))
process.exit(0)
