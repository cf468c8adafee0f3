/** Both engines of the comparison, each on the same core, and how they are asked for one run of a query. */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdirSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'
import { cpuSeconds } from '../../test/faults/process.ts'
import {
  type FlinkCluster,
  cacheDir,
  flinkDir,
  flinkScripts,
  need,
  run,
  startFlink,
} from '../../test/interop/setup/index.ts'
import { type Properties, flinkScript } from '../peers/flink/queries.ts'
import type { Answer, Ask, Failure } from './ours.ts'

/** One runs at a time: the other core is left to the JobManager, the client and whatever else there is. */
const core = 0
/** Both may use as much. */
const heapMegabytes = 6_144

/** What `millrace` sets for itself when it starts. */
const ofProgram = ['--import', import.meta.resolve('../../src/lib/real/v8-settings.ts')]

/** Not the system's folder for temporary files: that may be memory. */
function dataFolder(name: string): string {
  mkdirSync(cacheDir, { recursive: true })
  return mkdtempSync(join(cacheDir, `bench-${name}-`))
}

export interface Run {
  readonly cpuSeconds: number
  readonly wallSeconds: number
}

/** Millrace, in a process of its own on a data folder of its own. */
export class Ours implements AsyncDisposable {
  readonly #child: ChildProcess
  readonly #folder: string

  private constructor(child: ChildProcess, folder: string) {
    this.#child = child
    this.#folder = folder
  }
  /** `script`: that of this checkout, or the same of another. */
  static async start(script = fileURLToPath(new URL('ours.ts', import.meta.url))): Promise<Ours> {
    const folder = dataFolder('ours')
    const words = [
      '-c',
      String(core),
      process.execPath,
      `--max-old-space-size=${heapMegabytes}`,
      ...ofProgram,
      '--expose-gc',
      script,
      folder,
    ]
    const child = spawn('taskset', words, { stdio: ['ignore', 'inherit', 'inherit', 'ipc'] })
    const ours = new Ours(child, folder)
    await ours.#answer()
    return ours
  }
  async ask(ask: Ask): Promise<Answer> {
    this.#child.send(ask)
    return (await this.#answer()) as Answer
  }
  #answer(): Promise<unknown> {
    const child = this.#child
    return new Promise((resolve, reject) => {
      const done = (): void => {
        child.off('message', said).off('exit', ended).off('error', ended)
      }
      const said = (message: unknown): void => {
        done()
        const { error } = message as Partial<Failure>
        if (error === undefined) resolve(message)
        else reject(new Error(`Millrace: ${error}`))
      }
      const ended = (how: unknown): void => {
        done()
        reject(new Error(`Millrace ended with ${String(how)}`))
      }
      child.on('message', said).on('exit', ended).on('error', ended)
    })
  }
  async [Symbol.asyncDispose](): Promise<void> {
    await this.ask({ what: 'stop' }).catch((error: unknown) => console.error(error))
    this.#child.kill('SIGKILL')
    rmSync(this.#folder, { recursive: true, force: true })
  }
}

export interface FlinkRun {
  readonly query: string
  readonly source: Properties
  /** Of the state, every second, to files. */
  readonly checkpoints: boolean
}
/** Flink: a cluster, and a client that hands it one script after the other. */
export class Flink implements AsyncDisposable {
  readonly #cluster: FlinkCluster
  readonly #client: ChildProcess
  readonly #answers: AsyncIterator<string>
  readonly #folder: string

  private constructor(cluster: FlinkCluster, client: ChildProcess, folder: string) {
    this.#cluster = cluster
    this.#client = client
    this.#folder = folder
    this.#answers = createInterface({ input: client.stdout! })[Symbol.asyncIterator]()
  }
  static async start(heap = heapMegabytes): Promise<Flink> {
    const folder = dataFolder('theirs')
    const dir = await flinkDir()
    const cluster = await startFlink(folder, { core, heapMegabytes: heap })
    const log = openSync(join(folder, 'client.log'), 'a')
    const client = spawn(join(flinkScripts, 'runner.sh'), [dir, String(cluster.restPort)], {
      stdio: ['pipe', 'pipe', log],
    })
    return new Flink(cluster, client, folder)
  }
  async run(run: FlinkRun): Promise<Run> {
    const before = cpuSeconds(this.#cluster.taskManagerPid)
    const job = await this.#execute(run)
    const after = cpuSeconds(this.#cluster.taskManagerPid)
    return { cpuSeconds: after - before, wallSeconds: await this.#wallSeconds(job) }
  }
  /** Until the job has ended; gives its id. */
  async #execute({ query, source, checkpoints }: FlinkRun): Promise<string> {
    const settings = {
      'pipeline.object-reuse': 'true',
      'table.local-time-zone': 'UTC',
      'parallelism.default': 1,
      'pipeline.name': query,
      ...(checkpoints
        ? {
            'execution.checkpointing.interval': '1 s',
            'execution.checkpointing.dir': `file://${this.#folder}/checkpoints`,
          }
        : {}),
    }
    const script = join(this.#folder, `${query}.sql`)
    writeFileSync(script, flinkScript(query, source, settings))
    this.#client.stdin!.write(`${script}\n`)
    const { value, done } = await this.#answers.next()
    if (done === true) throw new Error("Flink's client ended")
    const [how, what] = splitAtBlank(value)
    if (how !== 'DONE') throw new Error(`Flink, ${query}: ${what.slice(0, 600)}`)
    return what
  }
  /**
   * What the TaskManager's heap holds more, after a full collection, once a query has read all of a source that does not
   * end: there its state stays. MB.
   */
  async stateMegabytes(query: string, source: Properties): Promise<number> {
    const pid = this.#cluster.taskManagerPid
    const before = await heapMegabytesOf(pid)
    const started = cpuSeconds(pid)
    const ended = this.#execute({ query, source, checkpoints: false })
    ended.catch(() => {})
    const job = await this.#runningJob()
    // It has begun, and has nothing more to do.
    for (let last = started, idle = 0; idle < 2;) {
      await Promise.race([sleep(5_000), ended.then(() => Promise.reject(new Error(`Flink's ${query} ended`)))])
      const now = cpuSeconds(pid)
      idle = now - started > 5 && now - last < 0.25 ? idle + 1 : 0
      last = now
    }
    const after = await heapMegabytesOf(pid)
    await this.#rest(`/jobs/${job}?mode=cancel`, 'PATCH')
    // The client says that its job was cancelled.
    await ended.catch(() => {})
    return after - before
  }
  async #rest(path: string, method = 'GET'): Promise<unknown> {
    const answer = await fetch(`http://127.0.0.1:${this.#cluster.restPort}${path}`, { method })
    if (!answer.ok) throw new Error(`Flink, ${path}: ${answer.status} ${await answer.text()}`)
    return answer.json()
  }
  async #runningJob(): Promise<string> {
    for (;;) {
      const { jobs } = (await this.#rest('/jobs')) as { jobs: readonly { id: string; status: string }[] }
      const running = jobs.find(({ status }) => status === 'RUNNING')
      if (running !== undefined) return running.id
      await sleep(200)
    }
  }
  /** Of a job that has ended, from where all its tasks ran. */
  async #wallSeconds(job: string): Promise<number> {
    const { state, timestamps } = (await this.#rest(`/jobs/${job}`)) as {
      state: string
      timestamps: Record<string, number>
    }
    if (state !== 'FINISHED') throw new Error(`Flink's job is ${state}`)
    return (timestamps['FINISHED']! - timestamps['RUNNING']!) / 1_000
  }
  async [Symbol.asyncDispose](): Promise<void> {
    this.#client.kill('SIGKILL')
    await this.#cluster.stop()
    rmSync(this.#folder, { recursive: true, force: true })
  }
}
/** What is alive on the heap of a JVM. */
async function heapMegabytesOf(pid: number): Promise<number> {
  const { jcmd } = await need('jcmd')
  await run(jcmd, [String(pid), 'GC.run'])
  const said = await run(jcmd, [String(pid), 'GC.heap_info'])
  const [, kilobytes] = /heap\s+total \d+K, used (\d+)K/.exec(said) ?? []
  if (kilobytes === undefined) throw new Error(`jcmd GC.heap_info: ${said}`)
  return Number(kilobytes) / 1024
}
function splitAtBlank(line: string): [string, string] {
  const at = line.indexOf(' ')
  return [line.slice(0, at), line.slice(at + 1)]
}
