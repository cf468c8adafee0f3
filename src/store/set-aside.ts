/** Moving bytes that are no part of a log out of its way. They are kept. */
import type { World } from '../lib/world.ts'
import type { Core } from './core.ts'
import { parentOf } from './directories.ts'

/** Renames a file to `<file without .log>.torn` (with a number when there is one already) and returns that path. */
export function setAside(core: Pick<Core, 'world' | 'directories'>, path: string): string {
  const to = tornPath(core, path)
  core.world.disk.rename(path, to)
  core.directories.changed(parentOf(path))
  return to
}

export const tornPath = (core: Pick<Core, 'world'>, path: string): string => freeName(core.world, path, 'torn')

/** `<file without .log>.<ending>`, with a number when there is one already. */
export function freeName(world: World, path: string, ending: string): string {
  const stem = path.replace(/\.log$/, '')
  for (let i = 0; ; i++) {
    const to = i === 0 ? `${stem}.${ending}` : `${stem}.${ending}.${i}`
    if (world.disk.stat(to) === null) return to
  }
}
