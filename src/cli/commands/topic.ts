import type { TopicDetail, TopicSummary } from '../../gateway/http/api.ts'
import { call, json } from '../client.ts'
import { type Command, topicNames, usageError } from '../command.ts'
import { printOne, printRows } from '../output.ts'

const path = (topic: string): string => `/v1/topics/${encodeURIComponent(topic)}`

function settings(pairs: readonly string[] | undefined): Record<string, string> {
  const config: Record<string, string> = {}
  for (const pair of pairs ?? []) {
    const at = pair.indexOf('=')
    if (at < 1) throw usageError(`--config ${pair}: expected NAME=VALUE`)
    config[pair.slice(0, at)] = pair.slice(at + 1)
  }
  return config
}

export const topicCommands: readonly Command[] = [
  {
    path: ['topic', 'list'],
    summary: 'topics with their size and rate',
    options: [{ name: 'internal', summary: 'also those that Millrace keeps for itself' }],
    examples: ['millrace topic list'],
    async run(on) {
      const topics = await json<TopicSummary[]>(on, {
        path: `/v1/topics${on.options.on('internal') ? '?internal=true' : ''}`,
      })
      const columns = ['name', 'partitions', 'records', 'bytes', 'recordsPerSecond', 'cleanupPolicy', 'hasSchema']
      printRows(on.output, topics as unknown as Record<string, unknown>[], columns)
    },
  },
  {
    path: ['topic', 'show'],
    summary: 'one topic: partitions, settings, schema',
    args: [{ name: 'topic', known: topicNames }],
    examples: ['millrace topic show purchases'],
    async run(on) {
      printOne(on.output, { ...(await json<TopicDetail>(on, { path: path(on.args['topic']!) })) })
    },
  },
  {
    path: ['topic', 'create'],
    summary: 'create a topic',
    args: [{ name: 'topic' }],
    options: [
      { name: 'partitions', value: 'N', summary: 'default 1' },
      { name: 'config', value: 'NAME=VALUE', repeatable: true, summary: 'a setting of the topic' },
    ],
    examples: ['millrace topic create purchases --partitions 6 --config retention.ms=604800000'],
    async run(on) {
      const partitions = on.options.text('partitions')
      if (partitions !== undefined && !/^\d+$/.test(partitions))
        throw usageError(`--partitions ${partitions}: a whole number`)
      // If-None-Match: an existing topic is a conflict, not a change.
      const created = await json<TopicDetail>(on, {
        method: 'PUT',
        path: path(on.args['topic']!),
        headers: { 'if-none-match': '*' },
        body: {
          ...(partitions === undefined ? {} : { partitions: Number(partitions) }),
          config: settings(on.options.list('config')),
        },
      })
      printOne(on.output, { name: created.name, id: created.id, partitions: created.partitions })
    },
  },
  {
    path: ['topic', 'alter'],
    summary: 'add partitions, change settings',
    args: [{ name: 'topic', known: topicNames }],
    options: [
      { name: 'partitions', value: 'N', summary: 'the new count; never fewer' },
      {
        name: 'config',
        value: 'NAME=VALUE',
        repeatable: true,
        summary: 'a setting; an empty value takes the default back',
      },
    ],
    examples: ['millrace topic alter purchases --config retention.ms=-1'],
    async run(on) {
      const partitions = on.options.text('partitions')
      const config = Object.fromEntries(
        Object.entries(settings(on.options.list('config'))).map(([name, value]) => [name, value === '' ? null : value]),
      )
      const changed = await json<TopicDetail>(on, {
        method: 'PATCH',
        path: path(on.args['topic']!),
        body: { ...(partitions === undefined ? {} : { partitions: Number(partitions) }), config },
      })
      printOne(on.output, { name: changed.name, partitions: changed.partitions, config: changed.config })
    },
  },
  {
    path: ['topic', 'delete'],
    summary: 'delete a topic and its records',
    args: [{ name: 'topic', known: topicNames }],
    options: [{ name: 'yes', short: 'y', summary: 'do it without asking' }],
    examples: ['millrace topic delete scratch --yes'],
    async run(on) {
      if (!on.options.on('yes')) throw usageError(`this deletes every record of ${on.args['topic']}; say --yes`)
      await call(on, { method: 'DELETE', path: path(on.args['topic']!) })
      printOne(on.output, { deleted: on.args['topic'] })
    },
  },
]
