/** Alerts that fired: the newest there are, then each as it fires. Bounded. */
import { useEffect, useState } from 'preact/hooks'
import type { FiredAlert } from '../../../src/gateway/http/api.ts'
import { apiUrl, getJson } from '../lib/http.ts'
import { useStream } from '../lib/hooks.ts'
import { asApiError } from '../lib/problem.ts'
import type { ApiError } from '../lib/problem.ts'
import { eventData } from '../lib/stream.ts'
import type { StreamState } from '../lib/stream.ts'

const heldMax = 2000
export interface Fired {
  /** Newest first. */
  readonly list: readonly FiredAlert[]
  readonly state: StreamState
  readonly error: ApiError | null
  readonly loaded: boolean
}

export function useFiredAlerts(limit: number): Fired {
  const [held, setHeld] = useState<ReadonlyMap<string, FiredAlert>>(new Map())
  const [error, setError] = useState<ApiError | null>(null)
  const [loaded, setLoaded] = useState(false)
  const add = (alerts: readonly FiredAlert[]): void => setHeld((before) => merged(before, alerts))
  const load = (): void => {
    getJson<readonly FiredAlert[]>(apiUrl(['alerts', 'fired'], { limit: String(limit) })).then(
      (alerts) => {
        add(alerts)
        setError(null)
        setLoaded(true)
      },
      (thrown: unknown) => setError(asApiError(thrown)),
    )
  }
  const state = useStream('fired', () => ({
    url: apiUrl(['alerts', 'fired']),
    background: true,
    // After each connection the list is read too: what fired while it was cut is not missed.
    onOpen: load,
    onEvents: (events) => add(events.map((event) => eventData<FiredAlert>(event))),
  }))
  // Deliveries end after the alert was sent here: their outcome is read now and then.
  useEffect(() => {
    const timer = setInterval(() => {
      if (!document.hidden) load()
    }, 5000)
    return () => clearInterval(timer)
  }, [])
  const list = [...held.values()].sort((a, b) =>
    a.firedAt < b.firedAt ? 1 : a.firedAt > b.firedAt ? -1 : a.id < b.id ? 1 : -1,
  )
  return { list, state, error, loaded }
}

function merged(
  before: ReadonlyMap<string, FiredAlert>,
  alerts: readonly FiredAlert[],
): ReadonlyMap<string, FiredAlert> {
  const all = new Map(before)
  for (const alert of alerts) all.set(alert.id, alert)
  if (all.size <= heldMax) return all
  return new Map([...all].sort(([, a], [, b]) => (a.firedAt < b.firedAt ? 1 : -1)).slice(0, heldMax))
}
