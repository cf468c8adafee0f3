/** Clients that ask for much and take nothing. */
import assert from 'node:assert/strict'
import { connect } from 'node:http2'
import { test } from 'node:test'
import { kinesis } from './fixture.ts'

test('answers that nobody takes are held for so many bytes, and no more', async (t) => {
  const f = await kinesis(t)
  await f.ok('CreateStream', { StreamName: 's', ShardCount: 1 })
  for (let i = 0; i < 11; i++)
    await f.ok('PutRecord', { StreamName: 's', PartitionKey: 'k', Data: Buffer.alloc(1_000_000, 65) })
  const at = { StreamName: 's', ShardId: '0', ShardIteratorType: 'TRIM_HORIZON' }
  const { ShardIterator } = await f.ok('GetShardIterator', at)
  const headers = {
    'content-type': 'application/x-amz-json-1.1',
    'x-amz-target': 'Kinesis_20131202.GetRecords',
    'x-amz-date': '20260101T000000Z',
    authorization:
      'AWS4-HMAC-SHA256 Credential=a/20260101/us-east-1/kinesis/aws4_request, SignedHeaders=host, Signature=0',
  }
  // It lets nobody send it a byte of a body.
  const client = connect(`http://127.0.0.1:${f.port}`, { settings: { initialWindowSize: 0 } })
  client.on('error', () => undefined)
  const statuses: number[] = []
  for (let i = 0; i < 30; i++) {
    const stream = client.request({ ':method': 'POST', ':path': '/', ...headers })
    stream.on('error', () => undefined)
    stream.on('response', (said) => statuses.push(Number(said[':status'])))
    stream.end(JSON.stringify({ ShardIterator }))
  }
  while (statuses.length < 30) await new Promise((resolve) => setTimeout(resolve, 50))
  const held = statuses.filter((status) => status === 200).length
  assert.ok(held > 3 && held < 15, `${held} answers are held`)
  const [type] = await f.refused('GetRecords', { ShardIterator })
  assert.equal(type, 'ProvisionedThroughputExceededException')
  client.destroy()
  assert.equal((await f.ok('GetRecords', { ShardIterator })).Records.length, 11)
})
