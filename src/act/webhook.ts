/** One attempt at a webhook: Standard Webhooks headers and signature, to an address that was checked, no redirects. */
import { Webhook } from 'standardwebhooks'
import { Fault } from '../lib/fault.ts'
import { limits } from '../lib/limits.ts'
import type { World } from '../lib/world.ts'
import { type WebhookRules, checkTarget } from './addresses.ts'

export interface WebhookMessage {
  readonly url: string
  readonly secret: string | null
  /** Stays the same over all attempts: receivers know a repetition by it. */
  readonly id: string
  readonly payload: string
}
export type AttemptResult =
  | { readonly ok: true }
  /** `permanent`: trying again is pointless. `afterMs`: not before the receiver said. */
  | { readonly ok: false; readonly why: string; readonly permanent: boolean; readonly afterMs: number | null }

const answerBytesMax = 4 * 1024

/** Never rejects, but with the signal's reason when it aborts. */
export async function attempt(
  message: WebhookMessage,
  world: World,
  rules: WebhookRules,
  signal: AbortSignal,
): Promise<AttemptResult> {
  const timeout = new AbortController()
  const cancel = world.clock.after(limits.deliveryMs, () =>
    timeout.abort(new Error(`no answer within ${limits.deliveryMs} ms`)),
  )
  try {
    return await send(message, world, rules, AbortSignal.any([signal, timeout.signal]))
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
  const url = new URL(message.url)
  const address = await raced(checkTarget(url, world.net, rules), signal)
  const at = new Date(world.clock.now())
  const headers: Record<string, string> = {
    'content-type': 'application/json',
    'user-agent': 'Millrace',
    'webhook-id': message.id,
    'webhook-timestamp': String(Math.floor(at.getTime() / 1000)),
  }
  if (message.secret !== null)
    headers['webhook-signature'] = signer(message.secret).sign(message.id, at, message.payload)
  const request = {
    method: 'POST',
    url: message.url,
    headers,
    body: Buffer.from(message.payload, 'utf8'),
    answerBytesMax,
  }
  const answer = await world.net.request(request, address, signal)
  if (answer.status >= 200 && answer.status < 300) return { ok: true }
  const text = Buffer.from(answer.body).toString('utf8').slice(0, 200).replaceAll(/\s+/g, ' ').trim()
  return {
    ok: false,
    why: `it answered ${answer.status}${text === '' ? '' : `: ${text}`}`,
    // 410: the receiver asks for no more (Standard Webhooks).
    permanent: answer.status === 410,
    afterMs: retryAfter(answer.headers['retry-after'], at.getTime()),
  }
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
