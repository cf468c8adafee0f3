/** Numbers of a view as lines over a time column, as lines of what they were while one looked on, or as bars of how they stand. */
import { useEffect, useRef, useState } from 'preact/hooks'
import type { RelationInfo } from '../../../../src/gateway/http/api.ts'
import { compact, count } from '../../lib/format.ts'
import { param, setQuery } from '../../lib/location.ts'
import {
  defaultChoice,
  groupColumns,
  History,
  numericColumns,
  overTime,
  standings,
  timeColumns,
} from '../../lib/series.ts'
import type { ChartChoice, ChartData } from '../../lib/series.ts'
import { Empty, Loading, StreamBadge } from '../../parts/bits.tsx'
import { Chart } from '../../parts/chart.tsx'
import { ProblemBox } from '../../parts/problem.tsx'
import type { LiveRows } from './use-live-rows.ts'

type Kind = 'time' | 'live' | 'bars'

function readChoice(view: RelationInfo): { kind: Kind; choice: ChartChoice } {
  const own = defaultChoice(view.columns, view.key)
  const x = param('x') || own.x
  const y = param('y') === '' ? own.y : param('y').split(',')
  const group = param('group') === '' ? own.group : param('group') === '-' ? null : param('group')
  const asked = param('chart') as Kind
  const natural: Kind = x !== null ? 'time' : group !== null ? 'bars' : 'live'
  return { kind: asked === 'time' || asked === 'live' || asked === 'bars' ? asked : natural, choice: { x, y, group } }
}

export function ChartTab({ view, live }: { readonly view: RelationInfo; readonly live: LiveRows }) {
  const { kind, choice } = readChoice(view)
  const rows = (live.rows ?? []).map((r) => r.row)
  const history = useHistory(rows, choice, live.rows !== null)
  if (numericColumns(view.columns).length === 0) return <Empty title="This view has no numbers to draw." />
  return (
    <>
      <div class="toolbar">
        <StreamBadge state={live.state} />
        <Controls view={view} kind={kind} choice={choice} />
      </div>
      {live.state.is === 'failed' && <ProblemBox error={live.state.error} />}
      {live.rows === null ? (
        <Loading what="rows" />
      ) : (
        <Drawing kind={kind} rows={rows} choice={choice} history={history} />
      )}
    </>
  )
}

function Drawing({
  kind,
  rows,
  choice,
  history,
}: {
  readonly kind: Kind
  readonly rows: readonly { readonly [column: string]: unknown }[]
  readonly choice: ChartChoice
  readonly history: ChartData
}) {
  if (kind === 'bars') return <Bars bars={standings(rows, choice)} total={rows.length} />
  const { x } = choice
  const data = kind === 'time' && x !== null ? overTime(rows, { ...choice, x }) : history
  if (data.x.length === 0) return <Empty title="There is nothing to draw yet." />
  return <Chart data={data} labelY={choice.y.join(', ')} />
}

/** Samples the standings once a second for as long as the tab is open. */
function useHistory(
  rows: readonly { readonly [column: string]: unknown }[],
  choice: ChartChoice,
  ready: boolean,
): ChartData {
  const key = JSON.stringify([choice.y, choice.group])
  const held = useRef({ key, history: new History(), rows, choice })
  const [data, setData] = useState<ChartData>({ x: [], lines: [], omitted: 0 })
  if (held.current.key !== key) held.current = { key, history: new History(), rows, choice }
  held.current.rows = rows
  held.current.choice = choice
  useEffect(() => {
    if (!ready) return
    const sample = (): void => {
      held.current.history.sample(Date.now(), held.current.rows, held.current.choice)
      setData(held.current.history.data())
    }
    sample()
    const timer = setInterval(sample, 1000)
    return () => clearInterval(timer)
  }, [ready, key])
  return data
}

function Controls({
  view,
  kind,
  choice,
}: {
  readonly view: RelationInfo
  readonly kind: Kind
  readonly choice: ChartChoice
}) {
  const times = timeColumns(view.columns)
  const toggle = (name: string): void => {
    const next = choice.y.includes(name) ? choice.y.filter((y) => y !== name) : [...choice.y, name]
    if (next.length > 0) setQuery({ y: next.join(',') })
  }
  return (
    <>
      <select aria-label="Chart" value={kind} onChange={(event) => setQuery({ chart: event.currentTarget.value })}>
        {times.length > 0 && <option value="time">Over time</option>}
        <option value="live">As it goes</option>
        <option value="bars">As it stands</option>
      </select>
      {kind === 'time' && (
        <label class="inline">
          at
          <select value={choice.x ?? ''} onChange={(event) => setQuery({ x: event.currentTarget.value })}>
            {times.map((name) => (
              <option key={name}>{name}</option>
            ))}
          </select>
        </label>
      )}
      <details class="menu">
        <summary class="button plain">{choice.y.join(', ') || 'Numbers'}</summary>
        <div class="menu-body">
          {numericColumns(view.columns).map((name) => (
            <label key={name} class="check">
              <input
                type={kind === 'bars' ? 'radio' : 'checkbox'}
                checked={choice.y.includes(name)}
                onChange={() => (kind === 'bars' ? setQuery({ y: name }) : toggle(name))}
              />
              {name}
            </label>
          ))}
        </div>
      </details>
      <label class="inline">
        by
        <select value={choice.group ?? '-'} onChange={(event) => setQuery({ group: event.currentTarget.value })}>
          <option value="-">nothing</option>
          {groupColumns(view.columns).map((name) => (
            <option key={name}>{name}</option>
          ))}
        </select>
      </label>
    </>
  )
}

function Bars({ bars, total }: { readonly bars: readonly { label: string; value: number }[]; readonly total: number }) {
  const top = Math.max(...bars.map((b) => Math.abs(b.value)), 1e-9)
  if (bars.length === 0) return <Empty title="There is nothing to draw yet." />
  return (
    <div class="bars-place">
      <ol class="bars" data-testid="bars">
        {bars.map((bar, i) => (
          <li key={`${bar.label} ${i}`}>
            <span class="bar-label">{bar.label}</span>
            <span class="bar" aria-hidden="true">
              <i class={bar.value < 0 ? 'negative' : ''} style={{ width: `${(Math.abs(bar.value) / top) * 100}%` }} />
            </span>
            <span class="bar-value">{Math.abs(bar.value) < 100_000 ? count(bar.value) : compact(bar.value)}</span>
          </li>
        ))}
      </ol>
      {total > bars.length && (
        <p class="muted small">
          The largest {bars.length} of {count(total)}.
        </p>
      )}
    </div>
  )
}
