/**
 * Runs every test that needs only Node: all of test/ but the suites that need official clients, real peers or a browser
 * (`npm run test:interop`) and the fault injection (`npm run test:faults`). Words narrow it to paths that contain them.
 */
import { globSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { runTestFiles } from './test-files.ts'

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
const passed = await runTestFiles(files, {
  concurrency: availableParallelism(),
  testMs: 300_000,
  fileMs: 480_000,
  nodeArgs: ['--import', import.meta.resolve('./source-of-millrace.mjs')],
})
process.exit(passed ? 0 : 1)
