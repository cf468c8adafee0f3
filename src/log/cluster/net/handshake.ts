/** A fresh connection made ready: what the broker speaks, and who we are. */
import { Fault } from '../../../lib/fault.ts'
import { apiVersionsApi } from '../../../wire/kafka/messages/18-api-versions.ts'
import { saslAuthenticateApi } from '../../../wire/kafka/messages/36-sasl-authenticate.ts'
import { saslHandshakeApi } from '../../../wire/kafka/messages/17-sasl-handshake.ts'
import type { Random } from '../../../lib/world.ts'
import { code } from '../errors.ts'
import type { SaslSettings } from '../settings.ts'
import { Scram, ScramFailed } from './scram.ts'
import { Versions } from './versions.ts'
import type { WireConnection } from './wire-connection.ts'

const withinMs = 10_000
const softwareVersion = '1'
const nonceBytes = 24

export async function agreeOnVersions(on: WireConnection): Promise<Versions> {
  const request = { clientSoftwareName: 'millrace', clientSoftwareVersion: softwareVersion }
  const answer = await on.ask(apiVersionsApi, 3, request, withinMs)
  if (answer.errorCode !== code.none) throw new Fault('cluster.too-old', { what: 'the broker knows no ApiVersions 3' })
  return new Versions(answer.apiKeys, answer.finalizedFeatures)
}

/** Returns for how long the broker takes it, in ms; 0 = for ever. Throws Fault cluster.authentication-failed. */
export async function authenticate(
  on: WireConnection,
  versions: Versions,
  sasl: SaslSettings,
  random: Random,
): Promise<number> {
  const { mechanism } = sasl
  const offered = await on.ask(saslHandshakeApi, versions.of(saslHandshakeApi), { mechanism }, withinMs)
  if (offered.errorCode !== code.none) throw failed(sasl, `the cluster takes ${offered.mechanisms.join(', ')}`)
  const send = async (text: string): Promise<{ text: string; lifetimeMs: number }> => {
    const request = { authBytes: Buffer.from(text, 'utf8') }
    const answer = await on.ask(saslAuthenticateApi, versions.of(saslAuthenticateApi), request, withinMs)
    if (answer.errorCode !== code.none) throw failed(sasl, answer.errorMessage ?? `error ${answer.errorCode}`)
    return { text: Buffer.from(answer.authBytes).toString('utf8'), lifetimeMs: answer.sessionLifetimeMs }
  }
  if (mechanism === 'PLAIN') return (await send(`\0${sasl.username}\0${sasl.password}`)).lifetimeMs
  const scram = new Scram(mechanism, sasl, random.bytes(nonceBytes))
  try {
    const proof = await scram.proof((await send(scram.first())).text)
    const { text, lifetimeMs } = await send(proof)
    scram.finish(text)
    return lifetimeMs
  } catch (error) {
    throw error instanceof ScramFailed ? failed(sasl, error.message) : error
  }
}
const failed = ({ username, mechanism }: SaslSettings, why: string): Fault =>
  new Fault('cluster.authentication-failed', { user: username, mechanism, why })
