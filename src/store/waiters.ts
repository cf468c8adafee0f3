/** Those who wait for an offset to be passed, in order of offset. */
import type { Fault } from '../lib/fault.ts'

interface Waiter {
  readonly offset: number
  resolve(): void
  reject(fault: Fault): void
}

export class Waiters {
  #list: Waiter[] = []
  #head = 0

  get count(): number {
    return this.#list.length - this.#head
  }
  wait(offset: number): Promise<void> {
    return new Promise((resolve, reject) => {
      const waiter = { offset, resolve, reject }
      let at = this.#list.length
      while (at > this.#head && this.#list[at - 1]!.offset > offset) at--
      if (at === this.#list.length) this.#list.push(waiter)
      else this.#list.splice(at, 0, waiter)
    })
  }
  reached(offset: number): void {
    while (this.#head < this.#list.length && this.#list[this.#head]!.offset <= offset)
      this.#list[this.#head++]!.resolve()
    if (this.#head < this.#list.length) {
      if (this.#head > 1024) this.#compact()
      return
    }
    this.#list = this.#head === 0 ? this.#list : []
    this.#head = 0
  }
  /** Those who wait for more than `end` hear why it will not come; the others go on waiting. */
  failBehind(end: number, fault: Fault): void {
    let at = this.#list.length
    while (at > this.#head && this.#list[at - 1]!.offset > end) at--
    for (const waiter of this.#list.splice(at)) waiter.reject(fault)
  }
  fail(fault: Fault): void {
    this.failBehind(-1, fault)
  }
  #compact(): void {
    this.#list = this.#list.slice(this.#head)
    this.#head = 0
  }
}
