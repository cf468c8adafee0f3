/**
 * One holder of a data folder over all processes. The lock is one of the operating system's own (POSIX record locks,
 * LockFileEx), which the death of a process releases whatever killed it, so nothing can be stale and no process id is
 * ever compared. Node offers no such lock; the SQLite inside it does: an open exclusive transaction on an empty
 * database. Nothing is ever written to the file. It also holds between two opens in one process.
 */
import { DatabaseSync } from 'node:sqlite'
import { Fault } from '../fault.ts'

const busy = 5
const noDatabase = 26
/** A database that nobody refers to is collected, and its lock would go with it. */
const held = new Set<DatabaseSync>()

export function lockFile(path: string): { release(): void } {
  const database = new DatabaseSync(path)
  try {
    database.exec('PRAGMA journal_mode = MEMORY; PRAGMA locking_mode = EXCLUSIVE; BEGIN EXCLUSIVE')
  } catch (error) {
    database.close()
    if ((error as { errcode?: number }).errcode === busy) throw new Fault('store.locked', { path }, error)
    if ((error as { errcode?: number }).errcode === noDatabase) {
      const what = 'this is no lock file, which is always empty: delete it, where no other Millrace runs on the folder'
      throw new Fault('store.failed', { what, path }, error)
    }
    throw new Fault('store.failed', { what: error instanceof Error ? error.message : String(error), path }, error)
  }
  held.add(database)
  return {
    release() {
      if (held.delete(database)) database.close()
    },
  }
}
