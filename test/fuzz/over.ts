/** Random window functions. What depends on the order of rows gets an order in which only equal rows tie. */
import type { Expr, Item, Kind } from './node.ts'
import { columnExpr, comparable, expr, kindIn, type Maker, ordered, same, type Scope, type Scoped } from './terms.ts'
import { decimalType } from './values.ts'

interface Ordering {
  readonly expr: Expr
  readonly descending: boolean
  readonly nullsFirst: boolean | null
}
export interface OverSource {
  readonly scope: Scope
  /** Columns that no two different rows have alike. */
  readonly unique: readonly Scoped[]
  /** The event time where rows are only added; no two rows are at once. */
  readonly time: Scoped | null
  /** Rows may be alike: then which of them is where must be the same in all windows. */
  readonly mayRepeat?: true
}
/** A list of columns and calls; `waits`: rows come when the watermark has passed them. */
export function overItems(
  make: Maker,
  source: OverSource,
): { readonly items: readonly Item[]; readonly waits: boolean } {
  const { chance } = make
  const { scope, time } = source
  const waits = time !== null && chance.is(0.4)
  const by = chance.is(0.8) ? [partition(make, scope)] : []
  const orders = (): Ordering[] =>
    waits ? [{ expr: columnExpr(time), descending: false, nullsFirst: null }] : totalOrder(make, source)
  const one = orders()
  const calls = Array.from({ length: chance.int(1, 3) }, () =>
    callOf(make, scope, by, waits || source.mayRepeat === true || chance.is(0.6) ? one : orders(), waits),
  )
  const columns = scope.filter((c) => c.exact && chance.is(0.3)).slice(0, 3)
  const list = [...columns.map(columnExpr), ...calls]
  return { items: list.map((e, i): Item => ({ expr: e, name: `c${i}` })), waits }
}
const partition = (make: Maker, scope: Scope): Expr => {
  const columns = scope.filter((c) => c.exact && /\.(?:k|t|f|d|c0)$/.test(c.text) && comparable.includes(c.kind))
  return columns.length > 0 && make.chance.is(0.8)
    ? columnExpr(make.chance.pick(columns))
    : make.of(scope, kindIn(make.chance, scope, comparable), 1)
}
const directed = (make: Maker, by: Expr): Ordering => ({
  expr: by,
  descending: make.chance.is(0.4),
  nullsFirst: make.chance.is(0.6) ? null : make.chance.is(0.5),
})
function totalOrder(make: Maker, { scope, unique }: OverSource): Ordering[] {
  const first = make.chance.is(0.7) ? [make.of(scope, kindIn(make.chance, scope, ordered), 1)] : []
  // By event time alone rows would wait.
  const before = first.filter(({ ours }) => !ours.endsWith('.happened'))
  return [...before, ...unique.map(columnExpr)].map((by) => directed(make, by))
}

const offsetFrames = [
  'BETWEEN 2 PRECEDING AND CURRENT ROW',
  'BETWEEN 1 PRECEDING AND 1 FOLLOWING',
  'BETWEEN CURRENT ROW AND 2 FOLLOWING',
  'BETWEEN 3 PRECEDING AND 1 PRECEDING',
  'BETWEEN 1 FOLLOWING AND 2 FOLLOWING',
  '2 PRECEDING',
]
const openFrames = [
  'UNBOUNDED PRECEDING',
  'BETWEEN UNBOUNDED PRECEDING AND CURRENT ROW',
  'BETWEEN CURRENT ROW AND UNBOUNDED FOLLOWING',
  'BETWEEN UNBOUNDED PRECEDING AND UNBOUNDED FOLLOWING',
]
const mixedFrames = [
  'BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING',
  'BETWEEN UNBOUNDED PRECEDING AND 2 FOLLOWING',
  'BETWEEN 1 PRECEDING AND UNBOUNDED FOLLOWING',
]
/** What looks at everything that may come is certain at the end only. */
const isEndless = (frame: string): boolean => frame.includes('UNBOUNDED FOLLOWING')

/** The parts of the call are $1 and, where it has one, its filter; then what the window is made of. */
function callOf(make: Maker, scope: Scope, by: readonly Expr[], order: readonly Ordering[], waits: boolean): Expr {
  const { chance } = make
  const shape = chance.weighted([
    [3, 'rank'],
    [3, 'move'],
    [2, 'end'],
    [6, 'sum'],
  ] as const)
  if (shape === 'rank') {
    const name = chance.pick(
      waits
        ? ['row_number', 'rank', 'dense_rank']
        : ['row_number', 'rank', 'dense_rank', 'percent_rank', 'cume_dist', 'ntile(3)'],
    )
    const isPart = name === 'percent_rank' || name === 'cume_dist'
    // Peers are those of the first expression alone, now and then.
    const peers = name !== 'row_number' && name !== 'ntile(3)' && !waits && chance.is(0.6) ? order.slice(0, 1) : order
    const call = name.endsWith(')') ? name : `${name}()`
    return windowed(
      call,
      [],
      { by, order: peers, frame: '' },
      { kind: isPart ? 'double' : name === 'ntile(3)' ? 'int' : 'bigint', exact: !isPart, bound: 400 },
    )
  }
  if (shape === 'move') {
    const arg = make.of(scope, kindIn(chance, scope, comparable), 1)
    const more = chance.pick(['', ', 1', ', 2', ', 3'])
    return windowed(`${chance.pick(['lag', 'lead'])}($1${more})`, [arg], { by, order, frame: '' }, arg)
  }
  const { frame, peers } = frameOf(make, order, waits)
  if (shape === 'end') {
    const arg = make.of(scope, kindIn(chance, scope, comparable), 1)
    const rows =
      frame.startsWith(' ROWS') || frame === ''
        ? { order, frame: frame === '' ? '' : frame }
        : { order, frame: ' ROWS BETWEEN 1 PRECEDING AND CURRENT ROW' }
    const name = chance.pick(['first_value', 'last_value'])
    return windowed(`${name}($1)`, [arg], { by, ...rows }, arg)
  }
  return folded(make, scope, { by, order: peers, frame })
}
interface WindowOf {
  readonly by: readonly Expr[]
  readonly order: readonly Ordering[]
  readonly frame: string
}
/** Also without an order, where that is the same as all rows of the partition. */
function frameOf(
  make: Maker,
  order: readonly Ordering[],
  waits: boolean,
): { frame: string; peers: readonly Ordering[] } {
  const { chance } = make
  const some = (frames: readonly string[]): string => chance.pick(waits ? frames.filter((f) => !isEndless(f)) : frames)
  const [first] = order
  const shape = chance.weighted([
    [4, 'rows'],
    [2, 'range'],
    [2, 'offset'],
    [1, 'none'],
  ] as const)
  if (shape === 'none' && !waits) return { frame: '', peers: chance.is(0.5) ? [] : order.slice(0, 1) }
  if (shape === 'range') return { frame: ` RANGE ${some(openFrames)}`, peers: waits ? order : order.slice(0, 1) }
  const kind = first?.expr.kind
  if (shape === 'offset' && (kind === 'int' || kind === 'timestamptz' || kind === 'timestamp')) {
    const unit =
      kind === 'int' ? (n: string): string => n : (n: string): string => `INTERVAL '${Number(n) * 3} minutes'`
    const frame = some([...offsetFrames, ...mixedFrames]).replace(/\d/g, unit)
    return { frame: ` RANGE ${frame}`, peers: order.slice(0, 1) }
  }
  return { frame: ` ROWS ${some([...offsetFrames, ...openFrames, ...mixedFrames])}`, peers: order }
}
function folded(make: Maker, scope: Scope, window: WindowOf): Expr {
  const { chance } = make
  const filter = chance.is(0.15) ? [make.condition(scope, 1)] : []
  const end = (at: number): string => (filter.length === 0 ? '' : ` FILTER (WHERE $${at})`)
  const name = chance.pick(['count(*)', 'count', 'sum', 'sum', 'min', 'max', 'avg'])
  if (name === 'count(*)') return windowed(`count(*)${end(1)}`, filter, window, { kind: 'bigint', bound: 400 })
  const isSum = name === 'sum' || name === 'avg'
  const arg = make.of(scope, kindIn(chance, scope, isSum ? ['smallint', 'int', 'numeric'] : ordered), 1)
  const parts = [arg, ...filter]
  if (name === 'count') return windowed(`count($1)${end(2)}`, parts, window, { kind: 'bigint', bound: 400 })
  if (name === 'avg')
    return windowed(`avg($1)${end(2)}`, parts, window, { kind: 'numeric', scale: 4, exact: false, bound: 1e9 })
  if (name !== 'sum') return windowed(`${name}($1)${end(2)}`, parts, window, arg)
  const made = windowed(`sum($1)${end(2)}`, parts, window, {
    kind: arg.kind === 'numeric' ? 'numeric' : 'bigint',
    scale: arg.scale ?? 0,
    bound: arg.bound * 1e4,
  })
  return { ...made, theirs: `CAST(${made.theirs} AS ${arg.kind === 'numeric' ? decimalType(arg.scale!) : 'BIGINT'})` }
}
function windowed(
  call: string,
  args: readonly Expr[],
  { by, order, frame }: WindowOf,
  typed: { kind: Kind; scale?: number; exact?: boolean; bound?: number },
): Expr {
  let next = args.length
  const partitionBy = by.map(() => `PARTITION BY $${++next}`)
  const keys = order.map(() => `$${++next}`)
  const text = (side: 'ours' | 'theirs'): string => {
    const list = order.map(({ descending, nullsFirst }, i) => {
      const nulls = nullsFirst ?? (side === 'theirs' ? descending : null)
      return `${keys[i]}${descending ? ' DESC' : ''}${nulls === null ? '' : nulls ? ' NULLS FIRST' : ' NULLS LAST'}`
    })
    const orderBy = list.length === 0 ? [] : [`ORDER BY ${list.join(', ')}`]
    return `${call} OVER (${[...partitionBy, ...orderBy].join(' ')}${frame})`
  }
  const whole = [...args, ...by, ...order.map((o) => o.expr)]
  const { kind, scale, exact = true, bound = 0 } = typed
  const made = { kind, exact, bound, ...(scale === undefined ? {} : { scale }) }
  return whole.length > 9 ? same('1', [], { kind: 'int' }) : expr(text('ours'), text('theirs'), whole, made)
}
