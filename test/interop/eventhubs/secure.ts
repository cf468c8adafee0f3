/** The gateway over TLS, where keys or tokens are asked for: what clients that are pointed there need. */
import type { TestContext } from 'node:test'
import { type LocalHubs, startHubs } from '../../gateway/eventhubs/local-hubs.ts'
import { tokenIssuer } from '../../gateway/eventhubs/token-issuer.ts'
import { authority, temporaryFolder } from '../../security/certificates.ts'

export interface SecureHubs extends AsyncDisposable {
  /** HOST:PORT */
  readonly address: string
  /** Has two partitions. */
  readonly hub: string
  readonly keyName: string
  readonly key: string
  /** PEM of the authority that vouches for the gateway, and a folder that goes with the test. */
  readonly caFile: string
  readonly folder: string
  /** Of one who may do everything. */
  token(seconds: number): Promise<string>
}

export async function startSecureHubs(t: TestContext): Promise<SecureHubs> {
  const folder = temporaryFolder(t)
  const ours = authority(folder, 'ours')
  const { cert, key } = ours.issue('server', '/CN=localhost')
  const { disk, oauth, token } = await tokenIssuer()
  const hub = 'secure'
  const tls = { cert, key, clientAuth: 'none' } as const
  const hubs: LocalHubs = await startHubs({ authenticates: true, hubs: { [hub]: 2 }, tls, disk, oauth })
  await hubs.security.users.change([{ name: 'root', super: true }])
  const { id, secret } = await hubs.security.accessKeys.create({ user: 'root' })
  return {
    ...{ address: `localhost:${hubs.port}`, hub, keyName: id, key: secret, caFile: ours.certFile, folder },
    token: (seconds) => token('root', seconds),
    [Symbol.asyncDispose]: () => hubs[Symbol.asyncDispose](),
  }
}
