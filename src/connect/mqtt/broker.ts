/** A connection to the broker, from settings. */
import type { SinkHost, SourceHost } from '../kind.ts'
import type { Settings } from '../settings.ts'
import { type ClientOptions, type MqttClient, openClient } from './client.ts'
import { brokerOf } from './spec.ts'

/** Throws Fault connect.unavailable, connect.refused, connect.invalid-setting. */
export function openBroker(
  { world, id, signal }: SourceHost | SinkHost,
  settings: Settings,
  more: Pick<ClientOptions, 'clean' | 'sessionExpiryS' | 'took' | 'released' | 'ended'>,
): Promise<MqttClient> {
  const { at, isEncrypted } = brokerOf(settings)
  const [ca, cert, key] = [settings.file('tls.ca'), settings.file('tls.cert'), settings.file('tls.key')]
  const tls = { ...(ca === null ? {} : { ca }), ...(cert === null || key === null ? {} : { cert, key }) }
  return openClient({
    world,
    at,
    tls: isEncrypted ? tls : null,
    version: settings.text('version') === '5' ? 5 : 4,
    // At most 23 characters, which every broker takes.
    clientId: settings.text('client.id') ?? `millrace-${id.replaceAll('-', '').slice(0, 14)}`,
    userName: settings.text('username'),
    password: settings.text('password'),
    keepAliveMs: settings.duration('keep.alive')!,
    inFlight: settings.count('in.flight')!,
    signal,
    ...more,
  })
}
