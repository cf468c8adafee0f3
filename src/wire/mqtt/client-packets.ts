/** The other end: packets as clients write them, and what servers answer. */
import { type Properties, readProperties, writeProperties } from './properties.ts'
import {
  type Ack,
  type Asked,
  type Disconnect,
  type PacketLimits,
  type Publish,
  type Version,
  packetType,
  readAck,
  readDisconnect,
  readPublish,
} from './packets.ts'
import type { PacketReader } from './reader.ts'
import { malformed, protocolError } from './reason.ts'
import type { PacketWriter } from './writer.ts'

export interface Opening {
  readonly version: 4 | 5
  readonly clientId: string
  readonly clean: boolean
  readonly keepAliveS: number
  readonly userName: string | null
  readonly password: string | null
  /** Of version 5. */
  readonly properties: Properties
}
export interface Connack {
  readonly type: 'connack'
  readonly sessionPresent: boolean
  /** A reason of version 5, or a return code of 3.1.1. */
  readonly code: number
  readonly properties: Properties | null
}
export interface Suback {
  readonly type: 'suback' | 'unsuback'
  readonly id: number
  readonly codes: readonly number[]
}
export type Answer = Connack | Publish | Ack | Suback | Disconnect | { readonly type: 'pingresp' }

export function writeConnect(out: PacketWriter, opening: Opening): void {
  const { version, clientId, clean, keepAliveS, userName, password, properties } = opening
  out.byte(packetType.connect << 4)
  out.measured(() => {
    out.text('MQTT')
    out.byte(version)
    out.byte((clean ? 2 : 0) | (password === null ? 0 : 0x40) | (userName === null ? 0 : 0x80))
    out.two(keepAliveS)
    if (version === 5) writeProperties(out, properties)
    out.text(clientId)
    if (userName !== null) out.text(userName)
    if (password !== null) out.text(password)
  })
}
export function writeSubscribe(out: PacketWriter, version: Version, id: number, asked: readonly Asked[]): void {
  out.byte((packetType.subscribe << 4) | 2)
  out.measured(() => {
    out.two(id)
    if (version === 5) out.byte(0)
    for (const { filter, qos, noLocal, retainAsPublished, retainHandling } of asked) {
      out.text(filter)
      const more = (noLocal ? 4 : 0) | (retainAsPublished ? 8 : 0) | (retainHandling << 4)
      out.byte(version === 5 ? qos | more : qos)
    }
  })
}
export function writeUnsubscribe(out: PacketWriter, version: Version, id: number, filters: readonly string[]): void {
  out.byte((packetType.unsubscribe << 4) | 2)
  out.measured(() => {
    out.two(id)
    if (version === 5) out.byte(0)
    for (const filter of filters) out.text(filter)
  })
}
export function writePingreq(out: PacketWriter): void {
  out.byte(packetType.pingreq << 4)
  out.byte(0)
}
/** A client that goes away in good order. */
export function writeGoodbye(out: PacketWriter): void {
  out.byte(packetType.disconnect << 4)
  out.byte(0)
}

/** Throws MqttError. */
export function readAnswer(first: number, reader: PacketReader, version: Version, limits: PacketLimits): Answer {
  const kind = first >>> 4
  if (kind === packetType.publish) return readPublish(first & 0x0f, reader, version, limits)
  const answer = readOther(kind, reader, version, limits)
  reader.done()
  return answer
}
function readOther(kind: number, reader: PacketReader, version: Version, limits: PacketLimits): Answer {
  switch (kind) {
    case packetType.connack: {
      const flags = reader.byte()
      if (flags > 1) throw malformed('the reserved flags of CONNACK are set')
      const code = reader.byte()
      const properties =
        version === 5 && reader.left > 0 ? readProperties(reader, 'connack', limits.userProperties) : null
      return { type: 'connack', sessionPresent: flags === 1, code, properties }
    }
    case packetType.puback:
      return readAck('puback', reader, version, limits)
    case packetType.pubrel:
      return readAck('pubrel', reader, version, limits)
    case packetType.suback:
    case packetType.unsuback: {
      const id = reader.two()
      if (version === 5) readProperties(reader, 'suback', limits.userProperties)
      return { type: kind === packetType.suback ? 'suback' : 'unsuback', id, codes: [...reader.rest()] }
    }
    case packetType.pingresp:
      return { type: 'pingresp' }
    case packetType.disconnect:
      return readDisconnect(reader, version, limits)
    default:
      throw protocolError(`a packet of type ${kind} is not one that servers send here`)
  }
}
