/** What one request changes: seen at once by the next one, written as one batch, and taken back when that fails. */
import type { Change, GroupChange } from './model.ts'
import type { GroupState } from './state.ts'

export class Edit {
  /** To be stored, in this order. */
  readonly changes: GroupChange[] = []
  readonly #state: GroupState
  readonly #undos: (() => void)[] = []

  constructor(state: GroupState) {
    this.#state = state
  }
  put(change: Change): void {
    const inverse = this.#state.apply(change)
    this.changes.push(change)
    this.#undos.push(() => this.#state.apply(inverse))
  }
  /** A change of something else, that is stored with these. */
  add(change: GroupChange): void {
    this.changes.push(change)
  }
  onUndo(call: () => void): void {
    this.#undos.push(call)
  }
  undo(): void {
    for (const undo of this.#undos.splice(0).toReversed()) undo()
  }
}
