/** Somebody else's files on the same disk. */
import { rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import type { Volume } from './volume.ts'

const megabyte = 1024 * 1024

export class Ballast {
  readonly #volume: Volume
  readonly #files: string[] = []

  constructor(volume: Volume) {
    this.#volume = volume
  }
  /** Takes space until at most so much is free. */
  leave(megabytes: number): void {
    const path = join(this.#volume.path, `ballast-${this.#files.length}`)
    this.#files.push(path)
    const bytes = this.#volume.freeBytes() - megabytes * megabyte
    try {
      if (bytes > 0) writeFileSync(path, Buffer.alloc(bytes, 1))
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code !== 'ENOSPC') throw error
    }
  }
  free(): void {
    for (const path of this.#files.splice(0)) rmSync(path, { force: true })
  }
}
