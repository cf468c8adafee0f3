/** All topics with what runs through them; thousands are no more work than ten. */
import { useState } from 'preact/hooks'
import type { TopicDetail, TopicSummary } from '../../../src/gateway/http/api.ts'
import { apiUrl, getJson, sendJson } from '../lib/http.ts'
import { asApiError, problemOf } from '../lib/problem.ts'
import type { ApiError } from '../lib/problem.ts'
import { useResource } from '../lib/hooks.ts'
import { go, param, setQuery } from '../lib/location.ts'
import { useKeys } from '../lib/keys.ts'
import { bytes, compact, count, duration } from '../lib/format.ts'
import { Badge, Button, Dialog, Empty, Field, InternalToo, Link, Page } from '../parts/bits.tsx'
import type { Column } from '../parts/data-table.tsx'
import { List } from '../parts/list.tsx'
import { ProblemBox } from '../parts/problem.tsx'

const columns: readonly Column<TopicSummary>[] = [
  {
    id: 'name',
    title: 'Topic',
    width: 'minmax(200px, 1fr)',
    sort: (t) => t.name,
    cell: (t) => (
      <>
        <Link to={['topics', t.name]}>{t.name}</Link>
        {t.hasSchema && <Badge kind="quiet">schema</Badge>}
      </>
    ),
  },
  {
    id: 'rate',
    title: 'Records/s',
    width: '96px',
    numeric: true,
    sort: (t) => t.recordsPerSecond,
    cell: (t) => <Rate n={t.recordsPerSecond} text={compact(t.recordsPerSecond)} />,
  },
  {
    id: 'byteRate',
    wide: true,
    title: 'Bytes/s',
    width: '96px',
    numeric: true,
    sort: (t) => t.bytesPerSecond,
    cell: (t) => <Rate n={t.bytesPerSecond} text={bytes(t.bytesPerSecond)} />,
  },
  {
    id: 'records',
    title: 'Records',
    width: '110px',
    numeric: true,
    sort: (t) => t.records,
    cell: (t) => count(t.records),
  },
  {
    id: 'bytes',
    wide: true,
    title: 'Size',
    width: '90px',
    numeric: true,
    sort: (t) => t.bytes,
    cell: (t) => bytes(t.bytes),
  },
  {
    id: 'partitions',
    wide: true,
    title: 'Partitions',
    width: '90px',
    numeric: true,
    sort: (t) => t.partitions,
    cell: (t) => t.partitions,
  },
  {
    id: 'retention',
    wide: true,
    title: 'Kept',
    width: '130px',
    sort: (t) => (t.retentionMs < 0 ? Infinity : t.retentionMs),
    cell: kept,
  },
]

function kept(t: TopicSummary): string {
  const time = t.retentionMs < 0 ? 'for ever' : duration(t.retentionMs)
  return t.cleanupPolicy.includes('compact')
    ? `compacted${t.cleanupPolicy.includes('delete') ? `, ${time}` : ''}`
    : time
}

const Rate = ({ n, text }: { readonly n: number; readonly text: string }) => (
  <span class={n > 0 ? 'flowing' : 'still'}>{n > 0 ? text : '0'}</span>
)

export function TopicsScreen() {
  const internal = param('internal') === 'true'
  const { data, error, refresh } = useResource<readonly TopicSummary[]>(
    apiUrl(['topics'], internal ? { internal: 'true' } : {}),
    1500,
  )
  const creating = param('new') === 'topic'
  useKeys([{ keys: 'n', does: 'New topic', run: () => setQuery({ new: 'topic' }, true) }])
  return (
    <Page
      title="Topics"
      actions={
        <Button kind="primary" icon="plus" onClick={() => setQuery({ new: 'topic' }, true)}>
          New topic
        </Button>
      }
    >
      <List
        label="Topics"
        noun="topics"
        data={data}
        error={error}
        retry={refresh}
        filterLabel="Filter topics"
        shows={(t, filter) => filter.split(/\s+/).every((word) => t.name.toLowerCase().includes(word))}
        tools={<InternalToo what="the topics that Millrace keeps for itself" />}
        columns={columns}
        idOf={(t) => t.name}
        sort="name"
        onOpen={(t) => go(['topics', t.name])}
        empty={(total) => <NoTopics filter={param('filter')} total={total} />}
      />
      {creating && (
        <NewTopic
          onClose={() => setQuery({ new: '' })}
          onMade={(name) => {
            refresh()
            go(['topics', name])
          }}
        />
      )}
    </Page>
  )
}

function NoTopics({ filter, total }: { readonly filter: string; readonly total: number }) {
  if (total > 0)
    return (
      <Empty title={`None of ${count(total)} topics has “${filter}” in its name.`}>
        <Button onClick={() => setQuery({ filter: '' })}>Show all</Button>
      </Empty>
    )
  return (
    <Empty title="There is no topic yet.">
      <p>Create one here, or send to one with a Kafka client: it is created on the first record.</p>
    </Empty>
  )
}

async function exists(name: string): Promise<boolean> {
  try {
    await getJson<TopicDetail>(apiUrl(['topics', name]))
    return true
  } catch (thrown) {
    if (asApiError(thrown).problem.status === 404) return false
    throw thrown
  }
}

const taken = (name: string): ApiError =>
  problemOf(
    409,
    JSON.stringify({
      code: 'log.topic-exists',
      title: 'Exists already',
      detail: `topic ${name} already exists`,
      hint: 'Use it as it is, or choose another name.',
    }),
  )

function NewTopic({ onClose, onMade }: { readonly onClose: () => void; readonly onMade: (name: string) => void }) {
  const [name, setName] = useState('')
  const [partitions, setPartitions] = useState('1')
  const [policy, setPolicy] = useState('delete')
  const [retention, setRetention] = useState('')
  const [busy, setBusy] = useState(false)
  const [error, setError] = useState<ApiError | null>(null)
  const create = async (): Promise<void> => {
    setBusy(true)
    setError(null)
    const config = { 'cleanup.policy': policy, ...(retention === '' ? {} : { 'retention.ms': retention }) }
    try {
      // PUT on a topic that exists would change it: that is not what "new" says.
      if (await exists(name)) throw taken(name)
      await sendJson<TopicDetail>(apiUrl(['topics', name]), 'PUT', { partitions: Number(partitions), config })
      onMade(name)
    } catch (thrown) {
      setError(asApiError(thrown))
      setBusy(false)
    }
  }
  return (
    <Dialog title="New topic" onClose={onClose}>
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault()
          void create()
        }}
      >
        <Field label="Name" hint="Letters, digits, dots, underscores and hyphens.">
          <input
            value={name}
            onInput={(e) => setName(e.currentTarget.value)}
            required
            maxLength={249}
            pattern="[A-Za-z0-9._\-]+"
            autofocus
            spellcheck={false}
          />
        </Field>
        <Field label="Partitions" hint="Can grow later, never shrink.">
          <input
            type="number"
            min="1"
            max="10000"
            value={partitions}
            onInput={(e) => setPartitions(e.currentTarget.value)}
            required
          />
        </Field>
        <Field label="Kept" hint="Compacted: of each key the newest record.">
          <select value={policy} onChange={(e) => setPolicy(e.currentTarget.value)}>
            <option value="delete">by time and size</option>
            <option value="compact">compacted</option>
            <option value="compact,delete">compacted, and by time</option>
          </select>
        </Field>
        <Field label="Retention in ms" hint="Empty or −1: for ever.">
          <input
            inputMode="numeric"
            pattern="-1|\d*"
            value={retention}
            onInput={(e) => setRetention(e.currentTarget.value)}
          />
        </Field>
        {error !== null && <ProblemBox error={error} />}
        <footer class="form-end">
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="primary" submit disabled={busy || name === ''}>
            Create
          </Button>
        </footer>
      </form>
    </Dialog>
  )
}
