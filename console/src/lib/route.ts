/**
 * Addresses of the console: `/topics/purchases?where=amount+%3E+100`. The server gives the page for each of them. A query too
 * long for a request line (a big SQL text) stands behind `#?` instead, where it is not sent. `#/topics/…` is understood too:
 * it works wherever only `/` is served.
 */
export type Query = Readonly<Record<string, string>>
export interface Route {
  readonly path: readonly string[]
  readonly query: Query
}

/** Servers and what stands before them take at least this much of a request line. */
const searchMax = 4000

/** `address` is pathname, search and hash. Any text is an address: what cannot be decoded is taken as it stands. */
export function parseRoute(address: string): Route {
  const [front, behind = ''] = split(address, '#')
  if (behind.startsWith('/')) return parseRoute(behind.replaceAll('#', '%23'))
  const [path, search = ''] = split(front, '?')
  const query: Record<string, string> = Object.create(null) as Record<string, string>
  for (const [name, value] of new URLSearchParams(behind.startsWith('?') ? behind.slice(1) : search))
    query[name] = value
  const parts = path.split('/').filter((part) => part !== '')
  return { path: parts.map(decode), query }
}

/** Empty values are left out: the default needs no mention. */
export function formatRoute(path: readonly string[], query: Query = {}): string {
  const search = new URLSearchParams(Object.entries(query).filter(([, value]) => value !== '')).toString()
  const front = `/${path.map(encodeURIComponent).join('/')}`
  if (search === '') return front
  return search.length > searchMax ? `${front}#?${search}` : `${front}?${search}`
}

function split(text: string, at: string): [string, string?] {
  const index = text.indexOf(at)
  return index < 0 ? [text] : [text.slice(0, index), text.slice(index + 1)]
}

function decode(part: string): string {
  try {
    return decodeURIComponent(part)
  } catch {
    return part
  }
}
