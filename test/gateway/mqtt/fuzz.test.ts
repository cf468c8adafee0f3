/** Mutated packets, without sockets; `npm run test:faults -- mqtt-frames` sends more of them to a process. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { connectPacket, mqttSeeds, wrong } from '../../faults/mqtt-seeds.ts'
import { randomFrom } from '../../faults/case.ts'
import { MemoryNet } from '../kafka/memory-net.ts'
import { broker, memoryWorld, quiet } from './fixture.ts'

const count = 20_000
const ofConnection = 5
const aTurn = (): Promise<void> => new Promise((resolve) => setImmediate(resolve))
/** The log keeps 32 MiB of its newest batches in memory. */
const growthBytesMax = 64 * 1024 * 1024
const atOnce = 25

/** What is held, not what the collector has not looked at yet. */
setFlagsFromString('--expose-gc')
const collect = runInNewContext('gc') as () => void
function heldBytes(): number {
  collect()
  const { heapUsed, external } = process.memoryUsage()
  return heapUsed + external
}

test(`${count} mutated packets break nothing`, { timeout: 120_000 }, async (t) => {
  const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 31))
  t.diagnostic(`SEED=${seed}`)
  const random = randomFrom(seed)
  const net = new MemoryNet()
  const world = { ...memoryWorld(), net: net.asNet }
  const { complaints, listener } = await broker(t, { world })
  assert.ok(listener)
  const seeds = mqttSeeds()
  const pick = (): (typeof seeds)[number] => seeds[Math.floor(random() * seeds.length)]!
  let answered = 0
  let refused = 0
  const before = heldBytes()
  const talk = async (): Promise<void> => {
    const { version } = pick()
    const connection = net.connect()
    const connect = connectPacket(version, `client-${Math.floor(random() * 50)}`)
    connection.send(random() < 0.1 ? wrong(connect, pick().bytes, random) : connect)
    for (let turn = 0; turn < 100 && connection.open && connection.written.length === 0; turn++) await aTurn()
    for (let i = 0; i < ofConnection && connection.open; i++) connection.send(wrong(pick().bytes, pick().bytes, random))
    await aTurn()
    answered += connection.written.length > 0 ? 1 : 0
    refused += connection.open ? 0 : 1
    connection.destroy()
  }
  for (let done = 0; done < count; done += ofConnection * atOnce)
    await Promise.all(Array.from({ length: atOnce }, () => talk()))
  await quiet()
  const inside = complaints.filter((one) => one.includes('a packet failed') || one.includes('was not saved'))
  assert.deepEqual(inside, [], `SEED=${seed}`)
  assert.ok(answered > count / ofConnection / 2, 'hardly anything was answered')
  assert.ok(refused > 100, 'hardly anything was refused')
  const grown = heldBytes() - before
  assert.ok(grown < growthBytesMax, `memory grew by ${grown} bytes`)
  // Who behaves is served as before.
  const good = net.connect()
  good.send(Buffer.from([0x10, 13, 0, 4, 0x4d, 0x51, 0x54, 0x54, 4, 2, 0, 0, 0, 1, 0x67]))
  await quiet()
  good.send(Buffer.from([0xc0, 0]))
  await quiet()
  assert.deepEqual(Buffer.concat(good.written), Buffer.from([0x20, 2, 0, 0, 0xd0, 0]))
})
