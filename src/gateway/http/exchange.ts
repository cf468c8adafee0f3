/** A request and its answer as values: routes know no socket, `listen.ts` knows no route. */
import { Fault } from '../../lib/fault.ts'
import type { Operation, ResourceType } from '../../security/grants.ts'
import type { Rights } from '../../query/engine.ts'
import type { Body } from './body.ts'
import type { Usage } from './usage.ts'

export interface Exchange {
  readonly method: string
  /** As sent, without the query. */
  readonly path: string
  /** Parts of the path that the route names, percent-decoded. */
  readonly params: Readonly<Record<string, string>>
  readonly query: URLSearchParams
  /** Names in lower case; several of one name joined by ', '. Latin-1, as HTTP has it. */
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: Body
  /** Whether who asks may do that: for lists, which show only what they may. */
  sees(operation: Operation, type: ResourceType, name: string): boolean
  /** Throws what refuses it to who asks; for needs that only the request's content tells. */
  demand(operation: Operation, type: ResourceType, name: string): void
  /** The same, for statements and what they name. */
  readonly rights: Rights
  /** What is changed, for the audit. Never a secret. */
  says(changes: readonly string[]): void
  readonly usage: Usage
  /** Aborted when the client is gone or the server stops. */
  readonly signal: AbortSignal
}

export interface Answer {
  readonly status: number
  readonly headers?: Readonly<Record<string, string>>
  /** null = none. A stream is read as fast as the client takes it. */
  readonly body: string | Uint8Array | null | AsyncIterable<string | Uint8Array> | Live
}
export interface LiveEvent {
  /** Without one, only the id moves. */
  readonly event?: string
  /** JSON text without line breaks. */
  readonly json?: string
  /** Where the stream can be resumed behind this event. */
  readonly id?: string
}
/** One by one, or those that came together: they go out in one piece. */
export type LiveEvents = AsyncIterable<LiveEvent | readonly LiveEvent[]>
export interface Live {
  readonly events: LiveEvents
}
export const isLive = (body: Answer['body']): body is Live => body !== null && Object.hasOwn(body as object, 'events')

export const mediaTypes = {
  json: 'application/json',
  ndjson: 'application/x-ndjson',
  sse: 'text/event-stream',
  problem: 'application/problem+json',
  records: 'application/vnd.millrace.records+json',
  event: 'application/cloudevents+json',
  events: 'application/cloudevents-batch+json',
} as const

/** What a media type calls itself, without parameters, in lower case. */
export function mediaType(header: string | undefined): string {
  return (header ?? '').split(';', 1)[0]!.trim().toLowerCase()
}

const aliases: Readonly<Record<string, string>> = {
  'application/ndjson': mediaTypes.ndjson,
  'application/jsonl': mediaTypes.ndjson,
  'application/x-jsonlines': mediaTypes.ndjson,
  'application/jsonlines': mediaTypes.ndjson,
}
export const knownType = (type: string): string => aliases[type] ?? type

/** The offer that the Accept header likes best; earlier offers win ties. Throws Fault http.not-acceptable. */
export function negotiate<T extends string>(accept: string | undefined, offers: readonly T[]): T {
  if (accept === undefined || accept.trim() === '') return offers[0]!
  const wishes = accept.split(',').map(readWish)
  let best: { offer: T; quality: number; exact: number } | null = null
  for (const offer of offers) {
    // The most exact wish about an offer decides (RFC 9110, 12.5.1).
    let match = { quality: 0, exact: -1 }
    for (const wish of wishes) {
      const exact =
        wish.type === offer ? 2 : wish.type === `${offer.split('/')[0]}/*` ? 1 : wish.type === '*/*' ? 0 : -1
      if (exact > match.exact) match = { quality: wish.quality, exact }
    }
    if (match.quality > (best?.quality ?? 0)) best = { offer, ...match }
  }
  if (best === null) throw new Fault('http.not-acceptable', { accept: accept.slice(0, 200), offers: offers.join(', ') })
  return best.offer
}
function readWish(text: string): { type: string; quality: number } {
  const quality = /;\s*q\s*=\s*([01](?:\.\d{0,3})?)/i.exec(text)
  return { type: knownType(mediaType(text)), quality: quality === null ? 1 : Number(quality[1]) }
}
