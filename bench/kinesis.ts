/**
 * PutRecords of 500 records of 200 bytes, signed, by a light client over HTTP/1.1: Millrace on a disk, every answer durable,
 * beside kinesalite in memory (its default); and GetRecords from the beginning. Each server is a process of its own.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { Agent, request } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { freePorts, kinesaliteSuite, startMillrace } from '../test/interop/setup/index.ts'
import type { Report, RowSpec } from './lib/rows.ts'

const inRow = 'PutRecords, 500 records of 200 B, 4 shards'
const outRow = 'GetRecords from the beginning, 4 shards'
const unit = 'records/s'
export const kinesisRows: readonly RowSpec[] = [
  { row: inRow, unit, better: 'higher', goal: 3 },
  { row: outRow, unit, better: 'higher', goal: 1 },
]
const recordsAtOnce = 500
const requestsAtOnce = 4
const shards = 4

export async function benchKinesis(
  report: Report,
  { quick, runs }: { quick: boolean; runs: number | null },
): Promise<void> {
  const dir = await kinesaliteSuite()
  for (let run = 0; run < (runs ?? (quick ? 1 : 3)); run++) {
    {
      await using millrace = await startMillrace({ args: ['--listen', 'kinesis=127.0.0.1:0'] })
      const port = Number(millrace.listen['kinesis']!.split(':').at(-1))
      await measure(report, 'ours', port, quick ? 100_000 : 500_000)
    }
    const [port] = await freePorts()
    const peer = await kinesaliteOn(dir, port!)
    try {
      await measure(report, 'theirs', port!, quick ? 10_000 : 50_000)
    } finally {
      peer.kill('SIGKILL')
    }
  }
}
/** With the whole limit of shards; a stream is there at once. */
async function kinesaliteOn(dir: string, port: number): Promise<ChildProcess> {
  const script = join(tmpdir(), `kinesalite-${port}.cjs`)
  const options = '{shardLimit: 100, createStreamMs: 0}'
  writeFileSync(
    script,
    `require(${JSON.stringify(join(dir, 'kinesalite.js'))})(${options}).listen(${port}, () => console.log('on'))`,
  )
  const child = spawn(process.execPath, [script], { stdio: ['ignore', 'pipe', 'inherit'] })
  await new Promise((resolve) => child.stdout.once('data', resolve))
  return child
}

async function measure(report: Report, side: 'ours' | 'theirs', port: number, records: number): Promise<void> {
  const agent = new Agent({ keepAlive: true, maxSockets: requestsAtOnce })
  const ask = (operation: string, body: Buffer): Promise<Buffer> => post({ port, agent, operation, body })
  const json = async (operation: string, input: object): Promise<Record<string, never>> =>
    JSON.parse((await ask(operation, Buffer.from(JSON.stringify(input)))).toString() || '{}') as Record<string, never>
  await json('CreateStream', { StreamName: 's', ShardCount: shards })
  await new Promise((resolve) => setTimeout(resolve, 200))
  const data = Buffer.alloc(200, 'x').toString('base64')
  const bodies = Array.from({ length: 16 }, (_, n) =>
    Buffer.from(
      JSON.stringify({
        StreamName: 's',
        Records: Array.from({ length: recordsAtOnce }, (_, i) => ({ Data: data, PartitionKey: `key-${n}-${i}` })),
      }),
    ),
  )
  // Warm.
  for (const body of bodies) await ask('PutRecords', body)
  let left = records / recordsAtOnce
  report.sample(
    inRow,
    side,
    await rate(records, () =>
      atOnce(async () => {
        if (left-- <= 0) return false
        const answer = await ask('PutRecords', bodies[left % bodies.length]!)
        if (!answer.includes('"FailedRecordCount":0')) throw new Error(answer.toString().slice(0, 300))
        return true
      }),
    ),
  )
  let read = 0
  const startedMs = performance.now()
  await Promise.all(
    Array.from({ length: shards }, async (_, shard) => {
      const at = { StreamName: 's', ShardId: String(shard), ShardIteratorType: 'TRIM_HORIZON' }
      let { ShardIterator: iterator }: { ShardIterator?: string } = await json('GetShardIterator', at)
      while (iterator !== undefined) {
        const found: { Records?: readonly unknown[]; NextShardIterator?: string } = await json('GetRecords', {
          ShardIterator: iterator,
        })
        if (found.Records?.length === 0) return
        read += found.Records?.length ?? 0
        iterator = found.NextShardIterator
      }
    }),
  )
  report.sample(outRow, side, Math.round(read / ((performance.now() - startedMs) / 1_000)))
  agent.destroy()
}
async function rate(count: number, run: () => Promise<void>): Promise<number> {
  const startedMs = performance.now()
  await run()
  return Math.round(count / ((performance.now() - startedMs) / 1_000))
}
async function atOnce(one: () => Promise<boolean>): Promise<void> {
  await Promise.all(
    Array.from({ length: requestsAtOnce }, async () => {
      while (await one());
    }),
  )
}
interface Post {
  readonly port: number
  readonly agent: Agent
  readonly operation: string
  readonly body: Buffer
}
function post({ port, agent, operation, body }: Post): Promise<Buffer> {
  const headers = {
    'content-type': 'application/x-amz-json-1.1',
    'x-amz-target': `Kinesis_20131202.${operation}`,
    'x-amz-date': '20260101T000000Z',
    authorization:
      'AWS4-HMAC-SHA256 Credential=x/20260101/us-east-1/kinesis/aws4_request, SignedHeaders=host, Signature=y',
    'content-length': body.length,
  }
  return new Promise((resolve, reject) => {
    const sent = request({ host: '127.0.0.1', port, method: 'POST', agent, headers }, (answer) => {
      const parts: Buffer[] = []
      answer.on('data', (part: Buffer) => parts.push(part))
      answer.on('end', () => resolve(Buffer.concat(parts)))
      answer.on('error', reject)
    })
    sent.on('error', reject)
    sent.end(body)
  })
}
