/**
 * Makes a WebAssembly module out of its text, for the few loops over bytes that JavaScript is slow at. The text is the
 * standard's, folded, of 32-bit functions alone, with two shorthands: a bare name reads that local, a bare number is a
 * constant. What it does not know is an error; the engine validates the rest. One memory, exported as `memory`.
 */
type Node = string | readonly Node[]

const opcodes: Readonly<Record<string, readonly number[]>> = {
  unreachable: [0x00],
  return: [0x0f],
  'i32.load8_u': [0x2d, 0, 0],
  'i32.load16_u': [0x2f, 0, 0],
  'i32.store8': [0x3a, 0, 0],
  'i32.eqz': [0x45],
  'i32.eq': [0x46],
  'i32.lt_u': [0x49],
  'i32.gt_u': [0x4b],
  'i32.ge_u': [0x4f],
  'i32.add': [0x6a],
  'i32.sub': [0x6b],
  'i32.and': [0x71],
  'i32.shr_u': [0x76],
  'v128.load': [0xfd, 0x00, 0, 0],
  'v128.store': [0xfd, 0x0b, 0, 0],
}
const op = {
  loop: 0x03,
  if: 0x04,
  end: 0x0b,
  br: 0x0c,
  brIf: 0x0d,
  localGet: 0x20,
  localSet: 0x21,
  constant: 0x41,
} as const
const type = { i32: 0x7f, func: 0x60, empty: 0x40 } as const
const section = { type: 1, function: 3, memory: 5, export: 7, code: 10 } as const
const kind = { function: 0, memory: 2 } as const

/** `(func $name (param $a $b …) (local $c …) body …)`, each with an i32 as its result. Exported by their names. */
export function assemble(text: string): Uint8Array<ArrayBuffer> {
  const functions = parse(text).map(compileFunction)
  const each = (code: (of: Compiled, index: number) => readonly number[]): number[] => list(functions.map(code))
  return new Uint8Array([
    ...[0x00, 0x61, 0x73, 0x6d, 1, 0, 0, 0],
    ...part(
      section.type,
      each(({ params }) => [type.func, ...list(params.map(() => [type.i32])), 1, type.i32]),
    ),
    ...part(
      section.function,
      each((_, index) => [index]),
    ),
    ...part(section.memory, [1, 0, 1]),
    ...part(
      section.export,
      list([
        [...name('memory'), kind.memory, 0],
        ...functions.map((of, index) => [...name(of.name), kind.function, index]),
      ]),
    ),
    ...part(
      section.code,
      each(({ body }) => [...unsigned(body.length), ...body]),
    ),
  ])
}

/** Lists of words; `;;` comments to the end of the line. */
function parse(text: string): readonly Node[] {
  const stack: Node[][] = [[]]
  for (const [word] of text.replaceAll(/;;.*/g, '').matchAll(/[()]|[^\s()]+/g)) {
    if (word === '(') stack.push([])
    else if (word === ')') {
      const done = stack.pop()!
      if (stack.length === 0) throw new SyntaxError('a closing parenthesis too many')
      stack.at(-1)!.push(done)
    } else stack.at(-1)!.push(word)
  }
  if (stack.length !== 1) throw new SyntaxError('an open parenthesis')
  return stack[0]!
}

interface Compiled {
  readonly name: string
  readonly params: readonly string[]
  readonly body: readonly number[]
}
function compileFunction(node: Node): Compiled {
  const [word, of, params, locals, ...body] = listOf(node)
  if (word !== 'func') throw new SyntaxError(`${String(word)} instead of func`)
  const taken = namesOf(params, 'param')
  const own = namesOf(locals, 'local')
  const scope = new Scope([...taken, ...own])
  const code = body.flatMap((one) => scope.code(one, []))
  const declared = own.length === 0 ? [0] : [1, ...unsigned(own.length), type.i32]
  return { name: String(of).slice(1), params: taken, body: [...declared, ...code, op.end] }
}
const listOf = (node: Node | undefined): readonly Node[] => {
  if (node === undefined || typeof node === 'string') throw new SyntaxError(`${String(node)} instead of a list`)
  return node
}
function namesOf(node: Node | undefined, what: string): string[] {
  const [word, ...names] = listOf(node)
  if (word !== what) throw new SyntaxError(`${String(word)} instead of ${what}`)
  return names.map(String)
}

class Scope {
  readonly #locals: readonly string[]

  constructor(locals: readonly string[]) {
    this.#locals = locals
  }
  /** `labels`: of the blocks around it, the innermost first. */
  code(node: Node | undefined, labels: readonly string[]): number[] {
    if (typeof node === 'string') {
      if (node.startsWith('$')) return [op.localGet, ...this.#local(node)]
      if (!/^-?\d+$/.test(node)) throw new SyntaxError(`${node} is neither a local nor a number`)
      return [op.constant, ...signed(Number(node))]
    }
    const [head, ...rest] = listOf(node)
    const word = String(head)
    const codes = (nodes: readonly Node[], inside = labels): number[] => nodes.flatMap((one) => this.code(one, inside))
    switch (word) {
      case 'local.set':
        return [...this.code(rest[1], labels), op.localSet, ...this.#local(rest[0])]
      case 'loop':
        return [op.loop, type.empty, ...codes(rest.slice(1), [String(rest[0]), ...labels]), op.end]
      case 'if': {
        const [condition, then] = rest
        return [
          ...this.code(condition, labels),
          op.if,
          type.empty,
          ...codes(listOf(then).slice(1), ['', ...labels]),
          op.end,
        ]
      }
      case 'br':
        return [op.br, ...this.#depth(rest[0], labels)]
      case 'br_if':
        return [...this.code(rest[1], labels), op.brIf, ...this.#depth(rest[0], labels)]
    }
    const opcode = opcodes[word]
    if (opcode === undefined) throw new SyntaxError(`unknown instruction ${word}`)
    return [...codes(rest), ...opcode]
  }
  #local(named: Node | undefined): number[] {
    return unsigned(indexIn(this.#locals, named))
  }
  #depth(label: Node | undefined, labels: readonly string[]): number[] {
    return unsigned(indexIn(labels, label))
  }
}
function indexIn(names: readonly string[], named: Node | undefined): number {
  const index = names.indexOf(String(named))
  if (index < 0) throw new SyntaxError(`no ${String(named)} here`)
  return index
}

function unsigned(value: number): number[] {
  const out: number[] = []
  for (; value > 0x7f; value >>>= 7) out.push((value & 0x7f) | 0x80)
  return [...out, value]
}
function signed(value: number): number[] {
  const out: number[] = []
  for (; value < -0x40 || value > 0x3f; value >>= 7) out.push((value & 0x7f) | 0x80)
  return [...out, value & 0x7f]
}
const list = (items: readonly (readonly number[])[]): number[] => [...unsigned(items.length), ...items.flat()]
const part = (id: number, content: readonly number[]): number[] => [id, ...unsigned(content.length), ...content]
const name = (text: string): number[] => [...unsigned(text.length), ...Buffer.from(text)]
