/**
 * Which requests are let in. The Host header must name this server: a name that an attacker has pointed at 127.0.0.1
 * (DNS rebinding) does not. A request that a page of another origin makes carries its Origin: it is refused, also where
 * the browser would only hide the answer (CSRF). No CORS header is ever sent but to the origins that are named.
 */
import { Fault } from '../../lib/fault.ts'

export interface Admission {
  /** Names that Host may have beside the loopback ones, without port. */
  readonly hosts: ReadonlySet<string>
  /** Origins beside the server's own. */
  readonly origins: ReadonlySet<string>
}

/** `bound`: the host it listens on. */
export function admission(bound: string, hosts: readonly string[], origins: readonly string[]): Admission {
  return {
    hosts: new Set(['localhost', '127.0.0.1', '[::1]', bracketed(bound), ...hosts.map((host) => host.toLowerCase())]),
    origins: new Set(origins.map((origin) => origin.toLowerCase())),
  }
}
const bracketed = (host: string): string => (host.includes(':') ? `[${host}]` : host).toLowerCase()

const hostForm = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::(\d{1,5}))?$/

/** Throws Fault http.host-refused, http.origin-refused. */
export function admit({ hosts, origins }: Admission, headers: Readonly<Record<string, string | undefined>>): void {
  const host = (headers['host'] ?? '').toLowerCase()
  const name = hostForm.exec(host)?.[1]
  if (name === undefined || !hosts.has(name))
    throw new Fault('http.host-refused', { host: host.slice(0, 200) || '(none)' })
  const origin = headers['origin']?.toLowerCase()
  if (origin === undefined) return
  if (origin !== `http://${host}` && origin !== `https://${host}` && !origins.has(origin))
    throw new Fault('http.origin-refused', { origin: origin.slice(0, 200) })
}
export const allowedOrigin = (
  { origins }: Admission,
  headers: Readonly<Record<string, string | undefined>>,
): string | null => {
  const origin = headers['origin']
  return origin !== undefined && origins.has(origin.toLowerCase()) ? origin : null
}
