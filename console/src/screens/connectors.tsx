/** Sources and sinks: how each fares, why nothing flows through it, its settings without secrets, and what can be done. */
import { useState } from 'preact/hooks'
import type { ConnectorJson } from '../../../src/gateway/http/api.ts'
import { apiUrl, sendJson } from '../lib/http.ts'
import { useNow, useResource } from '../lib/hooks.ts'
import { go, param, setQuery } from '../lib/location.ts'
import { ago, bytes, count, duration, time } from '../lib/format.ts'
import { asApiError } from '../lib/problem.ts'
import type { ApiError } from '../lib/problem.ts'
import { Button, Empty, Facts, Link, Loading, Page, Status } from '../parts/bits.tsx'
import type { Column } from '../parts/data-table.tsx'
import { DropDialog } from '../parts/drop-dialog.tsx'
import { List } from '../parts/list.tsx'
import { ProblemBox } from '../parts/problem.tsx'
import { Causes } from './view/causes.tsx'

const lagText = (lag: number | null): string => (lag === null ? '–' : count(lag))

const columns: readonly Column<ConnectorJson>[] = [
  {
    id: 'name',
    title: 'Connector',
    width: 'minmax(140px, 1fr)',
    sort: (c) => c.name,
    cell: (c) => <Link to={['connectors', c.name]}>{c.name}</Link>,
  },
  {
    id: 'direction',
    wide: true,
    title: 'Is',
    width: '150px',
    sort: (c) => `${c.direction} ${c.kind}`,
    cell: (c) => `${c.kind} ${c.direction}`,
  },
  { id: 'status', title: 'State', width: '100px', sort: (c) => c.status, cell: (c) => <Status of={c.status} /> },
  { id: 'lag', title: 'Behind', width: '100px', numeric: true, sort: (c) => c.lag, cell: (c) => lagText(c.lag) },
  {
    id: 'records',
    wide: true,
    title: 'Carried over',
    width: '120px',
    numeric: true,
    sort: (c) => c.records,
    cell: (c) => count(c.records),
  },
  {
    id: 'refused',
    wide: true,
    title: 'Refused',
    width: '100px',
    numeric: true,
    sort: (c) => c.refused,
    cell: (c) => <span class={c.refused > 0 ? 'warn-text' : 'still'}>{count(c.refused)}</span>,
  },
  {
    id: 'fault',
    wide: true,
    title: 'Last fault',
    width: 'minmax(160px, 1.6fr)',
    sort: (c) => c.faultAt ?? '',
    cell: (c) => (c.fault === null ? <span class="muted">–</span> : <span title={c.fault.code}>{c.fault.detail}</span>),
  },
]
const example = "CREATE SOURCE west FROM kafka WITH (brokers = 'host:9092', topics = 'orders', into = 'west.{topic}')"

export function ConnectorsScreen({ name }: { readonly name: string | null }) {
  return name === null ? <AllConnectors /> : <OneConnector name={name} />
}

function AllConnectors() {
  const { data, error, refresh } = useResource<readonly ConnectorJson[]>(apiUrl(['connectors']), 2000)
  return (
    <Page title="Connectors">
      <List
        label="Connectors"
        data={data}
        error={error}
        retry={refresh}
        filterLabel="Filter connectors"
        shows={(c, filter) => [c.name, c.kind, c.direction].some((text) => text.toLowerCase().includes(filter))}
        columns={columns}
        idOf={(c) => c.name}
        sort="name"
        onOpen={(c) => go(['connectors', c.name])}
        rowClass={(c) => (c.status === 'failed' ? 'row-bad' : '')}
        empty={(total) => (
          <Empty title={total === 0 ? 'Nothing is carried in or out.' : 'None has this in its name or kind.'}>
            {total === 0 && (
              <p>
                A source takes records in from another system, a sink carries them out to one:{' '}
                <Link to={['sql']} query={{ q: example }}>
                  make one in SQL
                </Link>
                .
              </p>
            )}
          </Empty>
        )}
      />
    </Page>
  )
}

function OneConnector({ name }: { readonly name: string }) {
  const { data: connector, error, refresh } = useResource<ConnectorJson>(apiUrl(['connectors', name]), 1500)
  const [refusal, setRefusal] = useState<ApiError | null>(null)
  const change = async (paused: boolean): Promise<void> => {
    try {
      await sendJson(apiUrl(['connectors', name]), 'PATCH', { paused })
      setRefusal(null)
    } catch (thrown) {
      setRefusal(asApiError(thrown))
    }
    refresh()
  }
  return (
    <Page
      title={name}
      crumbs={<Link to={['connectors']}>Connectors</Link>}
      actions={connector !== null && <Actions of={connector} onChange={(paused) => void change(paused)} />}
    >
      {error !== null && <ProblemBox error={error} retry={refresh} />}
      {refusal !== null && <ProblemBox error={refusal} />}
      {connector === null && error === null && <Loading what={`connector ${name}`} />}
      {connector !== null && (
        <>
          <Summary of={connector} />
          <Causes of={['connectors', name]} />
          <LastFault of={connector} />
          <h2>Settings</h2>
          <Settings of={connector} />
        </>
      )}
      {param('open') === 'drop' && (
        <DropDialog
          title={`Drop the connector ${name}?`}
          url={apiUrl(['connectors', name])}
          onDropped={() => go(['connectors'])}
        >
          <p>What it has carried over stays. Its place is forgotten: one made anew begins where its settings say.</p>
        </DropDialog>
      )}
    </Page>
  )
}

function Actions({
  of: { status },
  onChange,
}: {
  readonly of: ConnectorJson
  readonly onChange: (paused: boolean) => void
}) {
  return (
    <>
      {status === 'running' && (
        <Button icon="pause" onClick={() => onChange(true)}>
          Pause
        </Button>
      )}
      <Button
        icon="play"
        kind={status === 'running' ? 'plain' : 'primary'}
        {...(status === 'running' ? { title: 'It is opened anew and goes on where it was' } : {})}
        onClick={() => onChange(false)}
      >
        {status === 'running' ? 'Restart' : 'Resume'}
      </Button>
      {status === 'failed' && (
        <Button icon="pause" onClick={() => onChange(true)}>
          Pause
        </Button>
      )}
      <Button icon="trash" kind="quiet" title="Drop this connector" onClick={() => setQuery({ open: 'drop' }, true)} />
    </>
  )
}

function Summary({ of: one }: { readonly of: ConnectorJson }) {
  const now = useNow()
  return (
    <p class="summary">
      <Status of={one.status} />
      <span>
        {one.kind} {one.direction}
      </span>
      <span>
        <b>{lagText(one.lag)}</b> behind
      </span>
      <span>
        <b>{count(one.records)}</b> carried over, <b>{bytes(one.bytes)}</b>
      </span>
      <span>
        <b class={one.refused > 0 ? 'warn-text' : ''}>{count(one.refused)}</b> refused
        {one.refused > 0 && (
          <>
            {' '}
            (<Link to={['topics', `${one.name}.dlq`]}>{one.name}.dlq</Link>)
          </>
        )}
      </span>
      <span>
        <b>{count(one.restarts)}</b> {one.restarts === 1 ? 'restart' : 'restarts'}
      </span>
      {one.carriedAt !== null && <span>last {ago(one.carriedAt, now)}</span>}
    </p>
  )
}

/** Of one that runs again: the doctor tells of those that stand still. */
function LastFault({ of: { fault, faultAt, status, restartsAt } }: { readonly of: ConnectorJson }) {
  const now = useNow()
  if (fault === null || faultAt === null) return null
  const again = restartsAt === null ? null : Math.max(0, Date.parse(restartsAt) - now)
  return (
    <p class="muted">
      {status === 'failed' ? 'Fault' : 'Last fault'}, <time dateTime={faultAt}>{time(faultAt)}</time>: {fault.detail}{' '}
      <code>{fault.code}</code>
      {again !== null && `, tried again in ${duration(again)}`}
    </p>
  )
}

function Settings({ of: { settings } }: { readonly of: ConnectorJson }) {
  const all = Object.entries(settings)
  if (all.length === 0) return <p class="muted">All stand at their defaults.</p>
  return <Facts of={all} />
}
