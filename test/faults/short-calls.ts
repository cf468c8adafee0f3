/** Short writes and reads of a process' files, by a small library that is loaded into it (`clients/short-calls.c`). */
import { existsSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { need, run } from '../interop/setup/index.ts'

export class ShortCalls {
  /** For the process whose calls they are. */
  readonly env: NodeJS.ProcessEnv
  readonly #countFile: string

  private constructor(env: NodeJS.ProcessEnv, countFile: string) {
    this.env = env
    this.#countFile = countFile
  }
  /** Each `every`-th call of the process moves some of its bytes only. */
  static async make(folder: string, every: number): Promise<ShortCalls> {
    const { gcc } = await need('gcc')
    const library = join(folder, 'short-calls.so')
    const source = join(import.meta.dirname, 'clients', 'short-calls.c')
    await run(gcc, ['-O1', '-shared', '-fPIC', '-o', library, source])
    const countFile = join(folder, 'short-calls.count')
    return new ShortCalls({ LD_PRELOAD: library, SHORT_EVERY: String(every), SHORT_COUNT: countFile }, countFile)
  }
  /** How many there have been. */
  get counts(): { readonly writes: number; readonly reads: number } {
    if (!existsSync(this.#countFile)) return { writes: 0, reads: 0 }
    const bytes = readFileSync(this.#countFile)
    return { writes: Number(bytes.readBigUInt64LE(0)), reads: Number(bytes.readBigUInt64LE(8)) }
  }
}
