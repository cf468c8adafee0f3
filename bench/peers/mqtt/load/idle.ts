/**
 * Devices that connect, subscribe to a topic of their own, and say nothing more. Prints one JSON line: how many are
 * connected, and the resident memory of the process asked about, before and after.
 *
 * node bench/peers/mqtt/load/idle.ts --port 1883 --pid 123 [--connections 10000]
 */
import { readFileSync } from 'node:fs'
import { connect } from 'node:net'
import { parseArgs } from 'node:util'

const { values } = parseArgs({
  options: {
    port: { type: 'string' },
    pid: { type: 'string' },
    connections: { type: 'string', default: '10000' },
    settle: { type: 'string', default: '5' },
  },
})
const wanted = Number(values.connections)
const atOnce = 200

function text(value: string): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes])
}
const packet = (first: number, ...parts: readonly Buffer[]): Buffer => {
  const body = Buffer.concat(parts)
  return Buffer.concat([Buffer.from([first, body.length]), body])
}
function residentBytes(): number {
  const status = readFileSync(`/proc/${values.pid}/status`, 'utf8')
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)![1]) * 1_024
}
const sleep = (seconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, seconds * 1_000))

/** CONNACK has four bytes, SUBACK of one filter five. */
const answerBytes = 9
function device(index: number): Promise<void> {
  return new Promise((resolve, reject) => {
    const socket = connect(Number(values.port), '127.0.0.1')
    let received = 0
    socket.on('connect', () => {
      socket.write(packet(0x10, text('MQTT'), Buffer.from([4, 2, 0, 0]), text(`device-${index}`)))
      socket.write(packet(0x82, Buffer.from([0, 1]), text(`devices/${index}/commands`), Buffer.from([1])))
    })
    socket.on('data', (data) => {
      received += data.length
      if (received === answerBytes) resolve()
    })
    socket.on('error', reject)
    socket.on('close', () => reject(new Error(`device ${index} was closed`)))
  })
}

const before = residentBytes()
const startMs = performance.now()
for (let at = 0; at < wanted; at += atOnce)
  await Promise.all(Array.from({ length: Math.min(atOnce, wanted - at) }, (_, i) => device(at + i)))
const seconds = (performance.now() - startMs) / 1_000
await sleep(Number(values.settle))
const after = residentBytes()
console.log(JSON.stringify({ connections: wanted, seconds, before, after, bytesPerDevice: (after - before) / wanted }))
process.exit(0)
