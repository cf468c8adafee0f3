/** What one call of a keyed process function reads and writes: nothing of it is state before the call has returned. */
import type { KeyedFunction, ListState, MapState, TimerClock, Timers, ValueState } from '../plan.ts'

/** What a state of a key holds before the call. */
export interface Cell {
  /** Of a value; null = none. */
  readonly text: string | null
  /** Of a list: its elements have these numbers, up to `to`. */
  readonly from: number
  readonly to: number
  /** The text of an element of a list or map; null = there is none. */
  entry(element: number | string): string | null
  /** Of a map: its keys as JSON. */
  keys(): Iterable<string>
}
interface Change {
  readonly state: number
  /** null = it is empty; undefined = as it was. */
  readonly head: Pick<Cell, 'text' | 'from' | 'to'> | null | undefined
  readonly entries: ReadonlyMap<number | string, string | null>
}
interface Part {
  readonly handle: ValueState<unknown> | ListState<unknown> | MapState<string | number, unknown>
  change(): Omit<Change, 'state'> | null
}
export interface Draft {
  readonly states: { readonly [name: string]: Part['handle'] }
  changes(): Iterable<Change>
  check(): void
  close(): void
}

export function draftOf(
  states: KeyedFunction['states'],
  cellOf: (state: number, kind: 'value' | 'list' | 'map') => Cell,
): Draft {
  const gate = new Gate()
  const parts = states.map(({ kind }, state) => {
    let cell: Cell | null = null
    const read = (): Cell => {
      gate.check()
      return (cell ??= cellOf(state, kind))
    }
    return kind === 'value' ? new ValueDraft(read) : kind === 'list' ? new ListDraft(read) : new MapDraft(read)
  })
  return {
    states: Object.fromEntries(states.map(({ name }, state) => [name, parts[state]!.handle])),
    *changes() {
      for (const [state, part] of parts.entries()) {
        const change = part.change()
        if (change !== null) yield { state, ...change }
      }
    },
    check: () => gate.check(),
    close: () => gate.close(),
  }
}
/** The same to be read alone. */
export function readOnly(states: Draft['states']): Draft['states'] {
  const refused = (): never => {
    throw new Error('broadcast state is written by the events of the broadcast input alone')
  }
  const writers = { set: refused, push: refused, delete: refused, clear: refused }
  return Object.fromEntries(
    Object.entries(states).map(([name, handle]) => [
      name,
      Object.defineProperties(
        {},
        { ...Object.getOwnPropertyDescriptors(handle), ...valuesOf(writers) },
      ) as Part['handle'],
    ]),
  )
}
const valuesOf = (methods: object): PropertyDescriptorMap =>
  Object.fromEntries(Object.entries(methods).map(([name, value]) => [name, { value: value as unknown }]))
class Gate {
  private isOpen = true
  check(): void {
    if (!this.isOpen) throw new Error('the call is over: state, timers and rows are of one call')
  }
  close(): void {
    this.isOpen = false
  }
}

const none: ReadonlyMap<number | string, string | null> = new Map()
/** Throws for what JSON cannot say. */
function textOf(value: unknown): string {
  const text = JSON.stringify(value) as string | undefined
  if (text === undefined) throw new TypeError(`${typeof value} is no JSON: it cannot be kept as state`)
  return text
}

class ValueDraft implements Part {
  private changed = false
  private text: string | null = null
  readonly handle: ValueState<unknown>

  constructor(read: () => Cell) {
    const text = (): string | null => {
      const cell = read()
      return this.changed ? this.text : cell.text
    }
    const put = (next: string | null): void => {
      read()
      this.changed = true
      this.text = next
    }
    this.handle = {
      get: () => {
        const now = text()
        return now === null ? undefined : (JSON.parse(now) as unknown)
      },
      set: (value) => put(value === undefined ? null : textOf(value)),
      clear: () => put(null),
    }
  }
  change(): Omit<Change, 'state'> | null {
    if (!this.changed) return null
    return { head: this.text === null ? null : { text: this.text, from: 0, to: 0 }, entries: none }
  }
}

class ListDraft implements Part {
  private cell: Cell | null = null
  private cleared = false
  private readonly added: string[] = []
  readonly handle: ListState<unknown>

  constructor(read: () => Cell) {
    const kept = (): number => {
      this.cell = read()
      return this.cleared ? 0 : this.cell.to - this.cell.from
    }
    const clear = (): void => {
      kept()
      this.cleared = true
      this.added.length = 0
    }
    const push = (values: readonly unknown[]): void => {
      kept()
      const texts = values.map(textOf)
      for (const text of texts) this.added.push(text)
    }
    this.handle = {
      get: () => {
        const count = kept()
        const { from, entry } = this.cell!
        const texts = [...Array.from({ length: count }, (_, i) => entry(from + i)!), ...this.added]
        return texts.map((text) => JSON.parse(text) as unknown)
      },
      get length() {
        return lengthOf()
      },
      push: (...values) => push(values),
      set: (values) => {
        const texts = values.map(textOf)
        clear()
        for (const text of texts) this.added.push(text)
      },
      clear,
    }
    const lengthOf = (): number => kept() + this.added.length
  }
  change(): Omit<Change, 'state'> | null {
    if (!this.cleared && this.added.length === 0) return null
    const { from, to } = this.cell!
    const entries = new Map<number, string | null>()
    if (this.cleared) for (let at = from; at < to; at++) entries.set(at, null)
    const begin = this.cleared ? 0 : to
    for (const [i, text] of this.added.entries()) entries.set(begin + i, text)
    const first = this.cleared ? 0 : from
    const end = begin + this.added.length
    return { head: end === first ? null : { text: null, from: first, to: end }, entries }
  }
}

class MapDraft implements Part {
  private readonly changed = new Map<string, string | null>()
  readonly handle: MapState<string | number, unknown>

  constructor(read: () => Cell) {
    const keyOf = (key: string | number): string => {
      if (typeof key !== 'string' && !Number.isFinite(key)) throw new TypeError('a key of a map is a text or a number')
      return JSON.stringify(key)
    }
    const text = (key: string): string | null => {
      const { entry } = read()
      const changed = this.changed.get(key)
      return changed === undefined ? entry(key) : changed
    }
    const keys = (): string[] => {
      const all = new Set(read().keys())
      for (const [key, value] of this.changed) {
        if (value === null) all.delete(key)
        else all.add(key)
      }
      return [...all].toSorted(inOrder)
    }
    const put = (key: string, value: string | null): void => {
      read()
      this.changed.set(key, value)
    }
    const valueOf = (key: string): unknown => {
      const now = text(key)
      return now === null ? undefined : (JSON.parse(now) as unknown)
    }
    this.handle = {
      get: (key) => valueOf(keyOf(key)),
      has: (key) => text(keyOf(key)) !== null,
      set: (key, value) => put(keyOf(key), value === undefined ? null : textOf(value)),
      delete: (key) => put(keyOf(key), null),
      keys: () => keys().map((key) => JSON.parse(key) as string | number),
      entries: () => keys().map((key) => [JSON.parse(key) as string | number, valueOf(key)]),
      clear: () => {
        for (const key of keys()) put(key, null)
      },
    }
  }
  change(): Omit<Change, 'state'> | null {
    return this.changed.size === 0 ? null : { head: undefined, entries: this.changed }
  }
}
/** Numbers first, by value; then texts by their code units. */
function inOrder(a: string, b: string): number {
  const [isTextA, isTextB] = [a, b].map((key) => key.startsWith('"'))
  if (isTextA !== isTextB) return isTextA === true ? 1 : -1
  if (isTextA === true) return a < b ? -1 : a > b ? 1 : 0
  return Number(a) - Number(b)
}

interface TimerChange {
  readonly clock: TimerClock
  readonly name: string | null
  readonly at: number
  readonly isSet: boolean
}
export class TimerDraft {
  readonly changes: TimerChange[] = []
  readonly access: Timers
  private readonly gate = new Gate()

  /** `fired`: what calls, which sets the next one of its clock for later alone: else it would never end. */
  constructor(fired: { readonly clock: TimerClock; readonly atMs: number } | null) {
    const set = (clock: TimerClock, atMs: number, name: string | null): void => {
      this.gate.check()
      if (!Number.isFinite(atMs)) throw new RangeError(`a timer needs a time in ms, not ${atMs}`)
      const at = Math.ceil(atMs)
      if (fired?.clock === clock && at <= fired.atMs)
        throw new RangeError(`a timer of ${fired.atMs} sets the next one for later, not for ${at}`)
      this.changes.push({ clock, name, at, isSet: true })
    }
    this.access = {
      event: (atMs, name = null) => set('event', atMs, name),
      processing: (atMs, name = null) => set('processing', atMs, name),
      delete: (clock, which) => {
        this.gate.check()
        const name = typeof which === 'string' ? which : null
        this.changes.push({ clock, name, at: typeof which === 'number' ? Math.ceil(which) : 0, isSet: false })
      },
    }
  }
  close(): void {
    this.gate.close()
  }
}
