/** One who signs tokens that a gateway on this disk takes. */
import { SignJWT, exportJWK, generateKeyPair } from 'jose'
import { memoryDisk } from '../../../src/lib/real/memory-disk.ts'
import type { Disk } from '../../../src/lib/world.ts'
import type { OAuthOptions } from '../../../src/security/oauth.ts'

export interface TokenIssuer {
  readonly disk: Disk
  readonly oauth: OAuthOptions
  /** `seconds`: how long it holds from now on. */
  token(subject: string, seconds: number): Promise<string>
}

export async function tokenIssuer(): Promise<TokenIssuer> {
  const { publicKey, privateKey } = await generateKeyPair('ES256', { extractable: true })
  const disk = memoryDisk()
  const file = disk.open('keys.json', 'write')
  const keys = [{ ...(await exportJWK(publicKey)), kid: 'one', alg: 'ES256' }]
  file.write([Buffer.from(JSON.stringify({ keys }))], 0)
  file.close()
  const issuer = 'https://issuer'
  const oauth = {
    ...{ jwks: 'keys.json', issuer, audiences: ['us'], principalClaim: 'sub' },
    ...{ clockSkewMs: 0, allow: [] },
  }
  const token = (subject: string, seconds: number): Promise<string> =>
    new SignJWT({ iss: issuer, aud: 'us', sub: subject, exp: Math.floor(Date.now() / 1000) + seconds })
      .setProtectedHeader({ alg: 'ES256', kid: 'one' })
      .sign(privateKey)
  return { disk, oauth, token }
}
