/**
 * R9: histories under kill -9, pauses, and a network that cuts and holds connections. Clients of librdkafka in two
 * processes (`clients/history.py`: idempotent, plain and transactional producers, two of them with one transactional id,
 * readers of both kinds, positions, work that is exactly once in a group over both) write down each operation, and
 * `operations.ts` looks for anomalies. Beside them run the clients of `workload.ts` and `transactions.ts`, with checks of
 * their own.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable, Writable } from 'node:stream'
import { setTimeout as sleep } from 'node:timers/promises'
import { offsetFetchApi } from '../../../src/wire/kafka/messages/09-offset-fetch.ts'
import { WireClient } from '../../gateway/kafka/wire-client.ts'
import { freePorts, type Millrace, python, repository, startMillrace } from '../../interop/setup/index.ts'
import { between, type Context, type FaultCase, type Outcome, startAgain } from '../case.ts'
import { anomalies, type Copies, type FinalLog, type Operation } from '../operations.ts'
import { Proxy } from '../proxy.ts'
import { readPartition, takeTransactionalId, TransactionLoad } from '../transactions.ts'
import { describeViolations, Verifier } from '../verify.ts'
import { createTopic, Wire } from '../wire.ts'
import { Workload } from '../workload.ts'

export const histories: FaultCase = {
  name: 'histories',
  says: 'kill -9, pauses, cut and held connections; histories of real clients are checked',
  run: runHistories,
}

const runsOf = ({ times }: Context): number => times(1, 100)
const secondsOf = (quick: boolean): number => (quick ? 20 : 60)
/** Some longer than a group waits for its members, 6 s. */
const pauseMsMax = (quick: boolean): number => (quick ? 3_000 : 9_000)
const topics = { appends: 'appends', inputs: 'inputs', outputs: 'outputs' }
const partitions = 2
const names = ['one', 'two']
const config = { 'segment.bytes': '1048576' }
const clientsBeginWithinMs = 60_000
const clientsEndWithinMs = 60_000

interface Totals {
  operations: number
  unanswered: number
  kills: number
  pauses: number
  cuts: number
  holds: number
  checkMsMax: number
}

async function runHistories(context: Context): Promise<Outcome> {
  const totals: Totals = { operations: 0, unanswered: 0, kills: 0, pauses: 0, cuts: 0, holds: 0, checkMsMax: 0 }
  const problems: string[] = []
  const runs = runsOf(context)
  let done = 0
  for (; done < runs && problems.length === 0; done++) {
    const before = totals.operations
    problems.push(...(await runOnce({ ...context, folder: join(context.folder, `run-${done + 1}`) }, totals)))
    context.note(`run ${done + 1} of ${runs}: ${totals.operations - before} operations`)
  }
  return {
    problems: [...new Set(problems)],
    figures: { runs: done, ...totals, checkMsMax: Math.round(totals.checkMsMax) },
  }
}

const disturbances = ['kill', 'pause', 'cut', 'hold'] as const
type Disturbance = (typeof disturbances)[number]
/** What is being disturbed. */
interface Scene {
  product: Millrace
  readonly proxy: Proxy
  readonly kafka: string
}

async function runOnce(context: Context, totals: Totals): Promise<string[]> {
  const { random, quick, folder } = context
  const [port] = await freePorts()
  const kafka = `127.0.0.1:${port}`
  const proxy = await Proxy.open(kafka)
  const product = await startMillrace({ data: folder, kafka, args: ['--advertise', `kafka=${proxy.address}`] })
  const scene: Scene = { product, proxy, kafka }
  await using clients = new Clients()
  const load = new Workload({
    address: proxy.address,
    topic: 'bytes',
    partitions: 2,
    leaderCounts: true,
    random,
    config,
  })
  const transactions = new TransactionLoad(proxy.address, 'exactly', 2, random)
  try {
    const wire = await Wire.open(proxy.address)
    for (const topic of Object.values(topics)) await createTopic(wire, topic, partitions, config)
    wire.close()
    await clients.start(proxy.address)
    await load.start()
    await transactions.start()
    await load.progress(1, 30_000)
    await clients.begun()
    const until = performance.now() + secondsOf(quick) * 1_000
    let kinds: Disturbance[] = []
    for (let count = 0; performance.now() < until || count < disturbances.length; count++) {
      // All of them before any comes again.
      if (kinds.length === 0) kinds = [...disturbances]
      const [kind] = kinds.splice(Math.floor(random() * kinds.length), 1)
      await disturb(scene, kind!, context, totals)
      await sleep(between(random, 200, 2_000))
    }
    totals.cuts += proxy.cuts
    await load.progress(10, 30_000)
    await clients.end()
    await load.stop()
    await transactions.stop()
    const verifier = new Verifier(load.history, load.places)
    return [
      ...clients.problems,
      ...load.complaints,
      ...describeViolations(await verifier.look(kafka)),
      ...(await transactions.check()),
      ...(await checkHistory(scene, clients.operations, totals)),
    ]
  } finally {
    // In this order: nobody is waited for who waits for the product.
    await proxy.close()
    await load.stop()
    transactions.abandon()
    await scene.product[Symbol.asyncDispose]()
  }
}

async function disturb(scene: Scene, kind: Disturbance, { random, quick }: Context, totals: Totals): Promise<void> {
  if (kind === 'kill') {
    await scene.product.kill('SIGKILL')
    scene.product = await startAgain(scene.product, { args: ['--advertise', `kafka=${scene.proxy.address}`] })
    totals.kills++
  } else if (kind === 'pause') {
    const { pid } = scene.product
    process.kill(pid, 'SIGSTOP')
    await sleep(between(random, 200, pauseMsMax(quick)))
    process.kill(pid, 'SIGCONT')
    totals.pauses++
  } else if (kind === 'cut') {
    scene.proxy.cut(random() < 0.3 ? 1 : 0.4, random)
  } else {
    const release = scene.proxy.hold()
    await sleep(between(random, 200, pauseMsMax(quick)))
    // Half of them never get what was held.
    if (random() < 0.5) scene.proxy.cut(0.7, random)
    release()
    totals.holds++
  }
}

/** The processes of `clients/history.py`. */
class Clients {
  readonly operations: Operation[] = []
  readonly problems: string[] = []
  readonly #children: { child: ChildProcessByStdio<Writable, Readable, Readable>; ended: Promise<number | null> }[] = []

  async start(address: string): Promise<void> {
    const program = await python()
    const script = join(repository, 'test', 'faults', 'clients', 'history.py')
    for (const name of names) {
      const args = ['-u', script, address, name, ...Object.values(topics), String(partitions)]
      const child = spawn(program, args, { stdio: ['pipe', 'pipe', 'pipe'] })
      createInterface(child.stdout).on('line', (line) => this.operations.push(JSON.parse(line) as Operation))
      createInterface(child.stderr).on('line', (line) => {
        // The library's own log of connections that are gone begins with a percent sign.
        if (!line.startsWith('%')) this.problems.push(`${name}: ${line}`)
      })
      const ended = new Promise<number | null>((done) => child.once('close', (code) => done(code)))
      this.#children.push({ child, ended })
    }
  }
  /** Until the group over them has begun its work. */
  async begun(): Promise<void> {
    const giveUp = performance.now() + clientsBeginWithinMs
    const isCopy = (one: Operation): boolean => one.kind === 'end' && one.transaction.startsWith('copy')
    while (!this.operations.some(isCopy)) {
      if (performance.now() > giveUp) throw new Error(`nothing was worked on within ${clientsBeginWithinMs} ms`)
      await sleep(50)
    }
  }
  /** Each comes to the end of what it has begun. */
  async end(): Promise<void> {
    const timer = setTimeout(() => {
      this.problems.push(`the clients have not ended within ${clientsEndWithinMs} ms`)
      for (const { child } of this.#children) child.kill('SIGUSR1')
      setTimeout(() => this.#kill(), 1_000)
    }, clientsEndWithinMs)
    for (const { child } of this.#children) child.stdin.end()
    for (const { ended } of this.#children) {
      const code = await ended
      if (code !== 0) this.problems.push(`the clients ended with ${code}`)
    }
    clearTimeout(timer)
  }
  #kill(): void {
    for (const { child } of this.#children) child.kill('SIGKILL')
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.#kill()
    await Promise.all(this.#children.map(({ ended }) => ended))
  }
}

async function checkHistory(scene: Scene, operations: readonly Operation[], totals: Totals): Promise<string[]> {
  const { host, port } = { host: '127.0.0.1', port: Number(scene.kafka.split(':')[1]) }
  const client = await WireClient.open({ host, port })
  try {
    const ids = ['one-id-for-all', ...names.flatMap((name) => [`${name}-own-id`, `${name}-copier`])]
    for (const id of ids) await takeTransactionalId(client, id)
    const appends = await finalLogs(client, topics.appends)
    const inputs = await finalLogs(client, topics.inputs)
    const outputs = await finalLogs(client, topics.outputs)
    const positions = await positionsOf(client, 'copiers', topics.inputs)
    const copies: Copies[] = inputs.map((from, i) => ({ from, to: outputs, position: positions[i]! }))
    const start = performance.now()
    const found = anomalies(operations, [...appends, ...inputs], copies)
    totals.checkMsMax = Math.max(totals.checkMsMax, performance.now() - start)
    totals.operations += operations.length
    totals.unanswered += operations.filter((one) => 'outcome' in one && one.outcome !== 'ok').length
    const missing = (['append', 'end', 'poll', 'bounds', 'commit', 'committed'] as const).filter(
      (kind) => !operations.some((one) => one.kind === kind),
    )
    const problems = found.slice(0, 10).map(({ kind, says }) => `${kind}: ${says}`)
    if (missing.length > 0) problems.push(`no client has noted any ${missing.join(', ')}: nothing was tested`)
    if (outputs.every(({ committed }) => committed.length === 0)) problems.push('no input was worked on')
    return problems
  } finally {
    client.close()
  }
}

function finalLogs(client: WireClient, topic: string): Promise<FinalLog[]> {
  return Promise.all(
    Array.from({ length: partitions }, async (_, partition) => {
      const all = await readPartition(client, { topic, partition, committed: false })
      const committed = await readPartition(client, { topic, partition, committed: true })
      const seen = ({ offset, value }: { offset: number; value: string }) => [offset, value] as const
      return {
        partition: `${topic}/${partition}`,
        end: all.end,
        records: all.records.map(seen),
        committed: committed.records.map(seen),
      }
    }),
  )
}

async function positionsOf(client: WireClient, groupId: string, topic: string): Promise<number[]> {
  const partitionIndexes = Array.from({ length: partitions }, (_, i) => i)
  const { groups } = await client.ask(offsetFetchApi, 8, {
    groups: [{ groupId, topics: [{ name: topic, partitionIndexes }] }],
    requireStable: true,
  } as never)
  const found = groups[0]!.topics[0]!.partitions
  return partitionIndexes.map((index) => found.find((one) => one.partitionIndex === index)!.committedOffset)
}
