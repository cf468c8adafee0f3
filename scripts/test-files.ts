/**
 * Runs test files, each as a process of its own with a time limit of its own. `node --test` has none for a file: one that
 * hangs (an endless loop, a process that does not exit) would hold everything up for ever.
 */
import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { setTimeout as sleep } from 'node:timers/promises'

export interface FileLimits {
  /** Files at the same time. */
  readonly concurrency: number
  /** Milliseconds of one test. */
  readonly testMs: number
  /** Milliseconds of one file. One that needs more is killed and judged by a second run, alone. */
  readonly fileMs: number
  /** What Node gets besides the options of its test runner. */
  readonly nodeArgs?: readonly string[]
  readonly env?: NodeJS.ProcessEnv
}

type Outcome = 'passed' | 'failed' | 'out of time'

interface Run {
  readonly file: string
  readonly outcome: Outcome
  /** Of what the tests themselves said. */
  readonly output: string
  /** What the runner says at the end of a file: its counts, then each failure. */
  readonly end: string
}

const counted = ['tests', 'pass', 'fail', 'cancelled', 'skipped', 'todo'] as const

/** Prints what each file says as it ends, then the counts and the failures of all. True where everything passed. */
export async function runTestFiles(files: readonly string[], limits: FileLimits): Promise<boolean> {
  const started = performance.now()
  const ended: Run[] = []
  const waiting = [...files]
  const worker = async (): Promise<void> => {
    for (let file = waiting.shift(); file !== undefined; file = waiting.shift()) {
      const run = await runFile(file, limits)
      ended.push(run)
      process.stdout.write(run.output)
    }
  }
  await Promise.all(Array.from({ length: limits.concurrency }, worker))
  for (const [i, run] of ended.entries()) {
    if (run.outcome !== 'out of time') continue
    console.log(`${run.file} did not end within ${limits.fileMs / 1000} s and was killed; it is judged alone now`)
    const again = await runFile(run.file, limits)
    process.stdout.write(again.output)
    ended[i] = again
  }
  for (const name of counted) console.log(`ℹ ${name} ${sum(ended, name)}`)
  console.log(`ℹ duration_ms ${Math.round(performance.now() - started)}`)
  const failures = ended.filter((run) => run.outcome !== 'passed')
  if (failures.length === 0) return true
  console.log(`\n✖ failing tests:\n`)
  for (const run of failures) console.log(failureOf(run, limits))
  return false
}

async function runFile(file: string, limits: FileLimits): Promise<Run> {
  const args = [
    ...(limits.nodeArgs ?? []),
    `--test-timeout=${limits.testMs}`,
    // What a client of others has left open would keep its file running until the time limit.
    '--test-force-exit',
    '--test-reporter=spec',
    file,
  ]
  const child = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'inherit'], env: limits.env ?? process.env })
  const pieces: Buffer[] = []
  child.stdout.on('data', (piece: Buffer) => pieces.push(piece))
  let late = false
  const timer = setTimeout(() => {
    late = true
    child.kill('SIGKILL')
  }, limits.fileMs)
  const closed = once(child, 'close')
  const [status] = (await once(child, 'exit')) as [number | null]
  clearTimeout(timer)
  // What a test has left behind may hold the pipe.
  await Promise.race([closed, sleep(2000)])
  child.stdout.destroy()
  const text = Buffer.concat(pieces).toString()
  const at = text.search(/^ℹ tests \d+$/m)
  const [output, end] = at < 0 ? [text, ''] : [text.slice(0, at), text.slice(at)]
  return { file, outcome: late ? 'out of time' : status === 0 ? 'passed' : 'failed', output, end }
}

function sum(runs: readonly Run[], name: string): number {
  return runs.reduce((total, { end }) => total + Number(new RegExp(`^ℹ ${name} (\\d+)$`, 'm').exec(end)?.[1] ?? 0), 0)
}

function failureOf(run: Run, limits: FileLimits): string {
  if (run.outcome === 'out of time') return `${run.file}: did not end within ${limits.fileMs / 1000} s, twice\n`
  const details = run.end.split('✖ failing tests:\n')[1]
  return details === undefined ? `${run.file}: ended before it had said its results\n` : details.trimStart()
}
