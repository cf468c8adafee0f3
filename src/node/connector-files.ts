/** Files that settings of connectors name: secrets, certificates. Who makes connectors need not be one who may read the machine. */
import { isAbsolute, relative, resolve, sep } from 'node:path'
import type { Files } from '../connect/settings.ts'
import type { Disk } from '../lib/world.ts'
import { readText } from '../security/files.ts'

/** `folder`: names are taken from there, and none leads out of it; null: any file of the machine. */
export function connectorFiles(disk: Disk, folder: string | null): Files {
  if (folder === null) return { read: (path) => readText(disk, path), refuses: () => null }
  const root = resolve(folder)
  const place = (path: string): string => resolve(root, path)
  const refuses = (path: string): string | null => {
    const way = relative(root, place(path))
    const isWithin =
      way !== '' && way !== '..' && !way.startsWith(`..${sep}`) && !isAbsolute(way) && !path.includes('\0')
    return isWithin ? null : 'this Millrace keeps files of connectors to one folder (connectFiles): name one in it'
  }
  return {
    refuses,
    read(path) {
      const why = refuses(path)
      if (why !== null) throw new Error(why)
      return readText(disk, place(path))
    },
  }
}
