/**
 * A light publisher for brokers of MQTT 3.1.1: so many connections, each with so many messages under way, over plain
 * sockets. Prints one JSON line: messages that were acknowledged, seconds, and CPU seconds of the process asked about.
 *
 * node bench/peers/mqtt/load/publish.ts --port 1883 --pid 123 [--connections 100] [--window 20] [--bytes 200] [--qos 1] [--seconds 5]
 */
import { readFileSync } from 'node:fs'
import { type Socket, connect } from 'node:net'
import { parseArgs } from 'node:util'

const { values } = parseArgs({
  options: {
    port: { type: 'string' },
    pid: { type: 'string' },
    connections: { type: 'string', default: '100' },
    window: { type: 'string', default: '20' },
    bytes: { type: 'string', default: '200' },
    qos: { type: 'string', default: '1' },
    seconds: { type: 'string', default: '5' },
    warmup: { type: 'string', default: '2' },
  },
})
const window = Number(values.window)
const qos = Number(values.qos)
const payload = Buffer.alloc(Number(values.bytes), 0x78)

function text(value: string): Buffer {
  const bytes = Buffer.from(value)
  return Buffer.concat([Buffer.from([bytes.length >> 8, bytes.length & 0xff]), bytes])
}
function packet(first: number, ...parts: readonly Buffer[]): Buffer {
  const body = Buffer.concat(parts)
  const head = [first]
  let rest = body.length
  for (; rest > 0x7f; rest >>>= 7) head.push((rest & 0x7f) | 0x80)
  return Buffer.concat([Buffer.from([...head, rest]), body])
}

let acknowledged = 0
class Publisher {
  readonly #socket: Socket
  readonly #publish: Buffer
  readonly #idAt: number
  #id = 0
  #isConnected = false
  /** Of an answer of four bytes that has come in part. */
  #pending = 0

  constructor(index: number) {
    const topic = text(`bench/${index}`)
    this.#publish = packet(0x30 | (qos << 1), topic, Buffer.alloc(2), payload)
    this.#idAt = this.#publish.length - payload.length - 2
    this.#socket = connect(Number(values.port), '127.0.0.1')
    this.#socket.setNoDelay(true)
    const client = packet(0x10, text('MQTT'), Buffer.from([4, 2, 0, 0]), text(`bench-${index}`))
    this.#socket.on('connect', () => this.#socket.write(client))
    this.#socket.on('data', (data) => this.#received(data))
    this.#socket.on('error', (error) => {
      console.error(error.message)
      process.exit(1)
    })
  }
  /** Every answer has four bytes, CONNACK too. */
  #received(data: Buffer): void {
    this.#pending += data.length
    const answers = this.#pending >> 2
    this.#pending &= 3
    if (answers === 0) return
    if (this.#isConnected) {
      acknowledged += answers
      return this.#send(answers)
    }
    this.#isConnected = true
    this.#send(window)
  }
  #send(count: number): void {
    const bytes = Buffer.allocUnsafe(count * this.#publish.length)
    for (let i = 0; i < count; i++) {
      const at = i * this.#publish.length
      this.#publish.copy(bytes, at)
      this.#id = (this.#id % 0xffff) + 1
      bytes.writeUInt16BE(this.#id, at + this.#idAt)
    }
    this.#socket.write(bytes)
  }
}

const ticksPerSecond = 100
function cpuSeconds(): number {
  const stat = readFileSync(`/proc/${values.pid}/stat`, 'utf8')
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
}
const sleep = (seconds: number): Promise<void> => new Promise((resolve) => setTimeout(resolve, seconds * 1_000))

for (let i = 0; i < Number(values.connections); i++) new Publisher(i)
await sleep(Number(values.warmup))
const [before, cpuBefore, startMs] = [acknowledged, cpuSeconds(), performance.now()]
await sleep(Number(values.seconds))
const messages = acknowledged - before
const cpu = cpuSeconds() - cpuBefore
const seconds = (performance.now() - startMs) / 1_000
console.log(JSON.stringify({ messages, seconds, cpu, perSecond: messages / seconds, perCpuSecond: messages / cpu }))
process.exit(0)
