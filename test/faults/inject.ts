/** Errors of the disk, injected into a running process by strace at its system calls. */
import { spawn } from 'node:child_process'
import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { need } from '../interop/setup/index.ts'

export interface Rule {
  /** Names of system calls, comma separated. */
  readonly calls: string
  /** The call is not made: it fails, or claims to have succeeded. Or it is made 20 ms late. */
  readonly effect: 'error=EIO' | 'error=ENOSPC' | 'retval=0' | 'delay_enter=20000'
  /** Which call of a thread it is, counted from the attachment; without it, every one. */
  readonly when?: number
}

/** What a disk fails with when records are written and synced. */
export const diskFailures: readonly Omit<Rule, 'when'>[] = [
  { calls: 'fdatasync', effect: 'error=EIO' },
  { calls: 'pwrite64,pwritev', effect: 'error=EIO' },
  { calls: 'fdatasync', effect: 'error=ENOSPC' },
  { calls: 'pwrite64,pwritev', effect: 'error=ENOSPC' },
]
export const nameOfFailure = ({ calls, effect }: Omit<Rule, 'when'>): string =>
  `${calls} ${effect.replace('error=', '')}`

export interface Injection {
  /** Calls that it changed so far. */
  readonly count: number
  stop(): Promise<void>
}

/** Why processes cannot be traced on this machine (containers often forbid it); null when they can. Found out by trying. */
export async function tracingMissing(folder: string): Promise<string | null> {
  await need('strace')
  const sleeper = spawn('sleep', ['30'], { stdio: 'ignore' })
  try {
    const rule: Rule = { calls: 'fdatasync', effect: 'error=EIO' }
    const injection = await inject(sleeper.pid!, rule, join(folder, 'strace-probe.log'))
    await injection.stop()
    return null
  } catch (error) {
    return error instanceof Error ? error.message.trim() : String(error)
  } finally {
    sleeper.kill('SIGKILL')
  }
}

const attachWithinMs = 10_000

export async function inject(pid: number, rule: Rule, logFile: string): Promise<Injection> {
  const { strace } = await need('strace')
  const when = rule.when === undefined ? '' : `:when=${rule.when}`
  const effect = `inject=${rule.calls}:${rule.effect}${when}`
  const args = ['-f', '-qq', '-o', logFile, '-p', String(pid), '-e', `trace=${rule.calls}`, '-e', effect]
  const child = spawn(strace, args, { stdio: ['ignore', 'ignore', 'pipe'] })
  let said = ''
  child.stderr.on('data', (bytes: Buffer) => (said += bytes.toString()))
  const ended = new Promise<void>((done) => child.once('exit', () => done()))
  const giveUpAt = performance.now() + attachWithinMs
  while (!isTraced(pid)) {
    if (child.exitCode !== null || performance.now() > giveUpAt) throw new Error(`strace cannot attach: ${said}`)
    await sleep(10)
  }
  return {
    get count() {
      return readFileSync(logFile, 'latin1').split(/\((?:INJECTED|DELAYED)\)/).length - 1
    },
    stop: async () => {
      child.kill('SIGINT')
      await ended
    },
  }
}

function isTraced(pid: number): boolean {
  try {
    return !/^TracerPid:\s+0$/m.test(readFileSync(`/proc/${pid}/status`, 'utf8'))
  } catch {
    return false
  }
}
