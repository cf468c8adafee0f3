/** The gateways of other protocols that listen here, and what ails those who read through them. */
import { Fault } from '../../../lib/fault.ts'
import { onCluster } from '../access.ts'
import { jsonAnswer } from '../answers.ts'
import { mediaTypes } from '../exchange.ts'
import type { Parts } from '../parts.ts'
import type { Route } from '../route.ts'
import { listOf, schemas } from '../schemas.ts'

export function gatewayRoutes({ doctors }: Parts): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/gateways',
      id: 'listGateways',
      says: 'Gateways that listen and that a doctor looks at, by protocol.',
      access: onCluster('describe'),
      gives: { 200: { says: 'The gateways.', as: { [mediaTypes.json]: listOf(schemas.Gateway) } } },
      handle: () => jsonAnswer([...doctors().keys()].sort().map((protocol) => ({ protocol }))),
    },
    {
      method: 'GET',
      path: '/v1/gateways/{gateway}/doctor',
      id: 'examineGateway',
      says: 'What ails those who read through the gateway.',
      access: onCluster('describe'),
      gives: {
        200: {
          says: 'The causes; none where none is known.',
          as: { [mediaTypes.json]: listOf(schemas.Diagnosis) },
        },
      },
      handle: async ({ params }) => {
        const doctor = doctors().get(params['gateway']!)
        if (doctor === undefined)
          throw new Fault('http.no-such', { what: 'gateway', name: params['gateway']!.slice(0, 300) })
        return jsonAnswer(await doctor())
      },
    },
  ]
}
