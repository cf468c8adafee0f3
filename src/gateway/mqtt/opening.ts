/** What CONNECT says, and what CONNACK answers. */
import { limits } from '../../lib/limits.ts'
import type { Connect, Version } from '../../wire/mqtt/packets.ts'
import type { Properties } from '../../wire/mqtt/properties.ts'
import { MqttError, reason } from '../../wire/mqtt/reason.ts'

/** Before it is looked at whole. */
export function saidVersion(buffer: Buffer, from: number): Version {
  const level = buffer[from + 2 + ((buffer[from] ?? 0) << 8) + (buffer[from + 1] ?? 0)]
  return level === 5 ? 5 : 4
}
/** null: it wants to be given one. Throws MqttError. */
export function clientIdOf({ clientId, version, clean }: Connect): string | null {
  if (clientId !== '') return clientId
  if (version === 3 || (version === 4 && !clean))
    throw new MqttError(reason.clientIdNotValid, 'a session that is to be kept needs a client identifier')
  return null
}
/** Only version 5 can be told of another one. */
export function keepAliveOf({ version, keepAliveS }: Connect, most: number): number {
  const isTooSeldom = most > 0 && (keepAliveS === 0 || keepAliveS > most)
  return version === 5 && isTooSeldom ? most : keepAliveS
}
export function connackProperties(
  connect: Connect,
  { clientId, keepAliveS, expiryMaxS }: { clientId: string; keepAliveS: number; expiryMaxS: number },
): Properties {
  const isCut = (connect.properties?.sessionExpiryS ?? 0) > expiryMaxS
  return {
    receiveMaximum: limits.mqttReceiveMaximum,
    maximumPacketBytes: limits.mqttPacketBytes,
    topicAliasMaximum: limits.mqttTopicAliases,
    ...(connect.clientId === '' ? { assignedClientId: clientId } : {}),
    ...(keepAliveS === connect.keepAliveS ? {} : { serverKeepAliveS: keepAliveS }),
    ...(isCut ? { sessionExpiryS: expiryMaxS } : {}),
  }
}
