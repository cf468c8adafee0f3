/** Access keys over HTTP: who may make them, where the secret is seen, and what goes with a user. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeBatch } from '../../src/log/batch.ts'
import { makeUser, platform } from './platform.ts'

const basic = (name: string): Record<string, string> => ({
  authorization: `Basic ${Buffer.from(`${name}:${name}-secret`).toString('base64')}`,
})

test('a secret is in the answer that makes it and in no other', async (t) => {
  const p = await platform(t)
  await makeUser(p, 'root', 'root-secret', true)
  await makeUser(p, 'alice', 'alice-secret')
  const call = (method: string, path: string, body?: unknown, who = 'root') =>
    fetch(`${p.http}${path}`, {
      method,
      headers: { ...basic(who), ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  const made = await call('POST', '/v1/access-keys', { user: 'alice' })
  assert.equal(made.status, 201)
  const key = (await made.json()) as { id: string; user: string; secret: string; created: string }
  assert.match(key.id, /^[A-Z2-7]{20}$/)
  assert.equal(Buffer.from(key.secret, 'base64').length, 32)
  assert.deepEqual(p.security.accessKeys.secret(key.id)?.secret, key.secret)

  const shown = { id: key.id, user: 'alice', created: key.created }
  assert.deepEqual(await (await call('GET', '/v1/access-keys')).json(), [shown])
  assert.deepEqual(await (await call('GET', `/v1/access-keys/${key.id}`)).json(), shown)

  assert.equal((await call('GET', '/v1/access-keys', undefined, 'alice')).status, 403)
  assert.equal((await call('POST', '/v1/access-keys', { user: 'alice' }, 'alice')).status, 403)

  const given = await call('POST', '/v1/access-keys', { user: 'alice', id: 'Root.Manage-1', secret: 'x'.repeat(16) })
  assert.equal(given.status, 201)
  assert.deepEqual(p.security.accessKeys.secret('Root.Manage-1'), { user: 'alice', secret: 'x'.repeat(16) })
  const refused = async (body: unknown, status: number, code: string): Promise<void> => {
    const answer = await call('POST', '/v1/access-keys', body)
    assert.deepEqual([answer.status, ((await answer.json()) as { code: string }).code], [status, code])
  }
  await refused({ user: 'alice', id: 'Root.Manage-1' }, 409, 'security.access-key-exists')
  await refused({ user: 'nobody' }, 404, 'security.unknown-user')
  await refused({ user: 'alice', id: 'a b' }, 400, 'security.unacceptable-credential')
  await refused({ user: 'alice', secret: 'short' }, 400, 'security.unacceptable-credential')
  await refused({ id: 'a' }, 400, 'http.invalid-body')
  await refused({ user: 'alice', more: 1 }, 400, 'http.invalid-body')

  assert.equal((await call('DELETE', `/v1/access-keys/${key.id}`)).status, 204)
  assert.equal((await call('DELETE', `/v1/access-keys/${key.id}`)).status, 404)
  assert.equal(p.security.accessKeys.secret(key.id), null)

  // The audit knows of the keys, not of the secrets.
  await new Promise((resolve) => setTimeout(resolve, 300))
  const partition = { topic: '_millrace_audit', index: 0 }
  const [chunk] = await p.log.reader().read([{ partition, offset: 0 as never }], { ms: 1_000 })
  assert.ok(chunk !== undefined && !('fault' in chunk))
  const text = chunk.batches.flatMap((batch) => [...decodeBatch(batch)].map(({ value }) => Buffer.from(value!))).join()
  assert.ok(text.includes(`access-key:${key.id} of user:alice`))
  assert.ok(text.includes(`access-key:${key.id} deleted`))
  assert.ok(!text.includes(key.secret) && !text.includes('x'.repeat(16)))
})

test('the keys of a user go with it, and do not come back with its name', async (t) => {
  const p = await platform(t)
  await makeUser(p, 'root', 'root-secret', true)
  await makeUser(p, 'bob', 'bob-secret')
  const first = await p.security.accessKeys.create({ user: 'bob' })
  await p.security.users.remove('bob')
  assert.equal(p.security.accessKeys.secret(first.id), null)
  await makeUser(p, 'bob', 'bob-secret')
  assert.equal(p.security.accessKeys.get(first.id), null)
  const second = await p.security.accessKeys.create({ user: 'bob' })
  // Its last credential is taken away: the same.
  await p.security.users.change([{ name: 'bob', scram: { 'SCRAM-SHA-256': null, 'SCRAM-SHA-512': null } }])
  assert.equal(p.security.accessKeys.get(second.id), null)
})
