/** Clients that do not take their answers: what that costs is bounded, and who pays is the one who takes nothing. */
import assert from 'node:assert/strict'
import { type TestContext, test } from 'node:test'
import { listenKafka } from '../../../src/gateway/kafka/index.ts'
import { limits } from '../../../src/lib/limits.ts'
import { realWorld } from '../../../src/lib/real/world.ts'
import { apiVersionsApi } from '../../../src/wire/kafka/messages/18-api-versions.ts'
import { fakeBroker } from './fake-broker.ts'
import { HandClock, type MemoryConnection, MemoryNet } from './memory-net.ts'
import { requestFrame } from './wire-client.ts'

const frame = requestFrame(apiVersionsApi, 0, 1, { clientSoftwareName: '', clientSoftwareVersion: '' })

async function start(t: TestContext) {
  const [net, clock] = [new MemoryNet(), new HandClock()]
  const world = { net: net.asNet, clock, random: realWorld().random }
  const listener = await listenKafka({ world, broker: fakeBroker(), at: { host: '127.0.0.1', port: 9092 } })
  t.after(async () => {
    const closed = listener.close()
    clock.advance(60_000)
    await closed
  })
  /** A client that asks once, and owes so many bytes of answers then. */
  const owing = async (bytes: number, connection = net.connect()): Promise<MemoryConnection> => {
    connection.backlogBytes = bytes
    const before = connection.written.length
    connection.send(frame)
    for (let i = 0; connection.written.length === before && connection.open && i < 100; i++)
      await new Promise((resolve) => setImmediate(resolve))
    return connection
  }
  return { clock, owing }
}

test('a client that takes nothing of a small answer is let go as well; one that takes some stays', async (t) => {
  const { clock, owing } = await start(t)
  const [silent, slow] = [await owing(1000), await owing(1_000_000)]
  for (let ms = 0; ms <= limits.kafkaStalledMs + 5_000; ms += 5_000) {
    slow.backlogBytes -= 1_000
    clock.advance(5_000)
  }
  assert.deepEqual([silent.open, slow.open], [false, true])
})

test('when all together owe too much, whoever has taken nothing for longest is cut off, and nobody else', async (t) => {
  const { clock, owing } = await start(t)
  const part = limits.kafkaOwedBytes / 4
  const moving = await owing(part)
  const [still, other] = [await owing(part), await owing(part)]
  clock.advance(5_000)
  moving.backlogBytes -= 10
  other.backlogBytes -= 10
  clock.advance(1_000)
  const late = await owing(part)
  assert.deepEqual([moving.open, still.open, other.open, late.open], [true, true, true, true])
  const last = await owing(100_000)
  assert.deepEqual(
    [moving.open, still.open, other.open, late.open, last.open],
    [true, false, true, true, true],
    'the one that stood still',
  )
})
