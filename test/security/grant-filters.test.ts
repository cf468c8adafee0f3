/** Grants are deleted by many filters at once: filter by filter those that `find` gives, however the filter names them. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import type { Grant, GrantFilter } from '../../src/security/grants.ts'
import { platform } from './platform.ts'

const any: GrantFilter = {
  resource: null,
  pattern: null,
  name: null,
  principal: null,
  host: null,
  operation: null,
  permission: null,
}
const grant = (name: string, pattern: Grant['pattern'] = 'literal', resource: Grant['resource'] = 'topic'): Grant => ({
  resource,
  pattern,
  name,
  principal: 'User:alice',
  host: '*',
  operation: 'read',
  permission: 'allow',
})

test('what filters find is what they delete', async (t) => {
  const { security } = await platform(t)
  const { grants } = security
  const all = [grant('a'), grant('a', 'prefixed'), grant('ab'), grant('*'), grant('a', 'literal', 'group'), grant('zz')]
  await grants.add(all)
  const filters: GrantFilter[] = [
    { ...any, name: 'a' },
    { ...any, name: 'abc', pattern: 'match' },
    { ...any, name: 'ab', pattern: 'literal', resource: 'topic' },
    { ...any, name: 'none' },
    { ...any, resource: 'group' },
  ]
  const wanted = filters.map((filter) => grants.find(filter))
  assert.deepEqual(
    wanted.map((found) => found.length),
    [3, 2, 1, 0, 1],
  )
  assert.deepEqual(await grants.remove(filters), wanted)
  assert.deepEqual(grants.find(any), [grant('zz')])
})
