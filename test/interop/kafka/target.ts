/**
 * What the clients of these tests talk to: Millrace as a process of its own, started for the file. `MILLRACE_TEST_KAFKA`
 * (HOST:PORT) names another broker instead: so the tests themselves can be tried against Apache Kafka.
 */
import { spawn } from 'node:child_process'
import { type Millrace, type StartOptions, startMillrace } from '../setup/index.ts'

export interface Target {
  /** HOST:PORT */
  readonly address: string
  /** The process, unless it is somebody else's. */
  readonly millrace: Millrace | null
}

export async function startTarget(options: StartOptions = {}): Promise<Target & AsyncDisposable> {
  const other = process.env['MILLRACE_TEST_KAFKA']
  const millrace = other === undefined ? await startMillrace(options) : null
  const stop = async (): Promise<void> => millrace?.stop()
  return { address: other ?? millrace!.kafka, millrace, [Symbol.asyncDispose]: stop }
}

export function sharedTarget(hooks: {
  before(call: () => Promise<void>): void
  after(call: () => Promise<void>): void
}): () => Target {
  let target: (Target & AsyncDisposable) | null = null
  hooks.before(async () => void (target = await startTarget()))
  hooks.after(async () => target?.[Symbol.asyncDispose]())
  return () => target!
}

export interface Ended {
  readonly code: number | NodeJS.Signals
  readonly stdout: string
  readonly stderr: string
}
/** Runs to the end with `input` on standard input. Killed, with its output in the error, when it takes too long. */
export function execute(
  command: string,
  args: readonly string[],
  options: { input?: string | Uint8Array; withinMs?: number; env?: NodeJS.ProcessEnv } = {},
): Promise<Ended> {
  const { input = '', withinMs = 60_000, env = {} } = options
  return new Promise((done, fail) => {
    const child = spawn(command, args, { env: { ...process.env, ...env }, stdio: 'pipe' })
    const out: Buffer[] = []
    const error: Buffer[] = []
    child.stdout.on('data', (bytes: Buffer) => void out.push(bytes))
    child.stderr.on('data', (bytes: Buffer) => void error.push(bytes))
    const said = (): { stdout: string; stderr: string } => ({
      stdout: Buffer.concat(out).toString(),
      stderr: Buffer.concat(error).toString(),
    })
    const timer = setTimeout(() => {
      child.kill('SIGKILL')
      const { stdout, stderr } = said()
      fail(new Error(`${command} ${args.join(' ')}: not within ${withinMs} ms\n${stdout}${stderr}`))
    }, withinMs)
    child.once('error', fail)
    child.once('close', (code, signal) => {
      clearTimeout(timer)
      done({ code: code ?? signal ?? 1, ...said() })
    })
    child.stdin.on('error', () => {})
    child.stdin.end(input)
  })
}

let names = 0
const run = Math.floor(performance.timeOrigin).toString(36)
/** A name that no other test of this or an earlier run has. */
export const freshName = (stem: string): string => `${stem}-${run}-${names++}`
