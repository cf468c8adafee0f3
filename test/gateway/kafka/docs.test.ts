import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { handlers } from '../../../src/gateway/kafka/handlers/index.ts'

test('the page lists exactly what is offered', () => {
  const page = readFileSync(new URL('../../../docs/kafka.md', import.meta.url), 'utf8')
  const rows = [...page.matchAll(/^\| (\d+) +\| (\w+) +\| ([\d–]+) +\|/gm)].map(([, key, name, versions]) => [
    Number(key),
    name,
    versions,
  ])
  assert.ok(rows.length > 20, 'the table was not found')
  assert.deepEqual(
    rows,
    handlers.map(({ api, versions: [first, last] }) => [
      api.key,
      api.name,
      first === last ? String(first) : `${first}–${last}`,
    ]),
  )
})
