/** Sessions of MQTT: who has one, what waits for it, and its end. */
import { Fault } from '../../../lib/fault.ts'
import { limits } from '../../../lib/limits.ts'
import { onCluster } from '../access.ts'
import { jsonAnswer } from '../answers.ts'
import { mediaTypes } from '../exchange.ts'
import { wholeNumber, yesOrNo } from '../parameters.ts'
import type { Parts } from '../parts.ts'
import type { Route } from '../route.ts'
import { schemas } from '../schemas.ts'

const all = '/v1/mqtt-sessions'
const path = `${all}/{client}`
const shownUnlessSaid = '100'

export function mqttSessionRoutes({ mqttSessions }: Parts): readonly Route[] {
  const unknown = (client: string): Fault => new Fault('mqtt.unknown-session', { client: client.slice(0, 300) })
  return [
    {
      method: 'GET',
      path: all,
      id: 'listMqttSessions',
      says: 'Sessions of MQTT, by client identifier; none where MQTT does not listen.',
      access: onCluster('describe'),
      query: {
        limit: {
          says: `At most so many; ${shownUnlessSaid} unless said.`,
          schema: { type: 'integer', minimum: 1, maximum: limits.shownMqttSessions },
        },
        after: { says: 'Those behind this client identifier: `next` of the page before.', schema: { type: 'string' } },
        connected: { says: 'Only those whose client is there, or is not.', schema: { type: 'boolean' } },
      },
      gives: { 200: { says: 'The sessions.', as: { [mediaTypes.json]: schemas.MqttSessionPage } } },
      handle: ({ query }) => {
        const range = { min: 1, max: limits.shownMqttSessions }
        const limit = wholeNumber('limit', query.get('limit') ?? shownUnlessSaid, range)
        const connected = query.get('connected')
        const isConnected = connected === null ? null : yesOrNo('connected', connected)
        const page = mqttSessions()?.page({ limit, after: query.get('after'), isConnected })
        return jsonAnswer(page ?? { sessions: [], next: null })
      },
    },
    {
      method: 'GET',
      path,
      id: 'getMqttSession',
      says: 'One session of MQTT, with its subscriptions.',
      access: onCluster('describe'),
      gives: { 200: { says: 'The session.', as: { [mediaTypes.json]: schemas.MqttSessionDetail } } },
      handle: ({ params }) => {
        const found = mqttSessions()?.find(params['client']!) ?? null
        if (found === null) throw unknown(params['client']!)
        return jsonAnswer(found)
      },
    },
    {
      method: 'DELETE',
      path,
      id: 'endMqttSession',
      says: 'Ends a session of MQTT: its client is disconnected (version 5: 0x98), its will is sent, what was kept of it is deleted.',
      access: onCluster('alter'),
      gives: { 204: { says: 'Ended.' } },
      handle: async (exchange) => {
        const client = exchange.params['client']!
        exchange.says([`mqtt-session:${client.slice(0, 300)} ended`])
        if ((await mqttSessions()?.end(client)) !== true) throw unknown(client)
        return { status: 204, body: null }
      },
    },
  ]
}
