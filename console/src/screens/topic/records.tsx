/** The message browser: from a place, by a condition, or live; and one record in full. All of it stands in the address. */
import type { RecordJson, TopicDetail } from '../../../../src/gateway/http/api.ts'
import { readStart } from '../../lib/browse.ts'
import type { Start } from '../../lib/browse.ts'
import { cellText } from '../../lib/json.ts'
import { payloadLine } from '../../lib/payload.ts'
import { compact, count, duration, time } from '../../lib/format.ts'
import { useKeys } from '../../lib/keys.ts'
import { param, setQuery } from '../../lib/location.ts'
import { Badge, Button, Empty, StreamBadge } from '../../parts/bits.tsx'
import { DataTable } from '../../parts/data-table.tsx'
import type { Column } from '../../parts/data-table.tsx'
import { ProblemBox } from '../../parts/problem.tsx'
import { RecordDetail } from './record-detail.tsx'
import { RecordsToolbar, chosenPartition } from './records-toolbar.tsx'
import { recordsMax, useSearch } from './use-search.ts'
import type { RunningSearch } from './use-search.ts'
import { useTail } from './use-tail.ts'
import type { Tail } from './use-tail.ts'

const pageSize = 100
const idOf = (r: RecordJson): string => `${r.partition}:${r.offset}`

const baseColumns: readonly Column<RecordJson>[] = [
  { id: 'time', title: 'Time, UTC', width: '196px', wide: true, cell: (r) => time(r.timestamp) },
  { id: 'partition', title: 'P', width: '44px', numeric: true, wide: true, cell: (r) => r.partition },
  { id: 'offset', title: 'Offset', width: '92px', numeric: true, cell: (r) => r.offset },
  { id: 'key', title: 'Key', width: 'minmax(70px, 0.35fr)', cell: (r) => <Line text={payloadLine(r.key, 200)} /> },
]
const valueColumn: Column<RecordJson> = {
  id: 'value',
  title: 'Value',
  width: 'minmax(200px, 1.6fr)',
  cell: (r) => <Line text={payloadLine(r.value)} />,
}

const Line = ({ text }: { readonly text: string | null }) =>
  text === null ? <span class="null">null</span> : <span>{text}</span>

/** A field of JSON values as a column of its own. */
const fieldColumn = (name: string): Column<RecordJson> => ({
  id: `field-${name}`,
  title: name,
  width: 'minmax(90px, 0.5fr)',
  cell: (r) => <Line text={cellText(fieldOf(r, name))} />,
})

function fieldOf(record: RecordJson, name: string): unknown {
  const { value } = record
  if (value === null || !('json' in value) || typeof value.json !== 'object' || value.json === null) return undefined
  return Object.hasOwn(value.json, name) ? (value.json as Readonly<Record<string, unknown>>)[name] : undefined
}

export function fieldsOf(records: readonly RecordJson[]): string[] {
  const names = new Set<string>()
  for (const { value } of records.slice(0, 100))
    if (
      value !== null &&
      'json' in value &&
      typeof value.json === 'object' &&
      value.json !== null &&
      !Array.isArray(value.json)
    )
      for (const name of Object.keys(value.json)) if (names.size < 60) names.add(name)
  return [...names]
}

export function Records({ topic }: { readonly topic: TopicDetail }) {
  const live = param('live') === 'true'
  const [from, where] = [param('from', 'newest'), param('where')]
  const partition = chosenPartition(topic)
  const start = readStart(from)
  const key = JSON.stringify([topic.name, from, where, partition])
  const found = useSearch(live ? null : key, {
    topic: topic.name,
    partition: partition === '' ? null : Number(partition),
    start,
    where,
    limit: pageSize,
  })
  const tailQuery = { from: 'latest', ...(where === '' ? {} : { where }), ...(partition === '' ? {} : { partition }) }
  const tail = useTail(live ? key : null, topic.name, tailQuery)
  const records = live ? tail.records : found.records
  const fields = param('fields')
    .split(',')
    .filter((name) => name !== '')
  const columns = [...baseColumns, ...fields.map(fieldColumn), valueColumn]
  const selected = param('record')
  const open = (r: RecordJson): void => {
    if (live) tail.setPaused(true)
    setQuery({ record: idOf(r) })
  }
  useKeys(
    [
      { keys: 'l', does: 'Live tail on and off', run: () => setQuery({ live: live ? '' : 'true' }) },
      { keys: 'Escape', does: 'Close the record', run: () => setQuery({ record: '' }) },
    ],
    [live],
  )
  return (
    <div class={selected === '' ? 'records' : 'records with-detail'}>
      <RecordsToolbar topic={topic} live={live} knownFields={fieldsOf(records)} fields={fields} />
      {live ? <TailStatus tail={tail} where={where} /> : <SearchStatus found={found} where={where} start={start} />}
      <div class="records-body">
        <DataTable
          label="Records"
          columns={columns}
          rows={records}
          idOf={idOf}
          onOpen={open}
          selected={selected === '' ? null : selected}
          empty={
            live ? (
              <TailEmpty tail={tail} where={where} />
            ) : (
              <SearchEmpty found={found} topic={topic} where={where} start={start} />
            )
          }
        />
        {selected !== '' && (
          <RecordDetail topic={topic.name} id={selected} known={records.find((r) => idOf(r) === selected) ?? null} />
        )}
      </div>
    </div>
  )
}

function SearchStatus({
  found,
  where,
  start,
}: {
  readonly found: RunningSearch
  readonly where: string
  readonly start: Start
}) {
  if (found.is === 'failed' && found.error !== null)
    return <ProblemBox error={found.error} text={where} retry={found.more} />
  const rate = found.tookMs > 200 ? found.scanned / (found.tookMs / 1000) : null
  const eta = rate !== null && rate > 0 && found.remaining !== null ? (found.remaining / rate) * 1000 : null
  const share = found.remaining === null ? 0 : found.scanned / Math.max(1, found.scanned + found.remaining)
  return (
    <div class="status-line" role="status" data-testid="search-status">
      <span>
        <b>{count(found.records.length)}</b> {where === '' ? 'shown' : 'found'}
      </span>
      <span>
        {count(found.scanned)} scanned
        {found.is === 'running' && found.remaining !== null && found.remaining > 0 && (
          <> of {count(found.scanned + found.remaining)}</>
        )}
        {found.tookMs > 200 && <> in {duration(found.tookMs)}</>}
        {rate !== null && <>, {compact(rate)}/s</>}
      </span>
      {found.is === 'running' ? (
        <>
          <progress value={share} max={1} aria-label="Scanned" />
          {eta !== null && eta > 1000 && <span class="muted">{duration(eta)} to go</span>}
          <Button icon="stop" onClick={found.stop}>
            Stop
          </Button>
        </>
      ) : (
        <After found={found} start={start} />
      )}
    </div>
  )
}

function After({ found, start }: { readonly found: RunningSearch; readonly start: Start }) {
  const backwards = start.at === 'newest'
  const full = found.records.length >= recordsMax
  return (
    <>
      {found.is === 'end' && <span class="muted">{backwards ? 'back to the beginning' : 'up to the end'}</span>}
      {found.is === 'stopped' && <Badge kind="warn">stopped</Badge>}
      {full && <span class="muted">{count(recordsMax)} are held; seek to go further</span>}
      {found.is !== 'end' && !full && (
        <Button onClick={found.more}>{found.is === 'stopped' ? 'Go on' : backwards ? 'Older' : 'More'}</Button>
      )}
      {found.is === 'end' && !backwards && <Button onClick={found.more}>Look again</Button>}
    </>
  )
}

function SearchEmpty({
  found,
  topic,
  where,
  start,
}: {
  readonly found: RunningSearch
  readonly topic: TopicDetail
  readonly where: string
  readonly start: Start
}) {
  if (found.is === 'running')
    return <Empty title={found.scanned > 0 ? `Nothing yet among ${count(found.scanned)} records.` : 'Reading…'} />
  if (found.is === 'failed') return null
  if (found.is === 'stopped')
    return <Empty title={`Stopped: nothing among the ${count(found.scanned)} records scanned so far.`} />
  if (topic.partitionDetails.every((p) => p.start === p.stable))
    return (
      <Empty title="This topic holds no records.">
        <p>
          {topic.partitionDetails.some((p) => p.stable > 0)
            ? 'It had some: retention or compaction has removed them.'
            : 'Produce one, or let it run live and wait.'}
        </p>
        <Button icon="play" onClick={() => setQuery({ live: 'true' })}>
          Wait live
        </Button>
      </Empty>
    )
  if (where !== '') return <Empty title={`None of the ${count(found.scanned)} records scanned matches.`} />
  const newest = Math.max(...topic.partitionDetails.map((p) => p.stable)) - 1
  return (
    <Empty
      title={
        start.at === 'time'
          ? 'No record is as late as this time.'
          : `No record stands there; the last offset is ${count(newest)}.`
      }
    />
  )
}

function TailStatus({ tail, where }: { readonly tail: Tail; readonly where: string }) {
  useKeys([{ keys: ' ', does: 'Pause and go on', run: () => tail.setPaused(!tail.paused) }], [tail.paused])
  return (
    <>
      {tail.state.is === 'failed' && <ProblemBox error={tail.state.error} text={where} />}
      <div class="status-line" role="status" data-testid="tail-status">
        <StreamBadge state={tail.state} />
        <span>
          <b>{count(tail.received)}</b> came
        </span>
        <Button
          icon={tail.paused ? 'play' : 'pause'}
          onClick={() => tail.setPaused(!tail.paused)}
          pressed={tail.paused}
        >
          {tail.paused ? 'Go on' : 'Pause'}
        </Button>
        {tail.paused && tail.waiting > 0 && (
          <span>
            {count(tail.waiting)} wait
            {tail.skipped > 0 && <>, of which the oldest {count(tail.skipped)} will not be shown</>}
          </span>
        )}
      </div>
    </>
  )
}

function TailEmpty({ tail, where }: { readonly tail: Tail; readonly where: string }) {
  if (tail.state.is === 'failed') return null
  if (tail.state.is !== 'live') return <Empty title="Connecting…" />
  return <Empty title={where === '' ? 'Waiting for the next record.' : 'Waiting for the next record that matches.'} />
}
