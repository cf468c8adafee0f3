/** The whole program in memory with a Kinesis listener, and a client that sends what it is told, byte for byte. */
import assert from 'node:assert/strict'
import { request as httpRequest } from 'node:http'
import { type ClientHttp2Session, connect } from 'node:http2'
import type { TestContext } from 'node:test'
import type { Logger } from '../../../src/lib/logger.ts'
import { realWorld } from '../../../src/lib/real/world.ts'
import type { World } from '../../../src/lib/world.ts'
import { type Settings, environmentSettings, resolveConfig } from '../../../src/node/config.ts'
import { type Running, startMillrace } from '../../../src/node/millrace.ts'
import { CborTime, decodeCbor, encodeCbor } from '../../../src/wire/kinesis/cbor.ts'
import { signatureOf, timeText } from '../../../src/wire/kinesis/signature.ts'

// Tests look into answers as they please.
export type Json = ReturnType<typeof JSON.parse>
export interface Raw {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly bytes: Buffer
}
export interface Answered extends Raw {
  readonly body: Json
}
export type Form = 'json' | 'cbor'
export type Transport = 'h1' | 'h2'
export interface Sent {
  readonly method?: string
  readonly path?: string
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: Uint8Array | string
}
export interface CallOptions {
  readonly form?: Form
  readonly via?: Transport
  readonly key?: { readonly id: string; readonly secret: string }
  /** When it is signed; now unless given. */
  readonly signedMs?: number
}
export interface KinesisCaller {
  readonly port: number
  send(sent: Sent, via?: Transport): Promise<Raw>
  call(operation: string, input: object, options?: CallOptions): Promise<Answered>
  /** The answer of what has to be done. */
  ok(operation: string, input: object, options?: CallOptions): Promise<Json>
  /** The type of the error, and what it says. */
  refused(operation: string, input: object, options?: CallOptions): Promise<readonly [string, string]>
  close(): void
}
export interface KinesisFixture extends Omit<Running, 'close'>, KinesisCaller {
  readonly said: string[]
  stop(): Promise<void>
}
export const mediaTypes: Readonly<Record<Form, string>> = {
  json: 'application/x-amz-json-1.1',
  cbor: 'application/x-amz-cbor-1.1',
}

export async function kinesis(
  t: TestContext,
  { settings = {}, world = realWorld() }: { settings?: Settings; world?: World } = {},
): Promise<KinesisFixture> {
  const listen = ['kafka=off', 'http=off', 'kinesis=127.0.0.1:0']
  const flags = { data: ':memory:', workers: '0', ...settings, listen: [...(settings.listen ?? []), ...listen] }
  const { config } = resolveConfig(flags, environmentSettings({}), {})
  const said: string[] = []
  const note = (message: string, facts?: Readonly<Record<string, unknown>>): void =>
    void said.push(
      `${message} ${JSON.stringify(facts, (_, value: unknown) => (value instanceof Error ? value.stack : value))}`,
    )
  const logger: Logger = { info: note, warn: note, error: note }
  const running = await startMillrace({ config, world, logger })
  const port = Number(running.listening().kinesis!.split(':').at(-1))
  const caller = kinesisCaller(port, () => world.clock.now())
  const stop = async (): Promise<void> => {
    caller.close()
    await running.close()
  }
  t.after(stop)
  return { ...running, ...caller, said, stop }
}
/** `now`: when requests are signed. */
export function kinesisCaller(port: number, now: () => number = () => Date.now()): KinesisCaller {
  let session: ClientHttp2Session | null = null
  const send = (sent: Sent, via: Transport = 'h1'): Promise<Raw> => {
    if (via === 'h1') return byHttp(port, sent)
    session ??= connect(`http://127.0.0.1:${port}`)
    return byHttp2(session, sent)
  }
  const call = async (operation: string, input: object, options: CallOptions = {}): Promise<Answered> => {
    const { form = 'json', via = 'h1', key = { id: 'AKANYBODY', secret: 'secret' }, signedMs = now() } = options
    const body = form === 'json' ? Buffer.from(JSON.stringify(input, base64)) : encodeCbor(input)
    const signed = {
      host: `127.0.0.1:${port}`,
      'x-amz-date': timeText(signedMs),
      'x-amz-target': `Kinesis_20131202.${operation}`,
      'content-type': mediaTypes[form],
    }
    const names = Object.keys(signed).toSorted()
    const scope = [timeText(signedMs).slice(0, 8), 'us-east-1', 'kinesis', 'aws4_request'] as const
    const at = signed['x-amz-date']
    const request = { method: 'POST', target: '/', headers: signed, body }
    const signature = signatureOf(key.secret, request, { scope, signedHeaders: names, at, inQuery: false })
    const authorization =
      `AWS4-HMAC-SHA256 Credential=${key.id}/${scope.join('/')}, SignedHeaders=${names.join(';')}, ` +
      `Signature=${signature}`
    const raw = await send({ headers: { ...signed, authorization }, body }, via)
    return { ...raw, body: parsed(raw, form) }
  }
  return {
    port,
    send,
    call,
    ok: async (operation, input, options) => {
      const { status, body } = await call(operation, input, options)
      assert.equal(status, 200, `${operation}: ${JSON.stringify(body)}`)
      return body as Json
    },
    refused: async (operation, input, options) => {
      const { status, body } = await call(operation, input, options)
      assert.notEqual(status, 200, `${operation} was done`)
      return [body.__type, body.message ?? body.Message ?? ''] as const
    },
    close: () => session?.destroy(),
  }
}
const base64 = (_: string, value: unknown): unknown =>
  typeof value === 'object' && value !== null && (value as Json).type === 'Buffer'
    ? Buffer.from((value as Json).data).toString('base64')
    : value instanceof CborTime
      ? value.ms / 1_000
      : value
function parsed({ bytes }: Raw, form: Form): Json {
  if (bytes.length === 0) return ''
  return form === 'json' ? JSON.parse(bytes.toString()) : decodeCbor(bytes)
}

function byHttp(port: number, { method = 'POST', path = '/', headers = {}, body }: Sent): Promise<Raw> {
  return new Promise((resolve, reject) => {
    const request = httpRequest({ host: '127.0.0.1', port, method, path, headers }, (answer) => {
      const parts: Buffer[] = []
      answer.on('data', (part: Buffer) => parts.push(part))
      answer.on('end', () =>
        resolve({
          status: answer.statusCode!,
          headers: answer.headers as Record<string, string>,
          bytes: Buffer.concat(parts),
        }),
      )
      answer.on('error', reject)
    })
    request.on('error', reject)
    request.end(body)
  })
}
function byHttp2(session: ClientHttp2Session, { method = 'POST', path = '/', headers = {}, body }: Sent): Promise<Raw> {
  return new Promise((resolve, reject) => {
    const { host, ...rest } = headers
    const authority = host === undefined ? {} : { ':authority': host }
    const stream = session.request({ ':method': method, ':path': path, ...authority, ...rest })
    const parts: Buffer[] = []
    let status = 0
    let found: Record<string, string> = {}
    stream.on('response', (answer) => {
      status = Number(answer[':status'])
      found = answer as Record<string, string>
    })
    stream.on('data', (part: Buffer) => parts.push(part))
    stream.on('end', () => resolve({ status, headers: found, bytes: Buffer.concat(parts) }))
    stream.on('error', reject)
    stream.end(body)
  })
}

/** Everything in a shard from its beginning, until nothing more comes; and its children, if it is closed. */
export async function readShard(
  f: KinesisCaller,
  stream: string,
  shard: string,
): Promise<{ records: Json[]; children: Json[] | null }> {
  const { ShardIterator } = await f.ok('GetShardIterator', {
    StreamName: stream,
    ShardId: shard,
    ShardIteratorType: 'TRIM_HORIZON',
  })
  const records: Json[] = []
  for (let iterator: string = ShardIterator; ;) {
    const found = await f.ok('GetRecords', { ShardIterator: iterator })
    records.push(...found.Records)
    if (found.NextShardIterator === undefined) return { records, children: found.ChildShards }
    if (found.Records.length === 0) return { records, children: null }
    iterator = found.NextShardIterator
  }
}
export const dataText = (record: Json): string => Buffer.from(record.Data, 'base64').toString()
export const base64Of = (text: string): string => Buffer.from(text).toString('base64')
