/**
 * The Pub/Sub gateway beside Google's own fake of the service (pstest, in Go, in memory), each as a process of its own, with
 * a light client in this one: messages of 200 bytes published in batches and one by one, and received by a streaming pull and
 * acknowledged by calls.
 */
import { Calls, GrpcClient } from '../test/gateway/pubsub/fixture.ts'
import { startPstest } from '../test/interop/pubsub/pstest.ts'
import { startMillrace } from '../test/interop/setup/index.ts'
import { GrpcReader, grpcFrame } from '../src/wire/grpc/frames.ts'
import { encode } from '../src/wire/protobuf/message.ts'
import { publishRequest, streamingPullRequest } from '../src/wire/pubsub/messages.ts'
import type { Report, RowSpec } from './lib/rows.ts'

/** As many as a request may have, as many as the official clients send together by themselves, and each by itself. */
const batches = [1_000, 100, 1] as const
type BatchSize = (typeof batches)[number]
const publishRow = (batch: BatchSize): string =>
  batch === 1
    ? 'messages of 200 B published one by one'
    : `messages of 200 B published, batches of ${batch === 100 ? '100' : '1,000'}`
const pullRow = 'messages of 200 B by streaming pull, acknowledged'
const unit = 'messages/s'
export const pubsubRows: readonly RowSpec[] = [
  { row: publishRow(1_000), unit, better: 'higher', goal: 1.5 },
  { row: publishRow(100), unit, better: 'higher', goal: null },
  { row: publishRow(1), unit, better: 'higher', goal: null },
  { row: pullRow, unit, better: 'higher', goal: 1.5 },
]
const warmRequests = 50
/** It hands out some hundred messages a second: more of them would take minutes. */
const pstestPulled = 2_000
const atOnce = 32

export async function benchPubsub(
  report: Report,
  { quick, runs }: { quick: boolean; runs: number | null },
): Promise<void> {
  const messages = quick ? 50_000 : 1_000_000
  // Of small batches fewer do: it takes longer, and pstest grows slower with what it holds.
  const counts = { 1_000: messages, 100: messages / 5, 1: messages / 50 } as const
  for (let run = 0; run < (runs ?? (quick ? 1 : 3)); run++) {
    // A process for each: what it holds makes it slower.
    for (const batch of batches) {
      const row = publishRow(batch)
      {
        await using theirs = await pstest()
        report.sample(row, 'theirs', await publishing(theirs.client, counts[batch], batch))
      }
      await using ours = await millrace()
      report.sample(row, 'ours', await publishing(ours.client, counts[batch], batch))
    }
    {
      await using theirs = await pstest()
      report.sample(pullRow, 'theirs', await pulling(theirs.client, pstestPulled))
    }
    await using ours = await millrace()
    report.sample(pullRow, 'ours', await pulling(ours.client, messages))
  }
}
type Started = AsyncDisposable & { readonly client: GrpcClient }
async function pstest(): Promise<Started> {
  const { address, child } = await startPstest()
  const client = new GrpcClient(address)
  return {
    client,
    async [Symbol.asyncDispose]() {
      client.close()
      child.kill('SIGKILL')
    },
  }
}
async function millrace(): Promise<Started> {
  const started = await startMillrace({ args: ['--listen', 'pubsub=127.0.0.1:0'] })
  const client = new GrpcClient(started.listen['pubsub']!)
  return {
    client,
    async [Symbol.asyncDispose]() {
      client.close()
      await started[Symbol.asyncDispose]()
    },
  }
}
/** Messages a second. */
async function publishing(client: GrpcClient, messages: number, batch: BatchSize): Promise<number> {
  const calls = new Calls(client)
  await calls.topic('bench')
  await calls.subscription('bench-sub', 'bench', { ackDeadlineSeconds: 600 })
  // Code is compiled, connections have grown.
  await calls.topic('warm')
  await publishAll(client, 'warm', { messages: batch * (batch === 1 ? 20 : 1) * warmRequests, batch })
  return measure(messages, () => publishAll(client, 'bench', { messages, batch }))
}
async function pulling(client: GrpcClient, messages: number): Promise<number> {
  const calls = new Calls(client)
  await calls.topic('bench')
  await calls.subscription('bench-sub', 'bench', { ackDeadlineSeconds: 600 })
  await publishAll(client, 'bench', { messages, batch: 1_000 })
  return measure(messages, () => pullAll(client, calls, messages))
}
async function measure(messages: number, run: () => Promise<void>): Promise<number> {
  const startedMs = performance.now()
  await run()
  return Math.round(messages / ((performance.now() - startedMs) / 1000))
}
/** One request for all: the client is to cost little. */
async function publishAll(
  client: GrpcClient,
  topic: string,
  { messages, batch }: { messages: number; batch: BatchSize },
): Promise<void> {
  const together = Array.from({ length: batch }, () => ({ data: Buffer.alloc(200, 'x') }))
  const body = grpcFrame(encode(publishRequest, { topic: `projects/p/topics/${topic}`, messages: together }))
  let left = messages / batch
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
