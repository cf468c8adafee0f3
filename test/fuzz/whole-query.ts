/** Random queries over the relations of a dataset: any mix of the parts, and some shapes that only streams have. */
import { aggregateOf } from './aggregates.ts'
import { type Expr, type From, type Item, query, type Query, type Select, type Window } from './node.ts'
import { type Cte, type Output, outputs, plain, QueryParts, scopeOf } from './query.ts'
import { columnExpr, comparable, compared, same, type Scope } from './terms.ts'

interface Side {
  readonly alias: string
  readonly query: Query
  readonly scope: Scope
}
export class Queries extends QueryParts {
  /** A whole query; what its columns are follows from its text. */
  query(): Query {
    const made = this.whole()
    return { ...made, ctes: [...this.common, ...made.ctes] }
  }
  private whole(): Query {
    const { chance } = this
    const special = chance.weighted([
      [72, null],
      [5, 'interval'],
      [4, 'windows'],
      [4, 'close'],
      [4, 'session'],
      [3, 'temporal'],
      [8, 'running'],
    ] as const)
    if (special === 'close') return this.onClose()
    if (special === 'windows') return this.windowJoin()
    if (special === 'session') return this.sessions()
    if (special === 'temporal') return this.temporal()
    if (special === 'interval') return this.intervalJoin()
    if (special === 'running') return this.over(chance.is(0.6) ? null : 1).query
    const ctes: Cte[] = []
    while (ctes.length < 2 && chance.is(0.12)) {
      const made = this.rows(1)
      ctes.push({ ...made, name: `w${ctes.length}` })
      this.ctes.push(ctes.at(-1)!)
    }
    const made = this.rows(
      chance.weighted([
        [7, 2],
        [3, 3],
        [1, 4],
      ] as const),
    )
    return { ...made.query, ctes: ctes.map(({ name, query: inner }) => ({ name, query: inner })) }
  }
  /** Groups of windows that meet groups of the same windows. */
  private windowJoin(): Query {
    const { chance } = this
    const first = this.windowed()
    const again = chance.is(0.4) ? first : this.windowed()
    const sides = [first, again].map(({ from, scope }) => {
      const bounds = scope.slice(-2)
      const more = chance.is(0.5)
        ? [chance.pick(scope.filter((c) => c.exact && c.kind !== 'struct' && !bounds.includes(c)))]
        : []
      const keys = [...bounds, ...more].map(columnExpr)
      const made = Array.from({ length: chance.int(1, 2) }, () => aggregateOf(this.make, scope))
      const items = [...keys, ...made].map((e, i): Item => ({ expr: e, name: `c${i}` }))
      const alias = this.alias()
      const body = { ...plain(items, from, this.where(scope, 0)), groupBy: keys }
      return { alias, query: query(body), scope: scopeOf(alias, outputs(items)) }
    }) as unknown as [Side, Side]
    const [l, r] = sides
    const on = [0, 1]
      .filter((i) => i === 1 || chance.is(0.7))
      .map((i) => compared('($1 = $2)', [columnExpr(l.scope[i]!), columnExpr(r.scope[i]!)]))
    if (chance.is(0.3)) on.push(...this.equalities(l.scope.slice(2), r.scope.slice(2)))
    const derived = ({ alias, query: inner }: Side): From => ({ node: 'derived', query: inner, alias })
    const from: From = {
      node: 'join',
      kind: chance.pick(['inner', 'inner', 'left', 'right', 'full']),
      left: derived(l),
      right: derived(r),
      on,
    }
    const both = [...l.scope, ...r.scope]
    if (chance.is(0.3)) return this.grouped(from, both, []).query
    const items = Array.from({ length: chance.int(2, 5) }, (_, i): Item => ({
      expr: this.make.item(both, 1),
      name: `c${i}`,
    }))
    return query(plain(items, from, chance.is(0.3) ? [this.make.condition(both, 1)] : []))
  }
  private sessions(): Query {
    const { chance } = this
    const { name, columns } = this.stream()
    const alias = this.alias()
    const by = chance.pick(
      columns.filter((c) => comparable.includes(c.kind) && c.name !== 'happened' && c.name !== 'id'),
    )
    const window: Window = {
      kind: 'session',
      time: 'happened',
      slideMinutes: chance.pick([1, 4, 10]),
      sizeMinutes: 0,
      by: by.name,
    }
    const bounds: Output[] = ['window_start', 'window_end'].map((bound) => ({
      name: bound,
      kind: 'timestamptz',
      bound: 0,
      exact: true,
    }))
    const keys = scopeOf(alias, [by, ...bounds]).map(columnExpr)
    const scope = scopeOf(alias, columns)
    const where = chance.is(0.2) ? [this.make.condition(scopeOf(alias, [by]), 1)] : []
    const from: From = { node: 'table', name, alias, window }
    const made = this.groupedBy(from, scope, where, keys)
    return { ...made.query, onClose: chance.is(0.3) }
  }
  /** Each row of a stream with the row of a table as it was then. */
  private temporal(): Query {
    const { chance } = this
    const stream = this.stream()
    const table = chance.pick(this.relations.filter((r) => r.kind === 'table'))
    const [alias, tableAlias] = [this.alias(), this.alias()]
    const scope = scopeOf(alias, stream.columns)
    const keys = table.key.map((of) => {
      const { kind } = table.columns.find((c) => c.name === of)!
      const like = scope.filter((c) => c.kind === kind && c.exact)
      return {
        of,
        is: like.length > 0 && chance.is(0.8) ? columnExpr(chance.pick(like)) : this.make.of(scope, kind, 1),
      }
    })
    const from: From = {
      node: 'temporal',
      kind: chance.pick(['inner', 'left']),
      stream: stream.name,
      table: table.name,
      alias,
      tableAlias,
      keys,
    }
    const both = [...scope, ...scopeOf(tableAlias, table.columns)]
    const items = Array.from({ length: chance.int(1, 5) }, (_, i): Item => ({
      expr: this.make.item(both, 2),
      name: `c${i}`,
    }))
    const where = chance.is(0.3) ? [this.make.condition(both, 1)] : []
    const made = chance.is(0.3) ? this.grouped(from, both, where).query : query(plain(items, from, where))
    return { ...made, waits: true }
  }
  /** Events of two streams that are near one another. */
  private intervalJoin(): Query {
    const { chance } = this
    const sides = [this.stream(), this.stream()].map(({ name, columns }) => {
      const alias = this.alias()
      return { from: { node: 'table', name, alias, window: null } as const, scope: scopeOf(alias, columns) }
    })
    const [l, r] = sides as [(typeof sides)[0], (typeof sides)[0]]
    const minutes = (): string => `INTERVAL '${chance.pick([0, 1, 5, 20])} minutes'`
    const [a, b] = chance.shuffled([l, r]).map(({ scope }) => columnExpr(scope.at(-1)!)) as [Expr, Expr]
    const low = `$1 - ${minutes()}`
    const high = `$1 + ${minutes()}`
    const near = chance.pick([
      `($2 BETWEEN ${low} AND ${high})`,
      `(($2 > ${low}) AND ($2 <= ${high}))`,
      `(($2 >= $1) AND (${high} > $2))`,
    ])
    const bounds = /AND/.test(near) && near.startsWith('((') ? near.slice(1, -1).split(' AND ') : [near]
    const kind = chance.pick(['inner', 'inner', 'left', 'right', 'full'] as const)
    const equal = chance.is(0.8) || kind === 'full' ? this.equalities(l.scope, r.scope) : []
    const more = kind !== 'full' && chance.is(0.2) ? [this.make.condition([...l.scope, ...r.scope], 1)] : []
    const on = chance.shuffled([...equal, ...more, ...bounds.map((text) => same(text, [a, b], { kind: 'boolean' }))])
    const from: From = { node: 'join', kind, left: l.from, right: r.from, on }
    const both = [...l.scope, ...r.scope]
    const waits = kind !== 'inner'
    if (chance.is(0.3)) return { ...this.grouped(from, both, this.where(both, 0)).query, waits }
    const items = Array.from({ length: chance.int(1, 5) }, (_, i): Item => ({
      expr: this.make.item(both, 1),
      name: `c${i}`,
    }))
    return query(plain(items, from, this.where(both, 0)), { waits })
  }
  /** Each window once, when it is over. */
  private onClose(): Query {
    const { from, scope } = this.windowed()
    const made = this.grouped(from, scope, this.where(scope, 0))
    const body = made.query.body as Select
    const bounds = scope.slice(-2).map(columnExpr)
    const others = body.groupBy.filter((key) => !bounds.some((b) => b.ours === key.ours))
    return { ...made.query, body: { ...body, groupBy: [...bounds, ...others] }, onClose: true }
  }
}
