/** Kafka Connect's worker (`ConnectDistributed`) and MirrorMaker's as processes, and what the tests of both ask for. */
import { type ChildProcess, spawn } from 'node:child_process'
import { writeFileSync } from 'node:fs'
import { setTimeout as sleep } from 'node:timers/promises'
import { freePorts, kafkaSuites, startKafka, startMillrace } from '../setup/index.ts'

export type Settings = Readonly<Record<string, string | number | boolean>>
export const properties = (settings: Settings): string =>
  Object.entries(settings)
    .map(([key, value]) => `${key}=${value}\n`)
    .join('')

/** A Java program that reads one file of settings. */
export class JavaProgram {
  readonly #lines: string[] = []
  readonly #child: ChildProcess
  readonly #ended: Promise<unknown>

  private constructor(java: string, words: readonly string[]) {
    this.#child = spawn(java, words, { stdio: ['ignore', 'ignore', 'pipe'] })
    this.#ended = new Promise((done) => this.#child.once('close', done))
    this.#child.stderr!.setEncoding('utf8').on('data', (text: string) => {
      this.#lines.push(text)
      if (this.#lines.length > 200) this.#lines.shift()
    })
  }
  static async start(name: string, file: string, settings: Settings): Promise<JavaProgram> {
    const [java, words] = await kafkaSuites()
    writeFileSync(file, properties(settings))
    return new JavaProgram(java, [...words, name, file])
  }
  /** The last of what it wrote to standard error. */
  log(): string {
    return this.#lines.join('').slice(-6_000)
  }
  async kill(signal: NodeJS.Signals = 'SIGKILL'): Promise<void> {
    this.#child.kill(signal)
    await this.#ended
  }
}

/** Asks until the answer is not `undefined`. `told` is what the error says beside. */
export async function until<T>(
  what: string,
  withinMs: number,
  ask: () => Promise<T | undefined>,
  told: () => string = () => '',
): Promise<T> {
  const end = performance.now() + withinMs
  let last: unknown = null
  while (performance.now() < end) {
    try {
      const answer = await ask()
      if (answer !== undefined) return answer
    } catch (error) {
      last = error
    }
    await sleep(250)
  }
  throw new Error(`${what}: not within ${withinMs} ms; ${String(last)}\n${told()}`)
}

/** A broker that can be killed and comes back where it was. */
export interface Restartable {
  /** HOST:PORT */
  readonly address: string
  /** kill -9, and the next start. */
  again(): Promise<void>
  stop(): Promise<void>
}
export async function restartableMillrace(data: string, port: number): Promise<Restartable> {
  if (process.env['MILLRACE_TEST_KAFKA'] !== undefined) return apacheKafka(data)
  const options = { data, kafka: `127.0.0.1:${port}` }
  let millrace = await startMillrace(options)
  return {
    address: millrace.kafka,
    again: async () => {
      await millrace.kill('SIGKILL')
      millrace = await startMillrace(options)
    },
    stop: () => millrace.stop(),
  }
}
/** Apache Kafka. With any `MILLRACE_TEST_KAFKA` it also stands in for Millrace, so the tests themselves can be tried. */
export async function apacheKafka(data: string): Promise<Restartable> {
  const on = await freePorts()
  let kafka = await startKafka(data, [], on)
  return {
    address: kafka.address,
    again: async () => {
      process.kill(kafka.pid, 'SIGKILL')
      await gone(kafka.pid)
      kafka = await startKafka(data, [], on)
    },
    stop: () => kafka.stop(),
  }
}
async function gone(pid: number): Promise<void> {
  await until('the broker is gone', 10_000, async () => {
    try {
      process.kill(pid, 0)
      return undefined
    } catch {
      return true
    }
  })
}
