/** What `$management` says of a hub and of its partitions. */
import { type Entries, arrayOf, bool, int, long, mapOf, text, timestamp } from '../../wire/amqp/values.ts'
import { partitionOf } from './address.ts'
import { Refused, condition } from './conditions.ts'
import type { Connection } from './connection.ts'
import { type Answer, type Request, applicationText } from './request.ts'
import { tokenTypeIn } from './tokens.ts'

/** `hub`: of the link's own address. Throws Refused, Fault. */
export async function answerManagement(connection: Connection, request: Request, hub: string | null): Promise<Answer> {
  const operation = applicationText(request, 'operation')
  if (operation?.toUpperCase() !== 'READ')
    throw new Refused(
      condition.notImplemented,
      `The operation of $management is READ, not '${String(operation).slice(0, 100)}'.`,
    )
  const name = applicationText(request, 'name') ?? hub
  if (name === null) throw new Refused(condition.argument, 'The name of the event hub is missing.')
  const { hubs } = connection
  // A request may bring its own token: Microsoft's Java client puts none before it asks.
  const token = applicationText(request, 'security_token')
  const subject =
    token === null
      ? connection.subjectForHub(name)
      : connection.subjectOf(await hubs.tokens.check(tokenTypeIn(token), token, name))
  hubs.allow(subject, 'describe', 'topic', name)
  const topic = hubs.topic(name)
  const ok = (entries: Entries): Answer => ({ status: 200, description: 'OK', body: mapOf(entries) })
  switch (applicationText(request, 'type')) {
    case 'com.microsoft:eventhub':
      return ok([
        [text('name'), text(topic.name)],
        [text('type'), text('com.microsoft:eventhub')],
        [text('created_at'), timestamp(topic.createdMs ?? hubs.startedMs)],
        [text('partition_count'), int(topic.partitions)],
        [
          text('partition_ids'),
          arrayOf(
            'string',
            Array.from({ length: topic.partitions }, (_, i) => text(String(i))),
          ),
        ],
        [text('georeplication_factor'), int(1)],
      ])
    case 'com.microsoft:partition': {
      const given = applicationText(request, 'partition') ?? ''
      const index = partitionOf(given, topic.partitions)
      const { start, lastSequence, lastTimeMs } = await hubs.facts(topic, index)
      return ok([
        [text('name'), text(topic.name)],
        [text('type'), text('com.microsoft:partition')],
        [text('partition'), text(String(index))],
        [text('begin_sequence_number'), long(start)],
        [text('last_enqueued_sequence_number'), long(lastSequence)],
        [text('last_enqueued_offset'), text(String(lastSequence))],
        [text('last_enqueued_time_utc'), timestamp(lastTimeMs)],
        [text('is_partition_empty'), bool(lastSequence < 0)],
      ])
    }
    default:
      throw new Refused(condition.argument, 'The type is com.microsoft:eventhub or com.microsoft:partition.')
  }
}
