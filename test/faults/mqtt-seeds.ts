/** MQTT packets as clients send them, and the same made wrong. */
import { type Packet, generate } from 'mqtt-packet'
import { mutate } from './mutate.ts'

export type MqttVersion = 4 | 5
export interface MqttSeed {
  readonly version: MqttVersion
  readonly bytes: Buffer
}
const id = { messageId: 7 }
const plain = { dup: false, retain: false }
const userProperties = { a: ['1', '2'], b: 'c' }

/** Of version 4 the properties are left out by the generator. */
function packets(topic: string): Packet[] {
  const payload = Buffer.from('{"a":1}')
  return [
    { cmd: 'publish', topic, payload, qos: 0, ...plain },
    { cmd: 'publish', topic, payload, qos: 1, ...id, ...plain, retain: true },
    {
      cmd: 'publish',
      topic,
      payload,
      qos: 2,
      ...id,
      ...plain,
      properties: {
        payloadFormatIndicator: true,
        messageExpiryInterval: 30,
        topicAlias: 3,
        responseTopic: 'answers',
        correlationData: Buffer.from('x'),
        contentType: 'text/plain',
        userProperties,
      },
    },
    { cmd: 'puback', ...id, reasonCode: 0, properties: { reasonString: 'why', userProperties } },
    { cmd: 'pubrec', ...id, reasonCode: 16 },
    { cmd: 'pubrel', ...id, reasonCode: 0 },
    { cmd: 'pubcomp', ...id, reasonCode: 0 },
    {
      cmd: 'subscribe',
      ...id,
      subscriptions: [
        { topic: `${topic}/#`, qos: 2, nl: true, rap: true, rh: 1 },
        { topic: '$share/g/+/x', qos: 1 },
      ],
      properties: { subscriptionIdentifier: 9, userProperties },
    },
    { cmd: 'unsubscribe', ...id, unsubscriptions: [`${topic}/#`, 'other'], properties: { userProperties } },
    { cmd: 'pingreq' },
    { cmd: 'disconnect', reasonCode: 4, properties: { sessionExpiryInterval: 5, reasonString: 'bye' } },
  ]
}
const auth: Packet = {
  cmd: 'auth',
  reasonCode: 0x19,
  properties: { authenticationMethod: 'SCRAM-SHA-256', authenticationData: Buffer.from('n,,n=a,r=b'), userProperties },
}
export function connectPacket(version: MqttVersion, clientId: string): Buffer {
  const will = { topic: 'wills/x', payload: Buffer.from('gone'), qos: 1 as const, retain: true }
  return generate({
    cmd: 'connect',
    protocolId: 'MQTT',
    protocolVersion: version,
    clean: clientId.length % 2 === 0,
    clientId,
    keepalive: 30,
    username: 'user',
    password: Buffer.from('secret'),
    will: version === 5 ? { ...will, properties: { willDelayInterval: 1, userProperties } } : will,
    ...(version === 5
      ? {
          properties: {
            sessionExpiryInterval: 2,
            receiveMaximum: 5,
            topicAliasMaximum: 4,
            maximumPacketSize: 500,
            userProperties,
          },
        }
      : {}),
  })
}
export const mqttSeeds = (): readonly MqttSeed[] =>
  ([4, 5] as const).flatMap((version) =>
    ['fuzz/a', 'fuzz/b/c', '$odd'].flatMap((topic) =>
      [...packets(topic), ...(version === 5 ? [auth] : [])].map((packet) => ({
        version,
        bytes: generate(packet, { protocolVersion: version }),
      })),
    ),
  )

/** `mutate` spares the head of a Kafka frame: so much is put before the packet, and taken away again. */
const head = Buffer.alloc(12)
export function wrong(bytes: Buffer, other: Buffer, random: () => number): Buffer {
  const changed = mutate(Buffer.concat([head, bytes]), Buffer.concat([head, other]), random).subarray(head.length)
  if (changed.length < 2 || random() < 0.2) return changed
  // Nine in ten get a right length again, or hardly any would be looked at behind its header.
  const from = 1 + Math.min(4, lengthBytes(changed))
  const body = changed.subarray(from)
  const length: number[] = []
  let rest = body.length
  for (; rest > 0x7f; rest >>>= 7) length.push((rest & 0x7f) | 0x80)
  return Buffer.concat([Buffer.from([changed[0]!, ...length, rest]), body])
}
function lengthBytes(packet: Buffer): number {
  let count = 1
  while (count < 4 && count < packet.length && packet[count]! >= 0x80) count++
  return count
}
