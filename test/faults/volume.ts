/**
 * A file system of our own on an image file, mounted through a loop device: it can be cut off as by a power failure
 * (`xfs_io -x -c shutdown`, which XFS and ext4 both take: from then on nothing that was not synced reaches the image) and
 * it can be small enough to fill. Where loop devices or mounting are not allowed, `volumesMissing` says so.
 */
import { spawnSync } from 'node:child_process'
import { existsSync, mkdirSync, readdirSync, readFileSync, statfsSync, truncateSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { setTimeout as sleep } from 'node:timers/promises'
import { type Millrace, need, run } from '../interop/setup/index.ts'

export type FileSystem = 'xfs' | 'ext4'

/** Why volumes cannot be used on this machine; null when they can. Found out by making one. */
export async function volumesMissing(folder: string): Promise<string | null> {
  if (process.getuid?.() !== 0) return 'mounting needs root'
  if (!existsSync('/dev/loop-control')) return 'this machine has no loop devices (/dev/loop-control)'
  try {
    const volume = await Volume.make(join(folder, 'probe'), 'ext4', 16)
    await volume.unmount()
    return null
  } catch (error) {
    return `no loop device could be mounted: ${error instanceof Error ? error.message.split('\n').at(-1) : String(error)}`
  }
}

/** Unmounted at the end of the process, however it comes. */
const mounted = new Set<string>()
process.once('exit', () => {
  for (const path of mounted) spawnSync('umount', ['-l', path])
})

export class Volume {
  readonly path: string
  readonly #image: string

  private constructor(image: string, path: string) {
    this.#image = image
    this.path = path
  }

  /** Makes DIR.img of `megabytes` and mounts it at DIR. XFS needs at least 300. */
  static async make(dir: string, fileSystem: FileSystem, megabytes: number): Promise<Volume> {
    const tools = await need('mkfsXfs', 'mkfsExt4', 'xfsIo', 'losetup')
    const image = `${dir}.img`
    mkdirSync(dir, { recursive: true })
    writeFileSync(image, '')
    truncateSync(image, megabytes * 1024 * 1024)
    if (fileSystem === 'xfs') await run(tools.mkfsXfs, ['-q', image])
    else await run(tools.mkfsExt4, ['-q', '-m', '0', image])
    const volume = new Volume(image, dir)
    await volume.mount()
    return volume
  }

  async mount(): Promise<void> {
    await run('mount', ['-o', 'loop', this.#image, this.path])
    mounted.add(this.path)
  }

  /** Nothing that is not on the image yet will ever be; every later write fails with EIO. */
  async cutPower(): Promise<void> {
    const { xfsIo } = await need('xfsIo')
    await run(xfsIo, ['-x', '-c', 'shutdown', this.path])
  }

  /**
   * A power cut as a process meets it, at whatever it is doing: held still, cut off, let go on for a moment on the dead
   * disk (what it acknowledges then is a promise too), killed; then mounted again. Held still, because an fdatasync that is
   * under way while the file system is shut down may report success for what the shutdown has just thrown away (seen with
   * a ten-line program on XFS and ext4): no real power cut lets a process see that answer. `beforeCut` runs while it is
   * still.
   */
  async cutAndRemount(product: Millrace, beforeCut: () => void = () => {}): Promise<void> {
    await holdStill(product.pid)
    beforeCut()
    await this.cutPower()
    await letGoOn(product)
    await this.unmount()
    await this.mount()
  }

  /** The processes that used it must be gone; the kernel may hold on for a moment longer. */
  async unmount(): Promise<void> {
    for (let left = 50; ; left--) {
      try {
        await run('umount', [this.path])
        mounted.delete(this.path)
        return
      } catch (error) {
        if (left === 0) throw error
        await sleep(100)
      }
    }
  }

  freeBytes(): number {
    const { bavail, bsize } = statfsSync(this.path)
    return bavail * bsize
  }
}

const stillWithinMs = 5_000

/** Stops every thread ('t' under a tracer); system calls that are under way end first. */
async function holdStill(pid: number): Promise<void> {
  process.kill(pid, 'SIGSTOP')
  const giveUpAt = performance.now() + stillWithinMs
  while (!threadStates(pid).every((state) => state === 'T' || state === 't')) {
    if (performance.now() > giveUpAt) throw new Error(`process ${pid} does not stop`)
    await sleep(1)
  }
}

async function letGoOn(product: Millrace): Promise<void> {
  process.kill(product.pid, 'SIGCONT')
  await sleep(50)
  await product.kill('SIGKILL')
}

function threadStates(pid: number): string[] {
  return readdirSync(`/proc/${pid}/task`).map((thread) => {
    const stat = readFileSync(`/proc/${pid}/task/${thread}/stat`, 'utf8')
    return stat.slice(stat.lastIndexOf(')') + 2, stat.lastIndexOf(')') + 3)
  })
}
