/** Who reads a topic: groups of clients, views and sinks, and through the gateways sessions, subscriptions, consumers and receivers. */
import type { GroupSummary, TopicReader } from '../../../../src/gateway/http/api.ts'
import { count } from '../../lib/format.ts'
import { apiUrl } from '../../lib/http.ts'
import { useResource } from '../../lib/hooks.ts'
import { param, setQuery } from '../../lib/location.ts'
import { Empty, Link, Loading, Status } from '../../parts/bits.tsx'
import { DataTable } from '../../parts/data-table.tsx'
import type { Column } from '../../parts/data-table.tsx'
import { ProblemBox } from '../../parts/problem.tsx'

interface Reader {
  readonly id: string
  readonly kind: string
  readonly name: string
  /** null: it has no page of its own. */
  readonly to: readonly string[] | null
  readonly about: string
  readonly state: string
  readonly readers: number | null
  /** Of this topic. */
  readonly lag: number | null
}
/** What a group of Millrace's own is of, by its name. */
const owners: readonly (readonly [prefix: string, kind: string, section: string])[] = [
  ['_millrace_view.', 'view', 'views'],
  ['_millrace_connector.', 'sink', 'connectors'],
]

function readerOf(group: GroupSummary, topic: string): Reader[] {
  const held = group.members.filter((m) => m.held.some((h) => h.topic === topic))
  const positions = group.positions.filter((p) => p.topic === topic)
  if (held.length === 0 && positions.length === 0) return []
  const owner = owners.find(([prefix]) => group.group.startsWith(prefix))
  const name = owner === undefined ? group.group : group.group.slice(owner[0].length)
  return [
    {
      id: `group ${group.group}`,
      kind: owner?.[1] ?? 'group',
      name,
      to: [owner?.[2] ?? 'groups', name],
      about: '',
      state: group.state,
      readers: held.length,
      lag: positions.length === 0 ? null : positions.reduce((sum, { lag }) => sum + lag, 0),
    },
  ]
}

const protocols: Readonly<Record<TopicReader['protocol'], string>> = {
  mqtt: 'MQTT',
  pubsub: 'Pub/Sub',
  kinesis: 'Kinesis',
  eventhubs: 'Event Hubs',
}
const readerThrough = ({ protocol, kind, name, about, isConnected, lag }: TopicReader, i: number): Reader => ({
  id: `${protocol} ${name} ${about} ${i}`,
  kind: `${protocols[protocol]} ${kind}`,
  name,
  to: null,
  about,
  state: isConnected === null ? '' : isConnected ? 'connected' : 'away',
  readers: null,
  lag,
})

const columns: readonly Column<Reader>[] = [
  {
    id: 'name',
    title: 'Reader',
    width: 'minmax(160px, 1fr)',
    sort: (r) => r.name,
    cell: (r) => (r.to === null ? r.name : <Link to={r.to}>{r.name}</Link>),
  },
  { id: 'kind', title: 'Is a', width: '160px', sort: (r) => r.kind, cell: (r) => r.kind },
  {
    id: 'about',
    wide: true,
    title: 'Reads',
    width: 'minmax(120px, 1fr)',
    sort: (r) => r.about,
    cell: (r) => <span title={r.about}>{r.about}</span>,
  },
  {
    id: 'state',
    wide: true,
    title: 'State',
    width: '150px',
    sort: (r) => r.state,
    cell: (r) => (r.state === '' ? '–' : <Status of={r.state} />),
  },
  {
    id: 'readers',
    wide: true,
    title: 'Members',
    width: '90px',
    numeric: true,
    sort: (r) => r.readers,
    cell: (r) => r.readers ?? '–',
  },
  {
    id: 'lag',
    title: 'Behind, records',
    width: '130px',
    numeric: true,
    sort: (r) => r.lag,
    cell: (r) => (r.lag === null ? '–' : count(r.lag)),
  },
]

export function Readers({ topic }: { readonly topic: string }) {
  const groups = useResource<readonly GroupSummary[]>(apiUrl(['groups'], { internal: 'true' }), 2000)
  // Who may not see them all sees the groups.
  const through = useResource<readonly TopicReader[]>(apiUrl(['topics', topic, 'readers']), 2000)
  if (groups.error !== null) return <ProblemBox error={groups.error} retry={groups.refresh} />
  if (groups.data === null) return <Loading what="the readers" />
  return (
    <DataTable
      label="Readers"
      columns={columns}
      rows={[...groups.data.flatMap((group) => readerOf(group, topic)), ...(through.data ?? []).map(readerThrough)]}
      idOf={(r) => r.id}
      sort={param('sort', '-lag')}
      onSort={(sort) => setQuery({ sort })}
      empty={<Empty title="Nobody reads this topic." />}
    />
  )
}
