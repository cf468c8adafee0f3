/**
 * Writes docs/errors: a page for each code of the fault table, and an index. With --check says what differs and exits 1.
 */
import { existsSync, globSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { errorPages } from './error-pages.ts'

const check = process.argv.includes('--check')
const pages = errorPages()
const stale = globSync('docs/errors/*.md').filter((path) => !pages.has(path))
const different = [...pages]
  .filter(([path, text]) => !existsSync(path) || readFileSync(path, 'utf8') !== text)
  .map(([path]) => path)

if (check) {
  for (const path of [...stale, ...different])
    console.error(`${path} differs from the fault table: run node scripts/errors.ts`)
  process.exit(stale.length + different.length === 0 ? 0 : 1)
}
mkdirSync('docs/errors', { recursive: true })
for (const path of stale) rmSync(path)
for (const [path, text] of pages) writeFileSync(path, text)
