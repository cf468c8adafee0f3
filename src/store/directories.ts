/**
 * Which directories hold entries that a power cut could still forget. A file counts as durable only when its own bytes
 * and every directory on the way down from the root of the store are.
 */
import type { Disk } from '../lib/world.ts'

export class Directories {
  readonly #disk: Disk
  readonly #root: string
  /** Directory → a number that changes with each change in it. */
  readonly #changed = new Map<string, number>()
  readonly #underWay = new Map<string, { version: number; done: Promise<void> }>()
  #version = 0

  constructor(disk: Disk, root: string) {
    this.#disk = disk
    this.#root = root
  }
  /** Creates what is missing of `path`, which lies in the root. */
  make(path: string): void {
    if (this.#disk.stat(path)?.directory === true) return
    this.#disk.makeDirectory(path)
    for (const each of this.#chain(path)) this.changed(each)
  }
  /** An entry of `path` was made, renamed or removed. */
  changed(path: string): void {
    this.#changed.set(path, ++this.#version)
  }
  /** The directory itself is gone. */
  removed(path: string): void {
    this.#changed.delete(path)
    this.changed(parentOf(path))
  }
  /** The same for all directories down to `path`: nobody knows what is durable there. */
  suspect(path: string): void {
    for (const each of this.#chain(path)) this.changed(each)
  }
  isDurable(path: string): boolean {
    for (let at = path; ; at = parentOf(at)) {
      if (this.#changed.has(at)) return false
      if (at === this.#root) return true
    }
  }
  /** Resolves when every change so far, from the root down to `path`, is durable. */
  async sync(path: string): Promise<void> {
    await Promise.all(this.#chain(path).map((each) => this.#syncOne(each)))
  }
  async syncAll(): Promise<void> {
    for (const path of [...this.#changed.keys()]) await this.#syncOne(path)
  }
  async #syncOne(path: string): Promise<void> {
    const version = this.#changed.get(path)
    if (version === undefined) return
    const running = this.#underWay.get(path)
    if (running?.version === version) return running.done
    const done = this.#disk.syncDirectory(path)
    const mine = { version, done }
    this.#underWay.set(path, mine)
    try {
      await done
      if (this.#changed.get(path) === version) this.#changed.delete(path)
    } finally {
      if (this.#underWay.get(path) === mine) this.#underWay.delete(path)
    }
  }
  #chain(path: string): string[] {
    const chain = [path]
    for (let at = path; at !== this.#root;) chain.push((at = parentOf(at)))
    return chain
  }
}

export const parentOf = (path: string): string => path.slice(0, path.lastIndexOf('/'))
