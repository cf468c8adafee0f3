/** What is used here of @google-cloud/pubsub, which is installed into the cache. */
import { npmClient } from '../setup/index.ts'

export interface NodeMessage {
  readonly id: string
  readonly data: Buffer
  readonly attributes: Readonly<Record<string, string>>
  readonly orderingKey?: string
  readonly deliveryAttempt: number
  readonly publishTime: Date
  ack(): void
  nack(): void
  modAck(seconds: number): void
  ackWithResponse(): Promise<string>
}
export interface NodeSubscription {
  readonly name: string
  on(event: 'message', call: (message: NodeMessage) => void): this
  on(event: 'error', call: (error: Error & { code?: number }) => void): this
  removeAllListeners(event?: string): this
  close(): Promise<void>
  delete(): Promise<unknown>
  exists(): Promise<[boolean]>
  getMetadata(): Promise<[SubscriptionMetadata]>
  setMetadata(metadata: object): Promise<[SubscriptionMetadata]>
  seek(to: Date | string): Promise<unknown>
  createSnapshot(name: string): Promise<[NodeSnapshot]>
}
interface SubscriptionMetadata {
  readonly topic: string
  readonly ackDeadlineSeconds: number
  readonly filter: string
  readonly labels: Readonly<Record<string, string>>
}
export interface NodeSnapshot {
  readonly name: string
  delete(): Promise<unknown>
}
export interface NodeTopic {
  readonly name: string
  publishMessage(message: {
    data?: Buffer
    json?: object
    attributes?: Record<string, string>
    orderingKey?: string
  }): Promise<string>
  createSubscription(name: string, options?: object): Promise<[NodeSubscription]>
  getSubscriptions(): Promise<[NodeSubscription[]]>
  getMetadata(): Promise<[Record<string, unknown>]>
  setMetadata(metadata: object): Promise<[Record<string, unknown>]>
  exists(): Promise<[boolean]>
  delete(): Promise<unknown>
}
export interface NodeSchema {
  get(view?: string): Promise<{ name: string; definition: string; type: string; revisionId: string }>
  delete(): Promise<void>
}
export interface NodePubSub {
  createTopic(name: string | object): Promise<[NodeTopic]>
  topic(name: string, options?: object): NodeTopic
  subscription(name: string, options?: object): NodeSubscription
  getTopics(options?: object): Promise<[NodeTopic[]]>
  getSubscriptions(options?: object): Promise<[NodeSubscription[]]>
  getSnapshots(options?: object): Promise<[NodeSnapshot[]]>
  createSchema(id: string, type: string, definition: string): Promise<NodeSchema>
  schema(id: string): NodeSchema
  listSchemas(view?: string): AsyncIterable<{ name: string }>
  detachSubscription(name: string): Promise<unknown>
  close(): Promise<void>
}
interface Library {
  readonly PubSub: new (options: { projectId: string; apiEndpoint?: string; emulatorMode?: boolean }) => NodePubSub
  readonly SchemaTypes: { readonly Avro: string; readonly ProtocolBuffer: string }
}
/** Later ones cannot be installed: what they depend on was not published. */
export const library = (): Promise<Library> => npmClient<Library>('@google-cloud/pubsub@6.3.0')

export async function connect(address: string): Promise<NodePubSub> {
  // The client reads it when it is made.
  process.env['PUBSUB_EMULATOR_HOST'] = address
  const { PubSub } = await library()
  return new PubSub({ projectId: 'interop' })
}
