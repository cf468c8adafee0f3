/**
 * What it costs that very many sessions come back after the server was killed: kept sessions that subscribe to a few topics of
 * one busy log topic, which was written while they were away. The server's process is that of a checkout, one after another
 * for each that is named, over copies of the same data.
 *
 *   node bench/peers/mqtt/load/return.ts [CHECKOUT …] [--sessions 2000] [--messages 200000] [--topics 10000] [--filters 3]
 *
 * Prints one JSON line for each: seconds from the first connection until all have all that is theirs, CPU seconds and resident
 * memory of the server. The dependencies of other checkouts must be installed.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { cpSync, mkdtempSync, rmSync } from 'node:fs'
import { type Socket, connect } from 'node:net'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { parseArgs } from 'node:util'
import { type Packet, generate, parser } from 'mqtt-packet'
import { cpuSeconds, megabytes, residentBytes, residentBytesMax } from '../../../../test/faults/process.ts'

const { values, positionals } = parseArgs({
  options: {
    sessions: { type: 'string', default: '2000' },
    messages: { type: 'string', default: '200000' },
    topics: { type: 'string', default: '10000' },
    filters: { type: 'string', default: '3' },
    /** Connecting at a time. */
    'at-once': { type: 'string', default: '100' },
  },
  allowPositionals: true,
})
const [sessions, messages, topics, filters] = [
  Number(values.sessions),
  Number(values.messages),
  Number(values.topics),
  Number(values.filters),
]
const atOnce = Number(values['at-once'])
const here = resolve(import.meta.dirname, '../../../..')

interface Server {
  readonly port: number
  readonly pid: number
  readonly startedInMs: number
  stop(signal: NodeJS.Signals): Promise<void>
}
async function serve(checkout: string, data: string): Promise<Server> {
  const words = ['serve', '--data', data, '--listen', 'mqtt=127.0.0.1:0', '--listen', 'kafka=off', '-o', 'json']
  const child: ChildProcess = spawn(
    process.execPath,
    [join(checkout, 'src/cli/main.ts'), ...words, '--listen', 'http=off'],
    {
      stdio: ['ignore', 'pipe', 'inherit'],
    },
  )
  const ended = new Promise<void>((done) => child.once('close', () => done()))
  let said = ''
  for await (const piece of child.stdout!) {
    said += String(piece)
    if (said.includes('\n')) break
  }
  const { pid, listen, startedInMs } = JSON.parse(said.split('\n')[0]!) as {
    pid: number
    listen: { mqtt: string }
    startedInMs: number
  }
  return {
    port: Number(listen.mqtt.split(':')[1]),
    pid,
    startedInMs,
    stop: async (signal) => {
      process.kill(pid, signal)
      await ended
    },
  }
}

class Device {
  readonly socket: Socket
  received = 0
  #waiting: { readonly cmd: string; resolve(): void } | null = null
  readonly #each: () => void

  constructor(port: number, each: () => void = () => {}) {
    this.#each = each
    this.socket = connect(port, '127.0.0.1')
    const reading = parser({ protocolVersion: 4 })
    reading.on('packet', (packet) => this.#take(packet))
    this.socket.on('data', (data) => reading.parse(data))
    this.socket.on('error', (error) => {
      throw error
    })
  }
  #take(packet: Packet): void {
    if (packet.cmd === 'publish') {
      this.received++
      this.send({ cmd: 'puback', messageId: packet.messageId! })
      this.#each()
    } else if (packet.cmd === this.#waiting?.cmd) this.#waiting.resolve()
  }
  send(packet: Packet): void {
    this.socket.write(generate(packet))
  }
  ask(packet: Packet, cmd: string): Promise<void> {
    this.send(packet)
    return new Promise((resolve) => (this.#waiting = { cmd, resolve }))
  }
  open(clientId: string, clean = false): Promise<void> {
    const protocol = { protocolId: 'MQTT', protocolVersion: 4 } as const
    return this.ask({ cmd: 'connect', ...protocol, clean, clientId, keepalive: 0 }, 'connack')
  }
}
const topic = (index: number): string => `busy/${index % topics}`
const filtersOf = (index: number): number[] => Array.from({ length: filters }, (_, n) => index * 7 + n * 1_009)
const expected = (index: number): number =>
  filtersOf(index).reduce((sum, of) => sum + Math.ceil((messages - (of % topics)) / topics), 0)

async function inTurns(count: number, work: (index: number) => Promise<void>): Promise<void> {
  for (let at = 0; at < count; at += atOnce)
    await Promise.all(Array.from({ length: Math.min(atOnce, count - at) }, (_, i) => work(at + i)))
}
async function prepare(data: string): Promise<void> {
  const server = await serve(here, data)
  await inTurns(sessions, async (index) => {
    const device = new Device(server.port)
    await device.open(`device-${index}`)
    const subscriptions = filtersOf(index).map((of) => ({ topic: topic(of), qos: 1 as const }))
    await device.ask({ cmd: 'subscribe', messageId: 1, subscriptions }, 'suback')
    device.socket.end()
  })
  await publish(server.port)
  await server.stop('SIGKILL')
}
async function publish(port: number): Promise<void> {
  const device = new Device(port)
  await device.open('publisher', true)
  const payload = Buffer.alloc(150, 0x78)
  let acknowledged = 0
  let more = (): void => {}
  const reading = parser({ protocolVersion: 4 })
  reading.on('packet', () => {
    acknowledged++
    more()
  })
  device.socket.removeAllListeners('data')
  device.socket.on('data', (data) => reading.parse(data))
  const window = 1_000
  for (let sent = 0; sent < messages; sent++) {
    const packet = { topic: topic(sent), payload, qos: 1, messageId: (sent % 60_000) + 1, dup: false, retain: false }
    device.send({ cmd: 'publish', ...packet } as Packet)
    while (sent - acknowledged >= window) await new Promise<void>((resolve) => (more = resolve))
  }
  while (acknowledged < messages) await new Promise<void>((resolve) => (more = resolve))
  device.socket.destroy()
}

async function measure(checkout: string, prepared: string): Promise<void> {
  const data = mkdtempSync(join(tmpdir(), 'mqtt-return-'))
  cpSync(prepared, data, { recursive: true })
  const server = await serve(checkout, data)
  const before = { cpu: cpuSeconds(server.pid), resident: residentBytes(server.pid) }
  const startMs = performance.now()
  let left = Array.from({ length: sessions }, (_, index) => expected(index)).reduce((a, b) => a + b, 0)
  const deliveries = left
  let done = (): void => {}
  const all = new Promise<void>((resolve) => (done = resolve))
  const devices: Device[] = []
  await inTurns(sessions, async (index) => {
    const device = new Device(server.port, () => {
      if (--left === 0) done()
    })
    devices.push(device)
    await device.open(`device-${index}`)
  })
  const connectedS = (performance.now() - startMs) / 1_000
  await all
  const seconds = (performance.now() - startMs) / 1_000
  const found = {
    checkout,
    sessions,
    messages,
    deliveries,
    connectedS: Number(connectedS.toFixed(2)),
    seconds: Number(seconds.toFixed(2)),
    cpuSeconds: Number((cpuSeconds(server.pid) - before.cpu).toFixed(2)),
    residentMB: [megabytes(before.resident), megabytes(residentBytesMax(server.pid))],
    startedInMs: server.startedInMs,
  }
  process.stdout.write(`${JSON.stringify(found)}\n`)
  for (const { socket } of devices) socket.destroy()
  await server.stop('SIGKILL')
  rmSync(data, { recursive: true, force: true })
}

const prepared = mkdtempSync(join(tmpdir(), 'mqtt-return-'))
try {
  await prepare(prepared)
  for (const checkout of positionals.length === 0 ? [here] : positionals) await measure(resolve(checkout), prepared)
} finally {
  rmSync(prepared, { recursive: true, force: true })
}
process.exit(0)
