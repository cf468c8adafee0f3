/** Just enough of SQL's text for colouring, and for telling what a statement may do. It decides nothing: the server parses. */
export type SqlToken = {
  readonly kind: 'keyword' | 'text' | 'number' | 'comment' | 'name' | 'other'
  readonly text: string
}

const words =
  'add alert alter all and any array as asc avg between bigint boolean by bytea case cast change close create cross current date delete desc describe distinct double drop else emit end events exists explain analyze false filter first following for format from full group having if ilike in inner insert int integer interval into is join json jsonb key last late lateral left like limit materialized max min minute hour day second month year not notify null nulls numeric of offset on or order outer over partition preceding precision primary range real right row rows select set show sink smallint source stream subscribe sum count system_time table text then time timestamp timestamptz to true tumble hop cumulate session unbounded union unique update using uuid values varchar view watermark webhook when where window with'
const keywords = new Set(words.split(' '))
const pattern =
  /(--[^\n]*|\/\*[\s\S]*?(?:\*\/|$))|('(?:[^']|'')*'?)|(\d+(?:\.\d+)?(?:e[+-]?\d+)?)|("(?:[^"]|"")*"?)|([a-z_][\w$]*)|([\s\S])/gi

export function sqlTokens(sql: string): SqlToken[] {
  return [...sql.matchAll(pattern)].map((m): SqlToken => {
    const text = m[0]
    if (m[1] !== undefined) return { kind: 'comment', text }
    if (m[2] !== undefined) return { kind: 'text', text }
    if (m[3] !== undefined) return { kind: 'number', text }
    if (m[4] !== undefined) return { kind: 'name', text }
    if (m[5] !== undefined) return { kind: keywords.has(text.toLowerCase()) ? 'keyword' : 'name', text }
    return { kind: 'other', text }
  })
}

function meaningful(sql: string): SqlToken[] {
  return sqlTokens(sql).filter((t) => t.kind !== 'comment' && t.text.trim() !== '')
}

export function firstWord(sql: string): string {
  return meaningful(sql)[0]?.text.toLowerCase() ?? ''
}

export const isSubscribe = (sql: string): boolean => firstWord(sql) === 'subscribe'

const reading = new Set(['select', 'with', 'values', 'show', 'describe', 'explain', 'subscribe'])

/** One statement that changes nothing: only such may run because a link was opened. */
export function onlyReads(sql: string): boolean {
  const tokens = meaningful(sql)
  const semicolon = tokens.findIndex((t) => t.text === ';')
  if (semicolon >= 0 && semicolon < tokens.length - 1) return false
  if (!reading.has(tokens[0]?.text.toLowerCase() ?? '')) return false
  return !tokens.some(
    (t) => /^(insert|update|delete|create|drop|alter|merge|into|call|do)$/i.test(t.text) && t.kind !== 'text',
  )
}

/** A name as SQL text: quoted unless it is plain. */
export function quoteName(name: string): string {
  return /^[a-z_][a-z0-9_]*$/.test(name) && !keywords.has(name) ? name : `"${name.replaceAll('"', '""')}"`
}
