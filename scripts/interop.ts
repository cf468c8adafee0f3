/**
 * `npm run test:interop [-- --quick] [name…]`: installs the official clients and peers that are missing, then runs the
 * tests that talk to them or to a browser. Names narrow it to files whose path contains one. `--quick` reaches the tests
 * as MILLRACE_QUICK=1.
 */
import { spawnSync } from 'node:child_process'
import { globSync } from 'node:fs'
import { availableParallelism } from 'node:os'
import { kafkaDir, librdkafkaTests, need, python } from '../test/interop/setup/index.ts'

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

const args = [
  '--test',
  `--test-concurrency=${Math.min(2, availableParallelism())}`,
  '--test-timeout=600000',
  '--test-force-exit',
  ...files,
]
const env = { ...process.env, ...(words.includes('--quick') && { MILLRACE_QUICK: '1' }) }
const { status } = spawnSync(process.execPath, args, { stdio: 'inherit', env })
console.error(`interop: ${status === 0 ? 'passed' : 'FAILED'}, ${files.length} files in ${seconds()} s`)
process.exit(status ?? 1)

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
