/**
 * Matching in time that no text can blow up. What JavaScript's own matcher does in a time that is known is left to it
 * (`regex-native.ts`). For everything else all ways through the expression are followed at once, each with its captures
 * (Pike's machine over Thompson's construction), in the order in which a backtracking matcher would try them. A match
 * costs at most text × program; a budget of steps ends what is still too much.
 */
import { limits } from '../../lib/limits.ts'
import { invalidArgument } from './helpers.ts'
import { NativeRegex } from './regex-native.ts'
import { isWordCharacter, parseRegex, type RegexFlags, type RegexNode, type Test } from './regex-parse.ts'

type Instruction =
  | { readonly op: 'char'; readonly test: Test }
  /** The first way is preferred. */
  | { readonly op: 'split'; to: [number, number] }
  | { readonly op: 'jump'; to: number }
  | { readonly op: 'save'; readonly slot: number }
  | { readonly op: 'assert'; readonly what: Extract<RegexNode, { kind: 'assert' }>['what'] }
  | { readonly op: 'match' }

export interface Match {
  /** In UTF-16 units. */
  readonly start: number
  readonly end: number
  /** Of each group; null = it took no part. */
  readonly groups: readonly (string | null)[]
}
export interface Regex {
  readonly groupCount: number
  /** The first match at or after a place. */
  match(text: string, from: number): Match | null
  test(text: string): boolean
}

/**
 * Flags: i ignore case, c do not, n or m lines, s the opposite, x expanded, q a literal text; g is the caller's. `isNative`
 * false: by the matcher here alone, as the oracle of the other.
 */
export function compileRegex(pattern: string, flagText = '', isNative = true): Regex {
  const flags = { ignoreCase: false, lines: false, expanded: false }
  let literal = false
  for (const flag of flagText) {
    if (flag === 'i') flags.ignoreCase = true
    else if (flag === 'c') flags.ignoreCase = false
    else if (flag === 'n' || flag === 'm') flags.lines = true
    else if (flag === 's') flags.lines = false
    else if (flag === 'x') flags.expanded = true
    else if (flag === 'q') literal = true
    else if (flag !== 'g') invalidArgument(`invalid regular expression option: "${flag}"`)
  }
  return new Machine(literal ? pattern.replace(/[\\^$.|?*+()[\]{}]/g, '\\$&') : pattern, flags, isNative)
}
function matchOf(found: RegExpExecArray | null): Match | null {
  if (found === null) return null
  const groups: (string | null)[] = []
  for (let g = 1; g < found.length; g++) groups.push(found[g] ?? null)
  return { start: found.index, end: found.index + found[0].length, groups }
}

const cache = new Map<string, Regex>()
const cacheMax = 500
/** For patterns that come as values: the last few hundred are kept. */
export function cachedRegex(pattern: string, flags = ''): Regex {
  const key = `${flags}/${pattern}`
  let regex = cache.get(key)
  if (regex === undefined) {
    regex = compileRegex(pattern, flags)
    if (cache.size >= cacheMax) cache.delete(cache.keys().next().value!)
    cache.set(key, regex)
  }
  return regex
}

class Compiler {
  readonly program: Instruction[] = []

  private push(instruction: Instruction): number {
    if (this.program.length >= limits.patternSize) invalidArgument('invalid regular expression: it is too large')
    return this.program.push(instruction) - 1
  }
  compile(node: RegexNode): readonly Instruction[] {
    this.push({ op: 'save', slot: 0 })
    this.emit(node)
    this.push({ op: 'save', slot: 1 })
    this.push({ op: 'match' })
    return this.program
  }
  private emit(node: RegexNode): void {
    switch (node.kind) {
      case 'char':
        this.push({ op: 'char', test: node.test })
        return
      case 'assert':
        this.push({ op: 'assert', what: node.what })
        return
      case 'cat':
        for (const item of node.items) this.emit(item)
        return
      case 'alt':
        this.alternatives(node.items)
        return
      case 'group':
        this.push({ op: 'save', slot: node.index * 2 })
        this.emit(node.item)
        this.push({ op: 'save', slot: node.index * 2 + 1 })
        return
      case 'repeat':
        this.repeat(node)
    }
  }
  private alternatives(items: readonly RegexNode[]): void {
    const ends: number[] = []
    for (const [i, item] of items.entries()) {
      if (i === items.length - 1) {
        this.emit(item)
        break
      }
      const split = this.push({ op: 'split', to: [this.program.length + 1, 0] })
      this.emit(item)
      ends.push(this.push({ op: 'jump', to: 0 }))
      this.target(split, 1, this.program.length)
    }
    for (const end of ends) (this.program[end] as { to: number }).to = this.program.length
  }
  private target(split: number, way: 0 | 1, to: number): void {
    ;(this.program[split] as { to: [number, number] }).to[way] = to
  }
  private repeat({ item, min, max, greedy }: Extract<RegexNode, { kind: 'repeat' }>): void {
    for (let i = 0; i < min; i++) this.emit(item)
    const into: 0 | 1 = greedy ? 0 : 1
    const past: 0 | 1 = greedy ? 1 : 0
    if (max === Infinity) {
      const split = this.push({ op: 'split', to: [0, 0] })
      this.target(split, into, this.program.length)
      this.emit(item)
      this.push({ op: 'jump', to: split })
      this.target(split, past, this.program.length)
      return
    }
    const splits: number[] = []
    for (let i = min; i < max; i++) {
      const split = this.push({ op: 'split', to: [0, 0] })
      this.target(split, into, this.program.length)
      splits.push(split)
      this.emit(item)
    }
    for (const split of splits) this.target(split, past, this.program.length)
  }
}

interface Thread {
  readonly at: number
  readonly saved: readonly number[]
}

class Machine implements Regex {
  readonly groupCount: number
  /** For texts that it takes; null: for none. */
  private readonly native: NativeRegex | null
  private readonly program: readonly Instruction[]
  private readonly slots: number
  private steps = 0

  constructor(pattern: string, flags: RegexFlags, isNative: boolean) {
    const { node, groups } = parseRegex(pattern, flags)
    this.program = new Compiler().compile(node)
    this.native = isNative ? NativeRegex.of(node) : null
    this.groupCount = groups
    this.slots = (groups + 1) * 2
  }
  test(text: string): boolean {
    if (this.native?.takes(text, 0) === true) return this.native.test(text)
    return this.run(text, 0, true) !== null
  }
  match(text: string, from: number): Match | null {
    if (this.native?.takes(text, from) === true) return matchOf(this.native.exec(text, from))
    const saved = this.run(text, from, false)
    if (saved === null) return null
    const groups: (string | null)[] = []
    for (let g = 1; g <= this.groupCount; g++) {
      const start = saved[g * 2]!
      const end = saved[g * 2 + 1]!
      groups.push(start < 0 || end < 0 ? null : text.slice(start, end))
    }
    return { start: saved[0]!, end: saved[1]!, groups }
  }

  /** Where the groups lie in the first match; `any`: the first that is found will do. */
  private run(text: string, from: number, any: boolean): readonly number[] | null {
    this.steps = 0
    const marks = new Int32Array(this.program.length).fill(-1)
    let threads: Thread[] = []
    let found: readonly number[] | null = null
    const none = Array.from({ length: this.slots }, () => -1)
    for (let at = from; at <= text.length;) {
      if (found === null) this.follow(threads, { at: 0, saved: none }, text, at, marks, at)
      if (threads.length === 0 && found !== null) break
      const code = at < text.length ? text.codePointAt(at)! : -1
      const width = code > 0xffff ? 2 : 1
      const next: Thread[] = []
      for (const thread of threads) {
        const instruction = this.program[thread.at]!
        if (instruction.op === 'match') {
          found = thread.saved
          if (any) return found
          // What comes behind was less preferred.
          break
        }
        if (instruction.op === 'char' && code >= 0 && instruction.test(code)) {
          this.follow(next, { at: thread.at + 1, saved: thread.saved }, text, at + width, marks, at + width)
        }
      }
      threads = next
      at += width
    }
    return found
  }
  /** Adds the thread, led on to where it must read a character or has matched. */
  private follow(
    threads: Thread[],
    first: Thread,
    text: string,
    at: number,
    marks: Int32Array,
    generation: number,
  ): void {
    const stack: Thread[] = [first]
    while (stack.length > 0) {
      const thread = stack.pop()!
      if (marks[thread.at] === generation) continue
      marks[thread.at] = generation
      if (++this.steps > limits.patternSteps) invalidArgument('the regular expression takes too long on this text')
      const instruction = this.program[thread.at]!
      switch (instruction.op) {
        case 'jump':
          stack.push({ at: instruction.to, saved: thread.saved })
          break
        case 'split':
          stack.push({ at: instruction.to[1], saved: thread.saved }, { at: instruction.to[0], saved: thread.saved })
          break
        case 'save': {
          const saved = thread.saved.slice()
          saved[instruction.slot] = at
          stack.push({ at: thread.at + 1, saved })
          break
        }
        case 'assert':
          if (holds(instruction.what, text, at)) stack.push({ at: thread.at + 1, saved: thread.saved })
          break
        default:
          threads.push(thread)
      }
    }
  }
}
function holds(what: Extract<Instruction, { op: 'assert' }>['what'], text: string, at: number): boolean {
  const before = at > 0 && isWordCharacter(text.codePointAt(at - 1)!)
  const after = at < text.length && isWordCharacter(text.codePointAt(at)!)
  switch (what) {
    case 'start':
      return at === 0
    case 'end':
      return at === text.length
    case 'line-start':
      return at === 0 || text[at - 1] === '\n'
    case 'line-end':
      return at === text.length || text[at] === '\n'
    case 'word-start':
      return !before && after
    case 'word-end':
      return before && !after
    case 'boundary':
      return before !== after
    case 'not-boundary':
      return before === after
  }
}
