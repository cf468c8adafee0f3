/**
 * The composition root: builds every layer from the configuration, starts them lowest first and stops them in reverse.
 * Nothing else in the program knows all of them.
 */
import { type RunningAlerts, openAlerts } from '../act/open.ts'
import { type OpenConnectors, openConnectors } from '../connect/open.ts'
import { type Flow, type FlowOptions, openFlow } from '../flow/runtime/flow.ts'
import { guardMemory } from '../flow/runtime/memory-guard.ts'
import { restartDefault } from '../flow/restart.ts'
import { Quarantine } from '../flow/runtime/quarantine.ts'
import { isSqlFunction } from '../flow/user-functions.ts'
import { codeOf } from '../flow/workers/code.ts'
import { openFlowOnThreads } from '../flow/workers/pool.ts'
import { Fault } from '../lib/fault.ts'
import { isLoopback } from '../lib/loopback.ts'
import type { Logger } from '../lib/logger.ts'
import { memoryDisk } from '../lib/real/memory-disk.ts'
import type { Address, World } from '../lib/world.ts'
import { openCatalog } from '../log/catalog.ts'
import { startDelays } from '../log/delays/delays.ts'
import { type Commits, openCommits } from '../log/commits.ts'
import type { Intake } from '../log/broker.ts'
import type { LocalLog } from '../log/local/local-log.ts'
import type { Log } from '../log/log.ts'
import { type OpenEngine, openEngine } from '../query/open.ts'
import { type Contracts, openContracts } from '../schema/contracts.ts'
import { sortedOut, startQuarantine } from '../schema/quarantine-service.ts'
import { readText } from '../security/files.ts'
import { type Security, openSecurity } from '../security/security.ts'
import { TlsWatch } from '../security/tls.ts'
import { anonymous } from '../security/principal.ts'
import type { Doctor } from '../query/engine.ts'
import type { MqttSessions } from '../telemetry/mqtt-sessions.ts'
import type { ReadersOf } from '../telemetry/topic-reader.ts'
import { type Telemetry, openTelemetry } from '../telemetry/telemetry.ts'
import { type Definitions, applyDefinitions } from './apply.ts'
import { applyConnectors, connectorsOf } from './apply-connectors.ts'
import { addressText } from './addresses.ts'
import { type Config, type Protocol, protocols } from './config.ts'
import { type Listener, listeners } from './listeners.ts'
import { openLog } from './open-log.ts'
import { connectorFiles } from './connector-files.ts'
import { importPackage } from './packages.ts'
import { version } from './version.ts'

export interface StartOptions {
  readonly config: Config
  readonly world: World
  readonly logger: Logger
  readonly definitions?: Definitions
  /** For measurements. */
  readonly flow?: Pick<FlowOptions, 'keepsOutput'>
}
export interface Running extends Layers {
  /** Protocol → HOST:PORT as bound. */
  listening(): Readonly<Partial<Record<Protocol, string>>>
  /** Stops what was started, in reverse. Idempotent. */
  close(): Promise<void>
}
/** What stands below the gateways. */
export interface Layers {
  readonly world: World
  readonly telemetry: Telemetry
  readonly log: Log
  /** The same, where it is a log of our own. */
  readonly local: LocalLog | null
  readonly commits: Commits
  readonly contracts: Contracts
  readonly engine: OpenEngine
  readonly alerts: RunningAlerts
  readonly connectors: OpenConnectors
  readonly security: Security
}

/** Throws the first Fault met, after stopping what was started before it. */
export async function startMillrace(options: StartOptions): Promise<Running> {
  const stack = new AsyncDisposableStack()
  try {
    const layers = await startLayers(options, stack)
    const bound = await startGateways(options, layers, stack)
    return {
      ...layers,
      listening: () => Object.fromEntries(Object.entries(bound).map(([protocol, at]) => [protocol, addressText(at)])),
      close: () => stack.disposeAsync(),
    }
  } catch (error) {
    await stack.disposeAsync()
    throw error
  }
}

async function startLayers(options: StartOptions, stack: AsyncDisposableStack): Promise<Layers> {
  const { config, world: outer, logger } = options
  const inMemory = config.data === ':memory:'
  const world: World = inMemory ? { ...outer, disk: memoryDisk() } : outer
  const telemetry = openTelemetry({ clock: world.clock, version })
  // The log asks about contracts, which live in the log: until they are read, nothing is produced.
  const late: { intake: Intake } = { intake: () => null }
  const intake: Intake = (topic, batch) => late.intake(topic, batch)
  const { log, local } = await openLog({ config, world, machine: outer, telemetry, logger, intake })
  stack.defer(() => log.close())
  const catalog = await openCatalog(log, () => world.clock.now())
  stack.defer(() => catalog.close())
  const commits = openCommits(await log.owner(), world.clock)
  stack.defer(() => commits.close())

  const { superUsers, principalMapping, oauth } = config.security
  const authenticates = asksWhoAnywhere(config)
  const security = openSecurity(
    // Files that settings name are on the machine's disk, also when the data are in memory.
    { world: outer, log, catalog, logger },
    { superUsers, principalMapping, oauth, authenticates },
  )
  stack.defer(() => security.close())
  await makeAdmin(security, outer, config.security.adminPasswordFile)

  const contracts = openContracts({ catalog })
  late.intake = contracts.intake
  const quarantine = startQuarantine({ log, commits, contracts, clock: world.clock, logger })
  stack.defer(() => quarantine.close())
  const delays = startDelays({
    log,
    commits,
    world,
    logger,
    refuses: (topic, record) => contracts.refuses(topic, record),
  })
  stack.defer(() => delays.close())

  const onFault = (name: string, fault: { message: string; code: string }): void =>
    logger.error(`${name}: ${fault.message}`, { code: fault.code })
  const flow = openViews(
    world.threads,
    { count: config.workers, definitions: options.definitions },
    {
      log,
      commits,
      clock: world.clock,
      random: world.random,
      restart: restartDefault,
      onFault,
      quarantine: new Quarantine(log, (topic, event) => sortedOut(contracts, topic, event)),
      spill: local === null || config.data === ':memory:' ? null : { disk: world.disk, folder: `${config.data}/spill` },
      ...options.flow,
    },
  )
  stack.defer(() => flow.close())
  if (world.memory !== undefined) stack.defer(guardMemory({ flow, memory: world.memory, clock: world.clock }))
  const check: Contracts['check'] = (topic, event) => contracts.check(topic, event)
  const fields: Contracts['fields'] = (topic) => contracts.fields(topic)
  // What the catalogue holds may name what the program is about to define: faults count once that is done.
  const reports = { now: false }
  const onEngineFault: typeof onFault = (name, fault) => {
    if (reports.now) onFault(name, fault)
  }
  const functions = options.definitions?.definitions.filter(isSqlFunction) ?? []
  const later: { connectors: OpenConnectors | null } = { connectors: null }
  const engine = await openEngine({
    log,
    catalog,
    commits,
    flow,
    world,
    check,
    fields,
    functions,
    connectors: () => later.connectors,
    onFault: onEngineFault,
  })
  stack.defer(() => engine.close())
  const files = connectorFiles(outer.disk, config.connectFiles)
  const wantedConnectors = connectorsOf(options.definitions ?? { sql: [] }, files)
  if (options.definitions !== undefined) await applyDefinitions({ engine, contracts, logger }, options.definitions)
  for (const { name, error } of engine.views()) if (error !== null) onFault(name, error)
  reports.now = true

  const alerts = openAlerts({ world, log, commits, rules: engine.alertRules, logger, allow: config.webhooksAllow })
  stack.defer(() => alerts.close())
  const connectors = openConnectors({
    world,
    log,
    commits,
    catalog,
    logger,
    files,
    load: importPackage,
    refuses: (topic, record) =>
      engine.writerOf(topic) === null
        ? contracts.refuses(topic, record)
        : new Fault('log.topic-kept', { topic, why: 'it holds the changes of a view, which alone writes it' }),
  })
  stack.defer(() => connectors.close())
  later.connectors = connectors
  await applyConnectors({ connectors, logger }, wantedConnectors)
  return { world, telemetry, log, local, commits, contracts, engine, alerts, connectors, security }
}

async function startGateways(
  { config, logger, world: machine }: StartOptions,
  layers: Layers,
  stack: AsyncDisposableStack,
): Promise<Partial<Record<Protocol, Address>>> {
  const bound: Partial<Record<Protocol, Address>> = {}
  const { security: settings } = config
  // Certificates are files of the machine also where the data lies in memory.
  const watch = settings.tls === null ? null : new TlsWatch(settings.tls, machine, logger)
  stack.defer(() => watch?.close())
  const open: Listener[] = []
  const readersOf: ReadersOf = async (topic) =>
    (await Promise.all(open.map(async (listener) => (await listener.readersOf?.(topic)) ?? []))).flat()
  const doctors = new Map<string, Doctor>()
  const mqttSessions = (): MqttSessions | null =>
    open.find((one) => one.mqttSessions !== undefined)?.mqttSessions ?? null
  for (const protocol of protocols) {
    const at = config.listen[protocol]
    if (at === null) continue
    const tls = watch !== null && settings.isEncrypted(protocol) ? { tls: watch.first } : {}
    const listen = (): Promise<Listener | null> =>
      listeners[protocol]({
        ...layers,
        config,
        logger,
        machine,
        readersOf,
        mqttSessions,
        doctors: () => doctors,
        at,
        ...tls,
      })
    const listener = await listening(protocol, at, listen).catch((error: unknown) => {
      if (
        !config.listensUnasked.includes(protocol) ||
        !(error instanceof Fault) ||
        error.code !== 'config.cannot-listen'
      )
        throw error
      logger.warn(`${error.message}; the others do`, { code: error.code })
      return null
    })
    if (listener === null) continue
    watch?.follow(listener)
    open.push(listener)
    if (listener.doctor !== undefined) doctors.set(protocol, listener.doctor)
    stack.defer(() => listener.close())
    bound[protocol] = listener.at
  }
  return bound
}

function openViews(
  threads: World['threads'],
  { count, definitions }: { readonly count: number; readonly definitions: Definitions | undefined },
  options: FlowOptions,
): Flow {
  if (threads === undefined || count === 0) return openFlow(options)
  const { project } = definitions ?? {}
  const code = project === undefined ? [] : codeOf(definitions!.definitions)
  const codeFrom = code.length === 0 ? null : { dir: project!.dir, digest: project!.digest }
  const module = new URL(import.meta.url.replace(/[^/]*(\.[jt]s)$/, 'view-thread$1'))
  return openFlowOnThreads({ ...options, threads, count, module, code, codeFrom })
}
/** Who locks the door has to be inside: without a user nobody could make the first one. */
async function makeAdmin({ users, audit }: Security, { disk }: World, file: string | null): Promise<void> {
  if (file === null || users.all().length > 0) return
  let password: string
  try {
    password = readText(disk, file).replace(/\r?\n$/, '')
  } catch (error) {
    const why = `it cannot be read (${(error as Error).message})`
    throw new Fault('config.invalid', { setting: 'adminPasswordFile', value: file, why }, error)
  }
  await users.change([{ name: 'admin', super: true, scram: await users.credentials(password) }])
  audit.note({
    subject: { principal: anonymous, host: '' },
    via: 'start',
    action: 'adminPasswordFile',
    resources: ['user:admin'],
    outcome: 'done',
    changes: ['user:admin super=true', 'user:admin another password'],
  })
}

/** Then nobody may do anything without a grant, also before there are users. */
const asksWhoAnywhere = ({ listen, security }: Config): boolean =>
  security.kafkaSasl.length > 0 ||
  security.tls?.clientAuth === 'required' ||
  protocols.some((protocol) => {
    const at = listen[protocol]
    // A peer port lets nobody do anything.
    return protocol !== 'peer' && at !== null && !isLoopback(at.host)
  })

/** What commonly stands in the way of a port has its own words. */
async function listening<T>(protocol: Protocol, at: Address, listen: () => Promise<T>): Promise<T> {
  try {
    return await listen()
  } catch (error) {
    const why = reasons[String((error as { code?: unknown }).code)]
    if (why === undefined) throw error
    throw new Fault('config.cannot-listen', { protocol, at: addressText(at), why }, error)
  }
}
const reasons: Readonly<Record<string, string>> = {
  EADDRINUSE: 'another program listens there',
  EADDRNOTAVAIL: 'this machine has no such address',
  EACCES: 'this user may not use that port',
}
