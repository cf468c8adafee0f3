import type { MqttSessionDetail, MqttSessionPage } from '../../gateway/http/api.ts'
import { call, json } from '../client.ts'
import { type Command, usageError } from '../command.ts'
import { printOne, printRows, printable } from '../output.ts'

const all = '/v1/mqtt-sessions'
const path = (client: string): string => `${all}/${encodeURIComponent(client)}`

export const mqttSessionCommands: readonly Command[] = [
  {
    path: ['mqtt-session', 'list'],
    summary: 'sessions of MQTT: who is there or away, and what waits for them',
    options: [
      { name: 'connected', summary: 'only those whose client is there' },
      { name: 'away', summary: 'only those whose client is not' },
      { name: 'limit', value: 'N', summary: 'default 100' },
      { name: 'after', value: 'CLIENT', summary: 'go on behind this one' },
    ],
    examples: ['millrace mqtt-session list', 'millrace mqtt-session list --away --limit 1000'],
    async run(on) {
      const [connected, away] = [on.options.on('connected'), on.options.on('away')]
      if (connected && away) throw usageError('--connected and --away say the opposite')
      const query = new URLSearchParams({ limit: on.options.text('limit') ?? '100' })
      if (connected || away) query.set('connected', String(connected))
      const after = on.options.text('after')
      if (after !== undefined) query.set('after', after)
      const { sessions, next } = await json<MqttSessionPage>(on, { path: `${all}?${query.toString()}` })
      printRows(
        on.output,
        sessions.map((session) => ({ ...session })),
        ['client', 'user', 'version', 'connectedAt', 'leftAt', 'expiresAt', 'subscriptions', 'waiting', 'inFlight'],
      )
      if (next !== null) process.stderr.write(`There are more: --after ${printable(JSON.stringify(next))}\n`)
    },
  },
  {
    path: ['mqtt-session', 'show'],
    summary: 'one session of MQTT, with its subscriptions',
    args: [{ name: 'client' }],
    examples: ['millrace mqtt-session show till-7'],
    async run(on) {
      printOne(on.output, { ...(await json<MqttSessionDetail>(on, { path: path(on.args['client']!) })) })
    },
  },
  {
    path: ['mqtt-session', 'end'],
    summary: 'end a session of MQTT: its client is disconnected, its will is sent, nothing of it is kept',
    args: [{ name: 'client' }],
    options: [{ name: 'yes', short: 'y', summary: 'do it without asking' }],
    examples: ['millrace mqtt-session end till-7 --yes'],
    async run(on) {
      const client = on.args['client']!
      if (!on.options.on('yes')) throw usageError(`this ends ${client} and what waits for it; say --yes`)
      await call(on, { method: 'DELETE', path: path(client) })
      printOne(on.output, { ended: client })
    },
  },
]
