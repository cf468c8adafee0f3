import assert from 'node:assert/strict'
import { existsSync, globSync, readFileSync } from 'node:fs'
import { test } from 'node:test'
import { errorPages } from '../../scripts/error-pages.ts'

test('every fault has its page in docs/errors, and every page its fault', () => {
  const pages = errorPages()
  assert.ok(pages.size > 20)
  const missing = [...pages].filter(([path, text]) => !existsSync(path) || readFileSync(path, 'utf8') !== text)
  assert.deepEqual(
    missing.map(([path]) => path),
    [],
    'run node scripts/errors.ts',
  )
  assert.deepEqual(
    globSync('docs/errors/*.md').filter((path) => !pages.has(path)),
    [],
  )
})
