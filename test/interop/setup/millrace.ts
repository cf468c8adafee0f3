/**
 * Millrace as a process of its own, started the way a user starts it and asked for nothing that a user cannot ask.
 * `MILLRACE_COMMAND` (words split at blanks) replaces the start of the command line, for example by the built package.
 */
import { type ChildProcessByStdio, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
import type { Readable } from 'node:stream'
import { repository } from './cache.ts'

export interface StartOptions {
  /** Kept after the end when given; else a temporary folder that goes away with the process. */
  readonly data?: string
  /** HOST:PORT; port 0 (the default) picks one. */
  readonly kafka?: string
  readonly http?: string
  readonly args?: readonly string[]
  readonly env?: NodeJS.ProcessEnv
  /** Words before the command, for example of strace. */
  readonly under?: readonly string[]
  readonly readyWithinMs?: number
  /** SIGKILL so long after the spawn, ready or not. */
  readonly killAfterMs?: number
}

export interface Millrace extends AsyncDisposable {
  readonly data: string
  /** The process that serves, also when it runs under another one. */
  readonly pid: number
  /** HOST:PORT */
  readonly kafka: string
  readonly http: string
  /** Protocol → HOST:PORT, of all that listen. */
  readonly listen: Readonly<Record<string, string>>
  /** What the process says itself, and what passed from the spawn to that line. */
  readonly startedInMs: number
  readonly spawnToReadyMs: number
  readonly running: boolean
  /** Exit code or signal, when it has ended. */
  readonly ended: Promise<number | NodeJS.Signals>
  /** The last lines that it wrote to standard error. */
  log(): string
  kill(signal: NodeJS.Signals): Promise<number | NodeJS.Signals>
  /** SIGTERM; must end by itself with code 0. */
  stop(): Promise<void>
}

const logLinesMax = 200
const stopWithinMs = 15_000
const readyWithinMsDefault = 60_000
const alive = new Set<Spawned>()
process.once('exit', () => {
  for (const spawned of alive) spawned.killAll()
})

/** The words that start its command line. */
export function millraceCommand(): string[] {
  const replaced = process.env['MILLRACE_COMMAND']
  if (replaced !== undefined && replaced !== '') return replaced.split(' ')
  return [process.execPath, join(repository, 'src', 'cli', 'main.ts')]
}

export async function startMillrace(options: StartOptions = {}): Promise<Millrace> {
  const temporary = options.data === undefined ? mkdtempSync(join(tmpdir(), 'millrace-')) : null
  const data = options.data ?? temporary!
  const forget = (): void => {
    if (temporary !== null) rmSync(temporary, { recursive: true, force: true })
  }
  const spawnedAt = performance.now()
  const spawned = new Spawned(commandLine(data, options), { ...process.env, ...options.env })
  if (options.killAfterMs !== undefined) setTimeout(() => spawned.killAll(), options.killAfterMs)
  let ready: Ready
  try {
    ready = await spawned.ready(options.readyWithinMs ?? readyWithinMsDefault)
  } catch (error) {
    forget()
    throw error
  }
  const spawnToReadyMs = performance.now() - spawnedAt
  return {
    data,
    pid: ready.pid,
    kafka: ready.listen['kafka'] ?? '',
    http: ready.listen['http'] ?? '',
    listen: ready.listen,
    startedInMs: ready.startedInMs,
    spawnToReadyMs,
    get running() {
      return spawned.running
    },
    ended: spawned.ended,
    log: () => spawned.log(),
    kill: (signal) => spawned.kill(ready.pid, signal),
    stop: async () => {
      const timer = setTimeout(() => spawned.killAll(), stopWithinMs)
      const how = await spawned.kill(ready.pid, 'SIGTERM')
      clearTimeout(timer)
      forget()
      if (how !== 0) throw new Error(`SIGTERM ended it with ${how} instead of 0\n${spawned.log()}`)
    },
    [Symbol.asyncDispose]: async () => {
      spawned.killAll()
      await spawned.ended
      forget()
    },
  }
}

function commandLine(data: string, options: StartOptions): string[] {
  const words = [...(options.under ?? []), ...millraceCommand(), 'serve', '--data', data]
  words.push('--listen', `kafka=${options.kafka ?? '127.0.0.1:0'}`, '--listen', `http=${options.http ?? '127.0.0.1:0'}`)
  words.push('-o', 'json', ...(options.args ?? []))
  return words
}

interface Ready {
  readonly pid: number
  readonly listen: Readonly<Record<string, string>>
  readonly startedInMs: number
}

/** The process, its last words, and how it ends. */
class Spawned {
  running = true
  readonly ended: Promise<number | NodeJS.Signals>
  readonly #child: ChildProcessByStdio<null, Readable, Readable>
  readonly #lines: string[] = []
  #isReady = false
  #endedByUs = false

  constructor(words: readonly string[], env: NodeJS.ProcessEnv) {
    // A group of its own, so that a process under strace ends with strace.
    this.#child = spawn(words[0]!, words.slice(1), { stdio: ['ignore', 'pipe', 'pipe'], env, detached: true })
    alive.add(this)
    createInterface(this.#child.stderr).on('line', (line) => {
      this.#lines.push(line)
      if (this.#lines.length > logLinesMax) this.#lines.shift()
    })
    this.ended = new Promise((done) => {
      this.#child.once('error', (error) => {
        this.#lines.push(String(error))
        done(127)
      })
      this.#child.once('exit', (code, signal) => done(code ?? signal ?? 1))
    })
    void this.ended.then((how) => this.#hasEnded(how))
  }

  log(): string {
    return this.#lines.join('\n')
  }
  kill(pid: number, signal: NodeJS.Signals): Promise<number | NodeJS.Signals> {
    this.#endedByUs = true
    if (this.running) process.kill(pid, signal)
    return this.ended
  }
  killAll(): void {
    this.#endedByUs = true
    const { pid } = this.#child
    if (pid === undefined || !this.running) return
    try {
      process.kill(-pid, 'SIGKILL')
    } catch {
      // It ended this instant.
    }
  }

  ready(withinMs: number): Promise<Ready> {
    return new Promise((done, fail) => {
      const timer = setTimeout(() => {
        this.killAll()
        fail(new Error(`not ready within ${withinMs} ms\n${this.log()}`))
      }, withinMs)
      void this.ended.then((how) => {
        clearTimeout(timer)
        fail(new Error(`ended with ${how} before it was ready\n${this.log()}`))
      })
      createInterface(this.#child.stdout).on('line', (line) => {
        if (!line.includes('"ready"')) return
        clearTimeout(timer)
        this.#isReady = true
        done(JSON.parse(line) as Ready)
      })
    })
  }

  #hasEnded(how: number | NodeJS.Signals): void {
    this.running = false
    alive.delete(this)
    // Before it is ready, the error of `ready` says it.
    if (!this.#endedByUs && this.#isReady)
      console.error(`process ${this.#child.pid} ended with ${how}, which nobody here asked for\n${this.log()}`)
  }
}
