/**
 * Tokens that pushes carry (OpenID Connect): JWTs signed by a key of this instance, which is made once and kept. Receivers
 * find the public half at `/.well-known/jwks.json` of this listener, which is the issuer.
 */
import type { JWK } from 'jose'
import type { Clock } from '../../lib/world.ts'
import type { KeptMap } from '../../log/kept-map.ts'

const algorithm = 'RS256'
const lifetimeMs = 3_600_000
/** A token that has less left is not used again. */
const marginMs = 10 * 60_000
const tokensMax = 1_000
const key = 'keys/push'

export class OidcTokens {
  readonly #kept: KeptMap
  readonly #clock: Clock
  readonly #issuer: () => string
  #jwk: Promise<JWK> | null = null
  readonly #tokens = new Map<string, { readonly token: string; readonly untilMs: number }>()

  constructor(kept: KeptMap, clock: Clock, issuer: () => string) {
    this.#kept = kept
    this.#clock = clock
    this.#issuer = issuer
  }
  async token(email: string, audience: string): Promise<string> {
    const name = `${email}\n${audience}`
    const nowMs = this.#clock.now()
    const known = this.#tokens.get(name)
    if (known !== undefined && known.untilMs - marginMs > nowMs) return known.token
    const { SignJWT, importJWK } = await import('jose')
    const jwk = await this.#key()
    const issuedS = Math.floor(nowMs / 1000)
    const token = await new SignJWT({ email, email_verified: true, azp: email })
      .setProtectedHeader({ alg: algorithm, kid: String(jwk.kid), typ: 'JWT' })
      .setIssuer(this.#issuer())
      .setAudience(audience)
      .setSubject(email)
      .setIssuedAt(issuedS)
      .setExpirationTime(issuedS + lifetimeMs / 1000)
      .sign(await importJWK(jwk, algorithm))
    if (this.#tokens.size >= tokensMax) this.#tokens.clear()
    this.#tokens.set(name, { token, untilMs: nowMs + lifetimeMs })
    return token
  }
  /** What `/.well-known/jwks.json` answers. */
  async jwks(): Promise<{ readonly keys: readonly JWK[] }> {
    const { kty, n, e, kid } = await this.#key()
    return { keys: [{ kty: kty!, n: n!, e: e!, kid: kid!, alg: algorithm, use: 'sig' }] }
  }
  configuration(): object {
    const issuer = this.#issuer()
    return {
      issuer,
      jwks_uri: `${issuer}/.well-known/jwks.json`,
      id_token_signing_alg_values_supported: [algorithm],
      response_types_supported: ['id_token'],
      subject_types_supported: ['public'],
    }
  }
  #key(): Promise<JWK> {
    this.#jwk ??= this.#readKey().catch((error: unknown) => {
      this.#jwk = null
      throw error
    })
    return this.#jwk
  }
  async #readKey(): Promise<JWK> {
    const stored = this.#kept.get(key)
    if (stored !== null) return JSON.parse(Buffer.from(stored).toString()) as JWK
    const { calculateJwkThumbprint, exportJWK, generateKeyPair } = await import('jose')
    const { privateKey } = await generateKeyPair(algorithm, { extractable: true })
    const jwk = await exportJWK(privateKey)
    const made = { ...jwk, kid: await calculateJwkThumbprint(jwk) }
    await this.#kept.change([{ key, value: Buffer.from(JSON.stringify(made)) }])
    return made
  }
}
