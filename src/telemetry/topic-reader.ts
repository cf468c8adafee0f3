/** Who reads a topic through a gateway, in words of its protocol: each gateway says it when it is asked. */
export interface TopicReader {
  readonly protocol: 'mqtt' | 'pubsub' | 'kinesis' | 'eventhubs'
  /** As the protocol calls it. */
  readonly kind: 'session' | 'subscription' | 'consumer' | 'receiver'
  readonly name: string
  /** What else tells it apart: filters, a consumer group and its partition, the way it takes. */
  readonly about: string
  /** null: that cannot be seen. */
  readonly isConnected: boolean | null
  /** Records that are not done with; null: only the client knows. */
  readonly lag: number | null
}
/** Of the topic; [] where it has none. */
export type ReadersOf = (topic: string) => Promise<readonly TopicReader[]> | readonly TopicReader[]
