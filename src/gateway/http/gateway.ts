/** From request to answer, without a socket: admission, routing, parameters, faults. */
import { Fault, asFault } from '../../lib/fault.ts'
import { anonymous } from '../../security/principal.ts'
import { HttpAccess, type Peer } from './access.ts'
import type { Body } from './body.ts'
import { type Answer, type Exchange, mediaTypes } from './exchange.ts'
import { Lag } from './lag.ts'
import { type Admission, admit, allowedOrigin } from './origin.ts'
import type { Parts } from './parts.ts'
import { problemAnswer } from './problem.ts'
import { type Found, type Method, type Route, Router, checkQuery, givesEvents } from './route.ts'
import { alertRoutes } from './routes/alerts.ts'
import { connectorRoutes } from './routes/connectors.ts'
import { groupRoutes } from './routes/groups.ts'
import { overviewRoute } from './routes/overview.ts'
import { produceRoute } from './routes/produce.ts'
import { recordsRoute } from './routes/records.ts'
import { serviceRoutes } from './routes/service.ts'
import { savepointRoutes } from './routes/savepoints.ts'
import { sqlRoute } from './routes/sql.ts'
import { topicRoutes } from './routes/topics.ts'
import { userRoutes } from './routes/users.ts'
import { gatewayRoutes } from './routes/gateways.ts'
import { mqttSessionRoutes } from './routes/mqtt-sessions.ts'
import { accessKeyRoutes } from './routes/access-keys.ts'
import { viewRoutes } from './routes/views.ts'
import { scrapeInto } from './scrape.ts'
import type { StaticFiles } from './static-files.ts'
import { Usage } from './usage.ts'

export interface Request {
  readonly method: string
  /** As in the request line. */
  readonly target: string
  readonly headers: Readonly<Record<string, string | undefined>>
  readonly body: Body
  readonly signal: AbortSignal
  readonly peer: Peer
  /** A WebSocket is asked for: only what a route gives as events is answered. Throws a Fault when none can be had. */
  readonly live?: () => void
}
/** An answer, and the route that gave it (for metrics: its pattern, never the path). */
export interface Routed {
  readonly answer: Answer
  readonly route: string
}

const targetLength = 8 * 1024
/** Whose bodies are records. */
const producing: ReadonlySet<string> = new Set(['produce'])
/** Whose answers are records or rows. */
const consuming: ReadonlySet<string> = new Set(['readRecords', 'readRows', 'watchView', 'runSql', 'listFired'])
const nobody = { principal: anonymous, host: '' }
type FoundRoute = Extract<Found, { readonly route: Route }>
/** Health, and what documents: also for those who have not said who they are. */
const forAll = new Set(['isLive', 'isReady', 'getOpenApi', 'explainFault'])
const isForAll = ({ id }: Route): boolean => forAll.has(id)

export class Gateway {
  readonly routes: readonly Route[]
  readonly #parts: Parts
  readonly #router: Router
  readonly #access: HttpAccess
  readonly #admission: Admission
  readonly #files: StaticFiles | null

  constructor(parts: Parts, options: { admission: Admission; files: StaticFiles | null }) {
    this.#parts = parts
    this.#admission = options.admission
    this.#files = options.files
    this.#access = new HttpAccess(parts.security)
    const lag = new Lag(parts.log)
    scrapeInto(parts, lag)
    this.routes = [
      ...topicRoutes(parts),
      produceRoute(parts),
      recordsRoute(parts),
      ...viewRoutes(parts),
      ...savepointRoutes(parts),
      ...groupRoutes(parts, lag),
      ...alertRoutes(parts),
      ...userRoutes(parts),
      ...accessKeyRoutes(parts),
      ...connectorRoutes(parts),
      ...mqttSessionRoutes(parts),
      ...gatewayRoutes(parts),
      sqlRoute(parts),
      overviewRoute(parts),
      ...serviceRoutes(parts, () => this.routes),
    ]
    this.#router = new Router(this.routes)
  }

  /** Never rejects. */
  async handle(request: Request): Promise<Routed> {
    let route = '(none)'
    try {
      const { path, query } = splitTarget(request.target)
      admit(this.#admission, request.headers)
      request.live?.()
      const found = this.#router.find(request.method, path)
      if (found === null && request.live === undefined) {
        route = '(files)'
        return { route, answer: this.#finish(request, this.#file(request, path)) }
      }
      if (found === null) throw new Fault('http.not-found', { path: path.slice(0, 200) })
      if (found.route === null) {
        if (request.method === 'OPTIONS')
          return { route: '(options)', answer: this.#finish(request, this.#options(request, found.allow)) }
        throw new Fault('http.method-not-allowed', {
          method: request.method.slice(0, 20),
          path: path.slice(0, 200),
          allow: allowed(found.allow),
        })
      }
      route = found.route.path
      const search = new URLSearchParams(query)
      checkQuery(found.route, search)
      const headers = request.live === undefined ? request.headers : asEvents(found.route, request.headers)
      const answer = await this.#answer(request, found, { path, search, headers })
      return { route, answer: this.#finish(request, answer) }
    } catch (error) {
      return { route, answer: this.#finish(request, this.#fault(request, error)) }
    }
  }

  /** Of a route that was found, for who may have it. */
  async #answer(
    { method, body, signal, peer, headers: sent }: Request,
    { route, params }: FoundRoute,
    { path, search, headers }: { path: string; search: URLSearchParams; headers: Request['headers'] },
  ): Promise<Answer> {
    const access = this.#access
    // Where nothing is needed and nothing left out, nobody is asked who they are.
    const subject = isForAll(route) ? nobody : await access.subject(sent, peer)
    const own = access.of(subject, route.id)
    own.demandAll(route.access, params, (parameter) => this.#nameOf(parameter, params), path)
    const sees: Exchange['sees'] = (operation, type, name) => own.sees(operation, type, name)
    const demand: Exchange['demand'] = (operation, type, name) => own.demand(operation, type, name)
    const says: Exchange['says'] = (changes) => own.says(changes)
    const { rights } = own
    const { world, security } = this.#parts
    const usage = new Usage(subject, { quotas: security.quotas, clock: world.clock, signal })
    if (!isForAll(route)) usage.demand('request_percentage')
    if (consuming.has(route.id)) usage.demand('consumer_byte_rate')
    if (producing.has(route.id)) {
      usage.demand('producer_byte_rate')
      usage.takeIn(body)
    }
    try {
      const request = { method, path, params, query: search, headers, body, sees, demand, says, rights, usage, signal }
      const answer = await usage.timed(() => route.handle(request))
      own.note(answer.status >= 400)
      return consuming.has(route.id) ? usage.sendOut(answer, () => own.demandAgain()) : answer
    } catch (error) {
      own.note(true)
      throw error
    }
  }
  /** Grants are for topics: a relation has the name of its topic there. */
  #nameOf(parameter: string, params: Readonly<Record<string, string>>): string {
    const name = params[parameter]!
    return parameter === 'view' ? (this.#parts.engine.relation(name)?.topic ?? name) : name
  }
  #fault({ method, target }: Request, error: unknown): Answer {
    const fault = asFault(error)
    if (fault.code === 'http.host-refused') this.#parts.telemetry.http.refused('host')
    if (fault.code === 'http.origin-refused') this.#parts.telemetry.http.refused('origin')
    if (fault.code === 'internal')
      this.#parts.logger.error('an HTTP request failed', {
        method,
        target: target.slice(0, 200),
        error: fault.cause ?? fault,
      })
    return problemAnswer(fault)
  }
  #file(request: Request, path: string): Answer {
    const reads = request.method === 'GET' || request.method === 'HEAD'
    const found = reads ? (this.#files?.answer({ path, headers: request.headers }) ?? null) : null
    if (found !== null) return found
    throw new Fault('http.not-found', { path: path.slice(0, 200) })
  }
  #options(request: Request, allow: readonly Method[]): Answer {
    const headers: Record<string, string> = { allow: allowed(allow) }
    if (allowedOrigin(this.#admission, request.headers) !== null) {
      headers['access-control-allow-methods'] = allowed(allow)
      headers['access-control-allow-headers'] =
        request.headers['access-control-request-headers']?.replaceAll(/[^\w, -]/g, '') ?? ''
      headers['access-control-max-age'] = '600'
    }
    return { status: 204, headers, body: null }
  }
  #finish(request: Request, answer: Answer): Answer {
    const headers: Record<string, string> = {
      'x-content-type-options': 'nosniff',
      'cache-control': 'no-store',
      ...answer.headers,
    }
    const origin = allowedOrigin(this.#admission, request.headers)
    if (origin !== null) {
      headers['access-control-allow-origin'] = origin
      headers['vary'] = headers['vary'] === undefined ? 'Origin' : `${headers['vary']}, Origin`
    }
    return { ...answer, headers }
  }
}
/** Whatever a WebSocket says it accepts, it gets events. */
function asEvents(route: Route, headers: Request['headers']): Request['headers'] {
  if (givesEvents(route)) return { ...headers, accept: mediaTypes.sse }
  const offers = Object.keys(route.gives[200]?.as ?? {}).join(', ') || 'no events'
  throw new Fault('http.not-acceptable', { accept: 'a WebSocket', offers })
}
const allowed = (methods: readonly Method[]): string =>
  [...methods, ...(methods.includes('GET') ? ['HEAD'] : []), 'OPTIONS'].join(', ')

function splitTarget(target: string): { path: string; query: string } {
  if (!target.startsWith('/')) throw new Fault('http.bad-request', { what: 'the target is not a path' })
  if (target.length > targetLength)
    throw new Fault('http.bad-request', { what: `the target is longer than ${targetLength} characters` })
  const mark = target.indexOf('?')
  const path = mark < 0 ? target : target.slice(0, mark)
  if (/(?:^|[/\\]|%2f|%5c)(?:\.|%2e){1,2}(?:[/\\]|%2f|%5c|$)|\\|%00|[^\x21-\x7e]/i.test(path))
    throw new Fault('http.bad-request', { what: 'the path steps outside or holds bytes that no path has' })
  return { path, query: mark < 0 ? '' : target.slice(mark + 1) }
}
