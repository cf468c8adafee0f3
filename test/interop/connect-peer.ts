/** The other side of a kafka connector, as kafkajs sees it: a client that shares no code with the connector. */
import { Kafka as Client, logLevel } from 'kafkajs'

export interface Topic {
  send(records: readonly { key: string | null; value: string }[]): Promise<void>
  /** Those that are committed, of each partition in order. */
  byPartition(): Promise<string[][]>
  values(): Promise<string[]>
}
export interface Kafka {
  make(topic: string, partitions: number, config?: Readonly<Record<string, string>>): Promise<Topic>
  topic(name: string): Topic
  remove(topic: string): Promise<void>
  close(): Promise<void>
}

export async function kafkaClient(address: string): Promise<Kafka> {
  const client = new Client({ brokers: [address], logLevel: logLevel.NOTHING, retry: { retries: 10 } })
  const admin = client.admin()
  await admin.connect()
  const producer = client.producer({ allowAutoTopicCreation: false, idempotent: true })
  await producer.connect()
  let turn = 0

  const topic = (name: string): Topic => ({
    async send(records) {
      for (let at = 0; at < records.length; at += 100)
        await producer.send({ topic: name, messages: records.slice(at, at + 100).map((one) => ({ ...one })) })
    },
    async byPartition() {
      if (!(await admin.listTopics()).includes(name)) return []
      const ends = await admin.fetchTopicOffsets(name)
      const found = ends.map((): string[] => [])
      const left = new Map(ends.map(({ partition, low, high }) => [partition, Number(high) - Number(low)]))
      if ([...left.values()].every((count) => count === 0)) return found
      // Markers of transactions are no messages: what is silent for a while is at its end.
      const consumer = client.consumer({ groupId: `look-${process.pid}-${turn++}`, maxWaitTimeInMs: 200 })
      let heard = performance.now()
      try {
        await consumer.connect()
        await consumer.subscribe({ topic: name, fromBeginning: true })
        const joined = new Promise<void>((resolve) => consumer.on('consumer.group_join', () => resolve()))
        await consumer.run({
          eachMessage: ({ partition, message }) => {
            heard = performance.now()
            found[partition]!.push(message.value?.toString() ?? '')
            return Promise.resolve()
          },
        })
        await joined
        heard = performance.now()
        while (performance.now() - heard < 1_500) await new Promise((resolve) => setTimeout(resolve, 50))
      } finally {
        await consumer.disconnect()
      }
      return found
    },
    async values() {
      return (await this.byPartition()).flat()
    },
  })
  return {
    topic,
    async make(name, numPartitions, config = {}) {
      const configEntries = Object.entries(config).map(([one, value]) => ({ name: one, value }))
      await admin.createTopics({ topics: [{ topic: name, numPartitions, configEntries }], waitForLeaders: false })
      // A broker that has made it does not know it at once.
      for (let tries = 0; ; tries++)
        try {
          await admin.fetchTopicOffsets(name)
          return topic(name)
        } catch (error) {
          if (tries === 50) throw error
          await new Promise((resolve) => setTimeout(resolve, 200))
        }
    },
    remove: (name) => admin.deleteTopics({ topics: [name] }),
    async close() {
      await producer.disconnect()
      await admin.disconnect()
    },
  }
}
