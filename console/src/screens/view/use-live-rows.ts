/**
 * The rows of a view as they are now. Each connection begins with all rows: they are gathered aside and take the place of
 * what is shown in one step, so that a lost connection neither empties nor doubles the table.
 */
import { useEffect, useRef } from 'preact/hooks'
import type { StreamState } from '../../lib/stream.ts'
import { eventData } from '../../lib/stream.ts'
import { useStream, useTick } from '../../lib/hooks.ts'
import { KeyedRows } from '../../lib/keyed-rows.ts'
import type { LiveRow } from '../../lib/keyed-rows.ts'
import type { Change } from '../../../../src/gateway/http/api.ts'
import type { ServerEvent } from '../../lib/sse.ts'

const heldMax = 10_000
/** A server that marks no progress is taken to have sent its rows when nothing came for so long. */
const quietMs = 500

export interface LiveRows {
  readonly state: StreamState
  /** Null until all rows came once. */
  readonly rows: readonly LiveRow[] | null
  readonly total: number
  readonly dropped: number
  readonly watermark: string | null
  readonly changes: number
}
interface Held {
  shown: KeyedRows | null
  coming: KeyedRows | null
  list: readonly LiveRow[] | null
  /** Changes were applied that the list does not show: it is paused. */
  stale: boolean
  pending: Change[]
  watermark: string | null
  changes: number
  quiet: number
}
const nothing = (): Held => ({
  shown: null,
  coming: null,
  list: null,
  stale: false,
  pending: [],
  watermark: null,
  changes: 0,
  quiet: 0,
})

export interface LiveSource {
  readonly url: string
  readonly body?: string
  readonly onOther?: (event: ServerEvent) => void
}

/** `id` names the source; null opens none. While `paused`, changes are applied and not shown. */
export function useLiveRows(
  id: string | null,
  source: LiveSource,
  key: readonly string[] | null,
  paused: boolean,
): LiveRows {
  const held = useRef<Held>(nothing())
  const { touch } = useTick(5)
  const tables = useRef({ id, key })
  if (tables.current.id !== id) {
    tables.current = { id, key }
    held.current = nothing()
  }
  const swap = (): void => {
    const h = held.current
    clearTimeout(h.quiet)
    if (h.coming === null) return
    h.coming.apply(h.pending.splice(0), 0)
    h.shown = h.coming
    h.coming = null
    h.list = null
    touch()
  }
  const state = useStream(id, () => ({
    ...source,
    fresh: true,
    onOpen: () => {
      held.current.pending = []
      held.current.coming = new KeyedRows(key, heldMax)
      held.current.quiet = window.setTimeout(swap, 3000)
    },
    onEvents: (events) => {
      const h = held.current
      for (const event of events) {
        if (event.event !== 'change' && event.event !== 'message') {
          source.onOther?.(event)
          continue
        }
        const change = eventData<Change>(event)
        if (change.op === 'progress') {
          h.watermark = change.watermark
          swap()
        } else {
          h.pending.push(change)
          h.changes++
        }
      }
      if (h.coming !== null) {
        h.coming.apply(h.pending.splice(0), 0)
        clearTimeout(h.quiet)
        h.quiet = window.setTimeout(swap, quietMs)
      }
      touch()
    },
  }))
  useEffect(() => () => clearTimeout(held.current.quiet), [])
  const h = held.current
  if (h.shown !== null && h.coming === null && h.pending.length > 0) {
    h.shown.apply(h.pending.splice(0), Date.now())
    h.stale = true
  }
  if (h.shown !== null && (h.list === null || (h.stale && !paused))) {
    h.list = h.shown.list()
    h.stale = false
  }
  return {
    state,
    rows: h.list,
    total: h.shown?.total ?? 0,
    dropped: h.shown?.dropped ?? 0,
    watermark: h.watermark,
    changes: h.changes,
  }
}
