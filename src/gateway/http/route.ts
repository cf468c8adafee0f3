/**
 * A route is data: the router, the checks of parameters, HEAD, OPTIONS, 405 and openapi.json all come from this list, so
 * that what is said to be served is what is served.
 */
import { Fault } from '../../lib/fault.ts'
import type { Needed, byContent } from './access.ts'
import { type Answer, type Exchange, mediaTypes } from './exchange.ts'

export type JsonSchema = boolean | { readonly [keyword: string]: unknown }
export type Method = 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE'
export interface Parameter {
  readonly says: string
  readonly schema: JsonSchema
}
interface Given {
  readonly says: string
  /** Media type → schema of the body (of one line or event where it is a stream). */
  readonly as?: Readonly<Record<string, JsonSchema>>
}
export interface Route {
  readonly method: Method
  /** `/v1/topics/{topic}`: a name in braces takes one part of the path. */
  readonly path: string
  readonly id: string
  readonly says: string
  /** What who asks must be allowed. */
  readonly access: readonly Needed[] | typeof byContent
  readonly query?: Readonly<Record<string, Parameter>>
  readonly headers?: Readonly<Record<string, Parameter>>
  readonly takes?: Readonly<Record<string, JsonSchema>>
  readonly gives: Readonly<Record<number, Given>>
  handle(exchange: Exchange): Answer | Promise<Answer>
}

/** Such a route serves WebSockets too. */
export const givesEvents = ({ method, gives }: Route): boolean =>
  method === 'GET' && Object.hasOwn(gives[200]?.as ?? {}, mediaTypes.sse)

interface Node {
  readonly children: Map<string, Node>
  parameter: { readonly name: string; readonly node: Node } | null
  readonly routes: Map<Method, Route>
}
const node = (): Node => ({ children: new Map(), parameter: null, routes: new Map() })

export type Found =
  | { readonly route: Route; readonly params: Readonly<Record<string, string>> }
  | { readonly route: null; readonly allow: readonly Method[] }

export class Router {
  readonly #root = node()

  constructor(routes: readonly Route[]) {
    for (const route of routes) this.#add(route)
  }
  #add(route: Route): void {
    let at = this.#root
    for (const part of route.path.split('/').slice(1)) {
      const name = /^\{(\w+)\}$/.exec(part)?.[1]
      if (name !== undefined) at = (at.parameter ??= { name, node: node() }).node
      else {
        if (!at.children.has(part)) at.children.set(part, node())
        at = at.children.get(part)!
      }
    }
    if (at.routes.has(route.method)) throw new Error(`${route.method} ${route.path} stands twice`)
    at.routes.set(route.method, route)
  }

  /** null: no such path. Throws Fault http.bad-request for a path that cannot be decoded. */
  find(method: string, path: string): Found | null {
    const params: Record<string, string> = Object.create(null) as Record<string, string>
    let at = this.#root
    for (const part of path.split('/').slice(1)) {
      const fixed = at.children.get(part)
      if (fixed !== undefined) at = fixed
      else if (at.parameter !== null && part !== '') {
        params[at.parameter.name] = decode(part)
        at = at.parameter.node
      } else return null
    }
    if (at.routes.size === 0) return null
    const route = at.routes.get((method === 'HEAD' ? 'GET' : method) as Method)
    return route === undefined ? { route: null, allow: [...at.routes.keys()] } : { route, params }
  }
}
function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch (error) {
    throw new Fault(
      'http.bad-request',
      { what: `the path part ${part.slice(0, 100)} is not percent-encoded UTF-8` },
      error,
    )
  }
}

/** A parameter that the route does not know is a mistake worth saying. Throws Fault http.invalid-parameter. */
export function checkQuery(route: Route, query: URLSearchParams): void {
  const known = route.query ?? {}
  const seen = new Set<string>()
  for (const [name, value] of query) {
    const fault = (why: string): Fault =>
      new Fault('http.invalid-parameter', { name: name.slice(0, 100), value: value.slice(0, 100), why })
    if (!Object.hasOwn(known, name)) throw fault(`it is not known here${listed(Object.keys(known))}`)
    if (seen.has(name)) throw fault('it is given twice')
    seen.add(name)
  }
}
const listed = (names: readonly string[]): string => (names.length === 0 ? '' : `; ${names.join(', ')} are`)
