/** One stream, table or view: its rows as they change, a chart of them, the flow that makes them, its definition. */
import type { RelationInfo } from '../../../src/gateway/http/api.ts'
import { typeName } from '../../../src/schema/types.ts'
import { apiUrl } from '../lib/http.ts'
import { useResource } from '../lib/hooks.ts'
import { go, param, setQuery } from '../lib/location.ts'
import { bytes, count, shortTime } from '../lib/format.ts'
import { Badge, Button, Copy, Empty, Link, Loading, Page, Status, StreamBadge, Tabs } from '../parts/bits.tsx'
import { DropDialog } from '../parts/drop-dialog.tsx'
import { FilterBox } from '../parts/filter-box.tsx'
import { JsonView } from '../parts/payload.tsx'
import { ProblemBox } from '../parts/problem.tsx'
import { SqlText } from '../parts/sql-editor.tsx'
import { timeColumns } from '../lib/series.ts'
import { cellText, compactJson } from '../lib/json.ts'
import { useKeys } from '../lib/keys.ts'
import type { LiveRow } from '../lib/keyed-rows.ts'
import { Causes } from './view/causes.tsx'
import { ChartTab } from './view/chart-tab.tsx'
import { FlowTab } from './view/flow-tab.tsx'
import { RowsTable } from './view/rows-table.tsx'
import { useLiveRows } from './view/use-live-rows.ts'
import type { LiveRows } from './view/use-live-rows.ts'

const allTabs = [
  ['rows', 'Rows'],
  ['chart', 'Chart'],
  ['flow', 'Flow'],
  ['definition', 'Definition'],
] as const

export function ViewScreen({ name }: { readonly name: string }) {
  const { data: view, error, refresh } = useResource<RelationInfo>(apiUrl(['views', name]), 2000)
  return (
    <Page
      title={name}
      crumbs={<Link to={['views']}>Views</Link>}
      actions={
        view !== null && (
          <Button
            icon="trash"
            kind="quiet"
            title={`Drop this ${view.kind}`}
            onClick={() => setQuery({ open: 'drop' }, true)}
          />
        )
      }
    >
      {error !== null && <ProblemBox error={error} retry={refresh} />}
      {view === null && error === null && <Loading what={`view ${name}`} />}
      {view !== null && <Found view={view} />}
      {view !== null && param('open') === 'drop' && <Drop view={view} />}
    </Page>
  )
}

function Found({ view }: { readonly view: RelationInfo }) {
  const tabs =
    view.kind === 'view'
      ? allTabs
      : view.kind === 'table'
        ? allTabs.filter(([id]) => id !== 'flow')
        : allTabs.filter(([id]) => id === 'definition')
  const asked = param('tab', tabs[0]![0])
  const tab = tabs.some(([id]) => id === asked) ? asked : tabs[0]![0]
  const live = tab === 'rows' || tab === 'chart'
  const paused = param('paused') === 'true'
  const rows = useLiveRows(live ? view.name : null, { url: apiUrl(['views', view.name, 'changes']) }, view.key, paused)
  return (
    <>
      <Summary view={view} />
      {view.error !== null && (
        <p class="problem plain-problem" role="alert">
          {view.error.message} <code>{view.error.code}</code>
        </p>
      )}
      {view.restarts !== undefined && <Restarts of={view.restarts} />}
      <Tabs tabs={tabs} current={tab} onSelect={(id) => setQuery({ tab: id === tabs[0]![0] ? '' : id }, true)} />
      <div class="tab-panel" role="tabpanel" aria-label={tab}>
        {tab === 'rows' && <RowsTab view={view} live={rows} paused={paused} />}
        {tab === 'chart' && <ChartTab view={view} live={rows} />}
        {tab === 'flow' && <FlowTab name={view.name} />}
        {tab === 'definition' && <Definition view={view} />}
      </div>
    </>
  )
}

function Restarts({ of }: { readonly of: NonNullable<RelationInfo['restarts']> }) {
  const { attempts, lastFault, lastFaultAt, nextAt } = of
  if (attempts === 0) return null
  return (
    <p class="summary" title={lastFault.message}>
      <span class="warn-text">
        started again <b>{count(attempts)}</b> {attempts === 1 ? 'time' : 'times'}, last after{' '}
        <code>{lastFault.code}</code> at {shortTime(lastFaultAt)}
      </span>
      {nextAt !== null && (
        <span>
          next start <b>{shortTime(nextAt)}</b>
        </span>
      )}
    </p>
  )
}

function Summary({ view }: { readonly view: RelationInfo }) {
  const { stats } = view
  return (
    <p class="summary">
      <Status of={view.status} />
      <span>
        <b>{count(stats.rowsIn)}</b> rows in
      </span>
      <span>
        <b>{count(stats.rowsOut)}</b> out
      </span>
      {stats.late > 0 && (
        <span class="warn-text">
          <b>{count(stats.late)}</b> late
        </span>
      )}
      {stats.invalid > 0 && (
        <span class="warn-text">
          <b>{count(stats.invalid)}</b> invalid
        </span>
      )}
      <span>
        <b>{bytes(stats.stateBytes)}</b> state
      </span>
      <span title="No row before this time is waited for">
        watermark <b>{view.watermark === null ? 'none yet' : shortTime(view.watermark)}</b>
      </span>
      <span>
        topic <Link to={['topics', view.topic]}>{view.topic}</Link>
      </span>
    </p>
  )
}

/** An order that is no column's: by the last change. Column names cannot begin so. */
const latestFirst = '-~'
const asTheyCame = '~'

/** Standings are read by their key, windows and events from the newest. */
function naturalOrder(view: RelationInfo): string {
  const first = view.key?.[0]
  if (first === undefined) return latestFirst
  return timeColumns(view.columns).includes(first) ? `-${first}` : first
}

function RowsTab({
  view,
  live,
  paused,
}: {
  readonly view: RelationInfo
  readonly live: LiveRows
  readonly paused: boolean
}) {
  const filter = param('filter').toLowerCase()
  const hidden = param('hide').split(',')
  const natural = naturalOrder(view)
  const sort = param('sort', natural)
  const latest = sort === latestFirst
  const selected = param('row')
  useKeys([{ keys: 'Escape', does: 'Close the row', run: () => setQuery({ row: '' }) }])
  const all = live.rows ?? []
  const found =
    filter === ''
      ? all
      : all.filter((r) => Object.values(r.row).some((v) => (cellText(v) ?? 'null').toLowerCase().includes(filter)))
  // Of those that came together the last is the latest.
  const rows = latest ? found.toReversed().sort((a, b) => b.changedAt - a.changedAt) : found
  return (
    <>
      <div class="toolbar">
        <StreamBadge state={live.state} />
        <Button
          icon={paused ? 'play' : 'pause'}
          pressed={paused}
          onClick={() => setQuery({ paused: paused ? '' : 'true' })}
        >
          {paused ? 'Go on' : 'Pause'}
        </Button>
        <Button
          pressed={latest}
          onClick={() => setQuery({ sort: latest ? (natural === latestFirst ? asTheyCame : natural) : latestFirst })}
        >
          Latest first
        </Button>
        <FilterBox label="Filter rows" value={param('filter')} onInput={(text) => setQuery({ filter: text })} />
        <ColumnChoice view={view} hidden={hidden} />
        <span class="muted toolbar-note" role="status" data-testid="rows-count">
          {count(rows.length)}
          {rows.length !== live.total && <> of {count(live.total)}</>} rows, {count(live.changes)} changes
          {live.dropped > 0 && <>; held are the {count(all.length)} changed last</>}
        </span>
      </div>
      {live.state.is === 'failed' && <ProblemBox error={live.state.error} />}
      <div class={selected === '' ? 'rows-body' : 'rows-body with-detail'}>
        <RowsTable
          label="Rows"
          columns={view.columns}
          keyColumns={view.key ?? []}
          rows={rows}
          sort={latest ? '' : sort}
          onSort={(sort) => setQuery({ sort })}
          hidden={hidden}
          empty={<NoRows view={view} live={live} filter={filter} />}
          selected={selected === '' ? null : selected}
          onOpen={(r) => setQuery({ row: r.id })}
        />
        {selected !== '' && <RowDetail row={all.find((r) => r.id === selected) ?? null} loaded={live.rows !== null} />}
      </div>
    </>
  )
}

/** One row in full, and as it changes. */
function RowDetail({ row, loaded }: { readonly row: LiveRow | null; readonly loaded: boolean }) {
  return (
    <aside class="detail" aria-label="Row">
      <header class="detail-head">
        <h2>Row</h2>
        {row !== null && <Copy text={compactJson(row.row)} label="Copy the row" />}
        <Button kind="quiet" icon="close" title="Close the row" onClick={() => setQuery({ row: '' })} />
      </header>
      {row !== null ? <JsonView value={row.row} /> : loaded && <p class="muted">The view has no such row now.</p>}
    </aside>
  )
}

function NoRows({
  view,
  live,
  filter,
}: {
  readonly view: RelationInfo
  readonly live: LiveRows
  readonly filter: string
}) {
  if (live.state.is === 'failed') return null
  if (live.rows === null) return <Loading what={live.changes > 0 ? `rows, ${count(live.changes)} so far` : 'rows'} />
  if (filter !== '' && live.rows.length > 0)
    return <Empty title={`None of ${count(live.rows.length)} rows has “${filter}” in it.`} />
  return (
    <Empty title="The view has no rows yet.">
      <p>
        They appear here as its inputs arrive;{' '}
        <button type="button" class="link" onClick={() => setQuery({ tab: 'flow' }, true)}>
          the flow
        </button>{' '}
        shows how far they are.
      </p>
      {view.kind === 'view' && <Causes of={['views', view.name]} />}
    </Empty>
  )
}

function ColumnChoice({ view, hidden }: { readonly view: RelationInfo; readonly hidden: readonly string[] }) {
  const toggle = (name: string): void => {
    const next = hidden.includes(name) ? hidden.filter((c) => c !== name) : [...hidden, name]
    setQuery({ hide: next.filter((c) => c !== '').join(',') })
  }
  return (
    <details class="menu">
      <summary class="button plain">Columns</summary>
      <div class="menu-body">
        {view.columns.map((c) => (
          <label key={c.name} class="check">
            <input type="checkbox" checked={!hidden.includes(c.name)} onChange={() => toggle(c.name)} />
            {c.name}
          </label>
        ))}
      </div>
    </details>
  )
}

function Definition({ view }: { readonly view: RelationInfo }) {
  return (
    <div class="definition">
      {view.sql === null ? (
        <p class="muted">Defined in TypeScript.</p>
      ) : (
        <>
          <SqlText sql={view.sql} />
          <Link to={['sql']} query={{ q: view.sql }}>
            Open in SQL
          </Link>
        </>
      )}
      <table class="plain-table">
        <thead>
          <tr>
            <th scope="col">Column</th>
            <th scope="col">Type</th>
            <th scope="col">Notes</th>
          </tr>
        </thead>
        <tbody>
          {view.columns.map((c) => (
            <tr key={c.name}>
              <td>{c.name}</td>
              <td>{typeName(c.type)}</td>
              <td>
                {(view.key ?? []).includes(c.name) && <Badge kind="live">key</Badge>}
                {c.nullable && <span class="muted"> may be NULL</span>}
              </td>
            </tr>
          ))}
        </tbody>
      </table>
    </div>
  )
}

function Drop({ view }: { readonly view: RelationInfo }) {
  return (
    <DropDialog
      title={`Drop ${view.kind} ${view.name}?`}
      url={apiUrl(['views', view.name])}
      onDropped={() => go(['views'])}
    >
      <p>It stops, and its definition and state go. Its input stays as it is.</p>
    </DropDialog>
  )
}
