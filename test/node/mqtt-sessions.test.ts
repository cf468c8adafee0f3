/** Sessions of MQTT through the HTTP interface and the command line: who may, what the audit says, pages. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import mqtt from 'mqtt'
import type { MqttSessionDetail, MqttSessionPage } from '../../src/gateway/http/api.ts'
import { decodeBatch } from '../../src/log/batch.ts'
import { millraceAt } from '../cli/run.ts'
import { until } from '../connect/millraces.ts'
import { type Platform, makeUser, platform } from '../security/platform.ts'

const listen = ['kafka=127.0.0.1:0', 'http=127.0.0.1:0', 'mqtt=127.0.0.1:0']
async function audited({ log }: Platform): Promise<Record<string, unknown>[]> {
  const partition = { topic: '_millrace_audit', index: 0 }
  const [chunk] = await log.reader().read([{ partition, offset: 0 as never }], { ms: 0 })
  if (chunk === undefined || 'fault' in chunk) return []
  const records = chunk.batches.flatMap((batch) => [...decodeBatch(batch)])
  return records.map(({ value }) => JSON.parse(Buffer.from(value!).toString()) as Record<string, unknown>)
}

test('sessions are listed page by page, shown and ended, whatever the identifier looks like', async (t) => {
  const p = await platform(t, { listen })
  const url = `mqtt://${p.listening().mqtt}`
  const odd = 'floor/2 #ü?'
  for (const clientId of ['a', 'b', odd]) {
    const client = await mqtt.connectAsync(url, { clientId, clean: false, reconnectPeriod: 0 })
    await client.subscribeAsync('plant/#', { qos: 1 })
    if (clientId !== 'b') await client.endAsync()
    else t.after(() => client.endAsync(true))
  }
  const get = async <T>(path: string): Promise<T> => (await (await fetch(p.http + path)).json()) as T
  const first = await get<MqttSessionPage>('/v1/mqtt-sessions?limit=2')
  assert.deepEqual([first.sessions.map(({ client }) => client), first.next], [['a', 'b'], 'b'])
  const rest = await get<MqttSessionPage>('/v1/mqtt-sessions?limit=2&after=b')
  assert.deepEqual([rest.sessions.map(({ client }) => client), rest.next], [[odd], null])
  const there = await get<MqttSessionPage>('/v1/mqtt-sessions?connected=true')
  assert.deepEqual(
    there.sessions.map(({ client }) => client),
    ['b'],
  )
  assert.equal((await fetch(`${p.http}/v1/mqtt-sessions?limit=0`)).status, 400)

  const path = `/v1/mqtt-sessions/${encodeURIComponent(odd)}`
  assert.deepEqual((await get<MqttSessionDetail>(path)).filters, [{ filter: 'plant/#', qos: 1 }])
  assert.equal((await fetch(p.http + path, { method: 'DELETE' })).status, 204)
  const gone = await fetch(p.http + path)
  assert.deepEqual([gone.status, ((await gone.json()) as { code: string }).code], [404, 'mqtt.unknown-session'])

  const millrace = millraceAt(p.http)
  const list = await millrace('mqtt-session', 'list', '--limit', '1')
  assert.match(list.stdout, /^CLIENT +USER +VERSION.*\na +ANONYMOUS +3\.1\.1 /)
  assert.equal(list.stderr, 'There are more: --after "a"\n')
  assert.equal((await millrace('mqtt-session', 'list', '--away', '--connected')).code, 2)
  assert.equal((await millrace('mqtt-session', 'end', 'a')).code, 2)
  assert.equal((await millrace('mqtt-session', 'end', 'a', '--yes')).code, 0)
  assert.equal((await millrace('mqtt-session', 'show', 'a')).code, 3)
  assert.equal((await millrace('mqtt-session', 'show', 'b')).code, 0)
})

test('listing wants describe and ending alter on the cluster, and the audit says who ended what', async (t) => {
  const p = await platform(t, { listen })
  const client = await mqtt.connectAsync(`mqtt://${p.listening().mqtt}`, { clientId: 'till', clean: false })
  t.after(() => client.endAsync(true))
  await makeUser(p, 'root', 'x', true)
  await makeUser(p, 'guest', 'x')
  await p.security.grants.add([
    {
      ...{ resource: 'cluster', pattern: 'literal', name: 'kafka-cluster', principal: 'User:guest', host: '*' },
      ...{ operation: 'describe', permission: 'allow' },
    },
  ])
  const ask = async (user: string, method: string, path = '/till'): Promise<number> => {
    const authorization = `Basic ${Buffer.from(`${user}:x`).toString('base64')}`
    return (await fetch(`${p.http}/v1/mqtt-sessions${path}`, { method, headers: { authorization } })).status
  }
  assert.equal((await fetch(`${p.http}/v1/mqtt-sessions`)).status, 401)
  assert.equal(await ask('guest', 'GET', ''), 200)
  assert.equal(await ask('guest', 'DELETE'), 403)
  assert.equal(await ask('root', 'DELETE'), 204)
  const entries = async (): Promise<Record<string, unknown>[]> =>
    (await audited(p)).filter(({ action }) => action === 'endMqttSession')
  await until('it is noted', async () => (await entries()).length === 2)
  const found = await entries()
  assert.deepEqual(
    found.map(({ outcome, changes }) => [outcome, changes]),
    [
      ['refused', undefined],
      ['done', ['mqtt-session:till ended']],
    ],
  )
})

test('where MQTT does not listen there are no sessions', async (t) => {
  const p = await platform(t)
  const answer = await fetch(`${p.http}/v1/mqtt-sessions`)
  assert.deepEqual(await answer.json(), { sessions: [], next: null })
  assert.equal((await fetch(`${p.http}/v1/mqtt-sessions/x`, { method: 'DELETE' })).status, 404)
})
