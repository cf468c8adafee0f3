/** Alive: the process answers. Ready: every part says so; else which does not, and why. */
import type { Disk } from '../lib/world.ts'

/** null = ready; else the reason why not, in a sentence. */
export type Check = () => string | null

export interface Readiness {
  readonly ready: boolean
  readonly parts: readonly { readonly name: string; readonly ready: boolean; readonly reason: string | null }[]
}

export class Health {
  readonly #checks = new Map<string, Check>()

  /** A part of the program; the same name replaces. Returns the way to take it out. */
  part(name: string, check: Check): () => void {
    this.#checks.set(name, check)
    return () => {
      if (this.#checks.get(name) === check) this.#checks.delete(name)
    }
  }
  ready(): Readiness {
    const parts = [...this.#checks].map(([name, check]) => {
      const reason = asked(check)
      return { name, ready: reason === null, reason }
    })
    return { ready: parts.length > 0 && parts.every((part) => part.ready), parts }
  }
}
function asked(check: Check): string | null {
  try {
    return check()
  } catch (error) {
    return error instanceof Error ? error.message : String(error)
  }
}

/** Not ready while less than `freeBytesMin` can be written at `path`. */
export function diskCheck(disk: Disk, path: string, freeBytesMin: number): Check {
  return () => {
    const free = disk.free(path)
    return free >= freeBytesMin
      ? null
      : `the disk of ${path} is full: ${free} bytes are free, intake needs ${freeBytesMin}`
  }
}
