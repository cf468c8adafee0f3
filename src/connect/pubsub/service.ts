/** The service through Google's library, and its errors as faults. What is used of the library is declared here. */
import { Fault } from '../../lib/fault.ts'
import type { SinkHost, SourceHost } from '../kind.ts'
import { loadPackage } from '../packages.ts'
import { type Settings, wrong } from '../settings.ts'

export interface Message {
  readonly id: string
  readonly data: Buffer
  readonly attributes: Readonly<Record<string, string>>
  readonly orderingKey?: string
  readonly publishTime: Date
  ack(): void
}
export interface Subscription {
  on(event: 'message', call: (message: Message) => void): this
  on(event: 'error', call: (error: unknown) => void): this
  removeAllListeners(): this
  close(): Promise<void>
}
export interface Topic {
  publishMessage(message: { data: Buffer; attributes: Record<string, string>; orderingKey?: string }): Promise<string>
  flush(): Promise<void>
}
export interface PubSub {
  subscription(name: string, options: object): Subscription
  topic(name: string, options: object): Topic
  close(): Promise<void>
}
interface Library {
  readonly PubSub: new (options: object) => PubSub
}
/** Later ones cannot be installed: what they depend on was not published. */
const version = '6.3.0'

/** Throws Fault connect.missing-package, connect.invalid-setting. */
export async function openService(host: SourceHost | SinkHost, settings: Settings): Promise<PubSub> {
  const { PubSub: Client } = await loadPackage<Library>(host.load, '@google-cloud/pubsub', version)
  const apiEndpoint = settings.text('endpoint')
  const credentials = credentialsOf(settings)
  return new Client({
    projectId: settings.text('project')!,
    ...(apiEndpoint === null ? {} : { apiEndpoint, emulatorMode: settings.truth('plaintext') }),
    ...(credentials === null ? {} : { credentials }),
  })
}
function credentialsOf(settings: Settings): unknown {
  const text = settings.text('credentials')
  if (text === null) return null
  try {
    return JSON.parse(text) as unknown
  } catch {
    throw wrong('credentials', 'is not the JSON of a service account')
  }
}

/** Of gRPC: what asking again does not mend. */
const lasting: ReadonlySet<unknown> = new Set([3, 5, 7, 9, 12, 16])
export function faultOf(what: string, error: unknown): Fault {
  const { code, message = '' } = error as { code?: unknown; message?: string }
  return new Fault(lasting.has(code) ? 'connect.refused' : 'connect.unavailable', { what, why: message }, error)
}
