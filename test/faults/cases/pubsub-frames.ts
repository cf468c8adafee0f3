/**
 * Hostile bytes against the Pub/Sub gateway: messages of every method made wrong, in gRPC over good HTTP/2; connections whose
 * HTTP/2 itself is made wrong; and JSON of the REST form. The process lives, keeps its memory bounded and serves a good client.
 */
import { connect, createServer } from 'node:net'
import { methods } from '../../../src/gateway/pubsub/methods/index.ts'
import { grpcFrame } from '../../../src/wire/grpc/frames.ts'
import { type Input, type Message, encode } from '../../../src/wire/protobuf/message.ts'
import {
  getSubscriptionRequest,
  getTopicRequest,
  listTopicsRequest,
  publishRequest,
  pullRequest,
  streamingPullRequest,
} from '../../../src/wire/pubsub/messages.ts'
import { Calls, GrpcClient, textOf } from '../../gateway/pubsub/fixture.ts'
import { freePorts, type Millrace } from '../../interop/setup/index.ts'
import { type Context, type FaultCase, type Outcome, startFirst } from '../case.ts'
import { mutate } from '../mutate.ts'
import { MemoryWatch, megabytes } from '../process.ts'

export const pubsubFrames: FaultCase = {
  name: 'pubsub-frames',
  says: 'mutated Pub/Sub messages, HTTP/2 and JSON beside a good client',
  run: mutated,
}
const growthBytesMax = 96 * 1024 * 1024
const heap = { NODE_OPTIONS: '--max-old-space-size=128 --max-semi-space-size=2' }
const atOnce = 32
/** Calls of one connection; then another one is made. */
const callsOfConnection = 500

interface Seed {
  readonly path: string
  readonly body: Buffer
}
/** A value in every field, with names that exist. */
function filled(type: Message<object>, depth = 0): Input<object> {
  const value: Record<string, unknown> = {}
  for (const { name, field } of type.fields) {
    const one = ((): unknown => {
      if (field.type.is === 'message') return depth > 4 ? undefined : filled(field.type.message, depth + 1)
      if (field.type.is === 'enum') return [...field.type.names.values()].at(-1)
      switch (field.type.scalar) {
        case 'string':
          return textFor(name)
        case 'bytes':
          return Buffer.from('some data')
        case 'bool':
          return true
        case 'int32':
        case 'int64':
          return 30
      }
    })()
    if (one === undefined) continue
    value[name] = field.label === 'map' ? new Map([['key', 'value']]) : field.label === 'list' ? [one, one] : one
  }
  return value
}
const texts: Readonly<Record<string, string>> = {
  topic: 'projects/p/topics/fuzz',
  name: 'projects/p/topics/fuzz-made',
  subscription: 'projects/p/subscriptions/fuzz-sub',
  snapshot: 'projects/p/snapshots/fuzz-snap',
  schema: 'projects/p/schemas/fuzz-schema',
  project: 'projects/p',
  parent: 'projects/p',
  deadLetterTopic: 'projects/p/topics/fuzz',
  pushEndpoint: '',
  filter: 'attributes:a AND NOT hasPrefix(attributes.b, "c")',
  functionName: 'f',
  code: 'function f(m) { return m }',
  pageToken: '',
  definition: '{"type":"record","name":"R","fields":[{"name":"n","type":"int"}]}',
  ackId: 'AAAAAAAAAAAAAAAAAAAAAAAA.0',
}
const textFor = (name: string): string => texts[name] ?? 'text'

function seeds(): Seed[] {
  const all = methods.map(({ service, name, request }) => ({
    path: `/google.pubsub.v1.${service}/${name}`,
    body: encode(request, filled(request)),
  }))
  const pull = {
    path: '/google.pubsub.v1.Subscriber/StreamingPull',
    body: encode(streamingPullRequest, filled(streamingPullRequest)),
  }
  return [...all, pull, pull, ...plain()]
}
/** Calls that are answered as they are: what is made wrong of them is often right still. */
function plain(): Seed[] {
  const { topic, subscription } = texts
  const data = [{ data: Buffer.from('x'), attributes: new Map([['a', 'b']]), orderingKey: 'k' }]
  return [
    { path: '/google.pubsub.v1.Publisher/Publish', body: encode(publishRequest, { topic: topic!, messages: data }) },
    { path: '/google.pubsub.v1.Publisher/GetTopic', body: encode(getTopicRequest, { topic: topic! }) },
    {
      path: '/google.pubsub.v1.Publisher/ListTopics',
      body: encode(listTopicsRequest, { project: 'projects/p', pageSize: 3 }),
    },
    {
      path: '/google.pubsub.v1.Subscriber/Pull',
      body: encode(pullRequest, { subscription: subscription!, maxMessages: 3, returnImmediately: true }),
    },
    {
      path: '/google.pubsub.v1.Subscriber/GetSubscription',
      body: encode(getSubscriptionRequest, { subscription: subscription! }),
    },
  ]
}

async function mutated(context: Context): Promise<Outcome> {
  const { times, random, folder, note } = context
  const total = times(20_000, 1_000_000)
  const [port] = await freePorts()
  const address = `127.0.0.1:${port}`
  const product: Millrace = await startFirst({ data: folder, env: heap, args: ['--listen', `pubsub=${address}`] })
  const good = new GrpcClient(address)
  const calls = new Calls(good)
  const problems: string[] = []
  const tally = { sent: 0, refused: 0, taken: 0 }
  await calls.topic('fuzz')
  await calls.subscription('fuzz-sub', 'fuzz')
  await calls.topic('good')
  await calls.subscription('good-sub', 'good')
  const all = seeds()
  const connection = await recorded(all)
  let worst = 0
  const step = Math.ceil(total / 20)
  const round = async (): Promise<void> => {
    await Promise.all([
      calling(address, all, random, Math.floor(step * 0.8), tally),
      breaking(port!, connection, random, Math.floor(step * 0.1), tally),
      posting(port!, random, Math.floor(step * 0.1), tally),
    ])
    const from = performance.now()
    await calls.publish('good', `after ${tally.sent}`)
    const [message] = await calls.pull('good-sub')
    if (message === undefined || textOf(message) !== `after ${tally.sent}`)
      problems.push('the good client missed its message')
    else await calls.acknowledge('good-sub', message.ackId)
    worst = Math.max(worst, Math.round(performance.now() - from))
  }
  // Until the code of every method is compiled.
  await round()
  const memory = new MemoryWatch(product.pid)
  while (tally.sent < total && product.running) {
    await round()
    note(`${tally.sent} frames, ${megabytes(memory.sample())} MB resident`)
  }
  memory.stop()
  if (!product.running) problems.push(`the process ended with ${await product.ended}\n${product.log()}`)
  problems.push(...memory.problems(growthBytesMax))
  if (tally.refused === 0 || tally.taken === 0) problems.push('frames were not answered: nothing was tested')
  good.close()
  if (product.running) await product.stop()
  const figures = { frames: tally.sent, refused: tally.refused, taken: tally.taken, 'good client ms max': worst }
  return { figures: { ...figures, ...memory.figures }, problems }
}
type Tally = { sent: number; refused: number; taken: number }
const pick = <T>(all: readonly T[], random: () => number): T => all[Math.floor(random() * all.length)]!

async function calling(
  address: string,
  all: readonly Seed[],
  random: () => number,
  count: number,
  tally: Tally,
): Promise<void> {
  let client = new GrpcClient(address)
  let left = count
  let made = 0
  const one = async (): Promise<void> => {
    while (left-- > 0) {
      if (made++ % callsOfConnection === 0 || client.session.destroyed || client.session.closed) {
        const old = client
        client = new GrpcClient(address)
        setTimeout(() => old.close(), 2_000)
      }
      const { path, body } = pick(all, random)
      const wrong = mutate(body, pick(all, random).body, random)
      const framed = random() < 0.9 ? grpcFrame(wrong) : mutate(grpcFrame(wrong), wrong, random)
      const headers: Record<string, string> = random() < 0.1 ? { 'grpc-timeout': '50m' } : { 'grpc-timeout': '2S' }
      tally.sent++
      await client.raw(path, framed, headers).then(
        () => tally.taken++,
        () => tally.refused++,
      )
    }
  }
  await Promise.all(Array.from({ length: atOnce }, one))
  client.close()
}
/** What a good client sends on its connection, kept as bytes. */
async function recorded(all: readonly Seed[]): Promise<Buffer> {
  const pieces: Buffer[] = []
  const server = createServer((socket) => socket.on('data', (piece) => pieces.push(piece)).on('error', () => undefined))
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const { port } = server.address() as { port: number }
  const client = new GrpcClient(`127.0.0.1:${port}`)
  for (const { path, body } of all.slice(0, 6)) client.raw(path, grpcFrame(body)).catch(() => undefined)
  await new Promise((resolve) => setTimeout(resolve, 300))
  client.close()
  server.close()
  return Buffer.concat(pieces)
}
async function breaking(port: number, good: Buffer, random: () => number, count: number, tally: Tally): Promise<void> {
  let left = count
  const one = async (): Promise<void> => {
    while (left-- > 0) {
      let bytes = good
      for (let i = 0; i < 1 + random() * 4; i++) bytes = mutate(bytes, good, random)
      tally.sent++
      await exchange(port, bytes)
    }
  }
  await Promise.all(Array.from({ length: 8 }, one))
}
const paths = [
  'POST /v1/projects/p/topics/fuzz:publish',
  'PUT /v1/projects/p/subscriptions/x',
  'POST /v1/projects/p/subscriptions/fuzz-sub:pull',
  'GET /v1/projects/p/topics?pageSize=3&pageToken=x',
  'PATCH /v1/projects/p/topics/fuzz',
  'POST /v1/projects/p/schemas?schemaId=y',
]
async function posting(port: number, random: () => number, count: number, tally: Tally): Promise<void> {
  let left = count
  const json =
    '{"messages":[{"data":"aGVsbG8=","attributes":{"a":"b"},"orderingKey":"k"}],"maxMessages":1,"updateMask":"labels","topic":"projects/p/topics/fuzz"}'
  const one = async (): Promise<void> => {
    while (left-- > 0) {
      const body = mutate(Buffer.from(json), Buffer.from(json), random)
      const head = `${pick(paths, random)} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\nContent-Length: ${body.length}\r\n\r\n`
      const whole = Buffer.concat([Buffer.from(head), body])
      tally.sent++
      await exchange(port, random() < 0.7 ? whole : mutate(whole, whole, random))
    }
  }
  await Promise.all(Array.from({ length: 8 }, one))
}
/** Sends, waits a moment for what comes, and goes. */
function exchange(port: number, bytes: Uint8Array): Promise<void> {
  return new Promise((resolve) => {
    const socket = connect(port, '127.0.0.1')
    const done = (): void => {
      socket.destroy()
      resolve()
    }
    const timer = setTimeout(done, 60)
    socket.on('error', () => undefined)
    socket.on('close', () => {
      clearTimeout(timer)
      resolve()
    })
    socket.on('data', () => undefined)
    socket.write(bytes)
  })
}
