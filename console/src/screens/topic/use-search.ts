/** A search through a topic as the records tab runs it: starts when what is asked changes, goes on when told, stops at once. */
import { useEffect, useRef, useState } from 'preact/hooks'
import type { RecordJson, RecordPage, TopicDetail } from '../../../../src/gateway/http/api.ts'
import { joinRecords, search } from '../../lib/browse.ts'
import type { Place, Progress, Search } from '../../lib/browse.ts'
import { apiUrl, getJson } from '../../lib/http.ts'
import { asApiError } from '../../lib/problem.ts'
import type { ApiError } from '../../lib/problem.ts'

export interface SearchState {
  readonly records: readonly RecordJson[]
  readonly scanned: number
  readonly remaining: number | null
  readonly is: 'running' | 'stopped' | 'enough' | 'end' | 'failed'
  readonly error: ApiError | null
  readonly startedMs: number
  readonly tookMs: number
  /** Where it goes on; null before the first answer. */
  readonly place: Place | null
}
const begin = (startedMs: number): SearchState => ({
  records: [],
  scanned: 0,
  remaining: null,
  is: 'running',
  error: null,
  startedMs,
  tookMs: 0,
  place: null,
})
/** More than anybody reads; what lies beyond is reached by seeking. */
export const recordsMax = 5000

export interface RunningSearch extends SearchState {
  readonly stop: () => void
  readonly more: () => void
}

/** `key` names what is asked; null asks nothing. */
export function useSearch(key: string | null, asked: Search): RunningSearch {
  const [state, setState] = useState<SearchState>(() => begin(Date.now()))
  const abort = useRef(new AbortController())
  const run = async (before: SearchState | null): Promise<void> => {
    abort.current.abort()
    const own = (abort.current = new AbortController())
    const base = before ?? begin(Date.now())
    const startedMs = Date.now()
    const update = (change: Partial<SearchState>): void => {
      if (!own.signal.aborted) setState((s) => ({ ...s, ...change, tookMs: base.tookMs + Date.now() - startedMs }))
    }
    setState({ ...base, is: 'running', error: null, startedMs })
    try {
      for await (const progress of searchFrom(asked, base.place, own.signal)) update(joined(asked, base, progress))
    } catch (thrown) {
      update({ is: 'failed', error: asApiError(thrown) })
    }
  }
  useEffect(() => {
    if (key !== null) void run(null)
    return () => abort.current.abort()
  }, [key])
  const stop = (): void => {
    abort.current.abort()
    setState((s) => ({ ...s, is: 'stopped', tookMs: Date.now() - s.startedMs }))
  }
  return { ...state, stop, more: () => void run(state) }
}

async function* searchFrom(asked: Search, place: Place | null, signal: AbortSignal): AsyncGenerator<Progress> {
  const topic = await getJson<TopicDetail>(apiUrl(['topics', asked.topic]), { signal })
  const read = (query: Readonly<Record<string, string>>): Promise<RecordPage> =>
    getJson<RecordPage>(apiUrl(['topics', asked.topic, 'records'], query), { signal })
  yield* search(asked, topic.partitionDetails, read, place)
}

function joined(asked: Search, base: SearchState, progress: Progress): Partial<SearchState> {
  return {
    records: joinRecords(asked, base.records, progress.records).slice(0, recordsMax),
    scanned: base.scanned + progress.scanned,
    remaining: progress.remaining,
    is: progress.done === 'no' ? 'running' : progress.done,
    place: progress.place,
  }
}
