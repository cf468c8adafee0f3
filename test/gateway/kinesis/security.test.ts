/** Who signs a request, and what they may do. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { connect } from 'node:http2'
import { request as httpsRequest } from 'node:https'
import { decodeBatch } from '../../../src/log/batch.ts'
import { operationNames } from '../../../src/wire/kinesis/model.ts'
import { signatureOf, timeText } from '../../../src/wire/kinesis/signature.ts'
import { authority, temporaryFolder } from '../../security/certificates.ts'
import { type KinesisFixture, kinesis, mediaTypes } from './fixture.ts'

async function given(f: KinesisFixture): Promise<{ root: Key; alice: Key }> {
  const { users, accessKeys } = f.security
  const scram = await users.credentials('a password')
  await users.change([{ name: 'root', super: true, scram }])
  await users.change([{ name: 'alice', scram }])
  return { root: await accessKeys.create({ user: 'root' }), alice: await accessKeys.create({ user: 'alice' }) }
}
interface Key {
  readonly id: string
  readonly secret: string
}

for (const via of ['h1', 'h2'] as const)
  test(`a signature decides, over ${via}`, async (t) => {
    const f = await kinesis(t)
    await f.ok('ListStreams', {}, { via })
    const { root } = await given(f)
    await f.ok('ListStreams', {}, { via, key: root })
    await f.ok('ListStreams', {}, { via, key: root, form: 'cbor' })
    const type = async (options: object): Promise<string> =>
      (await f.refused('ListStreams', {}, { via, ...options }))[0]
    assert.equal(await type({}), 'UnrecognizedClientException')
    assert.equal(await type({ key: { id: root.id, secret: `${root.secret}x` } }), 'InvalidSignatureException')
    const [, old] = await f.refused('ListStreams', {}, { via, key: root, signedMs: Date.now() - 301_000 })
    assert.match(old, /^Signature expired: \d{8}T\d{6}Z is now earlier than /)
    const [, early] = await f.refused('ListStreams', {}, { via, key: root, signedMs: Date.now() + 310_000 })
    assert.match(early, /^Signature not yet current/)
    await f.ok('ListStreams', {}, { via, key: root, signedMs: Date.now() - 290_000 })
    await f.security.accessKeys.remove(root.id)
    assert.equal(await type({ key: root }), 'UnrecognizedClientException')
  })

test('another body, operation or host than what was signed is refused', async (t) => {
  const f = await kinesis(t)
  const { root } = await given(f)
  const at = timeText(Date.now())
  const headers = {
    host: `127.0.0.1:${f.port}`,
    'x-amz-date': at,
    'x-amz-target': 'Kinesis_20131202.ListStreams',
    'content-type': mediaTypes.json,
  }
  const signedHeaders = Object.keys(headers).toSorted()
  const scope = [at.slice(0, 8), 'eu-central-1', 'kinesis', 'aws4_request'] as const
  const request = { method: 'POST', target: '/', headers, body: Buffer.from('{}') }
  const signature = signatureOf(root.secret, request, { scope, signedHeaders, at, inQuery: false })
  const authorization = `AWS4-HMAC-SHA256 Credential=${root.id}/${scope.join('/')}, SignedHeaders=${signedHeaders.join(';')}, Signature=${signature}`
  const answer = async (more: Record<string, string>, body = '{}'): Promise<string> =>
    (await f.send({ headers: { ...headers, authorization, ...more }, body })).bytes.toString()
  assert.match(await answer({}), /StreamNames/)
  assert.match(await answer({}, '{"Limit":1}'), /InvalidSignatureException/)
  assert.match(await answer({ 'x-amz-target': 'Kinesis_20131202.DescribeLimits' }), /InvalidSignatureException/)
  assert.match(await answer({ host: 'elsewhere' }), /InvalidSignatureException/)
  // An operation that was not signed may be anybody's.
  const unsigned = signedHeaders.filter((name) => name !== 'x-amz-target')
  const other = signatureOf(root.secret, request, { scope, signedHeaders: unsigned, at, inQuery: false })
  const short = `AWS4-HMAC-SHA256 Credential=${root.id}/${scope.join('/')}, SignedHeaders=${unsigned.join(';')}, Signature=${other}`
  assert.match(await answer({ authorization: short }), /InvalidSignatureException.*x-amz-target/)
  assert.match(
    await answer({ authorization: authorization.replace('AWS4-HMAC-SHA256', 'AWS4-OTHER') }),
    /UnrecognizedClientException/,
  )
})

test('grants of the topic are grants of the stream, and refusals are in the audit', async (t) => {
  const f = await kinesis(t)
  const { root, alice } = await given(f)
  await f.ok('CreateStream', { StreamName: 'orders', ShardCount: 1 }, { key: root })
  const put = { StreamName: 'orders', PartitionKey: 'k', Data: '' }
  const [type, message] = await f.refused('PutRecord', put, { key: alice })
  assert.equal(type, 'AccessDeniedException')
  assert.match(
    message,
    /^User: arn:aws:iam::000000000000:user\/alice is not authorized to perform: kinesis:PutRecord on resource: arn:aws:kinesis:us-east-1:000000000000:stream\/orders/,
  )
  const grant = {
    principal: 'User:alice',
    host: '*',
    resource: 'topic',
    name: 'orders',
    pattern: 'literal',
    permission: 'allow',
  } as const
  await f.security.grants.add([{ ...grant, operation: 'write' }])
  await f.ok('PutRecord', put, { key: alice })
  const at = { StreamName: 'orders', ShardId: '0', ShardIteratorType: 'TRIM_HORIZON' }
  assert.equal((await f.refused('GetShardIterator', at, { key: alice }))[0], 'AccessDeniedException')
  // Write implies Describe.
  assert.deepEqual((await f.ok('ListStreams', {}, { key: alice })).StreamNames, ['orders'])
  const { ShardIterator } = await f.ok('GetShardIterator', at, { key: root })
  assert.equal((await f.refused('GetRecords', { ShardIterator }, { key: alice }))[0], 'AccessDeniedException')
  await f.security.grants.add([{ ...grant, operation: 'read' }])
  await f.ok('GetRecords', { ShardIterator }, { key: alice })
  assert.equal((await f.refused('DeleteStream', { StreamName: 'orders' }, { key: alice }))[0], 'AccessDeniedException')
  await f.ok('DeleteStream', { StreamName: 'orders' }, { key: root })
  await new Promise((resolve) => setTimeout(resolve, 300))
  const partition = { topic: '_millrace_audit', index: 0 }
  const [chunk] = await f.log.reader().read([{ partition, offset: 0 as never }], { ms: 1_000 })
  assert.ok(chunk !== undefined && !('fault' in chunk))
  const entries = chunk.batches.flatMap((batch) =>
    [...decodeBatch(batch)].map(({ value }) => JSON.parse(Buffer.from(value!).toString())),
  )
  const ours = entries
    .filter(({ via }) => via === 'kinesis')
    .map(({ action, outcome, principal }) => `${principal} ${action} ${outcome}`)
  assert.ok(ours.includes('User:root CreateStream done'), ours.join())
  assert.ok(ours.includes('User:alice DeleteStream refused'))
  assert.ok(ours.includes('User:root DeleteStream done'))
})

test('encrypted, ALPN chooses between HTTP/1.1 and HTTP/2', async (t) => {
  const files = authority(temporaryFolder(t), 'ca').issue('server', '/CN=localhost')
  const f = await kinesis(t, { settings: { tlsCert: files.certFile, tlsKey: files.keyFile } })
  const body = '{}'
  const headers = { 'content-type': mediaTypes.json, 'x-amz-target': 'Kinesis_20131202.ListStreams' }
  const overOne = await new Promise<string>((resolve, reject) => {
    const options = { host: '127.0.0.1', port: f.port, method: 'POST', headers, rejectUnauthorized: false }
    const request = httpsRequest(options, (answer) => {
      answer.setEncoding('utf8')
      answer.on('data', (text: string) => resolve(text))
    })
    request.on('error', reject)
    request.end(body)
  })
  assert.match(overOne, /MissingAuthenticationTokenException/)
  const session = connect(`https://127.0.0.1:${f.port}`, { rejectUnauthorized: false })
  t.after(() => session.destroy())
  const overTwo = await new Promise<string>((resolve, reject) => {
    const stream = session.request({ ':method': 'POST', ':path': '/', ...headers })
    stream.setEncoding('utf8')
    stream.on('data', (text: string) => resolve(text))
    stream.on('error', reject)
    stream.end(body)
  })
  assert.match(overTwo, /MissingAuthenticationTokenException/)
  assert.equal(session.alpnProtocol, 'h2')
})

test('a web page of another origin is refused, and so is a name that was pointed here', async (t) => {
  const f = await kinesis(t, { settings: { httpOrigins: ['https://console.example'], httpHosts: ['stream.example'] } })
  const headers = { 'content-type': mediaTypes.json, 'x-amz-target': 'Kinesis_20131202.ListStreams' }
  const ask = async (more: Record<string, string>, method = 'POST'): Promise<[number, string | undefined]> => {
    const answer = await f.send({
      method,
      headers: { ...headers, ...more },
      ...(method === 'POST' ? { body: '{}' } : {}),
    })
    return [answer.status, answer.headers['access-control-allow-origin']]
  }
  assert.deepEqual(await ask({ origin: 'https://evil.example' }), [403, undefined])
  assert.deepEqual(await ask({ origin: 'https://evil.example' }, 'OPTIONS'), [403, undefined])
  assert.deepEqual(await ask({ origin: 'https://console.example' }), [400, 'https://console.example'])
  assert.deepEqual(await ask({ origin: 'https://console.example' }, 'OPTIONS'), [200, 'https://console.example'])
  assert.deepEqual(await ask({ host: 'rebound.example' }), [403, undefined])
  assert.deepEqual(await ask({ host: 'stream.example:4567' }), [400, undefined])
  const answer = await f.send({ headers: { ...headers, origin: '<script>' }, body: '{}' })
  assert.ok(!answer.bytes.toString().includes('<script>'))
})

test('topics that are kept for others are no streams', async (t) => {
  const f = await kinesis(t)
  for (const StreamName of ['_schemas', '_millrace_audit', '__consumer_offsets']) {
    assert.equal((await f.refused('CreateStream', { StreamName, ShardCount: 1 }))[0], 'ResourceInUseException')
    assert.equal((await f.refused('DeleteStream', { StreamName }))[0], 'ResourceNotFoundException')
  }
})

test('each operation is refused to who has no grant, and that is in the audit; lists are empty', async (t) => {
  const f = await kinesis(t)
  const { root, alice } = await given(f)
  await f.ok('CreateStream', { StreamName: 'orders', ShardCount: 1 }, { key: root })
  const StreamARN = 'arn:aws:kinesis:us-east-1:000000000000:stream/orders'
  await f.ok('RegisterStreamConsumer', { StreamARN, ConsumerName: 'con' }, { key: root })
  const { ConsumerDescription } = await f.ok(
    'DescribeStreamConsumer',
    { StreamARN, ConsumerName: 'con' },
    { key: root },
  )
  const { ConsumerARN } = ConsumerDescription
  const queue = { QueueName: 'q', StreamConfigurationList: [{ StreamARN }], QueueAttributes: {} }
  await f.ok('CreateQueue', queue, { key: root })
  const at = { StreamName: 'orders', ShardId: 'shardId-000000000000', ShardIteratorType: 'TRIM_HORIZON' }
  const { ShardIterator } = await f.ok('GetShardIterator', at, { key: root })
  // What some operation wants; each takes its own.
  const input = {
    ...{ ...queue, QueueName: 'q2', ...at, StreamARN, ShardIterator, ConsumerARN, ConsumerName: 'con', ShardCount: 1 },
    ...{
      PartitionKey: 'k',
      Data: 'eA==',
      Records: [{ PartitionKey: 'k', Data: 'eA==' }],
      Tags: { a: 'b' },
      TagKeys: ['a'],
    },
    ...{ ShardToSplit: at.ShardId, NewStartingHashKey: '100', ShardToMerge: at.ShardId },
    ...{ AdjacentShardToMerge: 'shardId-000000000001', TargetShardCount: 2, ScalingType: 'UNIFORM_SCALING' },
    ...{
      RetentionPeriodHours: 48,
      ResourceARN: StreamARN,
      Policy: '{}',
      StreamModeDetails: { StreamMode: 'PROVISIONED' },
    },
    ...{
      EncryptionType: 'KMS',
      KeyId: 'alias/aws/kinesis',
      ShardLevelMetrics: ['ALL'],
      StartingPosition: { Type: 'LATEST' },
    },
    ...{
      QueueARN: 'arn:aws:kinesis:us-east-1:000000000000:queue/q',
      MaxRecordSizeInKiB: 2_048,
      WarmThroughputMiBps: 1,
    },
    ...{ Entries: [{ ReceiptHandle: 'AAAA', VisibilityTimeoutSeconds: 1 }], RecordDistributionStrategy: 'AUTO' },
    MinimumThroughputBillingCommitment: { Status: 'ENABLED' },
  }
  const lists = new Set(['ListStreams', 'ListQueues', 'ListChannels'])
  const asked = operationNames.filter((name) => !name.endsWith('Channel'))
  for (const name of asked) {
    const { StreamARN: arn, ...rest } = input
    const own =
      name === 'ListShards'
        ? rest
        : name === 'CreateStream'
          ? { ...rest, StreamName: 'fresh' }
          : { ...rest, StreamARN: arn }
    const { status, body } = await f.call(name, own, { key: alice })
    if (lists.has(name)) assert.ok(status === 200 && !/orders|:q/.test(JSON.stringify(body)), name)
    else assert.equal(body.__type, 'AccessDeniedException', `${name}: ${JSON.stringify(body).slice(0, 200)}`)
    // The audit takes twenty refusals a second.
    await new Promise((resolve) => setTimeout(resolve, 60))
  }
  await new Promise((resolve) => setTimeout(resolve, 1_500))
  const partition = { topic: '_millrace_audit', index: 0 }
  const [chunk] = await f.log.reader().read([{ partition, offset: 0 as never }], { ms: 1_000 })
  assert.ok(chunk !== undefined && !('fault' in chunk))
  const entries = chunk.batches.flatMap((batch) =>
    [...decodeBatch(batch)].map(({ value }) => JSON.parse(Buffer.from(value!).toString()) as Record<string, string>),
  )
  const said = new Set(entries.map(({ principal, action, outcome }) => `${principal} ${action} ${outcome}`))
  for (const name of asked) if (!lists.has(name)) assert.ok(said.has(`User:alice ${name} refused`), name)
})
test('connections of an address have a quota', async (t) => {
  const f = await kinesis(t)
  const { root } = await given(f)
  await f.ok('ListStreams', {}, { key: root })
  await f.security.quotas.change([{ entity: { ip: '127.0.0.1' }, values: { connection_creation_rate: 1 } }])
  let refused = 0
  for (let i = 0; i < 30; i++) {
    const sent = { method: 'GET', headers: { connection: 'close' } }
    await f.send(sent).catch(() => refused++)
  }
  assert.ok(refused > 5 && refused < 30, `${refused} of 30 were refused`)
})
