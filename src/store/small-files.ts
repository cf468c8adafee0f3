/** The small files beside the segments of a partition: the log's start, snapshots. */
import { asFault, Fault } from '../lib/fault.ts'
import type { Core } from './core.ts'
import { diskFault } from './disk-fault.ts'
import { ownerOf, packSmallFile, readWhole, replaceFile, type SmallFile, unpackSmallFile } from './small-file.ts'

export class SmallFiles {
  readonly #core: Core
  readonly #folder: string
  #lastTurn: Promise<void> = Promise.resolve()

  constructor(core: Core, folder: string) {
    this.#core = core
    this.#folder = folder
  }
  /** A file is replaced by way of one other name: never two at a time. */
  inTurn(call: () => Promise<void>): Promise<void> {
    const turn = this.#lastTurn.then(call)
    this.#lastTurn = turn.catch(() => {})
    return turn
  }
  /** In a turn. Durable when it resolves. */
  async replace(name: string, content: SmallFile): Promise<void> {
    const { world, directories } = this.#core
    const path = `${this.#folder}/${name}`
    try {
      directories.make(this.#folder)
      await replaceFile(world.disk, directories, path, packSmallFile(content, ownerOf(this.#folder)))
    } catch (error) {
      throw diskFault(error, path)
    }
  }
  /** null when there is none, or none that is as it was written: that is reported. */
  load(name: string): SmallFile | null {
    const path = `${this.#folder}/${name}`
    try {
      const packed = readWhole(this.#core.world.disk, path)
      if (packed === null) return null
      const found = unpackSmallFile(packed, ownerOf(this.#folder))
      if (found !== null) return found
      this.#core.report(new Fault('store.damaged', { file: path, position: 0, what: 'it is not what was written' }))
    } catch (error) {
      this.#core.report(asFault(diskFault(error, path)))
    }
    return null
  }
}
