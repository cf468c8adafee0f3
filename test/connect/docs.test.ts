import assert from 'node:assert/strict'
import { readFileSync } from 'node:fs'
import { test } from 'node:test'
import { withTables, withoutBlanks } from '../../scripts/connect-tables.ts'

test('the tables of docs/connect.md are those of the connectors', () => {
  const page = readFileSync('docs/connect.md', 'utf8')
  assert.equal(withoutBlanks(withTables(page)), withoutBlanks(page), 'run node scripts/connect-docs.ts && oxfmt .')
})
