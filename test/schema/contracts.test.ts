import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from '../../src/lib/fault.ts'
import { encodeBatch } from '../../src/log/batch.ts'
import { openContracts } from '../../src/schema/contracts.ts'
import { memoryCatalog } from './memory-catalog.ts'

const bytes = (text: string): Uint8Array => Buffer.from(text)
const purchase = {
  type: 'object',
  required: ['customerId', 'amount'],
  properties: {
    customerId: { type: 'string' },
    amount: { type: 'number', exclusiveMinimum: 0 },
    boughtAt: { type: 'string', format: 'date-time' },
    tags: { type: 'array', items: { type: 'string', maxLength: 5 } },
  },
}

test('an event that does not fit names the field', async () => {
  const contracts = openContracts({ catalog: memoryCatalog() })
  await contracts.change('purchases', { schema: purchase })
  const check = (text: string): [string, string] | null => {
    const fault = contracts.check('purchases', { key: null, value: bytes(text) })
    if (fault === null) return null
    return [fault.code, 'field' in fault.facts ? String(fault.facts.field) : '']
  }
  assert.equal(check('{"customerId":"a","amount":1}'), null)
  assert.deepEqual(check('{"amount":1}'), ['schema.invalid', 'customerId'])
  assert.deepEqual(check('{"customerId":"a","amount":"1"}'), ['schema.invalid', 'amount'])
  assert.deepEqual(check('{"customerId":"a","amount":0}'), ['schema.invalid', 'amount'])
  assert.deepEqual(check('{"customerId":"a","amount":1,"boughtAt":"yesterday"}'), ['schema.invalid', 'boughtAt'])
  assert.deepEqual(check('{"customerId":"a","amount":1,"tags":["x","toolong"]}'), ['schema.invalid', 'tags[1]'])
  assert.deepEqual(check('[]'), ['schema.invalid', ''])
  assert.deepEqual(check('{'), ['json.malformed', ''])
  assert.deepEqual(check('\xff'), ['json.malformed', ''])
  assert.equal(contracts.check('purchases', { key: bytes('a'), value: null }), null, 'a tombstone is no event to check')
  assert.equal(contracts.check('other', { key: null, value: bytes('{') }), null)
})

test('a property that the prototype has is still missing', async () => {
  const contracts = openContracts({ catalog: memoryCatalog() })
  await contracts.change('t', { schema: { required: ['toString', 'constructor'] } })
  assert.equal(contracts.check('t', { key: null, value: bytes('{}') })?.code, 'schema.invalid')
  assert.equal(contracts.check('t', { key: null, value: bytes('{"toString":1,"constructor":2}') }), null)
})

test('a key that says something else than its field is a mismatch, no key is none', async () => {
  const contracts = openContracts({ catalog: memoryCatalog() })
  await contracts.change('t', { keyField: 'id' })
  const check = (key: string | null, value: string): string | undefined =>
    contracts.check('t', { key: key === null ? null : bytes(key), value: bytes(value) })?.code
  assert.equal(check('7', '{"id":7}'), undefined)
  assert.equal(check('7', '{"id":"7"}'), undefined)
  assert.equal(check('1.5', '{"id":1.50}'), undefined)
  assert.equal(check('1000', '{"id":1e3}'), undefined)
  assert.equal(check('8', '{"id":7}'), 'schema.key-mismatch')
  assert.equal(check(null, '{"id":7}'), undefined)
  assert.equal(check('7', '{"other":7}'), undefined)
  assert.equal(check('7', 'not json'), undefined)
  assert.equal(check('9007199254740993', '{"id":9007199254740992}'), 'schema.key-mismatch')
})

test('the key comes from its field, no digit lost', async () => {
  const contracts = openContracts({ catalog: memoryCatalog() })
  await contracts.change('t', { keyField: 'id' })
  const key = (value: string): string | null => {
    const found = contracts.keyOf('t', bytes(value))
    return found === null ? null : Buffer.from(found).toString()
  }
  assert.equal(key('{"id":"é\\n"}'), 'é\n')
  assert.equal(key(' { "a" : [ {"id":1} , "}" ] , "id" : 12345678901234567890 } '), '12345678901234567890')
  assert.equal(key('{"id":-0}'), '0')
  assert.equal(key('{"id":1.5e2}'), '150')
  assert.equal(key('{"id":-15E-3}'), '-0.015')
  assert.equal(key('{"id":12.50}'), '12.5')
  assert.equal(key('{"id":2.0}'), '2')
  assert.equal(key('{"id":1200}'), '1200')
  assert.equal(key('{"id":0.0e5}'), '0')
  assert.equal(key('{"id":1,"id":2}'), '2')
  assert.equal(key('{"id":null}'), null)
  assert.equal(key('{}'), null)
  assert.equal(key('{"id":true}'), 'true')
  assert.equal(key('{"id":{"b":1,"a":[2]}}'), '{"a":[2],"b":1}')
  assert.equal(key('[1]'), null)
  assert.equal(key('nope'), null)
})

test('Kafka produce is refused record by record, only where the contract rejects', async () => {
  const contracts = openContracts({ catalog: memoryCatalog() })
  const batch = encodeBatch(
    ['{"customerId":"a","amount":1}', '{"amount":1}', 'x'].map((text) => ({
      key: null,
      value: bytes(text),
      timeMs: 0,
    })),
  )
  assert.equal(contracts.intake('purchases', batch), null)
  await contracts.change('purchases', { schema: purchase })
  assert.equal(contracts.intake('purchases', batch), null, 'by custom, Kafka produce is quarantined later')
  await contracts.change('purchases', { onInvalid: 'reject' })
  const wrong = contracts.intake('purchases', batch)
  assert.deepEqual(
    wrong?.map(({ index }) => index),
    [1, 2],
  )
  assert.match(wrong![0]!.message, /customerId is missing/)
})

test('a contract changes part by part and is gone when nothing is left', async () => {
  const catalog = memoryCatalog()
  const contracts = openContracts({ catalog })
  const changed: string[] = []
  contracts.onChange((topics) => changed.push(...topics))
  await contracts.change('t', { schema: { type: 'number' }, keyField: 'id' })
  await contracts.change('t', { onInvalid: 'null' })
  assert.deepEqual(contracts.get('t'), { topic: 't', schema: { type: 'number' }, onInvalid: 'null', keyField: 'id' })
  assert.equal(contracts.check('t', { key: null, value: bytes('"x"') })?.code, 'schema.invalid')
  await contracts.change('t', { schema: { type: 'string' } })
  assert.equal(contracts.check('t', { key: null, value: bytes('"x"') }), null)
  await contracts.change('t', { schema: null, onInvalid: null, keyField: null })
  assert.equal(contracts.get('t'), null)
  assert.deepEqual(changed, ['t', 't', 't', 't'])
  assert.deepEqual(openContracts({ catalog }).all(), [])
})

test('a schema that cannot be used is refused with the reason, and changes nothing', async () => {
  const contracts = openContracts({ catalog: memoryCatalog() })
  const deep = JSON.parse(`${'{"not":'.repeat(70)}{}${'}'.repeat(70)}`) as object
  const cases: [unknown, RegExp][] = [
    [5, /an object, true or false/],
    [[], /an object, true or false/],
    [{ type: 'objct' }, /type/],
    [{ $ref: 'https://example.com/x.json' }, /not inside it/],
    [{ $ref: '#/$defs/none' }, /not inside it/],
    [{ $ref: '#' }, /without end/],
    [{ $schema: 'http://json-schema.org/draft-04/schema#' }, /not a draft/],
    [{ pattern: '(a)\\1' }, /refers back/],
    [{ patternProperties: { '(': {} } }, /not a regular expression|pattern/],
    [{ description: 'x'.repeat(300_000) }, /longer than/],
    [deep, /nested deeper/],
    [{ $async: true }, /asynchronous/],
  ]
  for (const [schema, why] of cases)
    await assert.rejects(
      contracts.change('t', { schema }),
      (error: unknown) => error instanceof Fault && error.code === 'schema.invalid-schema' && why.test(error.message),
      JSON.stringify(schema).slice(0, 100),
    )
  assert.equal(contracts.get('t'), null)
})

test('a schema of draft 07 keeps its own meaning of items', async () => {
  const contracts = openContracts({ catalog: memoryCatalog() })
  const schema = { $schema: 'http://json-schema.org/draft-07/schema#', items: [{ type: 'number' }] }
  await contracts.change('t', { schema })
  assert.equal(contracts.check('t', { key: null, value: bytes('[1,"x"]') }), null)
  assert.equal(contracts.check('t', { key: null, value: bytes('["x"]') })?.code, 'schema.invalid')
})

test('values that make validators slow are answered in time', async () => {
  const contracts = openContracts({ catalog: memoryCatalog() })
  await contracts.change('t', {
    schema: { properties: { s: { pattern: '^(a+)+$' }, u: { uniqueItems: true } } },
  })
  const before = process.cpuUsage().user
  const long = `{"s":"${'a'.repeat(100_000)}!"}`
  const many = `{"u":[${Array.from({ length: 100_000 }, (_, i) => `{"i":${i}}`).join(',')}]}`
  assert.equal(contracts.check('t', { key: null, value: bytes(long) })?.code, 'schema.invalid')
  assert.equal(contracts.check('t', { key: null, value: bytes(many) }), null)
  assert.ok(process.cpuUsage().user - before < 3_000_000)
})
