/** Another Kafka cluster, or another Millrace: topics into ours and ours into its. */
import type { Address } from '../../lib/world.ts'
import type { SaslMechanism } from '../../log/cluster/settings.ts'
import { matching } from '../definition.ts'
import type { Kind } from '../kind.ts'
import { type Field, type Settings, wrong } from '../settings.ts'
import { checkInto } from '../topic-names.ts'

const mechanisms: readonly SaslMechanism[] = ['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512']

const clusterFields: readonly Field[] = [
  { name: 'brokers', type: 'list', required: true, about: 'HOST:PORT of some of its brokers' },
  { name: 'tls', type: 'truth', default: 'false', about: "TLS, by the system's authorities unless `tls.ca` is given" },
  { name: 'tls.ca', type: 'file', about: 'a file with the authorities that may vouch for the brokers (PEM)' },
  { name: 'tls.cert', type: 'file', about: 'a file with a certificate of our own (PEM)' },
  { name: 'tls.key', type: 'file', about: 'the file with its key (PEM)' },
  { name: 'sasl.mechanism', type: mechanisms, about: 'how to log in; PLAIN only over TLS' },
  { name: 'username', type: 'text', about: 'the name to log in with' },
  { name: 'password', type: 'text', secret: true, about: 'its password' },
]
const partitionsField: Field = {
  name: 'partitions',
  type: ['keep', 'key'],
  default: 'keep',
  about: 'keep: the partition that it had; key: the one of its key, as Kafka’s Java client chooses',
}

export const kafka: Kind = {
  name: 'kafka',
  about: 'Another Kafka cluster (3.0 or later), or another Millrace.',
  source: {
    fields: [
      ...clusterFields,
      { name: 'topics', type: 'list', about: 'topics to take in; they may come later' },
      { name: 'topics.pattern', type: 'text', about: 'or those whose whole names match this regular expression (RE2)' },
      { name: 'into', type: 'text', default: '{topic}', about: 'the topic here; {topic} stands for its name there' },
      partitionsField,
      {
        name: 'start',
        type: ['earliest', 'latest'],
        default: 'earliest',
        about: 'where it begins in partitions that are there when it first runs; later ones are read from their start',
      },
      { name: 'refresh', type: 'duration', default: '10s', about: 'how often it looks for new topics and partitions' },
    ],
    check(settings) {
      checkCluster(settings)
      checkInto(settings)
      const pattern = settings.text('topics.pattern')
      if ((pattern === null) === (settings.list('topics').length === 0))
        throw wrong('topics', 'either topics or topics.pattern is given')
      if (pattern !== null) matching('topics.pattern', pattern)
      if (settings.duration('refresh')! < 100) throw wrong('refresh', 'is 100ms at least')
    },
    open: async (host, settings) => (await import('./source.ts')).openSource(host, settings),
  },
  sink: {
    fields: [
      ...clusterFields,
      { name: 'into', type: 'text', default: '{topic}', about: 'the topic there; {topic} stands for its name here' },
      partitionsField,
      {
        name: 'delivery',
        type: ['exactly-once', 'at-least-once'],
        default: 'exactly-once',
        about: 'exactly-once writes in transactions (Kafka 4.0 or later), with the position beside the records',
      },
      {
        name: 'positions.topic',
        type: 'text',
        default: 'millrace-connect-positions',
        about: 'of exactly-once: the compacted topic over there that holds the positions',
      },
    ],
    check(settings) {
      checkCluster(settings)
      checkInto(settings)
    },
    open: async (host, settings) => (await import('./sink.ts')).openSink(host, settings),
  },
}

function checkCluster(settings: Settings): void {
  brokersOf(settings)
  const mechanism = settings.text('sasl.mechanism')
  const isEncrypted = settings.truth('tls') || settings.has('tls.ca') || settings.has('tls.cert')
  if (settings.has('tls.cert') !== settings.has('tls.key'))
    throw wrong('tls.cert', 'a certificate and its key go together')
  if (mechanism === 'PLAIN' && !isEncrypted)
    throw wrong('sasl.mechanism', 'PLAIN sends the password as it is: use TLS with it, or SCRAM')
  for (const name of ['username', 'password'])
    if (settings.has(name) !== (mechanism !== null))
      throw wrong(name, mechanism === null ? 'has no meaning without sasl.mechanism' : 'is missing')
}
/** Throws Fault connect.invalid-setting. */
export function brokersOf(settings: Settings): readonly Address[] {
  const brokers = settings.list('brokers').map((text): Address => {
    const [, bracketed, bare, port] = /^(?:\[([^\]]+)\]|([^:[\]]+)):(\d{1,5})$/.exec(text) ?? []
    const host = bracketed ?? bare
    if (host === undefined || Number(port) < 1 || Number(port) > 65_535)
      throw wrong('brokers', `${text.slice(0, 100)} is not HOST:PORT`)
    return { host, port: Number(port) }
  })
  if (brokers.length === 0) throw wrong('brokers', 'names none')
  return brokers
}
