/** Nexmark's events as Avro and Protobuf, as the usual libraries write them. */
import avsc from 'avsc'
import protobuf from 'protobufjs'
import type { SourcePlan } from '../src/flow/plan.ts'

type Kind = 'long' | 'text' | 'time'
const events: Readonly<Record<string, Readonly<Record<string, Kind>>>> = {
  person: {
    ...{ id: 'long', name: 'text', emailAddress: 'text', creditCard: 'text', city: 'text', state: 'text' },
    ...{ dateTime: 'time', extra: 'text' },
  },
  auction: {
    ...{ id: 'long', itemName: 'text', description: 'text', initialBid: 'long', reserve: 'long', dateTime: 'time' },
    ...{ expires: 'time', seller: 'long', category: 'long', extra: 'text' },
  },
  bid: {
    ...{ auction: 'long', bidder: 'long', price: 'long', channel: 'text', url: 'text', dateTime: 'time' },
    ...{ extra: 'text' },
  },
}
type Event = Record<string, Record<string, unknown> | null>
const millis = (text: unknown): number => Date.parse(`${String(text).replace(' ', 'T')}Z`)
/** Fields as both libraries take them. */
const fieldsOf = (name: string, value: Record<string, unknown>): Record<string, unknown> =>
  Object.fromEntries(
    Object.entries(events[name]!).map(([field, kind]) => [
      field,
      kind === 'time' ? millis(value[field]) : value[field],
    ]),
  )
const present = (event: Event): [string, Record<string, unknown>][] =>
  Object.entries(event).flatMap(([name, value]) =>
    name in events && value !== null ? [[name, fieldsOf(name, value)]] : [],
  )

export interface Format {
  readonly name: 'avro' | 'protobuf'
  /** Of the events, and of bids alone. */
  readonly schemas: { readonly events: SourcePlan['schema']; readonly bids: SourcePlan['schema'] }
  event(line: string): Buffer
  bid(line: string): Buffer
}
const use = (text: string, message: string | null): SourcePlan['schema'] => ({
  framing: 'none',
  text,
  message,
  imports: {},
})

function avro(): Format {
  const kinds = { long: 'long', text: 'string', time: { type: 'long', logicalType: 'timestamp-millis' } } as const
  const record = (name: string) => ({
    ...{ type: 'record', name },
    fields: Object.entries(events[name]!).map(([field, kind]) => ({ name: field, type: kinds[kind] })),
  })
  const bids = record('bid')
  const all = {
    ...{ type: 'record', name: 'event' },
    fields: [
      { name: 'event_type', type: 'int' },
      ...Object.keys(events).map((name) => ({ name, type: ['null', record(name)] })),
    ],
  }
  const [bidType, type] = [bids, all].map((schema) =>
    avsc.Type.forSchema(schema as avsc.Schema, { wrapUnions: 'always' }),
  )
  return {
    name: 'avro',
    schemas: { events: use(JSON.stringify(all), null), bids: use(JSON.stringify(bids), null) },
    event(line) {
      const event = JSON.parse(line) as Event
      const parts = present(event).map(([name, fields]) => [name, { [name]: fields }])
      return type!.toBuffer({
        event_type: event['event_type'],
        person: null,
        auction: null,
        bid: null,
        ...(Object.fromEntries(parts) as object),
      })
    },
    bid: (line) => bidType!.toBuffer(fieldsOf('bid', (JSON.parse(line) as Event)['bid']!)),
  }
}
function proto(): Format {
  const kinds = { long: 'int64', text: 'string', time: 'google.protobuf.Timestamp' } as const
  const message = (name: string): string =>
    `message ${name} { ${Object.entries(events[name]!)
      .map(([field, kind], i) => `${kinds[kind]} ${field} = ${i + 1};`)
      .join(' ')} }`
  const all = `message event { int32 event_type = 1; person person = 2; auction auction = 3; bid bid = 4; }`
  const text = [
    'syntax = "proto3"; import "google/protobuf/timestamp.proto";',
    ...Object.keys(events).map(message),
    all,
  ].join('\n')
  const { root } = protobuf.parse(text, new protobuf.Root(), { keepCase: true })
  root.addJSON(protobuf.common.get('google/protobuf/timestamp.proto')!.nested!)
  const types = { event: root.lookupType('event'), bid: root.lookupType('bid') }
  const timed = (name: string, fields: Record<string, unknown>): Record<string, unknown> =>
    Object.fromEntries(
      Object.entries(fields).map(([field, value]) => [
        field,
        events[name]![field] === 'time'
          ? { seconds: Math.floor((value as number) / 1000), nanos: ((value as number) % 1000) * 1e6 }
          : value,
      ]),
    )
  const encode = (type: protobuf.Type, value: object): Buffer =>
    Buffer.from(type.encode(type.fromObject(value)).finish())
  return {
    name: 'protobuf',
    schemas: { events: use(text, 'event'), bids: use(text, 'bid') },
    event(line) {
      const event = JSON.parse(line) as Event
      const parts = present(event).map(([name, fields]) => [name, timed(name, fields)])
      return encode(types.event, { event_type: event['event_type'], ...(Object.fromEntries(parts) as object) })
    },
    bid: (line) => encode(types.bid, timed('bid', fieldsOf('bid', (JSON.parse(line) as Event)['bid']!))),
  }
}
export const formats = (): readonly Format[] => [avro(), proto()]
