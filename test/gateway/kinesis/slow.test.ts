/** Clients that ask for much and take nothing. */
import assert from 'node:assert/strict'
import { connect } from 'node:http2'
import { test } from 'node:test'
import { kinesis, mediaTypes } from './fixture.ts'

test('answers that nobody takes are held for so many bytes, and no more, and do not keep others from theirs', async (t) => {
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
  /** Answers that have begun and are not over; requests without an answer. */
  const state = { held: 0, heldMax: 0, waiting: 0 }
  const ask = (): void => {
    const stream = client.request({ ':method': 'POST', ':path': '/', ...headers })
    state.waiting++
    stream.on('error', () => undefined)
    stream.on('response', (said) => {
      state.waiting--
      if (said[':status'] !== 200) return
      state.heldMax = Math.max(state.heldMax, ++state.held)
      stream.on('close', () => state.held--)
    })
    stream.end(JSON.stringify({ ShardIterator }))
  }
  for (let i = 0; i < 30; i++) ask()
  while (state.waiting > 0) await new Promise((resolve) => setTimeout(resolve, 20))
  assert.ok(state.heldMax > 3 && state.heldMax < 15, `${state.heldMax} answers are held`)
  // Others are served: what has stood for a while makes room.
  for (let i = 0; i < 30; i++) ask()
  // On a slow machine not at the first try; a client that takes nothing would keep it up for a minute.
  let found = 0
  for (let tries = 0; tries < 3 && found === 0; tries++)
    found = (await f.call('GetRecords', { ShardIterator }).catch(() => null))?.body.Records?.length ?? 0
  assert.equal(found, 11)
  assert.ok(state.heldMax < 15, `${state.heldMax} answers are held`)
  client.destroy()
  assert.equal((await f.ok('GetRecords', { ShardIterator })).Records.length, 11)
})
test('requests of many small values are refused before they take memory; 500 records with odd keys are not', async (t) => {
  const f = await kinesis(t)
  await f.ok('CreateStream', { StreamName: 's', ShardCount: 1 })
  const key = `${','.repeat(250)}k`
  const Records = Array.from({ length: 500 }, () => ({ PartitionKey: key, Data: Buffer.alloc(1_000) }))
  for (const form of ['json', 'cbor'] as const)
    assert.equal((await f.ok('PutRecords', { StreamName: 's', Records }, { form })).FailedRecordCount, 0)
  const many = Buffer.alloc(5_000_000, 0xa0)
  const bodies = [
    ['json', Buffer.from(`{"Records":[${'{},'.repeat(2_000_000)}{}]}`)],
    ['json', Buffer.from('['.repeat(5_000_000))],
    ['cbor', Buffer.concat([Buffer.from([0x9f]), many, Buffer.from([0xff])])],
    ['cbor', Buffer.concat([Buffer.from([0x5f]), many.fill(0x40), Buffer.from([0xff])])],
  ] as const
  for (const [form, body] of bodies) {
    const headers = { 'content-type': mediaTypes[form], 'x-amz-target': 'Kinesis_20131202.PutRecords' }
    const beganMs = performance.now()
    const { status, bytes } = await f.send({ headers, body })
    assert.equal(status, 400)
    assert.match(bytes.toString('latin1'), /SerializationException.*too many values/s)
    assert.ok(performance.now() - beganMs < 2_000)
  }
})
