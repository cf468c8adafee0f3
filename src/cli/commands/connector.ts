import type { ConnectorJson } from '../../gateway/http/api.ts'
import { call, json } from '../client.ts'
import { type Call, type Command, type NameList, type Option, usageError } from '../command.ts'
import { printOne, printRows } from '../output.ts'

const all = '/v1/connectors'
const path = (connector: string): string => `${all}/${encodeURIComponent(connector)}`
const known: NameList = { path: all, field: 'name' }
const connector = { name: 'connector', known }
const set: Option = {
  name: 'set',
  value: 'NAME=VALUE',
  repeatable: true,
  summary: 'a setting; a secret is better given as password.file=FILE, a file of the server',
}

function settings(pairs: readonly string[] | undefined): Record<string, string> {
  const read: Record<string, string> = {}
  for (const pair of pairs ?? []) {
    const at = pair.indexOf('=')
    if (at < 1) throw usageError(`--set ${pair}: expected NAME=VALUE`)
    read[pair.slice(0, at)] = pair.slice(at + 1)
  }
  return read
}
function shown({ fault, settings: given, ...one }: ConnectorJson): Record<string, unknown> {
  return {
    ...one,
    fault: fault === null ? null : `${fault.code}: ${fault.detail}`,
    hint: fault?.hint ?? null,
    ...given,
  }
}
async function change(on: Call, body: object): Promise<void> {
  const changed = await json<ConnectorJson>(on, { method: 'PATCH', path: path(on.args['connector']!), body })
  printOne(on.output, { name: changed.name, status: changed.status })
}

export const connectorCommands: readonly Command[] = [
  {
    path: ['connector', 'list'],
    summary: 'sources and sinks, and how they fare',
    examples: ['millrace connector list'],
    async run(on) {
      const connectors = await json<ConnectorJson[]>(on, { path: all })
      const rows = connectors.map(({ fault, ...one }) => ({ ...one, fault: fault?.detail ?? null }))
      printRows(on.output, rows, ['name', 'direction', 'kind', 'status', 'lag', 'records', 'refused', 'fault'])
    },
  },
  {
    path: ['connector', 'show'],
    summary: 'one connector: status, last fault, lag, counts, settings without secrets',
    args: [connector],
    examples: ['millrace connector show west'],
    async run(on) {
      printOne(on.output, shown(await json<ConnectorJson>(on, { path: path(on.args['connector']!) })))
    },
  },
  {
    path: ['connector', 'create'],
    summary: 'create a connector; docs/connect.md has the settings of each kind',
    args: [{ name: 'connector' }],
    options: [
      { name: 'source', value: 'KIND', summary: 'it takes in from a system of that kind' },
      { name: 'sink', value: 'KIND', summary: 'it carries out to a system of that kind' },
      set,
    ],
    examples: [
      'millrace connector create west --source kafka --set brokers=kafka-1:9092 --set topics=orders --set into=west.{topic}',
      'millrace connector create out --sink kafka --set brokers=kafka-1:9092 --set topics=totals',
    ],
    async run(on) {
      const [source, sink] = [on.options.text('source'), on.options.text('sink')]
      if ((source === undefined) === (sink === undefined)) throw usageError('say either --source KIND or --sink KIND')
      const body = {
        kind: source ?? sink,
        direction: source === undefined ? 'sink' : 'source',
        settings: settings(on.options.list('set')),
      }
      const made = await json<ConnectorJson>(on, { method: 'PUT', path: path(on.args['connector']!), body })
      printOne(on.output, { name: made.name, status: made.status })
    },
  },
  {
    path: ['connector', 'alter'],
    summary: 'change settings; it goes on where it was',
    args: [connector],
    options: [{ ...set, summary: 'a setting; an empty value takes the default back' }],
    examples: ['millrace connector alter west --set topics=orders,returns'],
    async run(on) {
      const pairs = Object.entries(settings(on.options.list('set')))
      if (pairs.length === 0) throw usageError('--set is missing')
      await change(on, {
        settings: Object.fromEntries(pairs.map(([name, value]) => [name, value === '' ? null : value])),
      })
    },
  },
  {
    path: ['connector', 'pause'],
    summary: 'hold a connector; it keeps its place',
    args: [connector],
    examples: ['millrace connector pause west'],
    run: (on) => change(on, { paused: true }),
  },
  {
    path: ['connector', 'resume'],
    summary: 'let a connector go on, also one that has failed',
    args: [connector],
    examples: ['millrace connector resume west'],
    run: (on) => change(on, { paused: false }),
  },
  {
    path: ['connector', 'delete'],
    summary: 'delete a connector and its place; what it has carried over stays',
    args: [connector],
    examples: ['millrace connector delete west'],
    async run(on) {
      await call(on, { method: 'DELETE', path: path(on.args['connector']!) })
      printOne(on.output, { deleted: on.args['connector'] })
    },
  },
]
