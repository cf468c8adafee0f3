/** Who may make connectors, and what the audit keeps of it. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { decodeBatch } from '../../src/log/batch.ts'
import { makeUser, platform } from './platform.ts'

const basic = (name: string): Record<string, string> => ({
  authorization: `Basic ${Buffer.from(`${name}:${name}-secret`).toString('base64')}`,
})

test('only who may alter the cluster makes connectors; the audit names settings, and no value of one', async (t) => {
  const p = await platform(t)
  await makeUser(p, 'root', 'root-secret', true)
  await makeUser(p, 'alice', 'alice-secret')
  const call = (method: string, path: string, who: string, body?: unknown) =>
    fetch(`${p.http}${path}`, {
      method,
      headers: { ...basic(who), ...(body === undefined ? {} : { 'content-type': 'application/json' }) },
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    })
  const settings = { url: 'mqtt://127.0.0.1:9', topics: 'a', username: 'u', password: 'hunter2-hunter2' }
  const connector = { kind: 'mqtt', direction: 'source', settings }
  const sql = `CREATE SOURCE b FROM mqtt WITH (url = 'mqtt://127.0.0.1:9', topics = 'a')`
  for (const [method, path, body] of [
    ['GET', '/v1/connectors'],
    ['PUT', '/v1/connectors/a', connector],
    ['PATCH', '/v1/connectors/a', { paused: true }],
    ['DELETE', '/v1/connectors/a'],
    ['POST', '/v1/sql', { sql }],
    ['POST', '/v1/sql', { sql: 'SHOW CONNECTORS' }],
  ] as const)
    assert.equal((await call(method, path, 'alice', body)).status, 403, `${method} ${path}`)
  assert.equal((await call('PUT', '/v1/connectors/a', 'root', connector)).status, 201)
  assert.equal((await call('POST', '/v1/sql', 'root', { sql })).status, 200)
  assert.equal((await call('PATCH', '/v1/connectors/a', 'root', { paused: true })).status, 200)
  assert.equal((await call('DELETE', '/v1/connectors/b', 'root')).status, 204)

  const partition = { topic: '_millrace_audit', index: 0 }
  const notes: { action: string; outcome: string; changes?: readonly string[] }[] = []
  let whole = ''
  for (let tries = 0; tries < 100 && !notes.some(({ action }) => action === 'deleteConnector'); tries++) {
    await new Promise((resolve) => setTimeout(resolve, 50))
    notes.length = 0
    const [bounds] = await p.log.bounds([partition])
    const [chunk] = await p.log.reader().read([{ partition, offset: bounds!.start }], { ms: 0 })
    if (chunk === undefined || 'fault' in chunk) continue
    for (const batch of chunk.batches)
      for (const { value } of decodeBatch(batch)) {
        const text = Buffer.from(value ?? []).toString()
        whole += text
        notes.push(JSON.parse(text) as (typeof notes)[number])
      }
  }
  const made = notes.find(({ action, outcome }) => action === 'createConnector' && outcome === 'done')
  assert.deepEqual(made?.changes, [
    'connector:a source mqtt',
    'connector:a url',
    'connector:a topics',
    'connector:a username',
    'connector:a password',
  ])
  assert.ok(notes.some(({ action, outcome }) => action === 'createConnector' && outcome === 'refused'))
  assert.deepEqual(notes.find(({ action }) => action === 'changeConnector')?.outcome, 'refused')
  assert.ok(!whole.includes('hunter2'))
})
