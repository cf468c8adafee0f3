/**
 * SCRAM (RFC 5802, RFC 7677) from the client's side, without I/O: two messages out, two in. The server proves that it
 * knows the password too.
 */
import { createHash, createHmac, pbkdf2, timingSafeEqual } from 'node:crypto'
import { promisify } from 'node:util'

const derive = promisify(pbkdf2)
const digests = {
  'SCRAM-SHA-256': { name: 'sha256', bytes: 32 },
  'SCRAM-SHA-512': { name: 'sha512', bytes: 64 },
} as const
export type ScramMechanism = keyof typeof digests
/** RFC 7677 asks for at least 4096; a server that asks for more than this wants our time, not our proof. */
const iterations = { least: 4096, most: 1_000_000 } as const

/** Thrown with the reason when the server does not keep to the protocol, or does not know the password. */
export class ScramFailed extends Error {}

export class Scram {
  readonly #mechanism: ScramMechanism
  readonly #password: string
  readonly #nonce: string
  readonly #bare: string
  #expectedSignature: Buffer | null = null

  constructor(mechanism: ScramMechanism, user: { username: string; password: string }, nonce: Uint8Array) {
    this.#mechanism = mechanism
    this.#password = user.password.normalize('NFKC')
    this.#nonce = Buffer.from(nonce).toString('base64')
    const name = user.username.normalize('NFKC').replaceAll('=', '=3D').replaceAll(',', '=2C')
    this.#bare = `n=${name},r=${this.#nonce}`
  }
  first(): string {
    return `n,,${this.#bare}`
  }
  async proof(serverFirst: string): Promise<string> {
    const fields = fieldsOf(serverFirst)
    const nonce = fields.get('r') ?? ''
    const salt = fields.get('s') ?? ''
    const rounds = Number(fields.get('i'))
    if (!nonce.startsWith(this.#nonce) || nonce === this.#nonce)
      throw new ScramFailed('the nonce is not an answer to ours')
    if (salt === '') throw new ScramFailed('there is no salt')
    if (!Number.isInteger(rounds) || rounds < iterations.least || rounds > iterations.most)
      throw new ScramFailed(`${fields.get('i')} iterations are not between ${iterations.least} and ${iterations.most}`)
    const { name, bytes } = digests[this.#mechanism]
    const salted = await derive(this.#password, Buffer.from(salt, 'base64'), rounds, bytes, name)
    const hmac = (key: Uint8Array, text: string): Buffer => createHmac(name, key).update(text).digest()
    const withoutProof = `c=biws,r=${nonce}`
    const signed = `${this.#bare},${serverFirst},${withoutProof}`
    const clientKey = hmac(salted, 'Client Key')
    const signature = hmac(createHash(name).update(clientKey).digest(), signed)
    this.#expectedSignature = hmac(hmac(salted, 'Server Key'), signed)
    const proof = Buffer.from(clientKey.map((byte, i) => byte ^ signature[i]!))
    return `${withoutProof},p=${proof.toString('base64')}`
  }
  /** Throws unless the server has proved itself. */
  finish(serverFinal: string): void {
    const fields = fieldsOf(serverFinal)
    const error = fields.get('e')
    if (error !== undefined) throw new ScramFailed(error)
    const signature = Buffer.from(fields.get('v') ?? '', 'base64')
    const expected = this.#expectedSignature
    if (expected === null || signature.length !== expected.length || !timingSafeEqual(signature, expected))
      throw new ScramFailed('the server does not know the password')
  }
}

/** `a=1,b=2`; a value may hold '='. */
const fieldsOf = (text: string): Map<string, string> =>
  new Map(text.split(',').map((part) => [part.slice(0, 1), part.slice(2)]))
