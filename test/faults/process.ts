/** What the kernel says of a process: memory, CPU time, open files. */
import { readdirSync, readFileSync } from 'node:fs'

const statusBytes = (pid: number, field: string): number => {
  const found = new RegExp(`^${field}:\\s+(\\d+) kB`, 'm').exec(readFileSync(`/proc/${pid}/status`, 'utf8'))
  if (found === null) throw new Error(`/proc/${pid}/status has no ${field}`)
  return Number(found[1]) * 1024
}
export const residentBytes = (pid: number): number => statusBytes(pid, 'VmRSS')
export const residentBytesMax = (pid: number): number => statusBytes(pid, 'VmHWM')
export const openFiles = (pid: number): number => readdirSync(`/proc/${pid}/fd`).length

const ticksPerSecond = 100
/** User and system time of all threads so far, also of those that ended. */
export function cpuSeconds(pid: number): number {
  const stat = readFileSync(`/proc/${pid}/stat`, 'utf8')
  // The second field is a name that may hold blanks; the others follow its closing bracket.
  const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ')
  return (Number(fields[11]) + Number(fields[12])) / ticksPerSecond
}

export const megabytes = (bytes: number): number => Math.round(bytes / (1024 * 1024))

/** Samples resident memory until stopped. */
export class MemoryWatch {
  readonly first: number
  max: number
  readonly #pid: number
  readonly #timer: NodeJS.Timeout

  constructor(pid: number, everyMs = 200) {
    this.#pid = pid
    this.first = this.max = residentBytes(pid)
    this.#timer = setInterval(() => this.sample(), everyMs)
  }
  sample(): number {
    try {
      const now = residentBytes(this.#pid)
      this.max = Math.max(this.max, now)
      return now
    } catch {
      // The process is gone; whoever waits for it says so.
      return 0
    }
  }
  stop(): void {
    clearInterval(this.#timer)
  }
  /** What is wrong with a growth beyond so many bytes; [] = nothing. */
  problems(growthBytesMax: number): string[] {
    if (this.max - this.first <= growthBytesMax) return []
    return [`memory grew by ${megabytes(this.max - this.first)} MB from ${megabytes(this.first)} MB`]
  }
  get figures(): Record<string, number> {
    return { 'MB before': megabytes(this.first), 'MB max': megabytes(this.max) }
  }
}
