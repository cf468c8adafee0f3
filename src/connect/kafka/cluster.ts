/** A connection to the other cluster, from settings. */
import { type ClusterClient, openClusterClient } from '../../log/cluster/client.ts'
import type { SaslMechanism } from '../../log/cluster/settings.ts'
import type { SinkHost, SourceHost } from '../kind.ts'
import type { Settings } from '../settings.ts'
import { brokersOf } from './spec.ts'

/** Throws Fault cluster.unavailable, cluster.authentication-failed, connect.invalid-setting. */
export function openCluster(
  { world, logger, signal }: SourceHost | SinkHost,
  settings: Settings,
): Promise<ClusterClient> {
  const [ca, cert, key] = [settings.file('tls.ca'), settings.file('tls.cert'), settings.file('tls.key')]
  const isEncrypted = settings.truth('tls') || ca !== null || cert !== null
  const mechanism = settings.text('sasl.mechanism') as SaslMechanism | null
  return openClusterClient(
    {
      world,
      logger,
      brokers: brokersOf(settings),
      ...(isEncrypted
        ? { tls: { ...(ca === null ? {} : { ca }), ...(cert === null || key === null ? {} : { cert, key }) } }
        : {}),
      ...(mechanism === null
        ? {}
        : { sasl: { mechanism, username: settings.text('username')!, password: settings.text('password')! } }),
    },
    signal,
  )
}
