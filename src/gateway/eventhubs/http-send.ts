/** Events over HTTPS: `POST /HUB/messages`, one as its body, or several as JSON. */
import { limits } from '../../lib/limits.ts'
import type { Header, RecordInput } from '../../log/batch.ts'
import type { Subject } from '../../security/authorizer.ts'
import { anonymous } from '../../security/principal.ts'
import { addressOf, partitionOf } from './address.ts'
import { Refused, condition, refusalOf, statusOf } from './conditions.ts'
import type { HttpAnswer, HttpRequest } from './exchange.ts'
import type { Hubs } from './hubs.ts'
import { escapePrefix, needsEscape, typesHeader } from './record-names.ts'
import { pathOf } from './tokens.ts'

const batchType = 'application/vnd.microsoft.servicebus.json'
interface Wanted {
  readonly hub: string
  readonly partition: string | null
  /** Whose events these are: they go together, as with a partition key. */
  readonly publisher: string | null
}
const form = /^\/([^/]+)(?:\/partitions\/([^/]+)|\/publishers\/([^/]+))?\/messages\/?$/i

/** null: the path is of nothing that is sent to. */
export function wantedOf({ url }: HttpRequest): Wanted | null {
  const [, hub, partition = null, publisher = null] = form.exec(url.pathname) ?? []
  return hub === undefined
    ? null
    : { hub: decoded(hub), partition, publisher: publisher === null ? null : decoded(publisher) }
}
function decoded(text: string): string {
  try {
    return decodeURIComponent(text)
  } catch {
    return text
  }
}

export async function answerSend(hubs: Hubs, request: HttpRequest, wanted: Wanted): Promise<HttpAnswer> {
  try {
    await send(hubs, request, wanted)
    return { status: 201, headers: {}, body: '' }
  } catch (error) {
    const refusal = refusalOf(error)
    hubs.parts.meter?.refused(refusal.condition)
    const status = refusal.condition === condition.messageSize ? 413 : statusOf(refusal)
    const { description } = refusal
    const body = `<Error><Code>${status}</Code><Detail>${description.replaceAll(/[<&]/g, '?')}</Detail></Error>`
    return { status, headers: { 'content-type': 'application/xml; charset=utf-8' }, body }
  }
}
async function send(hubs: Hubs, request: HttpRequest, { hub, partition, publisher }: Wanted): Promise<void> {
  if (request.method !== 'POST') throw new Refused(condition.notImplemented, 'Events are sent by POST.')
  const path = [hub, ...(partition === null ? [] : ['partitions', partition])].map((part) => part.toLowerCase())
  const subject = await subjectOf(hubs, request, path)
  const topic = await hubs.topicToWrite(addressOf(hub).node === 'hub' ? hub : '', subject)
  const index = partition === null ? null : partitionOf(partition, topic.partitions)
  const { quotas } = hubs.parts.security
  const client = { user: subject.principal.name, clientId: '' }
  if (quotas.charge('producer_byte_rate', client, request.body.length) > 0)
    throw new Refused(condition.busy, 'The producer_byte_rate of the client is used up.')
  if (request.body.length > limits.amqpMessageBytes)
    throw new Refused(condition.messageSize, `A request has at most ${limits.amqpMessageBytes} bytes.`)
  const records = recordsOf(request, publisher, hubs.parts.world.clock.now())
  await hubs.store(topic, index, records, request.body.length)
}
/** Throws Refused. */
async function subjectOf(hubs: Hubs, request: HttpRequest, path: readonly string[]): Promise<Subject> {
  try {
    return await shownBy(hubs, request, path)
  } catch (error) {
    const refusal = refusalOf(error)
    if (refusal.condition === condition.unauthorized) hubs.unknown(request.host, refusal.description)
    throw error
  }
}
async function shownBy(hubs: Hubs, { headers, host }: HttpRequest, path: readonly string[]): Promise<Subject> {
  const { authorization } = headers
  if (authorization === undefined) {
    if (hubs.parts.security.authorizer.enforced)
      throw new Refused(condition.unauthorized, 'MissingToken: The Authorization header is missing.')
    return { principal: anonymous, host }
  }
  const audience = `/${path.join('/')}`
  const bearer = /^Bearer\s+(\S+)$/i.exec(authorization)?.[1]
  const claim =
    bearer === undefined
      ? hubs.tokens.sas(authorization, audience)
      : await hubs.tokens.check('jwt', bearer, pathOf(audience).join('/'))
  return { principal: claim.principal, host }
}

function recordsOf(
  { headers, rawHeaders, body }: HttpRequest,
  publisher: string | null,
  timeMs: number,
): RecordInput[] {
  const type = (headers['content-type'] ?? '').split(';')[0]!.trim().toLowerCase()
  const keyOf = (properties: unknown): Buffer | null => {
    const key = publisher ?? textIn(properties, 'PartitionKey')
    return key === null ? null : Buffer.from(key)
  }
  if (type !== batchType) {
    const given = headers['brokerproperties']
    const properties = given === undefined ? null : parsed(given, 'BrokerProperties')
    const isPlain = type === '' || type === 'application/atom+xml'
    const contentType: Header[] = isPlain ? [] : [['content-type', Buffer.from(headers['content-type']!)]]
    const user = limited(propertiesIn(rawHeaders))
    return [{ key: keyOf(properties), value: body, headers: [...contentType, ...user], timeMs }]
  }
  const events = parsed(body.toString(), 'the body')
  if (!Array.isArray(events) || events.length === 0 || events.length > limits.httpRecords)
    throw new Refused(condition.argument, 'The body is a JSON array of events.')
  return events.map((event: unknown): RecordInput => {
    const text = textIn(event, 'Body')
    if (text === null) throw new Refused(condition.argument, 'An event has a Body, which is a text.')
    const { UserProperties: user = {}, BrokerProperties: broker = {} } = event as Record<string, unknown>
    return { key: keyOf(broker), value: Buffer.from(text), headers: headersOf(user), timeMs }
  })
}
/** Headers of HTTP, of those it passes on the way, and of the service; every other one is a property of the event. */
const notProperties = new RegExp(
  `^(${[
    'host|connection|keep-alive|transfer-encoding|te|trailer|upgrade|expect|max-forwards|via|forwarded|from|date|warning|priority',
    'authorization|cookie|user-agent|referer|origin|dnt|pragma|cache-control|range|brokerproperties|servicebusauthorization',
    '(accept|content|if|sec|proxy|access-control|x-ms|x-forwarded|x-real)(-.*)?|upgrade-insecure-requests',
  ].join('|')})$`,
  'i',
)
function propertiesIn(rawHeaders: HttpRequest['rawHeaders']): Header[] {
  const found = new Map<string, { readonly name: string; text: string }>()
  for (const [name, text] of rawHeaders) {
    if (notProperties.test(name)) continue
    const known = found.get(name.toLowerCase())
    // Several of one name are one list.
    if (known === undefined) found.set(name.toLowerCase(), { name, text })
    else known.text += `, ${text}`
  }
  return Array.from(found.values(), ({ name, text }): Header => {
    // Bytes came, whatever they are the text of.
    return [needsEscape(name) ? `${escapePrefix}${name}` : name, Buffer.from(text, 'latin1')]
  })
}
function headersOf(properties: unknown): Header[] {
  if (typeof properties !== 'object' || properties === null || Array.isArray(properties))
    throw new Refused(condition.argument, 'UserProperties is an object.')
  const types = new Map<string, string>()
  const headers = Object.entries(properties).map(([given, value]: [string, unknown]): Header => {
    const name = needsEscape(given) ? `${escapePrefix}${given}` : given
    if (value === null) return [name, null]
    if (typeof value === 'number') types.set(name, Number.isInteger(value) ? 'long' : 'double')
    else if (typeof value === 'boolean') types.set(name, 'boolean')
    return [name, Buffer.from(typeof value === 'string' ? value : JSON.stringify(value))]
  })
  if (types.size > 0) headers.push([typesHeader, Buffer.from(JSON.stringify(Object.fromEntries(types)))])
  return limited(headers)
}
/** Throws Refused. */
function limited(headers: Header[]): Header[] {
  if (headers.length <= limits.recordHeaders) return headers
  throw new Refused(condition.argument, `An event has at most ${limits.recordHeaders} properties.`)
}
function textIn(value: unknown, name: string): string | null {
  const found = typeof value === 'object' && value !== null ? (value as Record<string, unknown>)[name] : undefined
  return typeof found === 'string' ? found : null
}
function parsed(text: string, what: string): unknown {
  try {
    return JSON.parse(text)
  } catch {
    throw new Refused(condition.argument, `${what} is no JSON.`)
  }
}
