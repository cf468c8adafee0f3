/**
 * Where installed peers and clients are kept between runs, and how one of many test processes installs a thing while the
 * others wait. `MILLRACE_CACHE` moves the folder, for example to one that continuous integration keeps.
 */
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { dirname, join, resolve } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { fileURLToPath } from 'node:url'

export const repository = resolve(dirname(fileURLToPath(import.meta.url)), '../../..')
export const cacheDir = resolve(process.env['MILLRACE_CACHE'] ?? join(repository, '.cache'))

/** One installation at a time; a waiter gives up only when the holder neither finishes nor dies. */
const lockWaitMsMax = 15 * 60_000

/**
 * Runs `install` unless `DIR/.installed` says that `version` is there. `DIR` is emptied before an installation, so a
 * half-finished one leaves nothing behind. Returns the folder.
 */
export async function installOnce(
  name: string,
  version: string,
  install: (dir: string) => Promise<void> | void,
): Promise<string> {
  const dir = join(cacheDir, name)
  if (installedVersion(dir) === version) return dir
  await locked(name, async () => {
    if (installedVersion(dir) === version) return
    rmSync(dir, { recursive: true, force: true })
    mkdirSync(dir, { recursive: true })
    await install(dir)
    writeFileSync(join(dir, '.installed'), version)
  })
  return dir
}

function installedVersion(dir: string): string | null {
  try {
    return readFileSync(join(dir, '.installed'), 'utf8')
  } catch {
    return null
  }
}

/** Holds `CACHE/NAME.lock` while `work` runs. A lock whose process is dead is taken over. */
export async function locked<T>(name: string, work: () => Promise<T> | T): Promise<T> {
  mkdirSync(cacheDir, { recursive: true })
  const path = join(cacheDir, `${name}.lock`)
  const giveUpAt = performance.now() + lockWaitMsMax
  while (!take(path)) {
    if (performance.now() > giveUpAt) throw new Error(`${path} is held by a process that does not finish`)
    await sleep(200)
  }
  try {
    return await work()
  } finally {
    rmSync(path, { force: true })
  }
}

function take(path: string): boolean {
  try {
    writeFileSync(path, String(process.pid), { flag: 'wx' })
    return true
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== 'EEXIST') throw error
    if (holderIsDead(path)) rmSync(path, { force: true })
    return false
  }
}

function holderIsDead(path: string): boolean {
  try {
    const pid = Number(readFileSync(path, 'utf8'))
    // An empty file is a lock that was made this instant.
    if (pid === 0) return false
    process.kill(pid, 0)
    return false
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === 'ESRCH'
  }
}
