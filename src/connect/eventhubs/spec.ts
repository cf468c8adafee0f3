/** Azure Event Hubs, or what speaks its protocol: a hub into a topic of ours, topics of ours into a hub. */
import type { Kind } from '../kind.ts'
import { type Field, type Settings, wrong } from '../settings.ts'
import { checkInto } from '../topic-names.ts'

const connectionField: Field = {
  name: 'connection.string',
  type: 'text',
  secret: true,
  required: true,
  about: 'as Azure gives it: `Endpoint=sb://…;SharedAccessKeyName=…;SharedAccessKey=…`',
}

export const eventhubs: Kind = {
  name: 'eventhubs',
  about: 'Azure Event Hubs, by the package `@azure/event-hubs`.',
  source: {
    fields: [
      { name: 'hub', type: 'text', required: true, about: 'the event hub to take in' },
      connectionField,
      { name: 'consumer.group', type: 'text', default: '$Default', about: 'whose readers it is one of' },
      {
        name: 'into',
        type: 'text',
        default: '{topic}',
        about: 'the topic here; {topic} stands for the name of the hub',
      },
      {
        name: 'partitions',
        type: ['keep', 'key'],
        default: 'keep',
        about: 'keep: the partition that it had; key: the one of its key',
      },
      {
        name: 'start',
        type: ['earliest', 'latest'],
        default: 'earliest',
        about: 'where it begins when it first runs',
      },
    ],
    check(settings) {
      checkConnection(settings)
      checkInto(settings)
    },
    open: async (host, settings) => (await import('./source.ts')).openSource(host, settings),
  },
  sink: {
    fields: [
      {
        name: 'hub',
        type: 'text',
        default: '{topic}',
        about: 'the event hub, which must be there; {topic} stands for the topic here',
      },
      connectionField,
      {
        name: 'partitions',
        type: ['key', 'keep'],
        default: 'key',
        about: 'key: the key is the partition key; keep: the partition that it has here, modulo theirs, without a key',
      },
    ],
    check: checkConnection,
    open: async (host, settings) => (await import('./sink.ts')).openSink(host, settings),
  },
}

function checkConnection(settings: Settings): void {
  // A file may come later than the definition.
  if (!settings.isGiven('connection.string')) return
  const text = settings.text('connection.string')!
  if (!/(^|;)\s*Endpoint=sb:\/\//i.test(text)) throw wrong('connection.string', 'has no Endpoint=sb://…')
}
