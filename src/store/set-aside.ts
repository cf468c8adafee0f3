/** Moving bytes that are no part of a log out of its way. They are kept. */
import type { Core } from './core.ts'
import { parentOf } from './directories.ts'

/** Renames a file to `<file without .log>.torn` (with a number when there is one already) and returns that path. */
export function setAside(core: Pick<Core, 'world' | 'directories'>, path: string): string {
  const to = tornPath(core, path)
  core.world.disk.rename(path, to)
  core.directories.changed(parentOf(path))
  return to
}

export function tornPath(core: Pick<Core, 'world'>, path: string): string {
  const stem = path.replace(/\.log$/, '')
  for (let i = 0; ; i++) {
    const to = i === 0 ? `${stem}.torn` : `${stem}.torn.${i}`
    if (core.world.disk.stat(to) === null) return to
  }
}
