/**
 * Runs every test that needs only Node: all of test/ but the suites that need official clients, real peers or a browser
 * (`npm run test:interop`) and the fault injection (`npm run test:faults`). Words narrow it to paths that contain them.
 */
import { spawnSync } from 'node:child_process'
import { globSync } from 'node:fs'
import { availableParallelism } from 'node:os'

const elsewhere = /^test\/(interop|faults)\/|browser\.test\.ts$/
const words = process.argv.slice(2)
const files = globSync(['test/**/*.test.ts', 'examples/**/*.test.ts'])
  .filter((file) => !file.includes('node_modules') && !elsewhere.test(file))
  .filter((file) => words.length === 0 || words.some((word) => file.includes(word)))
  .sort()
if (files.length === 0) {
  console.error('no test file was found')
  process.exit(1)
}
const args = [
  '--import',
  import.meta.resolve('./source-of-millrace.mjs'),
  '--test',
  `--test-concurrency=${availableParallelism()}`,
  '--test-timeout=300000',
  // The time-out is that of a test, not of a file: what a client of others has left open would keep its file running for ever.
  '--test-force-exit',
  ...files,
]
process.exit(spawnSync(process.execPath, args, { stdio: 'inherit' }).status ?? 1)
