/**
 * CREATE SOURCE [IF NOT EXISTS] name FROM kind WITH (setting = value, …)
 * CREATE SINK [IF NOT EXISTS] name FROM topic, … INTO kind WITH (setting = value, …)
 */
import type { Statement } from './ast.ts'
import type { Cursor } from './cursor.ts'
import { withOptions } from './definitions.ts'

type Create = Extract<Statement, { kind: 'create-connector' }>

/** Others call other things so: of those there is better advice. */
export const beginsConnector = (cursor: Cursor): boolean =>
  cursor.isWord('source', 'sink') && (cursor.isWordAhead(1, 'if') || cursor.isWordAhead(2, 'from'))

export function createConnector(cursor: Cursor, at: number, elsewhere: (at: number) => never): Create {
  const sinkAt = cursor.at
  const direction = cursor.take().word === 'source' ? 'source' : 'sink'
  const ifNotExists = cursor.acceptWords('if', 'not', 'exists')
  const name = cursor.qualifiedName(`a name for the ${direction}`)
  cursor.expectWord('from')
  const topics = direction === 'sink' ? cursor.list(() => cursor.qualifiedName('a topic')) : []
  if (direction === 'sink') {
    if (!cursor.isWord('into')) elsewhere(sinkAt)
    cursor.take()
  }
  const of = cursor.name('a kind of system, as kafka or mqtt')
  const options = withOptions(cursor)
  return { kind: 'create-connector', direction, name, ifNotExists, topics, of, options, ...cursor.span(at) }
}
/** Behind DROP: SOURCE | SINK [IF EXISTS] name, … */
export function dropConnector(cursor: Cursor, at: number): Statement {
  const direction = cursor.take().word === 'source' ? 'source' : 'sink'
  const ifExists = cursor.acceptWords('if', 'exists')
  const names = cursor.list(() => cursor.qualifiedName())
  return { kind: 'drop-connector', direction, names, ifExists, ...cursor.span(at) }
}
/** Behind ALTER: SOURCE | SINK name PAUSE | RESUME */
export function alterConnector(cursor: Cursor, at: number): Statement {
  const direction = cursor.take().word === 'source' ? 'source' : 'sink'
  const name = cursor.qualifiedName()
  if (!cursor.isWord('pause', 'resume')) cursor.fail(['PAUSE', 'RESUME'])
  const action = cursor.take().word as 'pause' | 'resume'
  return { kind: 'alter-connector', direction, name, action, ...cursor.span(at) }
}
