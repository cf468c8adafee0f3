/** CREATE ALERT: the query as a view of its own, the clauses checked against its columns. */
import { intervalMs, parseInterval } from '../../flow/functions/interval-text.ts'
import { limits } from '../../lib/limits.ts'
import type { Columns } from '../../schema/types.ts'
import {
  type AlertDestination,
  type AlertMessage,
  alertViewName,
  type PlannedAlert,
  type Webhook,
  withoutSecrets,
} from '../alert.ts'
import { matchesName } from '../bind/scope.ts'
import { SqlFault } from '../fault.ts'
import { suggestion } from '../../lib/suggestion.ts'
import type { Destination, Name, Option, Statement } from '../syntax/ast.ts'
import type { PlanContext } from './context.ts'
import { type OptionSpecs, Options } from './options.ts'
import { catalogName } from './relation.ts'
import { planView } from './view.ts'

type CreateAlert = Extract<Statement, { kind: 'create-alert' }>

export function planAlert(ctx: PlanContext, statement: CreateAlert): PlannedAlert {
  const name = catalogName(statement.name)
  const { at, end } = statement.name
  const viewName = { parts: [{ text: alertViewName(name), quoted: true, at, end }], at, end }
  const { view } = planView(ctx, {
    kind: 'create-view',
    name: viewName,
    ifNotExists: false,
    columns: [],
    primaryKey: [],
    onConflict: null,
    query: statement.query,
    options: [],
    orReplace: false,
    start: null,
    at: statement.at,
    end: statement.end,
  })
  const { columns } = view.plan
  return {
    rule: {
      name,
      sql: withoutSecrets(ctx.text.slice(statement.at, statement.end)),
      destinations: statement.destinations.map((destination) => checked(ctx, destination)),
      key: statement.key.map((column) => columns[findColumn(ctx, columns, column)]!.name),
      everyMs: everyMs(ctx, statement),
      message: statement.message === null ? null : message(ctx, columns, statement.message.text, statement.message.at),
    },
    view,
    ifNotExists: statement.ifNotExists,
  }
}

function findColumn(ctx: PlanContext, columns: Columns, name: Name): number {
  const found = columns.flatMap((field, i) => (matchesName(name, field.name) ? [i] : []))
  if (found.length === 1) return found[0]!
  if (found.length > 1)
    throw new SqlFault('sql.ambiguous-name', `column "${name.text}" is ambiguous`, ctx.text, name.at)
  const near = suggestion(
    name.text,
    columns.map((field) => field.name),
  )
  const hint =
    near === null ? `Columns here are ${columns.map((field) => field.name).join(', ')}.` : `Perhaps you meant ${near}.`
  throw new SqlFault(
    'sql.unknown-column',
    `column "${name.text}" is not in the SELECT list of the alert`,
    ctx.text,
    name.at,
    { hint },
  )
}

function checked(ctx: PlanContext, destination: Destination): AlertDestination {
  if (destination.kind !== 'webhook') return { kind: destination.kind }
  const url = URL.canParse(destination.url) ? new URL(destination.url) : null
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    throw new SqlFault('sql.invalid-value', 'a webhook is an http or https URL', ctx.text, destination.at)
  }
  if (url.username !== '' || url.password !== '') {
    throw new SqlFault('sql.invalid-value', 'a webhook URL must not hold a password', ctx.text, destination.at, {
      hint: 'Deliveries are signed: give SECRET.',
    })
  }
  const { secret, options } = destination
  if (secret !== null) checkSecret(ctx, secret, destination.at)
  return { kind: 'webhook', url: url.href, secret, ...policy(ctx, secret !== null, options) }
}
function checkSecret(ctx: PlanContext, secret: string, at: number): void {
  if (/^whsec_[A-Za-z0-9+/]{32,128}={0,2}$/.test(secret)) return
  throw new SqlFault('sql.invalid-value', 'a secret is whsec_ and 24 to 64 bytes in base64', ctx.text, at, {
    hint: 'Standard Webhooks describes it.',
  })
}

const webhookOptions: OptionSpecs = {
  secret_previous: { kind: 'text', about: 'a secret that signs as well, while receivers change to the new one' },
  retry_for: { kind: 'duration', about: 'given up this long after the alert fired' },
  retry_attempts: { kind: 'count', about: 'at most so many attempts' },
  handshake: { kind: 'text', about: 'the name under which the receiver is asked first whether it takes deliveries' },
}
const headerPrefix = 'header.'
const headerName = /^[a-z0-9!#$%&'*+.^_`|~-]{1,100}$/
const headerValue = /^[\t -~]{0,2000}$/
/** What a delivery says itself, or what would change how it is read. */
const reservedHeader =
  /^(?:webhook-.*|content-.*|host|connection|keep-alive|proxy-.*|te|trailer|transfer-encoding|upgrade|expect)$/
const hostName = /^(?=.{1,253}$)[a-z0-9]([a-z0-9-]*[a-z0-9])?(\.[a-z0-9]([a-z0-9-]*[a-z0-9])?)*$/i

/** WITH ( … ) of a webhook. */
function policy(
  ctx: PlanContext,
  isSigned: boolean,
  given: readonly Option[],
): Omit<Webhook, 'kind' | 'url' | 'secret'> {
  const fail = (message: string, at: number): never => {
    throw new SqlFault('sql.invalid-value', message, ctx.text, at)
  }
  const isHeader = ({ name }: Option): boolean => name.toLowerCase().startsWith(headerPrefix)
  const options = new Options(
    given.filter((one) => !isHeader(one)),
    webhookOptions,
    ctx.text,
  )
  const [ofTopic] = Object.keys(options.topicConfig())
  if (ofTopic !== undefined) fail(`${ofTopic} is a setting of topics, not of webhooks`, options.at(ofTopic))
  const previousSecret = options.textOf('secret_previous')
  if (previousSecret !== null) {
    checkSecret(ctx, previousSecret, options.at('secret_previous'))
    if (!isSigned) fail('secret.previous stands beside SECRET, the new one', options.at('secret_previous'))
  }
  const [retryForMs, attempts] = [options.duration('retry_for'), options.count('retry_attempts')]
  if (retryForMs !== null && (retryForMs <= 0 || retryForMs > limits.deliveryRetryMs))
    fail(`retry.for is at most ${limits.deliveryRetryMs / 86_400_000} days`, options.at('retry_for'))
  const handshake = options.textOf('handshake')
  if (handshake !== null && !hostName.test(handshake)) fail('handshake is a DNS name', options.at('handshake'))
  const headers = headersOf(given.filter(isHeader), fail)
  return {
    ...(previousSecret === null ? {} : { previousSecret }),
    ...(headers === null ? {} : { headers }),
    ...(retryForMs === null ? {} : { retryForMs }),
    ...(attempts === null ? {} : { attempts }),
    ...(handshake === null ? {} : { handshake }),
  }
}
function headersOf(
  given: readonly Option[],
  fail: (message: string, at: number) => never,
): Record<string, string> | null {
  if (given.length > limits.deliveryHeaders)
    fail(`a webhook has at most ${limits.deliveryHeaders} headers`, given[0]!.at)
  const headers: Record<string, string> = {}
  for (const { name, value, at, valueAt } of given) {
    const header = name.slice(headerPrefix.length).toLowerCase()
    if (!headerName.test(header)) fail(`${name} names no HTTP header`, at)
    if (reservedHeader.test(header)) fail(`the header ${header} is not yours to set`, at)
    if (Object.hasOwn(headers, header)) fail(`the header ${header} is given twice`, at)
    if (!headerValue.test(String(value))) fail(`a header's value is at most 2,000 printable ASCII characters`, valueAt)
    headers[header] = String(value)
  }
  return given.length === 0 ? null : headers
}

function everyMs(ctx: PlanContext, { every }: CreateAlert): number | null {
  if (every === null) return null
  const interval = parseInterval(every.text, every.fields)
  const ms = interval === null ? null : intervalMs(interval)
  if (ms !== null && ms > 0) return ms
  throw new SqlFault(
    'sql.invalid-time',
    `EVERY needs a positive interval without months, not '${every.text}'`,
    ctx.text,
    every.at,
  )
}

/** 'Stock of {item} is {stock}'; a doubled brace is a brace. */
function message(ctx: PlanContext, columns: Columns, text: string, at: number): AlertMessage {
  if (text.length > limits.alertMessageLength) {
    throw new SqlFault(
      'sql.invalid-value',
      `a message has at most ${limits.alertMessageLength} characters`,
      ctx.text,
      at,
    )
  }
  const pieces: (string | { column: number })[] = []
  const token = /\{\{|\}\}|\{([^{}]*)\}|[{}]|[^{}]+/g
  for (const [whole, name] of text.matchAll(token)) {
    if (name !== undefined)
      pieces.push({ column: findColumn(ctx, columns, { text: name.trim(), quoted: false, at, end: at }) })
    else if (whole === '{{' || whole === '}}') pieces.push(whole[0]!)
    else if (whole === '{' || whole === '}')
      throw new SqlFault('sql.invalid-value', 'a lone brace in the message', ctx.text, at, {
        hint: 'Write {column} for a value, {{ for a brace.',
      })
    else pieces.push(whole)
  }
  return pieces
}
