/** One request that has been read and whose signer is known: what an operation sees of it. */
import { Fault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import type { Room, Share } from '../../lib/room.ts'
import type { World } from '../../lib/world.ts'
import type { Broker } from '../../log/broker.ts'
import type { Subject } from '../../security/authorizer.ts'
import { type Operation, clusterName } from '../../security/grants.ts'
import { anonymous, principalText } from '../../security/principal.ts'
import type { Client } from '../../security/quotas.ts'
import type { Security } from '../../security/security.ts'
import type { InputOf, OperationName } from '../../wire/kinesis/model.ts'
import type { Codec } from './codec.ts'
import { ServiceError, invalid, notFound } from './errors.ts'
import type { Growth } from './growth.ts'
import type { Iterators } from './iterators.ts'
import type { LateRecords } from './late-records.ts'
import type { Records } from './records.ts'
import type { Stalled } from './stalled.ts'
import type { Stream, Streams } from './streams.ts'
import type { Subscriptions } from './subscriptions.ts'

/** What clients may not write to, change or delete. */
export interface TopicUses {
  /** The view that alone writes it. */
  writerOf(topic: string): string | null
  /** A stream or table over it. */
  readerOf(topic: string): { readonly kind: string; readonly name: string } | null
}
export interface Service {
  readonly world: World
  readonly log: Broker
  readonly security: Security
  readonly uses: TopicUses
  readonly streams: Streams
  readonly records: Records
  readonly iterators: Iterators
  readonly subscriptions: Subscriptions
  readonly growth: Growth
  readonly late: LateRecords
  /** For records that are on their way into answers. */
  readonly room: Room
  readonly stalled: Stalled
}
/** An answer that goes on: payloads of events, each with its type. */
export class Live {
  readonly events: AsyncIterable<{ readonly type: string; readonly body: object }>

  constructor(events: Live['events']) {
    this.events = events
  }
}
type Answer = object | null | Live
export type Handler<N extends OperationName> = (call: Call<N>) => Answer | Promise<Answer>
export type Handlers = { readonly [N in OperationName]: Handler<N> }

/** What names a stream in a request. */
export interface StreamNamed {
  readonly StreamName?: string | undefined
  readonly StreamARN?: string | undefined
  readonly StreamId?: string | undefined
}
const changing: ReadonlySet<Operation> = new Set(['create', 'delete', 'alter', 'alter-configs'])
const owned: ReadonlySet<Operation> = new Set(['write', 'delete', 'alter-configs'])

export class Call<N extends OperationName = OperationName> {
  readonly name: N
  readonly input: InputOf<N>
  readonly codec: Codec
  readonly service: Service
  readonly subject: Subject
  readonly signal: AbortSignal
  readonly #changed = new Set<string>()
  readonly #shares = new Set<Share>()
  readonly #client: object

  constructor(of: {
    name: N
    input: InputOf<N>
    codec: Codec
    service: Service
    subject: Subject
    request: { readonly signal: AbortSignal; readonly client: object }
  }) {
    this.name = of.name
    this.input = of.input
    this.codec = of.codec
    this.service = of.service
    this.subject = of.subject
    this.signal = of.request.signal
    this.#client = of.request.client
  }

  /** The stream's name, where that may be done to it. Throws ServiceError. */
  stream(needs: Operation, named: StreamNamed = this.input as StreamNamed): string {
    const name = streamNameOf(this.service.streams, named)
    this.demand(needs, name)
    return name
  }
  /** Throws ServiceError AccessDeniedException. */
  demand(operation: Operation, stream: string): void {
    if (!this.sees(operation, stream))
      throw this.#denied(`${operation} topic:${stream}`, this.service.streams.arn(stream))
    if (owned.has(operation)) this.refuseOwned(stream)
    if (changing.has(operation)) this.#changed.add(`topic:${stream}`)
  }
  /** Throws Fault log.topic-kept: of a view's topic only consumers, tags and flags are its clients' to change. */
  refuseOwned(stream: string): void {
    const view = this.service.uses.writerOf(stream)
    if (view === null) return
    throw new Fault('log.topic-kept', {
      topic: stream,
      why: `it holds the changes of the view ${view}, which alone writes it`,
    })
  }
  /** The same of its shards. */
  reshards(): string {
    const name = this.stream('alter')
    this.refuseOwned(name)
    return name
  }
  sees(operation: Operation, stream: string): boolean {
    const { authorizer } = this.service.security
    const onAll =
      operation === 'create' && authorizer.allows(this.subject, operation, { type: 'cluster', name: clusterName })
    return onAll || authorizer.allows(this.subject, operation, { type: 'topic', name: stream })
  }
  /** Throws ServiceError AccessDeniedException. */
  demandCluster(operation: Operation): void {
    const { authorizer } = this.service.security
    if (!authorizer.allows(this.subject, operation, { type: 'cluster', name: clusterName }))
      throw this.#denied(`${operation} cluster:${clusterName}`, '*')
    if (changing.has(operation)) this.#changed.add(`cluster:${clusterName}`)
  }
  #denied(what: string, resource: string): ServiceError {
    const { subject, service, name: action } = this
    service.security.audit.note({ subject, via: 'kinesis', action, resources: [what], outcome: 'refused' })
    const who = subject.principal === anonymous ? 'anonymous' : `user/${subject.principal.name}`
    return new ServiceError(
      'AccessDeniedException',
      `User: arn:aws:iam::${service.streams.account}:${who} is not authorized to perform: kinesis:${action} on resource: ` +
        `${resource} because no grant of ${principalText(subject.principal)} allows it`,
    )
  }
  /** The same of what is changed besides. */
  changes(what: string): void {
    this.#changed.add(what)
  }
  /** What the audit is to know, when it is over. */
  note(failed: boolean): void {
    if (this.#changed.size === 0) return
    const { subject, name: action } = this
    const outcome = failed ? 'failed' : 'done'
    this.service.security.audit.note({ subject, via: 'kinesis', action, resources: [...this.#changed], outcome })
  }
  /** Throws ServiceError ProvisionedThroughputExceededException while the quota is used up. */
  demandQuota(quota: 'producer_byte_rate' | 'consumer_byte_rate'): void {
    const ms = this.service.security.quotas.wait(quota, this.#quotaClient())
    if (ms > 0)
      throw new ServiceError(
        'ProvisionedThroughputExceededException',
        `The quota ${quota} of ${principalText(this.subject.principal)} is used up for ${ms} ms.`,
      )
  }
  used(quota: 'producer_byte_rate' | 'consumer_byte_rate', bytes: number): void {
    this.service.security.quotas.charge(quota, this.#quotaClient(), bytes)
  }
  #quotaClient(): Client {
    return { user: this.subject.principal.name, clientId: '' }
  }
  /** Until `done`, or it is given back. Throws ServiceError ProvisionedThroughputExceededException. */
  async room(bytes: number): Promise<Share> {
    const { room, stalled, world } = this.service
    const late = new AbortController()
    const cancel = world.clock.after(limits.answerRoomMs, () => late.abort())
    const release = stalled.press()
    try {
      const share = await room.take(bytes, AbortSignal.any([this.signal, late.signal]), this.#client)
      this.#shares.add(share)
      return share
    } catch {
      throw new ServiceError(
        'ProvisionedThroughputExceededException',
        'Too many bytes of answers wait for their clients to take them. Try again in a moment.',
      )
    } finally {
      cancel()
      release()
    }
  }
  free(share: Share): void {
    share.give()
    this.#shares.delete(share)
  }
  /** What is left to send of the answer. */
  shrink(bytes: number): void {
    for (const share of this.#shares) share.shrink(bytes)
  }
  /** The answer is sent, or nobody wants it. */
  done(): void {
    for (const share of this.#shares) share.give()
  }
  found(needs: Operation, named?: StreamNamed): Stream {
    return this.service.streams.get(this.stream(needs, named))
  }
  get nowMs(): number {
    return this.service.world.clock.now()
  }
}

export function streamNameOf(streams: Streams, { StreamName, StreamARN, StreamId }: StreamNamed): string {
  const byArn = StreamARN === undefined ? undefined : resourceOf(StreamARN).stream
  if (StreamName !== undefined && byArn !== undefined && StreamName !== byArn)
    throw invalid(`StreamName ${StreamName} is not the stream of StreamARN ${StreamARN}.`)
  const name = StreamName ?? byArn
  if (name !== undefined) return name
  const byId = StreamId === undefined ? null : streams.byStreamId(StreamId)
  if (byId === null) throw notFound(`Stream ${StreamId ?? ''} under account ${streams.account} not found.`)
  return byId
}
/** What an ARN names. Region and account are whatever they are. */
export function resourceOf(arn: string): { stream?: string; consumer?: string; queue?: string; channel?: string } {
  const path = arn.split(':').slice(5).join(':')
  const [kind, name = '', more, consumer = ''] = path.split('/')
  if (kind === 'queue') return { queue: name }
  if (kind === 'channel') return { channel: name }
  if (kind !== 'stream') return {}
  return more === 'consumer' ? { stream: name, consumer: consumer.split(':')[0] ?? '' } : { stream: name }
}
/** Of a page: it goes on behind `name`. */
export const pageToken = (name: string): string => Buffer.from(JSON.stringify({ after: name })).toString('base64')
/** The name; empty for the first page. Throws ServiceError. */
export function pageAfter(token: string | undefined): string {
  if (token === undefined) return ''
  try {
    const { after } = JSON.parse(Buffer.from(token, 'base64').toString()) as { after: unknown }
    if (typeof after === 'string') return after
  } catch {
    // Said below.
  }
  throw invalid('NextToken is not valid.')
}
export function isMadeAt({ codec }: Call, { createdMs }: Stream, given: number | undefined): boolean {
  return given === undefined || Math.floor(codec.ms(given) / 1_000) === Math.floor(createdMs / 1_000)
}
/** A stream of the same name that was made at another time is another one. Throws ServiceError. */
export function madeAt(call: Call, stream: Stream, given: number | undefined): Stream {
  if (isMadeAt(call, stream, given)) return stream
  throw call.service.streams.unknown(stream.name)
}
/** `count` of them behind `after`, and whether there are more. */
export function page<T>(all: readonly T[], count: number, isAfter: (one: T) => boolean): { some: T[]; more: boolean } {
  const rest = all.filter(isAfter)
  return { some: rest.slice(0, count), more: rest.length > count }
}
