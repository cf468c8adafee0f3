/** The gateway over the real local log, in memory unless a disk is given. */
import { listenEventHubs } from '../../../src/gateway/eventhubs/index.ts'
import { memoryDisk } from '../../../src/lib/real/memory-disk.ts'
import { realWorld } from '../../../src/lib/real/world.ts'
import type { Disk, TlsServer, World } from '../../../src/lib/world.ts'
import { openCatalog } from '../../../src/log/catalog.ts'
import { openCommits } from '../../../src/log/commits.ts'
import type { LocalLog } from '../../../src/log/local/local-log.ts'
import { openLocalLog } from '../../../src/log/local/open.ts'
import { type Contracts, openContracts } from '../../../src/schema/contracts.ts'
import type { OAuthOptions } from '../../../src/security/oauth.ts'
import type { EventHubsMeter } from '../../../src/telemetry/eventhubs-meter.ts'
import { type OpenSecurity, openSecurity } from '../../../src/security/security.ts'

export interface LocalHubs extends AsyncDisposable {
  readonly port: number
  /** As the official clients take it. */
  readonly connectionString: string
  readonly log: LocalLog
  readonly security: OpenSecurity
  readonly contracts: Contracts
  readonly complaints: string[]
  /** Ends the listener alone. */
  stopListening(): Promise<void>
}
export interface LocalOptions {
  readonly disk?: Disk
  readonly clock?: World['clock']
  readonly autoCreate?: number
  readonly hubs?: Readonly<Record<string, number>>
  /** Nobody may do anything without a grant. */
  readonly authenticates?: boolean
  readonly viewTopics?: readonly string[]
  readonly tls?: TlsServer
  readonly meter?: EventHubsMeter
  readonly oauth?: OAuthOptions
}

export async function startHubs(options: LocalOptions = {}): Promise<LocalHubs> {
  const { disk = memoryDisk(), hubs = { hub: 2 }, autoCreate = null, viewTopics = [] } = options
  const real = realWorld()
  const world = { ...real, disk, clock: options.clock ?? real.clock }
  const log = await openLocalLog({ world, dir: 'data' })
  const catalog = await openCatalog(log, () => world.clock.now())
  const commits = openCommits(await log.owner(), world.clock)
  const complaints: string[] = []
  const note = (message: string, facts?: unknown): void => void complaints.push(`${message} ${JSON.stringify(facts)}`)
  const logger = { info: note, warn: note, error: note }
  const { authenticates = false, oauth = null, tls, meter } = options
  const rules = { superUsers: [], principalMapping: 'DEFAULT', oauth, authenticates }
  const security = openSecurity({ world, log, catalog, logger }, rules)
  const contracts = openContracts({ catalog })
  for (const [name, partitions] of Object.entries(hubs))
    if ((await log.topics.get(name)) === null) await log.topics.create([{ name, partitions }])
  const uses = { writerOf: (topic: string) => (viewTopics.includes(topic) ? 'view' : null) }
  const parts = { world, log, commits, contracts, security, logger, uses, autoCreate }
  const listener = await listenEventHubs({
    ...parts,
    at: { host: '127.0.0.1', port: 0 },
    ...(tls === undefined ? {} : { tls }),
    ...(meter === undefined ? {} : { meter }),
  })
  const { port } = listener.at
  return {
    port,
    connectionString: `Endpoint=sb://127.0.0.1:${port};SharedAccessKeyName=key;SharedAccessKey=secret;UseDevelopmentEmulator=true`,
    log,
    security,
    contracts,
    complaints,
    stopListening: () => listener.close(),
    async [Symbol.asyncDispose]() {
      await listener.close()
      await security.close()
      await commits.close()
      await catalog.close()
      await log.close()
    },
  }
}
