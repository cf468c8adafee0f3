/** Opens a data folder: the lock, meta.json, then what a clean stop left or what recovery makes of the rest. */
import type { Store } from './store.ts'
import type { World } from '../lib/world.ts'
import { DiskStore } from './disk-store.ts'
import { diskFault } from './disk-fault.ts'
import { Opening } from './opening.ts'
import type { StoreOptions } from './options.ts'

export type { StoreOptions } from './options.ts'

/** Throws Fault store.locked, store.damaged, store.format-too-new, store.failed. */
export async function openStore(options: StoreOptions): Promise<Store> {
  const { world } = options
  const dir = options.dir.replace(/(?<=.)\/+$/, '')
  try {
    await makeRoot(world, dir)
    const lock = world.disk.lock(`${dir}/lock`)
    try {
      return new DiskStore(await new Opening(options, dir).open(lock))
    } catch (error) {
      lock.release()
      throw error
    }
  } catch (error) {
    throw diskFault(error, dir)
  }
}

/**
 * Makes the data folder and whatever is missing above it, durably. Until meta.json is there, an earlier process may have
 * made directories and died before it synced them.
 */
async function makeRoot(world: World, dir: string): Promise<void> {
  if (world.disk.stat(`${dir}/meta.json`) !== null) return
  world.disk.makeDirectory(dir)
  for (let at = dir; at !== '/' && at !== '.'; at = holderOf(at)) {
    try {
      await world.disk.syncDirectory(holderOf(at))
    } catch (error) {
      // A directory that may not be read is older than this folder.
      if (!['EACCES', 'EPERM'].includes((error as { code?: string }).code ?? '')) throw error
    }
  }
}
function holderOf(path: string): string {
  const at = path.lastIndexOf('/')
  if (at > 0) return path.slice(0, at)
  return at === 0 ? '/' : '.'
}
