/** Every test that docs/guarantees.md names is there. */
import assert from 'node:assert/strict'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { test } from 'node:test'

const root = join(import.meta.dirname, '../..')
const page = readFileSync(join(root, 'docs/guarantees.md'), 'utf8')
const rows = page.split('\n').filter((line) => line.startsWith('| ') && !/^\| (promise|-)/.test(line))
const cases = globSync('test/faults/cases/*.ts', { cwd: root }).map((file) => readFileSync(join(root, file), 'utf8'))

test('every promise names a test', () => {
  assert.ok(rows.length > 30)
  for (const row of rows) assert.match(row.split('|')[2]!, /`faults: |`test\/\S+` “/, row)
})
for (const [, file, name] of page.matchAll(/`(test\/\S+\.test\.ts)` “([^”]+)”/g))
  test(`${file}: ${name}`, () => assert.ok(readFileSync(join(root, file!), 'utf8').includes(name!)))
for (const [, name] of page.matchAll(/`faults: ([a-z-]+)`/g))
  test(`a case of faults: ${name}`, () =>
    assert.ok(
      cases.some((text) => text.includes(`'${name}'`) || text.includes(`\`${name!.replace(/-(xfs|ext4)$/, '')}-`)),
    ))
