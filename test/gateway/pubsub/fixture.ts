/** A gateway over a log in memory, and calls on the wire: gRPC by node:http2 with our own messages. */
import { type ClientHttp2Session, type SecureClientSessionOptions, connect } from 'node:http2'
import { silent } from '../../../src/lib/logger.ts'
import { realWorld } from '../../../src/lib/real/world.ts'
import { type Running, startMillrace } from '../../../src/node/millrace.ts'
import { type Settings, resolveConfig } from '../../../src/node/config.ts'
import { GrpcReader, grpcFrame } from '../../../src/wire/grpc/frames.ts'
import { type Input, type Message, decode, encode } from '../../../src/wire/protobuf/message.ts'
import * as messages from '../../../src/wire/pubsub/messages.ts'

export class RpcFailure extends Error {
  readonly status: number
  readonly details: Buffer | null
  constructor(status: number, message: string, details: string | undefined) {
    super(message)
    this.status = status
    this.details = details === undefined ? null : Buffer.from(details, 'base64')
  }
}
type Trailers = Readonly<Record<string, string | string[] | undefined>>
const failureOf = (trailers: Trailers): RpcFailure | null => {
  const status = Number(trailers['grpc-status'] ?? 2)
  const details = trailers['grpc-status-details-bin'] as string | undefined
  return status === 0
    ? null
    : new RpcFailure(status, decodeURIComponent(String(trailers['grpc-message'] ?? '')), details)
}

export class GrpcClient {
  readonly session: ClientHttp2Session
  constructor(address: string, tls?: SecureClientSessionOptions) {
    this.session = tls === undefined ? connect(`http://${address}`) : connect(`https://${address}`, tls)
    this.session.on('error', () => undefined)
  }
  call<Q extends object, A extends object>(
    path: string,
    [request, response]: readonly [Message<Q>, Message<A>],
    input: Input<Q>,
    headers: Record<string, string> = {},
  ): Promise<A> {
    return this.raw(`/google.pubsub.v1.${path}`, grpcFrame(encode(request, input)), headers).then((body) =>
      decode(response, body),
    )
  }
  raw(path: string, body: Uint8Array, headers: Record<string, string> = {}): Promise<Buffer> {
    return new Promise((resolve, reject) => {
      const stream = this.session.request({
        ':method': 'POST',
        ':path': path,
        'content-type': 'application/grpc',
        te: 'trailers',
        ...headers,
      })
      const reader = new GrpcReader(64 * 1024 * 1024)
      const frames: Buffer[] = []
      let trailers: Trailers = {}
      const seen = (said: Trailers): void => {
        if ('grpc-status' in said) trailers = said
      }
      stream.on('response', seen)
      stream.on('trailers', seen)
      stream.on('data', (piece: Buffer) => frames.push(...reader.push(piece).map((frame) => frame.body)))
      stream.on('error', reject)
      stream.on('close', () => {
        const failure = failureOf(trailers)
        if (failure !== null || frames[0] === undefined) reject(failure ?? new Error('no answer'))
        else resolve(frames[0])
      })
      stream.end(body)
    })
  }
  /** A streaming pull: what it answers is kept in `received`. */
  stream(first: Input<messages.StreamingPullRequest>, headers: Record<string, string> = {}): PullStream {
    return new PullStream(this.session, first, headers)
  }
  close(): void {
    this.session.destroy()
  }
}
type PullAnswer = ReturnType<typeof decodePull>
const decodePull = (body: Buffer) => decode(messages.streamingPullResponse, body)

export class PullStream {
  readonly received: messages.ReceivedMessage[] = []
  readonly answers: PullAnswer[] = []
  readonly ended: Promise<RpcFailure | null>
  readonly #stream: ReturnType<ClientHttp2Session['request']>
  #wake: (() => void) | null = null

  constructor(
    session: ClientHttp2Session,
    first: Input<messages.StreamingPullRequest>,
    headers: Record<string, string> = {},
  ) {
    this.#stream = session.request({
      ':method': 'POST',
      ':path': '/google.pubsub.v1.Subscriber/StreamingPull',
      'content-type': 'application/grpc',
      te: 'trailers',
      ...headers,
    })
    const reader = new GrpcReader(64 * 1024 * 1024)
    let trailers: Trailers = {}
    const seen = (said: Trailers): void => {
      if ('grpc-status' in said) trailers = said
    }
    this.#stream.on('response', seen)
    this.#stream.on('trailers', seen)
    this.#stream.on('error', () => undefined)
    this.#stream.on('data', (piece: Buffer) => {
      for (const { body } of reader.push(piece)) {
        const answer = decodePull(body)
        this.answers.push(answer)
        this.received.push(...answer.receivedMessages)
      }
      this.#wake?.()
    })
    this.ended = new Promise((resolve) => this.#stream.on('close', () => resolve(failureOf(trailers))))
    this.send(first)
  }
  send(request: Input<messages.StreamingPullRequest>): void {
    this.#stream.write(grpcFrame(encode(messages.streamingPullRequest, request)))
  }
  async until(test: () => boolean, ms = 10_000): Promise<void> {
    const late = performance.now() + ms
    while (!test()) {
      if (performance.now() > late) throw new Error(`not within ${ms} ms: ${this.received.length} messages came`)
      await new Promise<void>((resolve) => {
        this.#wake = resolve
        setTimeout(resolve, 50)
      })
    }
  }
  close(): void {
    this.#stream.close()
  }
}

export interface Fixture extends AsyncDisposable {
  readonly running: Running
  readonly address: string
  readonly client: GrpcClient
}
export async function startFixture(data = ':memory:', more: Settings = {}, world = realWorld()): Promise<Fixture> {
  const listen = ['http=off', 'kafka=off', 'pubsub=127.0.0.1:0']
  const { config } = resolveConfig({ data, listen, workers: '0', ...more }, {}, {})
  const running = await startMillrace({ config, world, logger: silent })
  const address = running.listening().pubsub!
  const client = new GrpcClient(address)
  return {
    running,
    address,
    client,
    async [Symbol.asyncDispose]() {
      client.close()
      await running.close()
    },
  }
}

/** The calls that tests make most. */
export class Calls {
  readonly #client: GrpcClient
  constructor(client: GrpcClient) {
    this.#client = client
  }
  topic(name: string, more: Input<messages.TopicMessage> = {}) {
    const types = [messages.topicMessage, messages.topicMessage] as const
    return this.#client.call('Publisher/CreateTopic', types, { name: `projects/p/topics/${name}`, ...more })
  }
  subscription(name: string, topic: string, more: Input<messages.SubscriptionMessage> = {}) {
    const types = [messages.subscriptionMessage, messages.subscriptionMessage] as const
    const names = { name: `projects/p/subscriptions/${name}`, topic: `projects/p/topics/${topic}` }
    return this.#client.call('Subscriber/CreateSubscription', types, { ...names, ...more })
  }
  async publish(topic: string, ...all: (string | Input<messages.PubsubMessage>)[]): Promise<readonly string[]> {
    const given = all.map((one) => (typeof one === 'string' ? { data: Buffer.from(one) } : one))
    const types = [messages.publishRequest, messages.publishResponse] as const
    const request = { topic: `projects/p/topics/${topic}`, messages: given }
    return (await this.#client.call('Publisher/Publish', types, request)).messageIds
  }
  async pull(
    subscription: string,
    maxMessages = 100,
    returnImmediately = false,
  ): Promise<readonly messages.ReceivedMessage[]> {
    const types = [messages.pullRequest, messages.pullResponse] as const
    const request = { subscription: `projects/p/subscriptions/${subscription}`, maxMessages, returnImmediately }
    return (await this.#client.call('Subscriber/Pull', types, request, { 'grpc-timeout': '10S' })).receivedMessages
  }
  acknowledge(subscription: string, ...ackIds: string[]) {
    const types = [messages.acknowledgeRequest, messages.seekResponse] as const
    const request = { subscription: `projects/p/subscriptions/${subscription}`, ackIds }
    return this.#client.call('Subscriber/Acknowledge', types, request)
  }
  modifyDeadline(subscription: string, ackDeadlineSeconds: number, ...ackIds: string[]) {
    const types = [messages.modifyAckDeadlineRequest, messages.seekResponse] as const
    const request = { subscription: `projects/p/subscriptions/${subscription}`, ackIds, ackDeadlineSeconds }
    return this.#client.call('Subscriber/ModifyAckDeadline', types, request)
  }
  seek(subscription: string, to: Input<{ time: { seconds: number; nanos: number } | null; snapshot: string }>) {
    const types = [messages.seekRequest, messages.seekResponse] as const
    return this.#client.call('Subscriber/Seek', types, {
      subscription: `projects/p/subscriptions/${subscription}`,
      ...to,
    })
  }
  snapshot(name: string, subscription: string) {
    const types = [messages.createSnapshotRequest, messages.snapshotMessage] as const
    const names = { name: `projects/p/snapshots/${name}`, subscription: `projects/p/subscriptions/${subscription}` }
    return this.#client.call('Subscriber/CreateSnapshot', types, names)
  }
}
export const textOf = ({ message }: messages.ReceivedMessage): string => Buffer.from(message?.data ?? []).toString()
