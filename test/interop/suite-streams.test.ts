/**
 * Kafka Streams' own smoke test (`StreamsSmokeTest` of its published tests: joins, windows, suppression, aggregates) with
 * exactly-once v2. Its driver writes numbers for half a minute, reads what the application makes of them, and verifies it.
 */
import assert from 'node:assert/strict'
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { execute } from './kafka/target.ts'
import { freePorts, kafkaSuites, startMillrace } from './setup/index.ts'

const skip = process.env['MILLRACE_QUICK'] === '1' ? 'minutes long: only in the full form' : false
const made = [
  'echo',
  'max',
  'min',
  'min-suppressed',
  'min-raw',
  'dif',
  'sum',
  'sws-raw',
  'sws-suppressed',
  'cnt',
  'avg',
]
const topics = ['data', 'fk', 'tagg', ...made]
const program = 'org.apache.kafka.streams.tests.StreamsSmokeTest'
const withinMs = 420_000

for (const killed of ['nothing', 'the application', 'Millrace'])
  test(
    `Kafka Streams' smoke test, kill -9 of ${killed} in the middle`,
    { skip, timeout: withinMs + 60_000 },
    async () => {
      const folder = mkdtempSync(join(tmpdir(), 'streams-'))
      const [port] = await freePorts()
      const start = { data: join(folder, 'data'), kafka: `127.0.0.1:${port}` }
      let millrace = await startMillrace(start)
      let application: ChildProcess | null = null
      try {
        for (const topic of topics) {
          const body = { method: 'PUT', headers: { 'content-type': 'application/json' }, body: '{"partitions":5}' }
          assert.equal((await fetch(`http://${millrace.http}/v1/topics/${topic}`, body)).status, 201)
        }
        const settings = join(folder, 'smoke.properties')
        writeFileSync(
          settings,
          `bootstrap.servers=${millrace.kafka}\nprocessing.guarantee=exactly_once_v2\nstate.dir=${join(folder, 'state')}\n`,
        )
        const [java, words] = await kafkaSuites()
        const begin = (): ChildProcess => spawn(java, [...words, program, settings, 'process'], { stdio: 'ignore' })
        application = begin()
        const driver = execute(java, [...words, program, settings, 'run'], { withinMs })
        await sleep(killed === 'nothing' ? 0 : 25_000)
        if (killed === 'the application') {
          application.kill('SIGKILL')
          application = begin()
        }
        if (killed === 'Millrace') {
          await millrace.kill('SIGKILL')
          millrace = await startMillrace(start)
        }
        const { code, stdout, stderr } = await driver
        assert.match(stdout, /^SUCCESS/m, `${stdout.slice(-3_000)}${stderr.slice(-3_000)}`)
        assert.equal(code, 0)
      } finally {
        application?.kill('SIGKILL')
        await millrace[Symbol.asyncDispose]()
        rmSync(folder, { recursive: true, force: true })
      }
    },
  )

test('what the goldens of `test/dsl/streams` say is what Kafka Streams makes of their events', { skip }, async () => {
  const folder = join(import.meta.dirname, '../dsl/streams')
  const [java, words] = await kafkaSuites()
  const { code, stdout, stderr } = await execute(
    java,
    [...words, join(folder, 'Goldens.java'), join(folder, 'events.tsv')],
    { withinMs },
  )
  assert.equal(code, 0, stderr.slice(-3_000))
  assert.equal(stdout, readFileSync(join(folder, 'goldens.tsv'), 'utf8'))
})
