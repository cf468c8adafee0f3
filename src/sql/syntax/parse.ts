/** Entry points of the parser. Text in, tree out; throws SqlFault. */
import type { Expr, Query, Statement } from './ast.ts'
import { Cursor } from './cursor.ts'
import { parseExpression } from './expressions.ts'
import { parseQuery } from './query.ts'
import { parseStatement, parseSubscribed } from './statements.ts'

/** Statements separated by semicolons; empty ones are left out. */
export function parseStatements(text: string): Statement[] {
  const cursor = new Cursor(text, parseQuery)
  const statements: Statement[] = []
  while (!cursor.atEnd()) {
    if (cursor.accept(';')) continue
    statements.push(parseStatement(cursor))
    if (!cursor.atEnd() && !cursor.isMark(';')) cursor.fail(['";"', 'the end'])
  }
  return statements
}

/** SUBSCRIBE …, a query, or the bare name of a relation. */
export function parseSubscription(text: string): Pick<Extract<Statement, { kind: 'subscribe' }>, 'query' | 'options'> {
  const cursor = new Cursor(text, parseQuery)
  const subscribed = parseSubscribed(cursor)
  while (cursor.accept(';'));
  if (!cursor.atEnd()) cursor.fail(['the end'])
  return subscribed
}

/** One expression and nothing behind it, as in a filter. */
export function parseLoneExpression(text: string): Expr {
  const cursor = new Cursor(text, parseQuery)
  const expr = parseExpression(cursor)
  if (!cursor.atEnd()) cursor.fail(['the end'])
  return expr
}

/** One query and nothing behind it but semicolons. */
export function parseLoneQuery(text: string): Query {
  const cursor = new Cursor(text, parseQuery)
  const query = parseQuery(cursor)
  while (cursor.accept(';'));
  if (!cursor.atEnd()) cursor.fail(['the end'])
  return query
}
