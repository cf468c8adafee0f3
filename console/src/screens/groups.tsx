/** Consumer groups: who reads what, how far they are, how far behind, in records and in time. */
import type { GroupSummary } from '../../../src/gateway/http/api.ts'
import { apiUrl } from '../lib/http.ts'
import { useResource } from '../lib/hooks.ts'
import { go, param, setQuery } from '../lib/location.ts'
import { count, duration } from '../lib/format.ts'
import { Empty, InternalToo, Link, Loading, Page, Status } from '../parts/bits.tsx'
import { DataTable } from '../parts/data-table.tsx'
import type { Column } from '../parts/data-table.tsx'
import { List } from '../parts/list.tsx'
import { ProblemBox } from '../parts/problem.tsx'

const lagText = (seconds: number | null): string =>
  seconds === null ? '–' : seconds < 0.05 ? '0 s' : duration(seconds * 1000)
const LagRecords = ({ n }: { readonly n: number }) => <span class={n > 0 ? '' : 'still'}>{count(n)}</span>
const LagTime = ({ seconds }: { readonly seconds: number | null }) => (
  <span class={seconds !== null && seconds > 60 ? 'warn-text' : ''}>{lagText(seconds)}</span>
)
const topicsOf = (g: GroupSummary): string[] => [...new Set(g.positions.map((p) => p.topic))]

const columns: readonly Column<GroupSummary>[] = [
  {
    id: 'group',
    title: 'Group',
    width: 'minmax(180px, 1fr)',
    sort: (g) => g.group,
    cell: (g) => <Link to={['groups', g.group]}>{g.group}</Link>,
  },
  { id: 'state', title: 'State', width: '150px', sort: (g) => g.state, cell: (g) => <Status of={g.state} /> },
  {
    id: 'members',
    wide: true,
    title: 'Members',
    width: '90px',
    numeric: true,
    sort: (g) => g.members.length,
    cell: (g) => g.members.length,
  },
  {
    id: 'lag',
    title: 'Behind, records',
    width: '130px',
    numeric: true,
    sort: (g) => g.lag,
    cell: (g) => <LagRecords n={g.lag} />,
  },
  {
    id: 'lagSeconds',
    title: 'Behind, time',
    width: '120px',
    numeric: true,
    sort: (g) => g.lagSeconds,
    cell: (g) => <LagTime seconds={g.lagSeconds} />,
  },
  { id: 'topics', wide: true, title: 'Reads', width: 'minmax(160px, 1fr)', cell: (g) => topicsOf(g).join(', ') },
]

export function GroupsScreen({ name }: { readonly name: string | null }) {
  return name === null ? <AllGroups /> : <OneGroup name={name} />
}

function AllGroups() {
  const internal = param('internal') === 'true'
  const { data, error, refresh } = useResource<readonly GroupSummary[]>(
    apiUrl(['groups'], internal ? { internal: 'true' } : {}),
    2000,
  )
  return (
    <Page title="Consumer groups">
      <List
        label="Consumer groups"
        data={data}
        error={error}
        retry={refresh}
        filterLabel="Filter groups and topics"
        shows={(g, filter) => [g.group, ...topicsOf(g)].some((name) => name.toLowerCase().includes(filter))}
        tools={<InternalToo what="the groups by which views and alerts read" />}
        columns={columns}
        idOf={(g) => g.group}
        sort="-lag"
        onOpen={(g) => go(['groups', g.group])}
        empty={(total) => (
          <Empty title={total === 0 ? 'No group has read anything yet.' : 'None has this in its name or topics.'}>
            {total === 0 && (
              <p>
                A Kafka consumer with a group id appears here with its first commit. Views and alerts read by groups of
                their own: <InternalLink />.
              </p>
            )}
          </Empty>
        )}
      />
    </Page>
  )
}

const InternalLink = () => (
  <Link to={['groups']} query={{ internal: 'true' }}>
    show them
  </Link>
)

type Position = GroupSummary['positions'][number]

function positionColumns(group: GroupSummary): readonly Column<Position>[] {
  const holder = (p: Position): string =>
    group.members.find((m) => m.held.some((h) => h.topic === p.topic && h.partition === p.partition))?.client ?? ''
  return [
    {
      id: 'topic',
      title: 'Topic',
      width: 'minmax(150px, 1fr)',
      sort: (p) => p.topic,
      cell: (p) => <Link to={['topics', p.topic]}>{p.topic}</Link>,
    },
    {
      id: 'partition',
      title: 'Partition',
      width: '90px',
      numeric: true,
      sort: (p) => p.partition,
      cell: (p) => p.partition,
    },
    {
      id: 'offset',
      title: 'Position',
      width: '120px',
      numeric: true,
      sort: (p) => p.offset,
      cell: (p) => (
        <Link to={['topics', p.topic]} query={{ partition: String(p.partition), from: `${p.partition}:${p.offset}` }}>
          {count(p.offset)}
        </Link>
      ),
    },
    { id: 'end', title: 'End', width: '120px', numeric: true, sort: (p) => p.end, cell: (p) => count(p.end) },
    {
      id: 'lag',
      title: 'Behind, records',
      width: '130px',
      numeric: true,
      sort: (p) => p.lag,
      cell: (p) => <LagRecords n={p.lag} />,
    },
    {
      id: 'lagSeconds',
      title: 'Behind, time',
      width: '120px',
      numeric: true,
      sort: (p) => p.lagSeconds,
      cell: (p) => <LagTime seconds={p.lagSeconds} />,
    },
    {
      id: 'member',
      title: 'Read by',
      width: 'minmax(120px, 1fr)',
      sort: holder,
      cell: (p) => holder(p) || <span class="warn-text">nobody</span>,
    },
  ]
}

function OneGroup({ name }: { readonly name: string }) {
  const { data: group, error, refresh } = useResource<GroupSummary>(apiUrl(['groups', name]), 1500)
  return (
    <Page title={name} crumbs={<Link to={['groups']}>Consumer groups</Link>}>
      {error !== null && <ProblemBox error={error} retry={refresh} />}
      {group === null && error === null && <Loading what={`group ${name}`} />}
      {group !== null && (
        <>
          <p class="summary">
            <Status of={group.state} />
            <span>
              <b>{count(group.lag)}</b> records behind
            </span>
            <span>
              <b>{lagText(group.lagSeconds)}</b> behind
            </span>
            <span>
              <b>{group.members.length}</b> {group.members.length === 1 ? 'member' : 'members'}
            </span>
          </p>
          <Members group={group} />
          <DataTable
            label="Positions"
            columns={positionColumns(group)}
            rows={group.positions}
            idOf={(p) => `${p.topic}:${p.partition}`}
            sort={param('sort')}
            onSort={(sort) => setQuery({ sort })}
            empty={<Empty title="The group has committed no position." />}
          />
        </>
      )}
    </Page>
  )
}

function Members({ group }: { readonly group: GroupSummary }) {
  if (group.members.length === 0) return <p class="muted small">No member is connected: nobody reads on.</p>
  return (
    <ul class="members" aria-label="Members">
      {group.members.map((m) => (
        <li key={m.id}>
          <b>{m.client}</b> <span class="muted">{m.host}</span>
          <span class="small">
            {m.held.length} {m.held.length === 1 ? 'partition' : 'partitions'}
          </span>
          <span class="muted small member-id">{m.id}</span>
        </li>
      ))}
    </ul>
  )
}
