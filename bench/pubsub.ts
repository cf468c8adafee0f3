/**
 * The Pub/Sub gateway beside Google's own fake of the service (pstest, in Go, in memory), each as a process of its own, with
 * a light client in this one: messages of 200 bytes published in batches of a thousand, then received by a streaming pull
 * and acknowledged by calls.
 */
import { Calls, GrpcClient } from '../test/gateway/pubsub/fixture.ts'
import { startPstest } from '../test/interop/pubsub/pstest.ts'
import { startMillrace } from '../test/interop/setup/index.ts'
import { GrpcReader, grpcFrame } from '../src/wire/grpc/frames.ts'
import { encode } from '../src/wire/protobuf/message.ts'
import { publishRequest, streamingPullRequest } from '../src/wire/pubsub/messages.ts'
import type { Report, RowSpec } from './lib/rows.ts'

const publishRow = 'messages of 200 B published, batches of 1,000'
const pullRow = 'messages of 200 B by streaming pull, acknowledged'
const unit = 'messages/s'
export const pubsubRows: readonly RowSpec[] = [
  { row: publishRow, unit, better: 'higher', goal: 1.5 },
  { row: pullRow, unit, better: 'higher', goal: 1.5 },
]
const batchMessages = 1_000
const warmMessages = 50_000
/** It hands out some hundred messages a second: more of them would take minutes. */
const pstestPulled = 2_000
const atOnce = 32

export async function benchPubsub(
  report: Report,
  { quick, runs }: { quick: boolean; runs: number | null },
): Promise<void> {
  const messages = quick ? 50_000 : 1_000_000
  for (let run = 0; run < (runs ?? (quick ? 1 : 3)); run++) {
    // A process for each: what it holds makes it slower.
    for (const [row, count] of [
      [publishRow, messages],
      [pullRow, pstestPulled],
    ] as const) {
      const { address, child } = await startPstest()
      try {
        await side(address, count, (measured, value) => measured === row && report.sample(row, 'theirs', value), row)
      } finally {
        child.kill('SIGKILL')
      }
    }
    await using millrace = await startMillrace({ args: ['--listen', 'pubsub=127.0.0.1:0'] })
    await side(millrace.listen['pubsub']!, messages, (row, value) => report.sample(row, 'ours', value), pullRow)
  }
}
/** Until and with the row `last`. */
async function side(
  address: string,
  messages: number,
  sample: (row: string, value: number) => void,
  last: string,
): Promise<void> {
  const client = new GrpcClient(address)
  const calls = new Calls(client)
  await calls.topic('bench')
  await calls.subscription('bench-sub', 'bench', { ackDeadlineSeconds: 600 })
  // Code is compiled, connections have grown.
  await calls.topic('warm')
  await publishAll(client, 'warm', warmMessages)
  sample(publishRow, await measure(messages, () => publishAll(client, 'bench', messages)))
  if (last === pullRow) sample(pullRow, await measure(messages, () => pullAll(client, calls, messages)))
  client.close()
}
async function measure(messages: number, run: () => Promise<void>): Promise<number> {
  const startedMs = performance.now()
  await run()
  return Math.round(messages / ((performance.now() - startedMs) / 1000))
}
/** One request for all: the client is to cost little. */
async function publishAll(client: GrpcClient, topic: string, messages: number): Promise<void> {
  const batch = Array.from({ length: batchMessages }, () => ({ data: Buffer.alloc(200, 'x') }))
  const body = grpcFrame(encode(publishRequest, { topic: `projects/p/topics/${topic}`, messages: batch }))
  let left = messages / batchMessages
  await Promise.all(
    Array.from({ length: atOnce }, async () => {
      while (left-- > 0) await client.raw('/google.pubsub.v1.Publisher/Publish', body)
    }),
  )
}
async function pullAll(client: GrpcClient, calls: Calls, messages: number): Promise<void> {
  const acknowledgements: Promise<unknown>[] = []
  let waiting: string[] = []
  let acknowledged = 0
  const done = Promise.withResolvers<void>()
  const flush = (): void => {
    if (waiting.length === 0) return
    acknowledgements.push(calls.acknowledge('bench-sub', ...waiting))
    acknowledged += waiting.length
    waiting = []
    if (acknowledged >= messages) done.resolve()
  }
  const stream = client.session.request({
    ':method': 'POST',
    ':path': '/google.pubsub.v1.Subscriber/StreamingPull',
    'content-type': 'application/grpc',
    te: 'trailers',
  })
  const reader = new GrpcReader(64 * 1024 * 1024)
  stream.on('data', (piece: Buffer) => {
    for (const { body } of reader.push(piece)) waiting.push(...ackIdsOf(body))
    if (waiting.length >= 2_500) flush()
  })
  stream.on('error', done.reject)
  const tick = setInterval(flush, 50)
  const first = {
    subscription: 'projects/p/subscriptions/bench-sub',
    streamAckDeadlineSeconds: 600,
    maxOutstandingMessages: 10_000,
  }
  stream.write(grpcFrame(encode(streamingPullRequest, first)))
  await done.promise
  await Promise.all(acknowledgements)
  clearInterval(tick)
  stream.close()
}
/** Nothing else of an answer is looked at. */
function ackIdsOf(body: Buffer): string[] {
  const ids: string[] = []
  let at = 0
  const varint = (): number => {
    let value = 0
    for (let shift = 0; ; shift += 7) {
      const byte = body[at++]!
      value |= (byte & 0x7f) << shift
      if (byte < 0x80) return value
    }
  }
  while (at < body.length) {
    const tag = varint()
    const end = varint() + at
    if (tag === 10 && body[at] === 10) {
      at++
      const length = varint()
      ids.push(body.toString('latin1', at, at + length))
    }
    at = end
  }
  return ids
}
