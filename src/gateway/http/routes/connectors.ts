/** Connectors: sources and sinks of other systems. A secret goes in and never comes out. */
import type { ConnectorChange, ConnectorInfo } from '../../../connect/connectors.ts'
import { Fault } from '../../../lib/fault.ts'
import { limits } from '../../../lib/limits.ts'
import { parseJson } from '../../../schema/json-text.ts'
import { onCluster } from '../access.ts'
import type { ConnectorJson } from '../api.ts'
import { jsonAnswer } from '../answers.ts'
import { type Exchange, mediaTypes } from '../exchange.ts'
import type { Parts } from '../parts.ts'
import type { Route } from '../route.ts'
import { listOf, schemas } from '../schemas.ts'

const all = '/v1/connectors'
const path = `${all}/{connector}`
const one = { says: 'The connector.', as: { [mediaTypes.json]: schemas.Connector } }
const bodyBytesMax = 1024 * 1024

export function connectorRoutes({ connectors }: Parts): readonly Route[] {
  return [
    {
      method: 'GET',
      path: all,
      id: 'listConnectors',
      says: 'All connectors, by name: what they are, how they fare. Secrets are not shown.',
      access: onCluster('describe'),
      gives: { 200: { says: 'The connectors.', as: { [mediaTypes.json]: listOf(schemas.Connector) } } },
      handle: async () => jsonAnswer((await connectors.list()).map(info)),
    },
    {
      method: 'GET',
      path,
      id: 'getConnector',
      says: 'One connector.',
      access: onCluster('describe'),
      gives: { 200: one },
      handle: async ({ params }) => {
        const name = params['connector']!
        const found = await connectors.get(name)
        if (found === null) throw new Fault('connect.unknown-connector', { name: name.slice(0, 300) })
        return jsonAnswer(info(found))
      },
    },
    {
      method: 'GET',
      path: `${path}/doctor`,
      id: 'examineConnector',
      says: 'Why nothing flows: causes, the likeliest first.',
      access: onCluster('describe'),
      gives: {
        200: {
          says: 'The causes; none where none is known.',
          as: { [mediaTypes.json]: listOf(schemas.Diagnosis) },
        },
      },
      handle: async ({ params }) => jsonAnswer(await connectors.doctor(params['connector']!)),
    },
    {
      method: 'PUT',
      path,
      id: 'createConnector',
      says: 'Creates a connector. It begins at once.',
      access: onCluster('alter'),
      takes: { [mediaTypes.json]: schemas.NewConnector },
      gives: { 201: { ...one, says: 'Created.' } },
      handle: async (exchange) => {
        const name = exchange.params['connector']!
        const { kind, direction, settings = {}, ...more } = await readObject(exchange)
        refuseMore(more, 'kind, direction and settings')
        if (typeof kind !== 'string') throw wrong('kind', kind === undefined ? 'is missing' : 'is not a text')
        if (direction !== 'source' && direction !== 'sink') throw wrong('direction', 'is neither source nor sink')
        const wanted = given(readSettings(settings))
        exchange.says([`connector:${name} ${direction} ${kind}`, ...saysOf(name, wanted)])
        const made = await connectors.create({ name, kind, direction, settings: wanted })
        return jsonAnswer(info(made), { status: 201 })
      },
    },
    {
      method: 'PATCH',
      path,
      id: 'changeConnector',
      says: 'Changes settings (null: the default comes back), pauses, resumes. It starts anew where it was.',
      access: onCluster('alter'),
      takes: { [mediaTypes.json]: schemas.ConnectorChange },
      gives: { 200: one },
      handle: async (exchange) => {
        const name = exchange.params['connector']!
        const change = readChange(await readObject(exchange))
        const { paused } = change
        const turned = paused === undefined ? [] : [`connector:${name} ${paused ? 'paused' : 'resumed'}`]
        exchange.says([...turned, ...saysOf(name, change.settings ?? {})])
        return jsonAnswer(info(await connectors.alter(name, change)))
      },
    },
    {
      method: 'DELETE',
      path,
      id: 'deleteConnector',
      says: 'Deletes a connector and where it was; what it has carried over stays.',
      access: onCluster('alter'),
      gives: { 204: { says: 'Deleted.' } },
      handle: async (exchange) => {
        const name = exchange.params['connector']!
        exchange.says([`connector:${name.slice(0, 300)} deleted`])
        await connectors.remove(name)
        return { status: 204, body: null }
      },
    },
  ]
}

function info({ fault, ...connector }: ConnectorInfo): ConnectorJson {
  return {
    ...connector,
    fault: fault === null ? null : { code: fault.code, detail: fault.message, hint: fault.hint },
  }
}
/** Names alone: a value may be a secret. */
const saysOf = (name: string, settings: Readonly<Record<string, unknown>>): string[] =>
  Object.keys(settings).map((setting) => `connector:${name} ${setting}`)

const wrong = (field: string, why: string): Fault => new Fault('http.invalid-body', { field, why })
async function readObject({ body, headers }: Exchange): Promise<Record<string, unknown>> {
  const type = headers['content-type']
  if (type !== undefined && !/^application\/json\s*(;|$)/i.test(type))
    throw new Fault('http.unsupported-body', { what: type.slice(0, 100), takes: mediaTypes.json })
  const value = parseJson(await body.whole(bodyBytesMax))
  if (typeof value !== 'object' || value === null || Array.isArray(value)) throw wrong('', 'is not an object')
  return value as Record<string, unknown>
}
function refuseMore(more: Readonly<Record<string, unknown>>, known: string): void {
  const [unknown] = Object.keys(more)
  if (unknown !== undefined) throw wrong(unknown, `is not a field of a connector; it has ${known}`)
}
function readChange({ settings, paused, ...more }: Record<string, unknown>): ConnectorChange {
  refuseMore(more, 'settings and paused')
  if (paused !== undefined && typeof paused !== 'boolean') throw wrong('paused', 'is neither true nor false')
  return {
    ...(settings === undefined ? {} : { settings: readSettings(settings) }),
    ...(paused === undefined ? {} : { paused }),
  }
}
/** null takes a setting back to its default. */
function readSettings(content: unknown): Record<string, string | null> {
  if (typeof content !== 'object' || content === null || Array.isArray(content))
    throw wrong('settings', 'is not an object')
  const entries = Object.entries(content as Record<string, unknown>)
  if (entries.length > limits.connectorSettings)
    throw wrong('settings', `has more than ${limits.connectorSettings} settings`)
  const read = Object.create(null) as Record<string, string | null>
  for (const [name, value] of entries) {
    const field = `settings.${name.slice(0, 100)}`
    if (value !== null && typeof value !== 'string' && typeof value !== 'boolean' && typeof value !== 'number')
      throw wrong(field, 'is not a text')
    const text = value === null ? null : String(value)
    if ((text?.length ?? 0) > limits.connectorSettingLength) throw wrong(field, 'is too long')
    read[name] = text
  }
  return read
}
/** Of what is new, a default need not be taken back. */
const given = (settings: Readonly<Record<string, string | null>>): Record<string, string> =>
  Object.fromEntries(Object.entries(settings).filter((one): one is [string, string] => one[1] !== null))
