/**
 * `npm run test:interop [-- --quick] [name…]`: installs the official clients and peers that are missing, then runs the
 * tests that talk to them or to a browser. Names narrow it to files whose path contains one. `--quick` reaches the tests
 * as MILLRACE_QUICK=1.
 */
import { globSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { kafkaDir, librdkafkaTests, need, python } from '../test/interop/setup/index.ts'
import { runTestFiles } from './test-files.ts'

const words = process.argv.slice(2)
const names = words.filter((word) => !word.startsWith('--'))
const unknown = words.filter((word) => word.startsWith('--') && word !== '--quick')
if (unknown.length > 0) fail(2, `unknown option ${unknown[0]}; known: --quick`)

const files = globSync(['test/interop/**/*.test.ts', 'test/**/*browser.test.ts'])
  .filter((file) => names.length === 0 || names.some((name) => file.includes(name)))
  .sort()
if (files.length === 0)
  fail(1, names.length === 0 ? 'no test file was found' : `no test file matches ${names.join(' ')}`)

const started = performance.now()
await setUp()
console.error(`set up in ${seconds()} s; running ${files.length} files`)

const quick = words.includes('--quick')
const passed = await runTestFiles(files, {
  concurrency: Math.min(2, availableParallelism()),
  testMs: 600_000,
  // The whole suites of other projects take long.
  fileMs: quick ? 660_000 : 7_200_000,
  env: { ...process.env, ...(quick && { MILLRACE_QUICK: '1' }) },
})
console.error(`interop: ${passed ? 'passed' : 'FAILED'}, ${files.length} files in ${seconds()} s`)
process.exit(passed ? 0 : 1)

/** All at the start, so that a test's time is its own and a missing peer is one clear message. */
async function setUp(): Promise<void> {
  try {
    await need('kcat', 'java', 'javac', 'mvn', 'python3', 'chromium')
    await Promise.all([python(), kafkaDir()])
    // Minutes of compiling, which no test has.
    if (!words.includes('--quick') && files.some((file) => file.includes('suite-librdkafka'))) await librdkafkaTests()
  } catch (error) {
    fail(1, error instanceof Error ? error.message : String(error))
  }
}

function seconds(): string {
  return ((performance.now() - started) / 1000).toFixed(1)
}

function fail(code: number, message: string): never {
  console.error(message)
  process.exit(code)
}
