/** The integration tests of kafka-python, unchanged, against Millrace. */
import assert from 'node:assert/strict'
import { after, before, test } from 'node:test'
import { join } from 'node:path'
import { execute, sharedTarget } from './kafka/target.ts'
import { kafkaPythonSuite } from './setup/index.ts'

const skip = process.env['MILLRACE_QUICK'] === '1' ? 'minutes long: only in the full form' : false
const target = sharedTarget({ before, after })
/** What fails against any broker that was not started by them. Each must fail, or it is taken off this list. */
const theirs: Readonly<Record<string, string>> = {
  test_create_partitions: 'wants a replica on a broker with the id 0',
  test_group: 'a session of 3 s, below group.min.session.timeout.ms as Kafka has it (6 s)',
  test_ssl_handshake: 'starts a broker, by files that are not published',
  test_legacy_kafka_client_ssl: 'starts a broker, by files that are not published',
}

test('kafka-python: test/integration', { skip, timeout: 570_000 }, async (t) => {
  const { folder, python } = await kafkaPythonSuite()
  // The brokers that they start themselves make topics with four partitions, and one test counts on it.
  const four = { method: 'PUT', headers: { 'content-type': 'application/json' }, body: '{"partitions":4}' }
  const made = await fetch(`http://${target().millrace!.http}/v1/topics/transactional_test_topic`, four)
  assert.equal(made.status, 201)
  const words = [
    '-W',
    'ignore',
    '-m',
    'pytest',
    'test/integration',
    '-q',
    '-rA',
    '--timeout',
    '120',
    '--show-capture=no',
  ]
  const env = {
    KAFKA_VERSION: '4.3.1',
    KAFKA_URI: `kafka://${target().address}`,
    KAFKA_ROOT: join(folder, '..', 'no-kafka'),
  }
  const { stdout } = await execute('env', ['-C', folder, python, ...words, '-p', 'no:cacheprovider'], {
    withinMs: 560_000,
    env,
  })
  const outcomes = [...stdout.matchAll(/^(PASSED|FAILED|ERROR) \S+::(\w+)(\S*)/gm)]
  for (const [, how, name, more] of outcomes) {
    const why = theirs[name!]
    if (why !== undefined) t.diagnostic(`${name}: ${how}: ${why}`)
    await t.test(`${name}${more}`, () => assert.equal(how === 'PASSED', why === undefined, stdout.slice(-4_000)))
  }
  for (const [line] of stdout.matchAll(/^SKIPPED .*/gm)) t.diagnostic(line)
  assert.ok(outcomes.length > 50, stdout.slice(-4_000))
})
