/** The rules, and what they caught, as it fires; for each why, and whether word of it arrived. */
import type { AlertInfo, FiredAlert } from '../../../src/gateway/http/api.ts'
import { apiUrl } from '../lib/http.ts'
import { useNow, useResource } from '../lib/hooks.ts'
import { param, setQuery } from '../lib/location.ts'
import { ago, count, time } from '../lib/format.ts'
import { cellText } from '../lib/json.ts'
import { Badge, Button, Empty, Facts, Link, Loading, Page, Status, StreamBadge } from '../parts/bits.tsx'
import { DataTable } from '../parts/data-table.tsx'
import { DropDialog } from '../parts/drop-dialog.tsx'
import type { Column } from '../parts/data-table.tsx'
import { ProblemBox } from '../parts/problem.tsx'
import { SqlText } from '../parts/sql-editor.tsx'
import { useFiredAlerts } from './fired.ts'

export function AlertsScreen() {
  const rules = useResource<readonly AlertInfo[]>(apiUrl(['alerts']), 2000)
  const fired = useFiredAlerts(500)
  const only = param('alert')
  const list = only === '' ? fired.list : fired.list.filter((f) => f.alert === only)
  const selected = fired.list.find((f) => f.id === param('fired')) ?? null
  const rule = rules.data?.find((r) => r.name === only) ?? null
  return (
    <Page title="Alerts" actions={<StreamBadge state={fired.state} />}>
      {rules.error !== null && <ProblemBox error={rules.error} retry={rules.refresh} />}
      {rules.data === null && rules.error === null && <Loading what="the rules" />}
      {rules.data !== null && <Rules rules={rules.data} only={only} />}
      {rule !== null && (
        <details class="rule-sql" open>
          <summary>Definition of {rule.name}</summary>
          <SqlText sql={rule.sql} />
          <Button icon="trash" kind="quiet" onClick={() => setQuery({ open: 'drop' }, true)}>
            Drop this rule
          </Button>
        </details>
      )}
      {rule !== null && param('open') === 'drop' && <DropRule name={rule.name} onDropped={rules.refresh} />}
      {fired.error !== null && <ProblemBox error={fired.error} />}
      {fired.state.is === 'failed' && <ProblemBox error={fired.state.error} />}
      {selected === null && param('fired') !== '' && fired.loaded && (
        <p class="problem plain-problem" role="status">
          The alert of this address is no longer among the newest {count(fired.list.length)} that are kept at hand.
        </p>
      )}
      <div class={selected === null ? 'records' : 'records with-detail'}>
        <div class="records-body">
          <FiredTable list={list} selected={selected} loaded={fired.loaded} />
          {selected !== null && <FiredDetail fired={selected} />}
        </div>
      </div>
    </Page>
  )
}

function Rules({ rules, only }: { readonly rules: readonly AlertInfo[]; readonly only: string }) {
  if (rules.length === 0)
    return (
      <Empty title="No alert is declared.">
        <p>
          <Link to={['sql']} query={{ q: 'CREATE ALERT name AS SELECT … FROM … WHERE … NOTIFY CONSOLE' }}>
            Declare one in SQL
          </Link>
        </p>
      </Empty>
    )
  return (
    <ul class="rules" aria-label="Rules">
      {rules.map((rule) => (
        <li key={rule.name}>
          <button
            type="button"
            aria-pressed={rule.name === only}
            onClick={() => setQuery({ alert: rule.name === only ? '' : rule.name, fired: '' }, true)}
          >
            <span class="rule-name">{rule.name}</span>
            <Status of={rule.status} />
            <span class="rule-facts">
              <b>{count(rule.fired)}</b> fired · {count(rule.suppressed)} repeated
              {rule.deliveryFailures > 0 && <span class="bad"> · {count(rule.deliveryFailures)} not delivered</span>}
            </span>
            <span class="muted small rule-to">
              {rule.destinations.length === 0 ? 'console only' : `to ${rule.destinations.join(', ')}`}
            </span>
          </button>
        </li>
      ))}
    </ul>
  )
}

function DropRule({ name, onDropped }: { readonly name: string; readonly onDropped: () => void }) {
  const dropped = (): void => {
    setQuery({ open: '', alert: '' })
    onDropped()
  }
  return (
    <DropDialog title={`Drop the rule ${name}?`} url={apiUrl(['alerts', name])} onDropped={dropped}>
      <p>Nothing fires by it any more; what it fired stays.</p>
    </DropDialog>
  )
}

function FiredTable({
  list,
  selected,
  loaded,
}: {
  readonly list: readonly FiredAlert[]
  readonly selected: FiredAlert | null
  readonly loaded: boolean
}) {
  const now = useNow()
  const keyed = list.some((f) => f.key !== '')
  const all: readonly Column<FiredAlert>[] = [
    {
      id: 'firedAt',
      wide: true,
      title: 'Fired, UTC',
      width: '196px',
      sort: (f) => f.firedAt,
      cell: (f) => <time dateTime={f.firedAt}>{time(f.firedAt)}</time>,
    },
    { id: 'ago', title: 'Age', width: '88px', cell: (f) => <span class="muted">{ago(f.firedAt, now)}</span> },
    { id: 'alert', title: 'Alert', width: 'minmax(96px, 0.5fr)', sort: (f) => f.alert, cell: (f) => f.alert },
    { id: 'key', wide: true, title: 'Key', width: 'minmax(90px, 0.4fr)', sort: (f) => f.key, cell: (f) => f.key },
    { id: 'message', title: 'What', width: 'minmax(180px, 1.6fr)', cell: (f) => f.message || rowLine(f) },
    { id: 'delivery', wide: true, title: 'Delivered', width: '110px', cell: (f) => <Delivery fired={f} /> },
  ]
  const columns = keyed ? all : all.filter((c) => c.id !== 'key')
  return (
    <DataTable
      label="Fired alerts"
      columns={columns}
      rows={list}
      idOf={(f) => f.id}
      sort={param('sort')}
      onSort={(sort) => setQuery({ sort })}
      onOpen={(f) => setQuery({ fired: f.id })}
      selected={selected?.id ?? null}
      rowClass={(f) => (now - Date.parse(f.firedAt) < 3000 ? 'flash-0' : '')}
      empty={loaded ? <Empty title="None has fired yet. What fires appears here at once." /> : null}
    />
  )
}

const rowLine = (f: FiredAlert): string =>
  Object.entries(f.row)
    .map(([name, value]) => `${name} ${cellText(value) ?? 'NULL'}`)
    .join(', ')

function Delivery({ fired }: { readonly fired: FiredAlert }) {
  if (fired.deliveries.length === 0) return <span class="muted">–</span>
  const worst =
    fired.deliveries.find((d) => d.status === 'dead') ??
    fired.deliveries.find((d) => d.status === 'pending') ??
    fired.deliveries[0]!
  return <Status of={worst.status} />
}

function FiredDetail({ fired }: { readonly fired: FiredAlert }) {
  return (
    <aside class="detail" aria-label={`Alert ${fired.alert}`}>
      <header class="detail-head">
        <h2>
          {fired.alert} <span class="muted">{fired.key}</span>
        </h2>
        <Button kind="quiet" icon="close" title="Close" onClick={() => setQuery({ fired: '' })} />
      </header>
      {fired.message !== '' && <p class="fired-message">{fired.message}</p>}
      <Facts
        of={[
          ['Fired, UTC', time(fired.firedAt)],
          ...Object.entries(fired.row).map(([name, value]) => [name, cellText(value) ?? 'NULL'] as const),
        ]}
      />
      <h3>Because of</h3>
      {fired.origin.length === 0 ? (
        <p class="muted small">Its origin was not recorded.</p>
      ) : (
        <Origins origin={fired.origin} />
      )}
      <h3>Deliveries</h3>
      {fired.deliveries.length === 0 && <p class="muted small">To the console only.</p>}
      <ul class="deliveries">
        {fired.deliveries.map((d) => (
          <li key={d.destination}>
            <Status of={d.status} /> <span>{d.destination}</span>
            <span class="muted small">
              {count(d.attempts)} {d.attempts === 1 ? 'attempt' : 'attempts'}
            </span>
            {d.error !== null && <p class="bad small">{d.error}</p>}
          </li>
        ))}
      </ul>
    </aside>
  )
}

/** `topic:partition:first..last`; a topic's name has no colon. */
function readOrigin(text: string): { topic: string; partition: string; first: string; last: string } | null {
  const match = /^([^:]+):(\d+):(\d+)(?:\.\.(\d+))?$/.exec(text)
  return match === null
    ? null
    : { topic: match[1]!, partition: match[2]!, first: match[3]!, last: match[4] ?? match[3]! }
}

function Origins({ origin }: { readonly origin: readonly string[] }) {
  return (
    <ul class="origins">
      {origin.slice(0, 50).map((text) => {
        const at = readOrigin(text)
        if (at === null) return <li key={text}>{text}</li>
        const query = {
          partition: at.partition,
          from: `${at.partition}:${at.first}`,
          record: `${at.partition}:${at.first}`,
        }
        return (
          <li key={text}>
            <Link to={['topics', at.topic]} query={query}>
              {at.topic} <span class="muted">partition {at.partition}</span>{' '}
              {at.first === at.last ? `offset ${at.first}` : `offsets ${at.first} to ${at.last}`}
            </Link>
          </li>
        )
      })}
      {origin.length > 50 && (
        <li>
          <Badge kind="quiet">and {count(origin.length - 50)} more</Badge>
        </li>
      )}
    </ul>
  )
}
