/** Packets as values, and how they are read (what clients send) and written (what servers send). */
import { type Properties, readProperties, writeProperties } from './properties.ts'
import { PacketReader } from './reader.ts'
import { MqttError, type Reason, malformed, protocolError, reason, returnCode } from './reason.ts'
import type { PacketWriter } from './writer.ts'

export type Version = 3 | 4 | 5
export type Qos = 0 | 1 | 2

export interface Will {
  readonly topic: string
  readonly payload: Uint8Array
  readonly qos: Qos
  readonly retain: boolean
  readonly properties: Properties | null
}
export interface Connect {
  readonly type: 'connect'
  readonly version: Version
  readonly clientId: string
  readonly clean: boolean
  readonly keepAliveS: number
  readonly will: Will | null
  readonly userName: string | null
  readonly password: Uint8Array | null
  readonly properties: Properties | null
}
export interface Publish {
  readonly type: 'publish'
  readonly topic: string
  readonly payload: Uint8Array
  readonly qos: Qos
  readonly retain: boolean
  readonly isDuplicate: boolean
  /** 0 with QoS 0. */
  readonly id: number
  readonly properties: Properties | null
}
export type AckType = 'puback' | 'pubrec' | 'pubrel' | 'pubcomp'
export interface Ack {
  readonly type: AckType
  readonly id: number
  readonly reason: number
}
export interface Asked {
  readonly filter: string
  readonly qos: Qos
  readonly noLocal: boolean
  readonly retainAsPublished: boolean
  readonly retainHandling: number
}
export interface Subscribe {
  readonly type: 'subscribe'
  readonly id: number
  readonly asked: readonly Asked[]
  readonly properties: Properties | null
}
export interface Unsubscribe {
  readonly type: 'unsubscribe'
  readonly id: number
  readonly filters: readonly string[]
}
export interface Disconnect {
  readonly type: 'disconnect'
  readonly reason: number
  readonly properties: Properties | null
}
/** Of version 5 alone. */
export interface Auth {
  readonly type: 'auth'
  readonly reason: number
  readonly properties: Properties | null
}
export type Packet =
  | Connect
  | Publish
  | Ack
  | Subscribe
  | Unsubscribe
  | Disconnect
  | Auth
  | { readonly type: 'pingreq' }

/** Of one packet: user properties, and filters of one request. */
export interface PacketLimits {
  readonly userProperties: number
  readonly filters: number
}

export const packetType = {
  connect: 1,
  connack: 2,
  publish: 3,
  puback: 4,
  pubrec: 5,
  pubrel: 6,
  pubcomp: 7,
  subscribe: 8,
  suback: 9,
  unsubscribe: 10,
  unsuback: 11,
  pingreq: 12,
  pingresp: 13,
  disconnect: 14,
  auth: 15,
} as const

export const isConnect = (first: number): boolean => first >>> 4 === packetType.connect

/** `version` is that of the connection; of none yet: any, and only CONNECT. Throws MqttError. */
export function readPacket(first: number, reader: PacketReader, version: Version, limits: PacketLimits): Packet {
  const kind = first >>> 4
  const flags = first & 0x0f
  if (kind === packetType.publish) return readPublish(flags, reader, version, limits)
  const wanted = kind === packetType.pubrel || kind === packetType.subscribe || kind === packetType.unsubscribe ? 2 : 0
  if (flags !== wanted) throw malformed(`the flags of a packet of type ${kind} are ${flags}`)
  const packet = readOther(kind, reader, version, limits)
  reader.done()
  return packet
}
function readOther(kind: number, reader: PacketReader, version: Version, limits: PacketLimits): Packet {
  switch (kind) {
    case packetType.connect:
      return readConnect(reader, limits)
    case packetType.puback:
      return readAck('puback', reader, version, limits)
    case packetType.pubrec:
      return readAck('pubrec', reader, version, limits)
    case packetType.pubrel:
      return readAck('pubrel', reader, version, limits)
    case packetType.pubcomp:
      return readAck('pubcomp', reader, version, limits)
    case packetType.subscribe:
      return readSubscribe(reader, version, limits)
    case packetType.unsubscribe:
      return readUnsubscribe(reader, version, limits)
    case packetType.pingreq:
      return { type: 'pingreq' }
    case packetType.disconnect:
      return readDisconnect(reader, version, limits)
    case packetType.auth:
      if (version !== 5) throw malformed('AUTH is a packet of MQTT 5')
      return readAuth(reader, limits)
    default:
      throw protocolError(`a packet of type ${kind} is not one that clients send`)
  }
}

const qosOf = (bits: number): Qos => {
  if (bits === 3) throw malformed('QoS 3')
  return bits as Qos
}
const idOf = (reader: PacketReader): number => {
  const id = reader.two()
  if (id === 0) throw protocolError('packet identifier 0')
  return id
}

const connectFlag = { reserved: 1, clean: 2, will: 4, willQos: 0x18, willRetain: 0x20, password: 0x40, userName: 0x80 }

function readConnect(reader: PacketReader, limits: PacketLimits): Connect {
  const name = reader.text()
  const level = reader.byte()
  const version = versionOf(name, level)
  const flags = reader.byte()
  if ((flags & connectFlag.reserved) !== 0) throw malformed('the reserved flag of CONNECT is set')
  const hasWill = (flags & connectFlag.will) !== 0
  const hasName = (flags & connectFlag.userName) !== 0
  const hasPassword = (flags & connectFlag.password) !== 0
  if (!hasWill && (flags & (connectFlag.willQos | connectFlag.willRetain)) !== 0)
    throw malformed('QoS or retain of a will that is not there')
  if (version !== 5 && hasPassword && !hasName) throw malformed('a password without a user name')
  const keepAliveS = reader.two()
  const properties = version === 5 ? readProperties(reader, 'connect', limits.userProperties) : null
  if (properties?.authenticationData !== undefined && properties.authenticationMethod === undefined)
    throw protocolError('authentication data without a method')
  const clientId = reader.text()
  const will = hasWill ? readWill(flags, reader, version, limits) : null
  const userName = hasName ? reader.text() : null
  const password = hasPassword ? Buffer.from(reader.bytes()) : null
  const clean = (flags & connectFlag.clean) !== 0
  return {
    type: 'connect',
    version,
    clientId,
    clean,
    keepAliveS,
    will,
    userName,
    password,
    properties: own(properties),
  }
}
function versionOf(name: string, level: number): Version {
  if (name === 'MQTT' && (level === 4 || level === 5)) return level
  if (name === 'MQIsdp' && level === 3) return 3
  if (name !== 'MQTT' && name !== 'MQIsdp') throw protocolError('the protocol is not MQTT')
  throw new MqttError(reason.unsupportedVersion, `version ${level} of ${name} is not spoken here; 3.1, 3.1.1 and 5 are`)
}
function readWill(flags: number, reader: PacketReader, version: Version, limits: PacketLimits): Will {
  const qos = qosOf((flags & connectFlag.willQos) >>> 3)
  const properties = version === 5 ? own(readProperties(reader, 'will', limits.userProperties)) : null
  const topic = reader.text()
  const payload = Buffer.from(reader.bytes())
  return { topic, payload, qos, retain: (flags & connectFlag.willRetain) !== 0, properties }
}
/** Bytes of properties that outlive their packet. */
function own(properties: Properties | null): Properties | null {
  if (properties?.correlationData === undefined) return properties
  return { ...properties, correlationData: Buffer.from(properties.correlationData) }
}

export function readPublish(flags: number, reader: PacketReader, version: Version, limits: PacketLimits): Publish {
  const qos = qosOf((flags >>> 1) & 3)
  const isDuplicate = (flags & 8) !== 0
  if (qos === 0 && isDuplicate) throw malformed('DUP with QoS 0')
  const topic = reader.text()
  const id = qos === 0 ? 0 : idOf(reader)
  const properties = version === 5 ? readProperties(reader, 'publish', limits.userProperties) : null
  const payload = reader.rest()
  return { type: 'publish', topic, payload, qos, retain: (flags & 1) !== 0, isDuplicate, id, properties }
}

export function readAck(kind: AckType, reader: PacketReader, version: Version, limits: PacketLimits): Ack {
  const id = idOf(reader)
  if (version !== 5 || reader.left === 0) return { type: kind, id, reason: reason.success }
  const code = reader.byte()
  if (reader.left > 0) readProperties(reader, 'ack', limits.userProperties)
  return { type: kind, id, reason: code }
}

function readSubscribe(reader: PacketReader, version: Version, limits: PacketLimits): Subscribe {
  const id = idOf(reader)
  const properties = version === 5 ? readProperties(reader, 'subscribe', limits.userProperties) : null
  const asked: Asked[] = []
  while (reader.left > 0) {
    if (asked.length >= limits.filters) throw protocolError(`more than ${limits.filters} filters in one request`)
    const filter = reader.text()
    const options = reader.byte()
    if ((options & (version === 5 ? 0xc0 : 0xfc)) !== 0) throw malformed('reserved bits of a subscription are set')
    const retainHandling = (options >>> 4) & 3
    if (retainHandling === 3) throw protocolError('retain handling 3')
    asked.push({
      filter,
      qos: qosOf(options & 3),
      noLocal: (options & 4) !== 0,
      retainAsPublished: (options & 8) !== 0,
      retainHandling,
    })
  }
  if (asked.length === 0) throw protocolError('SUBSCRIBE without a filter')
  return { type: 'subscribe', id, asked, properties }
}

function readUnsubscribe(reader: PacketReader, version: Version, limits: PacketLimits): Unsubscribe {
  const id = idOf(reader)
  if (version === 5) readProperties(reader, 'unsubscribe', limits.userProperties)
  const filters: string[] = []
  while (reader.left > 0) {
    if (filters.length >= limits.filters) throw protocolError(`more than ${limits.filters} filters in one request`)
    filters.push(reader.text())
  }
  if (filters.length === 0) throw protocolError('UNSUBSCRIBE without a filter')
  return { type: 'unsubscribe', id, filters }
}

export function readDisconnect(reader: PacketReader, version: Version, limits: PacketLimits): Disconnect {
  if (version !== 5 || reader.left === 0) return { type: 'disconnect', reason: reason.success, properties: null }
  const code = reader.byte()
  const properties = reader.left > 0 ? readProperties(reader, 'disconnect', limits.userProperties) : null
  return { type: 'disconnect', reason: code, properties }
}

function readAuth(reader: PacketReader, limits: PacketLimits): Auth {
  if (reader.left === 0) return { type: 'auth', reason: reason.success, properties: null }
  const code = reader.byte()
  const properties = reader.left > 0 ? readProperties(reader, 'auth', limits.userProperties) : null
  return { type: 'auth', reason: code, properties }
}

export function writeConnack(
  out: PacketWriter,
  {
    version,
    sessionPresent,
    code,
    properties,
  }: {
    version: Version
    sessionPresent: boolean
    code: Reason
    properties: Properties | null
  },
): void {
  out.byte(packetType.connack << 4)
  out.measured(() => {
    out.byte(sessionPresent ? 1 : 0)
    out.byte(version === 5 ? code : returnCode(code))
    if (version === 5) writeProperties(out, properties)
  })
}
export function writePublish(out: PacketWriter, version: Version, publish: Publish): void {
  const { topic, payload, qos, retain, isDuplicate, id, properties } = publish
  out.byte((packetType.publish << 4) | (isDuplicate ? 8 : 0) | (qos << 1) | (retain ? 1 : 0))
  out.measured(() => {
    out.text(topic)
    if (qos > 0) out.two(id)
    if (version === 5) writeProperties(out, properties)
    out.raw(payload)
  })
}
export function writeAck(
  out: PacketWriter,
  version: Version,
  { type: kind, id, reason: code }: Ack,
  why?: string,
): void {
  out.byte((packetType[kind] << 4) | (kind === 'pubrel' ? 2 : 0))
  if (version !== 5 || (code === reason.success && why === undefined)) {
    out.byte(2)
    return out.two(id)
  }
  out.measured(() => {
    out.two(id)
    out.byte(code)
    if (why !== undefined) writeProperties(out, { reasonString: why })
  })
}
export function writeSuback(out: PacketWriter, version: Version, id: number, codes: readonly number[]): void {
  out.byte(packetType.suback << 4)
  out.measured(() => {
    out.two(id)
    if (version === 5) out.byte(0)
    for (const code of codes) out.byte(version === 5 || code < reason.unspecified ? code : reason.unspecified)
  })
}
export function writeUnsuback(out: PacketWriter, version: Version, id: number, codes: readonly number[]): void {
  out.byte(packetType.unsuback << 4)
  out.measured(() => {
    out.two(id)
    if (version !== 5) return
    out.byte(0)
    for (const code of codes) out.byte(code)
  })
}
export function writePingresp(out: PacketWriter): void {
  out.byte(packetType.pingresp << 4)
  out.byte(0)
}
/** Of version 5 alone, as the next. */
export function writeAuth(out: PacketWriter, code: Reason, properties: Properties): void {
  out.byte(packetType.auth << 4)
  out.measured(() => {
    out.byte(code)
    writeProperties(out, properties)
  })
}
export function writeDisconnect(out: PacketWriter, code: Reason, why: string | null): void {
  out.byte(packetType.disconnect << 4)
  out.measured(() => {
    out.byte(code)
    writeProperties(out, why === null ? null : { reasonString: why })
  })
}
