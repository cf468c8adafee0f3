/** Sessions as they are shown to who looks after them, and their end by somebody else than their clients. */
import type { MqttSession, MqttSessionPage, MqttSessions, MqttSessionsAsked } from '../../telemetry/mqtt-sessions.ts'
import { type Session, never } from './session.ts'
import type { Sessions } from './sessions.ts'

const versions = { 3: '3.1', 4: '3.1.1', 5: '5' } as const
const isoOf = (ms: number | null): string | null => (ms === null ? null : new Date(ms).toISOString())

export function sessionList(sessions: Sessions): MqttSessions {
  const shown = (session: Session): MqttSession => sessionOf(session, sessions.expiryOf(session))
  return {
    page(asked) {
      const { found, next } = pageOf(sessions.all(), asked)
      return { sessions: found.map(shown), next }
    },
    find(client) {
      const session = sessions.get(client)
      if (session === null) return null
      const filters = [...session.subscriptions.values()].map(({ text, qos }) => ({ filter: text, qos }))
      return { ...shown(session), filters }
    },
    end: (client) => sessions.remove(client),
  }
}

const byClient = (a: Session, b: Session): number => (a.clientId < b.clientId ? -1 : 1)
/** Of very many only some are held and sorted at a time. */
function pageOf(
  all: Iterable<Session>,
  { limit, after, isConnected }: MqttSessionsAsked,
): { readonly found: readonly Session[] } & Pick<MqttSessionPage, 'next'> {
  const first = (sessions: readonly Session[]): Session[] => sessions.toSorted(byClient).slice(0, limit + 1)
  let found: Session[] = []
  for (const session of all) {
    const { clientId, link } = session
    if (after !== null && clientId <= after) continue
    if (isConnected !== null && isConnected !== (link !== null)) continue
    found.push(session)
    if (found.length > 2 * limit) found = first(found)
  }
  found = first(found)
  return found.length > limit
    ? { found: found.slice(0, limit), next: found[limit - 1]!.clientId }
    : { found, next: null }
}

function sessionOf(session: Session, expiryS: number): MqttSession {
  const { clientId, subject, version, link, connectedMs, endedMs, subscriptions, out, will, willDueMs } = session
  const { messages, isAll } = session.waiting
  const isAway = link === null && endedMs !== null
  return {
    client: clientId,
    user: subject.principal.name,
    version: versions[version],
    connectedAt: link === null ? null : isoOf(connectedMs),
    leftAt: isAway ? isoOf(endedMs) : null,
    expirySeconds: expiryS === never ? null : expiryS,
    expiresAt: isAway && expiryS !== never ? isoOf(endedMs + expiryS * 1_000) : null,
    subscriptions: subscriptions.size,
    waiting: messages,
    moreWaiting: !isAll,
    inFlight: out.size,
    will:
      will === null
        ? null
        : {
            topic: will.topic,
            qos: will.qos,
            retain: will.retain,
            delaySeconds: will.properties?.willDelayS ?? 0,
            dueAt: isoOf(willDueMs),
          },
  }
}
