/**
 * Mutated AMQP frames against a running process: whole conversations (SASL, open, links, tokens, management, events) of which
 * some frames were made wrong, over many connections. The process must live, close each connection soon after its client
 * has, keep its memory bounded, and serve a good client beside it all the while.
 */
import { connect } from 'node:net'
import { setTimeout as sleep } from 'node:timers/promises'
import { ByteWriter } from '../../../src/lib/bytes.ts'
import {
  type Composite,
  type Given,
  type Shape,
  accepted,
  attach,
  begin,
  close,
  detach,
  disposition,
  end,
  flow,
  open,
  properties,
  saslInit,
  source,
  target,
  transfer,
  valueOf,
  write,
} from '../../../src/wire/amqp/composites.ts'
import { beginFrame, endFrame, frameType, protocolHeader, protocolId } from '../../../src/wire/amqp/frames.ts'
import { batchFormat, section } from '../../../src/wire/amqp/sections.ts'
import { type Value, symbol, text, writeMap, writeValue } from '../../../src/wire/amqp/values.ts'
import { RawClient, batchOf, message } from '../../gateway/eventhubs/raw-client.ts'
import type { Millrace } from '../../interop/setup/index.ts'
import { type Context, type FaultCase, type Outcome, quantile, startFirst } from '../case.ts'
import { mutate } from '../mutate.ts'
import { MemoryWatch, megabytes, openFiles } from '../process.ts'

export const eventHubsFrames: FaultCase = {
  name: 'eventhubs-frames',
  says: 'mutated AMQP frames beside a good client',
  run: mutatedFrames,
}
const framesOf = ({ times }: Context): number => times(20_000, 1_000_000)
const warmUpFramesOf = ({ quick }: Context): number => (quick ? 5_000 : 50_000)
const connectionsAtOnce = 8
/** After this long without a byte the client sends its end. */
const quietMs = 40
const closeWithinMs = 10_000
const growthBytesMax = 64 * 1024 * 1024
/** So that resident memory is what is held, not what the collector has not looked at yet. */
const heap = { NODE_OPTIONS: '--max-old-space-size=96 --max-semi-space-size=2' }
const goodEveryMs = 50
const goodWithinMs = 5_000

interface Tally {
  mutated: number
  conversations: number
  answered: number
  closedByServer: number
  hung: number
}

async function mutatedFrames(context: Context): Promise<Outcome> {
  const { random, note } = context
  const args = ['--listen', 'eventhubs=127.0.0.1:0']
  await using product = await startFirst({ data: context.folder, env: heap, args })
  const port = Number(product.listen['eventhubs']!.split(':').at(-1))
  await createHub(product, 'fuzz')
  await createHub(product, 'good')
  const problems: string[] = []
  const tally: Tally = { mutated: 0, conversations: 0, answered: 0, closedByServer: 0, hung: 0 }
  const good = new GoodClient(port)
  const until = async (count: number): Promise<void> => {
    await Promise.all(
      Array.from({ length: connectionsAtOnce }, async () => {
        while (tally.mutated < count && product.running) await converse(port, wrongConversation(random, tally), tally)
      }),
    )
  }
  await until(warmUpFramesOf(context))
  const filesBefore = openFiles(product.pid)
  const memory = new MemoryWatch(product.pid)
  const startMs = performance.now()
  const first = tally.mutated
  const total = framesOf(context)
  for (let step = 1; step <= 10 && product.running; step++) {
    await until(first + (total * step) / 10)
    note(`${tally.mutated} mutated frames, ${megabytes(memory.sample())} MB resident`)
    // What is still right is stored: that is no cost of hostile bytes.
    await fetch(`http://${product.http}/v1/topics/fuzz`, { method: 'DELETE' })
    await createHub(product, 'fuzz')
  }
  memory.stop()
  const seconds = (performance.now() - startMs) / 1000
  await good.stop()
  if (!product.running) problems.push(`the process ended with ${await product.ended}\n${product.log()}`)
  problems.push(...good.problems)
  if (good.latencies.length === 0) problems.push('the good client was never served')
  if (tally.answered === 0) problems.push('no conversation was answered: nothing was tested')
  if (tally.hung > 0)
    problems.push(`${tally.hung} connections stayed open ${closeWithinMs} ms after their client's end`)
  problems.push(...memory.problems(growthBytesMax))
  const ms = (q: number): number => Math.round(quantile(good.latencies, q))
  return {
    figures: {
      'mutated frames': tally.mutated,
      conversations: tally.conversations,
      'frames/s': Math.round((tally.mutated - first) / seconds),
      answered: tally.answered,
      'closed by it': tally.closedByServer,
      ...memory.figures,
      'good client ms p50/p99/max': `${ms(0.5)}/${ms(0.99)}/${ms(1)}`,
      'fd before': filesBefore,
      'fd after': product.running ? openFiles(product.pid) : 0,
    },
    problems,
  }
}
async function createHub({ http }: Millrace, hub: string): Promise<void> {
  const headers = { 'content-type': 'application/json' }
  await fetch(`http://${http}/v1/topics/${hub}`, { method: 'PUT', headers, body: JSON.stringify({ partitions: 2 }) })
}

function frame<S extends Shape>(type: number, of: Composite<S>, given: Given<Composite<S>>, payload?: Buffer): Buffer {
  const out = new ByteWriter(256)
  const start = beginFrame(out, type, 0)
  write(out, of, given)
  if (payload !== undefined) out.raw(payload)
  endFrame(out, start)
  return Buffer.from(out.done())
}
const amqp = <S extends Shape>(of: Composite<S>, given: Given<Composite<S>>, payload?: Buffer): Buffer =>
  frame(frameType.amqp, of, given, payload)
function requestOf(application: Readonly<Record<string, string>>, body: Value): Buffer {
  const out = new ByteWriter(256)
  write(out, properties, { messageId: text('1'), replyTo: text('raw') })
  out.raw(Buffer.from([0, 0x53, section.applicationProperties]))
  writeMap(
    out,
    Object.entries(application).map(([name, value]) => [text(name), text(value)]),
  )
  out.raw(Buffer.from([0, 0x53, section.value]))
  writeValue(out, body)
  return Buffer.from(out.done())
}
const link = (handle: number, role: boolean, address: string): Buffer => {
  const selector: Value = {
    type: 'described',
    descriptor: { type: 'ulong', value: 0x468c00000004n },
    value: text("amqp.annotation.x-opt-offset > '-1'"),
  }
  return amqp(attach, {
    name: `link ${handle}`,
    handle,
    role,
    source: valueOf(source, {
      address: text(role ? address : 'raw'),
      filter: [[symbol('apache.org:selector-filter:string'), selector]],
    }),
    target: valueOf(target, { address: text(role ? 'raw' : address) }),
    initialDeliveryCount: 0,
    properties: [[symbol('com.microsoft:epoch'), { type: 'long', value: 1n }]],
  })
}
const event = message({
  body: Buffer.from('{"a":1}'),
  application: [
    [text('n'), { type: 'int', value: 5 }],
    [text('list'), { type: 'list', value: [text('x'), { type: 'ulong', value: 300n }] }],
  ],
  properties: { messageId: text('id'), contentType: 'application/json', creationTime: 5n },
  annotations: [[symbol('x-opt-partition-key'), text('key')]],
})
const delivery = (handle: number, deliveryId: number, payload: Buffer, messageFormat = 0, more = false): Buffer =>
  amqp(transfer, { handle, deliveryId, deliveryTag: Buffer.from([deliveryId]), messageFormat, more }, payload)
/** What a client says, frame by frame; headers of the protocol stand before what they begin. */
const conversation: readonly Buffer[] = [
  frame(frameType.sasl, saslInit, { mechanism: 'PLAIN', initialResponse: Buffer.from('\0me\0secret'), hostname: 'h' }),
  amqp(open, { containerId: 'raw', hostname: 'h', maxFrameSize: 65_536, channelMax: 100, idleTimeOut: 60_000 }),
  amqp(begin, { nextOutgoingId: 0, incomingWindow: 5_000, outgoingWindow: 5_000, handleMax: 100 }),
  link(0, false, '$cbs'),
  link(1, true, '$cbs'),
  amqp(flow, {
    incomingWindow: 5_000,
    nextOutgoingId: 0,
    outgoingWindow: 5_000,
    handle: 1,
    deliveryCount: 0,
    linkCredit: 10,
  }),
  delivery(
    0,
    0,
    requestOf(
      { operation: 'put-token', type: 'servicebus.windows.net:sastoken', name: 'sb://h/fuzz' },
      text('SharedAccessSignature sr=sb%3A%2F%2Fh%2Ffuzz&sig=x&se=4000000000&skn=k'),
    ),
  ),
  link(2, false, '$management'),
  link(3, true, '$management'),
  amqp(flow, {
    incomingWindow: 5_000,
    nextOutgoingId: 1,
    outgoingWindow: 5_000,
    handle: 3,
    deliveryCount: 0,
    linkCredit: 10,
  }),
  delivery(
    2,
    1,
    requestOf({ operation: 'READ', type: 'com.microsoft:partition', name: 'fuzz', partition: '0' }, text('')),
  ),
  link(4, false, 'fuzz/Partitions/0'),
  delivery(4, 2, event),
  delivery(4, 3, batchOf([event, event], 'key'), batchFormat),
  delivery(4, 4, event.subarray(0, 40), 0, true),
  delivery(4, 4, event.subarray(40)),
  link(5, true, 'fuzz/ConsumerGroups/$Default/Partitions/0'),
  amqp(flow, {
    incomingWindow: 5_000,
    nextOutgoingId: 6,
    outgoingWindow: 5_000,
    handle: 5,
    deliveryCount: 0,
    linkCredit: 3,
    drain: true,
  }),
  amqp(disposition, { role: true, first: 0, last: 2, settled: true, state: valueOf(accepted, {}) }),
  amqp(detach, { handle: 5, closed: true }),
  amqp(end, {}),
  amqp(close, {}),
]
/** Some of the frames made wrong. */
function wrongConversation(random: () => number, tally: Tally): Buffer {
  const pieces: Buffer[] = [protocolHeader(protocolId.sasl)]
  // Often SASL and open are right: what lies behind them is reached then.
  const from = random() < 0.9 ? 2 : 0
  conversation.forEach((one, i) => {
    if (i === 1) pieces.push(protocolHeader(protocolId.amqp))
    if (i < from || random() < 0.6) return pieces.push(one)
    const other = conversation[Math.floor(random() * conversation.length)]!
    const changed = mutate(one, other, random)
    if (changed.length >= 8 && random() < 0.9) changed.writeUInt32BE(changed.length, 0)
    tally.mutated++
    return pieces.push(changed)
  })
  return Buffer.concat(pieces)
}
let connections = 0
/** Sends it all, waits until nothing more is answered, sends the end, and waits for the other side's. */
function converse(port: number, bytes: Buffer, tally: Tally): Promise<void> {
  tally.conversations++
  // Many short connections: one client address would run out of ports.
  const socket = connect({ host: '127.0.0.1', port, localAddress: `127.0.0.${2 + (connections++ % 200)}` })
  return new Promise((done) => {
    let ended = false
    let answered = 0
    const finish = (): void => {
      ended = true
      clearTimeout(timer)
      socket.end()
      timer = setTimeout(() => {
        tally.hung++
        socket.destroy()
      }, closeWithinMs)
    }
    let timer = setTimeout(finish, quietMs)
    socket.on('data', ({ length }: Buffer) => {
      answered += length
      if (!ended) timer.refresh()
    })
    socket.on('error', () => {})
    socket.on('close', () => {
      clearTimeout(timer)
      // More than the headers and the mechanisms.
      if (answered > 100) tally.answered++
      if (!ended) tally.closedByServer++
      done()
    })
    socket.write(bytes)
  })
}

/** Sends an event now and then, and has it back. */
class GoodClient {
  readonly latencies: number[] = []
  readonly problems: string[] = []
  #stopped = false
  readonly #running: Promise<void>

  constructor(port: number) {
    this.#running = this.#run(port).catch(
      (error: unknown) => void this.problems.push(`the good client: ${String(error)}`),
    )
  }
  async #run(port: number): Promise<void> {
    await using client = await RawClient.open({ port })
    const sender = await client.sender('good/Partitions/0')
    const receiver = await client.receiver('good/ConsumerGroups/good/Partitions/0', { credit: 1_000_000 })
    for (let i = 0; !this.#stopped; i++) {
      const startMs = performance.now()
      const refused = await sender.send(message({ body: Buffer.from(`event ${i}`) }))
      const [received] = await receiver.take(1, goodWithinMs)
      if (refused !== null || String(received!.data) !== `event ${i}`)
        throw new Error(`event ${i}: ${refused ?? String(received!.data)}`)
      this.latencies.push(performance.now() - startMs)
      await sleep(goodEveryMs)
    }
  }
  async stop(): Promise<void> {
    this.#stopped = true
    await this.#running
  }
}
