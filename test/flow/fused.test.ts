/** Calls that are worked on as one give what they give one by one. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import fc from 'fast-check'
import { compileScalar } from '../../src/flow/compile.ts'
import type { Expression } from '../../src/flow/expression.ts'

const text = { kind: 'text' } as const
const int = { kind: 'int' } as const
const column = (index: number): Expression => ({ kind: 'column', index, type: text })
const literal = (value: string | null): Expression => ({ kind: 'literal', value, type: text })
const call = (name: string, type: typeof text | typeof int, ...args: Expression[]): Expression => ({
  kind: 'call',
  name,
  args,
  type,
})
const length = (of: Expression): Expression => call('length', int, of)
const replaced = (of: Expression, from: Expression, to: Expression): Expression => call('replace', text, of, from, to)
const characters = (s: string): number => Array.from(s).length
const pieces = fc.string({ unit: fc.constantFrom('a', 'b', '/', 'é', '😀'), maxLength: 12 })

test('the length of a text in which another is replaced', () => {
  const run = compileScalar(length(replaced(column(0), column(1), column(2))))
  fc.assert(
    fc.property(pieces, pieces, pieces, (s, from, to) =>
      assert.equal(run([s, from, to], 0), characters(from === '' ? s : s.replaceAll(from, () => to))),
    ),
  )
  for (const row of [
    [null, 'a', 'b'],
    ['a', null, 'b'],
    ['a', 'b', null],
  ])
    assert.equal(run(row, 0), null)
})

test('the characters of all occurrences: a length less that without them', () => {
  const counted = (of: Expression, from: Expression, part: Expression, to = literal('')): Expression =>
    call('-', int, length(of), length(replaced(from, part, to)))
  const run = compileScalar(counted(column(0), column(0), column(1)))
  fc.assert(
    fc.property(pieces, pieces, (s, part) =>
      assert.equal(run([s, part], 0), part === '' ? 0 : characters(s) - characters(s.replaceAll(part, ''))),
    ),
  )
  assert.equal(run([null, 'a'], 0), null)
  assert.equal(run(['a', null], 0), null)
  const ofAnother = compileScalar(counted(column(0), column(1), literal('/')))
  assert.equal(ofAnother(['abc', 'a/b/c/d'], 0), 3 - 4)
  const withAnother = compileScalar(counted(column(0), column(0), literal('/'), literal('--')))
  assert.equal(withAnother(['a/b', ''], 0), 3 - 4)
})
