/** A gateway over a real log in memory, with an engine and alerts that a test may fill. */
import type { TestContext } from 'node:test'
import type { Alerts, FiredAlert } from '../../../src/act/alerts.ts'
import { type ConnectorsOptions, type OpenConnectors, openConnectors } from '../../../src/connect/open.ts'
import { type HttpListener, type HttpOptions, listenHttp } from '../../../src/gateway/http/listen.ts'
import { Fault } from '../../../src/lib/fault.ts'
import { silent } from '../../../src/lib/logger.ts'
import { memoryDisk } from '../../../src/lib/real/memory-disk.ts'
import { realWorld } from '../../../src/lib/real/world.ts'
import type { World } from '../../../src/lib/world.ts'
import { openCommits } from '../../../src/log/commits.ts'
import { openLocalLog } from '../../../src/log/local/open.ts'
import type { Change, Diagnosis, Engine, RelationInfo, Result, SavepointInfo } from '../../../src/query/engine.ts'
import { type Contracts, openContracts } from '../../../src/schema/contracts.ts'
import type { Catalog } from '../../../src/log/catalog.ts'
import { openSecurity } from '../../../src/security/security.ts'
import { type Telemetry, openTelemetry } from '../../../src/telemetry/telemetry.ts'
import { memoryCatalog } from '../../schema/memory-catalog.ts'

export interface Fixture {
  readonly url: string
  readonly listener: HttpListener
  readonly world: World
  readonly log: Awaited<ReturnType<typeof openLocalLog>>
  readonly contracts: Contracts
  readonly telemetry: Telemetry
  readonly engine: FakeEngine
  readonly alerts: FakeAlerts
  readonly connectors: OpenConnectors
  call(method: string, path: string, options?: CallOptions): Promise<Answered>
  /** Stops gateway and log; the disk stays. */
  stop(): Promise<void>
}
export interface CallOptions {
  readonly headers?: Readonly<Record<string, string>>
  readonly body?: string | Uint8Array | ReadableStream
  readonly json?: unknown
}
export interface Answered {
  readonly status: number
  readonly headers: Headers
  readonly text: string
  // Tests look into what came back as they please.
  readonly json: Json
}
export type Json = ReturnType<typeof JSON.parse>

export interface FixtureOptions {
  readonly world?: World
  readonly catalog?: Catalog
  readonly http?: Partial<HttpOptions>
  readonly kinds?: NonNullable<ConnectorsOptions['kinds']>
}

export async function fixture(t: TestContext, options: FixtureOptions = {}): Promise<Fixture> {
  const world = options.world ?? memoryWorld()
  const telemetry = openTelemetry({ clock: world.clock, version: '0.0.0-test' })
  const catalog = options.catalog ?? memoryCatalog()
  const contracts = openContracts({ catalog })
  const log = await openLocalLog({ world, dir: 'data', intake: contracts.intake, meter: telemetry.traffic })
  const commits = openCommits(await log.owner(), world.clock)
  const security = openSecurity(
    { world, log, catalog, logger: silent },
    { superUsers: [], principalMapping: 'DEFAULT', oauth: null, authenticates: false },
  )
  const engine = new FakeEngine()
  const alerts = new FakeAlerts()
  const connectors = openConnectors({
    world,
    log,
    commits,
    catalog,
    logger: silent,
    files: {
      read(path) {
        throw new Error(`no file ${path}`)
      },
      refuses: () => null,
    },
    load: (name) => import(name),
    refuses: (topic, record) => contracts.refuses(topic, record),
    ...(options.kinds === undefined ? {} : { kinds: options.kinds }),
  })
  const listener = await listenHttp({
    at: { host: '127.0.0.1', port: 0 },
    world,
    log,
    commits,
    engine,
    alerts,
    connectors,
    contracts,
    telemetry,
    security,
    logger: silent,
    readersOf: () => [],
    mqttSessions: () => null,
    doctors: () => new Map(),
    version: '0.0.0-test',
    local: log,
    dataPath: null,
    ...options.http,
  })
  const url = `http://127.0.0.1:${listener.at.port}`
  let stopped: Promise<void> | null = null
  const stop = (): Promise<void> =>
    (stopped ??= (async () => {
      await listener.close()
      await connectors.close()
      await security.close()
      await commits.close()
      await log.close()
    })())
  t.after(stop)
  return {
    url,
    listener,
    world,
    log,
    contracts,
    telemetry,
    engine,
    alerts,
    connectors,
    stop,
    call: (m, p, o) => call(url, m, p, o),
  }
}
export const memoryWorld = (): World => ({ ...realWorld(), disk: memoryDisk() })

export async function call(url: string, method: string, path: string, options: CallOptions = {}): Promise<Answered> {
  const json = options.json === undefined ? undefined : JSON.stringify(options.json)
  const body = json ?? options.body
  const headers: Record<string, string> = { ...options.headers }
  if (json !== undefined) headers['content-type'] ??= 'application/json'
  const response = await fetch(url + path, {
    method,
    headers,
    redirect: 'manual',
    ...(body === undefined ? {} : { body: body as never, duplex: 'half' }),
  } as RequestInit)
  const text = await response.text()
  return {
    status: response.status,
    headers: response.headers,
    text,
    get json(): Json {
      return JSON.parse(text)
    },
  }
}

export class FakeEngine implements Engine {
  relations: RelationInfo[] = []
  results: (sql: string) => Result = () => ({ command: 'OK', columns: [], rows: rowsOf([]) })
  changes: Change[] = []
  readonly dropped: string[] = []
  run(sql: string): Promise<Result> {
    return Promise.resolve(this.results(sql))
  }
  subscribe(_sql: string, options: { signal?: AbortSignal } = {}): ReturnType<Engine['subscribe']> {
    const { changes } = this
    return Promise.resolve({
      columns: [{ name: 'item', type: { kind: 'text' }, nullable: true }],
      changes: (async function* () {
        yield* changes
        if (changes.length === 0)
          await new Promise<void>((done) => options.signal?.addEventListener('abort', () => done()))
      })(),
    })
  }
  views(): readonly RelationInfo[] {
    return this.relations
  }
  relation(name: string): RelationInfo | null {
    return this.relations.find((one) => one.name === name) ?? null
  }
  sources(): readonly string[] {
    return []
  }
  writerOf(topic: string): string | null {
    return this.relations.find((one) => one.kind === 'view' && one.topic === topic)?.name ?? null
  }
  readerOf(topic: string): RelationInfo | null {
    return this.relations.find((one) => one.kind !== 'view' && one.topic === topic) ?? null
  }
  keys: Record<string, readonly string[]> = {}
  keyColumns(topic: string): readonly string[] {
    return this.keys[topic] ?? []
  }
  rows(name: string): Promise<Result> {
    return Promise.resolve(this.results(name))
  }
  diagnoses: Diagnosis[] = []
  doctor(): ReturnType<Engine['doctor']> {
    return Promise.resolve(this.diagnoses)
  }
  saved: SavepointInfo[] = []
  createSavepoint(view: string, name: string): Promise<SavepointInfo> {
    const made = {
      name,
      view,
      at: '2026-01-01T00:00:00.000Z',
      stateBytes: 1,
      rowBytes: 2,
      operators: [],
      positions: [],
    }
    this.saved.push(made)
    return Promise.resolve(made)
  }
  savepoints(): Promise<readonly SavepointInfo[]> {
    return Promise.resolve(this.saved)
  }
  dropSavepoint(name: string): Promise<void> {
    this.saved = this.saved.filter((one) => one.name !== name)
    return Promise.resolve()
  }
  graph(): ReturnType<Engine['graph']> {
    return Promise.resolve({ nodes: [], edges: [], heldBackBy: null })
  }
  /** `value contains TEXT` is all the SQL that these tests need. */
  recordFilter(_topic: string, where: string): ReturnType<Engine['recordFilter']> {
    const wanted = /^value contains (.+)$/s.exec(where)?.[1]
    if (wanted === undefined)
      throw new Fault('sql.syntax', {
        message: 'no filter',
        line: 1,
        column: 3,
        excerpt: where,
        hint: 'Write value contains.',
      })
    return ({ value }) => value !== null && Buffer.from(value).includes(wanted)
  }
  drop(kind: string, name: string): Promise<void> {
    this.dropped.push(`${kind} ${name}`)
    return Promise.resolve()
  }
  pause(): Promise<void> {
    return Promise.resolve()
  }
  resume(): Promise<void> {
    return Promise.resolve()
  }
  readonly alertRules: Engine['alertRules'] = { all: () => [], onChange: () => () => undefined }
}
export async function* rowsOf(rows: readonly (readonly unknown[])[]): AsyncIterable<readonly unknown[]> {
  yield* rows
}
export class FakeAlerts implements Alerts {
  rules: ReturnType<Alerts['list']> = []
  log: FiredAlert[] = []
  list(): ReturnType<Alerts['list']> {
    return this.rules
  }
  fired({ alert, limit = 100 }: { alert?: string; limit?: number } = {}): Promise<readonly FiredAlert[]> {
    return Promise.resolve(this.log.filter((one) => alert === undefined || one.alert === alert).slice(0, limit))
  }
  async *watch(): AsyncIterable<FiredAlert> {
    yield* this.log
  }
}
