/**
 * Malformed Kinesis requests: bodies of every operation made wrong in JSON and CBOR, and the bytes of whole connections, of
 * HTTP/1.1 and of HTTP/2, made wrong. Each request is answered in the service's own words or its connection is closed; never
 * silence. The process lives, its memory stays bounded, and a good Kafka client beside it is served.
 */
import { Agent, request as httpRequest } from 'node:http'
import { connect as connectHttp2 } from 'node:http2'
import { connect, createServer } from 'node:net'
import { encodeCbor } from '../../../src/wire/kinesis/cbor.ts'
import { aggregated } from '../../../src/wire/kinesis/aggregation.ts'
import { operationNames } from '../../../src/wire/kinesis/model.ts'
import { Canary } from '../canary.ts'
import { type Context, type FaultCase, type Outcome, startFirst } from '../case.ts'
import { MemoryWatch } from '../process.ts'

export const kinesisFrames: FaultCase = { name: 'kinesis-frames', says: 'malformed Kinesis requests', run: malformed }

const requestsOf = ({ times }: Context): number => times(20_000, 1_000_000)
const atOnce = 16
const answerWithinMs = 40_000
const heap = { NODE_OPTIONS: '--max-old-space-size=256' }
/**
 * The heap may grow to its limit before it is collected, and buffers beside it wait for that; what is held at a time is some
 * 60 MB (a heap snapshot after 50,000 requests), 32 of them the log's newest batches.
 */
const growthBytesMax = 512 * 1024 * 1024
/** Of those made wrong: the bytes of whole connections. */
const rawShare = 0.04

type Random = () => number
const below = (random: Random, end: number): number => Math.floor(random() * end)
const chosen = <T>(random: Random, of: readonly T[]): T => of[below(random, of.length)]!

interface Right {
  readonly operation: string
  readonly input: object
}
const stream = { StreamName: 's' }
const streamArn = 'arn:aws:kinesis:us-east-1:000000000000:stream/s'
const queue = { QueueARN: 'arn:aws:kinesis:us-east-1:000000000000:queue/q' }
const consumerArn = `${streamArn}/consumer/c:1`
const data = Buffer.from('some data').toString('base64')
const packed = aggregated([
  { partitionKey: 'a', explicitHashKey: '1', data: Buffer.from('one') },
  { partitionKey: 'b', explicitHashKey: null, data: Buffer.from('two') },
]).toString('base64')
/** Every operation, asked for nothing. */
const bare: readonly Right[] = operationNames.map((operation) => ({ operation, input: {} }))
const rights = (iterator: string): readonly Right[] => [
  { operation: 'CreateStream', input: { StreamName: 't', ShardCount: 1, Tags: { a: 'b' } } },
  { operation: 'DeleteStream', input: { StreamName: 't' } },
  { operation: 'PutRecord', input: { ...stream, PartitionKey: 'k', Data: data, ExplicitHashKey: '123' } },
  { operation: 'PutRecord', input: { ...stream, PartitionKey: 'k', Data: packed } },
  {
    operation: 'PutRecords',
    input: { ...stream, Records: [1, 2, 3].map((n) => ({ PartitionKey: `k${n}`, Data: n === 3 ? packed : data })) },
  },
  { operation: 'GetRecords', input: { ShardIterator: iterator, Limit: 5 } },
  { operation: 'GetShardIterator', input: { ...stream, ShardId: '0', ShardIteratorType: 'TRIM_HORIZON' } },
  {
    operation: 'GetShardIterator',
    input: {
      ...stream,
      ShardId: '0',
      ShardIteratorType: 'AT_SEQUENCE_NUMBER',
      StartingSequenceNumber: '4968'.repeat(14),
    },
  },
  {
    operation: 'GetShardIterator',
    input: { ...stream, ShardId: '0', ShardIteratorType: 'AT_TIMESTAMP', Timestamp: 1.5 },
  },
  { operation: 'ListShards', input: { ...stream, MaxResults: 1, ShardFilter: { Type: 'AT_TIMESTAMP', Timestamp: 9 } } },
  { operation: 'DescribeStream', input: { StreamARN: streamArn, Limit: 3 } },
  { operation: 'SplitShard', input: { ...stream, ShardToSplit: '0', NewStartingHashKey: '1000' } },
  { operation: 'UpdateShardCount', input: { ...stream, TargetShardCount: 2, ScalingType: 'UNIFORM_SCALING' } },
  { operation: 'AddTagsToStream', input: { ...stream, Tags: { k: 'v' } } },
  { operation: 'RegisterStreamConsumer', input: { StreamARN: streamArn, ConsumerName: 'c' } },
  {
    operation: 'SubscribeToShard',
    input: { ConsumerARN: consumerArn, ShardId: '0', StartingPosition: { Type: 'TRIM_HORIZON' } },
  },
  { operation: 'ReceiveQueueRecords', input: { ...queue, Limit: 2 } },
  { operation: 'AcknowledgeQueueRecords', input: { ...queue, Entries: [{ ReceiptHandle: 'WyJhIiwwLDAsIm0iXQ==' }] } },
  { operation: 'TagResource', input: { ResourceARN: streamArn, Tags: { k: 'v' } } },
]

/** Values change, the form stays: these reach furthest. */
const odd: readonly unknown[] = [
  null,
  true,
  0,
  -1,
  1e300,
  2 ** 53,
  1.5,
  '',
  ' ',
  '\0',
  'x'.repeat(3_000),
  '__proto__',
  '../..',
  '💥',
  '340282366920938463463374607431768211455',
  '9'.repeat(128),
  [],
  {},
  [[[[[[]]]]]],
  { a: { b: { c: {} } } },
  ['s', 's'],
]
function otherValue(value: unknown, random: Random): unknown {
  if (typeof value !== 'object' || value === null || random() < 0.2) return chosen(random, odd)
  const entries = Object.entries(value)
  if (entries.length === 0 || random() < 0.1)
    return { ...value, [chosen(random, ['StreamName', 'constructor', 'x'])]: chosen(random, odd) }
  const at = below(random, entries.length)
  const changed = entries.map(([key, one], i) => [key, i === at ? otherValue(one, random) : one] as const)
  return Array.isArray(value) ? changed.map(([, one]) => one) : Object.fromEntries(changed)
}
function otherBytes(bytes: Buffer, random: Random): Buffer {
  const changed = Buffer.from(bytes)
  const at = below(random, Math.max(1, bytes.length))
  switch (below(random, 6)) {
    case 0:
      if (changed.length > 0) changed[at]! ^= 1 << below(random, 8)
      return changed
    case 1:
      if (changed.length > 0) changed[at] = chosen(random, [0, 0xff, 0x7f, 0x80, 0x22, 0x7b, 0x5f, 0x9f, 0xbf])
      return changed
    case 2:
      return changed.subarray(0, at)
    case 3:
      return Buffer.concat([changed.subarray(0, at), changed.subarray(at + 1 + below(random, 16))])
    case 4:
      return Buffer.concat([
        changed.subarray(0, at),
        changed.subarray(at, at + 1 + below(random, 64)),
        changed.subarray(at),
      ])
    default:
      return Buffer.concat([
        changed.subarray(0, at),
        Buffer.from(Array.from({ length: 1 + below(random, 12) }, () => below(random, 256))),
        changed.subarray(at),
      ])
  }
}

interface Answer {
  readonly status: number
  readonly type: string
  readonly body: Buffer
}
type Said = Answer | 'closed' | 'hung'
const authorization =
  'AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/kinesis/aws4_request, SignedHeaders=host, Signature=y'
const headersOf = (operation: string, form: 'json' | 'cbor'): Record<string, string> => ({
  'content-type': `application/x-amz-${form}-1.1`,
  'x-amz-target': `Kinesis_20131202.${operation}`,
  'x-amz-date': '20260101T000000Z',
  authorization,
})

class Sender {
  readonly #port: number
  readonly #agent = new Agent({ keepAlive: true, maxSockets: atOnce })

  constructor(port: number) {
    this.#port = port
  }
  send(headers: Record<string, string>, body: Buffer): Promise<Said> {
    return new Promise((resolve) => {
      const options = { host: '127.0.0.1', port: this.#port, method: 'POST', headers, agent: this.#agent }
      const request = httpRequest(options, (answer) => {
        const type = answer.headers['content-type'] ?? ''
        const parts: Buffer[] = []
        const done = (): void => resolve({ status: answer.statusCode!, type, body: Buffer.concat(parts) })
        answer.on('data', (part: Buffer) => {
          parts.push(part)
          // A subscription goes on for minutes.
          if (type.includes('eventstream')) {
            done()
            request.destroy()
          }
        })
        answer.on('end', done)
        answer.on('error', () => resolve('closed'))
      })
      request.setTimeout(answerWithinMs, () => {
        resolve('hung')
        request.destroy()
      })
      request.on('error', () => resolve('closed'))
      request.end(body)
    })
  }
  /** Bytes as they are; resolves when anything was answered, the connection was closed, or nothing came for a while. */
  raw(bytes: Buffer): Promise<'answered' | 'closed' | 'waits'> {
    return new Promise((resolve) => {
      const socket = connect(this.#port, '127.0.0.1')
      const end = (how: 'answered' | 'closed' | 'waits'): void => {
        resolve(how)
        socket.destroy()
      }
      // Half a request is waited for: that is no silence.
      socket.setTimeout(100, () => end('waits'))
      socket.on('data', () => end('answered'))
      socket.on('close', () => end('closed'))
      socket.on('error', () => end('closed'))
      socket.end(bytes)
    })
  }
  close(): void {
    this.#agent.destroy()
  }
}

/** The bytes that a client of HTTP/2 sends for one request. */
async function recorded(headers: Record<string, string>, body: Buffer): Promise<Buffer> {
  const parts: Buffer[] = []
  const server = createServer((socket) => {
    socket.on('data', (part) => parts.push(part))
    socket.on('error', () => {})
    // Settings, so that it goes on.
    socket.write(Buffer.from('000000040000000000', 'hex'))
  })
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve))
  const session = connectHttp2(`http://127.0.0.1:${(server.address() as { port: number }).port}`)
  session.on('error', () => {})
  const stream2 = session.request({ ':method': 'POST', ':path': '/', ...headers })
  stream2.on('error', () => {})
  stream2.end(body)
  await new Promise((resolve) => setTimeout(resolve, 200))
  session.destroy()
  server.close()
  return Buffer.concat(parts)
}

interface Tally {
  done: number
  refused: number
  closed: number
  raw: number
  readonly problems: string[]
}
function judge({ operation }: Right, body: Buffer, said: Said, tally: Tally): void {
  const problem = (what: string): void =>
    void tally.problems.push(`${operation} ${body.subarray(0, 160).toString('latin1')}: ${what}`)
  if (said === 'closed') return void tally.closed++
  if (said === 'hung') return problem(`not answered within ${answerWithinMs} ms`)
  if (said.status === 200) return void tally.done++
  tally.refused++
  // The service's own answer to a sequence number of its first form.
  const isOldNumber = said.status === 500 && /Iterator|Subscribe/.test(operation)
  if (said.status >= 500 && !isOldNumber)
    return problem(`answered ${said.status}: ${said.body.subarray(0, 300).toString()}`)
  if (!said.body.toString('latin1').includes('__type') && !said.body.toString('latin1').startsWith('<'))
    problem(`${said.status} without an error: ${said.body.subarray(0, 200).toString()}`)
}

async function malformed(context: Context): Promise<Outcome> {
  const { random } = context
  const args = ['--listen', 'kinesis=127.0.0.1:0', '--kinesis', 'shards=100']
  const product = await startFirst({ data: context.folder, env: heap, args })
  const canary = new Canary(product.kafka)
  const sender = new Sender(Number(product.listen['kinesis']!.split(':').at(-1)))
  const tally: Tally = { done: 0, refused: 0, closed: 0, raw: 0, problems: [] }
  try {
    const ask = async (operation: string, input: object): Promise<Record<string, string>> => {
      const said = await sender.send(headersOf(operation, 'json'), Buffer.from(JSON.stringify(input)))
      if (typeof said === 'string' || said.status !== 200) throw new Error(`${operation}: ${JSON.stringify(said)}`)
      return JSON.parse(said.body.toString() || '{}') as Record<string, string>
    }
    await ask('CreateStream', { ...stream, ShardCount: 1 })
    await ask('CreateQueue', { QueueName: 'q', StreamConfigurationList: [{ StreamARN: streamArn }] })
    const { ShardIterator } = await ask('GetShardIterator', {
      ...stream,
      ShardId: '0',
      ShardIteratorType: 'TRIM_HORIZON',
    })
    const all = rights(ShardIterator!)
    const framed = await Promise.all(
      all
        .slice(-8)
        .map(({ operation, input }) => recorded(headersOf(operation, 'json'), Buffer.from(JSON.stringify(input)))),
    )
    await canary.start()
    const one = async (): Promise<void> => {
      const right = chosen(random, random() < 0.1 ? bare : all)
      const form = random() < 0.5 ? 'json' : 'cbor'
      const headers = headersOf(right.operation, form)
      const value = random() < 0.6 ? otherValue(right.input, random) : right.input
      const body = form === 'json' ? Buffer.from(JSON.stringify(value)) : encodeCbor(value)
      if (random() < rawShare) {
        const whole = random() < 0.5 ? chosen(random, framed) : plainBytes(headers, body)
        await sender.raw(otherBytes(whole, random))
        tally.raw++
        return
      }
      const sent = value === right.input ? otherBytes(body, random) : body
      judge(right, sent, await sender.send(headers, sent), tally)
    }
    await many(300, one)
    const memory = new MemoryWatch(product.pid)
    await many(requestsOf(context), one)
    memory.stop()
    if (!product.running) tally.problems.push(`the process ended with ${await product.ended}\n${product.log()}`)
    // It goes on serving.
    await ask('PutRecord', { StreamName: 's', PartitionKey: 'k', Data: data }).catch((error: Error) => {
      if (!/ResourceNotFound/.test(error.message)) throw error
    })
    tally.problems.push(...memory.problems(growthBytesMax))
    if (tally.refused === 0 || tally.done === 0) tally.problems.push('nothing was refused, or nothing was done')
    const { p50, p99, max } = canary.take()
    await canary.stop()
    sender.close()
    await product.stop()
    const { problems, ...figures } = tally
    return {
      problems: [...problems.slice(0, 20), ...canary.problems],
      figures: { ...figures, ...memory.figures, 'good client ms p50/p99/max': `${p50}/${p99}/${max}` },
    }
  } finally {
    sender.close()
    await canary.stop()
    await product[Symbol.asyncDispose]()
  }
}
async function many(count: number, one: () => Promise<void>): Promise<void> {
  let left = count
  const worker = async (): Promise<void> => {
    while (left-- > 0) await one()
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
}
function plainBytes(headers: Record<string, string>, body: Buffer): Buffer {
  const lines = Object.entries({ host: '127.0.0.1', ...headers, 'content-length': String(body.length) })
  return Buffer.concat([
    Buffer.from(`POST / HTTP/1.1\r\n${lines.map(([name, value]) => `${name}: ${value}\r\n`).join('')}\r\n`),
    body,
  ])
}
