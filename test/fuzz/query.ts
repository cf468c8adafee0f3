/**
 * The parts of random queries: SELECTs, joins, groups, set operations, row numbers. One long file: queries nest in one
 * another, and each part makes any other.
 */
import type { Chance } from './chance.ts'
import { aggregateOf } from './aggregates.ts'
import { overItems, type OverSource } from './over.ts'
import { Expressions } from './expressions.ts'
import {
  areCompared,
  columnExpr,
  comparable,
  compared,
  expr,
  kindFor,
  kindIn,
  literalOf,
  ordered,
  same,
  type Scope,
  type Scoped,
} from './terms.ts'
import {
  type Expr,
  type From,
  type Item,
  type Kind,
  type Order,
  query,
  type Query,
  type Select,
  type Typed,
  type Window,
} from './node.ts'
import type { Relation } from './tables.ts'

export interface Output extends Typed {
  readonly name: string
}
interface Made {
  readonly query: Query
  readonly columns: readonly Output[]
}
export interface Cte extends Made {
  readonly name: string
}
export const outputs = (items: readonly Item[]): Output[] =>
  items.map(({ expr: { kind, scale, bound, exact }, name }) => ({
    name,
    kind,
    bound,
    exact,
    ...(scale === undefined ? {} : { scale }),
  }))
export const scopeOf = (alias: string, columns: readonly Output[]): Scope =>
  columns.map((c) => ({ ...c, text: `${alias}.${c.name}` }))
const typed = (column: Output): Typed => column

export class QueryParts {
  protected readonly chance: Chance
  protected readonly relations: readonly Relation[]
  protected readonly make: Expressions
  protected readonly ctes: Cte[] = []
  /** Those that only windows read; they stand first. */
  protected readonly common: { readonly name: string; readonly query: Query }[] = []
  protected aliases = 0
  /** What the parts of a SELECT may name. */
  protected readonly scopes = new WeakMap<object, Scope>()

  constructor(chance: Chance, relations: readonly Relation[]) {
    this.chance = chance
    this.relations = relations
    this.make = new Expressions(chance)
  }

  protected alias(): string {
    return `a${this.aliases++}`
  }
  /** Rows of some shape. With `like`, of these types, under these names. */
  protected rows(depth: number, like: readonly Output[] | null = null): Made {
    const { chance } = this
    if (depth > 0) {
      const shape = chance.weighted([
        [70, 'select'],
        [12, 'set'],
        [8, 'top'],
        [7, 'rank'],
        [3, 'distinct'],
        [4, 'over'],
      ] as const)
      if (shape === 'set') return this.setOperation(depth - 1, like)
      if (shape === 'top') return this.top(chance.is(0.7) ? this.select(depth - 1, like) : this.rows(depth - 1, like))
      if (shape === 'rank' && like === null) return this.ranked(this.select(depth - 1))
      if (shape === 'over' && like === null) return chance.is(0.4) ? this.overGroups(depth - 1) : this.over(depth - 1)
      if (shape === 'distinct') {
        const made = this.select(depth - 1, like)
        const { body } = made.query
        if (body.node === 'select' && made.columns.every((c) => c.exact))
          return { ...made, query: { ...made.query, body: { ...body, distinct: true } } }
        return made
      }
    }
    return this.select(depth, like)
  }

  protected select(depth: number, like: readonly Output[] | null = null): Made {
    const { chance } = this
    const { from, scope } = this.from(depth)
    const where = this.where(scope, depth)
    if (like === null && chance.is(0.42)) return this.grouped(from, scope, where)
    const items = (like ?? Array.from({ length: chance.int(1, 5) })).map((wanted, i): Item => {
      if (like === null) return { expr: this.listed(scope, depth), name: `c${i}` }
      return { expr: this.make.of(scope, kindFor(chance, wanted!.kind), 2), name: wanted!.name }
    })
    const body = plain(items, from, where)
    this.scopes.set(body, scope)
    return { query: query(body), columns: outputs(items) }
  }
  protected listed(scope: Scope, depth: number): Expr {
    if (depth > 0 && this.chance.is(0.05)) return this.value(depth - 1, null)
    return this.make.item(scope, 3)
  }

  // FROM

  protected from(depth: number): { from: From; scope: Scope } {
    const { chance } = this
    const shape = chance.weighted([
      [62, 'one'],
      [30, 'join'],
      [8, 'window'],
    ] as const)
    if (shape === 'one') return this.one(depth)
    if (shape === 'window') return this.windowed()
    const left = this.one(depth)
    let joined = this.join(left, this.one(depth))
    const { from } = joined
    const mayGrow = from.node === 'join' && from.kind !== 'comma' && from.using === undefined
    if (mayGrow && chance.is(0.2)) joined = this.join(joined, this.one(0))
    return joined
  }
  protected one(depth: number): { from: From; scope: Scope } {
    const { chance } = this
    const alias = this.alias()
    if (this.ctes.length > 0 && chance.is(0.4)) {
      const cte = chance.pick(this.ctes)
      return { from: { node: 'table', name: cte.name, alias, window: null }, scope: scopeOf(alias, cte.columns) }
    }
    if (depth > 0 && chance.is(0.3)) {
      const made = this.rows(depth - 1)
      return { from: { node: 'derived', query: made.query, alias }, scope: scopeOf(alias, made.columns) }
    }
    const { name, columns } = chance.pick(this.relations)
    if (chance.is(0.08)) {
      const inner = this.alias()
      const where = chance.is(0.5) ? [this.make.condition(scopeOf(inner, columns), 1)] : []
      const all = plain(
        [{ expr: same('*', [], { kind: 'int' }), name: '' }],
        { node: 'table', name, alias: inner, window: null },
        where,
      )
      return { from: { node: 'derived', query: query(all), alias }, scope: scopeOf(alias, columns) }
    }
    return { from: { node: 'table', name, alias, window: null }, scope: scopeOf(alias, columns) }
  }
  /** A stream, or some of its rows as a common table expression. */
  protected timed(): { readonly name: string; readonly columns: readonly Output[] } {
    const { chance } = this
    const stream = this.stream()
    if (this.common.length > 2 || chance.is(0.8)) return stream
    const inner = this.alias()
    const scope = scopeOf(inner, stream.columns)
    const kept = stream.columns.filter((c) => c.name === 'happened' || chance.is(0.7))
    const items = kept.map((c): Item => ({ expr: columnExpr({ ...c, text: `${inner}.${c.name}` }), name: c.name }))
    const from: From = { node: 'table', name: stream.name, alias: inner, window: null }
    const name = `e${this.common.length}`
    this.common.push({ name, query: query(plain(items, from, [this.make.condition(scope, 1)])) })
    return { name, columns: kept }
  }
  protected windowed(): { from: From; scope: Scope } {
    const { chance } = this
    const { name, columns } = this.timed()
    const alias = this.alias()
    const slide = chance.pick([5, 10])
    const kind = chance.weighted([
      [4, 'tumble'],
      [3, 'hop'],
      [1, 'cumulate'],
    ] as const)
    const window: Window = { kind, time: 'happened', slideMinutes: slide, sizeMinutes: slide * chance.int(1, 3) }
    const bounds: Output[] = ['window_start', 'window_end'].map((bound) => ({
      name: bound,
      kind: 'timestamptz',
      bound: 0,
      exact: true,
    }))
    return { from: { node: 'table', name, alias, window }, scope: scopeOf(alias, [...columns, ...bounds]) }
  }
  protected join(
    left: { from: From; scope: Scope },
    right: { from: From; scope: Scope },
  ): { from: From; scope: Scope } {
    const { chance } = this
    const scope = [...left.scope, ...right.scope]
    const equal = this.equalities(left.scope, right.scope)
    let kind = chance.weighted([
      [8, 'inner'],
      [6, 'left'],
      [4, 'right'],
      [4, 'full'],
      [2, 'comma'],
      [1, 'cross'],
    ] as const)
    if (equal.length === 0) kind = 'cross'
    // A comma binds less than JOIN.
    if (kind === 'comma' && left.from.node === 'join') kind = 'cross'
    const named = chance.shuffled(this.commonNames(left.scope, right.scope)).slice(0, chance.is(0.25) ? 2 : 1)
    if (named.length > 0 && kind !== 'comma' && kind !== 'cross' && chance.is(0.25)) {
      const from: From = {
        node: 'join',
        kind,
        left: left.from,
        right: right.from,
        on: [],
        using: named.map((c) => c.text).join(', '),
      }
      return { from, scope: [...scope, ...named, ...named] }
    }
    if (kind === 'comma' || kind === 'cross')
      return { from: { node: 'join', kind, left: left.from, right: right.from, on: [] }, scope }
    // DuckDB joins both ways by equalities only.
    const more = kind !== 'full' && chance.is(0.25) ? [this.make.condition(scope, 1)] : []
    return { from: { node: 'join', kind, left: left.from, right: right.from, on: [...equal, ...more] }, scope }
  }
  /** Columns that both have, and that may be named without either's. */
  protected commonNames(left: Scope, right: Scope): Scoped[] {
    const isOne = (scope: Scope): boolean => new Set(scope.map((c) => c.text.split('.')[0])).size === 1
    if (!isOne(left) || !isOne(right)) return []
    const nameOf = (c: Scoped): string => c.text.slice(c.text.indexOf('.') + 1)
    return left.flatMap((l) =>
      right
        .filter(
          (r) => nameOf(l) === nameOf(r) && l.kind === r.kind && l.exact && r.exact && comparable.includes(l.kind),
        )
        .map((r): Scoped => ({
          ...l,
          text: nameOf(l),
          bound: Math.max(l.bound, r.bound),
          ...(l.scale === undefined ? {} : { scale: Math.max(l.scale, r.scale ?? 0) }),
        })),
    )
  }
  protected equalities(left: Scope, right: Scope): Expr[] {
    const { chance } = this
    const pairs = left.flatMap((l) =>
      right
        .filter(
          (r) =>
            (l.kind === r.kind || (chance.is(0.2) && areCompared(l.kind, r.kind))) &&
            l.exact &&
            r.exact &&
            comparable.includes(l.kind),
        )
        .map((r) => [l, r] as const),
    )
    if (pairs.length === 0) return []
    // Columns of few values, under one name.
    const nameOf = (c: Scoped): string => c.text.slice(c.text.indexOf('.') + 1)
    const likely = pairs.filter(
      ([l, r]) => nameOf(l) === nameOf(r) && /^(?:k|t|id|f|d|g|y|window_\w+|c0)$/.test(nameOf(l)),
    )
    const one = (): Expr => {
      const [l, r] = chance.pick(likely.length > 0 && chance.is(0.7) ? likely : pairs)
      if (chance.is(0.85)) return compared('($1 = $2)', [columnExpr(l), columnExpr(r)])
      return compared('($1 = $2)', [this.make.of([l], l.kind, 1), this.make.of([r], r.kind, 1)])
    }
    return chance.is(0.25) ? [one(), one()] : [one()]
  }

  // WHERE

  protected where(scope: Scope, depth: number): Expr[] {
    const { chance } = this
    const out: Expr[] = []
    if (chance.is(0.35)) out.push(this.make.condition(scope, 2))
    if (chance.is(0.1)) out.push(this.make.condition(scope, 1))
    if (depth > 0 && chance.is(0.22)) out.push(this.subqueryTest(scope, depth - 1))
    return out
  }
  protected subqueryTest(scope: Scope, depth: number): Expr {
    const { chance } = this
    const shape = chance.weighted([
      [4, 'in'],
      [3, 'exists'],
      [2, 'value'],
    ] as const)
    const not = chance.is(0.35) ? 'NOT ' : ''
    const kind = kindIn(chance, scope, comparable)
    if (shape === 'value') {
      const of = kindIn(chance, scope, ordered)
      const value = this.value(depth, of)
      return compared(`($1 ${chance.pick(['<', '>=', '=', '<>'])} $2)`, [this.make.of(scope, of, 1), value])
    }
    if (shape === 'in' && chance.is(0.3)) {
      const { query: list, columns } = this.rows(depth, [
        { name: 'c0', kind, bound: 0, exact: true, ...(kind === 'numeric' ? { scale: 4 } : {}) },
      ])
      if (kind !== 'numeric' && columns[0]!.exact)
        return same(`($1 ${not}IN $2)`, [this.make.of(scope, kind, 1), list], { kind: 'boolean' })
    }
    const { from, scope: inner } = this.one(0)
    const correlated = shape === 'exists' ? chance.is(0.85) : chance.is(0.25)
    const where = chance.is(0.4) ? [this.make.condition(inner, 1)] : []
    if (correlated) {
      const equal = this.equalities(inner, scope)
      if (equal.length > 0) where.push(equal[0]!)
      if (chance.is(0.2)) where.push(this.make.condition([...inner, ...scope], 1))
    }
    if (shape === 'exists')
      return same(`(${not}EXISTS $1)`, [query(plain([{ expr: this.make.any(inner, 0), name: 'c0' }], from, where))], {
        kind: 'boolean',
      })
    const looked = this.make.of(inner, kind, 1)
    const arg = this.make.of(scope, kind, 1)
    const as = `CAST($1 AS DECIMAL(38,${Math.max(arg.scale ?? 0, looked.scale ?? 0)}))`
    const whole = (of: Expr): Expr => (kind === 'numeric' ? expr('$1', as, [of], of) : of)
    const list = query(plain([{ expr: whole(looked), name: 'c0' }], from, where))
    return same(`($1 ${not}IN $2)`, [whole(arg), list], { kind: 'boolean' })
  }
  /** A query of one row and one column. */
  protected value(depth: number, wanted: Kind | null): Expr {
    const { chance } = this
    const { from, scope } = this.one(depth)
    const where = chance.is(0.4) ? [this.make.condition(scope, 1)] : []
    const kind = wanted ?? kindIn(chance, scope, ordered)
    const made = this.make.of(scope, kind, 1)
    const item =
      chance.is(0.7) || !ordered.includes(kind) ? same(`${chance.pick(['min', 'max'])}($1)`, [made], made) : made
    const whole: Query =
      item === made
        ? query(plain([{ expr: made, name: 'c0' }], from, where), {
            orderBy: [{ expr: same('1', [], { kind: 'int' }), descending: chance.is(0.5), nullsFirst: null }],
            limit: 1,
          })
        : query(plain([{ expr: item, name: 'c0' }], from, where))
    const { scale, bound, exact } = item
    return expr('$1', '$1', [whole], { kind, bound, exact, ...(scale === undefined ? {} : { scale }) })
  }

  // GROUP BY

  protected grouped(from: From, scope: Scope, where: readonly Expr[]): Made {
    return this.groupedBy(from, scope, where, this.groupKeys(scope))
  }
  protected groupedBy(from: From, scope: Scope, where: readonly Expr[], keys: readonly Expr[]): Made {
    const { chance } = this
    const aggregates = Array.from({ length: chance.int(keys.length === 0 ? 1 : 0, 3) }, () =>
      aggregateOf(this.make, scope),
    )
    const shown = keys.filter(() => chance.is(0.9))
    const groups = groupScope(keys, aggregates)
    const list = [...shown, ...aggregates]
    if (groups.length > 0 && chance.is(0.3)) list.push(this.make.item(groups, 2))
    const items = list.map((made, i): Item => ({ expr: made, name: `c${i}` }))
    if (items.length === 0) items.push({ expr: aggregateOf(this.make, scope), name: 'c0' })
    const having = chance.is(0.2)
      ? [chance.is(0.4) && groups.length > 0 ? this.make.condition(groups, 1) : this.having(scope, keys)]
      : []
    const body: Select = {
      ...plain(chance.is(0.5) ? items : this.shuffled(items), from, where),
      groupBy: keys,
      having,
      byPosition: chance.is(0.3),
    }
    this.scopes.set(body, groups)
    return { query: query(body), columns: outputs(body.items) }
  }
  /** Window functions that see groups. */
  protected overGroups(depth: number): Made {
    const { from, scope } = this.one(depth)
    const keys = this.groupKeys(scope)
      .filter((key) => comparable.includes(key.kind))
      .slice(0, 2)
    const aggregates = Array.from({ length: 2 }, () => aggregateOf(this.make, scope))
    const groups = groupScope(keys, aggregates)
    const items = overItems(this.make, { scope: groups, unique: groups.slice(0, keys.length), time: null }).items
    const body: Select = { ...plain(items, from, this.where(scope, 0)), groupBy: keys }
    return { query: query(body), columns: outputs(items) }
  }
  protected shuffled(items: readonly Item[]): Item[] {
    return this.chance.shuffled(items).map(({ expr: made }, i) => ({ expr: made, name: `c${i}` }))
  }
  protected groupKeys(scope: Scope): Expr[] {
    const { chance } = this
    const bounds = scope.filter((c) => c.text.endsWith('.window_start') || c.text.endsWith('.window_end'))
    const keys = bounds.length === 2 && chance.is(0.85) ? bounds.map(columnExpr) : []
    const columns = scope.filter((c) => c.exact && c.kind !== 'struct')
    for (
      let n = chance.weighted([
        [2, 0],
        [5, 1],
        [3, 2],
      ] as const);
      n > 0 && columns.length > 0;
      n--
    ) {
      if (chance.is(0.75)) keys.push(columnExpr(chance.pick(columns)))
      else {
        const made = this.make.of(scope, kindIn(chance, scope, comparable), 2)
        if (readsColumn(made)) keys.push(made)
      }
    }
    const texts = new Set<string>()
    return keys.filter((key) => !texts.has(JSON.stringify(key)) && texts.add(JSON.stringify(key)))
  }
  protected having(scope: Scope, keys: readonly Expr[]): Expr {
    const { chance } = this
    if (keys.length > 0 && chance.is(0.25))
      return same(`($1 IS ${chance.pick(['', 'NOT '])}NULL)`, [chance.pick(keys)], { kind: 'boolean' })
    for (let tries = 0; tries < 10; tries++) {
      const made = aggregateOf(this.make, scope)
      if (!made.exact || !comparable.includes(made.kind)) continue
      const other = chance.is(0.5) ? literalOf(chance, made.kind) : made
      return compared(`($1 ${chance.pick(['<', '>', '<=', '>=', '=', '<>'])} $2)`, [made, other])
    }
    return same('(count(*) > 1)', [], { kind: 'boolean' })
  }

  // Around other queries

  protected setOperation(depth: number, like: readonly Output[] | null): Made {
    const { chance } = this
    const left = this.rows(depth, like)
    const op = left.columns.every((c) => c.exact)
      ? chance.pick(['UNION', 'UNION ALL', 'INTERSECT', 'EXCEPT'] as const)
      : 'UNION ALL'
    const right = this.rows(depth, left.columns)
    const columns = left.columns.map((l, i): Output => {
      const r = right.columns[i]!
      const scale = Math.max(l.scale ?? 0, r.scale ?? 0)
      return {
        ...typed(l),
        name: l.name,
        bound: Math.max(l.bound, r.bound),
        exact: l.exact && r.exact,
        ...(l.kind === 'numeric' ? { scale } : {}),
      }
    })
    return { query: query({ node: 'set', op, left: left.query, right: right.query, columns }), columns }
  }
  /** The first rows in an order in which only equal rows tie. */
  protected top(made: Made): Made {
    const orderBy = this.totalOrder(made.columns, (i) => same(String(i + 1), [], { kind: 'int' }))
    if (orderBy === null || made.query.limit !== null) return made
    const { body } = made.query
    const isPlain = body.node === 'select' && !body.distinct
    // Rows that tie in all of their columns are the same, whatever else they are ordered by first.
    const scope = this.scopes.get(body)
    const before: Order[] =
      isPlain && scope !== undefined && this.chance.is(0.3)
        ? [
            {
              expr: this.make.of(scope, kindIn(this.chance, scope, ordered), 1),
              descending: this.chance.is(0.5),
              nullsFirst: null,
            },
          ]
        : []
    return {
      ...made,
      query: {
        ...made.query,
        orderBy: [...before.filter(({ expr: by }) => readsColumn(by)), ...orderBy],
        limit: this.chance.is(0.03) ? 0 : this.chance.int(1, 8),
        offset: this.chance.is(0.2) ? this.chance.int(1, 3) : 0,
      },
    }
  }
  protected totalOrder(columns: readonly Output[], of: (index: number) => Expr): Order[] | null {
    const { chance } = this
    if (!columns.every((c) => c.exact && comparable.includes(c.kind))) return null
    return chance.shuffled(columns.map((_, i) => i)).map((i) => ({
      expr: of(i),
      descending: chance.is(0.5),
      nullsFirst: chance.is(0.5) ? null : chance.is(0.5),
    }))
  }
  protected ranked(made: Made): Made {
    const { chance } = this
    const [inner, outer] = [this.alias(), this.alias()]
    const scope = scopeOf(inner, made.columns)
    const order = this.totalOrder(made.columns, (i) => columnExpr(scope[i]!))
    if (order === null) return made
    const by = chance.is(0.8) ? [columnExpr(chance.pick(scope))] : []
    const partition = by.length === 0 ? '' : 'PARTITION BY $1 '
    const keys = order.map((_, i) => `$${i + by.length + 1}`)
    if (keys.length > 7) return made
    const text = (side: 'ours' | 'theirs'): string =>
      `row_number() OVER (${partition}ORDER BY ${order
        .map(({ descending, nullsFirst }, i) => {
          const nulls = nullsFirst ?? (side === 'theirs' ? descending : null)
          return `${keys[i]}${descending ? ' DESC' : ''}${nulls === null ? '' : nulls ? ' NULLS FIRST' : ' NULLS LAST'}`
        })
        .join(', ')})`
    const rank = expr(text('ours'), text('theirs'), [...by, ...order.map((o) => o.expr)], {
      kind: 'bigint',
      bound: 1_000,
    })
    const items = [
      ...scope.map((c, i): Item => ({ expr: columnExpr(c), name: made.columns[i]!.name })),
      { expr: rank, name: 'rn' },
    ]
    const ranked = query(plain(items, { node: 'derived', query: made.query, alias: inner }, []))
    const around = scopeOf(outer, outputs(items))
    const kept = around.filter((c) => !c.text.endsWith('.rn') || chance.is(0.6))
    const bound = chance.pick(['$1 <= 1', '$1 <= 2', '$1 < 4', '$1 = 1', '$1 = 2', '3 >= $1', '$1 BETWEEN 1 AND 2'])
    const limit = same(`(${bound})`, [columnExpr(around.at(-1)!)], { kind: 'boolean' })
    const shown = kept.map((c, i): Item => ({ expr: columnExpr(c), name: `c${i}` }))
    const more = chance.is(0.2) ? [this.make.condition(around.slice(0, -1), 1)] : []
    const body = plain(shown, { node: 'derived', query: ranked, alias: outer }, [limit, ...more])
    return { query: query(body), columns: outputs(shown) }
  }
  protected stream(): Relation {
    return this.chance.pick(this.relations.filter((r) => r.kind === 'stream'))
  }
  /** Window functions over a relation, or over rows of a query where they do not wait. */
  protected over(depth: number | null): Made & { readonly waits: boolean } {
    const { chance } = this
    if (depth !== null && depth > 0 && chance.is(0.4)) {
      const made = this.select(depth - 1)
      const alias = this.alias()
      const scope = scopeOf(alias, made.columns)
      if (made.columns.length < 6 && made.columns.every((c) => c.exact && comparable.includes(c.kind)))
        return this.overOf(
          { node: 'derived', query: made.query, alias },
          { scope, unique: scope, time: null, mayRepeat: true },
        )
    }
    const relation = chance.pick(this.relations)
    const alias = this.alias()
    const scope = scopeOf(alias, relation.columns)
    const isKey = (c: Scoped): boolean =>
      relation.kind === 'stream' ? c.text === `${alias}.id` : relation.key.includes(c.text.slice(alias.length + 1))
    const time = depth === null && relation.kind === 'stream' ? scope.at(-1)! : null
    const from: From = { node: 'table', name: relation.name, alias, window: null }
    return this.overOf(from, { scope, unique: scope.filter(isKey), time })
  }
  protected overOf(from: From, source: OverSource): Made & { readonly waits: boolean } {
    const { items, waits } = overItems(this.make, source)
    const where = this.chance.is(0.25) ? [this.make.condition(source.scope, 1)] : []
    return { query: query(plain(items, from, where), { waits }), columns: outputs(items), waits }
  }
}
const groupScope = (keys: readonly Expr[], aggregates: readonly Expr[]): Scope =>
  [...keys, ...aggregates].map((e, i): Scoped => ({ ...e, text: `group.${i}`, expr: e }))
export const plain = (items: readonly Item[], from: From, where: readonly Expr[]): Select => ({
  node: 'select',
  distinct: false,
  items,
  from,
  where,
  groupBy: [],
  having: [],
})
const readsColumn = (e: Expr): boolean =>
  /^a\d+\./.test(e.ours) || e.args.some((arg) => arg.node === 'expr' && readsColumn(arg))
