/**
 * A server that speaks the HTTP interface of `src/gateway/http/api.ts` out of `fixture-data.ts`, so that the console is
 * tested without the rest. Also usable by hand: `node test/console/fixture-server.ts 8090`, after `node console/build.mjs`.
 */
import { createServer } from 'node:http'
import type { IncomingMessage, Server, ServerResponse } from 'node:http'
import { existsSync, readFileSync } from 'node:fs'
import type { AddressInfo } from 'node:net'
import { extname, join, normalize } from 'node:path'
import type { Change, Payload, Problem, QueryAnswer, RecordJson, RecordPage } from '../../src/gateway/http/api.ts'
import { typeName } from '../../src/schema/types.ts'
import { Shop } from './fixture-data.ts'
import type { StoredTopic } from './fixture-data.ts'

const built = join(import.meta.dirname, '../../dist/console')
const types: Readonly<Record<string, string>> = {
  '.html': 'text/html; charset=utf-8',
  '.js': 'text/javascript',
  '.css': 'text/css',
  '.svg': 'image/svg+xml',
  '.woff2': 'font/woff2',
}

interface Ask {
  readonly request: IncomingMessage
  readonly response: ServerResponse
  readonly parts: readonly string[]
  readonly query: URLSearchParams
  readonly body: string
}

class Refusal extends Error {
  readonly problem: Problem
  constructor(status: number, code: string, detail: string, more: Partial<Problem> = {}) {
    super(detail)
    this.problem = {
      type: `https://millrace.dev/errors/${code}`,
      title: code,
      status,
      code,
      detail,
      hint: 'See the documentation.',
      docs: '',
      ...more,
    }
  }
}

export class FixtureServer implements AsyncDisposable {
  readonly shop = new Shop()
  /** What was asked, `METHOD /path`, for tests of what the console calls. */
  readonly asked: string[] = []
  /** Records that one page looks at when it filters, and how long that takes. */
  scanMax = 2000
  scanDelayMs = 0
  readonly #server: Server
  readonly #streams = new Set<ServerResponse>()
  #ticker: NodeJS.Timeout | null = null

  constructor() {
    this.#server = createServer((request, response) => void this.#answer(request, response))
  }

  async listen(port = 0): Promise<string> {
    await new Promise<void>((resolve) => this.#server.listen(port, '127.0.0.1', resolve))
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}/`
  }

  /** So many purchases a second from now on. */
  trade(perSecond: number): void {
    if (this.#ticker !== null) clearInterval(this.#ticker)
    this.shop.topics.get('purchases')!.rate = perSecond
    this.shop.topics.get('items')!.rate = perSecond / 50
    if (perSecond === 0) return
    const each = Math.max(1, Math.round(perSecond / 20))
    this.#ticker = setInterval(
      () => {
        for (let i = 0; i < each; i++) this.shop.buy()
      },
      (each * 1000) / perSecond,
    )
  }

  /** Cuts every stream, as a lost network does. */
  cutStreams(): void {
    for (const response of this.#streams) response.destroy()
  }

  /** Stops answering: connections are refused until `listen` is called again on the same port. */
  async away(): Promise<number> {
    const { port } = this.#server.address() as AddressInfo
    this.cutStreams()
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
    return port
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#ticker !== null) clearInterval(this.#ticker)
    this.cutStreams()
    this.#server.closeAllConnections()
    await new Promise((resolve) => this.#server.close(resolve))
  }

  async #answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const url = new URL(request.url ?? '/', 'http://fixture')
    this.asked.push(`${request.method} ${url.pathname}${url.search}`)
    let body = ''
    for await (const chunk of request) body += String(chunk)
    const parts = url.pathname.split('/').filter(Boolean).map(decodeURIComponent)
    try {
      if (parts[0] !== 'v1') return sendFile(url.pathname, response)
      const answer = await this.#route({ request, response, parts: parts.slice(1), query: url.searchParams, body })
      if (answer !== streaming) sendJson(response, request.method === 'DELETE' ? 204 : 200, answer)
    } catch (thrown) {
      const problem = thrown instanceof Refusal ? thrown.problem : new Refusal(500, 'internal', String(thrown)).problem
      if (!response.headersSent) sendJson(response, problem.status, problem, 'application/problem+json')
    }
  }

  #route(ask: Ask): unknown {
    const [kind = '', name] = ask.parts
    const { shop } = this
    switch (kind) {
      case 'overview':
        return wantsStream(ask) ? this.#overviewStream(ask) : shop.overview()
      case 'topics':
        if (name === undefined)
          return [...shop.topics.values()]
            .filter((t) => ask.query.get('internal') === 'true' || !t.name.startsWith('_'))
            .map((t) => shop.topicSummary(t))
        if (ask.parts[2] === 'readers') return name === 'purchases' ? shop.readers : []
        return ask.parts[2] === 'records' ? this.#records(ask, this.#topic(name)) : this.#oneTopic(ask, name)
      case 'views':
        return name === undefined ? [...shop.views.values()] : this.#view(ask, name)
      case 'groups': {
        if (name === undefined) return shop.groups
        const group = shop.groups.find((g) => g.group === name)
        if (group === undefined) throw new Refusal(404, 'log.unknown-group', `group ${name} does not exist`)
        return group
      }
      case 'connectors':
        return name === undefined ? shop.connectors : this.#connector(ask, name)
      case 'alerts':
        if (name !== 'fired') return shop.alerts
        return wantsStream(ask) ? this.#firedStream(ask) : shop.fired.slice(0, Number(ask.query.get('limit') ?? 100))
      case 'sql':
        return this.#sql(ask)
      default:
        throw new Refusal(404, 'http.not-found', `there is no ${kind}`)
    }
  }

  #topic(name: string): StoredTopic {
    const topic = this.shop.topics.get(name)
    if (topic === undefined) throw new Refusal(404, 'log.unknown-topic', `topic ${name} does not exist`)
    return topic
  }

  #oneTopic(ask: Ask, name: string): unknown {
    const { method } = ask.request
    if (method === 'DELETE') return this.shop.topics.delete(name)
    const change =
      ask.body === ''
        ? {}
        : (JSON.parse(ask.body) as { partitions?: number; config?: Record<string, string | null>; schema?: unknown })
    if (method === 'PUT' && !this.shop.topics.has(name)) this.shop.addTopic(name, change.partitions ?? 1, {})
    const topic = this.#topic(name)
    for (const [setting, value] of Object.entries(change.config ?? {})) {
      if (setting === 'retention.ms' && value !== null && !/^-?\d+$/.test(value))
        throw new Refusal(400, 'log.invalid-config', `retention.ms=${value}: not a number`, {
          field: 'config.retention.ms',
        })
      if (value === null) delete topic.config[setting]
      else topic.config[setting] = value
    }
    if (change.schema !== undefined) topic.schema = change.schema
    return this.shop.topicDetail(topic)
  }

  #records(ask: Ask, topic: StoredTopic): unknown {
    if (ask.request.method === 'POST') return this.#produce(ask, topic)
    return wantsStream(ask) ? this.#tail(ask, topic) : this.#page(ask, topic)
  }

  #produce(ask: Ask, topic: StoredTopic): unknown {
    const { records } = JSON.parse(ask.body) as {
      records: {
        key?: Payload
        value: Payload
        partition?: number
        headers?: { name: string; value: { base64: string } }[]
      }[]
    }
    return {
      records: records.map((r) => {
        const stored = this.shop.append(topic.name, {
          key: decoded(r.key ?? null),
          value: decoded(r.value),
          headers: (r.headers ?? []).map((h) => [h.name, Buffer.from(h.value.base64, 'base64').toString()]),
          ...(r.partition === undefined ? {} : { partition: r.partition }),
        })
        return { partition: stored.partition, offset: stored.offset, timestamp: stored.timestamp }
      }),
    }
  }

  async #page(ask: Ask, topic: StoredTopic): Promise<RecordPage> {
    const matches = filterOf(ask.query.get('where') ?? '')
    const limit = Number(ask.query.get('limit') ?? 100)
    const until = positions(ask.query.get('until') ?? '')
    const only = ask.query.get('partition')
    const at = startOf(ask.query.get('from') ?? 'earliest', topic)
    if (only !== null) for (const p of at.keys()) if (p !== Number(only)) at.delete(p)
    const records: RecordJson[] = []
    let scanned = 0
    for (;;) {
      const next = earliest(topic, at, until)
      if (next === null || records.length >= limit || scanned >= this.scanMax) break
      at.set(next.partition, next.offset + 1)
      scanned++
      if (matches(next)) records.push(ask.query.get('bytes') === 'true' ? asBytes(next) : next)
    }
    if (this.scanDelayMs > 0) await new Promise((resolve) => setTimeout(resolve, this.scanDelayMs))
    return {
      records,
      scanned,
      atEnd: earliest(topic, at, until) === null,
      next: [...at].map(([partition, offset]) => ({ partition, offset })),
    }
  }

  #tail(ask: Ask, topic: StoredTopic): typeof streaming {
    const matches = filterOf(ask.query.get('where') ?? '')
    const resume = ask.request.headers['last-event-id']
    const at = startOf(
      typeof resume === 'string' && resume !== '' ? resume : (ask.query.get('from') ?? 'latest'),
      topic,
    )
    const only = ask.query.get('partition')
    const send = this.#open(ask)
    const deliver = (record: RecordJson): void => {
      if (only !== null && record.partition !== Number(only)) return
      at.set(record.partition, record.offset + 1)
      const id = [...at].map(([p, offset]) => `${p}:${offset}`).join(',')
      if (matches(record)) send('record', record, id)
    }
    for (let next = earliest(topic, at, new Map()); next !== null; next = earliest(topic, at, new Map())) {
      deliver(next)
      at.set(next.partition, next.offset + 1)
    }
    return this.#follow(ask, this.shop.onRecord, (name, record) => {
      if (name === topic.name) deliver(record)
    })
  }

  #connector({ request, parts, body }: Ask, name: string): unknown {
    const { connectors, causes } = this.shop
    const at = connectors.findIndex((one) => one.name === name)
    if (at < 0) throw new Refusal(404, 'connect.unknown-connector', `there is no connector ${name}`)
    if (parts[2] === 'doctor') return causes.get(name) ?? []
    if (request.method === 'DELETE') return connectors.splice(at, 1)
    if (request.method === 'PATCH') {
      const { paused } = JSON.parse(body) as { paused: boolean }
      connectors[at] = { ...connectors[at]!, status: paused ? 'paused' : 'running' }
    }
    return connectors[at]
  }

  #view(ask: Ask, name: string): unknown {
    const view = this.shop.views.get(name)
    if (view === undefined) throw new Refusal(404, 'sql.unknown-relation', `view ${name} does not exist`)
    const rows = [...this.shop.rows.get(name)!.values()]
    switch (ask.parts[2] ?? '') {
      case 'rows': {
        const limit = Number(ask.query.get('limit') ?? 100)
        return {
          command: 'SELECT',
          columns: view.columns.map((c) => ({ name: c.name, type: typeName(c.type) })),
          rows: rows.slice(0, limit).map((r) => view.columns.map((c) => r[c.name])),
        }
      }
      case 'changes':
        return this.#changes(ask, name)
      case 'doctor':
        return []
      case 'graph':
        return this.shop.graph()
      default:
        if (ask.request.method === 'DELETE') return this.shop.views.delete(name)
        return view
    }
  }

  #changes(ask: Ask, name: string): typeof streaming {
    const send = this.#open(ask)
    const at = new Date().toISOString()
    for (const row of this.shop.rows.get(name)!.values()) send('change', { op: '+', row, at })
    send('change', { op: 'progress', at, watermark: at })
    return this.#follow(ask, this.shop.onChange, (view, change: Change) => {
      if (view === name) send('change', change)
    })
  }

  #sql(ask: Ask): unknown {
    const { sql } = JSON.parse(ask.body) as { sql: string }
    const wrong = /\bFORM\b/i.exec(sql)
    if (wrong !== null) {
      const before = sql.slice(0, wrong.index).split('\n')
      throw new Refusal(400, 'sql.syntax', 'expected FROM, found FORM', {
        hint: 'Did you mean FROM?',
        position: { line: before.length, column: before.at(-1)!.length + 1 },
      })
    }
    const subscribed = /subscribe\s+to\s+(\w+)/i.exec(sql)
    if (subscribed !== null) return this.#changes(ask, subscribed[1]!)
    const view = this.shop.views.get(/from\s+(\w+)/i.exec(sql)?.[1] ?? '')
    if (view === undefined) return { command: 'CREATE MATERIALIZED VIEW', columns: [], rows: [] } satisfies QueryAnswer
    const rows = [...this.shop.rows.get(view.name)!.values()]
    return {
      command: `SELECT`,
      columns: view.columns.map((c) => ({ name: c.name, type: typeName(c.type) })),
      rows: rows.map((r) => view.columns.map((c) => r[c.name])),
    } satisfies QueryAnswer
  }

  #overviewStream(ask: Ask): typeof streaming {
    const send = this.#open(ask)
    send('overview', this.shop.overview())
    const timer = setInterval(() => send('overview', this.shop.overview()), 1000)
    ask.response.on('close', () => clearInterval(timer))
    return streaming
  }

  #firedStream(ask: Ask): typeof streaming {
    const send = this.#open(ask)
    return this.#follow(ask, this.shop.onFired, (alert) => send('alert', alert, alert.id))
  }

  #open(ask: Ask): (event: string, data: unknown, id?: string) => void {
    const { response } = ask
    response.writeHead(200, { 'content-type': 'text/event-stream', 'cache-control': 'no-store' })
    response.write(': open\n\n')
    this.#streams.add(response)
    response.on('close', () => this.#streams.delete(response))
    return (event, data, id) =>
      response.write(`event: ${event}\n${id === undefined ? '' : `id: ${id}\n`}data: ${JSON.stringify(data)}\n\n`)
  }

  #follow<F extends (...args: never[]) => void>(ask: Ask, listeners: Set<F>, listener: F): typeof streaming {
    listeners.add(listener)
    ask.response.on('close', () => listeners.delete(listener))
    return streaming
  }
}

const streaming = Symbol('streaming')
const wantsStream = (ask: Ask): boolean => (ask.request.headers.accept ?? '').includes('text/event-stream')

function sendJson(response: ServerResponse, status: number, body: unknown, type = 'application/json'): void {
  response.writeHead(status, { 'content-type': type })
  response.end(status === 204 ? '' : JSON.stringify(body))
}

/** A place that is no file is the app's own: it gets the page. */
function sendFile(path: string, response: ServerResponse): void {
  const asked = join(built, normalize(path))
  const file = asked.startsWith(`${built}/assets/`) ? asked : join(built, 'index.html')
  if (!existsSync(file)) return sendJson(response, 404, {})
  response.writeHead(200, { 'content-type': types[extname(file)] ?? 'application/octet-stream' })
  response.end(readFileSync(file))
}

const positions = (text: string): Map<number, number> =>
  new Map(
    text
      .split(',')
      .filter(Boolean)
      .map((pair) => pair.split(':').map(Number) as [number, number]),
  )

function startOf(from: string, topic: StoredTopic): Map<number, number> {
  if (from.includes(':') && !from.includes('T'))
    return new Map(topic.partitions.map((_, p) => [p, positions(from).get(p) ?? topic.partitions[p]!.length]))
  return new Map(
    topic.partitions.map((records, p) => {
      if (from === 'earliest') return [p, 0]
      if (from === 'latest') return [p, records.length]
      if (/^\d+$/.test(from)) return [p, Number(from)]
      const found = records.findIndex((r) => r.timestamp >= from)
      return [p, found < 0 ? records.length : found]
    }),
  )
}

function earliest(
  topic: StoredTopic,
  at: ReadonlyMap<number, number>,
  until: ReadonlyMap<number, number>,
): RecordJson | null {
  let best: RecordJson | null = null
  for (const [p, offset] of at) {
    const record = topic.partitions[p]?.[offset]
    if (record === undefined || offset >= (until.get(p) ?? Infinity)) continue
    if (best === null || record.timestamp < best.timestamp) best = record
  }
  return best
}

/** `field op literal`, which is all that the tests ask; anything else is an error with its place. */
function filterOf(where: string): (record: RecordJson) => boolean {
  if (where === '') return () => true
  const match = /^\s*(\w+)\s*(=|<|>|<=|>=)\s*(?:'([^']*)'|(-?\d+(?:\.\d+)?))\s*$/.exec(where)
  if (match === null) {
    const column = where.search(/[=<>]\s*$|\bFORM\b|$/) + 1
    throw new Refusal(400, 'sql.syntax', 'expected an expression after =', {
      hint: 'Write a value: amount = 5',
      position: { line: 1, column },
    })
  }
  const [, field = '', op, text, number] = match
  const wanted = text ?? Number(number)
  return (record) => {
    const value =
      field === '_offset' ? record.offset : (record.value as { json?: Record<string, unknown> } | null)?.json?.[field]
    if (typeof value !== typeof wanted) return false
    const [a, b] = [value as number, wanted as number]
    return op === '=' ? a === b : op === '<' ? a < b : op === '>' ? a > b : op === '<=' ? a <= b : a >= b
  }
}

function decoded(payload: Payload): Payload {
  if (payload === null || !('base64' in payload)) return payload
  const text = Buffer.from(payload.base64, 'base64').toString()
  try {
    return { json: JSON.parse(text) as unknown }
  } catch {
    return { text }
  }
}

function asBytes(record: RecordJson): RecordJson {
  const bytes = (payload: Payload): Payload => {
    if (payload === null || 'base64' in payload) return payload
    return { base64: Buffer.from('json' in payload ? JSON.stringify(payload.json) : payload.text).toString('base64') }
  }
  return {
    ...record,
    key: bytes(record.key),
    value: bytes(record.value),
    headers: record.headers.map((h) => ({ name: h.name, value: bytes(h.value) })),
  }
}

if (import.meta.main) {
  const server = new FixtureServer()
  console.log(await server.listen(Number(process.argv[2] ?? 0)))
  server.trade(40)
  for (let i = 0; i < 9; i++)
    server.shop.fire(
      `Customer c${i} paid ${(90 + i).toFixed(2)}, the mean is 21.40`,
      `c${i}`,
      { customer: `c${i}`, amount: 90 + i, mean: 21.4 },
      400 * i,
      Date.now() - i * 61_000,
    )
}
