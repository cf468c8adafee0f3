/**
 * Bytes of state rows, in pages: appended, read, never changed. An address is page × 2^20 + place in the page; what is
 * longer than a page has one of its own. What a tick appended is cut off again when it is undone: a row that goes back to
 * its old address finds its old bytes there. The owner counts what is dead and moves the rest to new pages now and then.
 */
import { copyBytes } from '../lib/bytes.ts'
import { drop } from '../lib/free.ts'

const pageBytes = 1 << 20
const firstBytes = 1024

export class Pages {
  private pages: Buffer[] = []
  /** Of the last page. */
  private used = 0
  /** Of bytes ever appended here, how many no row refers to. */
  dead = 0
  private appended = 0
  private readonly mark = { pages: 0, used: 0, appended: 0 }

  /** The page that the next `count` bytes go to, behind `at`; `take` keeps what was written there. */
  reserve(count: number): Buffer {
    const page = this.pages.at(-1)
    return page !== undefined && this.used + count <= page.length ? page : this.grow(count)
  }
  get at(): number {
    return this.used
  }
  /** Gives the address. */
  take(count: number): number {
    const address = (this.pages.length - 1) * pageBytes + this.used
    this.used += count
    this.appended += count
    return address
  }
  add(from: Uint8Array, start: number, end: number): number {
    const page = this.reserve(end - start)
    copyBytes(from, start, end, page, this.used)
    return this.take(end - start)
  }
  pageOf(address: number): Buffer {
    return this.pages[Math.floor(address / pageBytes)]!
  }
  get live(): number {
    return this.appended - this.dead
  }
  get bytes(): number {
    return this.pages.reduce((sum, page) => sum + page.length, 0)
  }
  /** Nobody uses them any more. */
  release(): void {
    for (const page of this.pages) drop(page)
    this.pages = []
  }
  commit(): void {
    const { mark } = this
    mark.pages = this.pages.length
    mark.used = this.used
    mark.appended = this.appended
  }
  undo(): void {
    const { pages, used, appended } = this.mark
    this.pages.length = pages
    this.used = used
    this.appended = appended
  }
  /** Gives the memory back; nothing lies here any more. */
  free(): void {
    for (const page of this.pages) drop(page)
  }
  /** Small while there is little: most tables are. */
  private grow(count: number): Buffer {
    const only = this.pages[0]
    if (this.pages.length === 1 && this.used + count <= pageBytes) {
      const bigger = Buffer.allocUnsafeSlow(Math.min(pageBytes, Math.max(only!.length * 2, this.used + count)))
      only!.copy(bigger, 0, 0, this.used)
      return (this.pages[0] = bigger)
    }
    const page = Buffer.allocUnsafeSlow(Math.max(this.pages.length === 0 ? firstBytes : pageBytes, count))
    this.pages.push(page)
    this.used = 0
    return page
  }
}
/** The place of an address in its page. */
export const placeOf = (address: number): number => address % pageBytes
