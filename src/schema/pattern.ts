/**
 * Regular expressions of schemas, in time that the text cannot blow up. A backtracking engine takes exponential time on
 * `(a+)+$`; this one walks the text once with the set of all states it could be in (Thompson, 1968), so a match costs at
 * most text × program size, and a budget of steps ends what is still too much. Language: ECMAScript's, first with the
 * `u` flag, else without, as JSON Schema asks; without backreferences, lookbehind and inline flags, which are refused by
 * name. The host's own engine checks the grammar, answers for single characters and classes, and runs the whole pattern
 * where its form shows that it cannot backtrack (anchored, at most one repetition of varying length).
 */
import { limits } from '../lib/limits.ts'
import { PatternError, type PatternNode, parsePattern } from './pattern-syntax.ts'

export { PatternError } from './pattern-syntax.ts'

/** A match that ran out of steps: neither yes nor no. */
export class PatternTooSlow extends Error {}

export interface Pattern {
  test(text: string): boolean
  toString(): string
}

/** Throws PatternError with a sentence for people. */
export function compilePattern(source: string): Pattern {
  const { node, unicode } = parsePattern(source)
  if (cannotBacktrack(node)) return new RegExp(source, unicode ? 'u' : '')
  const program = new Compiler().program(node)
  return {
    test: (text) => new Run(text, unicode).search(program),
    toString: () => `/${source}/`,
  }
}

function cannotBacktrack(node: PatternNode): boolean {
  const alternatives = node.kind === 'alt' ? node.items : [node]
  let varying = 0
  const plain = (n: PatternNode, repeated: boolean): boolean => {
    switch (n.kind) {
      case 'char':
        return true
      case 'assert':
        return n.what !== 'word' && n.what !== 'not-word'
      case 'cat':
        return !repeated && n.items.every((item) => plain(item, false))
      case 'repeat':
        if (n.min !== n.max) varying++
        return !repeated && varying <= 1 && plain(n.item, true)
      case 'alt':
      case 'look':
        return false
    }
  }
  return alternatives.every((a) => a.kind === 'cat' && isStart(a.items[0]) && plain(a, false))
}
const isStart = (node: PatternNode | undefined): boolean => node?.kind === 'assert' && node.what === 'start'

type Split = { readonly op: 'split'; to: readonly number[] }
type Instruction =
  | Split
  | { readonly op: 'char'; readonly test: (code: number) => boolean }
  | { readonly op: 'assert'; readonly what: 'start' | 'end' | 'word' | 'not-word' }
  | { readonly op: 'look'; readonly program: Program; readonly negative: boolean }
  | { readonly op: 'match' }
type Program = readonly Instruction[]

class Compiler {
  #size = 0

  program(node: PatternNode): Program {
    const out: Instruction[] = []
    this.#emit(node, out)
    this.#push(out, { op: 'match' })
    return out
  }
  #push(out: Instruction[], instruction: Instruction): number {
    if (++this.#size > limits.patternSize) throw new PatternError('it is too large: its counts multiply')
    return out.push(instruction) - 1
  }
  #emit(node: PatternNode, out: Instruction[]): void {
    switch (node.kind) {
      case 'char':
        this.#push(out, { op: 'char', test: node.test })
        return
      case 'assert':
        this.#push(out, { op: 'assert', what: node.what })
        return
      case 'look':
        this.#push(out, { op: 'look', program: this.program(node.item), negative: node.negative })
        return
      case 'cat':
        for (const item of node.items) this.#emit(item, out)
        return
      case 'alt':
        return this.#alternatives(node.items, out)
      case 'repeat':
        return this.#repeat(node, out)
    }
  }
  #alternatives(items: readonly PatternNode[], out: Instruction[]): void {
    const fork = this.#split(out)
    const starts: number[] = []
    const ends: Split[] = []
    for (const item of items) {
      starts.push(out.length)
      this.#emit(item, out)
      ends.push(this.#split(out))
    }
    fork.to = starts
    for (const end of ends) end.to = [out.length]
  }
  #repeat(node: PatternNode & { kind: 'repeat' }, out: Instruction[]): void {
    for (let i = 0; i < node.min; i++) this.#emit(node.item, out)
    if (node.max === Infinity) {
      const at = out.length
      const fork = this.#split(out)
      this.#emit(node.item, out)
      this.#split(out).to = [at]
      fork.to = [at + 1, out.length]
      return
    }
    const forks: { at: number; fork: Split }[] = []
    for (let i = node.min; i < node.max; i++) {
      forks.push({ at: out.length, fork: this.#split(out) })
      this.#emit(node.item, out)
    }
    for (const { at, fork } of forks) fork.to = [at + 1, out.length]
  }
  #split(out: Instruction[]): Split {
    const split: Split = { op: 'split', to: [] }
    this.#push(out, split)
    return split
  }
}

const isWord = (code: number): boolean =>
  (code >= 0x30 && code <= 0x39) || (code >= 0x41 && code <= 0x5a) || code === 0x5f || (code >= 0x61 && code <= 0x7a)

/** One text, one budget; lookaheads run inside it. */
class Run {
  readonly #text: string
  readonly #unicode: boolean
  #stepsLeft: number

  constructor(text: string, unicode: boolean) {
    this.#text = text
    this.#unicode = unicode
    this.#stepsLeft = limits.patternSteps + 16 * text.length
  }
  search(program: Program): boolean {
    return this.#walk(program, 0, true)
  }

  /** From `from`: anywhere behind it when `floating`, exactly there otherwise. */
  #walk(program: Program, from: number, floating: boolean): boolean {
    this.#spend(program.length >> 3)
    let states = new States(program.length)
    let next = new States(program.length)
    let at = from
    if (this.#reach(program, states, 0, at)) return true
    while (at < this.#text.length && (floating || states.count > 0)) {
      const code = this.#unicode ? this.#text.codePointAt(at)! : this.#text.charCodeAt(at)
      at += code > 0xffff ? 2 : 1
      next.clear()
      for (let i = 0; i < states.count; i++) {
        const state = states.list[i]!
        const instruction = program[state]!
        this.#spend(1)
        if (instruction.op === 'char' && instruction.test(code) && this.#reach(program, next, state + 1, at))
          return true
      }
      if (floating && this.#reach(program, next, 0, at)) return true
      ;[states, next] = [next, states]
    }
    return false
  }

  /** Adds every state that `start` leads to without reading; true when the end of the program is among them. */
  #reach(program: Program, states: States, start: number, at: number): boolean {
    const todo = [start]
    for (let state = todo.pop(); state !== undefined; state = todo.pop()) {
      if (!states.add(state)) continue
      this.#spend(1)
      const instruction = program[state]!
      switch (instruction.op) {
        case 'match':
          return true
        case 'char':
          break
        case 'split':
          todo.push(...instruction.to)
          break
        case 'assert':
          if (this.#holds(instruction.what, at)) todo.push(state + 1)
          break
        case 'look':
          if (this.#walk(instruction.program, at, false) !== instruction.negative) todo.push(state + 1)
          break
      }
    }
    return false
  }
  #holds(what: 'start' | 'end' | 'word' | 'not-word', at: number): boolean {
    if (what === 'start') return at === 0
    if (what === 'end') return at === this.#text.length
    const before = at > 0 && isWord(this.#text.charCodeAt(at - 1))
    const behind = at < this.#text.length && isWord(this.#text.charCodeAt(at))
    return (before !== behind) === (what === 'word')
  }
  #spend(steps: number): void {
    this.#stepsLeft -= steps
    if (this.#stepsLeft < 0) throw new PatternTooSlow('a pattern takes too many steps on this text')
  }
}

/** A set of state numbers in order of arrival, emptied in one step. */
class States {
  readonly list: Uint32Array
  count = 0
  readonly #seen: Uint32Array
  #round = 1

  constructor(size: number) {
    this.list = new Uint32Array(size)
    this.#seen = new Uint32Array(size)
  }
  add(state: number): boolean {
    if (this.#seen[state] === this.#round) return false
    this.#seen[state] = this.#round
    this.list[this.count++] = state
    return true
  }
  clear(): void {
    this.count = 0
    this.#round++
  }
}
