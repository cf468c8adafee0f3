/**
 * Tokens of OAUTHBEARER and HTTP's Bearer: JWTs (RFC 7519) signed by a key of the issuer's JWKS. Asymmetric signatures
 * only: a token that is not signed, or with a secret, is refused whatever it says. The JWKS is a file, which is read again
 * when it changes, or a URL of the configuration, never one that a token names; its address is checked like a webhook's.
 */
import type { JWK, JWTVerifyGetKey, errors } from 'jose'
import { checkTarget, webhookRules } from '../act/addresses.ts'
import { Fault, asFault } from '../lib/fault.ts'
import { limits } from '../lib/limits.ts'
import type { Logger } from '../lib/logger.ts'
import type { Clock, Disk, Net } from '../lib/world.ts'
import { readText } from './files.ts'

export interface OAuthOptions {
  /** A file, or an https URL. */
  readonly jwks: string
  readonly issuer: string
  /** One of them must be in the token's `aud`. */
  readonly audiences: readonly string[]
  /** The claim that is the user's name. */
  readonly principalClaim: string
  readonly clockSkewMs: number
  /** CIDR ranges where the URL may lie although they are private. */
  readonly allow: readonly string[]
}
export interface OAuth {
  /** Who it is and, by the wall clock, until when. Throws Fault security.authentication-failed. */
  check(token: string): Promise<{ readonly name: string; readonly expiresMs: number }>
}

const algorithms = ['RS256', 'RS384', 'RS512', 'PS256', 'PS384', 'PS512', 'ES256', 'ES384', 'ES512', 'EdDSA', 'Ed25519']
/** An unknown key is a reason to ask again, but not for every token that a stranger makes up. */
const askAgainMs = 30_000
const keepMs = 60 * 60_000
const requestMs = 10_000
const nameLengthMax = 255

interface Keys {
  readonly get: JWTVerifyGetKey
  readonly staleMs: number
  /** Of the file. */
  readonly version: string
}

export class JwksOAuth implements OAuth {
  readonly #options: OAuthOptions
  readonly #world: { readonly clock: Clock; readonly disk: Disk; readonly net: Net }
  #keys: Keys | null = null
  #reading: Promise<Keys> | null = null
  #askedMs = -Infinity
  #warnedMs = -Infinity
  readonly #logger: Logger

  /** Throws Fault config.invalid. */
  constructor(options: OAuthOptions, world: { clock: Clock; disk: Disk; net: Net }, logger: Logger) {
    this.#options = options
    this.#world = world
    this.#logger = logger
    const { jwks } = options
    if (!isUrl(jwks) && world.disk.stat(jwks) === null)
      throw new Fault('config.invalid', { setting: 'oauthJwks', value: jwks, why: 'there is no such file' })
  }

  async check(token: string): Promise<{ name: string; expiresMs: number }> {
    if (token.length > limits.tokenLength) throw refused('the token is too long')
    const { errors } = await loadJose()
    try {
      const keys = await this.#current()
      try {
        return await this.#verify(token, keys)
      } catch (error) {
        const isKeyMissing = error instanceof errors.JWKSNoMatchingKey
        if (!isKeyMissing || this.#now() - this.#askedMs < askAgainMs) throw error
        return await this.#verify(token, await this.#read())
      }
    } catch (error) {
      throw refused(whyRefused(error, errors.JOSEError))
    }
  }
  async #verify(token: string, { get }: Keys): Promise<{ name: string; expiresMs: number }> {
    const { issuer, audiences, clockSkewMs, principalClaim } = this.#options
    const { jwtVerify } = await loadJose()
    const { payload } = await jwtVerify(token, get, {
      algorithms,
      issuer,
      audience: [...audiences],
      clockTolerance: clockSkewMs / 1000,
      currentDate: new Date(this.#world.clock.now()),
      requiredClaims: ['exp', principalClaim],
    })
    const name = payload[principalClaim]
    if (typeof name !== 'string' || name === '' || name.length > nameLengthMax)
      throw refused(`its claim ${principalClaim} is no name`)
    return { name, expiresMs: payload.exp! * 1000 }
  }

  #now(): number {
    return this.#world.clock.monotonic()
  }
  async #current(): Promise<Keys> {
    const keys = this.#keys
    return keys === null || this.#now() > keys.staleMs || this.#version() !== keys.version ? this.#read() : keys
  }
  #version(): string {
    const { jwks } = this.#options
    if (isUrl(jwks)) return ''
    const found = this.#world.disk.stat(jwks)
    return found === null ? '' : `${found.modifiedMs}/${found.size}`
  }
  /** One at a time: all who wait get the same. Keys that cannot be read again stay, and are asked for a little later. */
  #read(): Promise<Keys> {
    this.#reading ??= this.#readNow()
      .catch((error: unknown) => {
        this.#warn(error)
        if (this.#keys === null) throw error
        return { ...this.#keys, staleMs: this.#now() + askAgainMs }
      })
      .then((keys) => (this.#keys = keys))
      .finally(() => (this.#reading = null))
    return this.#reading
  }
  /** Who asks is not told why; whoever runs this is, but not as often as strangers ask. */
  #warn(error: unknown): void {
    if (this.#now() - this.#warnedMs < askAgainMs) return
    this.#warnedMs = this.#now()
    this.#logger.warn('the keys of the issuer cannot be had', { jwks: this.#options.jwks, error })
  }
  async #readNow(): Promise<Keys> {
    this.#askedMs = this.#now()
    const { jwks } = this.#options
    const version = this.#version()
    const text = isUrl(jwks) ? await this.#download(jwks) : readText(this.#world.disk, jwks)
    const { keys } = JSON.parse(text) as { keys?: JWK[] }
    if (!Array.isArray(keys)) throw new Error('the key set has no keys')
    const { createLocalJWKSet } = await loadJose()
    return { get: createLocalJWKSet({ keys }), staleMs: this.#now() + keepMs, version }
  }
  async #download(url: string): Promise<string> {
    const { clock, net } = this.#world
    const address = await checkTarget(new URL(url), net, webhookRules(this.#options.allow, false))
    const tooLate = new AbortController()
    const cancel = clock.after(requestMs, () => tooLate.abort(new Error('the issuer does not answer')))
    const request = {
      method: 'GET',
      url,
      headers: { accept: 'application/json' },
      body: new Uint8Array(0),
      answerBytesMax: limits.jwksBytes,
    }
    const answer = await net.request(request, address, tooLate.signal).finally(cancel)
    if (answer.status !== 200) throw new Error(`the issuer answered ${answer.status}`)
    return Buffer.from(answer.body).toString('utf8')
  }
}
/** Loaded with the first token: half a hundred modules that most starts need none of. */
const loadJose = (): Promise<typeof import('jose')> => import('jose')
const isUrl = (text: string): boolean => /^https:\/\//i.test(text)

/** Throws Fault config.invalid. */
export function checkOAuth({ jwks, issuer, audiences, allow }: OAuthOptions): void {
  const invalid = (setting: string, value: string, why: string): Fault =>
    new Fault('config.invalid', { setting, value, why })
  if (issuer === '') throw invalid('oauthIssuer', issuer, 'without it tokens of anybody would do')
  if (audiences.length === 0) throw invalid('oauthAudience', '', 'without it tokens for anybody would do')
  webhookRules(allow, false)
  if (/^[a-z][a-z0-9+.-]+:/i.test(jwks) && !isUrl(jwks))
    throw invalid('oauthJwks', jwks, 'it is a file or an https URL')
}

const refused = (why: string): Fault => new Fault('security.authentication-failed', { why })
/** Nothing of the token itself, nor of what only the operator should see. */
function whyRefused(error: unknown, JOSEError: typeof errors.JOSEError): string {
  if (error instanceof JOSEError) return `the token is refused (${error.code})`
  const fault = asFault(error)
  if (fault.code === 'security.authentication-failed') return (fault.facts as { why: string }).why
  return 'the keys of the issuer cannot be had'
}
