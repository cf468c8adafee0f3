/**
 * Push: messages of a subscription posted to its endpoint. A few at a time, more while it answers and fewer when it does not:
 * then the next one waits, longer each time. What is not answered in time, or not with success, is delivered again.
 */
import { type WebhookRules, checkTarget } from '../../act/addresses.ts'
import { asFault } from '../../lib/fault.ts'
import { limits } from '../../lib/limits.ts'
import type { World } from '../../lib/world.ts'
import { toJson } from '../../wire/protobuf/json.ts'
import { secondsOf, timestamp } from '../../wire/protobuf/well-known.ts'
import type { PushConfig } from '../../wire/pubsub/messages.ts'
import type { OidcTokens } from './oidc.ts'
import type { Service } from './service.ts'
import type { Delivery, Subscription } from './subscription.ts'

const answered: ReadonlySet<number> = new Set([102, 200, 201, 202, 204])
const backoffMinMs = 100
const backoffMaxMs = 60_000
const windowMax = 64
/** Said of an endpoint that fails, at most so often. */
const sayMs = 60_000

export class Pushers {
  readonly #service: Service
  readonly #tokens: OidcTokens
  readonly #rules: WebhookRules
  readonly #running = new Map<string, Pusher>()

  constructor(service: Service, tokens: OidcTokens, rules: WebhookRules) {
    this.#service = service
    this.#tokens = tokens
    this.#rules = rules
    for (const subscription of service.subscriptions.values()) this.look(subscription)
  }
  /** What it is now; a subscription that is gone has no pusher. */
  look(subscription: Subscription): void {
    const config = subscription.message.pushConfig
    const pushes =
      this.#service.has(subscription) &&
      config !== null &&
      config.pushEndpoint !== '' &&
      subscription.kept.topicId !== '' &&
      !subscription.message.detached
    const running = this.#running.get(subscription.id)
    if (running !== undefined && (!pushes || running.config !== config)) {
      running.stop()
      this.#running.delete(subscription.id)
    }
    if (pushes && !this.#running.has(subscription.id))
      this.#running.set(
        subscription.id,
        new Pusher({ service: this.#service, tokens: this.#tokens, rules: this.#rules }, subscription, config),
      )
  }
  async close(): Promise<void> {
    const all = [...this.#running.values()]
    for (const one of all) one.stop()
    await Promise.all(all.map(({ done }) => done))
  }
}
interface Parts {
  readonly service: Service
  readonly tokens: OidcTokens
  readonly rules: WebhookRules
}

class Pusher {
  readonly config: PushConfig
  readonly done: Promise<void>
  readonly #parts: Parts
  readonly #subscription: Subscription
  readonly #stop = new AbortController()
  #window = 1
  #out = 0
  #failures = 0
  #saidMs = -Infinity
  #wake: (() => void) | null = null

  constructor(parts: Parts, subscription: Subscription, config: PushConfig) {
    this.#parts = parts
    this.#subscription = subscription
    this.config = config
    this.done = this.#run()
  }
  stop(): void {
    this.#stop.abort(new Error('the push has ended'))
    this.#wake?.()
  }
  get #world(): Pick<World, 'clock' | 'net'> {
    return this.#parts.service.parts.world
  }
  async #run(): Promise<void> {
    const { signal } = this.#stop
    while (!signal.aborted)
      try {
        const room = this.#window - this.#out
        if (room <= 0) {
          await new Promise<void>((resolve) => (this.#wake = resolve))
          continue
        }
        if (this.#failures > 0) await this.#world.clock.sleep(this.#backoffMs, signal)
        await this.#some(room)
      } catch (error) {
        if (signal.aborted) return
        this.#say(asFault(error).message)
        await this.#world.clock.sleep(backoffMinMs * 10, signal).catch(() => undefined)
      }
  }
  get #backoffMs(): number {
    return Math.min(backoffMaxMs, backoffMinMs * 2 ** Math.min(20, this.#failures - 1))
  }
  async #some(room: number): Promise<void> {
    const { signal } = this.#stop
    const pulled = await this.#subscription.pull({
      messagesMax: room,
      bytesMax: limits.pubsubPullBytes,
      waitMs: limits.pubsubStreamWaitMs,
      deadlineMs: this.#subscription.deadlineMs,
      holder: null,
      keyHolder: null,
      signal: AbortSignal.any([signal, this.#subscription.changed]),
    })
    // The bytes go back to the log before they are sent.
    const posts = pulled.deliveries.map((delivery) => ({ delivery, post: postOf(this.#subscription, delivery) }))
    pulled.release()
    for (const { delivery, post } of posts) {
      this.#out++
      void this.#push(delivery, post).finally(() => {
        this.#out--
        this.#wake?.()
      })
    }
  }
  async #push({ ackId }: Delivery, post: Post): Promise<void> {
    // What the network says is no error of ours.
    const why = await this.#post(post).catch((error: unknown) =>
      error instanceof Error ? error.message : String(error),
    )
    const { signal } = this.#stop
    try {
      if (why === null) {
        this.#failures = 0
        this.#window = Math.min(windowMax, this.#window + 1)
        await this.#subscription.acknowledge([ackId])
        return
      }
      if (signal.aborted) return void (await this.#subscription.modifyDeadline([ackId], 0))
      this.#failures++
      this.#window = Math.max(1, this.#window >> 1)
      this.#say(why)
      await this.#subscription.modifyDeadline([ackId], 0)
    } catch (error) {
      this.#say(asFault(error).message)
    }
  }
  /** null: it was taken. */
  async #post({ headers, body }: Post): Promise<string | null> {
    const { net, clock } = this.#world
    const { pushEndpoint: url, oidcToken } = this.config
    const timeout = new AbortController()
    const cancel = clock.after(this.#subscription.deadlineMs, () => timeout.abort(new Error('no answer in time')))
    const signal = AbortSignal.any([this.#stop.signal, timeout.signal])
    try {
      const address = await checkTarget(new URL(url), net, this.#parts.rules)
      const token =
        oidcToken === null
          ? {}
          : {
              authorization: `Bearer ${await this.#parts.tokens.token(oidcToken.serviceAccountEmail, oidcToken.audience || url)}`,
            }
      const request = { method: 'POST', url, headers: { ...headers, ...token }, body, answerBytesMax: 1024 }
      const { status } = await net.request(request, address, signal)
      return answered.has(status) ? null : `it answered ${status}`
    } finally {
      cancel()
    }
  }
  #say(why: string): void {
    const { service } = this.#parts
    const nowMs = this.#world.clock.monotonic()
    if (nowMs - this.#saidMs < sayMs) return
    this.#saidMs = nowMs
    const { pushEndpoint } = this.config
    service.parts.logger.warn('pubsub: a push failed', {
      subscription: this.#subscription.id,
      endpoint: pushEndpoint,
      why,
    })
  }
}

interface Post {
  readonly headers: Record<string, string>
  readonly body: Uint8Array
}
const userAgent = { 'user-agent': 'APIs-Google; (+https://developers.google.com/webmasters/APIs-Google) Millrace' }
function postOf(subscription: Subscription, delivery: Delivery): Post {
  const { pushConfig, name, deadLetterPolicy } = subscription.message
  const { message, attempt } = delivery
  const { noWrapper } = pushConfig!
  if (noWrapper !== null) return unwrapped(delivery, name, noWrapper.writeMetadata)
  const publishTime = toJson(timestamp, secondsOf(message.publishMs))
  const { messageId, orderingKey } = message
  const wrapped = {
    message: {
      ...(message.attributes.size === 0 ? {} : { attributes: Object.fromEntries(message.attributes) }),
      ...(message.data.length === 0 ? {} : { data: Buffer.from(message.data).toString('base64') }),
      messageId,
      message_id: messageId,
      ...(orderingKey === '' ? {} : { orderingKey }),
      publishTime,
      publish_time: publishTime,
    },
    subscription: name,
    ...(deadLetterPolicy === null ? {} : { deliveryAttempt: attempt }),
  }
  return { headers: { ...userAgent, 'content-type': 'application/json' }, body: Buffer.from(JSON.stringify(wrapped)) }
}
/** An attribute that would change how the request is read is left out. */
const reserved =
  /^(?:host|connection|content-length|transfer-encoding|authorization|te|trailer|upgrade|expect|x-goog-.*)$/i
const headerName = /^[A-Za-z0-9!#$%&'*+.^_`|~-]{1,200}$/
const headerValue = /^[\t -~]*$/
function unwrapped({ message }: Delivery, name: string, writesMetadata: boolean): Post {
  const headers: Record<string, string> = { ...userAgent, 'content-type': 'application/octet-stream' }
  if (writesMetadata) {
    for (const [key, value] of message.attributes)
      if (headerName.test(key) && headerValue.test(value) && !reserved.test(key)) headers[key.toLowerCase()] = value
    headers['x-goog-pubsub-subscription-name'] = name
    headers['x-goog-pubsub-message-id'] = message.messageId
    headers['x-goog-pubsub-publish-time'] = String(toJson(timestamp, secondsOf(message.publishMs)))
    if (message.orderingKey !== '' && headerValue.test(message.orderingKey))
      headers['x-goog-pubsub-ordering-key'] = message.orderingKey
  }
  return { headers, body: Buffer.from(message.data) }
}
