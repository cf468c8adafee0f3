/**
 * Runs the regression tests of librdkafka (C and C++), unchanged, in their quick mode. Left out are those that want no
 * broker (they talk to a mock of librdkafka's own), and those that their authors mark as manual or failing.
 *
 * Each number is a process of its own: there a test that takes too long ends whatever runs beside it.
 */
import assert from 'node:assert/strict'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { type TestContext, test } from 'node:test'
import { stripVTControlCharacters } from 'node:util'
import {
  type LibrdkafkaTests,
  type Millrace,
  kafkaScripts,
  kafkaVersion,
  librdkafkaTests,
  librdkafkaVersion,
} from '../setup/index.ts'
import { execute, startTarget } from './target.ts'

export interface LibrdkafkaRun {
  readonly title: string
  readonly scenario: 'default' | 'noautocreate'
  /** The protocol of consumer groups. */
  readonly groups: 'classic' | 'consumer'
  /** Of Millrace. */
  readonly start: readonly string[]
  /** Their numbers. */
  chosen(suite: LibrdkafkaTests): readonly string[]
  prepare?(millrace: Millrace): Promise<void>
}
/** Their clusters have four partitions in a topic that nobody describes, and let everybody do everything. */
export const asTheirs: readonly string[] = ['--kafka-partitions', '4', '--super-users', 'User:ANONYMOUS']
/** These write down ACLs and look whether they are kept to. */
export const ofAcls: readonly string[] = ['0109', '0115', '0119']

/** What fails against Apache Kafka 4.3.1 on one node too. Each must fail, or it is taken off this list. */
const theirs: Readonly<Record<string, string>> = {
  '0098_consumer_txn': 'three replicas',
  '0101_fetch_from_follower': 'three replicas',
  '0103_transactions': 'three replicas',
  '0107_topic_recreate': 'three replicas',
  '0111_delay_create_topics': 'three replicas',
}
const skip = process.env['MILLRACE_QUICK'] === '1' ? 'minutes long: only in the full form' : false
const atOnce = 4
const withinMs = 400_000

export function testLibrdkafka(run: LibrdkafkaRun): void {
  test(`librdkafka ${librdkafkaVersion}: ${run.title}`, { skip, timeout: 570_000 }, async (t) => {
    const temporary = mkdtempSync(join(tmpdir(), 'librdkafka-'))
    t.after(() => rmSync(temporary, { recursive: true, force: true }))
    const suite = await librdkafkaTests()
    await kafkaScripts(temporary)
    await using target = await startTarget({ args: run.start })
    if (target.millrace !== null) await run.prepare?.(target.millrace)
    await all(t, run, { suite, temporary, address: target.address })
  })
}

async function all(
  t: TestContext,
  run: LibrdkafkaRun,
  at: { suite: LibrdkafkaTests; temporary: string; address: string },
): Promise<void> {
  const { suite, temporary, address } = at
  const settings = join(temporary, 'test.conf')
  writeFileSync(settings, `bootstrap.servers=${address}\ntest.timeout.multiplier=4\n`)
  const env = {
    BROKERS: address,
    JVM_OPTS: '-XX:TieredStopAtLevel=1 -Xshare:auto',
    KAFKA_PATH: temporary,
    LD_LIBRARY_PATH: '../src:../src-cpp',
    RDKAFKA_TEST_CONF: settings,
    TEST_CONSUMER_GROUP_PROTOCOL: run.groups,
    TEST_KAFKA_VERSION: kafkaVersion,
  }
  const only = process.env['LIBRDKAFKA_TESTS']?.split(',')
  const waiting = run
    .chosen(suite)
    .filter((number) => only?.includes(number) ?? true)
    .values()
  let passed = 0
  const ran = async (number: string): Promise<{ said: string; found: Outcome[] }> => {
    const words = ['-C', suite.folder, './test-runner', '-L', '-Q', '-p1', '-s', run.scenario]
    const said = await execute('env', words, { withinMs, env: { ...env, TESTS: number } }).then(
      ({ stdout, stderr }) => stripVTControlCharacters(stderr + stdout),
      (error: Error) => stripVTControlCharacters(error.message),
    )
    return { said, found: outcomes(said) }
  }
  const isAsExpected = ({ name, how }: Outcome): boolean =>
    how === 'SKIPPED' || (how === 'PASSED') === (theirs[name] === undefined)
  const judge = async (number: string, { said, found }: { said: string; found: Outcome[] }): Promise<void> => {
    if (found.length === 0) await t.test(number, () => assert.fail(`it ran no test\n${said.slice(-2_000)}`))
    for (const outcome of found) {
      const { name, how, why } = outcome
      const expected = theirs[name]
      if (how === 'PASSED') passed++
      if (how === 'SKIPPED') t.diagnostic(`${name} skips itself: ${why}`)
      else if (expected !== undefined) t.diagnostic(`${name}: ${how}: ${expected}`)
      if (how !== 'SKIPPED') await t.test(name, () => assert.ok(isAsExpected(outcome), `${why}\n${said.slice(-4_000)}`))
    }
  }
  // Some of them measure how far the client comes in a given time: what fails beside others is judged alone.
  const again: string[] = []
  const worker = async (): Promise<void> => {
    for (const number of waiting) {
      const result = await ran(number)
      const wrong = result.found.find((outcome) => !isAsExpected(outcome))
      if (wrong === undefined) await judge(number, result)
      else {
        t.diagnostic(`${wrong.name} runs again, alone: ${wrong.why}`)
        again.push(number)
      }
    }
  }
  await Promise.all(Array.from({ length: atOnce }, worker))
  for (const number of again) await judge(number, await ran(number))
  t.diagnostic(`${passed} of their tests passed`)
}

interface Outcome {
  readonly name: string
  readonly how: 'PASSED' | 'FAILED' | 'SKIPPED'
  readonly why: string
}
/** What the tests of one process say of themselves. */
function outcomes(said: string): Outcome[] {
  const found = new Map<string, Outcome>()
  for (const [, name] of said.matchAll(/=== Running test (\w+) ===/g))
    found.set(name!, { name: name!, how: 'FAILED', why: 'it did not end' })
  for (const [, name, how] of said.matchAll(/=== Test (\w+) (PASSED|FAILED|SKIPPED) ===/g))
    found.set(name!, { name: name!, how: how as Outcome['how'], why: reason(said, name!) })
  for (const [, name, why] of said.matchAll(/^### Test "(\w+)[^"]*" failed at .*: ###\n(.*)/gm))
    if (found.has(name!)) found.set(name!, { name: name!, how: 'FAILED', why: why! })
  return [...found.values()]
}
const reason = (said: string, name: string): string =>
  new RegExp(`^\\[${name} .*SKIPPING TEST: ([^[\\n]*)`, 'm').exec(said)?.[1] ?? ''
