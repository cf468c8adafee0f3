/** What a cluster is asked for at the start. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { Fault } from '../../../src/lib/fault.ts'
import { neededApis, requireAll } from '../../../src/log/cluster/net/requirements.ts'
import { Versions } from '../../../src/log/cluster/net/versions.ts'

const all = neededApis.map(({ key, versions: [, maxVersion] }) => ({ apiKey: key, minVersion: 0, maxVersion }))
const features = [{ name: 'transaction.version', maxVersionLevel: 2 }]
const says = (apis: typeof all, of: typeof features) => {
  try {
    requireAll(new Versions(apis, of))
    return null
  } catch (error) {
    assert.ok(error instanceof Fault && error.code === 'cluster.too-old')
    return error.message
  }
}

test('a cluster that has everything is taken; what is missing is said by name', () => {
  assert.equal(says(all, features), null)
  const without = (key: number) => all.filter(({ apiKey }) => apiKey !== key)
  assert.match(says(without(26), features)!, /EndTxn is not offered/)
  const oldEnd = [...without(26), { apiKey: 26, minVersion: 0, maxVersion: 4 }]
  assert.match(says(oldEnd, features)!, /EndTxn is offered in versions 0 to 4, needed is 5/)
  assert.match(says(all, [])!, /transaction\.version is 0, needed is 2/)
})

test('every message that the client sends is among what is needed', () => {
  const sent = new Set<string>()
  for (const file of globSync('src/log/cluster/**/*.ts')) {
    if (file.endsWith('requirements.ts')) continue
    for (const [, name] of readFileSync(file, 'utf8').matchAll(/import \{ (\w+)Api \}/g)) sent.add(name!.toLowerCase())
  }
  // Part of every connection, before anything is asked.
  for (const name of ['apiversions', 'saslhandshake', 'saslauthenticate']) sent.delete(name)
  assert.ok(sent.size > 20)
  assert.deepEqual([...sent].sort(), neededApis.map(({ name }) => name.toLowerCase()).sort())
})
