/**
 * Millrace as a process of its own, started the way a user starts it and asked for nothing that a user cannot ask.
 * `MILLRACE_COMMAND` (words split at blanks) replaces the start of the command line, for example by the built package.
 */
import { type ChildProcess, spawn } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { createInterface } from 'node:readline'
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
const alive = new Set<ChildProcess>()
process.once('exit', () => {
  for (const child of alive) killTree(child, 'SIGKILL')
})

export function millraceCommand(): string[] {
  const replaced = process.env['MILLRACE_COMMAND']
  if (replaced !== undefined && replaced !== '') return replaced.split(' ')
  return [process.execPath, join(repository, 'src', 'cli', 'main.ts')]
}

export async function startMillrace(options: StartOptions = {}): Promise<Millrace> {
  const temporary = options.data === undefined ? mkdtempSync(join(tmpdir(), 'millrace-')) : null
  const data = options.data ?? temporary!
  const listen = [`kafka=${options.kafka ?? '127.0.0.1:0'}`, `http=${options.http ?? '127.0.0.1:0'}`]
  const words = [...(options.under ?? []), ...millraceCommand(), 'serve', '--data', data]
  for (const at of listen) words.push('--listen', at)
  words.push('-o', 'json', ...(options.args ?? []))
  const spawnedAt = performance.now()
  // A group of its own, so that a process under strace ends with strace.
  const child = spawn(words[0]!, words.slice(1), {
    stdio: ['ignore', 'pipe', 'pipe'],
    env: { ...process.env, ...options.env },
    detached: true,
  })
  alive.add(child)
  if (options.killAfterMs !== undefined) setTimeout(() => killTree(child, 'SIGKILL'), options.killAfterMs)
  const lines: string[] = []
  createInterface(child.stderr).on('line', (line) => {
    lines.push(line)
    if (lines.length > logLinesMax) lines.shift()
  })
  const ended = new Promise<number | NodeJS.Signals>((done) => {
    child.once('error', (error) => {
      lines.push(String(error))
      done(127)
    })
    child.once('exit', (code, signal) => {
      alive.delete(child)
      done(code ?? signal ?? 1)
    })
  })
  let running = true
  void ended.then(() => (running = false))
  const log = (): string => lines.join('\n')
  const ready = await readyLine(child, ended, log, options.readyWithinMs ?? 60_000)
  const spawnToReadyMs = performance.now() - spawnedAt

  const kill = (signal: NodeJS.Signals): Promise<number | NodeJS.Signals> => {
    if (running) process.kill(ready.pid, signal)
    return ended
  }
  const forget = (): void => {
    if (temporary !== null) rmSync(temporary, { recursive: true, force: true })
  }
  return {
    data,
    pid: ready.pid,
    kafka: ready.listen['kafka'] ?? '',
    http: ready.listen['http'] ?? '',
    startedInMs: ready.startedInMs,
    spawnToReadyMs,
    get running() {
      return running
    },
    ended,
    log,
    kill,
    stop: async () => {
      const timer = setTimeout(() => killTree(child, 'SIGKILL'), stopWithinMs)
      const how = await kill('SIGTERM')
      clearTimeout(timer)
      forget()
      if (how !== 0) throw new Error(`SIGTERM ended it with ${how} instead of 0\n${log()}`)
    },
    [Symbol.asyncDispose]: async () => {
      killTree(child, 'SIGKILL')
      await ended
      forget()
    },
  }
}

interface Ready {
  readonly pid: number
  readonly listen: Readonly<Record<string, string>>
  readonly startedInMs: number
}

function readyLine(
  child: ChildProcess,
  ended: Promise<number | NodeJS.Signals>,
  log: () => string,
  withinMs: number,
): Promise<Ready> {
  return new Promise((done, fail) => {
    const timer = setTimeout(() => {
      killTree(child, 'SIGKILL')
      fail(new Error(`not ready within ${withinMs} ms\n${log()}`))
    }, withinMs)
    void ended.then((how) => {
      clearTimeout(timer)
      fail(new Error(`ended with ${how} before it was ready\n${log()}`))
    })
    createInterface(child.stdout!).on('line', (line) => {
      if (!line.includes('"ready"')) return
      clearTimeout(timer)
      done(JSON.parse(line) as Ready)
    })
  })
}

function killTree(child: ChildProcess, signal: NodeJS.Signals): void {
  if (child.pid === undefined || child.exitCode !== null || child.signalCode !== null) return
  try {
    process.kill(-child.pid, signal)
  } catch {
    // it ended this instant
  }
}
