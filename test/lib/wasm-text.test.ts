import assert from 'node:assert/strict'
import { test } from 'node:test'
import { assemble } from '../../src/lib/wasm-text.ts'

declare const WebAssembly: {
  readonly Module: new (bytes: Uint8Array) => object
  readonly Instance: new (module: object) => { readonly exports: Record<string, (...of: number[]) => number> }
}
const run = (text: string, ...of: number[]): number =>
  new WebAssembly.Instance(new WebAssembly.Module(assemble(text))).exports['f']!(...of)

test('locals, constants, loops and conditions do what their text says', () => {
  const sum = `
    (func $f (param $n) (local $sum)
      (loop $next ;; n + … + 1
        (if (i32.eqz $n) (then (return $sum)))
        (local.set $sum (i32.add $sum $n))
        (local.set $n (i32.sub $n 1))
        (br $next))
      (unreachable))`
  assert.equal(run(sum, 1000), 500_500)
  for (const value of [0, 1, -1, 63, 64, -64, -65, 127, 128, 8191, 8192, -8193, 2 ** 31 - 1, -(2 ** 31)])
    assert.equal(run(`(func $f (param) (local) ${value})`), value)
})
test('memory is read and written by bytes and by sixteen', () => {
  const copied = `
    (func $f (param $value) (local)
      (i32.store8 40 $value)
      (v128.store 100 (v128.load 32))
      (i32.load8_u 108))`
  assert.equal(run(copied, 200), 200)
})
test('what it does not know is an error', () => {
  for (const [text, what] of [
    ['(func $f (param) (local) (i64.add 1 2))', /unknown instruction i64.add/],
    ['(func $f (param) (local) $x)', /no \$x here/],
    ['(func $f (param) (local) (br $out))', /no \$out here/],
    ['(func $f (param) (local) 1.5)', /neither a local nor a number/],
    ['(func $f (param) (local) 1', /open parenthesis/],
    ['(func $f (param) (local) 1))', /closing parenthesis/],
    ['(global $f)', /instead of func/],
    ['(func $f (local))', /instead of param/],
  ] as const)
    assert.throws(() => assemble(text), what, text)
})
