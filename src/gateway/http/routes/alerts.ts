/** Alert rules and what fired. */
import { Fault } from '../../../lib/fault.ts'
import type { FiredAlert } from '../../../act/alerts.ts'
import { onCluster } from '../access.ts'
import { jsonAnswer } from '../answers.ts'
import { type LiveEvent, mediaTypes, negotiate } from '../exchange.ts'
import { liveAnswer } from '../live.ts'
import { wholeNumber } from '../parameters.ts'
import type { Parts } from '../parts.ts'
import type { Route } from '../route.ts'
import { listOf, schemas } from '../schemas.ts'

const firedMax = 1_000

export function alertRoutes({ alerts, engine }: Parts): readonly Route[] {
  const found = (name: string) => {
    const alert = alerts.list().find((one) => one.name === name)
    if (alert === undefined) throw new Fault('http.no-such', { what: 'alert', name: name.slice(0, 300) })
    return alert
  }
  return [
    {
      method: 'GET',
      path: '/v1/alerts',
      id: 'listAlerts',
      access: onCluster('describe'),
      says: 'All alert rules.',
      gives: { 200: { says: 'The rules.', as: { [mediaTypes.json]: listOf(schemas.Alert) } } },
      handle: () => jsonAnswer(alerts.list()),
    },
    {
      method: 'GET',
      path: '/v1/alerts/fired',
      id: 'listFired',
      access: onCluster('describe'),
      says: 'What fired, newest first; as events, what fires from now on.',
      query: {
        alert: { says: 'Only of this rule.', schema: { type: 'string' } },
        limit: { says: '100 unless given.', schema: { type: 'integer', minimum: 0, maximum: firedMax } },
      },
      gives: {
        200: {
          says: 'The alerts that fired.',
          as: { [mediaTypes.json]: listOf(schemas.FiredAlert), [mediaTypes.sse]: schemas.FiredAlert },
        },
      },
      handle: async ({ query, headers, signal }) => {
        const alert = query.get('alert')
        const type = negotiate(headers['accept'], [mediaTypes.json, mediaTypes.sse])
        if (type === mediaTypes.sse) return liveAnswer(events(alerts.watch(signal), alert))
        const limit = wholeNumber('limit', query.get('limit') ?? '100', { min: 0, max: firedMax })
        return jsonAnswer(await alerts.fired({ limit, ...(alert === null ? {} : { alert }) }))
      },
    },
    {
      method: 'GET',
      path: '/v1/alerts/{alert}',
      id: 'getAlert',
      access: onCluster('describe'),
      says: 'One alert rule.',
      gives: { 200: { says: 'The rule.', as: { [mediaTypes.json]: schemas.Alert } } },
      handle: ({ params }) => jsonAnswer(found(params['alert']!)),
    },
    {
      method: 'DELETE',
      path: '/v1/alerts/{alert}',
      id: 'dropAlert',
      access: onCluster('alter'),
      says: 'Drops the rule; what it fired stays.',
      gives: { 204: { says: 'Dropped.' } },
      handle: async ({ params }) => {
        await engine.drop('alert', found(params['alert']!).name)
        return { status: 204, body: null }
      },
    },
  ]
}
async function* events(fired: AsyncIterable<FiredAlert>, only: string | null): AsyncIterable<LiveEvent> {
  for await (const one of fired)
    if (only === null || one.alert === only) yield { event: 'alert', json: JSON.stringify(one) }
}
