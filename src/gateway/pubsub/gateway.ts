/** Calls, whatever they came by: who asks, which method, how it ends. */
import { limits } from '../../lib/limits.ts'
import type { Input } from '../../wire/protobuf/message.ts'
import { type Access, type Peer, accessOf } from './access.ts'
import { RpcError, rpcErrorOf } from './errors.ts'
import type { AnyMethod, Call } from './method.ts'
import { methods } from './methods/index.ts'
import type { Service } from './service.ts'
import { type StreamPeer, StreamingPull } from './streaming.ts'

export interface CallFacts {
  readonly authorization: string | undefined
  readonly peer: Peer
  /** Aborted when nobody waits for the answer any more. Asking makes it. */
  readonly signal: AbortSignal
  readonly timeoutMs: number | null
}
export const streamingPullPath = '/google.pubsub.v1.Subscriber/StreamingPull'
const pathOf = ({ service, name }: AnyMethod): string => `/google.pubsub.v1.${service}/${name}`

export class Gateway {
  readonly service: Service
  readonly #byPath = new Map(methods.map((method) => [pathOf(method), method]))
  /** Calls under way. */
  #running = 0

  constructor(service: Service) {
    this.service = service
  }
  methodAt(path: string): AnyMethod | null {
    return this.#byPath.get(path) ?? null
  }
  /** Throws RpcError and nothing else. */
  async answer(method: AnyMethod, request: object, facts: CallFacts): Promise<Input<object>> {
    const { meter, logger } = this.service.parts
    if (this.#running >= limits.pubsubCalls) throw new RpcError('RESOURCE_EXHAUSTED', 'Too many calls are under way.')
    this.#running++
    let access: Access | null = null
    try {
      const call = await this.#call(method.name, facts)
      access = call.access
      const answer = await method.handle(request, call)
      access.note(false)
      return answer
    } catch (error) {
      access?.note(true)
      const said = rpcErrorOf(error)
      meter.failed(said.status)
      if (said.status === 'INTERNAL') logger.error(`pubsub: ${method.name}: ${said.message}`, { error })
      throw said
    } finally {
      this.#running--
    }
  }
  async stream(facts: CallFacts, peer: StreamPeer): Promise<StreamingPull> {
    if (this.#running >= limits.pubsubCalls) throw new RpcError('RESOURCE_EXHAUSTED', 'Too many calls are under way.')
    const { signal } = facts
    this.#running++
    if (signal.aborted) this.#running--
    else signal.addEventListener('abort', () => this.#running--, { once: true })
    return new StreamingPull(await this.#call('StreamingPull', facts), peer)
  }
  async #call(action: string, facts: CallFacts): Promise<Call> {
    const { service } = this
    const { timeoutMs } = facts
    const access = await accessOf(service.parts.security, action, facts)
    return {
      service,
      access,
      get signal() {
        return facts.signal
      },
      timeoutMs: timeoutMs ?? Infinity,
    }
  }
}
