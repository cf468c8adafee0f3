/** An MQTT broker: its messages into topics of ours, and records of ours as its messages. */
import type { Address } from '../../lib/world.ts'
import { isFilter } from '../../wire/mqtt/topics.ts'
import type { Kind } from '../kind.ts'
import { type Field, type Settings, wrong } from '../settings.ts'

const brokerFields: readonly Field[] = [
  { name: 'url', type: 'text', required: true, about: '`mqtt://HOST:1883`, or `mqtts://HOST:8883` over TLS' },
  { name: 'version', type: ['5', '3.1.1'], default: '5', about: 'of the protocol' },
  { name: 'client.id', type: 'text', about: 'who it is to the broker; made up from the connector unless given' },
  { name: 'username', type: 'text', about: 'the name to log in with' },
  { name: 'password', type: 'text', secret: true, about: 'its password' },
  { name: 'tls.ca', type: 'file', about: 'a file with the authorities that may vouch for the broker (PEM)' },
  { name: 'tls.cert', type: 'file', about: 'a file with a certificate of our own (PEM)' },
  { name: 'tls.key', type: 'file', about: 'the file with its key (PEM)' },
  { name: 'keep.alive', type: 'duration', default: '60s', about: 'a connection that is silent for longer is dead' },
]

export const mqtt: Kind = {
  name: 'mqtt',
  about: 'An MQTT broker, 3.1.1 or 5.',
  source: {
    fields: [
      ...brokerFields,
      {
        name: 'topics',
        type: 'list',
        required: true,
        about: 'topic filters to subscribe to, as `sensors/+/temperature`',
      },
      {
        name: 'into',
        type: 'text',
        default: 'mqtt.{1}',
        about: 'the topic here; {1} … {9} stand for levels of the MQTT topic, {topic} for all of it',
      },
      { name: 'partitions', type: 'count', default: '1', about: 'of topics that it makes here' },
      {
        name: 'qos',
        type: ['1', '2'],
        default: '1',
        about: 'that it subscribes with; 2: what is sent with QoS 2 comes exactly once, at the cost of a second commit',
      },
      {
        name: 'session.expiry',
        type: 'duration',
        default: '7d',
        about: 'how long a broker of version 5 keeps messages for it while it is away',
      },
      { name: 'in.flight', type: 'count', default: '1000', about: 'messages that wait at once for being durable here' },
    ],
    check(settings) {
      checkBroker(settings)
      const filters = settings.list('topics')
      if (filters.length === 0) throw wrong('topics', 'names none')
      for (const filter of filters) if (!isFilter(filter)) throw wrong('topics', `${filter} is no topic filter`)
      within(settings, 'partitions', 1, 1_000)
      within(settings, 'in.flight', 1, 65_535)
    },
    open: async (host, settings) => (await import('./source.ts')).openSource(host, settings),
  },
  sink: {
    fields: [
      ...brokerFields,
      {
        name: 'into',
        type: 'text',
        default: '{key}',
        about:
          'the MQTT topic; {key} stands for the key of the record (without one: the topic), {topic} for the topic here',
      },
      {
        name: 'retain',
        type: ['as-sent', 'always', 'never'],
        default: 'as-sent',
        about:
          'whether the broker keeps it as the newest of its topic; as-sent: where the header `mqtt-retain` says so',
      },
      { name: 'in.flight', type: 'count', default: '1000', about: 'messages that wait at once for the broker' },
    ],
    check(settings) {
      checkBroker(settings)
      if (settings.text('into') === '') throw wrong('into', 'is empty')
      within(settings, 'in.flight', 1, 65_535)
    },
    open: async (host, settings) => (await import('./sink.ts')).openSink(host, settings),
  },
}

function within(settings: Settings, name: string, least: number, most: number): void {
  const value = settings.count(name)!
  if (value < least || value > most) throw wrong(name, `is a number from ${least} to ${most}`)
}
function checkBroker(settings: Settings): void {
  const { isEncrypted } = brokerOf(settings)
  for (const name of ['tls.ca', 'tls.cert', 'tls.key'])
    if (settings.has(name) && !isEncrypted) throw wrong(name, 'has no meaning without mqtts://')
  if (settings.has('tls.cert') !== settings.has('tls.key'))
    throw wrong('tls.cert', 'a certificate and its key go together')
  if (settings.has('password') && !settings.has('username')) throw wrong('username', 'is missing')
  const keepAliveMs = settings.duration('keep.alive')!
  if (keepAliveMs < 1_000 || keepAliveMs > 65_535_000) throw wrong('keep.alive', 'is 1s at least, and 18h at most')
  if (Buffer.byteLength(settings.text('client.id') ?? '') > 1_000) throw wrong('client.id', 'is too long')
}
/** Throws Fault connect.invalid-setting. */
export function brokerOf(settings: Settings): { readonly at: Address; readonly isEncrypted: boolean } {
  const text = settings.text('url')!
  const [, scheme, bracketed, bare, port] =
    /^(mqtts?):\/\/(?:\[([^\]]+)\]|([^:[\]/@]+))(?::(\d{1,5}))?\/?$/.exec(text) ?? []
  const host = bracketed ?? bare
  const isEncrypted = scheme === 'mqtts'
  const number = Number(port ?? (isEncrypted ? 8883 : 1883))
  if (host === undefined || number < 1 || number > 65_535)
    throw wrong('url', 'is mqtt://HOST:PORT or mqtts://HOST:PORT; a name and password are settings of their own')
  return { at: { host, port: number }, isEncrypted }
}
