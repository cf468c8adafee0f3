/** A method of a service is a value: its messages, how REST names it, what it does. */
import type { Input, Message } from '../../wire/protobuf/message.ts'
import type { Access } from './access.ts'
import type { Service } from './service.ts'

export interface Call {
  readonly service: Service
  readonly access: Access
  /** Aborted when the client is gone, its deadline has passed, or the server stops. */
  readonly signal: AbortSignal
  /** What the client waits for at most. */
  readonly timeoutMs: number
}
type Verb = 'GET' | 'PUT' | 'POST' | 'PATCH' | 'DELETE'
export interface Rest {
  readonly verb: Verb
  /** As in google.api.http: `/v1/{topic=projects/*\/topics/*}:publish`. */
  readonly path: string
  /** The field that the body is; `*`: the whole request. */
  readonly body?: string
}
export interface Method<Q extends object, A extends object> {
  readonly service: 'Publisher' | 'Subscriber' | 'SchemaService'
  readonly name: string
  readonly request: Message<Q>
  readonly response: Message<A>
  readonly rest: Rest
  /** In place of what reads every message, where it can; null: it cannot. */
  read?(body: Buffer): Q | null
  handle(request: Q, call: Call): Promise<Input<A>> | Input<A>
}
export type AnyMethod = Method<object, object>
/** Handlers are kept in one list: what each takes is what its request decodes to. */
export const method = <Q extends object, A extends object>(one: Method<Q, A>): AnyMethod => one as unknown as AnyMethod
