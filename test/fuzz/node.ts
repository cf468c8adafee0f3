/**
 * Queries as trees that print themselves in our dialect and in DuckDB's. An expression carries both texts as templates
 * ($1, $2 … stand for its parts), its type, and what is known of its values: whether both sides agree on every bit
 * (`exact`), and how large a number may get (`bound`), so that nothing overflows.
 */
import { startUs, versionMs } from './times.ts'

export type Kind =
  | 'boolean'
  | 'smallint'
  | 'int'
  | 'bigint'
  | 'numeric'
  | 'real'
  | 'double'
  | 'text'
  | 'bytea'
  | 'uuid'
  | 'date'
  | 'time'
  | 'timestamp'
  | 'timestamptz'
  | 'jsonb'
  | 'struct'
export interface Typed {
  readonly kind: Kind
  /** Digits after the point that DuckDB's DECIMAL keeps; numerics only. */
  readonly scale?: number
  /** No number is larger; Infinity for doubles that may be infinite or NaN. */
  readonly bound: number
  readonly exact: boolean
}
export interface Expr extends Typed {
  readonly node: 'expr'
  readonly ours: string
  readonly theirs: string
  readonly args: readonly (Expr | Query)[]
}
export interface Item {
  readonly expr: Expr
  readonly name: string
}
export interface Order {
  readonly expr: Expr
  readonly descending: boolean
  /** null: not written in ours, where it is last going up and first going down. */
  readonly nullsFirst: boolean | null
}
export interface Window {
  readonly kind: 'tumble' | 'hop' | 'cumulate' | 'session'
  readonly time: string
  readonly sizeMinutes: number
  /** Of a session the gap. */
  readonly slideMinutes: number
  /** The column that sessions are apart by. */
  readonly by?: string
}
export type From =
  | { readonly node: 'table'; readonly name: string; readonly alias: string; readonly window: Window | null }
  | { readonly node: 'derived'; readonly query: Query; readonly alias: string }
  | {
      readonly node: 'join'
      readonly kind: 'inner' | 'left' | 'right' | 'full' | 'cross' | 'comma'
      readonly left: From
      readonly right: From
      readonly on: readonly Expr[]
      readonly using?: string
    }
  | Temporal
export interface Temporal {
  readonly node: 'temporal'
  readonly kind: 'inner' | 'left'
  readonly stream: string
  readonly table: string
  readonly alias: string
  readonly tableAlias: string
  /** What the columns of the table's key equal. */
  readonly keys: readonly { readonly of: string; readonly is: Expr }[]
}
export interface Select {
  readonly node: 'select'
  readonly distinct: boolean
  readonly items: readonly Item[]
  readonly from: From
  readonly where: readonly Expr[]
  readonly groupBy: readonly Expr[]
  readonly having: readonly Expr[]
  /** GROUP BY 1, 2, … where the list shows the key. */
  readonly byPosition?: boolean
}
export interface SetOperation {
  readonly node: 'set'
  readonly op: 'UNION' | 'UNION ALL' | 'INTERSECT' | 'EXCEPT'
  readonly left: Query
  readonly right: Query
  /** DuckDB makes one DECIMAL of the numerics of both sides. */
  readonly columns: readonly { readonly name: string; readonly scale?: number; readonly exact: boolean }[]
}
export interface Query {
  readonly node: 'query'
  readonly ctes: readonly { readonly name: string; readonly query: Query }[]
  readonly body: Select | SetOperation
  readonly orderBy: readonly Order[]
  readonly limit: number | null
  readonly offset: number
  readonly onClose: boolean
  /** Rows come when the watermark has passed them. */
  readonly waits: boolean
}
export type Side = 'ours' | 'theirs'

export const query = (body: Query['body'], more: Partial<Query> = {}): Query => ({
  node: 'query',
  ctes: [],
  body,
  orderBy: [],
  limit: null,
  offset: 0,
  onClose: false,
  waits: false,
  ...more,
})

export function exprText(expr: Expr, side: Side): string {
  return expr[side].replace(/\$(\d)/g, (_, n: string) => {
    const part = expr.args[Number(n) - 1]!
    return part.node === 'expr' ? exprText(part, side) : `(${queryText(part, side)})`
  })
}
const list = (exprs: readonly Expr[], side: Side, separator: string): string =>
  exprs.map((expr) => exprText(expr, side)).join(separator)

export function orderText(orders: readonly Order[], side: Side): string {
  return orders
    .map(({ expr, descending, nullsFirst }) => {
      const nulls = nullsFirst ?? (side === 'theirs' ? descending : null)
      const end = nulls === null ? '' : nulls ? ' NULLS FIRST' : ' NULLS LAST'
      return `${exprText(expr, side)}${descending ? ' DESC' : ''}${end}`
    })
    .join(', ')
}
export function queryText(q: Query, side: Side): string {
  const ctes = q.ctes.map(({ name, query: inner }) => `${name} AS (${queryText(inner, side)})`).join(', ')
  const order = q.orderBy.length === 0 ? '' : ` ORDER BY ${orderText(q.orderBy, side)}`
  const limit = q.limit === null ? '' : ` LIMIT ${q.limit}`
  const offset = q.offset === 0 ? '' : ` OFFSET ${q.offset}`
  const close = q.onClose && side === 'ours' ? ' EMIT ON WINDOW CLOSE' : ''
  const body = q.body.node === 'select' ? selectText(q.body, side) : setText(q.body, side)
  return `${ctes === '' ? '' : `WITH ${ctes} `}${body}${order}${limit}${offset}${close}`
}
function setText({ op, left, right, columns }: SetOperation, side: Side): string {
  const part = (inner: Query): string => {
    const text = queryText(inner, side)
    if (side === 'ours' || columns.every((c) => c.scale === undefined)) return `(${text})`
    const typeOf = (scale: number, exact: boolean): string => (exact ? `DECIMAL(38,${scale})` : 'DOUBLE')
    const casts = columns.map(({ name, scale, exact }) =>
      scale === undefined ? name : `CAST(${name} AS ${typeOf(scale, exact)}) AS ${name}`,
    )
    return `(SELECT ${casts.join(', ')} FROM (${text}) _s)`
  }
  return `${part(left)} ${op} ${part(right)}`
}
function selectText(s: Select, side: Side): string {
  const items = s.items.map(({ expr, name }) => exprText(expr, side) + (name === '' ? '' : ` AS ${name}`)).join(', ')
  const where = s.where.length === 0 ? '' : ` WHERE ${list(s.where, side, ' AND ')}`
  const group = s.groupBy.length === 0 ? '' : ` GROUP BY ${s.groupBy.map((key) => keyText(s, key, side)).join(', ')}`
  const having = s.having.length === 0 ? '' : ` HAVING ${list(s.having, side, ' AND ')}`
  return `SELECT ${s.distinct ? 'DISTINCT ' : ''}${items} FROM ${fromText(s.from, side)}${where}${group}${having}`
}
function keyText({ items, byPosition }: Select, key: Expr, side: Side): string {
  const at = byPosition === true ? items.findIndex(({ expr }) => expr === key) : -1
  return at < 0 ? exprText(key, side) : String(at + 1)
}
const joinWords = { inner: 'JOIN', left: 'LEFT JOIN', right: 'RIGHT JOIN', full: 'FULL JOIN', cross: 'CROSS JOIN' }
function fromText(from: From, side: Side): string {
  switch (from.node) {
    case 'table':
      return `${from.window === null ? from.name : windowText(from.name, from.window, side)} ${from.alias}`
    case 'temporal':
      return temporalText(from, side)
    case 'derived':
      return `(${queryText(from.query, side)}) ${from.alias}`
    case 'join': {
      const left = fromText(from.left, side)
      const right = from.right.node === 'join' ? `(${fromText(from.right, side)})` : fromText(from.right, side)
      if (from.kind === 'comma') return `${left}, ${right}`
      if (from.using !== undefined) return `${left} ${joinWords[from.kind]} ${right} USING (${from.using})`
      const on = from.kind === 'cross' ? '' : ` ON ${list(from.on, side, ' AND ')}`
      return `${left} ${joinWords[from.kind]} ${right}${on}`
    }
  }
}
function temporalText({ kind, stream, table, alias, tableAlias, keys }: Temporal, side: Side): string {
  const word = kind === 'inner' ? 'JOIN' : 'LEFT JOIN'
  const on = keys.map(({ of, is }) => `${tableAlias}.${of} = ${exprText(is, side)}`).join(' AND ')
  if (side === 'ours')
    return `${stream} ${alias} ${word} ${table} FOR SYSTEM_TIME AS OF ${alias}.happened AS ${tableAlias} ON ${on}`
  const at = (change: string): string => `${startUs} + ${tableAlias}.${change}::BIGINT * ${versionMs * 1000}`
  const us = `epoch_us(${alias}.happened)`
  const seen = `${tableAlias}._from < getvariable('seen')`
  return `${stream} ${alias} ${word} log_${table} ${tableAlias} ON ${on} AND ${at('_from')} <= ${us} AND ${us} < ${at('_to')} AND ${seen}`
}
function sessionText(name: string, { time, slideMinutes, by }: Window, side: Side): string {
  const gap = `INTERVAL '${slideMinutes} minutes'`
  if (side === 'ours') return `SESSION(${name}, ${time}, ${gap}, ${by})`
  const apart = `(PARTITION BY ${by} ORDER BY ${time})`
  const before = `(SELECT *, lag(${time}) OVER ${apart} AS _before FROM ${name})`
  const numbered = `(SELECT *, sum(CASE WHEN ${time} - _before <= ${gap} THEN 0 ELSE 1 END) OVER ${apart} AS _session FROM ${before})`
  const whole = `(PARTITION BY ${by}, _session)`
  return `(SELECT * EXCLUDE (_before, _session), min(${time}) OVER ${whole} AS window_start, max(${time}) OVER ${whole} + ${gap} AS window_end FROM ${numbered})`
}
function windowText(name: string, window: Window, side: Side): string {
  const { kind, time, sizeMinutes: size, slideMinutes: slide } = window
  if (kind === 'session') return sessionText(name, window, side)
  if (side === 'ours') {
    const minutes = (n: number): string => `INTERVAL '${n} minutes'`
    if (kind === 'tumble') return `TUMBLE(${name}, ${time}, ${minutes(size)})`
    return `${kind.toUpperCase()}(${name}, ${time}, ${minutes(slide)}, ${minutes(size)})`
  }
  const us = (n: number): string => String(n * 60_000_000)
  const floor = (n: number): string => `(epoch_us(${time}) // ${us(n)}) * ${us(n)}`
  const made = (start: string, end: string, from = ''): string =>
    `(SELECT *, make_timestamp((${start})::BIGINT) AS window_start, make_timestamp((${end})::BIGINT) AS window_end FROM ${name}${from})`
  if (kind === 'tumble') return made(floor(size), `${floor(size)} + ${us(size)}`)
  if (kind === 'hop') {
    const start = `${floor(slide)} - r.k * ${us(slide)}`
    return made(start, `${start} + ${us(size)}`, `, range(0, ${size / slide}) r(k)`).replace(
      'SELECT *',
      `SELECT ${name}.*`,
    )
  }
  const end = `${floor(size)} + r.k * ${us(slide)}`
  return made(floor(size), end, `, range(1, ${size / slide + 1}) r(k) WHERE ${end} > epoch_us(${time})`).replace(
    'SELECT *',
    `SELECT ${name}.*`,
  )
}
