/**
 * A wall clock that is set while a process runs, by libfaketime: it looks into a file before each answer. The monotonic
 * clock, which timers go by, and times of files stay as they are, as when somebody sets a machine's clock.
 */
import { globSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { need } from '../interop/setup/index.ts'

export class FakeClock {
  /** For the process whose clock it is. */
  readonly env: NodeJS.ProcessEnv
  readonly #file: string

  private constructor(file: string, library: string) {
    this.#file = file
    this.env = {
      LD_PRELOAD: library,
      FAKETIME_TIMESTAMP_FILE: file,
      FAKETIME_NO_CACHE: '1',
      FAKETIME_DONT_FAKE_MONOTONIC: '1',
      NO_FAKE_STAT: '1',
    }
    this.set('+0')
  }
  static async make(folder: string): Promise<FakeClock> {
    await need('faketime')
    const [library] = globSync('/usr/lib/*/faketime/libfaketimeMT.so.1')
    if (library === undefined) throw new Error('the package faketime has brought no libfaketimeMT.so.1')
    return new FakeClock(join(folder, 'clock'), library)
  }
  /** In words of libfaketime: `-3600` seconds off, `+0 x10` ten times as fast since its start. */
  set(to: string): void {
    writeFileSync(this.#file, `${to}\n`)
  }
}
