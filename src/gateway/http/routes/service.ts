/** What monitoring and tools ask: metrics, health, openapi.json, the page of each fault. */
import { type FaultCode, faults } from '../../../lib/fault.ts'
import { Fault } from '../../../lib/fault.ts'
import { onCluster, open } from '../access.ts'
import { jsonAnswer } from '../answers.ts'
import { mediaTypes } from '../exchange.ts'
import { openApi } from '../openapi.ts'
import type { Parts } from '../parts.ts'
import { titleOf } from '../problem.ts'
import type { Route } from '../route.ts'
import { schemas } from '../schemas.ts'

const plain = 'text/plain; charset=utf-8'

/** `all`: every route there is, these included. */
export function serviceRoutes({ telemetry, version }: Parts, all: () => readonly Route[]): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/metrics',
      id: 'getMetrics',
      access: onCluster('describe'),
      says: 'Metrics in the text format of Prometheus.',
      gives: { 200: { says: 'The metrics.', as: { 'text/plain': { type: 'string' } } } },
      handle: async () => {
        const { contentType, text } = await telemetry.metrics.scrape()
        return { status: 200, headers: { 'content-type': contentType }, body: text }
      },
    },
    {
      method: 'GET',
      path: '/health/live',
      id: 'isLive',
      access: open,
      says: 'Answers while the process does.',
      gives: { 200: { says: 'It lives.', as: { [mediaTypes.json]: { type: 'object' } } } },
      handle: () => jsonAnswer({ live: true }),
    },
    {
      method: 'GET',
      path: '/health/ready',
      id: 'isReady',
      access: open,
      says: 'Whether every part answers, and which does not and why.',
      gives: {
        200: { says: 'Ready.', as: { [mediaTypes.json]: schemas.Readiness } },
        503: { says: 'Not ready.', as: { [mediaTypes.json]: schemas.Readiness } },
      },
      handle: () => {
        const readiness = telemetry.health.ready()
        return jsonAnswer(readiness, { status: readiness.ready ? 200 : 503 })
      },
    },
    {
      method: 'GET',
      path: '/openapi.json',
      id: 'getOpenApi',
      access: open,
      says: 'This interface as OpenAPI 3.1.',
      gives: { 200: { says: 'The document.', as: { [mediaTypes.json]: { type: 'object' } } } },
      handle: () => jsonAnswer(openApi(all(), version)),
    },
    {
      method: 'GET',
      path: '/errors/{code}',
      id: 'explainFault',
      access: open,
      says: 'What a fault means, in every protocol.',
      gives: { 200: { says: 'Its page.', as: { 'text/plain': { type: 'string' } } } },
      handle: ({ params }) => ({ status: 200, headers: { 'content-type': plain }, body: faultPage(params['code']!) }),
    },
  ]
}

function faultPage(code: string): string {
  if (!Object.hasOwn(faults, code)) throw new Fault('http.no-such', { what: 'fault', name: code.slice(0, 100) })
  const { kafka, http, sqlstate, retry, hint } = faults[code as FaultCode]
  return [
    titleOf(code),
    '',
    `Code: ${code}`,
    `What to do: ${hint}`,
    `Kafka error ${kafka}, HTTP status ${http}, SQLSTATE ${sqlstate}.`,
    retry ? 'The same request may succeed later.' : 'The same request will fail again.',
    '',
  ].join('\n')
}
