/** The REST form: paths and JSON bodies to the same methods, as google.api.http describes them. */
import { fromJson, toJson } from '../../wire/protobuf/json.ts'
import type { Message } from '../../wire/protobuf/message.ts'
import { httpStatuses } from '../../wire/grpc/status.ts'
import { RpcError, invalid, rpcErrorOf } from './errors.ts'
import type { CallFacts, Gateway } from './gateway.ts'
import type { AnyMethod } from './method.ts'
import { methods } from './methods/index.ts'

export interface RestRequest {
  readonly verb: string
  /** With its query. */
  readonly target: string
  readonly body: Uint8Array
}
export interface RestAnswer {
  readonly status: number
  readonly body: unknown
}
interface Route {
  readonly method: AnyMethod
  readonly pattern: RegExp
  /** What the groups of the pattern are: `topic.name` is a field of a field. */
  readonly fields: readonly string[]
}
const routes: readonly Route[] = methods.map((method) => {
  const fields: string[] = []
  const pattern = method.rest.path.replaceAll(/\{([a-z_.]+)=([^}]+)\}/g, (_, field: string, template: string) => {
    fields.push(field)
    return `(${template.replaceAll('*', '[^/:]+')})`
  })
  return { method, pattern: new RegExp(`^${pattern}$`), fields }
})

export async function answerRest(gateway: Gateway, request: RestRequest, facts: CallFacts): Promise<RestAnswer> {
  try {
    const { method, json } = requestOf(request)
    const message = fromJson(method.request, json)
    const answer = await gateway.answer(method, message, facts)
    return { status: 200, body: toJson(method.response, answer) }
  } catch (error) {
    return errorAnswer(rpcErrorOf(error))
  }
}
export function errorAnswer({ status, message, info }: RpcError): RestAnswer {
  const code = httpStatuses[status]
  const details =
    info === null
      ? {}
      : {
          details: [
            {
              '@type': 'type.googleapis.com/google.rpc.ErrorInfo',
              reason: info.reason,
              domain: info.domain,
              metadata: Object.fromEntries(info.metadata),
            },
          ],
        }
  return { status: code, body: { error: { code, message, status, ...details } } }
}
function requestOf({ verb, target, body }: RestRequest): { method: AnyMethod; json: Record<string, unknown> } {
  const [encoded = '', query = ''] = target.split('?')
  const path = decoded(encoded)
  for (const { method, pattern, fields } of routes) {
    if (method.rest.verb !== verb) continue
    const found = pattern.exec(path)
    if (found === null) continue
    const json = queryOf(method.request, new URLSearchParams(query))
    const { body: bodyField } = method.rest
    if (bodyField !== undefined && body.length > 0) {
      const parsed = bodyOf(body)
      if (bodyField === '*') Object.assign(json, parsed)
      else json[bodyField] = parsed
    }
    fields.forEach((field, i) => put(json, field.split('.'), found[i + 1]!))
    return { method, json }
  }
  throw new RpcError('NOT_FOUND', `The requested URL ${path.slice(0, 200)} was not found on this server.`)
}
function decoded(path: string): string {
  try {
    return decodeURIComponent(path)
  } catch {
    throw invalid('The path of the URL is not percent-encoded UTF-8.')
  }
}
function bodyOf(body: Uint8Array): Record<string, unknown> {
  let parsed: unknown
  try {
    parsed = JSON.parse(Buffer.from(body.buffer, body.byteOffset, body.length).toString('utf8'))
  } catch {
    throw invalid('Invalid JSON payload received.')
  }
  if (typeof parsed !== 'object' || parsed === null || Array.isArray(parsed))
    throw invalid('Invalid JSON payload received.')
  return parsed as Record<string, unknown>
}
/** Fields that are no messages; what begins with `$`, and the parameters that every call of the service may have, are left. */
const common = new Set(['alt', 'key', 'prettyPrint', 'fields', 'quotaUser', 'access_token', 'callback', 'uploadType'])
function queryOf(type: Message<object>, query: URLSearchParams): Record<string, unknown> {
  const json: Record<string, unknown> = {}
  for (const [name, value] of query) {
    if (common.has(name) || name.startsWith('$')) continue
    const path = name.split('.')
    const field = type.fields.find((one) => one.name === path[0] || one.protoName === path[0])
    if (field?.field.label === 'list') {
      const items = (json[name] ??= []) as unknown[]
      items.push(value)
    } else put(json, path, value)
  }
  return json
}
function put(json: Record<string, unknown>, [first = '', ...rest]: readonly string[], value: string): void {
  const camel = first.replaceAll(/_([a-z])/g, (_, letter: string) => letter.toUpperCase())
  const name = first in json ? first : camel in json ? camel : first
  if (name === '__proto__') throw invalid('Unknown name "__proto__".')
  if (rest.length === 0) {
    json[name] = value
    return
  }
  const inner = Object.hasOwn(json, name) ? json[name] : undefined
  const next: Record<string, unknown> =
    typeof inner === 'object' && inner !== null ? (inner as Record<string, unknown>) : {}
  put(next, rest, value)
  json[name] = next
}
