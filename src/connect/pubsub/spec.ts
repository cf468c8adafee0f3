/** Google Cloud Pub/Sub, or what speaks its protocol: a subscription into a topic of ours, topics of ours into a topic. */
import type { Kind } from '../kind.ts'
import { type Field, type Settings, wrong } from '../settings.ts'
import { checkInto } from '../topic-names.ts'

const accountFields: readonly Field[] = [
  { name: 'project', type: 'text', required: true, about: 'the id of the project' },
  { name: 'endpoint', type: 'text', about: 'another address than that of Google, HOST:PORT' },
  {
    name: 'plaintext',
    type: 'truth',
    default: 'false',
    about: 'without TLS and credentials, as emulators and Millrace listen',
  },
  {
    name: 'credentials',
    type: 'text',
    secret: true,
    about: 'the JSON of a service account; the library looks where it always does unless given',
  },
]
const inFlight = (about: string): Field => ({ name: 'in.flight', type: 'count', default: '1000', about })

export const pubsub: Kind = {
  name: 'pubsub',
  about: 'Google Cloud Pub/Sub, by the package `@google-cloud/pubsub`.',
  source: {
    fields: [
      { name: 'subscription', type: 'text', required: true, about: 'the subscription to take from; it must be there' },
      ...accountFields,
      {
        name: 'into',
        type: 'text',
        default: '{topic}',
        about: 'the topic here; {topic} stands for the name of the subscription',
      },
      { name: 'partitions', type: 'count', default: '1', about: 'of the topic, where it makes it' },
      inFlight('messages that wait at once for being durable here'),
    ],
    check(settings) {
      checkAccount(settings)
      checkInto(settings)
      const partitions = settings.count('partitions')!
      if (partitions < 1 || partitions > 1_000) throw wrong('partitions', 'is a number from 1 to 1000')
    },
    open: async (host, settings) => (await import('./source.ts')).openSource(host, settings),
  },
  sink: {
    fields: [
      {
        name: 'into',
        type: 'text',
        default: '{topic}',
        about: 'the topic there, which must be there; {topic} stands for its name here',
      },
      ...accountFields,
      {
        name: 'ordering',
        type: ['key', 'none'],
        default: 'key',
        about: 'key: the key is the ordering key; none: it is not, which lets more through',
      },
      inFlight('messages that wait at once for the service'),
    ],
    check: checkAccount,
    open: async (host, settings) => (await import('./sink.ts')).openSink(host, settings),
  },
}

function checkAccount(settings: Settings): void {
  const most = settings.count('in.flight')!
  if (most < 1 || most > 100_000) throw wrong('in.flight', 'is a number from 1 to 100000')
  const endpoint = settings.text('endpoint')
  if (endpoint !== null && !/^[^/:]+:\d{1,5}$/.test(endpoint)) throw wrong('endpoint', 'is HOST:PORT')
  if (!settings.truth('plaintext')) return
  if (endpoint === null) throw wrong('plaintext', 'has no meaning without endpoint')
  if (settings.has('credentials')) throw wrong('credentials', 'would be sent as they are: leave plaintext out')
}
