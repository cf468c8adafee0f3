/** The first screen: is it alive, what runs through it, what went wrong, and what is there to look at. */
import type { ComponentChildren } from 'preact'
import type { FiredAlert, Overview, QueryAnswer, RelationInfo, TopicSummary } from '../../../src/gateway/http/api.ts'
import { cellText } from '../lib/json.ts'
import { apiUrl } from '../lib/http.ts'
import { useNow, useResource } from '../lib/hooks.ts'
import { connection, overview, samples } from '../lib/live.ts'
import { byInterest } from '../lib/views-order.ts'
import { ago, bytes, compact, count, duration, shortTime } from '../lib/format.ts'
import { Badge, Copy, Empty, Link, Loading, Page, Status, StreamBadge } from '../parts/bits.tsx'
import { ProblemBox } from '../parts/problem.tsx'
import { Sparkline } from '../parts/sparkline.tsx'
import { useFiredAlerts } from './fired.ts'

const cardsMax = 9

export function OverviewScreen() {
  const now = overview.value
  const views = useResource<readonly RelationInfo[]>(apiUrl(['views']), 2000)
  const topics = useResource<readonly TopicSummary[]>(apiUrl(['topics']), 2000)
  const state = connection.value
  return (
    <Page title="Overview" wide actions={<StreamBadge state={state} />}>
      {state.is === 'waiting' && <ProblemBox error={state.error} />}
      {state.is === 'failed' && <ProblemBox error={state.error} />}
      {now === null ? <Loading what="the overview" /> : <Gauges now={now} />}
      <div class="overview-columns">
        <div>
          <Views views={views.data} />
          {views.error !== null && <ProblemBox error={views.error} retry={views.refresh} />}
        </div>
        <div>
          <LatestAlerts />
          <Busiest topics={topics.data} />
          {topics.error !== null && <ProblemBox error={topics.error} retry={topics.refresh} />}
        </div>
      </div>
    </Page>
  )
}

function Gauges({ now }: { readonly now: Overview }) {
  const history = samples.value
  return (
    <div class="gauges">
      <Gauge
        name="Records in"
        value={compact(now.recordsInPerSecond)}
        unit="/s"
        note={`${bytes(now.bytesInPerSecond)}/s`}
      >
        <Sparkline
          values={history.map((s) => s.overview.recordsInPerSecond)}
          label="Records in a second, last minutes"
        />
      </Gauge>
      <Gauge
        name="Records out"
        value={compact(now.recordsOutPerSecond)}
        unit="/s"
        note={`${count(now.groups)} consumer groups`}
      >
        <Sparkline
          values={history.map((s) => s.overview.recordsOutPerSecond)}
          label="Records out a second, last minutes"
        />
      </Gauge>
      <Gauge name="Memory" value={bytes(now.rssBytes)} note={`up ${duration(now.uptimeMs)}`}>
        <Sparkline values={history.map((s) => s.overview.rssBytes)} label="Memory, last minutes" />
      </Gauge>
      <Gauge name="Disk" value={bytes(now.diskBytes)} note={`${bytes(now.diskFreeBytes)} free`}>
        <DiskBar used={now.diskBytes} free={now.diskFreeBytes} />
      </Gauge>
      <div class="gauge errors">
        <h2>Went wrong</h2>
        <Wrong
          name="quarantined"
          n={now.quarantined}
          to={['topics']}
          query={{ filter: '.quarantine', internal: '' }}
          why="Events that did not fit their schema, kept with the reason"
        />
        <Wrong
          name="late"
          n={now.late}
          to={['views']}
          query={{ sort: '-late' }}
          why="Rows that came after their window had closed"
        />
      </div>
    </div>
  )
}

function Gauge({
  name,
  value,
  unit,
  note,
  children,
}: {
  readonly name: string
  readonly value: string
  readonly unit?: string
  readonly note: string
  readonly children: ComponentChildren
}) {
  return (
    <div class="gauge">
      <h2>{name}</h2>
      <p class="gauge-value">
        {value}
        {unit !== undefined && <small>{unit}</small>}
      </p>
      {children}
      <p class="muted small">{note}</p>
    </div>
  )
}

function DiskBar({ used, free }: { readonly used: number; readonly free: number }) {
  const share = used + free > 0 ? used / (used + free) : 0
  return (
    <svg
      class="disk-bar"
      viewBox="0 0 120 28"
      preserveAspectRatio="none"
      role="img"
      aria-label={`${Math.round(share * 100)} % of what is free and used together`}
    >
      <rect class="disk-free" x="0" y="12" width="120" height="4" rx="2" />
      <rect class="disk-used" x="0" y="12" width={Math.max(2, share * 120)} height="4" rx="2" />
    </svg>
  )
}

function Wrong({
  name,
  n,
  to,
  query,
  why,
}: {
  readonly name: string
  readonly n: number
  readonly to: readonly string[]
  readonly query: Readonly<Record<string, string>>
  readonly why: string
}) {
  return (
    <p class={n > 0 ? 'wrong-count some' : 'wrong-count'} title={why}>
      <Link to={to} query={query}>
        <b>{count(n)}</b> {name}
      </Link>
    </p>
  )
}

function Views({ views }: { readonly views: readonly RelationInfo[] | null }) {
  if (views === null) return <Loading what="views" />
  const order = byInterest(views)
  if (order.length === 0) return <FirstSteps />
  return (
    <section class="panel-group" aria-labelledby="views-title">
      <h2 class="section-title" id="views-title">
        <Link to={['views']}>Views</Link> <span class="muted">answers that keep themselves up to date</span>
      </h2>
      <div class="cards">
        {order.slice(0, cardsMax).map((view) => (
          <ViewCard key={view.name} view={view} />
        ))}
      </div>
      {order.length > cardsMax && <Link to={['views']}>All {order.length} views</Link>}
    </section>
  )
}

function ViewCard({ view }: { readonly view: RelationInfo }) {
  const peek = useResource<QueryAnswer>(apiUrl(['views', view.name, 'rows'], { limit: '4' }), 3000)
  return (
    <article class="card">
      <header>
        <h3>
          <Link to={['views', view.name]}>{view.name}</Link>
        </h3>
        <Status of={view.status} />
      </header>
      <p class="muted small card-facts">
        {compact(view.stats.rowsIn)} rows in, {compact(view.stats.rowsOut)} out
        {view.watermark !== null && <>; at {shortTime(view.watermark)}</>}
      </p>
      {view.error !== null && <p class="bad small">{view.error.message}</p>}
      {peek.data !== null && <Peek answer={peek.data} />}
    </article>
  )
}

const peekColumns = 4

function Peek({ answer }: { readonly answer: QueryAnswer }) {
  if (answer.rows.length === 0) return <p class="muted small">No rows yet.</p>
  const columns = answer.columns.slice(0, peekColumns)
  return (
    <table class="peek">
      <thead>
        <tr>
          {columns.map((c) => (
            <th key={c.name} scope="col">
              {c.name}
            </th>
          ))}
        </tr>
      </thead>
      <tbody>
        {answer.rows.slice(0, 4).map((row, i) => (
          <tr key={i}>
            {columns.map((c, j) => (
              <td key={c.name}>
                {c.type.startsWith('timestamp') && typeof row[j] === 'string'
                  ? shortTime(row[j])
                  : (cellText(row[j]) ?? '–')}
              </td>
            ))}
          </tr>
        ))}
      </tbody>
    </table>
  )
}

function LatestAlerts() {
  const fired = useFiredAlerts(8)
  const now = useNow()
  return (
    <section class="panel" aria-labelledby="alerts-title">
      <h2 class="section-title" id="alerts-title">
        <Link to={['alerts']}>Latest alerts</Link> <StreamBadge state={fired.state} />
      </h2>
      {fired.error !== null && <ProblemBox error={fired.error} />}
      {fired.list.length === 0 && fired.error === null && <p class="muted small">None has fired.</p>}
      <ul class="alert-list" aria-live="polite">
        {fired.list.slice(0, 8).map((alert) => (
          <AlertLine key={alert.id} alert={alert} now={now} />
        ))}
      </ul>
    </section>
  )
}

function AlertLine({ alert, now }: { readonly alert: FiredAlert; readonly now: number }) {
  return (
    <li class={now - Date.parse(alert.firedAt) < 4000 ? 'fresh' : ''}>
      <Link to={['alerts']} query={{ fired: alert.id }}>
        <span class="alert-name">{alert.alert}</span>
        <time dateTime={alert.firedAt}>{ago(alert.firedAt, now)}</time>
        <span class="alert-message">{alert.message || alert.key}</span>
      </Link>
    </li>
  )
}

function Busiest({ topics }: { readonly topics: readonly TopicSummary[] | null }) {
  if (topics === null) return null
  const busiest = [...topics]
    .sort((a, b) => b.recordsPerSecond - a.recordsPerSecond || b.records - a.records)
    .slice(0, 8)
  const top = Math.max(...busiest.map((t) => t.recordsPerSecond), 1e-9)
  return (
    <section class="panel" aria-labelledby="topics-title">
      <h2 class="section-title" id="topics-title">
        <Link to={['topics']}>Topics</Link> <span class="muted">{count(topics.length)}, the busiest first</span>
      </h2>
      {busiest.length === 0 && <p class="muted small">No topic yet.</p>}
      <ul class="rates">
        {busiest.map((topic) => (
          <li key={topic.name}>
            <Link to={['topics', topic.name]}>{topic.name}</Link>
            <span class="rate-bar" aria-hidden="true">
              <i style={{ width: `${(topic.recordsPerSecond / top) * 100}%` }} />
            </span>
            <span class="numeric">{compact(topic.recordsPerSecond)}/s</span>
            <span class="numeric muted">{compact(topic.records)}</span>
          </li>
        ))}
      </ul>
    </section>
  )
}

/** An instance without views: how to make the first. */
function FirstSteps() {
  const send = `curl -X PUT ${location.origin}/v1/topics/readings\ncurl -H 'content-type: application/json' ${location.origin}/v1/topics/readings/records -d '{"sensor":"a","value":20.5}'`
  const sql =
    "CREATE STREAM readings (sensor text, value double precision) WITH (topic = 'readings', format = 'json');\nCREATE MATERIALIZED VIEW averages AS SELECT sensor, avg(value) AS average, count(*) AS n FROM readings GROUP BY sensor"
  return (
    <section class="panel first-steps">
      <Empty title="Nothing runs here yet.">
        <ol>
          <li>
            <p>
              Send an event. Kafka clients work unchanged, too. <Copy text={send} label="Copy the commands" />
            </p>
            <pre class="code">{send}</pre>
          </li>
          <li>
            <p>
              See it arrive under <Link to={['topics']}>Topics</Link>.
            </p>
          </li>
          <li>
            <p>
              Ask a question that stays answered:{' '}
              <Link to={['sql']} query={{ q: sql }}>
                open this in SQL
              </Link>{' '}
              and run it.
            </p>
            <pre class="code">{sql}</pre>
          </li>
        </ol>
        <p class="muted small">
          <Badge kind="quiet">npm start</Badge> runs a shop on real purchases instead.
        </p>
      </Empty>
    </section>
  )
}
