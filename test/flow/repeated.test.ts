import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { columnBuilder } from '../../src/flow/columns.ts'
import { type ProjectFunction, compileFilter, compileProject } from '../../src/flow/compile.ts'
import type { BytesColumn, RowFailure } from '../../src/flow/batch.ts'
import type { Expression, UserFunction, Value } from '../../src/flow/expression.ts'
import { functions } from '../../src/flow/functions/index.ts'
import { call, literal, t } from './plans.ts'

const text = (index: number): Expression => ({ kind: 'column', index, type: t.text })
const int = (index: number): Expression => ({ kind: 'column', index, type: t.int })
const when = (condition: Expression, then: Expression, otherwise: Expression | null = null): Expression => ({
  kind: 'case',
  branches: [{ when: condition, then }],
  otherwise,
  type: then.type,
})
function columnsOf(rows: readonly (readonly Value[])[], types: readonly Expression['type'][]) {
  return types.map((type, c) => {
    const builder = columnBuilder(type)
    for (const row of rows) builder.push(row[c]!)
    return builder.done()
  })
}
/** What each expression gives for each row; 'fails' where a row has no values. */
function run(project: ProjectFunction, expressions: readonly Expression[], rows: readonly (readonly Value[])[]) {
  const builders = expressions.map(({ type }) => columnBuilder(type))
  const failures: RowFailure[] = []
  const given: (readonly Value[] | 'fails')[] = []
  for (const row of rows) {
    const before = failures.length
    project(columnsOf([row], [t.int, t.text]), 1, 0, builders, failures)
    given.push(failures.length > before ? 'fails' : builders.map((b, i) => b.last(expressions[i]!.type)))
  }
  return given
}
const rows: Value[][] = [
  [1, 'a/b/c'],
  [0, 'x'],
  [null, null],
  [3, ''],
  [2, 'ä/ö'],
]

test('what stands several times gives what it gives alone, also where it is NULL, fails, or is not asked for', () => {
  const part = (n: number): Expression => call('split_part', t.text, text(1), literal('/', t.text), literal(n, t.int))
  const quotient = call('/', t.int, literal(6, t.int), int(0))
  const isSmall = call('>', t.boolean, int(0), literal(0, t.int))
  const all: Expression[] = [
    part(1),
    call('length', t.int, part(1)),
    call('length', t.int, part(2)),
    call('upper', t.text, part(1)),
    // The quotient is asked for only where it can be computed, and again after that.
    when(isSmall, quotient),
    when(isSmall, call('+', t.int, quotient, quotient), literal(-1, t.int)),
    when({ kind: 'not', arg: isSmall, type: t.boolean }, literal(0, t.int), quotient),
    text(1),
  ]
  const alone = all.map((one) => run(compileProject([one]), [one], rows))
  const together = run(compileProject(all), all, rows)
  for (const [r, row] of together.entries()) {
    const wanted = alone.map((of) => of[r]!)
    if (row === 'fails') assert.ok(wanted.includes('fails'))
    else
      assert.deepEqual(
        row,
        wanted.map((of) => of[0]),
      )
  }
  const failing = [quotient, call('+', t.int, quotient, literal(1, t.int))]
  assert.deepEqual(run(compileProject(failing), failing, rows), [[6, 7], 'fails', [null, null], [2, 3], [3, 4]])
  const same = call('=', t.boolean, part(1), part(1))
  const passing = new Int32Array(rows.length)
  const count = compileFilter(same)(columnsOf(rows, [t.int, t.text]), rows.length, 0, passing, [])
  assert.deepEqual([...passing.subarray(0, count)], [0, 1, 3, 4])
})
test('a call that is the same is made once a row; one of a program is made each time', () => {
  let calls = 0
  const row = functions.find('upper', [t.text])!
  const counted = {
    ...row,
    name: 'counted',
    code: ({ args, use }: Parameters<typeof row.code>[0]) =>
      `${use((value: string) => {
        calls++
        return value.length
      })}(${args.join()})`,
  }
  const user: UserFunction = { version: '1', volatile: false, fn: counted }
  const own: Expression = { kind: 'call', name: 'counted', args: [text(1)], type: t.int, user }
  const twice = [own, own]
  run(compileProject(twice), twice, [[1, 'abc']])
  assert.equal(calls, 2)
  const upper = call('upper', t.text, text(1))
  const three = [upper, call('length', t.int, upper), call('||', t.text, upper, text(1))]
  const columns = columnsOf([[1, 'abc']], [t.int, t.text])
  const { arena } = columns[1] as BytesColumn
  let read = 0
  arena.toString = (...args: Parameters<Buffer['toString']>) => {
    read++
    return Buffer.prototype.toString.apply(arena, args)
  }
  const builders = three.map(({ type }) => columnBuilder(type))
  compileProject(three)(columns, 1, 0, builders, [])
  assert.deepEqual(
    builders.map((b, n) => b.last(three[n]!.type)),
    ['ABC', 3, 'ABCabc'],
  )
  assert.equal(read, 1, 'the text is made of its bytes once')
})
test('the length of what replace gives is counted without making it', () => {
  const length = (name: string): Expression => call(name, t.int, call('replace', t.text, text(1), text(2), text(3)))
  const longer = call('replace', t.text, text(1), text(2), text(3))
  const both = compileProject([length('length'), length('char_length'), longer])
  const pieces = fc
    .array(fc.constantFrom('a', 'ab', '/', 'ä', '😀', '😁', ''), { maxLength: 6 })
    .map((all) => all.join(''))
  fc.assert(
    fc.property(pieces, pieces, pieces, (s, from, to) => {
      const builders = [columnBuilder(t.int), columnBuilder(t.int), columnBuilder(t.text)]
      both(columnsOf([[1, s, from, to]], [t.int, t.text, t.text, t.text]), 1, 0, builders, [])
      const [counted, again, made] = builders.map((b, i) => b.last(i === 2 ? t.text : t.int))
      assert.equal(made, from === '' ? s : s.replaceAll(from, () => to))
      assert.equal(counted, Array.from(made as string).length)
      assert.equal(again, counted)
    }),
  )
})
test('short texts are written as they are, of whatever characters', () => {
  const builder = columnBuilder(t.text)
  const all = ['', 'a', 'abc'.repeat(10), 'ä', 'aä', '😀', 'a'.repeat(31) + 'é', 'x'.repeat(40), '\u007f\u0080', '\0']
  for (const one of all) builder.push(one)
  const { arena, from, to } = builder.done() as BytesColumn
  assert.deepEqual(
    all.map((_, i) => arena.toString('utf8', from[i]!, to[i]!)),
    all,
  )
})
