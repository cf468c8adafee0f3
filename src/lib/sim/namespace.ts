/**
 * Directories: what they hold now, and what a power cut would leave. Every change is one operation; a rename is one even
 * over two directories. Syncing a directory makes the operations in it durable. A power cut keeps some of the others, in
 * any choice, applied in order.
 */
import type { FileContent } from './file-content.ts'
import type { SeededRandom } from './random.ts'

export class Directory {
  readonly now = new Map<string, Directory | FileContent>()
  readonly durable = new Map<string, Directory | FileContent>()
}
type Node = Directory | FileContent

interface Change {
  readonly directory: Directory
  readonly name: string
  readonly node: Node | null
}
type Operation = readonly Change[]

export class Namespace {
  readonly root = new Directory()
  #pending: Operation[] = []

  find(path: string): Node | null {
    let at: Node | undefined = this.root
    for (const name of partsOf(path)) {
      if (!(at instanceof Directory)) return null
      at = at.now.get(name)
    }
    return at ?? null
  }
  /** The directory of the path's last part, which need not exist; null when that directory does not. */
  place(path: string): { directory: Directory; name: string } | null {
    const parts = partsOf(path)
    const name = parts.pop() ?? ''
    const directory = this.find(parts.join('/'))
    return directory instanceof Directory ? { directory, name } : null
  }
  apply(operation: Operation): void {
    set('now', operation)
    this.#pending.push(operation)
  }
  /** Operations that a sync of `directory` which begins now makes durable. */
  pendingIn(directory: Directory): Operation[] {
    return this.#pending.filter((operation) => operation.some((change) => change.directory === directory))
  }
  makeDurable(operations: readonly Operation[]): void {
    const chosen = new Set(operations)
    // An older operation on the same name may not come after a newer one.
    for (let i = this.#pending.length - 1; i >= 0; i--) {
      const operation = this.#pending[i]!
      if (
        !chosen.has(operation) &&
        this.#pending.slice(i + 1).some((later) => chosen.has(later) && meet(operation, later))
      )
        chosen.add(operation)
    }
    for (const operation of this.#pending) if (chosen.has(operation)) set('durable', operation)
    this.#pending = this.#pending.filter((operation) => !chosen.has(operation))
  }
  makeAllDurable(): void {
    for (const operation of this.#pending) set('durable', operation)
    this.#pending = []
  }
  powerCut(random: SeededRandom): void {
    for (const operation of this.#pending) if (random.chance(0.5)) set('durable', operation)
    this.#pending = []
    this.#reset(this.root)
  }
  files(): FileContent[] {
    const out: FileContent[] = []
    const visit = (directory: Directory): void => {
      for (const node of directory.now.values()) {
        if (node instanceof Directory) visit(node)
        else out.push(node)
      }
    }
    visit(this.root)
    return out
  }
  #reset(directory: Directory): void {
    directory.now.clear()
    for (const [name, node] of directory.durable) {
      directory.now.set(name, node)
      if (node instanceof Directory) this.#reset(node)
    }
  }
}

export const partsOf = (path: string): string[] => path.split('/').filter((part) => part !== '' && part !== '.')

function set(side: 'now' | 'durable', operation: Operation): void {
  for (const { directory, name, node } of operation) {
    if (node === null) directory[side].delete(name)
    else directory[side].set(name, node)
  }
}
const meet = (a: Operation, b: Operation): boolean =>
  a.some((x) => b.some((y) => x.directory === y.directory && x.name === y.name))
