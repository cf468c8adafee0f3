/** Schemas by their ids, as Confluent's Schema Registry keeps them in `_schemas`. */
import assert from 'node:assert/strict'
import { test } from 'node:test'
import { Fault } from '../../src/lib/fault.ts'
import { limits } from '../../src/lib/limits.ts'
import { memoryDisk } from '../../src/lib/real/memory-disk.ts'
import { realWorld } from '../../src/lib/real/world.ts'
import { encodeBatch } from '../../src/log/batch.ts'
import { openLocalLog } from '../../src/log/local/open.ts'
import type { Log } from '../../src/log/log.ts'
import { avroColumns } from '../../src/schema/formats/avro.ts'
import { messageNamed, protobufColumns } from '../../src/schema/formats/protobuf.ts'
import { Schemas } from '../../src/schema/formats/registry.ts'

interface Registered {
  readonly subject: string
  readonly version?: number
  readonly id: number
  readonly schema: string
  readonly schemaType?: string
  readonly references?: readonly unknown[]
}
interface House extends AsyncDisposable {
  readonly schemas: Schemas
  /** What the clock says, which stands still but for sleeps. */
  readonly now: () => number
  pass(ms: number): void
  write(records: readonly { key: string; value: string | null }[]): Promise<void>
  register(...schemas: readonly Registered[]): Promise<void>
}
async function open(): Promise<House> {
  const real = realWorld()
  let ms = 0
  const clock = {
    ...real.clock,
    monotonic: () => ms,
    sleep(length: number) {
      ms += length
      return Promise.resolve()
    },
  } as typeof real.clock
  const log: Log = await openLocalLog({ world: { ...real, disk: memoryDisk() }, dir: 'data' })
  const write: House['write'] = async (records) => {
    if ((await log.topics.get('_schemas')) === null) await log.topics.create([{ name: '_schemas', partitions: 1 }])
    const batch = encodeBatch(
      records.map(({ key, value }) => ({
        ...{ key: Buffer.from(key), value: value === null ? null : Buffer.from(value), timeMs: 1 },
      })),
    )
    const [done] = await log.writer().append([{ partition: { topic: '_schemas', index: 0 }, batch }])
    assert.ok(done !== undefined && !('fault' in done))
  }
  return {
    schemas: new Schemas(log, clock),
    now: () => ms,
    pass: (length) => void (ms += length),
    write,
    register: (...schemas) =>
      write(
        schemas.map(({ version = 1, ...schema }) => ({
          key: JSON.stringify({ keytype: 'SCHEMA', subject: schema.subject, version, magic: 1 }),
          value: JSON.stringify({ ...schema, version, deleted: false }),
        })),
      ),
    async [Symbol.asyncDispose]() {
      await log.close()
    },
  }
}
const codeOf = (work: () => unknown): string => {
  try {
    work()
    return 'nothing'
  } catch (error) {
    return error instanceof Fault ? `${error.code}: ${error.message}` : String(error)
  }
}

test('schemas with what they refer to, directly and not, whichever was written first', async () => {
  await using house = await open()
  const record = (name: string, fields: object[]) => JSON.stringify({ type: 'record', name, namespace: 'n', fields })
  await house.register(
    {
      ...{
        subject: 'order',
        id: 3,
        schema: record('Order', [
          { name: 'to', type: 'n.Person' },
          { name: 'by', type: 'n.Place' },
        ]),
      },
      references: [
        { name: 'n.Person', subject: 'person', version: 2 },
        { name: 'n.Place', subject: 'place', version: 1 },
      ],
    },
    { subject: 'place', id: 1, schema: record('Place', [{ name: 'town', type: 'string' }]) },
    {
      ...{ subject: 'person', version: 2, id: 2, schema: record('Person', [{ name: 'at', type: 'n.Place' }]) },
      references: [{ name: 'n.Place', subject: 'place', version: 1 }],
    },
    {
      ...{ subject: 'pay', id: 4, schemaType: 'PROTOBUF' },
      schema: 'syntax = "proto3"; import "more/money.proto"; message Pay { more.Money sum = 1; }',
      references: [{ name: 'more/money.proto', subject: 'money', version: 1 }],
    },
    {
      subject: 'money',
      id: 5,
      schemaType: 'PROTOBUF',
      schema: 'syntax = "proto3"; package more; message Money { int64 cents = 1; }',
    },
  )
  await house.schemas.settle([3, 4])
  const place = { kind: 'composite', fields: [{ name: 'town', type: { kind: 'text' }, nullable: false }] }
  assert.deepEqual(avroColumns(house.schemas.avro(3)), [
    {
      name: 'to',
      type: { kind: 'composite', fields: [{ name: 'at', type: place, nullable: false }] },
      nullable: false,
    },
    { name: 'by', type: place, nullable: false },
  ])
  assert.deepEqual(protobufColumns(messageNamed(house.schemas.protobuf(4), null)), [
    {
      ...{ name: 'sum', nullable: true },
      type: { kind: 'composite', fields: [{ name: 'cents', type: { kind: 'bigint' }, nullable: false }] },
    },
  ])
})
test('what cannot be had is a fault, and may come later', async () => {
  await using house = await open()
  const { schemas } = house
  // Before there is a topic.
  assert.equal(schemas.isSettled(7), false)
  await schemas.settle([7])
  assert.ok(house.now() >= 5_000)
  assert.equal(schemas.isSettled(7), true)
  assert.match(
    codeOf(() => schemas.avro(7)),
    /^schema.unknown-id: .* 7 /,
  )
  // In the same minute nobody waits for it again.
  const before = house.now()
  await schemas.settle([7])
  assert.equal(house.now(), before)
  // But it is looked for.
  house.pass(1_000)
  assert.equal(schemas.isSettled(7), false)
  await schemas.settle([7])
  assert.equal(house.now(), before + 1_000)
  assert.equal(schemas.isSettled(7), true)
  house.pass(1_000)
  const uses = {
    subject: 'uses',
    id: 8,
    schema: '["null", "Late"]',
    references: [{ name: 'Late', subject: 'late', version: 1 }],
  }
  await house.register({ subject: 'a', id: 7, schema: '"int"' }, uses, {
    subject: 'bad',
    id: 9,
    schema: '{"type":"none"}',
  })
  await schemas.settle([7, 8, 9])
  assert.equal(schemas.avro(7).type.typeName, 'int')
  assert.match(
    codeOf(() => schemas.protobuf(7)),
    /schema.invalid-schema: .*the schema with the id 7: it is a schema of AVRO/,
  )
  assert.match(
    codeOf(() => schemas.avro(8)),
    /the id 8: it refers to version 1 of late, which is not there/,
  )
  assert.match(
    codeOf(() => schemas.avro(9)),
    /the id 9: it is no Avro schema/,
  )
  await house.register({ subject: 'late', id: 10, schema: '{"type":"fixed","name":"Late","size":1}' })
  await schemas.settle([10])
  assert.equal(
    codeOf(() => schemas.avro(8)),
    'nothing',
  )
})
test('what is no schema, or of another context, or too long, is passed over', async () => {
  await using house = await open()
  const key = (keytype: string): string => JSON.stringify({ keytype, subject: 's', version: 1, magic: 1 })
  const of = (more: object): string => JSON.stringify({ subject: 's', version: 1, id: 1, schema: '"int"', ...more })
  await house.write([
    { key: '', value: '' },
    { key: 'null', value: 'null' },
    { key: '[1]', value: '{' },
    { key: key('DELETE_SUBJECT'), value: of({}) },
    { key: key('SCHEMA'), value: of({ id: '1' }) },
    { key: key('SCHEMA'), value: of({ schema: 5 }) },
    { key: key('SCHEMA'), value: of({ subject: ':.other:s' }) },
    { key: key('SCHEMA'), value: of({ schemaType: 'THRIFT' }) },
    { key: key('SCHEMA'), value: of({ schema: ' '.repeat(limits.schemaBytes + 1) }) },
    { key: key('SCHEMA'), value: null },
  ])
  await house.schemas.settle([1])
  assert.match(
    codeOf(() => house.schemas.avro(1)),
    /schema.unknown-id/,
  )
  // References that go round in a circle end.
  const round = (subject: string, id: number, other: string): Registered => ({
    ...{ subject, id, schema: `{"type":"fixed","name":"${subject}","size":1}` },
    references: [{ name: other, subject: other, version: 1 }],
  })
  await house.register(round('A', 21, 'B'), round('B', 22, 'A'))
  await house.schemas.settle([21])
  assert.match(
    codeOf(() => house.schemas.avro(21)),
    /duplicate type name|nothing/,
  )
})
