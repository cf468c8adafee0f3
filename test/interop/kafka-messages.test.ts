/** Every message we declare, held against the generated classes of Kafka's own client: fields, order, types, defaults. */
import assert from 'node:assert/strict'
import { dirname, join } from 'node:path'
import { before, test } from 'node:test'
import { fileURLToPath } from 'node:url'
import { type AnyShape, fallbackOf, nullUuid } from '../../src/wire/kafka/codec/shape.ts'
import { handlers } from '../../src/gateway/kafka/handlers/index.ts'
import { isFlexible } from '../../src/wire/kafka/header.ts'
import { messages } from '../../src/wire/kafka/messages/index.ts'
import { kafkaDir, run } from './setup/index.ts'

interface Side {
  readonly versions: Readonly<Record<string, unknown>>
  readonly defaults: Defaults
}
type Defaults = { readonly [name: string]: unknown }
interface TheirApi {
  readonly key: number
  readonly name: string
  readonly stable: readonly [number, number]
  readonly request: Side
  readonly response: Side
}
let theirs: ReadonlyMap<number, TheirApi>
before(async () => {
  const program = join(dirname(fileURLToPath(import.meta.url)), 'kafka', 'Messages.java')
  const printed = await run('java', ['-cp', `${await kafkaDir()}/lib/*`, program])
  theirs = new Map((JSON.parse(printed) as TheirApi[]).map((api) => [api.key, api]))
})

const wireNames: Readonly<Record<string, string>> = {
  bool: 'BOOLEAN',
  int8: 'INT8',
  int16: 'INT16',
  uint16: 'UINT16',
  int32: 'INT32',
  int64: 'INT64',
  float64: 'FLOAT64',
  uuid: 'UUID',
}
/** What is on the wire in this version, in the form that Messages.java prints. */
function treeOf(shape: AnyShape, version: number, flexible: boolean): unknown {
  const nullable = version >= shape.nullableSince
  const { node } = shape
  switch (node.kind) {
    case 'string':
    case 'bytes':
    case 'records':
      return `${flexible ? 'COMPACT_' : ''}${nullable ? 'NULLABLE_' : ''}${node.kind.toUpperCase()}`
    case 'array':
      return { array: treeOf(node.item, version, flexible), nullable, compact: flexible }
    case 'struct': {
      const live = node.fields.filter(({ shape: of }) => version >= of.since && version <= of.until)
      const named = ({ name, shape: of }: (typeof live)[number]) => ({ name, type: treeOf(of, version, flexible) })
      const struct: unknown[] = live.filter(({ shape: of }) => of.tag === null).map(named)
      if (flexible) {
        const tags = live.filter(({ shape: of }) => of.tag !== null)
        struct.push({ tagged: Object.fromEntries(tags.map((field) => [String(field.shape.tag), named(field)])) })
      }
      return { struct, nullable }
    }
    default:
      return wireNames[node.kind]
  }
}

const javaNullUuid = 'AAAAAAAAAAAAAAAAAAAAAA'
function checkDefaults(shape: AnyShape, defaults: Defaults, path: string): void {
  assert.ok(shape.node.kind === 'struct')
  for (const { name, shape: field } of shape.node.fields) {
    const where = `${path}.${name}`
    assert.ok(name in defaults, `${where} has no default there`)
    const theirDefault = defaults[name]
    const { node } = field
    if (node.kind === 'array' && node.item.node.kind === 'struct' && theirDefault !== null) {
      checkDefaults(node.item, (theirDefault as { items: Defaults }).items, where)
      assert.deepEqual(fallbackOf(field), [], where)
    } else if (node.kind === 'struct' && theirDefault !== null) checkDefaults(field, theirDefault as Defaults, where)
    else if (node.kind === 'uuid') assert.deepEqual([fallbackOf(field), theirDefault], [nullUuid, javaNullUuid], where)
    else if (node.kind === 'int64')
      assert.equal(fallbackOf(field), Math.min(theirDefault as number, Number.MAX_SAFE_INTEGER), where)
    else if (node.kind === 'bytes') assert.deepEqual(fallbackOf(field), new Uint8Array(0), where)
    // A null that is only a placeholder of their class, where the wire never has one.
    else if (theirDefault !== null || field.nullableSince === 0)
      assert.deepEqual(fallbackOf(field), theirDefault, where)
  }
}

for (const api of messages)
  test(`${api.name} is as Kafka has it, in every version`, () => {
    const other = theirs.get(api.key)!
    assert.equal(other.name, api.name)
    const handler = handlers.find((one) => one.api === api)
    if (handler !== undefined) assert.deepEqual(handler.versions, other.stable, 'versions offered')
    for (const [shape, side] of [
      [api.request, other.request],
      [api.response, other.response],
    ] as const) {
      const declared = Object.keys(side.versions).map(Number)
      assert.deepEqual(api.versions, [Math.min(...declared), Math.max(...declared)], 'versions declared')
      for (const version of declared)
        assert.deepEqual(treeOf(shape, version, isFlexible(api, version)), side.versions[version], `version ${version}`)
      checkDefaults(shape, side.defaults, api.name)
    }
  })
