/** HTTP requests that are wrong: a list of those that must be refused, and mutations of right ones, which may come out right. */
import { gzipSync } from 'node:zlib'
import type { RawRequest } from './http.ts'

export const strictTopic = 'orders'
export const openTopic = 'notes'
const strictPath = `/v1/topics/${strictTopic}/records`
const openPath = `/v1/topics/${openTopic}/records`

/** What the strict topic takes. */
export const orderSchema = {
  type: 'object',
  required: ['id', 'amount'],
  properties: { id: { type: 'string', minLength: 1 }, amount: { type: 'number', minimum: 0 }, at: { type: 'string' } },
  additionalProperties: false,
}
const order = { id: 'a-1', amount: 12.5, at: '2026-01-01T00:00:00Z' }
const event = { specversion: '1.0', id: '1', source: '/test', type: 'order', datacontenttype: 'application/json' }

const json = 'application/json'
const records = 'application/vnd.millrace.records+json'
const cloudEvents = 'application/cloudevents+json'
const ndjson = 'application/x-ndjson'

function post(
  path: string,
  type: string | null,
  body: string | Buffer,
  headers: Record<string, string> = {},
): RawRequest {
  const typed = type === null ? headers : { 'content-type': type, ...headers }
  return { method: 'POST', path, headers: typed, body: Buffer.from(body as string) }
}
const sql = (text: unknown): RawRequest => post('/v1/sql', json, JSON.stringify({ sql: text }))
const put = (path: string, body: string): RawRequest => ({ ...post(path, json, body), method: 'PUT' })

const deep = 100_000
const bombBytes = 256 * 1024 * 1024

/** Each must be answered with a 4xx that is a problem document, or by closing the connection. */
export function mustBeRefused(): readonly RawRequest[] {
  const badJson = [
    '',
    ' ',
    'nul',
    '{',
    '}',
    '{"id":}',
    '[1,]',
    '{"a":1,}',
    "{'a':1}",
    'NaN',
    '{"a":1} x',
    '"\u0001"',
    '\\',
  ]
  const badOrders: unknown[] = [{}, 5, 'x', [[]], { ...order, amount: '12' }, { ...order, amount: -1 }]
  badOrders.push({ ...order, id: '' }, { ...order, extra: 1 }, [order, { id: 'b' }], { id: 'a', amount: null })
  const badRecords = ['{"records":5}', '{"records":[5]}', '{"records":[{"value":1,"partition":-1}]}', '{}', '[]']
  badRecords.push('{"records":[{"value":1,"partition":1e300}]}', '{"records":[{"value":1,"partition":99}]}')
  badRecords.push('{"records":[{"value":{"base64":"%%%"}}]}', '{"records":[{"value":1,"timestamp":"yesterday"}]}')
  badRecords.push('{"records":[{"value":1,"headers":5}]}')
  return [
    ...badJson.map((text) => post(openPath, json, text)),
    post(openPath, json, '['.repeat(deep)),
    post(openPath, json, '['.repeat(deep) + ']'.repeat(deep)),
    post(openPath, json, '{"a":'.repeat(deep)),
    post(openPath, json, Buffer.from([0x22, 0xff, 0xfe, 0x22])),
    post(openPath, json, Buffer.from([0x7b, 0x22, 0xc3, 0x28, 0x22, 0x3a, 0x31, 0x7d])),
    ...badOrders.map((value) => post(strictPath, json, JSON.stringify(value))),
    post(strictPath, json, `{"__proto__":{"id":"a","amount":1}}`),
    ...badRecords.map((text) => post(openPath, records, text)),
    post(openPath, cloudEvents, JSON.stringify({ id: '1' })),
    post(openPath, cloudEvents, JSON.stringify({ ...event, specversion: '9' })),
    post(openPath, cloudEvents, JSON.stringify({ ...event, type: '' })),
    post(openPath, cloudEvents, 'no json'),
    post(openPath, json, '{}', { 'ce-specversion': '1.0' }),
    post(openPath, json, '{}', { 'content-encoding': 'br' }),
    post(openPath, json, 'not gzip', { 'content-encoding': 'gzip' }),
    post(openPath, json, gzipSync(Buffer.from('{"a":1}')).subarray(0, 12), { 'content-encoding': 'gzip' }),
    post(openPath, json, gzipSync(Buffer.alloc(bombBytes, 0x20)), { 'content-encoding': 'gzip' }),
    post(openPath, json, '{}', { 'content-length': '999999999999' }),
    post(openPath, json, '{}', { 'content-length': '-1' }),
    post(openPath, json, '{}', { 'content-length': '2, 3' }),
    post(openPath, json, '{}', { 'content-length': '2', 'transfer-encoding': 'chunked' }),
    post(openPath, json, 'zz\r\n{}\r\n0\r\n\r\n', { 'transfer-encoding': 'chunked' }),
    post(`${openPath}?partition=x`, json, '{}'),
    post(`${openPath}?partition=99`, json, '{}'),
    post('/v1/topics/no-such-topic/records', json, '{}'),
    post('/v1/topics/%00/records', json, '{}'),
    post('/v1/topics/..%2f..%2fetc/records', json, '{}'),
    post(openPath, json, '{}', { host: 'evil.example' }),
    post(openPath, json, '{}', { origin: 'https://evil.example' }),
    post(openPath, json, '{}', { 'idempotency-key': 'k'.repeat(10_000) }),
    post(openPath, json, '{}', { 'x-long': 'h'.repeat(100_000) }),
    { ...post(openPath, json, '{}'), method: 'BREW' },
    sql(5),
    sql('SELEC 1'),
    sql('SELECT ' + '('.repeat(deep)),
    sql(`SELECT '${'x'.repeat(2_000_000)}'`),
    sql('SELECT * FROM no_such_stream'),
    post('/v1/sql', json, '{}'),
    post('/v1/sql', json, '[]'),
    put('/v1/topics/bad-one', '{"partitions":-1}'),
    put('/v1/topics/bad-two', '{"partitions":1e9}'),
    put('/v1/topics/bad-three', '{"config":{"retention.ms":"soon"}}'),
    put('/v1/topics/bad-four', '{"config":{"no.such.setting":"1"}}'),
    put('/v1/topics/bad-five', '{"schema":{"type":"nonsense"}}'),
    put('/v1/topics/bad-six', '{"schema":{"pattern":"("}}'),
    put(`/v1/topics/${'n'.repeat(300)}`, '{}'),
  ]
}

type Random = () => number
const below = (random: Random, end: number): number => Math.floor(random() * end)

/** Right requests, to be made wrong. */
export function rightRequests(): readonly RawRequest[] {
  return [
    post(strictPath, json, JSON.stringify(order)),
    post(strictPath, json, JSON.stringify([order, { ...order, id: 'b' }])),
    post(strictPath, ndjson, [order, order, order].map((one) => JSON.stringify(one)).join('\n')),
    post(
      openPath,
      records,
      JSON.stringify({ records: [{ key: 'k', value: order, headers: { a: 'b' }, partition: 0 }] }),
    ),
    post(openPath, records, JSON.stringify({ records: [{ value: { base64: 'AAEC' }, timestamp: order.at }] })),
    post(openPath, cloudEvents, JSON.stringify({ ...event, data: order })),
    post(openPath, 'application/cloudevents-batch+json', JSON.stringify([{ ...event, data: order }])),
    post(openPath, json, JSON.stringify(order), {
      'ce-specversion': '1.0',
      'ce-id': '1',
      'ce-source': '/t',
      'ce-type': 'o',
    }),
    sql(`SELECT 1 + 2 * 3 AS n, upper('text') AS t`),
    put(`/v1/topics/${openTopic}`, JSON.stringify({ config: { 'retention.ms': '86400000' } })),
  ]
}

const tokens = [
  '[',
  ']',
  '{',
  '}',
  '"',
  ',',
  ':',
  '\\u',
  '\\ud800',
  'null',
  '1e999',
  '-',
  '\0',
  '\n',
  '\r\n',
  '\ufeff',
  '__proto__',
]

/** 1 to 5 changes of the body: bits, lost and doubled pieces, tokens of JSON where they do not belong. */
export function mutateBody(request: RawRequest, random: Random): RawRequest {
  let body = Buffer.from(request.body)
  for (let left = 1 + below(random, 5); left > 0; left--) body = mutateBytes(body, random)
  return { ...request, body }
}

function mutateBytes(body: Buffer, random: Random): Buffer<ArrayBuffer> {
  const at = below(random, body.length + 1)
  const head = body.subarray(0, at)
  const length = 1 + below(random, 12)
  switch (below(random, 5)) {
    case 0: {
      const changed = Buffer.from(body)
      if (at < changed.length) changed[at]! ^= 1 << below(random, 8)
      return changed
    }
    case 1:
      return Buffer.from(head)
    case 2:
      return Buffer.concat([head, body.subarray(at + length)])
    case 3:
      return Buffer.concat([head, body.subarray(at, at + length), body.subarray(at)])
    default:
      return Buffer.concat([head, Buffer.from(tokens[below(random, tokens.length)]!), body.subarray(at)])
  }
}
