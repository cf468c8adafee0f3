/** The named states of keys in two tables: values and heads of lists, and the elements of lists and maps. */
import { KeyWriter } from '../key.ts'
import type { StateTable, TableSpec } from '../state.ts'
import type { Cell, Draft } from './keyed-draft.ts'

export const stateTables = (of: string): readonly TableSpec[] => [
  { name: `${of}states`, numbers: 2, values: 1 },
  { name: `${of}entries`, numbers: 1, values: 2 },
]
/** Those two of a step. */
export interface StateTables {
  readonly states: StateTable
  readonly entries: StateTable
}

export class KeyedStates {
  private readonly writer = new KeyWriter()
  /** Keys of maps, by the key of their state. */
  private readonly members = new Map<string, Set<string>>()

  rebuild({ entries }: StateTables): void {
    this.members.clear()
    for (const id of entries.all()) {
      const element = entries.values[id * 2]
      if (element === null) continue
      const key = entries.keyOf(id).subarray(0, entries.stateKeyOf(id).length + 1)
      this.membersOf(key).add(element as string)
    }
  }
  /** The key of one state, or of a timer, in a writer; the state key is its beginning. */
  keyOf(stateKey: Buffer, state: number): KeyWriter {
    const { writer } = this
    writer.length = 0
    writer.reserve(stateKey.length + 1)
    stateKey.copy(writer.bytes, 0)
    writer.length = stateKey.length
    writer.byte(state)
    return writer
  }
  private membersOf(key: Uint8Array): Set<string> {
    const name = Buffer.from(key.buffer, key.byteOffset, key.length).toString('latin1')
    const known = this.members.get(name) ?? new Set<string>()
    this.members.set(name, known)
    return known
  }
  private forget(key: Buffer, element: string): void {
    const members = this.membersOf(key)
    members.delete(element)
    if (members.size === 0) this.members.delete(key.toString('latin1'))
  }
  /** What there is, before the call. */
  cell({ states, entries }: StateTables, stateKey: Buffer, state: number, kind: string): Cell {
    const key = this.keyOf(stateKey, state)
    const head = kind === 'map' ? -1 : states.find(key)
    const members = kind === 'map' ? this.membersOf(key.done()) : []
    const [from, to] = head < 0 ? [0, 0] : [states.numbers[head * 2]!, states.numbers[head * 2 + 1]!]
    const entry = (element: number | string): string | null => {
      const id = entries.find(this.entryKey(stateKey, state, element))
      return id < 0 ? null : (entries.values[id * 2 + 1] as string)
    }
    return { text: head < 0 ? null : (states.values[head] as string | null), from, to, entry, keys: () => members }
  }
  private entryKey(stateKey: Buffer, state: number, element: number | string): KeyWriter {
    const writer = this.keyOf(stateKey, state)
    if (typeof element === 'number') writer.double(element)
    else writer.text(element)
    return writer
  }
  apply({ states, entries }: StateTables, stateKey: Buffer, draft: Draft): void {
    for (const { state, head, entries: changed } of draft.changes()) {
      for (const [element, text] of changed) {
        const key = this.entryKey(stateKey, state, element)
        let id = entries.find(key)
        const isOfMap = typeof element === 'string'
        if (text === null) {
          if (id < 0) continue
          entries.remove(id)
          if (isOfMap) this.forget(this.keyOf(stateKey, state).done(), element)
          continue
        }
        if (id < 0) id = entries.add(key, stateKey.length)
        else entries.touch(id)
        entries.values[id * 2] = isOfMap ? element : null
        entries.values[id * 2 + 1] = text
        if (isOfMap) this.membersOf(this.keyOf(stateKey, state).done()).add(element)
      }
      if (head === undefined) continue
      const key = this.keyOf(stateKey, state)
      let id = states.find(key)
      if (head === null) {
        if (id >= 0) states.remove(id)
        continue
      }
      if (id < 0) id = states.add(key, stateKey.length)
      else states.touch(id)
      states.values[id] = head.text
      states.numbers[id * 2] = head.from
      states.numbers[id * 2 + 1] = head.to
    }
  }
}
