/**
 * Ids in an order that the caller decides: a list of chunks of at most 512, so that inserting and removing cost a binary
 * search and a short move, also with millions of ids. No two ids may compare equal.
 */
const chunkMax = 512

export class SortedIds {
  private readonly compare: (a: number, b: number) => number
  private chunks: number[][] = []
  count = 0

  constructor(compare: (a: number, b: number) => number) {
    this.compare = compare
  }
  add(id: number): void {
    this.count++
    if (this.chunks.length === 0) {
      this.chunks.push([id])
      return
    }
    const c = this.chunkFor(id)
    const chunk = this.chunks[c]!
    chunk.splice(this.position(chunk, id), 0, id)
    if (chunk.length > chunkMax) this.chunks.splice(c + 1, 0, chunk.splice(chunkMax >> 1))
  }
  /** The id must be there and compare as it did when it was added. */
  remove(id: number): void {
    const c = this.chunkFor(id)
    const chunk = this.chunks[c]
    const at = chunk === undefined ? -1 : this.position(chunk, id)
    if (chunk === undefined || chunk[at] !== id) throw new Error('assertion failed: a sorted id that is there')
    chunk.splice(at, 1)
    this.count--
    if (chunk.length === 0) this.chunks.splice(c, 1)
  }
  first(): number | undefined {
    return this.chunks[0]?.[0]
  }
  last(): number | undefined {
    return this.chunks.at(-1)?.at(-1)
  }
  /** Takes the smallest away. */
  shift(): number | undefined {
    const chunk = this.chunks[0]
    if (chunk === undefined) return undefined
    const id = chunk.shift()
    this.count--
    if (chunk.length === 0) this.chunks.shift()
    return id
  }
  *[Symbol.iterator](): IterableIterator<number> {
    for (const chunk of this.chunks) yield* chunk
  }
  /**
   * The last id for which `before` holds; ids must be ordered so that it holds for a beginning of them. undefined: for
   * none.
   */
  lastWhere(before: (id: number) => boolean): number | undefined {
    let low = 0
    let high = this.chunks.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (before(this.chunks[middle]![0]!)) low = middle + 1
      else high = middle
    }
    const chunk = this.chunks[low - 1]
    if (chunk === undefined) return undefined
    let from = 0
    let to = chunk.length
    while (from < to) {
      const middle = (from + to) >> 1
      if (before(chunk[middle]!)) from = middle + 1
      else to = middle
    }
    return chunk[from - 1]
  }
  /** The last chunk that begins at or before the id. */
  private chunkFor(id: number): number {
    let low = 0
    let high = this.chunks.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.compare(this.chunks[middle]![0]!, id) <= 0) low = middle + 1
      else high = middle
    }
    return Math.max(0, low - 1)
  }
  private position(chunk: readonly number[], id: number): number {
    let low = 0
    let high = chunk.length
    while (low < high) {
      const middle = (low + high) >> 1
      if (this.compare(chunk[middle]!, id) < 0) low = middle + 1
      else high = middle
    }
    return low
  }
}
