/** Savepoints of views. */
import { Fault } from '../../../lib/fault.ts'
import { parseJson } from '../../../schema/json-text.ts'
import { byContent } from '../access.ts'
import { jsonAnswer } from '../answers.ts'
import { type Exchange, mediaTypes } from '../exchange.ts'
import type { Parts } from '../parts.ts'
import type { Route } from '../route.ts'
import { listOf, schemas } from '../schemas.ts'

const path = '/v1/savepoints/{savepoint}'
const bodyBytesMax = 16 * 1024

export function savepointRoutes({ engine }: Parts): readonly Route[] {
  return [
    {
      method: 'GET',
      path: '/v1/savepoints',
      id: 'listSavepoints',
      access: byContent,
      says: 'Savepoints of the views that may be described, by name.',
      gives: { 200: { says: 'All of them.', as: { [mediaTypes.json]: listOf(schemas.Savepoint) } } },
      handle: async ({ rights }) => jsonAnswer(await engine.savepoints(rights)),
    },
    {
      method: 'PUT',
      path,
      id: 'createSavepoint',
      access: byContent,
      says: 'Makes a savepoint of a view; durable when answered.',
      takes: { [mediaTypes.json]: schemas.SavepointWish },
      gives: { 201: { says: 'Made.', as: { [mediaTypes.json]: schemas.Savepoint } } },
      handle: async (exchange) => {
        const { params, rights } = exchange
        const view = await readView(exchange)
        const found = engine.relation(view)
        if (found === null || !rights.sees(found.topic)) {
          rights.missed(found?.topic ?? null)
          throw new Fault('flow.unknown-view', { view: view.slice(0, 300) })
        }
        return jsonAnswer(await engine.createSavepoint(view, params['savepoint']!, rights), { status: 201 })
      },
    },
    {
      method: 'DELETE',
      path,
      id: 'dropSavepoint',
      access: byContent,
      says: 'Deletes a savepoint.',
      gives: { 204: { says: 'Deleted.' } },
      handle: async ({ params, rights }) => {
        await engine.dropSavepoint(params['savepoint']!, rights)
        return { status: 204, body: null }
      },
    },
  ]
}
async function readView({ body, headers }: Exchange): Promise<string> {
  const type = headers['content-type']
  if (type !== undefined && !/^application\/json\s*(;|$)/i.test(type))
    throw new Fault('http.unsupported-body', { what: type.slice(0, 100), takes: mediaTypes.json })
  const value = parseJson(await body.whole(bodyBytesMax))
  const view = value !== null && typeof value === 'object' && 'view' in value ? value.view : undefined
  if (typeof view !== 'string') throw new Fault('http.invalid-body', { field: 'view', why: 'is the name of a view' })
  return view
}
