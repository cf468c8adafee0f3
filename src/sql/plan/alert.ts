/** CREATE ALERT: the query as a view of its own, the clauses checked against its columns. */
import { intervalMs, parseInterval } from '../../flow/functions/interval-text.ts'
import { limits } from '../../lib/limits.ts'
import type { Columns } from '../../schema/types.ts'
import { type AlertDestination, type AlertMessage, alertViewName, type PlannedAlert, withoutSecrets } from '../alert.ts'
import { matchesName } from '../bind/scope.ts'
import { SqlFault } from '../fault.ts'
import { suggestion } from '../../lib/suggestion.ts'
import type { Destination, Name, Statement } from '../syntax/ast.ts'
import type { PlanContext } from './context.ts'
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
  const { secret } = destination
  if (secret !== null && !/^whsec_[A-Za-z0-9+/]{32,128}={0,2}$/.test(secret)) {
    throw new SqlFault(
      'sql.invalid-value',
      'a secret is whsec_ and 24 to 64 bytes in base64',
      ctx.text,
      destination.at,
      { hint: 'Standard Webhooks describes it.' },
    )
  }
  return { kind: 'webhook', url: url.href, secret }
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
