/**
 * A stream of server-sent events that stays. A cut connection is made again, sooner first, later at longer distances, and
 * goes on behind the last event (Last-Event-ID) where the server numbers its events. A quiet connection is told from a dead
 * one by the comments that the server sends: nothing at all for `silenceMaxMs` is a dead one. A refusal (4xx) is final.
 *
 * Browsers open six connections to one host: a stream that is not in the foreground's way (`background`) rests while the
 * page is hidden.
 */
import { asApiError, problemOf } from './problem.ts'
import type { ApiError } from './problem.ts'
import { EventParser } from './sse.ts'
import type { ServerEvent } from './sse.ts'
import { parseJson } from './json.ts'

export type StreamState =
  | { readonly is: 'connecting' }
  | { readonly is: 'live' }
  | { readonly is: 'resting' }
  | { readonly is: 'waiting'; readonly error: ApiError; readonly untilMs: number }
  | { readonly is: 'ended' }
  | { readonly is: 'failed'; readonly error: ApiError }

export interface StreamOptions {
  readonly url: string
  /** A body makes it a POST. */
  readonly body?: string
  readonly background?: boolean
  /** Each connection begins anew (a snapshot follows): no Last-Event-ID, and `onOpen` says when. */
  readonly fresh?: boolean
  readonly onOpen?: () => void
  /** All that came in one piece. */
  readonly onEvents: (events: readonly ServerEvent[]) => void
  readonly onState: (state: StreamState) => void
}

const silenceMaxMs = 40_000
const waits = [300, 700, 1500, 3000]

export function openStream(options: StreamOptions): () => void {
  const stream = new LiveStream(options)
  stream.start()
  return () => stream.close()
}

class LiveStream {
  readonly #options: StreamOptions
  #abort = new AbortController()
  #closed = false
  #lastId = ''
  #failures = 0
  #openedMs = 0
  #retryMs: number | null = null
  #timer = 0

  constructor(options: StreamOptions) {
    this.#options = options
  }

  start(): void {
    if (this.#options.background === true) document.addEventListener('visibilitychange', this.#onVisibility)
    void this.#connect()
  }

  close(): void {
    this.#closed = true
    document.removeEventListener('visibilitychange', this.#onVisibility)
    clearTimeout(this.#timer)
    this.#abort.abort()
  }

  readonly #onVisibility = (): void => {
    clearTimeout(this.#timer)
    if (document.hidden) {
      // A glance at another tab costs nothing.
      this.#timer = window.setTimeout(() => this.#abort.abort('resting'), 5000)
    } else if (this.#abort.signal.aborted && !this.#closed) void this.#connect()
  }

  async #connect(): Promise<void> {
    clearTimeout(this.#timer)
    this.#abort = new AbortController()
    const { signal } = this.#abort
    this.#options.onState({ is: 'connecting' })
    try {
      const ended = await this.#read(signal)
      if (this.#closed) return
      if (ended) return this.#options.onState({ is: 'ended' })
      this.#again(asApiError(new TypeError('cut')))
    } catch (thrown) {
      if (this.#closed) return
      if (signal.reason === 'resting') return this.#options.onState({ is: 'resting' })
      const error = asApiError(signal.reason === 'silent' ? new TypeError('silent') : thrown)
      if (error.passing) this.#again(error)
      else this.#options.onState({ is: 'failed', error })
    }
  }

  #again(error: ApiError): void {
    // A connection that lasted is a new beginning; one that is refused or breaks at once is not.
    if (this.#openedMs > 0 && Date.now() - this.#openedMs > 5000) this.#failures = 0
    this.#openedMs = 0
    const step = waits[Math.min(this.#failures, waits.length - 1)]!
    const wait = Math.max(step, this.#retryMs ?? 0) * (0.8 + Math.random() * 0.4)
    this.#failures++
    this.#options.onState({ is: 'waiting', error, untilMs: Date.now() + wait })
    this.#timer = window.setTimeout(() => void this.#connect(), wait)
  }

  /** True when the server said that nothing more will come. */
  async #read(signal: AbortSignal): Promise<boolean> {
    const response = await fetch(this.#options.url, this.#call(signal))
    if (!response.ok) throw problemOf(response.status, await response.text())
    if (response.body === null) throw new TypeError('no body')
    this.#openedMs = Date.now()
    this.#options.onOpen?.()
    this.#options.onState({ is: 'live' })
    const reader = response.body.pipeThrough(new TextDecoderStream()).getReader()
    const parser = new EventParser()
    for (;;) {
      const silence = window.setTimeout(() => this.#abort.abort('silent'), silenceMaxMs)
      const { value, done } = await reader.read().finally(() => clearTimeout(silence))
      if (done) return false
      const events = parser.push(value)
      this.#retryMs = parser.retryMs
      if (this.#options.fresh !== true && parser.lastId !== '') this.#lastId = parser.lastId
      if (this.#deliver(events)) return true
    }
  }

  #deliver(events: readonly ServerEvent[]): boolean {
    if (this.#closed || events.length === 0) return false
    const fault = events.find((e) => e.event === 'fault')
    const wanted = events.filter((e) => e.event !== 'fault' && e.event !== 'end')
    if (wanted.length > 0) this.#options.onEvents(wanted)
    if (fault !== undefined) throw problemOf(500, fault.data)
    return events.some((e) => e.event === 'end')
  }

  #call(signal: AbortSignal): RequestInit {
    const { body } = this.#options
    const headers: Record<string, string> = { accept: 'text/event-stream' }
    if (this.#lastId !== '') headers['last-event-id'] = this.#lastId
    if (body === undefined) return { headers, signal, cache: 'no-store' }
    return {
      method: 'POST',
      body,
      headers: { ...headers, 'content-type': 'application/json' },
      signal,
      cache: 'no-store',
    }
  }
}

/** The data of an event; `T` is what api.ts says of its name. */
export const eventData = <T>(event: ServerEvent): T => parseJson(event.data) as T
