/** What screens share: data that is fetched again and again, streams bound to a component's life, frames. */
import { useEffect, useRef, useState } from 'preact/hooks'
import { asApiError } from './problem.ts'
import type { ApiError } from './problem.ts'
import { getJson } from './http.ts'
import { openStream } from './stream.ts'
import type { StreamOptions, StreamState } from './stream.ts'

/** The screen of a telephone: the same bound as the style sheets have. */
const narrowScreen = matchMedia('(max-width: 760px)')
export function useNarrow(): boolean {
  const [narrow, setNarrow] = useState(narrowScreen.matches)
  useEffect(() => {
    const changed = (): void => setNarrow(narrowScreen.matches)
    narrowScreen.addEventListener('change', changed)
    return () => narrowScreen.removeEventListener('change', changed)
  }, [])
  return narrow
}

export interface Resource<T> {
  /** The last that came; stays while a later fetch fails. */
  readonly data: T | null
  readonly error: ApiError | null
  readonly refresh: () => void
}

/**
 * Fetches now and every `everyMs` while the page is seen; an answer that takes long is asked for less often. Another url
 * begins anew; null fetches nothing.
 */
export function useResource<T>(url: string | null, everyMs: number | null = null): Resource<T> {
  const [state, setState] = useState<{ url: string | null; data: T | null; error: ApiError | null }>({
    url,
    data: null,
    error: null,
  })
  const again = useRef<() => void>(() => {})
  useEffect(() => {
    if (url === null) return
    const abort = new AbortController()
    let timer = 0
    let running = false
    const fetchOnce = async (): Promise<void> => {
      if (running) return
      running = true
      clearTimeout(timer)
      const startedMs = performance.now()
      try {
        const data = await getJson<T>(url, { signal: abort.signal })
        if (!abort.signal.aborted) setState({ url, data, error: null })
      } catch (thrown) {
        if (!abort.signal.aborted)
          setState((s) => ({ url, data: s.url === url ? s.data : null, error: asApiError(thrown) }))
      }
      running = false
      if (everyMs !== null && !abort.signal.aborted)
        timer = window.setTimeout(whenSeen, Math.max(everyMs, 8 * (performance.now() - startedMs)))
    }
    const whenSeen = (): void => {
      if (!document.hidden) void fetchOnce()
    }
    const onVisibility = (): void => {
      if (everyMs !== null) whenSeen()
    }
    document.addEventListener('visibilitychange', onVisibility)
    again.current = () => void fetchOnce()
    void fetchOnce()
    return () => {
      abort.abort()
      clearTimeout(timer)
      document.removeEventListener('visibilitychange', onVisibility)
    }
  }, [url, everyMs])
  const current = state.url === url
  return { data: current ? state.data : null, error: current ? state.error : null, refresh: () => again.current() }
}

/** Keeps a stream open as long as the component lives and `key` stays; null opens none. */
export function useStream(key: string | null, make: () => Omit<StreamOptions, 'onState'>): StreamState {
  const [state, setState] = useState<StreamState>({ is: 'connecting' })
  useEffect(() => {
    if (key === null) return
    setState({ is: 'connecting' })
    return openStream({ ...make(), onState: setState })
  }, [key])
  return state
}

/** Calls for a new rendering at most `perSecond` times a second, however often it is told to. */
export function useTick(perSecond = 10): { readonly tick: number; readonly touch: () => void } {
  const [tick, setTick] = useState(0)
  const pending = useRef(0)
  useEffect(() => () => clearTimeout(pending.current), [])
  const touch = (): void => {
    if (pending.current !== 0) return
    pending.current = window.setTimeout(() => {
      pending.current = 0
      setTick((t) => t + 1)
    }, 1000 / perSecond)
  }
  return { tick, touch }
}

/** The time, renewed every `everyMs`, for "12 s ago". */
export function useNow(everyMs = 1000): number {
  const [now, setNow] = useState(Date.now())
  useEffect(() => {
    const timer = setInterval(() => setNow(Date.now()), everyMs)
    return () => clearInterval(timer)
  }, [everyMs])
  return now
}
