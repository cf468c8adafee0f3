/** One attempt at a webhook: Standard Webhooks headers and signature, to an address that was checked, no redirects. */
import { Webhook } from 'standardwebhooks'
import { Fault } from '../lib/fault.ts'
import { limits } from '../lib/limits.ts'
import type { HttpAnswer, World } from '../lib/world.ts'
import { type WebhookRules, checkTarget } from './addresses.ts'

export interface WebhookMessage {
  readonly url: string
  /** It is signed with each. */
  readonly secrets: readonly string[]
  readonly headers?: Readonly<Record<string, string>>
  /** Stays the same over all attempts: receivers know a repetition by it. */
  readonly id: string
  readonly payload: string
}
export type AttemptResult =
  | { readonly ok: true }
  /** `permanent`: trying again is pointless. `afterMs`: not before the receiver said. */
  | { readonly ok: false; readonly why: string; readonly permanent: boolean; readonly afterMs: number | null }

const answerBytesMax = 4 * 1024

const userAgent = 'Millrace'

/** Never rejects, but with the signal's reason when it aborts. */
export const attempt = (
  message: WebhookMessage,
  world: World,
  rules: WebhookRules,
  signal: AbortSignal,
): Promise<AttemptResult> => limited(world, signal, (inTime) => send(message, world, rules, inTime))

/** What is thrown, or takes too long, is what the attempt came to. */
async function limited(
  world: World,
  signal: AbortSignal,
  call: (signal: AbortSignal) => Promise<AttemptResult>,
): Promise<AttemptResult> {
  const timeout = new AbortController()
  const cancel = world.clock.after(limits.deliveryMs, () =>
    timeout.abort(new Error(`no answer within ${limits.deliveryMs} ms`)),
  )
  try {
    return await call(AbortSignal.any([signal, timeout.signal]))
  } catch (error) {
    if (signal.aborted) throw error
    const permanent = error instanceof Fault && error.code === 'act.address-refused'
    const cause = timeout.signal.aborted ? (timeout.signal.reason as Error) : error
    return { ok: false, why: sentence(cause), permanent, afterMs: null }
  } finally {
    cancel()
  }
}
function sentence(error: unknown): string {
  const text = error instanceof Error ? error.message || error.name : String(error)
  return text.slice(0, 500)
}

async function send(
  message: WebhookMessage,
  world: World,
  rules: WebhookRules,
  signal: AbortSignal,
): Promise<AttemptResult> {
  const address = await raced(checkTarget(new URL(message.url), world.net, rules), signal)
  const at = new Date(world.clock.now())
  const headers: Record<string, string> = {
    'user-agent': userAgent,
    ...message.headers,
    'content-type': 'application/json',
    'webhook-id': message.id,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
  }
  const signatures = message.secrets.map((secret) => signer(secret).sign(message.id, at, message.payload))
  if (signatures.length > 0) headers['webhook-signature'] = signatures.join(' ')
  const request = {
    method: 'POST',
    url: message.url,
    headers,
    body: Buffer.from(message.payload, 'utf8'),
    answerBytesMax,
  }
  const answer = await world.net.request(request, address, signal)
  if (answer.status >= 200 && answer.status < 300) return { ok: true }
  return {
    ok: false,
    why: said(answer),
    // 410: the receiver asks for no more (Standard Webhooks).
    permanent: answer.status === 410,
    afterMs: retryAfter(answer.headers['retry-after'], at.getTime()),
  }
}
function said({ status, body }: HttpAnswer): string {
  const text = Buffer.from(body).toString('utf8').slice(0, 200).replaceAll(/\s+/g, ' ').trim()
  return `it answered ${status}${text === '' ? '' : `: ${text}`}`
}
/**
 * Whether a receiver takes deliveries from `origin`: the handshake of CloudEvents (HTTP 1.1 Web Hooks for Event Delivery, 4), by
 * which nobody can have deliveries sent to who does not want them. Never rejects, but with the signal's reason when it aborts.
 */
export function agree(
  {
    url,
    origin,
    headers = {},
  }: { url: string; origin: string; headers?: Readonly<Record<string, string>> | undefined },
  world: World,
  rules: WebhookRules,
  signal: AbortSignal,
): Promise<AttemptResult> {
  return limited(world, signal, async (inTime) => {
    const address = await raced(checkTarget(new URL(url), world.net, rules), inTime)
    const request = {
      method: 'OPTIONS',
      url,
      headers: { 'user-agent': userAgent, ...headers, 'webhook-request-origin': origin },
      body: Buffer.alloc(0),
      answerBytesMax,
    }
    const answer = await world.net.request(request, address, inTime)
    const allowed = (answer.headers['webhook-allowed-origin'] ?? '').trim().toLowerCase()
    const agrees = answer.status >= 200 && answer.status < 300 && (allowed === '*' || allowed === origin.toLowerCase())
    if (agrees) return { ok: true }
    const why = `it did not agree to deliveries from ${origin} (WebHook-Allowed-Origin): ${said(answer)}`
    return { ok: false, why, permanent: false, afterMs: retryAfter(answer.headers['retry-after'], world.clock.now()) }
  })
}
function raced<T>(promise: Promise<T>, signal: AbortSignal): Promise<T> {
  signal.throwIfAborted()
  return new Promise((resolve, reject) => {
    const aborted = (): void => reject(signal.reason as Error)
    signal.addEventListener('abort', aborted, { once: true })
    promise.then(resolve, reject).finally(() => signal.removeEventListener('abort', aborted))
  })
}

/** A secret in base64, with or without `whsec_`, is the key it encodes; any other text is the key itself. */
export function signer(secret: string): Webhook {
  const plain = secret.startsWith('whsec_') ? secret.slice(6) : secret
  const encoded = /^(?:[A-Za-z0-9+/]{4})*(?:[A-Za-z0-9+/]{2}==|[A-Za-z0-9+/]{3}=)?$/.test(plain) && plain !== ''
  return encoded ? new Webhook(plain) : new Webhook(Buffer.from(secret, 'utf8'), { format: 'raw' })
}

function retryAfter(header: string | undefined, nowMs: number): number | null {
  if (header === undefined) return null
  if (/^\d{1,9}$/.test(header)) return Number(header) * 1000
  const at = Date.parse(header)
  return Number.isNaN(at) ? null : Math.max(0, at - nowMs)
}
