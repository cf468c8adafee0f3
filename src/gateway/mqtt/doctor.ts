/** What may be wrong with sessions: facts in, causes out. A gateway whose clients do what they should has none. */
import { limits } from '../../lib/limits.ts'
import { about } from '../../lib/duration.ts'
import type { Diagnosis } from '../../query/engine.ts'
import { type Session, never } from './session.ts'
import type { Sessions } from './sessions.ts'

/** Of one whose client is away. */
interface Waiting {
  readonly client: string
  readonly messages: number
  readonly isAll: boolean
  readonly leftMs: number
  readonly endsByItself: boolean
}
export interface SessionFacts {
  readonly nowMs: number
  readonly sessions: number
  readonly away: number
  readonly heldBytes: number
  /** How many have very much waiting, and some of them. */
  readonly behind: { readonly count: number; readonly some: readonly Waiting[] }
}
const shown = 5
const nearly = 0.8

export function sessionFacts(sessions: Sessions, heldBytes: number, nowMs: number): SessionFacts {
  let away = 0
  let count = 0
  const some: Waiting[] = []
  for (const session of sessions.all()) {
    if (session.link !== null || session.endedMs === null) continue
    away++
    const { messages, isAll } = session.waiting
    if (messages < limits.mqttQueued) continue
    count++
    if (some.length < shown) some.push(waitingOf(session, { messages, isAll }, sessions.expiryOf(session)))
  }
  return { nowMs, sessions: sessions.count, away, heldBytes, behind: { count, some } }
}
const waitingOf = (
  { clientId, endedMs }: Session,
  waiting: Pick<Waiting, 'messages' | 'isAll'>,
  expiryS: number,
): Waiting => ({ ...waiting, client: clientId, leftMs: endedMs!, endsByItself: expiryS !== never })

export function diagnose(facts: SessionFacts): Diagnosis[] {
  return [...nearlyFull(facts), ...awayAndWaiting(facts)]
}

function nearlyFull({ sessions, away, heldBytes }: SessionFacts): Diagnosis[] {
  const { mqttSessions: most, mqttSessionsBytes: bytesMost } = limits
  if (sessions < most * nearly && heldBytes < bytesMost * nearly) return []
  return [
    {
      code: 'nearly-full',
      sure: 'yes',
      node: null,
      says:
        sessions < most * nearly
          ? `Sessions and their subscriptions hold ${heldBytes} of the ${bytesMost} bytes that they may: beyond that clients are refused.`
          : `There are ${sessions} sessions, and there may be ${most}: beyond that clients are refused.`,
      evidence: [`the clients of ${away} of them are away`],
      remedy:
        'See them with millrace mqtt-session list --away, and end what is of no use; with --mqtt-persistent-client-expiration 30d they end by themselves.',
    },
  ]
}

function awayAndWaiting({ behind: { count, some }, nowMs }: SessionFacts): Diagnosis[] {
  if (count === 0) return []
  const says =
    count === 1
      ? `A session has ${limits.mqttQueued} messages waiting or more, and its client is away.`
      : `${count} sessions have ${limits.mqttQueued} messages waiting or more each, and their clients are away.`
  return [
    {
      code: 'away-and-waiting',
      sure: 'likely',
      node: null,
      says,
      evidence: some.map(({ client, messages, isAll, leftMs, endsByItself }) => {
        const ends = endsByItself ? '' : ', and it does not end by itself'
        return `${client}: ${messages}${isAll ? '' : ' or more'}, away for ${about(nowMs - leftMs)}${ends}`
      }),
      remedy:
        'A client that comes gets all that the log still keeps; one that will not come any more: millrace mqtt-session end CLIENT --yes.',
    },
  ]
}
