/** Savepoints and changed queries over HTTP, against the whole program. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { platform } from '../../security/platform.ts'

interface Answer {
  readonly status: number
  readonly json: Json
}
// Tests look into what came back as they please.
// oxlint-disable-next-line typescript/no-explicit-any
type Json = any

test('a savepoint is made, listed, gone back to and deleted; a changed query says what becomes of the view', async (t) => {
  const { http } = await platform(t)
  const call = async (method: string, path: string, body?: unknown): Promise<Answer> => {
    const init =
      body === undefined ? {} : { body: JSON.stringify(body), headers: { 'content-type': 'application/json' } }
    const answer = await fetch(`${http}${path}`, { method, ...init })
    const text = await answer.text()
    return { status: answer.status, json: text === '' ? null : JSON.parse(text) }
  }
  const sql = async (text: string): Promise<Json> => {
    const { status, json } = await call('POST', '/v1/sql', { sql: text })
    assert.equal(status, 200, JSON.stringify(json))
    return json
  }
  await sql(`CREATE STREAM s (k text, n int) WITH (topic = 's'); INSERT INTO s VALUES ('a', 1), ('b', 2);
    CREATE MATERIALIZED VIEW v AS SELECT k, sum(n) AS x FROM s GROUP BY k; FLUSH`)
  const made = await call('PUT', '/v1/savepoints/one', { view: 'v' })
  assert.equal(made.status, 201)
  assert.deepEqual(
    [made.json.name, made.json.view, made.json.operators, made.json.positions],
    ['one', 'v', [{ kind: 'aggregate', label: 'sum by k', rows: 2 }], [{ topic: 's', partition: 0, offset: 2 }]],
  )
  assert.deepEqual((await call('GET', '/v1/savepoints')).json, [made.json])
  assert.equal((await call('PUT', '/v1/savepoints/one', { view: 'v' })).status, 409)
  assert.equal((await call('PUT', '/v1/savepoints/two', { view: 'nothing' })).status, 404)
  assert.equal((await call('PUT', '/v1/savepoints/two', {})).status, 400)
  assert.equal((await call('PUT', `/v1/savepoints/${encodeURIComponent('no/name')}`, { view: 'v' })).status, 400)
  await sql(`INSERT INTO s VALUES ('a', 10); FLUSH`)
  const back = await sql(`CREATE OR REPLACE MATERIALIZED VIEW v AS SELECT k, sum(n) * 2 AS x FROM s GROUP BY k
    START FROM SAVEPOINT one`)
  assert.deepEqual(back.notices.slice(1, 2), ['  keeps: aggregate sum by k'])
  await sql('FLUSH')
  assert.deepEqual((await sql('SELECT * FROM v ORDER BY k')).rows, [
    ['a', 22],
    ['b', 4],
  ])
  assert.equal((await call('DELETE', '/v1/savepoints/one')).status, 204)
  assert.equal((await call('DELETE', '/v1/savepoints/one')).status, 404)
  assert.deepEqual((await call('GET', '/v1/savepoints')).json, [])
})
