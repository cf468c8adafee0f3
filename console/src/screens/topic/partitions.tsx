import type { TopicDetail } from '../../../../src/gateway/http/api.ts'
import { bytes, count } from '../../lib/format.ts'
import { param, setQuery } from '../../lib/location.ts'
import { DataTable } from '../../parts/data-table.tsx'
import type { Column } from '../../parts/data-table.tsx'
import { Link } from '../../parts/bits.tsx'

type Part = TopicDetail['partitionDetails'][number]

export function Partitions({ topic }: { readonly topic: TopicDetail }) {
  const columns: readonly Column<Part>[] = [
    {
      id: 'partition',
      title: 'Partition',
      width: '110px',
      numeric: true,
      sort: (p) => p.partition,
      cell: (p) => (
        <Link to={['topics', topic.name]} query={{ partition: String(p.partition) }}>
          {p.partition}
        </Link>
      ),
    },
    {
      id: 'start',
      title: 'First offset',
      width: '140px',
      numeric: true,
      sort: (p) => p.start,
      cell: (p) => count(p.start),
    },
    {
      id: 'stable',
      title: 'Readable up to',
      width: '150px',
      numeric: true,
      sort: (p) => p.stable,
      cell: (p) => count(p.stable),
    },
    { id: 'end', title: 'End', width: '140px', numeric: true, sort: (p) => p.end, cell: (p) => count(p.end) },
    {
      id: 'pending',
      title: 'In transactions',
      width: '140px',
      numeric: true,
      sort: (p) => p.end - p.stable,
      cell: (p) => count(p.end - p.stable),
    },
    {
      id: 'bytes',
      title: 'Size',
      width: 'minmax(110px, 1fr)',
      numeric: true,
      sort: (p) => p.bytes,
      cell: (p) => bytes(p.bytes),
    },
  ]
  return (
    <DataTable
      label="Partitions"
      columns={columns}
      rows={topic.partitionDetails}
      idOf={(p) => String(p.partition)}
      sort={param('sort')}
      onSort={(sort) => setQuery({ sort })}
      onOpen={(p) => setQuery({ tab: '', sort: '', partition: String(p.partition) }, true)}
      empty={null}
    />
  )
}
