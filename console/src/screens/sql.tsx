/** SQL: ask, declare, subscribe. The text stands in the address; a link only ever runs what changes nothing. */
import { useEffect, useRef, useState } from 'preact/hooks'
import type { QueryAnswer, RelationInfo } from '../../../src/gateway/http/api.ts'
import type { Columns, DataType } from '../../../src/schema/types.ts'
import { typeName } from '../../../src/schema/types.ts'
import { apiUrl, getJson } from '../lib/http.ts'
import { useResource } from '../lib/hooks.ts'
import { param, setQuery } from '../lib/location.ts'
import { asApiError } from '../lib/problem.ts'
import type { ApiError } from '../lib/problem.ts'
import { isSubscribe, onlyReads, quoteName } from '../lib/sql-text.ts'
import { count, duration } from '../lib/format.ts'
import { read, write } from '../lib/theme.ts'
import { Badge, Button, Empty, Page, StreamBadge } from '../parts/bits.tsx'
import { ProblemBox } from '../parts/problem.tsx'
import { SqlEditor } from '../parts/sql-editor.tsx'
import { RowsTable } from './view/rows-table.tsx'
import { useLiveRows } from './view/use-live-rows.ts'

type Run =
  | { readonly is: 'idle' }
  | { readonly is: 'running'; readonly sql: string; readonly startedMs: number }
  | { readonly is: 'answered'; readonly sql: string; readonly answer: QueryAnswer; readonly tookMs: number }
  | { readonly is: 'failed'; readonly sql: string; readonly error: ApiError }
  | { readonly is: 'stopped' }
  | { readonly is: 'subscribed'; readonly sql: string; readonly nr: number }

export function SqlScreen() {
  const sql = param('q')
  const [run, setRun] = useState<Run>({ is: 'idle' })
  const abort = useRef(new AbortController())
  const [past, setPast] = useState<readonly string[]>(readPast)
  const start = async (text: string): Promise<void> => {
    if (text.trim() === '') return
    abort.current.abort()
    const own = (abort.current = new AbortController())
    setPast(remember(text))
    setQuery({ q: text, run: onlyReads(text) ? 'true' : '' })
    const startedMs = performance.now()
    if (isSubscribe(text)) return setRun({ is: 'subscribed', sql: text, nr: startedMs })
    setRun({ is: 'running', sql: text, startedMs })
    try {
      const body = JSON.stringify({ sql: text })
      const answer = await getJson<QueryAnswer>(apiUrl(['sql']), {
        method: 'POST',
        body,
        headers: { 'content-type': 'application/json' },
        signal: own.signal,
      })
      if (!own.signal.aborted) setRun({ is: 'answered', sql: text, answer, tookMs: performance.now() - startedMs })
    } catch (thrown) {
      if (!own.signal.aborted) setRun({ is: 'failed', sql: text, error: asApiError(thrown) })
    }
  }
  const stop = (): void => {
    abort.current.abort()
    setRun({ is: 'stopped' })
  }
  useEffect(() => {
    if (param('run') === 'true' && onlyReads(sql)) void start(sql)
    return () => abort.current.abort()
  }, [])
  const busy = run.is === 'running' || run.is === 'subscribed'
  const errorLine = run.is === 'failed' && run.sql === sql ? (run.error.problem.position?.line ?? null) : null
  return (
    <Page title="SQL">
      <div class="sql-columns">
        <div class="sql-main">
          <SqlEditor
            label="SQL"
            value={sql}
            onInput={(text) => setQuery({ q: text, run: '' })}
            onRun={() => void start(sql)}
            errorLine={errorLine}
          />
          <div class="toolbar">
            <Button kind="primary" icon="play" onClick={() => void start(sql)} disabled={sql.trim() === ''}>
              Run
            </Button>
            {busy && (
              <Button icon="stop" onClick={stop}>
                Stop
              </Button>
            )}
            <kbd class="muted">{/Mac/.test(navigator.userAgent) ? '⌘ Enter' : 'Ctrl Enter'}</kbd>
            <Past past={past} />
          </div>
          <Outcome run={run} onAsk={(text) => void start(text)} />
        </div>
        <Names sql={sql} />
      </div>
    </Page>
  )
}

/** What can be asked of what there is; nothing here changes anything. */
function Examples({ onAsk }: { readonly onAsk: (sql: string) => void }) {
  const { data } = useResource<readonly RelationInfo[]>(apiUrl(['views']))
  const view = data?.find((r) => r.kind === 'view' && r.key !== null) ?? data?.find((r) => r.kind === 'view')
  const asked = view ?? data?.[0]
  if (asked === undefined) return null
  const name = quoteName(asked.name)
  const all = [
    `SELECT * FROM ${name} LIMIT 20`,
    ...(view === undefined ? [] : [`SUBSCRIBE TO ${name}`, `EXPLAIN SELECT count(*) FROM ${name}`]),
    'SHOW VIEWS',
  ]
  return (
    <ul class="examples" aria-label="Examples">
      {all.map((sql) => (
        <li key={sql}>
          <button type="button" class="link" onClick={() => onAsk(sql)}>
            {sql}
          </button>
        </li>
      ))}
    </ul>
  )
}

function Outcome({ run, onAsk }: { readonly run: Run; readonly onAsk: (sql: string) => void }) {
  switch (run.is) {
    case 'idle':
      return (
        <Empty title="The answer appears here.">
          <p>
            SELECT answers now; SUBSCRIBE TO a view goes on answering; CREATE MATERIALIZED VIEW keeps an answer up to
            date.
          </p>
          <Examples onAsk={onAsk} />
        </Empty>
      )
    case 'running':
      return (
        <p class="loading" role="status">
          Running…
        </p>
      )
    case 'stopped':
      return (
        <p class="muted" role="status">
          Stopped.
        </p>
      )
    case 'failed':
      return <ProblemBox error={run.error} text={run.sql} />
    case 'subscribed':
      return <Subscribed key={run.nr} sql={run.sql} />
    case 'answered':
      return <Answer answer={run.answer} tookMs={run.tookMs} />
  }
}

/** Types come by name here; what the table wants to know is whether a column is a number or a time. */
function columnsOf(columns: QueryAnswer['columns']): Columns {
  const names = new Map<string, number>()
  return columns.map(({ name, type }) => {
    // Two columns of one name are two columns.
    const nr = names.get(name) ?? 0
    names.set(name, nr + 1)
    return { name: nr === 0 ? name : `${name} (${nr + 1})`, type: typeOf(type), nullable: true }
  })
}

function typeOf(text: string): DataType {
  if (text.endsWith('[]') || text.startsWith('(')) return { kind: 'json' }
  if (/^(smallint|int|integer|bigint|real|double precision|numeric)/.test(text)) return { kind: 'double' }
  if (text.startsWith('timestamp')) return { kind: 'timestamptz' }
  if (text === 'date') return { kind: 'date' }
  return { kind: text.startsWith('json') ? 'json' : 'text' }
}

function Answer({ answer, tookMs }: { readonly answer: QueryAnswer; readonly tookMs: number }) {
  const [sort, setSort] = useState('')
  const columns = columnsOf(answer.columns)
  const rows = answer.rows.map((row, i) => ({
    id: String(i),
    row: Object.fromEntries(columns.map((c, j) => [c.name, row[j]])),
    copies: 1,
    changedAt: 0,
    changedMs: 0,
    columns: [],
  }))
  return (
    <>
      <p class="status-line" role="status" data-testid="sql-status">
        <Badge kind="good">{answer.command}</Badge>
        {answer.columns.length > 0 && <span>{count(rows.length)} rows</span>}
        <span class="muted">{duration(tookMs)}</span>
      </p>
      {columns.length > 0 && (
        <RowsTable
          label="Answer"
          columns={columns}
          keyColumns={[]}
          rows={rows}
          sort={sort}
          onSort={setSort}
          empty={<Empty title="No row answers this." />}
        />
      )}
    </>
  )
}

function Subscribed({ sql }: { readonly sql: string }) {
  const relations = useResource<readonly RelationInfo[]>(apiUrl(['views'])).data
  const wanted = /^\s*subscribe\s+(?:to\s+)?"?([^\s";]+)"?\s*;?\s*$/i.exec(sql)?.[1]?.toLowerCase()
  const relation = relations?.find((r) => r.name.toLowerCase() === wanted) ?? null
  if (relations === null) return <p class="loading">Subscribing…</p>
  return <SubscribedRows sql={sql} known={relation?.columns ?? null} keyColumns={relation?.key ?? null} />
}

function SubscribedRows({
  sql,
  known,
  keyColumns,
}: {
  readonly sql: string
  readonly known: Columns | null
  readonly keyColumns: readonly string[] | null
}) {
  const [columns, setColumns] = useState<Columns | null>(known)
  const [sort, setSort] = useState('')
  const source = {
    url: apiUrl(['sql']),
    body: JSON.stringify({ sql }),
    onOther: (event: { event: string; data: string }): void => {
      if (event.event === 'columns') setColumns(columnsOf(JSON.parse(event.data) as QueryAnswer['columns']))
    },
  }
  const live = useLiveRows(sql, source, keyColumns, false)
  const shown =
    columns ??
    Object.keys(live.rows?.[0]?.row ?? {}).map((name) => ({ name, type: { kind: 'text' } as const, nullable: true }))
  return (
    <>
      <p class="status-line" role="status" data-testid="sql-status">
        <StreamBadge state={live.state} />
        <span>{count(live.total)} rows</span>
        <span class="muted">{count(live.changes)} changes</span>
      </p>
      {(live.state.is === 'failed' || live.state.is === 'waiting') && (
        <ProblemBox error={live.state.error} text={sql} />
      )}
      <RowsTable
        label="Answer"
        columns={shown}
        keyColumns={keyColumns ?? []}
        rows={live.rows ?? []}
        sort={sort}
        onSort={setSort}
        empty={live.state.is === 'failed' ? null : <Empty title="No rows yet." />}
      />
    </>
  )
}

function Names({ sql }: { readonly sql: string }) {
  const relations = useResource<readonly RelationInfo[]>(apiUrl(['views']), 5000).data ?? []
  const put = (text: string): void =>
    setQuery({
      q: sql === '' ? `SELECT * FROM ${text} LIMIT 100` : `${sql}${/\s$/.test(sql) ? '' : ' '}${text}`,
      run: '',
    })
  return (
    <aside class="names" aria-label="What can be asked">
      <h2 class="section-title">What there is</h2>
      {relations.length === 0 && <p class="muted small">Nothing is declared yet.</p>}
      {relations.map((r) => (
        <details key={r.name}>
          <summary>
            <span>{r.name}</span> <small class="muted">{r.kind}</small>
          </summary>
          <button type="button" class="link small" onClick={() => put(quoteName(r.name))}>
            Put it in
          </button>
          <ul>
            {r.columns.map((c) => (
              <li key={c.name}>
                <button type="button" class="link" onClick={() => put(quoteName(c.name))}>
                  {c.name}
                </button>{' '}
                <small class="muted">{typeName(c.type)}</small>
              </li>
            ))}
          </ul>
        </details>
      ))}
    </aside>
  )
}

function Past({ past }: { readonly past: readonly string[] }) {
  if (past.length === 0) return null
  return (
    <details class="menu end">
      <summary class="button plain">Asked before</summary>
      <ul class="menu-body past">
        {past.map((text) => (
          <li key={text}>
            <button type="button" class="link" onClick={() => setQuery({ q: text, run: '' })}>
              {text.length > 120 ? `${text.slice(0, 120)}…` : text}
            </button>
          </li>
        ))}
      </ul>
    </details>
  )
}

const pastMax = 30

function readPast(): readonly string[] {
  try {
    const list = JSON.parse(read('millrace.sql') ?? '[]') as unknown
    return Array.isArray(list) ? list.filter((text) => typeof text === 'string').slice(0, pastMax) : []
  } catch {
    return []
  }
}

function remember(text: string): readonly string[] {
  const list = [text, ...readPast().filter((other) => other !== text)].slice(0, pastMax)
  write('millrace.sql', JSON.stringify(list))
  return list
}
