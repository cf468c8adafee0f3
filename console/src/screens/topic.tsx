/** One topic: its records, partitions, settings, schema and readers. */
import { useState } from 'preact/hooks'
import type { RelationInfo, TopicDetail } from '../../../src/gateway/http/api.ts'
import { apiUrl, request } from '../lib/http.ts'
import { useResource } from '../lib/hooks.ts'
import { go, param, setQuery } from '../lib/location.ts'
import { asApiError } from '../lib/problem.ts'
import type { ApiError } from '../lib/problem.ts'
import { bytes, compact, count } from '../lib/format.ts'
import { Button, Dialog, Field, Link, Loading, Page, Tabs } from '../parts/bits.tsx'
import { ProblemBox } from '../parts/problem.tsx'
import { Partitions } from './topic/partitions.tsx'
import { Produce } from './topic/produce.tsx'
import { Readers } from './topic/readers.tsx'
import { Records } from './topic/records.tsx'
import { Schema } from './topic/schema.tsx'
import { Settings } from './topic/settings.tsx'

const tabs = [
  ['records', 'Records'],
  ['partitions', 'Partitions'],
  ['settings', 'Settings'],
  ['schema', 'Schema'],
  ['readers', 'Readers'],
] as const

export function TopicScreen({ name }: { readonly name: string }) {
  const { data: topic, error, refresh } = useResource<TopicDetail>(apiUrl(['topics', name]), 2000)
  const tab = param('tab', 'records')
  const open = param('open')
  const close = (): void => setQuery({ open: '' })
  return (
    <Page
      title={name}
      crumbs={<Link to={['topics']}>Topics</Link>}
      actions={
        topic !== null && (
          <>
            <Button icon="send" kind="primary" onClick={() => setQuery({ open: 'produce' }, true)}>
              Produce
            </Button>
            <Button
              icon="trash"
              kind="quiet"
              title="Delete this topic"
              onClick={() => setQuery({ open: 'delete' }, true)}
            />
          </>
        )
      }
    >
      {error !== null && <ProblemBox error={error} retry={refresh} />}
      {topic === null && error === null && <Loading what={`topic ${name}`} />}
      {topic !== null && (
        <>
          <Summary topic={topic} />
          <Tabs tabs={tabs} current={tab} onSelect={(id) => setQuery({ tab: id === 'records' ? '' : id }, true)} />
          <div class="tab-panel" role="tabpanel" aria-label={tab}>
            {tab === 'records' && <Records topic={topic} />}
            {tab === 'partitions' && <Partitions topic={topic} />}
            {tab === 'settings' && <Settings topic={topic} onChanged={refresh} />}
            {tab === 'schema' && <Schema topic={topic} onChanged={refresh} />}
            {tab === 'readers' && <Readers topic={topic.name} />}
          </div>
          {open === 'produce' && <Produce topic={topic} onClose={close} />}
          {open === 'delete' && <DeleteTopic name={name} onClose={close} />}
        </>
      )}
    </Page>
  )
}

function Summary({ topic }: { readonly topic: TopicDetail }) {
  const relations = useResource<readonly RelationInfo[]>(apiUrl(['views']), 10_000).data ?? []
  const own = relations.filter((r) => r.topic === topic.name)
  return (
    <p class="summary">
      <span>
        <b>{compact(topic.recordsPerSecond)}</b>/s
      </span>
      <span>
        <b>{count(topic.records)}</b> records
      </span>
      <span>
        <b>{bytes(topic.bytes)}</b>
      </span>
      <span>
        <b>{topic.partitions}</b> {topic.partitions === 1 ? 'partition' : 'partitions'}
      </span>
      {own.map((r) => (
        <span key={r.name}>
          {r.kind} <Link to={['views', r.name]}>{r.name}</Link>
        </span>
      ))}
    </p>
  )
}

function DeleteTopic({ name, onClose }: { readonly name: string; readonly onClose: () => void }) {
  const [typed, setTyped] = useState('')
  const [error, setError] = useState<ApiError | null>(null)
  const remove = async (): Promise<void> => {
    try {
      await request(apiUrl(['topics', name]), { method: 'DELETE' })
      go(['topics'])
    } catch (thrown) {
      setError(asApiError(thrown))
    }
  }
  return (
    <Dialog title={`Delete ${name}?`} onClose={onClose}>
      <form
        class="form"
        onSubmit={(event) => {
          event.preventDefault()
          if (typed === name) void remove()
        }}
      >
        <p>All its records go, and nothing brings them back.</p>
        <Field label={`Type ${name} to go on`}>
          <input
            value={typed}
            onInput={(e) => setTyped(e.currentTarget.value)}
            autofocus
            spellcheck={false}
            autocomplete="off"
          />
        </Field>
        {error !== null && <ProblemBox error={error} />}
        <footer class="form-end">
          <Button onClick={onClose}>Cancel</Button>
          <Button kind="danger" submit disabled={typed !== name}>
            Delete
          </Button>
        </footer>
      </form>
    </Dialog>
  )
}
