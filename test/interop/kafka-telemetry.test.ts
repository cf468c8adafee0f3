/** Client telemetry (KIP-714): Kafka's tools say what clients are asked for, and the Java client and librdkafka push it. */
import assert from 'node:assert/strict'
import { spawn } from 'node:child_process'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Ended, execute, freshName } from './kafka/target.ts'
import { kafkaTool, python, startMillrace } from './setup/index.ts'

async function until(holds: () => Promise<boolean>): Promise<void> {
  for (const end = performance.now() + 60_000; !(await holds()); await sleep(300))
    assert.ok(performance.now() < end, 'not within a minute')
}

test('kafka-client-metrics and kafka-configs; what Java and librdkafka push is at /metrics', async () => {
  await using millrace = await startMillrace()
  const tool = async (name: string, args: readonly string[], input?: string | readonly string[]): Promise<Ended> => {
    const [command, words] = await kafkaTool(name, '--bootstrap-server', millrace.kafka, ...args)
    const env = { JVM_OPTS: '-XX:TieredStopAtLevel=1' }
    return execute(command, words, { input: String(input ?? ''), withinMs: 90_000, env })
  }
  const ok = async (name: string, args: readonly string[]): Promise<string> => {
    const ended = await tool(name, args)
    assert.equal(ended.code, 0, `${name} ${args.join(' ')}\n${ended.stdout}${ended.stderr}`)
    return ended.stdout
  }
  const metrics = async (): Promise<string> => (await fetch(`http://${millrace.http}/metrics`)).text()
  const command = 'org.apache.kafka.tools.ClientMetricsCommand'
  const odd = await tool(command, ['--alter', '--name', 'odd', '--interval', '50'])
  assert.match(odd.stdout + odd.stderr, /from 100 to 3600000/)
  const entity = ['--entity-type', 'client-metrics', '--entity-name', 'fast']
  await ok('configs', ['--alter', ...entity, '--add-config', 'interval.ms=200,match=[client_software_name=no-such]'])
  assert.match(await ok('configs', ['--describe', ...entity]), /match=client_software_name=no-such/)
  const basic = ['--name', 'basic', '--metrics', 'org.apache.kafka.,librdkafka.', '--interval', '300']
  await ok(command, ['--alter', ...basic, '--match', 'client_id=.*telemetry.*'])
  assert.deepEqual((await ok(command, ['--list'])).trim().split('\n').toSorted(), ['basic', 'fast'])
  assert.match(await ok(command, ['--describe', '--name', 'basic']), /interval\.ms=300/)

  const topic = freshName('telemetry')
  await ok('topics', ['--create', '--topic', topic])
  const [program, words] = await kafkaTool('console-producer', '--bootstrap-server', millrace.kafka, '--topic', topic)
  const java = spawn(program, [...words, '--command-property', 'client.id=telemetry-java'], { stdio: 'pipe' })
  const gone = new Promise((resolve) => java.once('close', resolve))
  try {
    // It lives until its sends are in what it pushed.
    await until(async () => {
      java.stdin.write('line\n')
      return /^kafka_client_producer_record_send_total\{[^}]*client_id="telemetry-java"[^}]*\} [1-9]/m.test(
        await metrics(),
      )
    })
    const shown = await metrics()
    assert.match(
      shown,
      /^kafka_client_info\{client_instance_id="[^"]{36}",client_id="telemetry-java",software="apache-kafka-java",version="4/m,
    )
    assert.match(shown, /^kafka_client_producer_connection_creation_rate\{[^}]*client_id="telemetry-java"/m)
    assert.doesNotMatch(shown, /^millrace_kafka_errors_total\{api="PushTelemetry"/m)
  } finally {
    java.stdin.end()
    await gone
  }

  const rd = `
import sys, time
from confluent_kafka import Producer
p = Producer({'bootstrap.servers': sys.argv[1], 'client.id': 'telemetry-rd'})
for i in range(20):
    p.produce(sys.argv[2], b'x'); p.poll(0); time.sleep(0.3)
p.flush(10)
`
  const ended = await execute(await python(), ['-c', rd, millrace.kafka, topic], { input: '', withinMs: 60_000 })
  assert.equal(ended.code, 0, ended.stderr)
  assert.match(await metrics(), /^kafka_client_info\{[^}]*client_id="telemetry-rd",software="[^"]*rdkafka|confluent/m)
  assert.match(await metrics(), /client_id="telemetry-rd"[^}]*\} \d/)
  await ok(command, ['--delete', '--name', 'basic'])
  assert.equal((await ok(command, ['--list'])).trim(), 'fast')
})
