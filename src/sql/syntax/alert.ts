/**
 * CREATE ALERT name AS SELECT … NOTIFY WEBHOOK 'url' [SECRET 'whsec_…'] [WITH (…)], LOG, CONSOLE [KEY (col, …)]
 * [EVERY INTERVAL '1 hour'] [MESSAGE 'text {col}']
 */
import type { Destination, QualifiedName, Statement } from './ast.ts'
import type { Cursor } from './cursor.ts'
import { withOptions } from './definitions.ts'
import { parseQuery } from './query.ts'
import { intervalFields } from './types.ts'

type Alert = Extract<Statement, { kind: 'create-alert' }>

export function createAlert(cursor: Cursor, at: number): Alert {
  cursor.expectWord('alert')
  const ifNotExists = cursor.acceptWords('if', 'not', 'exists')
  const name = cursor.qualifiedName('a name for the alert')
  cursor.expectWord('as')
  cursor.inAlert = true
  const query = parseQuery(cursor)
  cursor.inAlert = false
  const destinations = notified(cursor)
  return { kind: 'create-alert', name, ifNotExists, query, destinations, ...clauses(cursor), ...cursor.span(at) }
}

/** Behind ALTER ALERT name: NOTIFY … */
export const alterAlert = (cursor: Cursor, name: QualifiedName, at: number): Statement => ({
  kind: 'alter-alert',
  name,
  destinations: notified(cursor),
  ...cursor.span(at),
})
function notified(cursor: Cursor): Destination[] {
  cursor.expectWord('notify')
  return cursor.list(() => destination(cursor))
}
function destination(cursor: Cursor): Destination {
  const { at } = cursor
  if (cursor.acceptWords('log')) return { kind: 'log', ...cursor.span(at) }
  if (cursor.acceptWords('console')) return { kind: 'console', ...cursor.span(at) }
  if (!cursor.acceptWords('webhook')) cursor.fail(['WEBHOOK', 'LOG', 'CONSOLE'])
  const url = cursor.string('the URL as a string')
  const secret = cursor.acceptWords('secret') ? cursor.string('the secret as a string') : null
  return { kind: 'webhook', url, secret, options: withOptions(cursor), ...cursor.span(at) }
}

function clauses(cursor: Cursor): Pick<Alert, 'key' | 'every' | 'message'> {
  let key: Alert['key'] = []
  let every: Alert['every'] = null
  let message: Alert['message'] = null
  const seen = new Set<string>()
  while (cursor.isWord('key', 'every', 'message')) {
    const { word, at } = cursor.take()
    if (seen.has(word)) cursor.syntax(`${word.toUpperCase()} may be given once`, at)
    seen.add(word)
    if (word === 'key') key = cursor.parenthesised(() => cursor.name('a column'))
    else if (word === 'every') every = interval(cursor)
    else {
      const messageAt = cursor.at
      message = { text: cursor.string('the message as a string'), ...cursor.span(messageAt) }
    }
  }
  return { key, every, message }
}
function interval(cursor: Cursor): Alert['every'] {
  const { at } = cursor
  cursor.expectWord('interval')
  const text = cursor.string('a duration as a string')
  return { text, fields: intervalFields(cursor), ...cursor.span(at) }
}
