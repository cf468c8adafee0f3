/**
 * Kafka Connect's workers with exactly-once sources: three files are written line by line while workers and Millrace are
 * killed; a consumer of what is committed then has every line once, in order. A sink writes one topic to a file again.
 */
import assert from 'node:assert/strict'
import { appendFileSync, mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { test } from 'node:test'
import { setTimeout as sleep } from 'node:timers/promises'
import { JavaProgram, type Settings, restartableMillrace, until } from './kafka/connect.ts'
import { execute } from './kafka/target.ts'
import { freePortRow, need } from './setup/index.ts'

const quick = process.env['MILLRACE_QUICK'] === '1'
const skip = quick ? 'minutes long: only in the full form' : false
const topics = ['first', 'second', 'third']
const string = 'org.apache.kafka.connect.storage.StringConverter'
/** Small, so that there are many transactions to be killed in. */
const batchSize = 100

test(
  'exactly-once sources of Kafka Connect, kill -9 of workers and of Millrace',
  { skip, timeout: 570_000 },
  async (t) => {
    const { kcat } = await need('kcat')
    const folder = mkdtempSync(join(tmpdir(), 'connect-'))
    const port = await freePortRow(3)
    const rests = [port + 1, port + 2] as const
    const server = await restartableMillrace(join(folder, 'data'), port)
    const start = (name: string, rest: number): Promise<JavaProgram> =>
      JavaProgram.start('org.apache.kafka.connect.cli.ConnectDistributed', join(folder, `${name}.properties`), {
        'bootstrap.servers': server.address,
        'group.id': 'workers',
        'exactly.once.source.support': 'enabled',
        'config.storage.topic': 'connect-configs',
        'offset.storage.topic': 'connect-offsets',
        'status.storage.topic': 'connect-status',
        'config.storage.replication.factor': 1,
        'offset.storage.replication.factor': 1,
        'status.storage.replication.factor': 1,
        'key.converter': string,
        'value.converter': string,
        listeners: `http://127.0.0.1:${rest}`,
        // A worker that was killed is missed sooner, and its tasks are not kept for it.
        'session.timeout.ms': 6_000,
        'heartbeat.interval.ms': 1_000,
        'scheduled.rebalance.max.delay.ms': 0,
      })
    const workers = [await start('a', rests[0]), await start('b', rests[1])]
    const again = async (which: 0 | 1): Promise<void> => {
      await workers[which]!.kill()
      workers[which] = await start('ab'[which]!, rests[which])
    }
    const told = (): string => workers.map((worker) => worker.log()).join('\n')
    const writing = new Writing(topics.map((topic) => join(folder, topic)))
    // A fetch that waits for records never says that it is at the end while lines come.
    const read = async (topic: string, isolation: string): Promise<string[]> => {
      const args = [
        '-b',
        server.address,
        '-C',
        '-q',
        '-e',
        '-t',
        topic,
        '-X',
        `isolation.level=${isolation}`,
        '-X',
        'fetch.wait.max.ms=1',
      ]
      const { code, stdout, stderr } = await execute(kcat, args)
      assert.equal(code, 0, stderr)
      return stdout.split('\n').slice(0, -1)
    }
    const arrived = (): Promise<number[]> =>
      Promise.all(topics.map(async (topic) => (await read(topic, 'read_committed')).length))
    const status = async (topic: string): Promise<string> =>
      (await fetch(`http://127.0.0.1:${rests[0]}/connectors/${topic}/status`)).text()
    /** If not in time, the error says how many there are, and what the connectors are. */
    const hasArrived = (what: string, least: readonly number[]): Promise<true> =>
      until<true>(
        what,
        240_000,
        async () => {
          const counts = await arrived()
          if (counts.every((count, i) => count >= least[i]!)) return true
          throw new Error(`${counts.join()} of ${least.join()}; ${(await Promise.all(topics.map(status))).join()}`)
        },
        told,
      )
    const goesOn = async (): Promise<true> => {
      const before = await arrived()
      return hasArrived(
        'every source goes on',
        before.map((count) => count + 1),
      )
    }
    try {
      for (const [i, topic] of topics.entries())
        await connector(rests[i % 2]!, topic, told, {
          'connector.class': 'FileStreamSource',
          'tasks.max': 1,
          topic,
          file: join(folder, topic),
          'batch.size': batchSize,
          'exactly.once.support': 'required',
          'topic.creation.default.partitions': 1,
          'topic.creation.default.replication.factor': 1,
        })
      await hasArrived(
        'every source begins',
        topics.map(() => 1),
      )
      const kills: Readonly<Record<string, () => Promise<unknown>>> = {
        'a worker': () => again(0),
        Millrace: () => server.again(),
        'both workers': () => Promise.all([again(0), again(1)]),
      }
      for (const [what, kill] of Object.entries(kills)) {
        await sleep(2_000)
        const since = performance.now()
        await kill()
        await goesOn()
        t.diagnostic(`kill -9 of ${what}: all sources go on after ${Math.round(performance.now() - since)} ms`)
      }
      // The files go on growing: what is left over of a full batch, this connector sends only when there is more.
      const lines = writing.lines()
      await hasArrived(
        'everything has arrived',
        topics.map(() => lines.length),
      )
      for (const topic of topics) {
        const found = await read(topic, 'read_committed')
        assert.deepEqual(found, writing.lines().slice(0, found.length))
        const more = (await read(topic, 'read_uncommitted')).length - found.length
        t.diagnostic(`${topic}: ${found.length} lines; about ${more} more in transactions that were aborted`)
      }
      const target = join(folder, 'sunk')
      await connector(rests[0], 'sink', told, {
        'connector.class': 'FileStreamSink',
        'tasks.max': 1,
        topics: topics[0]!,
        file: target,
        'consumer.override.isolation.level': 'read_committed',
      })
      const sunk = await until(
        'the sink has written',
        60_000,
        async () => {
          const found = readFileSync(target, 'utf8').split('\n').slice(0, -1)
          return found.length >= lines.length ? found : undefined
        },
        told,
      )
      assert.deepEqual(sunk, writing.lines().slice(0, sunk.length))
    } finally {
      writing.end()
      await Promise.all(workers.map((worker) => worker.kill()))
      await server.stop()
      rmSync(folder, { recursive: true, force: true })
    }
  },
)

/** Asked for until a worker takes it: while they rebalance they refuse. */
async function connector(rest: number, name: string, told: () => string, config: Settings): Promise<void> {
  const request = { method: 'PUT', headers: { 'content-type': 'application/json' }, body: JSON.stringify(config) }
  await until(
    `connector ${name}`,
    240_000,
    async () => {
      const answer = await fetch(`http://127.0.0.1:${rest}/connectors/${name}/config`, request)
      assert.ok(answer.ok, await answer.text())
      return true
    },
    told,
  )
}

/** The same lines to each of some files, some every few milliseconds. */
class Writing {
  readonly #lines: string[] = []
  readonly #timer: NodeJS.Timeout
  constructor(files: readonly string[]) {
    const more = (): void => {
      const fresh = Array.from({ length: 10 }, (_, i) => `line ${this.#lines.length + i}`)
      this.#lines.push(...fresh)
      for (const file of files) appendFileSync(file, `${fresh.join('\n')}\n`)
    }
    more()
    this.#timer = setInterval(more, 100)
  }
  lines(): readonly string[] {
    return Array.from(this.#lines)
  }
  end(): void {
    clearInterval(this.#timer)
  }
}
