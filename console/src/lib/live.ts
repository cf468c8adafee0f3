/** What every screen shows of the whole instance: one stream of overviews, its last minutes, and the connection's state. */
import { effect, signal } from '@preact/signals'
import type { Overview } from '../../../src/gateway/http/api.ts'
import { apiUrl } from './http.ts'
import { eventData, openStream } from './stream.ts'
import type { StreamState } from './stream.ts'

const samplesMax = 300
export interface Sample {
  readonly atMs: number
  readonly overview: Overview
}
export const samples = signal<readonly Sample[]>([])
export const overview = signal<Overview | null>(null)
export const connection = signal<StreamState>({ is: 'connecting' })

export function followOverview(): () => void {
  return openStream({
    url: apiUrl(['overview']),
    background: true,
    onEvents: (events) => {
      const latest = events.findLast((e) => e.event === 'overview' || e.event === 'message')
      if (latest === undefined) return
      const value = eventData<Overview>(latest)
      overview.value = value
      samples.value = [...samples.value, { atMs: Date.now(), overview: value }].slice(-samplesMax)
    },
    onState: (state) => {
      connection.value = state
    },
  })
}

/** The mill wheel in the corner turns with the rate: once in 24 s at a trickle, once in 2 s at a hundred thousand a second. */
export function turnWheel(): () => void {
  return effect(() => {
    const rate = overview.value?.recordsInPerSecond ?? 0
    const seconds = rate <= 0 ? 0 : Math.max(2, 24 - 4.4 * Math.log10(1 + rate))
    // In whole steps: a change of the period makes the wheel jump.
    document.documentElement.style.setProperty('--wheel', `${Math.round(seconds / 2) * 2}s`)
    document.documentElement.dataset['flow'] = rate > 0 ? 'on' : 'off'
  })
}
