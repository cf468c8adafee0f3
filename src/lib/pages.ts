/**
 * Which web pages may send requests. A page of another origin says so (Origin): it is refused unless the origin is named, and
 * gets no CORS header. While nobody has to say who they are, the Host header must also name this server: a name that somebody has pointed
 * at 127.0.0.1 (DNS rebinding) does not. What is signed is signed for its host, and
 * tokens are not what a browser adds by itself.
 */
import { isLoopback } from './loopback.ts'

interface Options {
  readonly hosts: readonly string[]
  readonly origins: readonly string[]
  /** Every page may, as with the service itself. */
  readonly everybody: boolean
}
const hostForm = /^(\[[0-9a-f:.]+\]|[a-z0-9._-]+)(?::\d{1,5})?$/

export class Pages {
  readonly #hosts: ReadonlySet<string>
  readonly #origins: ReadonlySet<string>
  readonly #everybody: boolean

  constructor({ hosts, origins, everybody }: Options) {
    this.#hosts = new Set(hosts.map((host) => host.toLowerCase()))
    this.#origins = new Set(origins.map((origin) => origin.toLowerCase()))
    this.#everybody = everybody
  }
  /** What Access-Control-Allow-Origin says; null: nothing. Throws PageRefused. */
  admit(headers: Readonly<Record<string, string | undefined>>, isOpen: boolean): string | null {
    const { host = '', origin } = headers
    const name = hostForm.exec(host.toLowerCase())?.[1] ?? ''
    if (isOpen && !isLoopback(name) && !this.#hosts.has(name))
      throw refused(`this server is not called ${host.slice(0, 200) || '(nothing)'}: name it in httpHosts`)
    if (origin === undefined) return null
    if (this.#everybody) return '*'
    if (this.#origins.has(origin.toLowerCase())) return origin
    // Its own; also said by clients that are no browsers at all.
    if (name !== '' && URL.parse(origin)?.host === host.toLowerCase()) return null
    throw refused(`pages of ${origin.slice(0, 200)} may not call: name the origin in httpOrigins`)
  }
}
export class PageRefused extends Error {}
const refused = (message: string): PageRefused => new PageRefused(message)
