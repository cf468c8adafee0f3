/** Properties of MQTT 5 (2.2.2): one table says their number, form, and in which packets they may stand. */
import type { PacketReader } from './reader.ts'
import { malformed, protocolError } from './reason.ts'
import type { PacketWriter } from './writer.ts'

export type UserProperties = readonly (readonly [name: string, value: string])[]
export interface Properties {
  payloadFormat?: number
  messageExpiryS?: number
  contentType?: string
  responseTopic?: string
  correlationData?: Uint8Array
  subscriptionIds?: readonly number[]
  sessionExpiryS?: number
  assignedClientId?: string
  serverKeepAliveS?: number
  authenticationMethod?: string
  authenticationData?: Uint8Array
  requestProblemInformation?: number
  willDelayS?: number
  requestResponseInformation?: number
  responseInformation?: string
  serverReference?: string
  reasonString?: string
  receiveMaximum?: number
  topicAliasMaximum?: number
  topicAlias?: number
  maximumQos?: number
  retainAvailable?: number
  userProperties?: UserProperties
  maximumPacketBytes?: number
  wildcardAvailable?: number
  subscriptionIdsAvailable?: number
  sharedAvailable?: number
}
type Name = keyof Properties
type Form = 'byte' | 'two' | 'four' | 'varint' | 'text' | 'bytes' | 'pair'
export type PropertyPlace =
  | 'connect'
  | 'will'
  | 'connack'
  | 'publish'
  | 'ack'
  | 'subscribe'
  | 'suback'
  | 'unsubscribe'
  | 'disconnect'
  | 'auth'

interface Property {
  readonly id: number
  readonly name: Name
  readonly form: Form
  readonly in: readonly PropertyPlace[]
}
const message = ['publish', 'will'] as const
const answers = ['connack', 'ack', 'suback', 'disconnect', 'auth'] as const
const everywhere = [...answers, ...message, 'connect', 'subscribe', 'unsubscribe'] as const
const table: readonly Property[] = [
  { id: 0x01, name: 'payloadFormat', form: 'byte', in: message },
  { id: 0x02, name: 'messageExpiryS', form: 'four', in: message },
  { id: 0x03, name: 'contentType', form: 'text', in: message },
  { id: 0x08, name: 'responseTopic', form: 'text', in: message },
  { id: 0x09, name: 'correlationData', form: 'bytes', in: message },
  { id: 0x0b, name: 'subscriptionIds', form: 'varint', in: ['publish', 'subscribe'] },
  { id: 0x11, name: 'sessionExpiryS', form: 'four', in: ['connect', 'connack', 'disconnect'] },
  { id: 0x12, name: 'assignedClientId', form: 'text', in: ['connack'] },
  { id: 0x13, name: 'serverKeepAliveS', form: 'two', in: ['connack'] },
  { id: 0x15, name: 'authenticationMethod', form: 'text', in: ['connect', 'connack', 'auth'] },
  { id: 0x16, name: 'authenticationData', form: 'bytes', in: ['connect', 'connack', 'auth'] },
  { id: 0x17, name: 'requestProblemInformation', form: 'byte', in: ['connect'] },
  { id: 0x18, name: 'willDelayS', form: 'four', in: ['will'] },
  { id: 0x19, name: 'requestResponseInformation', form: 'byte', in: ['connect'] },
  { id: 0x1a, name: 'responseInformation', form: 'text', in: ['connack'] },
  { id: 0x1c, name: 'serverReference', form: 'text', in: ['connack', 'disconnect'] },
  { id: 0x1f, name: 'reasonString', form: 'text', in: answers },
  { id: 0x21, name: 'receiveMaximum', form: 'two', in: ['connect', 'connack'] },
  { id: 0x22, name: 'topicAliasMaximum', form: 'two', in: ['connect', 'connack'] },
  { id: 0x23, name: 'topicAlias', form: 'two', in: ['publish'] },
  { id: 0x24, name: 'maximumQos', form: 'byte', in: ['connack'] },
  { id: 0x25, name: 'retainAvailable', form: 'byte', in: ['connack'] },
  { id: 0x26, name: 'userProperties', form: 'pair', in: everywhere },
  { id: 0x27, name: 'maximumPacketBytes', form: 'four', in: ['connect', 'connack'] },
  { id: 0x28, name: 'wildcardAvailable', form: 'byte', in: ['connack'] },
  { id: 0x29, name: 'subscriptionIdsAvailable', form: 'byte', in: ['connack'] },
  { id: 0x2a, name: 'sharedAvailable', form: 'byte', in: ['connack'] },
]
const byId = new Map(table.map((property) => [property.id, property]))
const byName = new Map(table.map((property) => [property.name, property]))
/** Zero means nothing here, so it is an error to say it. */
const positive: ReadonlySet<Name> = new Set(['receiveMaximum', 'maximumPacketBytes', 'subscriptionIds'])

/** Null where there are none. Throws MqttError. */
export function readProperties(
  reader: PacketReader,
  place: PropertyPlace,
  userPropertiesMax: number,
): Properties | null {
  const length = reader.varint()
  if (length === 0) return null
  const end = reader.at + length
  if (end > reader.end) throw malformed('properties go on beyond their packet')
  const found: Record<string, unknown> = {}
  const users: (readonly [string, string])[] = []
  const ids: number[] = []
  while (reader.at < end) {
    const id = reader.varint()
    const property = byId.get(id)
    if (property === undefined) throw malformed(`there is no property ${id}`)
    const { name, form } = property
    if (!property.in.includes(place)) throw protocolError(`the property ${name} does not belong into ${place}`)
    if (form === 'pair') {
      if (users.length >= userPropertiesMax) throw protocolError(`more than ${userPropertiesMax} user properties`)
      users.push([reader.text(), reader.text()])
      continue
    }
    const value = valueOf(reader, form)
    if (value === 0 && positive.has(name)) throw protocolError(`the property ${name} is 0`)
    if (form === 'byte' && (value as number) > 1) throw protocolError(`the property ${name} is neither 0 nor 1`)
    if (name === 'subscriptionIds' && place === 'publish') {
      ids.push(value as number)
      continue
    }
    if (name in found) throw protocolError(`the property ${name} is there twice`)
    found[name] = name === 'subscriptionIds' ? [value] : value
  }
  if (reader.at !== end) throw malformed('a property goes on beyond the properties')
  if (users.length > 0) found['userProperties'] = users
  if (ids.length > 0) found['subscriptionIds'] = ids
  return found
}
function valueOf(reader: PacketReader, form: Exclude<Form, 'pair'>): number | string | Uint8Array {
  switch (form) {
    case 'byte':
      return reader.byte()
    case 'two':
      return reader.two()
    case 'four':
      return reader.four()
    case 'varint':
      return reader.varint()
    case 'text':
      return reader.text()
    case 'bytes':
      return reader.bytes()
  }
}

/** With their length before them. */
export function writeProperties(writer: PacketWriter, properties: Properties | null): void {
  if (properties === null) return writer.byte(0)
  writer.measured(() => {
    for (const [name, value] of Object.entries(properties)) {
      if (value === undefined) continue
      const { id, form } = byName.get(name as Name)!
      if (name === 'userProperties')
        for (const [key, text] of value as UserProperties) {
          writer.byte(id)
          writer.text(key)
          writer.text(text)
        }
      else if (name === 'subscriptionIds')
        for (const one of value as readonly number[]) {
          writer.byte(id)
          writer.varint(one)
        }
      else {
        writer.byte(id)
        writeValue(writer, form, value as number | string | Uint8Array)
      }
    }
  })
}
function writeValue(writer: PacketWriter, form: Form, value: number | string | Uint8Array): void {
  if (typeof value === 'string') writer.text(value)
  else if (typeof value !== 'number') writer.bytes(value)
  else if (form === 'byte') writer.byte(value)
  else if (form === 'two') writer.two(value)
  else if (form === 'four') writer.four(value)
  else writer.varint(value)
}
