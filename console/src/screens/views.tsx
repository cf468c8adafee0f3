/** Streams, tables and views: what is declared, whether it runs, what passes through. */
import type { ComponentChildren } from 'preact'
import { useRef } from 'preact/hooks'
import type { RelationInfo } from '../../../src/gateway/http/api.ts'
import { apiUrl } from '../lib/http.ts'
import { useResource } from '../lib/hooks.ts'
import { go, param, setQuery } from '../lib/location.ts'
import { bytes, compact, count, shortTime } from '../lib/format.ts'
import { Empty, Link, Page, Status } from '../parts/bits.tsx'
import type { Column } from '../parts/data-table.tsx'
import { List } from '../parts/list.tsx'

/** Rows a second between the last two answers. */
export function useRates(relations: readonly RelationInfo[] | null): ReadonlyMap<string, number> {
  const held = useRef<{
    list: readonly RelationInfo[] | null
    atMs: number
    rowsIn: ReadonlyMap<string, number>
    rates: ReadonlyMap<string, number>
  }>({ list: null, atMs: 0, rowsIn: new Map(), rates: new Map() })
  const before = held.current
  if (relations === null || relations === before.list) return before.rates
  const atMs = Date.now()
  const seconds = (atMs - before.atMs) / 1000
  const rowsIn = new Map(relations.map((r) => [r.name, r.stats.rowsIn]))
  const rates = new Map(
    relations.map((r) => [
      r.name,
      before.list === null
        ? 0
        : Math.max(0, (r.stats.rowsIn - (before.rowsIn.get(r.name) ?? r.stats.rowsIn)) / seconds),
    ]),
  )
  held.current = { list: relations, atMs, rowsIn, rates }
  return rates
}

function columnsFor(rates: ReadonlyMap<string, number>): readonly Column<RelationInfo>[] {
  const rate = (r: RelationInfo): number => rates.get(r.name) ?? 0
  return [
    {
      id: 'name',
      title: 'Name',
      width: 'minmax(180px, 1fr)',
      sort: (r) => r.name,
      cell: (r) => <Link to={['views', r.name]}>{r.name}</Link>,
    },
    { id: 'kind', wide: true, title: 'Kind', width: '76px', sort: (r) => r.kind, cell: (r) => r.kind },
    { id: 'status', title: 'Status', width: '96px', sort: (r) => r.status, cell: (r) => <Status of={r.status} /> },
    {
      id: 'rate',
      title: 'Rows/s',
      width: '84px',
      numeric: true,
      sort: rate,
      cell: (r) => own(r, <span class={rate(r) > 0 ? 'flowing' : 'still'}>{compact(rate(r))}</span>),
    },
    {
      id: 'in',
      wide: true,
      title: 'Rows in',
      width: '110px',
      numeric: true,
      sort: (r) => r.stats.rowsIn,
      cell: (r) => own(r, count(r.stats.rowsIn)),
    },
    {
      id: 'out',
      wide: true,
      title: 'Rows out',
      width: '110px',
      numeric: true,
      sort: (r) => r.stats.rowsOut,
      cell: (r) => own(r, count(r.stats.rowsOut)),
    },
    {
      id: 'late',
      wide: true,
      title: 'Late',
      width: '76px',
      numeric: true,
      sort: (r) => r.stats.late,
      cell: (r) => own(r, <Wrong n={r.stats.late} />),
    },
    {
      id: 'invalid',
      wide: true,
      title: 'Invalid',
      width: '76px',
      numeric: true,
      sort: (r) => r.stats.invalid,
      cell: (r) => own(r, <Wrong n={r.stats.invalid} />),
    },
    {
      id: 'state',
      wide: true,
      title: 'State',
      width: '84px',
      numeric: true,
      sort: (r) => r.stats.stateBytes,
      cell: (r) => own(r, bytes(r.stats.stateBytes)),
    },
    {
      id: 'watermark',
      wide: true,
      title: 'Watermark, UTC',
      width: '196px',
      sort: (r) => r.watermark,
      cell: (r) => own(r, r.watermark === null ? <span class="null">none yet</span> : shortTime(r.watermark)),
    },
  ]
}

/** What a stream or a table takes in counts where it is read: with the views. */
const own = (r: RelationInfo, cell: ComponentChildren): ComponentChildren =>
  r.kind === 'view' ? cell : <span class="still">–</span>

export const Wrong = ({ n }: { readonly n: number }) => <span class={n > 0 ? 'warn-text' : 'still'}>{count(n)}</span>

export function ViewsScreen() {
  const { data, error, refresh } = useResource<readonly RelationInfo[]>(apiUrl(['views']), 1500)
  const columns = columnsFor(useRates(data))
  const kind = param('kind')
  return (
    <Page title="Views">
      <List
        label="Views"
        data={data}
        error={error}
        retry={refresh}
        filterLabel="Filter views"
        shows={(r, filter) => r.name.toLowerCase().includes(filter) && (kind === '' || r.kind === kind)}
        tools={
          <select aria-label="Kind" value={kind} onChange={(event) => setQuery({ kind: event.currentTarget.value })}>
            <option value="">All kinds</option>
            <option value="view">Views</option>
            <option value="stream">Streams</option>
            <option value="table">Tables</option>
          </select>
        }
        columns={columns}
        idOf={(r) => r.name}
        sort="name"
        onOpen={(r) => go(['views', r.name])}
        rowClass={(r) => (r.status === 'failed' ? 'row-bad' : '')}
        empty={(total) => (
          <Empty title={total === 0 ? 'No stream, table or view is declared.' : 'None has this name and kind.'}>
            <Link to={['sql']}>Declare one in SQL</Link>
          </Empty>
        )}
      />
    </Page>
  )
}
