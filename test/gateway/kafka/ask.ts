/** Handlers without a socket: a request in, its answer out, through both codecs. */
import { codecOf } from '../../../src/wire/kafka/codec/compile.ts'
import type { AnyShape, Decoded, Encoded } from '../../../src/wire/kafka/codec/shape.ts'
import { WireReader, WireWriter } from '../../../src/wire/kafka/codec/wire.ts'
import { ClientTelemetry } from '../../../src/gateway/kafka/client-telemetry.ts'
import { FetchSessions } from '../../../src/gateway/kafka/fetch-sessions.ts'
import { ShareSessions } from '../../../src/gateway/kafka/share-sessions.ts'
import { type Exchange, type Handler, unused } from '../../../src/gateway/kafka/handler.ts'
import { RequestAccess } from '../../../src/gateway/kafka/access.ts'
import { Session, noSasl } from '../../../src/gateway/kafka/session.ts'
import { kafkaDefaults } from '../../../src/gateway/kafka/topic-defaults.ts'
import { type Principal, anonymous } from '../../../src/security/principal.ts'
import { operationsOf, resourceTypes } from '../../../src/security/grants.ts'
import { type Security, openToAll } from '../../../src/security/security.ts'
import { isFlexible } from '../../../src/wire/kafka/header.ts'
import { Turns } from '../../../src/lib/turns.ts'
import { silent } from '../../../src/lib/logger.ts'
import { realWorld } from '../../../src/lib/real/world.ts'
import type { Broker } from '../../../src/log/broker.ts'

const everyNeed = resourceTypes.flatMap((type) =>
  operationsOf[type].map((operation) => `${operation} ${type}` as const),
)
/** Of who asks; `ask` makes that of the handler of it. */
export const everyAccess = (security: Security, principal: Principal): RequestAccess =>
  new RequestAccess({ principal, host: '127.0.0.1' }, security, { needs: [everyNeed] })

export function exchangeFor(broker: Broker, given: Partial<Exchange> = {}): Exchange {
  const security = given.security ?? openToAll
  return {
    broker,
    session: new Session({ security, sasl: noSasl, clock: realWorld().clock, subject: null }),
    security,
    access: everyAccess(security, anonymous),
    listenerProtocol: 'PLAINTEXT',
    mutations: () => true,
    endAfter: () => {},
    version: 0,
    clientId: 'client',
    clientHost: '/127.0.0.1',
    clientPort: 40_000,
    clientTelemetry: new ClientTelemetry({
      clock: realWorld().clock,
      random: realWorld().random,
      configs: broker.clientMetrics,
      sink: null,
      log: silent,
    }),
    node: { host: 'here', port: 9092 },
    sessions: new FetchSessions(realWorld().random, { sessionsMax: 10, partitionsMax: 1000 }),
    shareSessions: new ShareSessions({ sessionsMax: 10, partitionsMax: 1000 }),
    supported: [],
    topicDefaults: kafkaDefaults,
    uses: unused,
    turns: new Turns(realWorld().clock),
    answerBytesMax: 1_000_000,
    log: silent,
    lease: { bytes: Buffer.alloc(0), hold() {}, release() {}, own: () => null },
    whenSent: () => {},
    signal: new AbortController().signal,
    ...given,
  }
}

export async function ask<Q extends AnyShape, A extends AnyShape>(
  handler: Handler<Q, A>,
  version: number,
  request: Encoded<Q>,
  exchange: Exchange,
): Promise<Decoded<A>> {
  const { api } = handler
  const flexible = isFlexible(api, version)
  const sent = new WireWriter()
  codecOf(api.request, version, flexible).encode(request, sent)
  const received = codecOf(api.request, version, flexible).decode(new WireReader(Buffer.concat(sent.take())))
  const access = new RequestAccess(exchange.access.subject, exchange.security, handler.access)
  const answer = await handler.handle(received, { ...exchange, access, version })
  if (answer === null || answer === 'close') throw new Error(`answered ${answer}`)
  const back = new WireWriter()
  codecOf(api.response, version, flexible).encode(answer, back)
  return codecOf(api.response, version, flexible).decode(new WireReader(Buffer.concat(back.take())))
}
