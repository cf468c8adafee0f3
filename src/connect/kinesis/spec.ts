/** Amazon Kinesis Data Streams, or what speaks its protocol: a stream into a topic of ours, topics of ours into a stream. */
import type { Kind } from '../kind.ts'
import { type Field, type Settings, wrong } from '../settings.ts'
import { checkInto } from '../topic-names.ts'

const accountFields: readonly Field[] = [
  { name: 'region', type: 'text', required: true, about: 'as `eu-central-1`' },
  { name: 'endpoint', type: 'text', about: 'another address than that of the region, as `http://127.0.0.1:4567`' },
  {
    name: 'access.key.id',
    type: 'text',
    about: 'the id of the key; the AWS SDK looks where it always does unless given',
  },
  { name: 'secret.access.key', type: 'text', secret: true, about: 'the secret of the key' },
  { name: 'session.token', type: 'text', secret: true, about: 'of temporary keys' },
]

export const kinesis: Kind = {
  name: 'kinesis',
  about: 'Amazon Kinesis Data Streams, by the package `@aws-sdk/client-kinesis`.',
  source: {
    fields: [
      { name: 'stream', type: 'text', required: true, about: 'the stream to take in' },
      ...accountFields,
      {
        name: 'into',
        type: 'text',
        default: '{topic}',
        about: 'the topic here; {topic} stands for the name of the stream',
      },
      { name: 'partitions', type: 'count', default: '1', about: 'of the topic, where it makes it' },
      {
        name: 'start',
        type: ['earliest', 'latest'],
        default: 'earliest',
        about: 'where it begins in shards that are there when it first runs; later ones are read from their start',
      },
      { name: 'poll', type: 'duration', default: '1s', about: 'how often it asks a shard that has nothing new' },
      { name: 'refresh', type: 'duration', default: '30s', about: 'how often it looks for new shards' },
    ],
    check(settings) {
      checkAccount(settings)
      checkInto(settings)
      const partitions = settings.count('partitions')!
      if (partitions < 1 || partitions > 1_000) throw wrong('partitions', 'is a number from 1 to 1000')
      for (const name of ['poll', 'refresh']) if (settings.duration(name)! < 100) throw wrong(name, 'is 100ms at least')
    },
    open: async (host, settings) => (await import('./source.ts')).openSource(host, settings),
  },
  sink: {
    fields: [
      {
        name: 'stream',
        type: 'text',
        default: '{topic}',
        about: 'the stream; {topic} stands for the name of the topic here',
      },
      ...accountFields,
      {
        name: 'ordering',
        type: ['key', 'none'],
        default: 'key',
        about:
          'key: no key twice in a request, so that what the service puts off does not come after later ones; none: as many as fit, which lets more through where few keys have many records',
      },
    ],
    check: checkAccount,
    open: async (host, settings) => (await import('./sink.ts')).openSink(host, settings),
  },
}

function checkAccount(settings: Settings): void {
  if (settings.has('access.key.id') !== settings.has('secret.access.key'))
    throw wrong('access.key.id', 'goes together with secret.access.key')
  if (settings.has('session.token') && !settings.has('access.key.id'))
    throw wrong('session.token', 'goes together with access.key.id')
  const endpoint = settings.text('endpoint')
  if (endpoint !== null && !/^https?:\/\/[^/]+\/?$/.test(endpoint)) throw wrong('endpoint', 'is http(s)://HOST:PORT')
}
