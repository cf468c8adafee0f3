/**
 * S4: very many connections beside a good client, at the Kafka and at the HTTP port: idle ones, ones that say their request
 * byte by byte, and a storm of new ones, from other processes and several addresses. An idle one costs little memory, none
 * is dropped, the good client hardly notices, and what one address may hold is bounded.
 */
import { fork, type ChildProcess } from 'node:child_process'
import { once } from 'node:events'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { limits } from '../../../src/lib/limits.ts'
import { apiVersionsApi } from '../../../src/wire/kafka/messages/18-api-versions.ts'
import { incrementalAlterConfigsApi } from '../../../src/wire/kafka/messages/44-incremental-alter-configs.ts'
import { requestFrame, WireClient } from '../../gateway/kafka/wire-client.ts'
import { repository } from '../../interop/setup/index.ts'
import { Canary } from '../canary.ts'
import { type Context, type FaultCase, type Outcome, startFirst } from '../case.ts'
import type { ConnectionCounts } from '../clients/connections.ts'
import { openFiles, residentBytes } from '../process.ts'

export const connections: FaultCase = {
  name: 'connections',
  says: 'very many idle, slow and new connections beside a good client',
  run: manyConnections,
}

const sizesOf = (quick: boolean) =>
  quick ? { idle: 4_000, slow: 400, stormMs: 3_000 } : { idle: 10_000, slow: 1_000, stormMs: 15_000 }
const stormPerSecond = 1_000
/** A bare server of `node:net` takes 3.6 KiB; one of `node:http` that has not been asked anything yet 9 to 15. */
const idleBytesMax = { kafka: 10 * 1024, http: 16 * 1024 }
/** So that resident memory is what is held: the young generation grows under load, whatever is in it. */
const heap = { NODE_OPTIONS: '--max-semi-space-size=2' }
/** The good client may wait twice as long as alone, before or after, or so long: below it the machine is measured. */
const waitMsMaxOf = (quick: boolean): number => (quick ? 1_000 : 40)
const aloneMs = 2_000
const perAddress = 300

async function manyConnections(context: Context): Promise<Outcome> {
  const product = await startFirst({ data: context.folder, env: heap })
  const canary = new Canary(product.kafka)
  const problems: string[] = []
  const figures: Record<string, string | number> = {}
  try {
    await canary.start()
    const ports = [
      { name: 'kafka' as const, address: product.kafka, hello: requestFrame(apiVersionsApi, 0, 1, {} as never) },
      {
        name: 'http' as const,
        address: product.http,
        hello: Buffer.from('GET /v1/topics HTTP/1.1\r\nhost: localhost\r\n\r\n'),
      },
    ]
    for (const port of ports) await disturb({ ...port, pid: product.pid, canary }, context, { problems, figures })
    problems.push(...(await capHolds(product.kafka)))
    if (!product.running) problems.push(`the process ended with ${await product.ended}\n${product.log()}`)
    await canary.stop()
    problems.push(...canary.problems)
  } finally {
    await canary.stop()
    await product[Symbol.asyncDispose]()
  }
  return { problems, figures }
}

interface Port {
  readonly name: keyof typeof idleBytesMax
  readonly address: string
  readonly hello: Buffer
  readonly pid: number
  readonly canary: Canary
}
interface Found {
  readonly problems: string[]
  readonly figures: Record<string, string | number>
}

async function disturb(port: Port, { quick, note }: Context, { problems, figures }: Found): Promise<void> {
  const { name, pid, canary } = port
  const { idle, slow, stormMs } = sizesOf(quick)
  // Once before, so that what the first connections make the process keep is no connection's.
  await using warm = new Crowd('idle', port, '127.0.0.2', 200)
  await warm.ready()
  await warm.close()
  canary.take()
  await sleep(aloneMs)
  const before = canary.take().p99
  const filesBefore = openFiles(pid)
  const openedMs = performance.now()
  await using all = new AsyncDisposableStack()
  const crowds: Crowd[] = []
  const eachOf: number[] = []
  let bytes = residentBytes(pid)
  for (const from of ['127.0.0.3', '127.0.0.4']) {
    const crowd = all.use(new Crowd('idle', port, from, idle / 2))
    crowds.push(crowd)
    await crowd.ready()
    canary.take()
    await sleep(2_000)
    const grown = residentBytes(pid) - bytes
    bytes += grown
    eachOf.push(grown / (idle / 2))
  }
  figures[`${name}: KiB each`] = eachOf.map((each) => Math.round((each / 1024) * 10) / 10).join('/')
  // The heap grows by steps of many MB, however few the connections: a step lies in one half, what a connection costs in both.
  const each = quick ? Math.min(...eachOf) : (eachOf[0]! + eachOf[1]!) / 2
  if (each > idleBytesMax[name]) problems.push(`${name}: an idle connection costs ${Math.round(each)} bytes`)
  const whenIdle = canary.take().p99
  const slowly = all.use(new Crowd('slow', port, '127.0.0.5', slow))
  await slowly.ready()
  await sleep(3_000)
  const { open } = await slowly.counts()
  if (open < slow) problems.push(`${name}: ${slow - open} of ${slow} slow connections were closed at once`)
  const whenSlow = canary.take().p99
  const storm = all.use(new Crowd('storm', port, '127.0.0.6', stormPerSecond))
  await sleep(stormMs)
  const { answered, closed } = await storm.counts()
  const whenStorm = canary.take().p99
  await storm.close()
  figures[`${name}: storm answered`] = answered
  if (answered < closed * 0.99) problems.push(`${name}: of ${closed} new connections ${answered} were answered`)
  if (answered === 0) problems.push(`${name}: the storm opened nothing: nothing was tested`)
  const counts = await Promise.all(crowds.map((crowd) => crowd.counts()))
  const left = counts.reduce((sum, one) => sum + one.open, 0)
  // Over HTTP a client that says nothing for a minute is let go.
  const mayGo = name === 'http' && performance.now() - openedMs > limits.httpIdleMs - 5_000
  if (left !== idle && !mayGo) problems.push(`${name}: ${left} of ${idle} idle connections are left`)
  await all.disposeAsync()
  // All of it is given back.
  const giveUp = performance.now() + 10_000
  while (openFiles(pid) > filesBefore + 20 && performance.now() < giveUp) await sleep(100)
  const more = openFiles(pid) - filesBefore
  if (more > 20) problems.push(`${name}: ${more} files are still open`)
  canary.take()
  await sleep(aloneMs)
  const after = canary.take().p99
  const waits = [before, whenIdle, whenSlow, whenStorm, after]
  figures[`${name}: good client p99 ms before/idle/slow/storm/after`] = waits.join('/')
  for (const [when, p99] of Object.entries({ idle: whenIdle, slow: whenSlow, storm: whenStorm }))
    // Without a single answer in that time it is no number.
    if (!(p99 <= Math.max(2 * before, 2 * after, waitMsMaxOf(quick))))
      problems.push(`${name}, ${when}: p99 ${p99} ms, alone ${before} and ${after} ms`)
  note(`${name}: ${idle} idle, ${slow} slow, ${answered} in the storm`)
}

/** One address may hold so many; others are served meanwhile, and it is itself when it has let go. */
async function capHolds(address: string): Promise<string[]> {
  const problems: string[] = []
  const [host, port] = address.split(':') as [string, string]
  const client = await WireClient.open({ host, port: Number(port) })
  const configs = [{ name: 'max.connections.per.ip', configOperation: 0, value: String(perAddress) }]
  const resources = [{ resourceType: 4, resourceName: '', configs }]
  const { responses } = await client.ask(incrementalAlterConfigsApi, 1, { resources, validateOnly: false })
  if (responses[0]!.errorCode !== 0) throw new Error(`max.connections.per.ip: error ${responses[0]!.errorCode}`)
  const hello = requestFrame(apiVersionsApi, 0, 1, {} as never)
  for (const round of [1, 2]) {
    await using crowd = new Crowd('idle', { address, hello }, '127.0.0.7', perAddress + 100)
    await crowd.ready()
    const { open } = await crowd.counts()
    if (open !== perAddress) problems.push(`round ${round}: one address holds ${open} connections, not ${perAddress}`)
    await using other = new Crowd('idle', { address, hello }, '127.0.0.8', 10)
    await other.ready()
    if ((await other.counts()).open !== 10) problems.push('another address is not served meanwhile')
    await crowd.close()
    await sleep(500)
  }
  client.close()
  return problems
}

/** A process of `clients/connections.ts`. */
class Crowd implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #ready: Promise<unknown>
  readonly #ended: Promise<unknown>

  constructor(kind: string, to: { address: string; hello: Buffer }, from: string, count: number) {
    const script = join(repository, 'test', 'faults', 'clients', 'connections.ts')
    this.#child = fork(script, [kind, to.address, from, String(count), to.hello.toString('hex')])
    this.#ended = once(this.#child, 'exit')
    this.#ready = Promise.race([once(this.#child, 'message'), this.#ended])
  }
  async ready(): Promise<void> {
    await this.#ready
  }
  async counts(): Promise<ConnectionCounts> {
    const answer = once(this.#child, 'message')
    this.#child.send('counts')
    const [counts] = (await Promise.race([answer, this.#ended])) as [ConnectionCounts]
    return counts
  }
  async close(): Promise<void> {
    this.#child.kill('SIGKILL')
    await this.#ended
  }
  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }
}
