/** The live end of a topic, newest first, bounded. */
import { useRef } from 'preact/hooks'
import type { RecordJson } from '../../../../src/gateway/http/api.ts'
import { apiUrl } from '../../lib/http.ts'
import { useStream, useTick } from '../../lib/hooks.ts'
import { eventData } from '../../lib/stream.ts'
import type { StreamState } from '../../lib/stream.ts'
import { TailBuffer } from '../../lib/tail.ts'

const heldMax = 2000
export interface Tail {
  readonly state: StreamState
  readonly records: readonly RecordJson[]
  readonly received: number
  readonly waiting: number
  readonly skipped: number
  readonly paused: boolean
  readonly setPaused: (paused: boolean) => void
}

export function useTail(key: string | null, topic: string, query: Readonly<Record<string, string>>): Tail {
  const buffer = useRef(new TailBuffer<RecordJson>(heldMax))
  const bufferKey = useRef(key)
  const { touch } = useTick(8)
  if (bufferKey.current !== key) {
    bufferKey.current = key
    buffer.current = new TailBuffer<RecordJson>(heldMax)
  }
  const state = useStream(key, () => ({
    url: apiUrl(['topics', topic, 'records'], query),
    onEvents: (events) => {
      buffer.current.push(
        events.filter((e) => e.event === 'record' || e.event === 'message').map((e) => eventData<RecordJson>(e)),
      )
      touch()
    },
  }))
  const held = buffer.current
  const setPaused = (paused: boolean): void => {
    if (paused) held.paused = true
    else held.resume()
    touch()
  }
  return {
    state,
    records: held.items.toReversed(),
    received: held.received,
    waiting: held.waiting,
    skipped: held.skipped,
    paused: held.paused,
    setPaused,
  }
}
