/** Reason codes of MQTT 5, and what of them MQTT 3.1.1 can say. */
export const reason = {
  success: 0x00,
  disconnectWithWill: 0x04,
  noMatchingSubscribers: 0x10,
  noSubscriptionExisted: 0x11,
  continueAuthentication: 0x18,
  reAuthenticate: 0x19,
  unspecified: 0x80,
  malformedPacket: 0x81,
  protocolError: 0x82,
  implementationSpecific: 0x83,
  unsupportedVersion: 0x84,
  clientIdNotValid: 0x85,
  badUserOrPassword: 0x86,
  notAuthorized: 0x87,
  serverUnavailable: 0x88,
  serverBusy: 0x89,
  serverShuttingDown: 0x8b,
  badAuthenticationMethod: 0x8c,
  keepAliveTimeout: 0x8d,
  sessionTakenOver: 0x8e,
  topicFilterInvalid: 0x8f,
  topicNameInvalid: 0x90,
  packetIdInUse: 0x91,
  packetIdNotFound: 0x92,
  receiveMaximumExceeded: 0x93,
  topicAliasInvalid: 0x94,
  packetTooLarge: 0x95,
  quotaExceeded: 0x97,
  administrativeAction: 0x98,
  payloadFormatInvalid: 0x99,
  maximumConnectTime: 0xa0,
} as const
export type Reason = (typeof reason)[keyof typeof reason]

/** What a client sent cannot be served. `message` is what it is told, where its version has words for it. */
export class MqttError extends Error {
  readonly reason: Reason
  constructor(code: Reason, what: string) {
    super(what)
    this.reason = code
  }
}
export const malformed = (what: string): MqttError => new MqttError(reason.malformedPacket, what)
export const protocolError = (what: string): MqttError => new MqttError(reason.protocolError, what)

/** CONNACK's return codes of 3.1.1. */
export function returnCode(code: Reason): number {
  switch (code) {
    case reason.success:
      return 0
    case reason.unsupportedVersion:
      return 1
    case reason.clientIdNotValid:
      return 2
    case reason.badUserOrPassword:
    case reason.badAuthenticationMethod:
      return 4
    case reason.notAuthorized:
      return 5
    default:
      return 3
  }
}
