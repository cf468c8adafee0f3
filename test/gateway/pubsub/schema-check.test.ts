import assert from 'node:assert/strict'
import { createRequire } from 'node:module'
import { test } from 'node:test'
import type * as avsc from 'avsc'
import { SeededRandom } from '../../../src/lib/sim/random.ts'
import { checkOf, incompatible } from '../../../src/gateway/pubsub/schema-check.ts'
import type { SchemaMessage } from '../../../src/wire/pubsub/schema-messages.ts'

const { Type } = createRequire(import.meta.url)('avsc') as typeof avsc
const avro = (schema: unknown) => checkOf({ type: 'AVRO', definition: JSON.stringify(schema) })
/** Avro's number. */
function long(value: bigint): number[] {
  const out: number[] = []
  let left = value < 0n ? -value * 2n - 1n : value * 2n
  for (; left > 127n; left >>= 7n) out.push(Number(left & 127n) | 128)
  return [...out, Number(left)]
}
const seed = Number(process.env['SEED'] ?? Math.floor(Math.random() * 2 ** 32))

test('a few bytes that claim a thousand million items are refused at once', () => {
  for (const items of ['null', { type: 'record', name: 'None', fields: [] }, 'int', 'string']) {
    const check = avro({ type: 'array', items })
    for (const count of [100_000n, 1n << 31n, 1n << 60n]) {
      const beganMs = performance.now()
      assert.match(check(Buffer.from([...long(count), 0]), 'BINARY') ?? '', /more items than there can be/)
      assert.match(check(Buffer.from([...long(-count), 0, 0]), 'BINARY') ?? '', /more items than there can be/)
      assert.ok(performance.now() - beganMs < 200)
    }
  }
  assert.equal(avro({ type: 'array', items: 'null' })(Buffer.from([...long(1_000n), 0]), 'BINARY'), null)
  assert.match(avro('bytes')(Buffer.from(long(1n << 40n)), 'BINARY') ?? '', /beyond the end/)
})
test('values that are nested too deeply are refused', () => {
  const node = { type: 'record', name: 'Node', fields: [{ name: 'next', type: ['null', 'Node'] }] }
  assert.match(avro(node)(Buffer.alloc(1_000_000, 2), 'BINARY') ?? '', /nested deeper/)
  assert.equal(avro(node)(Buffer.from([2, 2, 2, 0]), 'BINARY'), null)
})
test(`what Avro has written fits, and what was changed fits where Avro reads it (SEED=${seed})`, () => {
  const schema = {
    type: 'record',
    name: 'All',
    fields: [
      { name: 'b', type: 'boolean' },
      { name: 'i', type: 'int' },
      { name: 'l', type: 'long' },
      { name: 'd', type: ['null', 'double', 'string'] },
      { name: 'e', type: { type: 'enum', name: 'E', symbols: ['X', 'Y'] } },
      { name: 'f', type: { type: 'fixed', name: 'F', size: 3 } },
      { name: 'a', type: { type: 'array', items: 'string' } },
      { name: 'm', type: { type: 'map', values: 'bytes' } },
    ],
  }
  const check = avro(schema)
  const type = Type.forSchema(schema as avsc.Schema, { wrapUnions: 'always' })
  const random = new SeededRandom(seed, 'avro')
  let refused = 0
  for (let i = 0; i < 2_000; i++) {
    const bytes = type.toBuffer(type.random())
    assert.equal(check(bytes, 'BINARY'), null)
    const wrong = Buffer.from(bytes)
    wrong[random.between(0, wrong.length - 1)] = random.between(0, 255)
    if (check(wrong, 'BINARY') !== null) refused++
    // What is taken here, Avro takes.
    else assert.doesNotThrow(() => type.fromBuffer(wrong))
  }
  assert.ok(refused > 100, `${refused} were refused`)
})
const revision = (type: 'AVRO' | 'PROTOCOL_BUFFER', definition: string): SchemaMessage =>
  ({ type, definition }) as SchemaMessage
test('schemas that hold one another many times over are compared in no time', () => {
  const proto = (more: string): SchemaMessage => {
    const inner = Array.from({ length: 60 }, (_, i) => `message R${i}{R${i + 1} a=1;R${i + 1} b=2;${more}}`).join('')
    return revision('PROTOCOL_BUFFER', `syntax="proto3";message R{${inner} message R60{} R0 a=1;}`)
  }
  const union = revision(
    'AVRO',
    JSON.stringify(Array.from({ length: 1_000 }, (_, i) => ({ type: 'record', name: `R${i}`, fields: [] }))),
  )
  const beganMs = performance.now()
  assert.equal(incompatible(proto(''), proto('int32 z=9;')), null)
  assert.equal(incompatible(union, union), null)
  assert.ok(performance.now() - beganMs < 5_000)
})
test('a revision of Avro can be read by the one before, and the other way round', () => {
  const record = (...fields: unknown[]): SchemaMessage =>
    revision('AVRO', JSON.stringify({ type: 'record', name: 'R', fields }))
  const a = { name: 'a', type: 'int' }
  const withDefault = { name: 'b', type: ['null', 'R'], default: null }
  assert.equal(incompatible(record(a), record(a, withDefault)), null)
  assert.equal(incompatible(record(a, withDefault), record(a)), null)
  assert.match(incompatible(record(a), record(a, { name: 'b', type: 'int' })) ?? '', /^b: .*no default/)
  assert.match(incompatible(record(a), record({ name: 'a', type: 'long' })) ?? '', /^a: .*written as long/)
  const symbols = (...all: string[]) => revision('AVRO', JSON.stringify({ type: 'enum', name: 'E', symbols: all }))
  assert.match(incompatible(symbols('X', 'Y'), symbols('X')) ?? '', /lacks a symbol/)
  assert.match(incompatible(record(a), revision('PROTOCOL_BUFFER', 'syntax="proto3";message A{}')) ?? '', /its type is/)
})
